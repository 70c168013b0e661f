// One suite of events over every way to reach an event handler: in process, HTTP,
// FastCGI behind nginx, CGI under lighttpd, and the official Express middleware in
// place of ours. The same client does the same things and must see the same.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  accessUrl, allRoles, jsonProtocol, openJson, openSocket, refusedStatus, reliableProtocol, serviceClient,
} from "./lib/clients.mjs";
import { Scope } from "./lib/cleanup.mjs";
import { startExpressWitness } from "./lib/express.mjs";
import { temporaryFolder, testPlugin } from "./lib/paths.mjs";
import { startBroker, startHandler } from "./lib/pubhook.mjs";
import { FileRecords } from "./lib/records.mjs";
import { startLighttpdCgi, startNginxFastcgi } from "./lib/webservers.mjs";

const hub = "chat";

function witness(scope) {
  const folder = temporaryFolder(scope);
  const records = new FileRecords(scope, `${folder}/events`);
  return { folder, records, plugin: `${testPlugin("witness")}?record=${records.file}` };
}

// Each starts a handler and a broker that sends its events there.
const transports = {
  "in process": async (scope) => {
    const { plugin, records } = witness(scope);
    return { broker: await startBroker(scope, { handlers: { [hub]: plugin } }), records };
  },
  "HTTP": async (scope) => {
    const { plugin, records } = witness(scope);
    const { url } = await startHandler(scope, plugin);
    return { broker: await startBroker(scope, { upstreams: { [hub]: url } }), records };
  },
  "nginx and FastCGI": async (scope) => {
    const { plugin, records, folder } = witness(scope);
    const socket = `${folder}/pubhook.sock`;
    await startHandler(scope, plugin, { fastcgi: socket });
    const { url } = await startNginxFastcgi(scope, socket);
    return { broker: await startBroker(scope, { upstreams: { [hub]: url } }), records };
  },
  "lighttpd and CGI": async (scope) => {
    const { plugin, records } = witness(scope);
    const { url } = await startLighttpdCgi(scope, plugin);
    return { broker: await startBroker(scope, { upstreams: { [hub]: url } }), records };
  },
  "Express middleware": async (scope) => {
    const { url, records } = await startExpressWitness(scope, hub);
    return { broker: await startBroker(scope, { upstreams: { [hub]: url } }), records };
  },
};

for (const [name, start] of Object.entries(transports)) {
  describe(name, () => {
    const scope = new Scope(after);
    const at = {};
    before(async () => Object.assign(at, await start(scope)));
    connectTests(at);
    messageTests(at, name);
    lifecycleTests(at);
  });
}

// Query of the client's URL that tells the witness what to do.
async function urlWith(broker, query, tokenOptions) {
  const url = new URL(await accessUrl(broker, hub, tokenOptions));
  for (const [key, value] of query) url.searchParams.append(key, value);
  return url.href;
}

async function open(t, { broker }, query, protocol = jsonProtocol, tokenOptions = {}) {
  const socket = await openSocket(t, await urlWith(broker, query, tokenOptions), protocol);
  socket.welcome = await socket.nextJson();
  return socket;
}

// Sends an event and returns the answer's message (undefined for none) and the ack.
let ackIds = 0;
async function event(socket, name, dataType, data) {
  const ackId = ++ackIds;
  socket.sendJson({ type: "event", event: name, dataType, data, ackId });
  const first = await socket.nextJson();
  if (first.type === "ack") return { ack: first };
  const ack = await socket.nextJson();
  assert.deepEqual([ack.type, ack.ackId], ["ack", ackId]);
  return { message: first, ack };
}

const answered = { type: "message", from: "server" };

function connectTests(at) {
  test("accepted as the token says", async (t) => {
    const socket = await openJson(t, at.broker, hub, { userId: "ann", roles: allRoles, groups: ["g"] });
    assert.equal(socket.welcome.userId, "ann");
    const { connectionId } = socket.welcome;
    const { userId, event: name } = await at.records.kind("connect", connectionId);
    assert.deepEqual([userId, name], ["ann", "connect"]);
    await at.records.kind("connected", connectionId);
    await serviceClient(at.broker, hub).group("g").sendToAll("hi", { contentType: "text/plain" });
    assert.equal((await socket.nextJson()).data, "hi");
  });

  test("user id, groups, roles and state by the handler", async (t) => {
    const state = Buffer.from(JSON.stringify({ colour: "red" })).toString("base64");
    const query = [["userId", "eve"], ["joins", "a"], ["joins", "b"], ["role", "webpubsub.sendToGroup.b"], ["state", state]];
    const socket = await open(t, at, query, jsonProtocol, { userId: "ann", roles: allRoles, groups: ["c"] });
    assert.equal(socket.welcome.userId, "eve");
    const { message } = await event(socket, "whoami", "text", "?");
    const { userId, state: seen, hub: seenHub, connectionId } = message.data;
    assert.deepEqual([userId, seen, seenHub, connectionId], ["eve", state, hub, socket.welcome.connectionId]);
    socket.sendJson({ type: "sendToGroup", group: "b", dataType: "text", data: "to b", noEcho: true, ackId: 1001 });
    assert.deepEqual(await socket.nextJson(), { type: "ack", ackId: 1001, success: true });
    socket.sendJson({ type: "joinGroup", group: "c", ackId: 1002 });
    assert.equal((await socket.nextJson()).error.name, "Forbidden", "the handler's roles replace the token's");
    const service = serviceClient(at.broker, hub);
    for (const group of ["c", "a", "b"]) await service.group(group).sendToAll(`to ${group}`, { contentType: "text/plain" });
    assert.deepEqual([(await socket.nextJson()).data, (await socket.nextJson()).data], ["to a", "to b"]);
  });

  test("a subprotocol of the application's own", async (t) => {
    const url = await urlWith(at.broker, [["subprotocol", "game.v2"]], {});
    const socket = await openSocket(t, url, ["game.v1", "game.v2"]);
    assert.equal(socket.protocol, "game.v2");
    socket.send("move");
    assert.equal(await socket.inbox.next(), "move");
  });

  test("one of several subprotocols of the service", async (t) => {
    const socket = await open(t, at, [["subprotocol", jsonProtocol]], [reliableProtocol, jsonProtocol]);
    assert.equal(socket.protocol, jsonProtocol);
    assert.equal(socket.welcome.reconnectionToken, undefined);
  });

  for (const status of [400, 401, 403]) {
    test(`refused with ${status}`, async () => {
      const url = await urlWith(at.broker, [["reject", status]], { userId: `refused-${status}` });
      assert.equal(await refusedStatus(url, jsonProtocol), status);
      const { connectionId } = await at.records.wait((e) => e.userId === `refused-${status}`, "the refused connect");
      assert.deepEqual(at.records.of(connectionId).map((e) => e.kind), ["connect"], "nothing follows a refusal");
    });
  }
}

function messageTests(at, name) {
  const official = name === "Express middleware";

  test("a raw client's frames come back with their type", async (t) => {
    const socket = await openSocket(t, await accessUrl(at.broker, hub));
    socket.send("hello Ω");
    assert.equal(await socket.inbox.next(), "hello Ω");
    const bytes = Buffer.from([0, 10, 13, 127, 128, 255]);
    socket.send(bytes);
    assert.deepEqual(await socket.inbox.next(), bytes);
  });

  test("text, JSON and binary events are answered, then acknowledged", async (t) => {
    const socket = await openJson(t, at.broker, hub);
    const text = await event(socket, "greet", "text", "grüß dich\r\n");
    assert.deepEqual(text.message, { ...answered, dataType: "text", data: "grüß dich\r\n" });
    assert.equal(text.ack.success, true);
    const json = await event(socket, "greet", "json", { a: [1, { b: null }], c: "ü" });
    assert.deepEqual(json.message, { ...answered, dataType: "json", data: { a: [1, { b: null }], c: "ü" } });
    const data = Buffer.from([0, 1, 254, 255]).toString("base64");
    const binary = await event(socket, "greet", "binary", data);
    assert.deepEqual(binary.message, { ...answered, dataType: "binary", data });
  });

  test("JSON arrives and returns byte for byte", { skip: official && "the middleware parses it" }, async (t) => {
    const socket = await openJson(t, at.broker, hub);
    const value = '{"n":12345678901234567890, "f":1.0,"e":"\\u00e9\\/" , "dup":1,"dup":2}';
    socket.send(`{"type":"event","event":"greet","dataType":"json","data":${value}}`);
    assert.equal(await socket.inbox.next(), `{"type":"message","from":"server","dataType":"json","data":${value}}`);
  });

  test("protobuf events", { skip: official && "the middleware does not know the type" }, async (t) => {
    const socket = await openJson(t, at.broker, hub);
    const data = Buffer.from("0a03612f62120178", "hex").toString("base64");
    const { message, ack } = await event(socket, "greet", "protobuf", data);
    assert.deepEqual(message, { ...answered, dataType: "protobuf", data });
    assert.equal(ack.success, true);
  });

  test("user ids in any script", { skip: official && "the middleware reads header bytes as Latin-1" }, async (t) => {
    const socket = await openJson(t, at.broker, hub, { userId: "клиент 用户" });
    const { message } = await event(socket, "whoami", "text", "?");
    assert.equal(message.data.userId, "клиент 用户");
  });

  test("a message of nearly a megabyte", async (t) => {
    const socket = await openJson(t, at.broker, hub);
    const data = "0123456789abcdef".repeat(62_000);
    const { message, ack } = await event(socket, "greet", "text", data);
    assert.equal(message.data, data);
    assert.equal(ack.success, true);
  });

  test("cookies that a handler sets come back with the next event of that connection", {
    skip: official && "the middleware sets no headers",
  }, async (t) => {
    const [one, two] = [await openJson(t, at.broker, hub), await openJson(t, at.broker, hub)];
    assert.deepEqual((await event(one, "cookies", "text", "a1")).message.data, { cookie: null });
    assert.deepEqual((await event(one, "cookies", "text", "b2")).message.data, { cookie: "node=a1; lang=en" });
    assert.deepEqual((await event(one, "cookies", "text", "c3")).message.data, { cookie: "node=b2; lang=en" });
    assert.deepEqual((await event(two, "cookies", "text", "d4")).message.data, { cookie: null }, "each connection its own");
  });

  test("JSON is read by path and written by a handler", { skip: official && "the handler is in C" }, async (t) => {
    const socket = await openJson(t, at.broker, hub);
    const { message } = await event(socket, "sum", "json", { factor: 2, rows: [{ n: 1, "ü": "\n" }, { n: 20 }, {}] });
    assert.deepEqual(message.data, { sum: 42, first: { n: 1, "ü": "\n" } });
  });

  test("state as large as it may be", { skip: official && "the handler is in C" }, async (t) => {
    const socket = await openJson(t, at.broker, hub);
    assert.equal((await event(socket, "remember", "text", "8000")).message.data, -1);
    assert.equal((await event(socket, "remember", "text", "0")).message.data, 8000);
    // lighttpd drops empty headers
    assert.equal((await event(socket, "remember", "text", "1")).message.data, name === "lighttpd and CGI" ? 8000 : 0);
  });

  test("state that was cleared is gone", { skip: official && "the middleware has no way to" }, async (t) => {
    const socket = await openJson(t, at.broker, hub);
    assert.deepEqual((await event(socket, "count", "text", "")).message.data, { count: 1 });
    assert.deepEqual((await event(socket, "count", "text", "")).message.data, { count: 2 });
    assert.equal((await event(socket, "forget", "text", "")).ack.success, true);
    assert.deepEqual((await event(socket, "count", "text", "")).message.data, { count: 1 });
  });

  test("the connection's state counts its messages, each connection its own", async (t) => {
    const [one, two] = [await openJson(t, at.broker, hub), await openJson(t, at.broker, hub)];
    for (const expected of [1, 2, 3]) {
      assert.deepEqual((await event(one, "count", "text", "x")).message.data, { count: expected });
    }
    assert.deepEqual((await event(two, "count", "text", "x")).message.data, { count: 1 });
    assert.deepEqual((await event(one, "count", "text", "x")).message.data, { count: 4 });
  });

  test("no answer is no message, only the ack", async (t) => {
    const socket = await openJson(t, at.broker, hub);
    const { message, ack } = await event(socket, "quiet", "text", "x");
    assert.deepEqual([message, ack.success], [undefined, true]);
  });

  test("a refused event fails its ack and keeps the client", async (t) => {
    const socket = await openJson(t, at.broker, hub);
    const { message, ack } = await event(socket, "refuse", "text", "x");
    assert.deepEqual([message, ack.success, ack.error.name], [undefined, false, "InternalServerError"]);
    assert.equal((await event(socket, "greet", "text", "still here")).message.data, "still here");
  });

  test("twenty clients at once, each in its own order", async (t) => {
    const sockets = await Promise.all([...Array(20)].map(() => openJson(t, at.broker, hub)));
    await Promise.all(
      sockets.map(async (socket, client) => {
        for (let n = 0; n < 10; n++) socket.sendJson({ type: "event", event: "greet", dataType: "json", data: [client, n] });
        const got = (await socket.inbox.take(10)).map((frame) => JSON.parse(frame).data);
        assert.deepEqual(got, [...Array(10).keys()].map((n) => [client, n]));
      }),
    );
  });
}

function lifecycleTests(at) {
  test("connect, connected, events, disconnected: once each, with the client's reason", async (t) => {
    const socket = await openJson(t, at.broker, hub, { userId: "ann" });
    const { connectionId } = socket.welcome;
    await at.records.kind("connected", connectionId);
    await event(socket, "greet", "text", "hello");
    socket.ws.close(1000, "bye");
    const last = await at.records.kind("disconnected", connectionId);
    assert.equal(last.reason, "bye");
    assert.deepEqual(at.records.of(connectionId).map((e) => [e.kind, e.event, e.userId]), [
      ["connect", "connect", "ann"],
      ["connected", "connected", "ann"],
      ["user", "greet", "ann"],
      ["disconnected", "disconnected", "ann"],
    ]);
  });

  test("a client that cannot come back has ended with any code, for its own reason", async (t) => {
    const socket = await openJson(t, at.broker, hub);
    socket.ws.close(4000, "off to lunch");
    const { reason } = await at.records.kind("disconnected", socket.welcome.connectionId);
    assert.equal(reason, "off to lunch");
  });

  test("closed by the service: the reason says so", async (t) => {
    const socket = await openJson(t, at.broker, hub);
    await serviceClient(at.broker, hub).closeConnection(socket.welcome.connectionId, { reason: "time to go" });
    const { reason } = await at.records.kind("disconnected", socket.welcome.connectionId);
    assert.equal(reason, "Application server closed the connection. Reason: time to go");
  });

  test("a connection that breaks is disconnected too", async (t) => {
    const socket = await openJson(t, at.broker, hub);
    socket.cut();
    await at.records.kind("disconnected", socket.welcome.connectionId);
  });
}

// A handler in C cannot set what later events could not carry: its answer fails, and says why.
describe("state outside ASCII keeps the client out", { concurrency: true }, () => {
  async function isRefused(broker, handler) {
    assert.equal(await refusedStatus(await urlWith(broker, [["state", "café"]]), jsonProtocol), 500);
    await handler.logged(/the reply is incomplete: connection state must be ASCII/);
  }

  test("in process", async (t) => {
    const { broker } = await transports["in process"](t);
    await isRefused(broker, broker);
  });

  test("HTTP", async (t) => {
    const handler = await startHandler(t, witness(t).plugin);
    await isRefused(await startBroker(t, { upstreams: { [hub]: handler.url } }), handler);
  });
});
