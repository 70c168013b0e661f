// What the log tells an operator: one line for each refusal, who, why and what to change;
// once what each thread finds out; and no flood.

import assert from "node:assert/strict";
import { test } from "node:test";
import { accessUrl, openJson, openSocket, refusedStatus, reliableProtocol, serviceClient } from "./lib/clients.mjs";
import { startEventServer } from "./lib/eventserver.mjs";
import { RawConnection } from "./lib/net.mjs";
import { startBroker, startHandler } from "./lib/pubhook.mjs";

const linesWith = (program, pattern) => program.log.split("\n").filter((line) => pattern.test(line));

test("the validation of a handler is told once, not by each thread", async (t) => {
  const handler = await startHandler(t, "echo");
  const broker = await startBroker(t, { threads: 4, upstreams: { chat: handler.url } });
  for (let i = 0; i < 24; i++) await openJson(t, broker, "chat");
  await handler.logged(/(validated for[^]*){2}/); // several threads asked
  await broker.logged(/is validated/);
  await broker.stopOnce(); // and says no more
  assert.equal(linesWith(broker, /is validated/).length, 1);
});

test("a refused call says from where, what and why, without its query", async (t) => {
  const broker = await startBroker(t);
  await fetch(`${broker.url}/api/hubs/chat/:send?api-version=2024-12-01&access_token=secret`, { method: "POST", body: "x" });
  await broker.logged(/REST call refused with 401: .*Authorization.* from=127\.0\.0\.1:\d+ call="POST \/api\/hubs\/chat\/:send"/);
  await fetch(`${broker.url}/somewhere?access_token=secret`);
  await broker.logged(/request refused with 404: nothing is here.* call="GET \/somewhere"/);
  assert.doesNotMatch(broker.log, /secret/);
});

test("a refused client: one line says from where, to what hub, who, why", async (t) => {
  const broker = await startBroker(t);
  const url = `${broker.url.replace("http", "ws")}/client/hubs/chat`;
  assert.equal(await refusedStatus(`${url}?access_token=geheim`), 401);
  await broker.logged(/warn +client refused with 401: .* from=127\.0\.0\.1:\d+ hub=chat/);
  assert.equal(await refusedStatus(`${await accessUrl(broker, "chat", { userId: "ann" })}&webpubsub_mode=dance`), 400);
  await broker.logged(/client refused with 400: .* from=127\.0\.0\.1:\d+ hub=chat user=ann/);
  assert.equal(linesWith(broker, /refused/).length, 2);
  assert.doesNotMatch(broker.log, /geheim/);
});

// Questions are answered with 404 too, and are no refusals.
test("calls that fail for what they name: one line each", async (t) => {
  const broker = await startBroker(t);
  const service = serviceClient(broker, "chat");
  assert.equal(await service.connectionExists("nobody"), false);
  assert.equal(await service.hasPermission("nobody", "sendToGroup", { targetName: "g" }), false);
  assert.equal(await service.userExists("nobody"), false);
  await assert.rejects(service.group("g").addConnection("nobody"), { statusCode: 404 });
  await broker.logged(/REST call refused with 404: connection `nobody` is not in hub chat.* from=\S+ call="PUT \S+\/groups\/g\/connections\/nobody"/);
  await assert.rejects(service.group("g").addUser("nobody"), { statusCode: 404 });
  await broker.logged(/REST call refused with 404: user `nobody` has no connection in hub chat/);
  await assert.rejects(service.grantPermission("nobody", "sendToGroup", { targetName: "g" }), { statusCode: 404 });
  await broker.logged(/REST call refused with 404: .*call="PUT \S+\/permissions\/sendToGroup\/connections\/nobody"/);
  assert.equal(linesWith(broker, /refused/).length, 3);
});

test("what is no request is told as well, once and without its query", async (t) => {
  const broker = await startBroker(t, { threads: 1 });
  const heads = [
    ["\x16\x03\x01\x02hello\r\n\r\n", /connection closed: what came is no request.*if it is TLS, use http:\/\/.* from=127/],
    ["GET /a?t=geheim HTTP/7.0\r\nHost: h\r\n\r\n", /request refused with 505: .*HTTP\/1\.1/],
    ["GET /a?t=geheim HTTP/1.1\r\n\r\n", /request refused with 400: .* call=\/a$/m],
    [`GET /b?t=geheim${"x".repeat(40_000)} HTTP/1.1\r\nHost: h\r\n\r\n`, /request refused with 414: its URL/],
    [`GET /c?t=geheim HTTP/1.1\r\nHost: h\r\nX: ${"x".repeat(40_000)}\r\n\r\n`, /request refused with 431: its headers.* call=\/c$/m],
    ["GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /a?t=geheim HTTP/7.0\r\nHost: h\r\n\r\n", /(request refused with 505: [^]*){2}/],
    ["POST /d HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n", /request refused with 400: .* call=\/d$/m],
  ];
  for (const [head, line] of heads) {
    const connection = await RawConnection.open(t, broker.port);
    connection.write(head);
    await connection.closed;
    await broker.logged(line);
  }
  assert.equal(linesWith(broker, /refused|connection closed/).length, heads.length);
  assert.doesNotMatch(broker.log, /geheim/);
});

test("bad requests of several connections at once: each has its own status in the log", async (t) => {
  const broker = await startBroker(t, { threads: 1 });
  const kinds = [
    { begin: "GET /host HTTP/1.1\r\nX: ", end: "x\r\n\r\n", status: 400 },
    { begin: "GET /version HTTP/7", end: ".0\r\nHost: h\r\n\r\n", status: 505 },
  ];
  const connections = await Promise.all(Array.from({ length: 40 }, async (_, i) => {
    const kind = kinds[i % 2];
    const connection = await RawConnection.open(t, broker.port);
    connection.write(kind.begin);
    return { ...kind, connection, from: `127.0.0.1:${connection.socket.localPort}` };
  }));
  assert.equal((await fetch(`${broker.url}/api/health`)).status, 200); // what was written before has been read
  for (const { connection, end } of connections) connection.write(end);
  for (const { connection, from } of connections) {
    await connection.closed;
    await broker.logged(new RegExp(`request refused with .* from=${from}\\b`));
  }
  const told = linesWith(broker, /request refused with/).map((line) => /with (\d+): .* from=(\S+)/.exec(line).slice(1).join(" "));
  assert.deepEqual(told.sort(), connections.map(({ status, from }) => `${status} ${from}`).sort());
});

test("who is turned away at the end is told", async (t) => {
  const server = await startEventServer(t, () => "hang");
  const broker = await startBroker(t, { upstreams: { chat: server.url } });
  const refused = refusedStatus(await accessUrl(broker, "chat", { userId: "ann" }));
  await server.records.wait((e) => e.event === "connect", "connect");
  const stopped = broker.stopOnce();
  assert.equal(await refused, 503);
  await stopped;
  assert.match(broker.log, /client refused with 503: the service is shutting down from=\S+ hub=chat user=ann/);
});

test("a refused recovery says which connection and why", async (t) => {
  const broker = await startBroker(t);
  const url = `${broker.url.replace("http", "ws")}/client/hubs/chat?awps_connection_id=nobody&awps_reconnection_token=x`;
  await (await openSocket(t, url, reliableProtocol)).closed;
  await broker.logged(/recovery refused with 1008.*: .* hub=chat connection=nobody/);
});

// The trap that most beginners fall into (client-and-rest section 9, #670 and #184).
test("a raw client without event handler: one line says who was closed, why and what to change", async (t) => {
  const broker = await startBroker(t);
  const raw = await openSocket(t, await accessUrl(broker, "chat", { userId: "ann" }));
  raw.send("hello");
  assert.deepEqual(await raw.closed, { code: 1011, reason: "Internal server error" });
  await broker.logged(
    /warn +closed \(EventHandlerNotFound\): no event handler matches user event `message` of hub chat: add one under hubs\.chat\.eventHandlers .*PubSub subprotocol.* hub=chat connection=\w+ user=ann/,
  );
  assert.equal(linesWith(broker, /connection=/).length, 1);
});

test("a client that closes is told from one that is lost, with its own words", async (t) => {
  const broker = await startBroker(t);
  (await openJson(t, broker, "chat")).ws.close(4000, "off to lunch");
  await broker.logged(/closed \(Normal\): the client closed the connection with 4000: off to lunch/);
  (await openJson(t, broker, "chat")).ws.close();
  await broker.logged(/closed \(Normal\): the client closed the connection with 1005 /);
  (await openJson(t, broker, "chat", {}, reliableProtocol)).ws.close(4001, "back soon");
  await broker.logged(/may come back within 30 s .*: the client closed the connection with 4001: back soon/);
  (await openJson(t, broker, "chat")).cut();
  await broker.logged(/closed \(Normal\): the client closed the socket without a close frame/);
});

test("many equal lines are counted instead of written", async (t) => {
  const broker = await startBroker(t);
  const url = `${broker.url.replace("http", "ws")}/client/hubs/chat`;
  for (let round = 0; round < 10; round++) {
    const statuses = await Promise.all(Array.from({ length: 25 }, () => refusedStatus(url)));
    assert.ok(statuses.every((status) => status === 401));
  }
  await broker.stopOnce();
  const written = linesWith(broker, /client refused with 401/).filter((line) => !/lines more/.test(line)).length;
  const counted = [...broker.log.matchAll(/(\d+) lines more like this were left out: client refused with 401/g)];
  assert.ok(written >= 100 && written < 250, `${written} lines`);
  assert.equal(written + counted.reduce((sum, [, n]) => sum + Number(n), 0), 250);
});
