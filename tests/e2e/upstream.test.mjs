// What the broker does for event handlers beyond sending events: which of several gets
// which, group presence, tokens, private issuers, HTTP/2, and keeping one that is slow or
// down from the others.

import assert from "node:assert/strict";
import { renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { accessUrl, allRoles, openJson, openSocket, refusedStatus, serviceClient } from "./lib/clients.mjs";
import { makeCertificates, startEventServer, text } from "./lib/eventserver.mjs";
import { startExpressWitness } from "./lib/express.mjs";
import { metricsThat } from "./lib/metrics.mjs";
import { freePort } from "./lib/net.mjs";
import { program, temporaryFolder, testPlugin } from "./lib/paths.mjs";
import { start } from "./lib/program.mjs";
import { startBroker, startHandler } from "./lib/pubhook.mjs";
import { FileRecords } from "./lib/records.mjs";

const system = ["connect", "connected", "disconnected"];
const presence = { eventNames: ["joined", "left"] };

function writeSettings(t, settings) {
  const file = path.join(temporaryFolder(t), "broker.json");
  writeFileSync(file, JSON.stringify(settings, null, 1));
  return file;
}

const startConfigured = (t, settings, options = {}) =>
  startBroker(t, { ...options, args: ["--config", writeSettings(t, settings), ...(options.args ?? [])] });

const oneHandler = (handler, hub = {}) => ({ hubs: { chat: { eventHandlers: [{ userEventPattern: "*", ...handler }], ...hub } } });

// Sends a user event and resolves to its ack, with the answer's data as `answer`.
async function say(client, event, data, ackId) {
  client.sendJson({ type: "event", event, dataType: "text", data, ackId });
  let answer;
  for (;;) {
    const frame = await client.nextJson();
    if (frame.type === "ack") return { ...frame, answer };
    answer = frame.data;
  }
}

describe("several handlers of a hub", { concurrency: true }, () => {
  test("the first that matches gets the event, at the URL of its template", async (t) => {
    const server = await startEventServer(t, ({ event, url }) => (event === "connect" ? { status: 204 } : text(url)));
    const row = (name, more) => ({ urlTemplate: `${server.url}/${name}/{hub}/{event}?code=1`, ...more });
    const broker = await startConfigured(t, {
      hubs: {
        "a[b]": {
          eventHandlers: [
            row("orders", { userEventPattern: "order.*, v?" }),
            row("system", { systemEvents: system }),
            row("deep", { userEventPattern: "order.**" }),
            row("rest", { userEventPattern: "*", systemEvents: ["connected"] }),
          ],
        },
      },
    });
    const client = await openJson(t, broker, "a[b]");
    const routes = { "order.created": "orders", V1: "orders", "order.line.created": "deep", v10: "rest", "x.y.z": "rest" };
    let ackId = 0;
    for (const [event, name] of Object.entries(routes)) {
      const { answer } = await say(client, event, "x", ++ackId);
      assert.equal(answer, `/${name}/a%5Bb%5D/${event}?code=1`);
    }
    const connected = await server.records.wait((e) => e.event === "connected", "connected");
    assert.equal(connected.url, "/system/a%5Bb%5D/connected?code=1");
  });

  test("a pattern that is none is refused with file and line", async (t) => {
    const file = writeSettings(t, oneHandler({ urlTemplate: "http://h/", userEventPattern: "a/b" }));
    const broker = start(t, program("pubhook-broker"), ["--config", file], { goodStatus: 2 });
    await broker.ended();
    assert.match(broker.log, new RegExp(`${file}:\\d+: userEventPattern must be .*"a/b" is no event name`));
  });
});

describe("group presence", { concurrency: true }, () => {
  // A client that comes with a group, joins and leaves others, is moved by REST, and goes.
  async function wander(t, broker, records) {
    const client = await openJson(t, broker, "chat", { userId: "ann", roles: allRoles, groups: ["chat-0", "lobby"] });
    const id = client.welcome.connectionId;
    const service = serviceClient(broker, "chat");
    const join = async (type, group, ackId) => {
      client.sendJson({ type, group, ackId });
      assert.equal((await client.nextJson()).success, true);
    };
    await join("joinGroup", "chat-1", 1);
    await join("leaveGroup", "chat-1", 2);
    await join("joinGroup", "other", 3);
    await service.group("chat-rest").addConnection(id);
    await client.close();
    await records.kind("disconnected", id);
    const seen = records.of(id).map(({ kind, group }) => (group ? `${kind} ${group}` : kind));
    assert.deepEqual(seen.slice(0, -3), ["connected", "joined chat-0", "joined chat-1", "left chat-1", "joined chat-rest"]);
    assert.deepEqual(seen.slice(-3, -1).sort(), ["left chat-0", "left chat-rest"]);
    assert.equal(seen.at(-1), "disconnected");
  }

  const settings = (url) => ({
    hubs: {
      chat: {
        eventHandlers: [
          { urlTemplate: url, systemEvents: ["connected", "disconnected"], groupPresenceEvents: { ...presence, groupFilters: ["chat-*"] } },
        ],
      },
    },
  });

  test("our framework receives what our broker sends", async (t) => {
    const records = new FileRecords(t, `${temporaryFolder(t)}/events`);
    const handler = await startHandler(t, `${testPlugin("witness")}?record=${records.file}`);
    await wander(t, await startConfigured(t, settings(handler.url)), records);
  });

  test("so does the official middleware", async (t) => {
    const { url, records } = await startExpressWitness(t, "chat");
    await wander(t, await startConfigured(t, settings(url)), records);
  });

  test("a handler that asks while the broker runs hears of clients that are there", async (t) => {
    const server = await startEventServer(t);
    const file = writeSettings(t, oneHandler({ urlTemplate: server.url }));
    const broker = await startBroker(t, { args: ["--config", file] });
    const client = await openJson(t, broker, "chat", { groups: ["one"], roles: allRoles });
    writeFileSync(file, JSON.stringify(oneHandler({ urlTemplate: server.url, groupPresenceEvents: presence })));
    await broker.logged(/settings reloaded/);
    client.sendJson({ type: "joinGroup", group: "two", ackId: 1 });
    assert.equal((await client.nextJson()).success, true);
    const joined = await server.records.wait((e) => e.event === "joined", "joined");
    assert.deepEqual([joined.type, joined.body], ["azure.webpubsub.gp.joined", '{"group":"two"}']);
    await client.close();
    const groups = () => server.records.events.filter((e) => e.event === "left").map((e) => JSON.parse(e.body).group);
    await server.records.wait(() => groups().length === 2, "left, twice");
    assert.deepEqual(groups().sort(), ["one", "two"]);
  });

  test("nobody is told who did not ask", async (t) => {
    const server = await startEventServer(t);
    const broker = await startConfigured(t, oneHandler({ urlTemplate: server.url, systemEvents: system }));
    const client = await openJson(t, broker, "chat", { groups: ["g"] });
    await client.close();
    await server.records.wait((e) => e.event === "disconnected", "disconnected");
    assert.deepEqual(server.records.events.filter((e) => !e.validation).map((e) => e.event), system);
  });
});

describe("tokens for handlers", { concurrency: true }, () => {
  test("from a file, also a new one", async (t) => {
    const server = await startEventServer(t, ({ authorization }) => text(authorization));
    const file = path.join(temporaryFolder(t), "token");
    const put = (token) => {
      writeFileSync(`${file}.new`, `${token}\n`);
      renameSync(`${file}.new`, file);
    };
    put("first-secret");
    const broker = await startConfigured(t, oneHandler({ urlTemplate: server.url, auth: { type: "BearerFile", file } }));
    const client = await openJson(t, broker, "chat");
    assert.equal((await say(client, "e", "x", 1)).answer, "Bearer first-secret");
    assert.equal(server.records.events[0].validation, true);
    assert.equal(server.records.events[0].authorization, undefined, "the validation has no token");
    put("second-secret");
    for (let n = 2; ; n++) {
      const { answer } = await say(client, "e", "x", n);
      if (answer === "Bearer second-secret") break;
      assert.equal(answer, "Bearer first-secret");
    }
    assert.doesNotMatch(broker.log, /-secret/);
  });

  test("from a command, again after a 401; the event is sent once more", async (t) => {
    const count = path.join(temporaryFolder(t), "count");
    const server = await startEventServer(t, ({ authorization }) => (authorization === "Bearer run2" ? text("in") : { status: 401 }));
    const command = ["sh", "-c", `echo x >>${count}; echo run$(wc -l <${count})`];
    const broker = await startConfigured(t, oneHandler({ urlTemplate: server.url, auth: { type: "BearerCommand", command } }));
    const client = await openJson(t, broker, "chat");
    // A command runs every five seconds at the most, so the first event may come too early.
    let ack;
    for (let n = 1; !ack?.success; n++) ack = await say(client, "e", "x", n);
    assert.equal(ack.answer, "in");
  });

  test("without one, events fail and the log says why", async (t) => {
    const server = await startEventServer(t);
    const command = ["sh", "-c", "echo 'no such tenant' >&2; exit 3"];
    const broker = await startConfigured(t, oneHandler({ urlTemplate: server.url, auth: { type: "BearerCommand", command } }));
    const client = await openJson(t, broker, "chat");
    const { success, error } = await say(client, "e", "x", 1);
    assert.deepEqual([success, error.name], [false, "InternalServerError"]);
    await broker.logged(/user event failed: .*there is no token yet: sh ended with status 3: no such tenant/);
    assert.deepEqual(server.records.events.filter((e) => !e.validation), []);
  });
});

describe("handlers over TLS", { concurrency: true }, () => {
  test("a private issuer is trusted when it is named, and only then", async (t) => {
    const tls = makeCertificates(t);
    const server = await startEventServer(t, () => text("hello"), { tls });
    const urlTemplate = server.url;
    const stranger = await startConfigured(t, oneHandler({ urlTemplate, systemEvents: ["connect"] }));
    assert.equal(await refusedStatus(await accessUrl(stranger, "chat")), 500);
    await stranger.logged(/certificate.*give the issuer's certificate as the caFile of the handler/);
    for (const settings of [oneHandler({ urlTemplate, caFile: tls.caFile }), { ...oneHandler({ urlTemplate }), caFile: tls.caFile }]) {
      const client = await openJson(t, await startConfigured(t, settings), "chat");
      assert.equal((await say(client, "e", "x", 1)).answer, "hello");
    }
  });

  test("a caFile that is missing, or none, is said at the start", async (t) => {
    const empty = path.join(temporaryFolder(t), "empty.pem");
    writeFileSync(empty, "nothing");
    for (const [caFile, why] of [["/nowhere/ca.pem", "cannot be read: No such file"], [empty, "holds no certificate in PEM"]]) {
      const file = writeSettings(t, oneHandler({ urlTemplate: "https://localhost/", caFile }));
      const broker = start(t, program("pubhook-broker"), ["--listen", "127.0.0.1:0", "--config", file], { goodStatus: 1 });
      await broker.ended();
      assert.match(broker.log, new RegExp(`caFile "${caFile}" of an event handler of hub chat ${why}`));
    }
  });

  test("a caFile that is missing does not replace settings that work", async (t) => {
    const server = await startEventServer(t, () => text("hello"));
    const file = writeSettings(t, oneHandler({ urlTemplate: server.url }));
    const broker = await startBroker(t, { args: ["--config", file] });
    const client = await openJson(t, broker, "chat");
    writeFileSync(file, JSON.stringify(oneHandler({ urlTemplate: "https://localhost/", caFile: "/nowhere/ca.pem" })));
    await broker.logged(/settings not reloaded, the old ones stay: caFile "\/nowhere\/ca.pem"/);
    assert.equal((await say(client, "e", "x", 1)).answer, "hello");
  });

  // Many clients at once, each with an event, over few connections.
  async function many(t, settings) {
    const broker = await startConfigured(t, settings, { threads: 1 });
    const clients = await Promise.all(Array.from({ length: 20 }, () => openJson(t, broker, "chat")));
    await say(clients[0], "e", "first", 1);
    for (let round = 2; round < 5; round++) {
      await Promise.all(clients.map(async (client) => assert.equal((await say(client, "e", "x", round)).success, true)));
    }
  }

  test("HTTP/2 is used where it is offered, on one connection", async (t) => {
    const tls = makeCertificates(t);
    const server = await startEventServer(t, () => text("hello"), { tls, h2: true });
    await many(t, oneHandler({ urlTemplate: server.url, caFile: tls.caFile }));
    const versions = new Set(server.records.events.filter((e) => !e.validation).map((e) => e.httpVersion));
    assert.deepEqual([...versions], ["2.0"]);
    assert.equal(server.sessions, 1);
  });

  test("connections of HTTP/1.1 are used again", async (t) => {
    const tls = makeCertificates(t);
    const server = await startEventServer(t, () => text("hello"), { tls });
    await many(t, oneHandler({ urlTemplate: server.url, caFile: tls.caFile }));
    assert.ok(server.sockets <= 21, `${server.sockets} connections for 61 events`);
  });
});

describe("a handler that is slow or down", { concurrency: true }, () => {
  test("one that hangs holds up no other hub, and no other handler of the hub", async (t) => {
    const slow = await startEventServer(t, () => "hang");
    const quick = await startEventServer(t, () => text("here"));
    const broker = await startConfigured(t, {
      hubs: {
        slow: { eventHandlers: [{ urlTemplate: quick.url, userEventPattern: "quick" }, { urlTemplate: slow.url, userEventPattern: "*", maxConcurrentRequests: 16 }] },
        quick: { eventHandlers: [{ urlTemplate: quick.url, userEventPattern: "*" }] },
      },
    }, { threads: 1 });
    const service = serviceClient(broker, "slow");
    const waiting = await Promise.all(Array.from({ length: 200 }, () => openJson(t, broker, "slow", { groups: ["g"] })));
    waiting.forEach((client) => client.sendJson({ type: "event", event: "e", dataType: "text", data: "x", ackId: 1 }));
    // As many as one handler may be asked at a time; more never come.
    await slow.records.wait(() => slow.records.events.filter((e) => !e.validation).length === 16, "16 events");
    const [client, neighbour] = [await openJson(t, broker, "quick"), await openJson(t, broker, "slow")];
    for (let n = 1; n <= 50; n++) {
      assert.equal((await say(client, "e", "x", n)).answer, "here");
      assert.equal((await say(neighbour, "quick", "x", n)).answer, "here");
    }
    await service.group("g").sendToAll("meanwhile", { contentType: "text/plain" });
    assert.equal((await waiting[0].nextJson()).data, "meanwhile");
    assert.equal(slow.hanging, 16);
  });

  test("a plugin that blocks leaves threads to the others", async (t) => {
    const broker = await startBroker(t, { handlers: { slow: testPlugin("endless"), quick: "echo" } });
    const waiting = await Promise.all(Array.from({ length: 80 }, () => openJson(t, broker, "slow")));
    waiting.forEach((client) => client.sendJson({ type: "event", event: "e", dataType: "text", data: "x", ackId: 1 }));
    const client = await openJson(t, broker, "quick");
    for (let n = 1; n <= 50; n++) assert.equal((await say(client, "e", `${n}`, n)).answer, `${n}`);
  });

  test("one that is down is left alone, is tried again by itself, and hears who has gone", async (t) => {
    const port = await freePort();
    let server = await startEventServer(t, undefined, { port });
    const broker = await startConfigured(t, oneHandler({
      urlTemplate: server.url, systemEvents: ["disconnected"], circuitBreaker: { failures: 1, maxWaitSeconds: 1 },
    }), { threads: 1 });
    const [client, leaver] = [await openJson(t, broker, "chat"), await openJson(t, broker, "chat")];
    const raw = await openSocket(t, await accessUrl(broker, "chat"));
    assert.equal((await say(client, "e", "x", 1)).success, true);
    await server.stop();
    assert.equal((await say(client, "e", "x", 2)).success, false); // after all of its tries
    await broker.logged(/failed 1 times in a row, the last one: .*From now on connects and user events for it fail at once/);
    await leaver.close();
    for (let n = 3; n < 10; n++) assert.equal((await say(client, "e", "x", n)).success, false);
    await broker.logged(/is left alone after \d+ failures in a row/);
    raw.send("anybody?");
    assert.equal((await raw.closed).code, 1011);
    server = await startEventServer(t, undefined, { port });
    await server.records.wait((e) => e.event === "disconnected" && e.connectionId === leaver.welcome.connectionId, "disconnected");
    await broker.logged(/answers again after \d+ s; \d+ events failed meanwhile/);
    assert.equal((await say(client, "e", "x", 10)).success, true);
  });
});

describe("a handler that is down, and several threads", { concurrency: true }, () => {
  test("the log hears once that it is left alone, and once that it answers again", async (t) => {
    const port = await freePort();
    let server = await startEventServer(t, undefined, { port });
    const broker = await startConfigured(t, oneHandler({
      urlTemplate: server.url, circuitBreaker: { failures: 1, maxWaitSeconds: 1 },
    }), { threads: 3 });
    const clients = await Promise.all(Array.from({ length: 16 }, () => openJson(t, broker, "chat")));
    const sayAll = (n) => Promise.all(clients.map((client) => say(client, "e", "x", n)));
    assert.ok((await sayAll(1)).every(({ success }) => success));
    await server.stop();
    assert.ok((await sayAll(2)).every(({ success }) => !success)); // after all of their tries
    await metricsThat(broker, (metrics) => assert.equal(metrics.get("pubhook_handlers_left_alone"), 1));
    server = await startEventServer(t, undefined, { port });
    for (const client of clients) {
      for (let n = 3; !(await say(client, "e", "x", n)).success; n++) await delay(100); // until its thread has asked again
    }
    await metricsThat(broker, (metrics) => assert.equal(metrics.get("pubhook_handlers_left_alone"), 0));
    await broker.stopOnce(); // and says no more
    assert.equal(broker.log.match(/failed 1 times in a row/g).length, 1);
    assert.equal(broker.log.match(/answers again after \d+ s; /g).length, 1);
  });
});

describe("where sources on the service disagree", { concurrency: true }, () => {
  const refusing = (t) => startEventServer(t, ({ event }) => (event === "connect" ? { status: 204 } : { status: 400 }));

  test("a failed event: ack or close, with the names and codes that are asked for", async (t) => {
    const server = await refusing(t);
    const open = async (compatibility) => {
      const broker = await startConfigured(t, oneHandler({ urlTemplate: server.url }, { compatibility }));
      return [await openJson(t, broker, "chat"), await openSocket(t, await accessUrl(broker, "chat"))];
    };
    const event = { type: "event", event: "e", dataType: "text", data: "x" };
    let [client, raw] = await open({});
    client.sendJson(event);
    assert.equal((await say(client, "e", "x", 1)).error.name, "InternalServerError");
    raw.send("x");
    assert.equal((await raw.closed).code, 1011);
    [client, raw] = await open({ failedEventAckError: "InvocationFailed", failedEventWithoutAckId: "close", failedRawEventCloseCode: 1000 });
    assert.equal((await say(client, "e", "x", 1)).error.name, "InvocationFailed");
    client.sendJson(event);
    assert.equal((await client.nextJson()).event, "disconnected");
    assert.equal((await client.closed).code, 1011);
    raw.send("x");
    assert.deepEqual(await raw.closed, { code: 1000, reason: "" });
    [client] = await open({ failedEventWithAckId: "close" });
    assert.equal((await say(client, "e", "x", 1)).success, false);
    assert.equal((await client.closed).code, 1011);
  });

  test("what a handler is told: access_token, ce-source, charset", async (t) => {
    const server = await startEventServer(t);
    const told = async (compatibility) => {
      const from = server.records.events.length;
      const broker = await startConfigured(t, oneHandler({ urlTemplate: server.url, systemEvents: ["connect"] }, { compatibility }));
      const client = await openJson(t, broker, "chat");
      await say(client, "e", "x", 1);
      const [connect, event] = server.records.events.slice(from).filter((e) => !e.validation);
      const [source, id] = [event.headers["ce-source"], client.welcome.connectionId];
      const query = JSON.parse(connect.body).query;
      return { token: "access_token" in query, source: source.replace(id, "ID"), types: [connect, event].map((e) => e.headers["content-type"]) };
    };
    assert.deepEqual(await told({}), { token: false, source: "/hubs/chat/client/ID", types: ["application/json", "text/plain"] });
    assert.deepEqual(await told({ accessTokenInConnectQuery: true, shortEventSource: true, charsetInContentType: true }), {
      token: true, source: "/client/ID", types: ["application/json; charset=utf-8", "text/plain; charset=utf-8"],
    });
  });

  test("a client without user id is let in or not", async (t) => {
    for (const [userIdRequired, status] of [[false, 101], [true, 401]]) {
      const broker = await startConfigured(t, { hubs: { chat: { compatibility: { userIdRequired }, anonymousConnectPolicy: "allow" } } });
      assert.equal(await refusedStatus(await accessUrl(broker, "chat")), status);
      assert.equal(await refusedStatus(`ws://${broker.host}/client/hubs/chat`), status);
      assert.equal(await refusedStatus(await accessUrl(broker, "chat", { userId: "ann" })), 101);
    }
  });
});
