// Messages with a lifetime: ttlSeconds of clients, messageTtlSeconds of services. Whoever
// does not get one in time does not get it at all.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as pass } from "node:timers/promises";
import { accessUrl, allRoles, openJson, openSocket, reliableProtocol, serviceClient } from "./lib/clients.mjs";
import { startBroker } from "./lib/pubhook.mjs";

// What has one second to live is over then, by a clock that all processes share.
const lifetime = () => pass(1100);

async function recover(t, broker, { connectionId, reconnectionToken }) {
  const url = new URL(await accessUrl(broker, "chat"));
  url.searchParams.set("awps_connection_id", connectionId);
  url.searchParams.set("awps_reconnection_token", reconnectionToken);
  const socket = await openSocket(t, url.href, reliableProtocol);
  socket.welcome = await socket.nextJson();
  return socket;
}

for (const threads of [1, 3]) {
  describe(`lifetime of messages, ${threads} threads`, () => {
    test("a detached client gets what is still good when it comes back", async (t) => {
      const broker = await startBroker(t, { threads });
      let reliable = await openJson(t, broker, "chat", { userId: "ann", groups: ["g"] }, reliableProtocol);
      const sender = await openJson(t, broker, "chat", { roles: allRoles, groups: ["g"] });
      const hub = serviceClient(broker, "chat");
      const service = hub.group("g");
      const send = (data, ttlSeconds) =>
        sender.sendJson({ type: "sendToGroup", group: "g", dataType: "text", data, ttlSeconds });

      await service.sendToAll("first", { contentType: "text/plain" });
      const { sequenceId, data } = await reliable.nextJson();
      assert.deepEqual([sequenceId, data], [1, "first"]);
      reliable.sendJson({ type: "sequenceAck", sequenceId });
      reliable.cut();
      send("client, 1 s", 1);
      send("client, 300 s", 300);
      await service.sendToAll("service, 1 s", { contentType: "text/plain", messageTtlSeconds: 1 });
      await service.sendToAll("service, for ever", { contentType: "text/plain", messageTtlSeconds: 0 });
      const brief = { contentType: "text/plain", messageTtlSeconds: 1 };
      await hub.sendToAll("all, 1 s", brief);
      await hub.sendToUser("ann", "user, 1 s", brief);
      await hub.sendToConnection(reliable.welcome.connectionId, "connection, 1 s", brief);
      await sender.inbox.take(6);
      await lifetime();
      send("end");
      await sender.inbox.next();

      const want = ["client, 300 s", "service, for ever", "end"];
      for (let round = 0; round < 2; round++) {
        reliable = await recover(t, broker, reliable.welcome);
        const got = [];
        while (got.at(-1)?.data !== "end") got.push(await reliable.nextJson());
        assert.deepEqual(new Set(got.map((m) => m.data)), new Set(want));
        assert.ok(got.every((m, i) => i === 0 || m.sequenceId > got[i - 1].sequenceId), "ids rise, with gaps");
        assert.equal(got.at(-1).sequenceId, 9);
        reliable.cut();
      }
    });

    test("a slow client gets what is still good when it reads again", async (t) => {
      const broker = await startBroker(t, { threads });
      const slow = await openJson(t, broker, "chat", { userId: "slow" });
      const service = serviceClient(broker, "chat");
      const send = (text, messageTtlSeconds) =>
        service.sendToUser("slow", text, { contentType: "text/plain", messageTtlSeconds });

      slow.ws.pause();
      const filler = "x".repeat(1_000_000); // 15 MB: more than socket buffers take, less than the queue
      for (let i = 0; i < 15; i++) await send(filler);
      await send("perishable", 1);
      await send("lasting", 300);
      await lifetime();
      slow.ws.resume();
      for (let i = 0; i < 15; i++) assert.equal((await slow.nextJson()).data.length, filler.length);
      assert.equal((await slow.nextJson()).data, "lasting");
    });
  });
}
