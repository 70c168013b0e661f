// Reliable clients whose socket is cut: nothing lost, nothing twice, nothing out of
// order (client-and-rest section 3).

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  accessUrl, allRoles, Inbox, official, openJson, openSocket, reliableProtocol, serviceClient, startClient,
} from "./lib/clients.mjs";
import { CuttableProxy } from "./lib/net.mjs";
import { testPlugin, temporaryFolder } from "./lib/paths.mjs";
import { patience } from "./lib/patience.mjs";
import { startBroker } from "./lib/pubhook.mjs";
import { FileRecords } from "./lib/records.mjs";

const numbers = (count) => [...Array(count).keys()];

// The broker as seen through a proxy: its connection string names the proxy's port.
function through(broker, proxy) {
  return { ...broker, connectionString: broker.connectionString.replace(`:${broker.port};`, `:${proxy.port};`) };
}

async function recoveryUrl(broker, welcome) {
  const url = new URL(await accessUrl(broker, "chat"));
  url.searchParams.set("awps_connection_id", welcome.connectionId);
  url.searchParams.set("awps_reconnection_token", welcome.reconnectionToken);
  return url.href;
}

const openReliable = (t, broker, options) => openJson(t, broker, "chat", options, reliableProtocol);

// Recovers a connection; `frames` are data messages, the new "connected" frame is in `welcome`.
async function recover(t, broker, welcome) {
  const socket = await openSocket(t, await recoveryUrl(broker, welcome), reliableProtocol);
  socket.welcome = await socket.nextJson();
  return socket;
}

async function refusal(t, broker, welcome) {
  const socket = await openSocket(t, await recoveryUrl(broker, welcome), reliableProtocol);
  return socket.closed;
}

for (const threads of [1, 2]) {
  describe(`recovery, ${threads} loop thread${threads > 1 ? "s" : ""}`, () => {
    test("the official client: 1,000 messages, the socket cut four times in between", async (t) => {
      const broker = await startBroker(t, { threads });
      const proxy = await CuttableProxy.start(t, broker.port);
      const receiver = await startClient(t, () => accessUrl(through(broker, proxy), "chat", { groups: ["g"] }), {
        protocol: reliableProtocol,
      });
      let disconnected = 0;
      receiver.client.on("disconnected", () => disconnected++);
      const sender = await openJson(t, broker, "chat", { roles: allRoles });
      const send = (n) => sender.sendJson({ type: "sendToGroup", group: "g", dataType: "json", data: n });
      const got = [];
      let sent = 0;
      for (const cutAfter of [1000, 5003, 10007, 777]) {
        proxy.cutAfter(cutAfter);
        for (let i = 0; i < 250; i++) send(sent++);
        got.push(...(await receiver.inbox.take(250)));
      }
      assert.deepEqual(got.map((message) => message.data), numbers(1000));
      assert.equal(proxy.cuts, 4, "each cut happened");
      assert.equal(disconnected, 0, "the client never lost its connection");
      assert.deepEqual(receiver.inbox.rest, []);
    });
    if (!official) return; // what follows is about the broker alone

    test("what was sent while the client was away is replayed, from the last acknowledged on", async (t) => {
      const broker = await startBroker(t, { threads });
      const service = serviceClient(broker, "chat");
      let socket = await openReliable(t, broker, { userId: "ann", groups: ["g"] });
      const first = socket.welcome;
      let expected = 1;
      const sequenceIds = async (count) => (await socket.inbox.take(count)).map((frame) => JSON.parse(frame).sequenceId);
      for (let round = 0; round < 6; round++) {
        for (let i = 0; i < 3; i++) await service.group("g").sendToAll(i);
        assert.deepEqual(await sequenceIds(3), [expected, expected + 1, expected + 2]);
        socket.sendJson({ type: "sequenceAck", sequenceId: expected }); // one of three
        socket.sendJson({ type: "ping" });
        assert.equal((await socket.nextJson()).type, "pong"); // so the ack was seen
        const { welcome } = socket;
        socket.cut();
        await service.group("g").sendToAll("while away");
        assert.equal(await service.userExists("ann"), true, "a connection that may come back exists");
        socket = await recover(t, broker, welcome);
        assert.equal(socket.welcome.connectionId, first.connectionId);
        assert.equal(socket.welcome.userId, "ann");
        assert.deepEqual(await sequenceIds(3), [expected + 1, expected + 2, expected + 3]);
        expected += 4;
        socket.sendJson({ type: "sequenceAck", sequenceId: expected - 1 });
      }
    });

    test("groups, roles and the memory of ackIds survive", async (t) => {
      const broker = await startBroker(t, { threads });
      let socket = await openReliable(t, broker, { roles: ["webpubsub.sendToGroup.g", "webpubsub.joinLeaveGroup.g"] });
      socket.sendJson({ type: "joinGroup", group: "g", ackId: 7 });
      assert.equal((await socket.nextJson()).success, true);
      const { welcome } = socket;
      socket.cut();
      socket = await recover(t, broker, welcome);
      socket.sendJson({ type: "joinGroup", group: "g", ackId: 7 });
      assert.equal((await socket.nextJson()).error.name, "Duplicate");
      socket.sendJson({ type: "sendToGroup", group: "g", dataType: "text", data: "still here", ackId: 8 });
      const frames = (await socket.inbox.take(2)).map((frame) => JSON.parse(frame));
      assert.deepEqual(frames.map((frame) => frame.type).sort(), ["ack", "message"]);
      socket.sendJson({ type: "joinGroup", group: "other", ackId: 9 });
      assert.equal((await socket.nextJson()).error.name, "Forbidden");
    });

    test("a new socket takes over from one that is still open", async (t) => {
      const broker = await startBroker(t, { threads });
      const old = await openReliable(t, broker, { groups: ["g"] });
      const fresh = await recover(t, broker, old.welcome);
      await old.closed;
      await serviceClient(broker, "chat").group("g").sendToAll("hi", { contentType: "text/plain" });
      assert.equal((await fresh.nextJson()).data, "hi");
    });

    test("of many new sockets at once one stays, and gets all", async (t) => {
      const broker = await startBroker(t, { threads });
      const { welcome } = await openReliable(t, broker, { groups: ["g"] });
      const group = serviceClient(broker, "chat").group("g");
      const url = await recoveryUrl(broker, welcome);
      for (let round = 1; round <= 5; round++) {
        const sockets = await Promise.all(numbers(10).map(() => openSocket(t, url, reliableProtocol)));
        const closed = new Inbox("closed sockets");
        for (const socket of sockets) socket.closed.then(() => closed.put(socket));
        await group.sendToAll(round);
        const others = await closed.take(sockets.length - 1);
        const last = sockets.find((socket) => !others.includes(socket));
        let frame;
        do frame = await last.nextJson();
        while (frame.data !== round);
        assert.equal(frame.sequenceId, round);
        last.sendJson({ type: "ping" });
        assert.equal((await last.nextJson()).type, "pong");
      }
    });

    test("recovery is refused by 101 and then 1008", async (t) => {
      const broker = await startBroker(t, { threads });
      const service = serviceClient(broker, "chat");
      const [one, two] = [await openReliable(t, broker), await openReliable(t, broker)];
      const code = async (welcome) => (await refusal(t, broker, welcome)).code;
      assert.equal(await code({ connectionId: "nobody", reconnectionToken: "x" }), 1008);
      assert.equal(await code({ ...one.welcome, reconnectionToken: "x" }), 1008, "no token");
      assert.equal(await code({ ...one.welcome, reconnectionToken: two.welcome.reconnectionToken }), 1008, "another's token");
      await service.closeConnection(one.welcome.connectionId);
      assert.equal((await one.closed).code, 1000);
      assert.equal(await code(one.welcome), 1008, "closed by the service");
      await two.close(1000);
      assert.equal(await code(two.welcome), 1008, "closed by the client");
    });

    test("a close frame with 1000 or without a code ends the connection, with any other it may come back", async (t) => {
      const broker = await startBroker(t, { threads });
      const service = serviceClient(broker, "chat");
      for (const [code, ends] of [[1000, true], [undefined, true], [1001, false], [4000, false]]) {
        const socket = await openReliable(t, broker, { userId: "ann" });
        socket.ws.close(code);
        assert.equal((await socket.closed).code, code ?? 1005);
        assert.equal(await service.userExists("ann"), !ends, `${code}`);
        if (ends) assert.equal((await refusal(t, broker, socket.welcome)).code, 1008, `${code}`);
        else assert.equal((await (await recover(t, broker, socket.welcome)).close()).code, 1000, `${code}`);
      }
    });

    test("1,000 unacknowledged messages are kept, one more ends the connection", async (t) => {
      const broker = await startBroker(t, { threads });
      const slow = await openReliable(t, broker, { groups: ["g"] });
      const sender = await openJson(t, broker, "chat", { roles: allRoles });
      const send = (n) => sender.sendJson({ type: "sendToGroup", group: "g", dataType: "json", data: n });
      for (let n = 0; n < 1000; n++) send(n);
      await slow.inbox.take(1000);
      assert.equal(slow.ws.readyState, slow.ws.OPEN);
      send(1000);
      assert.equal((await slow.closed).code, 1008);
      assert.equal((await refusal(t, broker, slow.welcome)).code, 1008);
    });
  });
}

test("a client that does not come back in 30 s is gone, and the handler is told", { skip: !official }, async (t) => {
  const records = new FileRecords(t, `${temporaryFolder(t)}/events`);
  const broker = await startBroker(t, { handlers: { chat: `${testPlugin("witness")}?record=${records.file}` } });
  const service = serviceClient(broker, "chat");
  const socket = await openReliable(t, broker, { userId: "ann" });
  const { connectionId } = socket.welcome;
  const cutAt = Date.now();
  socket.cut();
  await records.wait((e) => e.kind === "disconnected" && e.connectionId === connectionId, "disconnected", 2 * patience);
  assert.ok(Date.now() - cutAt >= 29_000, "not before its time");
  assert.equal(await service.userExists("ann"), false);
  assert.equal((await refusal(t, broker, socket.welcome)).code, 1008);
});
