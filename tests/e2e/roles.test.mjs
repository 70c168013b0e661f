// Roles and what they permit, with the official client.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  accessUrl,
  jsonProtocol,
  openJson,
  openSocket,
  reliableProtocol,
  serviceClient,
  startClient,
} from "./lib/clients.mjs";
import { startBroker } from "./lib/pubhook.mjs";

const forbidden = (error) => error.errorDetail?.name === "Forbidden";

function roleTests(threads) {
  const limited = async (t, broker, roles) => {
    const getUrl = () => accessUrl(broker, "chat", { roles });
    return (await startClient(t, getUrl, { protocol: jsonProtocol, messageRetryOptions: { maxRetries: 0 } })).client;
  };

  test("patterns permit the groups that they match, and no others", async (t) => {
    const broker = await startBroker(t, { threads });
    const client = await limited(t, broker, ["webpubsub.joinLeaveGroups.rooms.*", "webpubsub.sendToGroups.rooms.**"]);
    await client.joinGroup("rooms.a");
    await client.sendToGroup("rooms.a.b", "deep", "text");
    await assert.rejects(client.joinGroup("rooms.a.b"), forbidden);
    await assert.rejects(client.sendToGroup("hall", "x", "text"), forbidden);
    await client.leaveGroup("rooms.a");
  });

  test("`**` permits every group", async (t) => {
    const broker = await startBroker(t, { threads });
    const client = await limited(t, broker, ["webpubsub.joinLeaveGroups.**"]);
    await client.joinGroup("any.group/at all");
    await assert.rejects(client.sendToGroup("any", "x", "text"), forbidden);
  });

  test("a role beyond the limits is refused with a line in the log, and the others count", async (t) => {
    const broker = await startBroker(t, { threads });
    const client = await limited(t, broker, [
      "webpubsub.joinLeaveGroups.*a*b*c*d*e*",
      "webpubsub.joinLeaveGroups.bad\\escape",
      "webpubsub.joingroup",
      "webpubsub.joinLeaveGroup.good",
      ...Array.from({ length: 10 }, (_, i) => `webpubsub.sendToGroups.p${i}*`),
    ]);
    await client.joinGroup("good");
    await client.sendToGroup("p8x", "x", "text");
    await assert.rejects(client.sendToGroup("p9x", "x", "text"), forbidden);
    for (const [role, why] of [
      ["\\*a\\*b", "more than 5"],
      ["bad", "before something else"],
      ["webpubsub.joingroup", "with their case"],
      ["p9", "limits.permissionPatterns"],
    ]) {
      await broker.logged(new RegExp(`role .*${role}.* is refused: .*${why}`));
    }
  });

  test("services grant and revoke, at once and across a recovery", async (t) => {
    const broker = await startBroker(t, { threads });
    const service = serviceClient(broker, "chat");
    const roles = ["webpubsub.joinLeaveGroups.rooms.*"];
    let socket = await openJson(t, broker, "chat", { roles }, reliableProtocol);
    const { connectionId } = socket.welcome;
    let ackId = 0;
    const joins = async (group) => {
      socket.sendJson({ type: "joinGroup", group, ackId: ++ackId });
      const { success, error } = await socket.nextJson();
      assert.equal(error?.name, success ? undefined : "Forbidden");
      assert.equal(await service.hasPermission(connectionId, "joinLeaveGroup", { targetName: group }), success);
      return success;
    };
    assert.deepEqual([await joins("rooms.a"), await joins("rooms.b"), await joins("hall")], [true, true, false]);
    await service.revokePermission(connectionId, "joinLeaveGroup", { targetName: "rooms.a" });
    await service.grantPermission(connectionId, "joinLeaveGroup", { targetName: "hall" });
    assert.deepEqual([await joins("rooms.a"), await joins("rooms.b"), await joins("hall")], [false, true, true]);

    const { reconnectionToken } = socket.welcome;
    socket.cut();
    await service.revokePermission(connectionId, "joinLeaveGroup", { targetName: "rooms.b" });
    const url = new URL(await accessUrl(broker, "chat"));
    url.searchParams.set("awps_connection_id", connectionId);
    url.searchParams.set("awps_reconnection_token", reconnectionToken);
    socket = await openSocket(t, url.href, reliableProtocol);
    assert.equal((await socket.nextJson()).event, "connected");
    assert.deepEqual([await joins("rooms.a"), await joins("rooms.b"), await joins("hall")], [false, false, true]);
    await service.grantPermission(connectionId, "joinLeaveGroup", { targetName: "rooms.a" });
    assert.equal(await joins("rooms.a"), true);
  });

  test("a raw client in sendToGroup mode needs the role; noEcho keeps its own messages from it", async (t) => {
    const broker = await startBroker(t, { threads });
    const raw = async (query, roles) =>
      openSocket(t, `${await accessUrl(broker, "chat", { roles, groups: ["g"] })}&webpubsub_mode=sendToGroup&group=g${query}`);
    const loud = await raw("", ["webpubsub.sendToGroups.?"]);
    const quiet = await raw("&noEcho=true", ["webpubsub.sendToGroup.g"]);
    quiet.send("from quiet");
    assert.equal(await loud.inbox.next(), "from quiet");
    loud.send("from loud");
    assert.deepEqual([await loud.inbox.next(), await quiet.inbox.next()], ["from loud", "from loud"]);
    const none = await raw("", ["webpubsub.sendToGroup.other"]);
    none.send("x");
    assert.deepEqual(await none.closed, {
      code: 1008,
      reason: "The connection is not authorized for raw sendToGroup mode.",
    });
  });
}

for (const threads of [1, 3]) describe(`${threads} threads`, () => roleTests(threads));
