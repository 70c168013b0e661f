// Settings that change while the broker runs: by SIGHUP, by a change of the file in any
// way, while events are under way; wrong files; what needs a restart.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { copyFileSync, mkdirSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { cleanup } from "./lib/cleanup.mjs";
import { accessUrl, Inbox, jsonProtocol, openJson, openSocket, refusedStatus, serviceClient } from "./lib/clients.mjs";
import { makeCertificates } from "./lib/eventserver.mjs";
import { metricsOf, metricsThat } from "./lib/metrics.mjs";
import { temporaryFolder } from "./lib/paths.mjs";
import { patience } from "./lib/patience.mjs";
import { defaultKey, startBroker } from "./lib/pubhook.mjs";

// A handler that answers user events with its own name, some of them only when told to.
class Handler {
  requests = new Inbox("handler");
  #held = [];

  static async start(t, name) {
    const handler = new Handler();
    handler.server = http.createServer((request, response) => {
      let body = "";
      request.on("data", (data) => (body += data)).on("end", () => handler.#answer(name, request, body, response));
    });
    handler.server.keepAliveTimeout = 0;
    handler.server.listen(0, "127.0.0.1");
    await once(handler.server, "listening");
    handler.url = `http://127.0.0.1:${handler.server.address().port}/eh`;
    cleanup(t, () => {
      handler.server.closeAllConnections();
      return new Promise((resolve) => handler.server.close(resolve));
    });
    return handler;
  }

  #answer(name, request, body, response) {
    if (request.method === "OPTIONS") return response.writeHead(200, { "WebHook-Allowed-Origin": "*" }).end();
    const event = request.headers["ce-eventname"];
    this.requests.put({ event, body, signature: request.headers["ce-signature"] });
    const answer = () => response.writeHead(200, { "Content-Type": "text/plain" }).end(`${name}: ${body}`);
    if (event === "hold") this.#held.push(answer);
    else answer();
  }
  release() {
    for (const answer of this.#held.splice(0)) answer();
  }
}

const hubs = (...handlers) => ({
  chat: { eventHandlers: handlers.map((url) => ({ urlTemplate: url, userEventPattern: "*" })) },
});

function write(file, value) {
  writeFileSync(file, typeof value === "string" ? value : JSON.stringify(value, null, 1));
}

async function startConfigured(t, value, options = {}) {
  const file = path.join(temporaryFolder(t), "broker.json");
  write(file, value);
  const broker = await startBroker(t, { threads: 4, ...options, args: ["--config", file, ...(options.args ?? [])] });
  let reloads = 0;
  const told = () => broker.log.split("\n").filter((text) => /settings (not )?reloaded/.test(text));
  // Waits for one more line that says this of a reload. A file that is written in place may be
  // read before it is whole, and one that a signal tells of as well may be read twice.
  broker.reloaded = async (pattern = /settings reloaded from/) => {
    for (;;) {
      reloads++;
      await broker.logged(new RegExp(`(settings (?:not )?reloaded.*\n[^]*){${reloads}}`));
      const line = told()[reloads - 1];
      if (pattern.test(line)) return line;
    }
  };
  // Were there more of them than were waited for?
  broker.reloadCount = () => told().filter((line) => /settings reloaded/.test(line)).length;
  return { broker, file };
}

async function ask(socket, event, data) {
  socket.sendJson({ type: "event", event, dataType: "text", data });
  return (await socket.nextJson()).data;
}

// Connections on all threads.
const openMany = (t, broker, count = 16) => Promise.all(Array.from({ length: count }, () => openJson(t, broker, "chat")));

test("SIGHUP: events under way end where they began, later ones go to the new handler", async (t) => {
  const [old, fresh] = [await Handler.start(t, "old"), await Handler.start(t, "new")];
  const { broker, file } = await startConfigured(t, { hubs: hubs(old.url) });
  const clients = await openMany(t, broker);
  for (const client of clients) assert.equal(await ask(client, "e", "1"), "old: 1");
  for (const client of clients) {
    client.sendJson({ type: "event", event: "hold", dataType: "text", data: "2" }); // under way
    client.sendJson({ type: "event", event: "e", dataType: "text", data: "3" }); // waits behind it
  }
  await old.requests.take(2 * clients.length);
  write(file, { hubs: hubs(fresh.url) });
  broker.signal("SIGHUP");
  await broker.reloaded(/: 1 hubs; changed: hubs\.chat\.eventHandlers$/);
  for (const client of clients) client.sendJson({ type: "event", event: "e", dataType: "text", data: "4" });
  old.release();
  for (const client of clients) {
    const answers = (await client.inbox.take(3)).map((text) => JSON.parse(text).data);
    assert.deepEqual(answers, ["old: 2", "old: 3", "new: 4"]);
  }
  const later = await openJson(t, broker, "chat");
  assert.equal(await ask(later, "e", "5"), "new: 5");
  const outcomes = (metrics) => ["ok", "failed"].map((outcome) => metrics.get("pubhook_events_total", { event: "user", outcome }));
  await metricsThat(broker, (metrics) => assert.deepEqual(outcomes(metrics), [4 * clients.length + 1, 0]));
});

test("the file counts when it is written, replaced, or linked elsewhere", async (t) => {
  const handlers = [];
  for (const name of ["a", "b", "c", "d"]) handlers.push(await Handler.start(t, name));
  const { broker, file } = await startConfigured(t, { hubs: hubs(handlers[0].url) });
  const client = await openJson(t, broker, "chat");
  assert.equal(await ask(client, "e", "1"), "a: 1");

  write(file, { hubs: hubs(handlers[1].url) });
  await broker.reloaded();
  assert.equal(await ask(client, "e", "2"), "b: 2");

  write(`${file}.new`, { hubs: hubs(handlers[2].url) }); // as editors do
  renameSync(`${file}.new`, file);
  await broker.reloaded();
  assert.equal(await ask(client, "e", "3"), "c: 3");

  const folder = path.join(path.dirname(file), "..data"); // as Kubernetes does
  mkdirSync(folder);
  write(path.join(folder, "broker.json"), { hubs: hubs(handlers[3].url) });
  unlinkSync(file);
  symlinkSync("..data/broker.json", file);
  await broker.reloaded();
  assert.equal(await ask(client, "e", "4"), "d: 4");

  // Others in the folder are not its business.
  write(path.join(path.dirname(file), "other.json"), "{}");
  broker.signal("SIGHUP");
  await broker.reloaded(/nothing changed/);
  assert.equal(broker.reloadCount(), 4);
});

test("a wrong file keeps the old settings and says why, a right one is taken again", async (t) => {
  const [old, fresh] = [await Handler.start(t, "old"), await Handler.start(t, "new")];
  const { broker, file } = await startConfigured(t, { hubs: hubs(old.url) });
  const client = await openJson(t, broker, "chat");
  write(file, '{\n"hubs": {"chat": {"eventHandlers": [{"urlTemplate": "nowhere"}]}}}');
  await broker.reloaded(/settings not reloaded, the old ones stay: .*broker\.json:2: .*http/);
  assert.equal(await ask(client, "e", "1"), "old: 1");
  write(file, '{"hubs": ');
  broker.signal("SIGHUP");
  await broker.reloaded(/not reloaded.*broker\.json:1: /);
  unlinkSync(file);
  broker.signal("SIGHUP");
  await broker.reloaded(/not reloaded.*broker\.json: No such file/);
  assert.equal(await ask(client, "e", "2"), "old: 2");
  write(file, { hubs: hubs(fresh.url) });
  await broker.reloaded(/changed: hubs\.chat\.eventHandlers/);
  assert.equal(await ask(client, "e", "3"), "new: 3");
});

test("what was refused for a file that it names is a change once that is there", async (t) => {
  const [old, fresh] = [await Handler.start(t, "old"), await Handler.start(t, "new")];
  const { broker, file } = await startConfigured(t, { hubs: hubs(old.url) });
  const { caFile } = makeCertificates(t);
  const named = path.join(path.dirname(file), "issuers.pem");
  write(file, { caFile: named, hubs: hubs(fresh.url) });
  await broker.reloaded(/not reloaded.*issuers\.pem/);
  copyFileSync(caFile, named);
  broker.signal("SIGHUP");
  await broker.reloaded(/changed: .*hubs\.chat\.eventHandlers/);
  const client = await openJson(t, broker, "chat");
  assert.equal(await ask(client, "e", "1"), "new: 1");
});

test("access keys, the policy for anonymous clients, metrics and the log level change", async (t) => {
  const [handler, key] = [await Handler.start(t, "h"), "k".repeat(40)];
  const { broker, file } = await startConfigured(t, { accessKeys: [defaultKey], hubs: hubs(handler.url) });
  const stays = await openJson(t, broker, "chat");
  assert.equal(await ask(stays, "e", "1"), "h: 1");
  const oldUrl = await accessUrl(broker, "chat");
  const anonymous = `${broker.url.replace("http", "ws")}/client/hubs/chat`;
  assert.equal(await refusedStatus(anonymous, jsonProtocol), 401);

  const open = { chat: { ...hubs(handler.url).chat, anonymousConnectPolicy: "allow", webSocketKeepAliveIntervalInSeconds: 1 } };
  write(file, { accessKeys: [key], hubs: open, metrics: false, logLevel: "debug" });
  const line = await broker.reloaded();
  for (const what of ["accessKeys", "hubs.chat.anonymousConnectPolicy (new)", "metrics (new)", "logLevel (new)"]) {
    assert.ok(line.includes(what), `${what} in ${line}`);
  }
  assert.ok(!line.includes(key));
  assert.equal(await refusedStatus(oldUrl, jsonProtocol), 401);
  const stranger = await openSocket(t, anonymous, jsonProtocol);
  assert.equal((await stranger.nextJson()).event, "connected");
  await once(stranger.ws, "ping", { signal: AbortSignal.timeout(patience) }); // new connections get the new interval
  assert.equal((await fetch(`${broker.url}/metrics`)).status, 404);
  const renewed = { ...broker, connectionString: `Endpoint=${broker.url};AccessKey=${key};Version=1.0;` };
  await serviceClient(renewed, "chat").sendToAll("still there", { contentType: "text/plain" });
  assert.equal((await stays.nextJson()).data, "still there");
  // Who stayed is signed for by the new key.
  const before = (await handler.requests.next()).signature;
  assert.equal(await ask(stays, "e", "2"), "h: 2");
  assert.notEqual((await handler.requests.next()).signature, before);
});

test("listen and threads need a restart, and the log says so", async (t) => {
  const { broker, file } = await startConfigured(t, {});
  write(file, { listen: "0.0.0.0:1", threads: 9 });
  await broker.reloaded(/listen \(new, needs a restart\), threads \(new, needs a restart\)/);
  assert.equal((await fetch(`${broker.url}/api/health`)).status, 200);
});

test("plugins of the command line stay loaded, with new keys too", async (t) => {
  const { broker, file } = await startConfigured(t, {}, { handlers: { chat: "echo" } });
  const client = await openJson(t, broker, "chat");
  assert.equal(await ask(client, "e", "1"), "1");
  const key = "k".repeat(40);
  write(file, { accessKeys: [key], hubs: { other: {} } });
  await broker.reloaded();
  assert.equal(await ask(client, "e", "2"), "2");
  const renewed = { ...broker, connectionString: `Endpoint=${broker.url};AccessKey=${key};Version=1.0;` };
  const later = await openJson(t, renewed, "chat");
  assert.equal(await ask(later, "e", "3"), "3");
});

test("hubs come and go while clients connect and send", async (t) => {
  const [a, b] = [await Handler.start(t, "a"), await Handler.start(t, "b")];
  const { broker, file } = await startConfigured(t, { hubs: hubs(a.url) });
  let over = false;
  const answers = new Inbox("answers");
  const busy = Array.from({ length: 8 }, async () => {
    for (let n = 0; !over; n++) {
      const client = await openJson(t, broker, "chat");
      for (let i = 0; i < 5; i++) {
        assert.match(await ask(client, "e", `${n}`), /^[ab]: /);
        answers.put(n);
      }
      await client.close();
    }
  });
  for (let n = 1; n <= 20; n++) {
    const others = Object.fromEntries(Array.from({ length: n * 3 }, (_, i) => [`hub${i}`, {}]));
    write(file, { hubs: { ...others, ...hubs(n % 2 ? b.url : a.url) } });
    broker.signal("SIGHUP");
    await answers.take(10);
    await broker.logged(new RegExp(`reloaded.*: ${n * 3 + 1} hubs;`));
  }
  over = true;
  await Promise.all(busy);
  const metrics = await metricsOf(broker);
  assert.equal(metrics.get("pubhook_events_total", { event: "user", outcome: "failed" }), 0);
});

test("without a configuration file SIGHUP ends it, as it ends any program", async (t) => {
  const broker = await startBroker(t);
  broker.signal("SIGHUP");
  await broker.exited;
  broker.abandon();
});
