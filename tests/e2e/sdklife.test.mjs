// The official client over its whole life: stopped and started, closed by the service, cut.
// It joins its groups again and goes on as whoever it has become (client-and-rest
// sections 3 and 8.1).

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { accessUrl, allRoles, jsonProtocol, reliableProtocol, serviceClient, startClient } from "./lib/clients.mjs";
import { CuttableProxy } from "./lib/net.mjs";
import { startBroker } from "./lib/pubhook.mjs";

const text = { contentType: "text/plain" };
const ann = { userId: "ann", roles: allRoles };

// Its `lives` are the connection ids that it had, in order.
async function start(t, getUrl, protocol) {
  const one = await startClient(t, getUrl, { protocol });
  one.lives = [one.connectionId];
  one.client.on("connected", ({ connectionId }) => one.lives.push(connectionId));
  one.client.on("rejoin-group-failed", ({ group, error }) => one.inbox.put({ group, error: error.message }));
  return one;
}

// The client is connected, and in its groups again: it joins them before it says so.
async function nextLife(one) {
  const before = one.lives.length;
  while (one.lives.length === before) await new Promise((resolve) => one.client.on("connected", resolve));
  return one.lives.at(-1);
}

for (const protocol of [jsonProtocol, reliableProtocol]) {
  describe(protocol, () => {
    test("closed by the service: a new connection, in the groups of the old one", async (t) => {
      const broker = await startBroker(t);
      const service = serviceClient(broker, "chat");
      const one = await start(t, () => accessUrl(broker, "chat", ann), protocol);
      await one.client.joinGroup("g");
      await one.client.joinGroup("left");
      await one.client.leaveGroup("left");
      for (let round = 0; round < 3; round++) {
        const old = one.lives.at(-1);
        const back = nextLife(one);
        await service.closeConnection(old, { reason: "maintenance" });
        assert.notEqual(await back, old);
        assert.equal(await service.connectionExists(old), false);
        assert.equal(await service.groupExists("left"), false);
        await service.group("g").sendToAll(`round ${round}`, text);
        assert.equal((await one.inbox.next()).data, `round ${round}`);
      }
      assert.deepEqual(one.inbox.rest, []);
    });

    test("stopped and started again, beside another client of the same user", async (t) => {
      const broker = await startBroker(t);
      const service = serviceClient(broker, "chat");
      const one = await start(t, () => accessUrl(broker, "chat", ann), protocol);
      const other = await start(t, () => accessUrl(broker, "chat", ann), protocol);
      for (const { client } of [one, other]) await client.joinGroup("g");
      for (let round = 0; round < 3; round++) {
        const stopped = new Promise((resolve) => one.client.on("stopped", resolve));
        one.client.stop();
        await stopped;
        assert.equal(await service.connectionExists(one.lives.at(-1)), false, "it is not kept for a recovery");
        assert.equal(await service.userExists("ann"), true, "the other one is there");
        await service.sendToUser("ann", `${round}: one is away`, text);
        const back = nextLife(one);
        await one.client.start();
        await back;
        await service.sendToUser("ann", `${round}: both`, text);
        assert.deepEqual((await other.inbox.take(2)).map((m) => m.data), [`${round}: one is away`, `${round}: both`]);
        assert.equal((await one.inbox.next()).data, `${round}: both`);
      }
      await other.client.sendToGroup("g", "to all", "text", { noEcho: true });
      assert.equal((await one.inbox.next()).data, "to all");
      assert.deepEqual(other.lives, [other.connectionId]);
    });

    test("a request sent again after its socket was lost is carried out once", async (t) => {
      const broker = await startBroker(t);
      const proxy = await CuttableProxy.start(t, broker.port);
      const through = { ...broker, connectionString: broker.connectionString.replace(`:${broker.port};`, `:${proxy.port};`) };
      const one = await start(t, () => accessUrl(through, "chat", ann), protocol);
      const witness = await start(t, () => accessUrl(broker, "chat", { groups: ["g"] }), protocol);
      const send = () => one.client.sendToGroup("g", "once", "text", { ackId: 1000 });
      assert.equal((await send()).isDuplicated, false);
      const recovers = protocol === reliableProtocol;
      const back = recovers ? one.inbox.next() : nextLife(one);
      proxy.cut();
      if (recovers) await serviceClient(broker, "chat").sendToUser("ann", "are you back?", text);
      await back;
      assert.equal(one.lives.length, recovers ? 1 : 2);
      // A connection that was recovered knows what it has done; another one does not.
      assert.equal((await send()).isDuplicated, recovers);
      assert.equal((await send()).isDuplicated, true);
      await one.client.sendToGroup("g", "last", "text");
      const got = recovers ? ["once", "last"] : ["once", "once", "last"];
      assert.deepEqual((await witness.inbox.take(got.length)).map((m) => m.data), got);
    });
  });
}
