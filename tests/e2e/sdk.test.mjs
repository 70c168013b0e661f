// The official packages against the broker: what a service sends, what clients do
// among themselves. Everything runs on one loop thread and on two.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import {
  accessUrl, allRoles, jsonProtocol, official, openJson, openSocket, refusedStatus, reliableProtocol, serviceClient, startClient,
} from "./lib/clients.mjs";
import { startBroker } from "./lib/pubhook.mjs";
import { call, now, signToken } from "./lib/tokens.mjs";

const binary = Buffer.from([0, 1, 2, 253, 254, 255]);
const arrayBuffer = new Uint8Array(binary).buffer; // what the client takes for binary data

for (const threads of [1, 2]) {
  describe(`broker with ${threads} loop thread${threads > 1 ? "s" : ""}`, () => {
    for (const protocol of [jsonProtocol, reliableProtocol]) {
      describe(protocol, () => protocolTests(threads, protocol));
    }
    if (!official) return;
    serviceTests(threads);
    rawTests(threads);
    tokenTests(threads);
  });
}

function protocolTests(threads, protocol) {
  const client = (t, broker, options = {}) =>
    startClient(t, () => accessUrl(broker, "chat", { roles: allRoles, ...options }), { protocol });

  test("sendToAll: text, JSON and binary, with `excluded`", async (t) => {
    const broker = await startBroker(t, { threads });
    const service = serviceClient(broker, "chat");
    const [one, two] = [await client(t, broker, { userId: "one" }), await client(t, broker)];
    await service.sendToAll("hello Ω", { contentType: "text/plain" });
    await service.sendToAll({ answer: [42, null, "x"] });
    await service.sendToAll(binary);
    for (const { inbox } of [one, two]) {
      const [first, second, third] = await inbox.take(3);
      assert.deepEqual([first.from, first.dataType, first.data], ["server", "text", "hello Ω"]);
      assert.deepEqual([second.from, second.dataType, second.data], ["server", "json", { answer: [42, null, "x"] }]);
      assert.deepEqual([third.from, third.dataType, Buffer.from(third.data)], ["server", "binary", binary]);
    }
    await service.sendToAll("not for one", { contentType: "text/plain", excludedConnections: [one.connectionId] });
    await service.sendToAll("for both", { contentType: "text/plain" });
    assert.equal((await two.inbox.next()).data, "not for one");
    assert.equal((await two.inbox.next()).data, "for both");
    assert.equal((await one.inbox.next()).data, "for both");
  });

  test("sendToUser reaches each connection of the user, sendToConnection one", async (t) => {
    const broker = await startBroker(t, { threads });
    const service = serviceClient(broker, "chat");
    const name = "Ada Löve/1 2";
    const [phone, laptop] = [await client(t, broker, { userId: name }), await client(t, broker, { userId: name })];
    const other = await client(t, broker, { userId: "other" });
    assert.equal(phone.userId, name);
    await service.sendToUser(name, "for Ada", { contentType: "text/plain" });
    await service.sendToConnection(laptop.connectionId, binary);
    await service.sendToAll("end", { contentType: "text/plain" });
    assert.deepEqual((await phone.inbox.take(2)).map((m) => m.data), ["for Ada", "end"]);
    const [forAda, bytes] = await laptop.inbox.take(2);
    assert.equal(forAda.data, "for Ada");
    assert.deepEqual(Buffer.from(bytes.data), binary);
    assert.equal((await other.inbox.next()).data, "end");
    await service.sendToUser("nobody", "x", { contentType: "text/plain" }); // 202 all the same
    await service.sendToConnection("no-such-connection", "x", { contentType: "text/plain" });
  });

  test("groups: join, send with and without echo, leave", async (t) => {
    const broker = await startBroker(t, { threads });
    const [ann, bob] = [await client(t, broker, { userId: "ann" }), await client(t, broker, { userId: "bob" })];
    await ann.client.joinGroup("lobby");
    await bob.client.joinGroup("lobby");
    await ann.client.sendToGroup("lobby", "to all", "text");
    await ann.client.sendToGroup("lobby", { n: 1 }, "json", { noEcho: true });
    await bob.client.sendToGroup("lobby", arrayBuffer, "binary");
    const seen = (message) => [message.from, message.group, message.fromUserId, message.dataType];
    const bobSees = await bob.inbox.take(3);
    assert.deepEqual(bobSees.map(seen), [
      ["group", "lobby", "ann", "text"], ["group", "lobby", "ann", "json"], ["group", "lobby", "bob", "binary"],
    ]);
    assert.deepEqual(bobSees[1].data, { n: 1 });
    const annSees = await ann.inbox.take(2);
    assert.deepEqual(annSees.map(seen), [["group", "lobby", "ann", "text"], ["group", "lobby", "bob", "binary"]]);
    assert.deepEqual(Buffer.from(annSees[1].data), binary);

    await bob.client.leaveGroup("lobby");
    await ann.client.sendToGroup("lobby", "without bob", "text");
    await serviceClient(broker, "chat").sendToAll("end", { contentType: "text/plain" });
    assert.equal((await ann.inbox.next()).data, "without bob");
    assert.equal((await bob.inbox.next()).data, "end");
  });

  test("one ackId is carried out once", async (t) => {
    const broker = await startBroker(t, { threads });
    const ann = await client(t, broker);
    await ann.client.joinGroup("lobby");
    const first = await ann.client.sendToGroup("lobby", "once", "text", { ackId: 1_000_001 });
    const second = await ann.client.sendToGroup("lobby", "once", "text", { ackId: 1_000_001 });
    assert.deepEqual([first.isDuplicated, second.isDuplicated], [false, true]);
    await ann.client.sendToGroup("lobby", "end", "text");
    assert.deepEqual((await ann.inbox.take(2)).map((m) => m.data), ["once", "end"]);
  });

  test("without the role, join and send are forbidden, and nothing is delivered", async (t) => {
    const broker = await startBroker(t, { threads });
    const roles = ["webpubsub.joinLeaveGroup.mine", "webpubsub.sendToGroup.mine"];
    const { client: limited, inbox } = await startClient(t, () => accessUrl(broker, "chat", { roles }), {
      protocol, messageRetryOptions: { maxRetries: 0 },
    });
    const forbidden = (error) => error.errorDetail?.name === "Forbidden";
    await assert.rejects(limited.joinGroup("theirs"), forbidden);
    await assert.rejects(limited.sendToGroup("theirs", "x", "text"), forbidden);
    await limited.joinGroup("mine");
    await limited.sendToGroup("mine", "y", "text");
    assert.equal((await inbox.next()).data, "y");
  });

  test("events reach the handler and its answer comes back before the ack", async (t) => {
    const broker = await startBroker(t, { threads, handlers: { chat: "echo" } });
    const { client: ann, inbox } = await client(t, broker);
    await ann.sendEvent("greet", "hello", "text");
    await ann.sendEvent("greet", { deep: { er: [1, 2.5, true] } }, "json");
    await ann.sendEvent("greet", arrayBuffer, "binary");
    assert.equal(inbox.rest.length, 3, "each answer was there when its sendEvent returned");
    const [first, second, third] = await inbox.take(3);
    assert.deepEqual([first.dataType, first.data], ["text", "hello"]);
    assert.deepEqual(second.data, { deep: { er: [1, 2.5, true] } });
    assert.deepEqual(Buffer.from(third.data), binary);
  });

  test("the client's keep-alive is answered", async (t) => {
    const broker = await startBroker(t, { threads });
    const options = { protocol, autoReconnect: false, keepAliveIntervalInMs: 50, keepAliveTimeoutInMs: 2000 };
    const { client: ann } = await startClient(t, () => accessUrl(broker, "chat"), options);
    const early = await Promise.race([
      new Promise((resolve) => ann.on("disconnected", () => resolve("disconnected"))), delay(4500, "alive"),
    ]);
    assert.equal(early, "alive");
  });

  test("groups of the token are joined from the start", async (t) => {
    const broker = await startBroker(t, { threads });
    const ann = await client(t, broker, { groups: ["a", "b"] });
    await serviceClient(broker, "chat").group("b").sendToAll("hi", { contentType: "text/plain" });
    const message = await ann.inbox.next();
    assert.deepEqual([message.from, message.group, message.data], ["group", "b", "hi"]);
  });
}

function serviceTests(threads) {
  test("existence of connections, users and groups", async (t) => {
    const broker = await startBroker(t, { threads });
    const service = serviceClient(broker, "chat");
    const ann = await startClient(t, () => accessUrl(broker, "chat", { userId: "ann", groups: ["lobby"] }));
    assert.equal(await service.connectionExists(ann.connectionId), true);
    assert.equal(await service.userExists("ann"), true);
    assert.equal(await service.groupExists("lobby"), true);
    assert.equal(await service.connectionExists("nobody"), false);
    assert.equal(await service.userExists("nobody"), false);
    assert.equal(await service.groupExists("empty"), false);
    assert.equal(await serviceClient(broker, "other").userExists("ann"), false, "hubs are apart");
  });

  test("connections and users are added to groups and removed", async (t) => {
    const broker = await startBroker(t, { threads });
    const service = serviceClient(broker, "chat");
    const group = service.group("gr oup/1:2 ü");
    const one = await startClient(t, () => accessUrl(broker, "chat", { userId: "ann" }));
    const two = await startClient(t, () => accessUrl(broker, "chat", { userId: "ann" }));
    const say = (data) => group.sendToAll(data, { contentType: "text/plain" });
    await group.addConnection(one.connectionId);
    await say("to one");
    await group.addUser("ann");
    await say("to both");
    await group.removeConnection(one.connectionId);
    await say("to two");
    await group.removeUser("ann");
    await say("to nobody");
    await service.sendToAll("end", { contentType: "text/plain" });
    assert.deepEqual((await one.inbox.take(3)).map((m) => m.data), ["to one", "to both", "end"]);
    assert.deepEqual((await two.inbox.take(3)).map((m) => m.data), ["to both", "to two", "end"]);
    await assert.rejects(group.addConnection("nobody"), (error) => error.statusCode === 404);
    await assert.rejects(group.addUser("nobody"), (error) => error.statusCode === 404);
    await group.removeConnection("nobody");
    await group.removeUser("nobody");
  });

  test("excluded connections of a group send", async (t) => {
    const broker = await startBroker(t, { threads });
    const service = serviceClient(broker, "chat");
    const one = await startClient(t, () => accessUrl(broker, "chat", { groups: ["g"] }));
    const two = await startClient(t, () => accessUrl(broker, "chat", { groups: ["g"] }));
    await service.group("g").sendToAll({ a: 1 }, { excludedConnections: [two.connectionId] });
    await service.group("g").sendToAll({ a: 2 });
    assert.deepEqual((await one.inbox.take(2)).map((m) => m.data.a), [1, 2]);
    assert.equal((await two.inbox.next()).data.a, 2);
  });

  test("a closed connection is told why and is gone", async (t) => {
    const broker = await startBroker(t, { threads });
    const service = serviceClient(broker, "chat");
    const socket = await openJson(t, broker, "chat", { userId: "ann" });
    await service.closeConnection(socket.welcome.connectionId, { reason: "time to go" });
    const goodbye = await socket.nextJson();
    assert.deepEqual([goodbye.type, goodbye.event], ["system", "disconnected"]);
    assert.match(goodbye.message, /time to go/);
    assert.equal((await socket.closed).code, 1000);
    assert.equal(await service.userExists("ann"), false);
    await service.closeConnection("nobody");
  });

  test("order of one sender to one group is kept", async (t) => {
    const broker = await startBroker(t, { threads });
    const receivers = [];
    for (let i = 0; i < 4; i++) receivers.push(await openJson(t, broker, "chat", { groups: ["g"] }));
    const sender = await openJson(t, broker, "chat", { roles: allRoles });
    for (let n = 0; n < 500; n++) sender.sendJson({ type: "sendToGroup", group: "g", dataType: "json", data: n });
    for (const receiver of receivers) {
      const got = (await receiver.inbox.take(500)).map((frame) => JSON.parse(frame).data);
      assert.deepEqual(got, [...Array(500).keys()]);
    }
  });

  test("health needs no token, everything else does", async (t) => {
    const broker = await startBroker(t, { threads });
    assert.equal((await fetch(`${broker.url}/api/health`, { method: "HEAD" })).status, 200);
    const response = await fetch(`${broker.url}/api/hubs/chat/:send?api-version=2024-12-01`, { method: "POST", body: "x" });
    assert.equal(response.status, 401);
  });

  test("a body that is not what its type says is 400, an unknown type 415", async (t) => {
    const broker = await startBroker(t, { threads });
    const send = async (contentType, body) => {
      const response = await call(broker, "POST", "/api/hubs/chat/:send?api-version=2024-12-01", {
        headers: { "Content-Type": contentType }, body,
      });
      return [response.status, (await response.text()) && response.headers.get("x-ms-error-code")];
    };
    assert.deepEqual((await send("application/json", "{"))[0], 400);
    assert.deepEqual((await send("image/png", "x"))[0], 415);
    assert.deepEqual((await send("text/plain; charset=utf-8", "fine"))[0], 202);
  });

  test("a message that cannot be sent says why in the error", async (t) => {
    const broker = await startBroker(t, { threads });
    const response = await call(broker, "POST", "/api/hubs/chat/:send?api-version=1999-01-01", { body: "x" });
    assert.equal(response.status, 400);
    const error = await response.json();
    assert.equal(typeof error.code, "string");
    assert.match(error.message, /API version/);
  });
}

function rawTests(threads) {
  test("a raw client gets payloads as they are, and its frames are `message` events", async (t) => {
    const broker = await startBroker(t, { threads, handlers: { chat: "echo" } });
    const raw = await openSocket(t, await accessUrl(broker, "chat"));
    assert.equal(raw.protocol, "");
    raw.send("hello");
    assert.equal(await raw.inbox.next(), "hello");
    raw.send(binary);
    assert.deepEqual(await raw.inbox.next(), binary);
    const service = serviceClient(broker, "chat");
    await service.sendToAll({ a: 1 });
    assert.equal(await raw.inbox.next(), '{"a":1}');
    await service.sendToAll("plain", { contentType: "text/plain" });
    assert.equal(await raw.inbox.next(), "plain");
    await service.sendToAll(binary);
    assert.deepEqual(await raw.inbox.next(), binary);
  });

  test("webpubsub_mode=sendToGroup publishes frames to the group", async (t) => {
    const broker = await startBroker(t, { threads });
    const listener = await openJson(t, broker, "chat", { groups: ["g"] });
    const url = await accessUrl(broker, "chat", { roles: ["webpubsub.sendToGroup.g"], userId: "raw" });
    const raw = await openSocket(t, `${url}&webpubsub_mode=sendToGroup&group=g`);
    raw.send("from raw");
    const { from, group, dataType, data } = await listener.nextJson();
    assert.deepEqual([from, group, dataType, data], ["group", "g", "text", "from raw"]);
  });

  test("frames of the JSON subprotocol are exactly as the service writes them", async (t) => {
    const broker = await startBroker(t, { threads });
    const socket = await openJson(t, broker, "chat", { userId: "ann" });
    assert.deepEqual(Object.keys(socket.welcome), ["type", "event", "userId", "connectionId"]);
    await serviceClient(broker, "chat").sendToAll("Hello", { contentType: "text/plain" });
    assert.equal(await socket.inbox.next(), '{"type":"message","from":"server","dataType":"text","data":"Hello"}');
    socket.sendJson({ type: "ping" });
    assert.deepEqual(await socket.nextJson(), { type: "pong" });
  });
}

function tokenTests(threads) {
  test("handshakes without a good token are refused", async (t) => {
    const broker = await startBroker(t, { threads });
    const good = await accessUrl(broker, "chat");
    const elsewhere = await accessUrl(broker, "other");
    const token = (url) => new URL(url).searchParams.get("access_token");
    const chat = `ws://${broker.host}/client/hubs/chat`;
    assert.equal(await refusedStatus(good), 101);
    assert.equal(await refusedStatus(chat), 401, "no token");
    assert.equal(await refusedStatus(`${chat}?access_token=${token(elsewhere)}`), 401, "another hub's token");
    assert.equal(await refusedStatus(`${chat}?access_token=${token(good).slice(0, -2)}`), 401, "cut signature");
    assert.equal(await refusedStatus(`${chat}?access_token=x.y.z`), 401, "no token at all");
    assert.equal(await refusedStatus(`ws://${broker.host}/nowhere`), 404);
    assert.equal(await refusedStatus(`ws://${broker.host}/client/?access_token=x`), 400, "no hub");
    const headers = { Authorization: `Bearer ${token(good)}` };
    assert.equal(await refusedStatus(chat, [], { headers }), 101, "token in the header");
    assert.equal(await refusedStatus(`ws://${broker.host}/client/?hub=chat`, [], { headers }), 101, "hub in the query");
    assert.equal(await refusedStatus(`ws://localhost:${broker.port}/client/hubs/chat`, [], { headers }), 101, "loopback names are equal");
  });

  test("a token that has expired is refused, after five minutes of grace", async (t) => {
    const broker = await startBroker(t, { threads });
    const chat = `ws://${broker.host}/client/hubs/chat`;
    const withExpiry = (exp) => `${chat}?access_token=${signToken({ aud: chat.replace("ws:", "http:"), exp })}`;
    assert.equal(await refusedStatus(withExpiry(now() + 10)), 101);
    assert.equal(await refusedStatus(withExpiry(now() - 240)), 101);
    assert.equal(await refusedStatus(withExpiry(now() - 360)), 401);
    assert.equal(await refusedStatus(`${chat}?access_token=${signToken({ aud: chat.replace("ws:", "http:") })}`), 401, "no exp");
  });

  test("only HS256 counts: a token that says it needs no signature is refused", async (t) => {
    const broker = await startBroker(t, { threads });
    const chat = `ws://${broker.host}/client/hubs/chat`;
    const claims = { aud: chat, exp: now() + 60 };
    const none = signToken(claims, "x".repeat(32), { alg: "none", typ: "JWT" }).replace(/[^.]*$/, "");
    assert.equal(await refusedStatus(`${chat}?access_token=${signToken(claims)}`), 101, "ws in the audience");
    assert.equal(await refusedStatus(`${chat}?access_token=${none}`), 401);
  });

  test("both access keys are good, others are not", async (t) => {
    const [primary, secondary, foreign] = [1, 2, 3].map(() => randomUUID() + randomUUID());
    const broker = await startBroker(t, { threads, args: ["--access-key", primary, "--access-key", secondary] });
    const url = (key) => accessUrl({ ...broker, connectionString: `Endpoint=${broker.url};AccessKey=${key};Version=1.0;` }, "chat");
    assert.match(broker.connectionString, new RegExp(`AccessKey=${primary};`));
    assert.equal(await refusedStatus(await url(primary)), 101);
    assert.equal(await refusedStatus(await url(secondary)), 101);
    assert.equal(await refusedStatus(await url(foreign)), 401);
  });
}
