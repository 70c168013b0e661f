// The client library in C where the network is bad: its connections are cut at random points
// while they send and receive, and nothing is lost, doubled or out of order on the reliable
// protocol. Beside it, the official client in the same groups.

process.env.PUBHOOK_TEST_CLIENT = "c";

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { cleanup } from "./lib/cleanup.mjs";
import { CuttableProxy } from "./lib/net.mjs";
import { example, temporaryFolder, testPlugin } from "./lib/paths.mjs";
import { start } from "./lib/program.mjs";
import { startBroker } from "./lib/pubhook.mjs";
import { Random } from "./lib/random.mjs";
import { FileRecords } from "./lib/records.mjs";
import { startNginxBroker } from "./lib/webservers.mjs";

const { accessUrl, allRoles, Inbox, jsonProtocol, openJson, reliableProtocol, serviceClient, startClient } =
  await import("./lib/clients.mjs");

const numbers = (count) => [...Array(count).keys()];
const through = (broker, proxy) =>
  ({ ...broker, connectionString: broker.connectionString.replace(`:${broker.port};`, `:${proxy.port};`) });

// What each sender said, in the order in which a receiver got it.
function bySender(messages) {
  const said = {};
  for (const { data } of messages) (said[data.from] ??= []).push(data.n);
  return said;
}

// Cuts connections in the middle of what they send or receive, a few of them while they are
// being opened.
function cutAtRandom(proxy, random, { up, down }) {
  proxy.life = () => {
    if (random.oneIn(20)) return random.pick([{ up: random.below(600) }, { down: random.below(120) }]);
    return { up: 1000 + random.below(up), down: 1000 + random.below(down) };
  };
  proxy.cut(); // what is connected already
}

function assertCutBothWays({ cutsOf }) {
  assert.ok(cutsOf.up >= 5 && cutsOf.down >= 5, `cuts: ${JSON.stringify(cutsOf)}`);
}

const rounds = 4;
const perRound = 120; // messages to the group, of each client
const eventsPerRound = 30; // of each client, which the handler answers
const callsPerRound = 15; // messages by REST

for (const loop of [false, true]) {
  describe(loop ? "in the program's loop" : "in a thread of its own", () => {
    test("cut at random points under load", async (t) => {
      const random = new Random(t);
      const records = new FileRecords(t, `${temporaryFolder(t)}/events`);
      const broker = await startBroker(t, { threads: 2, handlers: { chat: `${testPlugin("witness")}?record=${records.file}` } });
      const proxy = await CuttableProxy.start(t, broker.port);
      const url = () => accessUrl(through(broker, proxy), "chat", { roles: allRoles, groups: ["g"] });
      const clients = [];
      for (const from of ["a", "b", "c"]) {
        clients.push({ from, got: [], ...(await startClient(t, url, { protocol: reliableProtocol, loop })) });
      }
      const witness = await openJson(t, broker, "chat", { groups: ["g"] });
      const group = serviceClient(broker, "chat").group("g");
      const lost = [];
      for (const { client } of clients) client.on("disconnected", (event) => lost.push(event));
      cutAtRandom(proxy, random, { up: 20_000, down: 50_000 });
      for (let round = 0; round < rounds; round++) {
        const acks = clients.flatMap(({ client, from }) => [
          ...numbers(perRound).map((i) =>
            client.sendToGroup("g", { from, n: round * perRound + i, pad: "x".repeat(random.below(200)) }, "json")),
          ...numbers(eventsPerRound).map((i) => {
            const n = round * eventsPerRound + i;
            return client.sendEvent(`n${n}`, { from: "handler", n }, "json");
          }),
        ]);
        for (const i of numbers(callsPerRound)) await group.sendToAll({ from: "service", n: round * callsPerRound + i });
        await Promise.all(acks);
        for (const { inbox, got } of clients) {
          got.push(...(await inbox.take(3 * perRound + callsPerRound + eventsPerRound)));
        }
      }
      const ofClients = Object.fromEntries(clients.map(({ from }) => [from, numbers(rounds * perRound)]));
      const all = { ...ofClients, service: numbers(rounds * callsPerRound) };
      const handled = numbers(rounds * eventsPerRound);
      for (const { from, got } of clients) assert.deepEqual(bySender(got), { ...all, handler: handled }, `what ${from} got`);
      const seen = await witness.inbox.take(rounds * (3 * perRound + callsPerRound));
      assert.deepEqual(bySender(seen.map((frame) => JSON.parse(frame))), all, "what others see of them");
      for (const { from, connectionId, inbox } of clients) {
        const events = records.of(connectionId).filter(({ kind }) => kind === "user");
        assert.deepEqual(events.map(({ event }) => event), handled.map((n) => `n${n}`), `the handler's events of ${from}`);
        assert.deepEqual(inbox.rest, []);
      }
      assert.deepEqual(lost, [], "each connection was recovered");
      assertCutBothWays(proxy);
    });
  });
}

// The fragments of so many streams, when all of them have ended in order.
async function readStreams(client, count) {
  const streams = await new Promise((resolve) => {
    const begun = [];
    client.onGroupStream((stream) => begun.push(stream) === count && resolve(begun));
  });
  const fragments = [];
  for (const stream of streams) for await (const fragment of stream) fragments.push(fragment);
  return fragments;
}

test("streams go on through cuts at random points", async (t) => {
  const random = new Random(t);
  const broker = await startBroker(t, { threads: 2 });
  const proxy = await CuttableProxy.start(t, broker.port);
  const url = (options) => () => accessUrl(through(broker, proxy), "chat", { roles: allRoles, ...options });
  const publisher = await startClient(t, url({}));
  const reader = await startClient(t, url({ groups: ["g"] }));
  const asMessages = await startClient(t, url({ groups: ["g"] }), { driver: { streamsAsMessages: true } });
  const read = readStreams(reader.client, 2);
  cutAtRandom(proxy, random, { up: 12_000, down: 20_000 });
  const writers = await Promise.all(["x", "y"].map((streamId) => publisher.client.openGroupStream("g", { streamId })));
  for (const writer of writers) writer.onError((error) => assert.fail(error.message));
  for (let n = 0; n < 400; n++) for (const writer of writers) await writer.write({ from: writer.streamId, n }, "json");
  await Promise.all(writers.map((writer) => writer.end()));
  assert.deepEqual(bySender(await read), { x: numbers(400), y: numbers(400) });
  assert.deepEqual(reader.inbox.rest, []);
  const messages = await asMessages.inbox.take(802);
  const fragments = messages.filter(({ stream }) => !stream.endOfStream);
  assert.deepEqual(bySender(fragments), { x: numbers(400), y: numbers(400) });
  assert.deepEqual(messages.filter(({ stream }) => stream.error), []);
  assertCutBothWays(proxy);
});

test("the plain JSON protocol: cuts end connections, groups are joined again, requests are sent again", async (t) => {
  const random = new Random(t);
  const broker = await startBroker(t, { threads: 2 });
  const proxy = await CuttableProxy.start(t, broker.port);
  const url = () => accessUrl(through(broker, proxy), "chat", { roles: allRoles });
  const one = await startClient(t, url, {
    protocol: jsonProtocol, reconnectRetryOptions: { retryDelayInMs: 20 },
    messageRetryOptions: { maxRetries: 30, retryDelayInMs: 20 }, // one message may meet many cuts
  });
  const witness = await openJson(t, broker, "chat", { groups: ["g"] });
  await one.client.joinGroup("h");
  cutAtRandom(proxy, random, { up: 5000, down: 5000 });
  for (let n = 0; n < 300; n += 20) {
    await Promise.all(numbers(20).map((i) => one.client.sendToGroup("g", { from: "one", n: n + i }, "json")));
  }
  proxy.life = undefined;
  const service = serviceClient(broker, "chat");
  await one.client.sendToGroup("g", { from: "end" }, "json");
  const seen = [];
  for (;;) {
    const { data } = await witness.nextJson();
    if (data.from === "end") break;
    seen.push(data.n);
  }
  assert.deepEqual([...new Set(seen)].sort((a, b) => a - b), numbers(300), "nothing is lost; what had no answer may come twice");
  await service.group("h").sendToAll("in h again", { contentType: "text/plain" });
  assert.equal((await one.inbox.next()).data, "in h again");
});

test("cut again while groups are joined again: each byte of it, as far as acks go", async (t) => {
  const broker = await startBroker(t);
  const proxy = await CuttableProxy.start(t, broker.port);
  const url = () => accessUrl(through(broker, proxy), "chat", { roles: allRoles });
  const one = await startClient(t, url, { protocol: jsonProtocol, reconnectRetryOptions: { retryDelayInMs: 1 } });
  await Promise.all(["g", "h"].map((group) => one.client.joinGroup(group)));
  const lives = numbers(50).map((i) => ({ down: 150 + 10 * i })); // handshake, connected, acks of both
  const whole = new Promise((resolve) => {
    proxy.life = () => lives.shift() ?? (resolve(), one.client.off("connected", cut));
    const cut = () => proxy.cut(); // it is in the groups again
    one.client.on("connected", cut);
  });
  proxy.cut();
  await whole;
  await Promise.all(numbers(50).map((n) => one.client.sendToGroup("g", n, "json")));
  assert.deepEqual((await one.inbox.take(50)).map(({ data }) => data), numbers(50));
  await one.client.sendToGroup("h", "in h too", "text");
  assert.equal((await one.inbox.next()).data, "in h too");
});

test("C and JavaScript in one group, and every type of data", async (t) => {
  const broker = await startBroker(t, { threads: 2 });
  const { WebPubSubClient } = await import("@azure/web-pubsub-client");
  const getClientAccessUrl = () => accessUrl(broker, "chat", { userId: "js", roles: allRoles });
  const js = new WebPubSubClient({ getClientAccessUrl }, { keepAliveTimeoutInMs: 0, keepAliveIntervalInMs: 0 });
  const heard = new Inbox("official client");
  js.on("group-message", ({ message }) => heard.put(message));
  await js.start();
  cleanup(t, () => js.stop());
  const c = await startClient(t, () => accessUrl(broker, "chat", { userId: "c", roles: allRoles }));
  await Promise.all([js.joinGroup("g"), c.client.joinGroup("g")]);
  const bytes = new Uint8Array([0, 1, 128, 255]).buffer;
  const samples = [["text", "hé\u0000\"llo\n"], ["json", { a: [1, null, "x"] }], ["binary", bytes], ["protobuf", bytes]];
  for (const [type, data] of samples) {
    await c.client.sendToGroup("g", data, type, { noEcho: true });
    const message = await heard.next();
    assert.deepEqual([message.fromUserId, message.dataType, message.data], ["c", type, data]);
    await js.sendToGroup("g", data, type, { noEcho: true });
    const got = await c.inbox.next();
    assert.deepEqual([got.fromUserId, got.dataType, got.data], ["js", type, data]);
  }
});

test("over TLS: a private issuer is trusted when it is named, else the certificate is refused", async (t) => {
  const broker = await startBroker(t);
  const { url, certificateFile } = await startNginxBroker(t, broker);
  const secure = { ...broker, connectionString: broker.connectionString.replace(broker.url, url) };
  const getUrl = () => accessUrl(secure, "chat", { userId: "ann", roles: allRoles });
  await assert.rejects(startClient(t, getUrl), ({ message }) => /certificate/.test(message) && !/token/.test(message));
  const { client, inbox, userId } = await startClient(t, getUrl, { driver: { caFile: certificateFile } });
  assert.equal(userId, "ann");
  await client.joinGroup("g");
  const long = "x".repeat(300_000);
  for (let n = 0; n < 5; n++) await client.sendToGroup("g", `${n}${long}`, "text");
  assert.deepEqual((await inbox.take(5)).map(({ data }) => data.length), numbers(5).map(() => 300_001));
});

test("refused: wrong token, wrong place, nobody there", async (t) => {
  const broker = await startBroker(t);
  const err = async (url) => {
    const { message, err: code } = await startClient(t, url).then(() => assert.fail("it started"), (error) => error);
    assert.doesNotMatch(message, /secret/);
    return code;
  };
  assert.equal(await err(`ws://${broker.host}/client/hubs/chat?access_token=secret`), 202);
  assert.equal(await err(`ws://${broker.host}/nowhere?access_token=secret`), 205);
  assert.equal(await err("ws://127.0.0.1:1/client/hubs/chat?access_token=secret"), 301);
});

test("bounds: pending requests and a frame's size fail at once", async (t) => {
  const broker = await startBroker(t);
  const { client } = await startClient(t, () => accessUrl(broker, "chat", { roles: allRoles }), { driver: { maxPending: 3 } });
  const sends = await Promise.allSettled(numbers(50).map((n) => client.sendToGroup("g", n, "json")));
  assert.ok(sends.every(({ status, reason }) => status === "fulfilled" || reason.err === 201));
  assert.ok(sends.some(({ status }) => status === "rejected") && sends[0].status === "fulfilled");
  await assert.rejects(client.sendToGroup("g", "x".repeat(1_100_000), "text"), { err: 201 });
  await assert.rejects(client.sendToGroup("", "x", "text"), { err: 100 });
  await client.sendToGroup("g", "fine", "text");
});

test("examples/subscriber: two of them talk in a group", async (t) => {
  const broker = await startBroker(t);
  const join = async (userId) => {
    const url = await accessUrl(broker, "chat", { userId, roles: allRoles });
    const one = start(t, example("subscriber"), [url, "lobby"], { stdin: "pipe" });
    await one.logged(`connected as ${userId}`);
    one.stopOnce = async () => {
      one.endInput();
      await one.ended();
    };
    return one;
  };
  const [ann, bob] = [await join("ann"), await join("bob")];
  const service = serviceClient(broker, "chat");
  ann.type("hello\n"); // its joining was sent before; bob's may be under way
  const members = async () => {
    let count = 0;
    for await (const _ of await service.group("lobby").listConnections()) count++;
    return count;
  };
  while ((await members()) < 2);
  ann.type("hello again\n");
  bob.type("hi\n");
  assert.equal(await ann.line("bob:"), "hi");
  assert.ok((await bob.line("ann:")).startsWith("hello"));
});
