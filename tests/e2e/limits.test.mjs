// The limits of client-and-rest section 6, each set to something small.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { setTimeout as pass } from "node:timers/promises";
import {
  accessUrl,
  allRoles,
  openJson,
  openSocket,
  refusedStatus,
  reliableProtocol,
  serviceClient,
} from "./lib/clients.mjs";
import { temporaryFolder } from "./lib/paths.mjs";
import { Peer } from "./lib/peers.mjs";
import { startBroker } from "./lib/pubhook.mjs";

async function limited(t, limits, options = {}) {
  const file = `${temporaryFolder(t)}/broker.json`;
  writeFileSync(file, JSON.stringify({ limits }));
  return startBroker(t, { args: ["--config", file], ...options });
}

const text = { contentType: "text/plain" };
const join = (group) => ({ type: "joinGroup", group, ackId: 1 });

describe("limits", () => {
  test("messageBytes: a longer message closes with 1009", async (t) => {
    const broker = await limited(t, { messageBytes: 2000 });
    const socket = await openJson(t, broker, "chat", { roles: allRoles });
    const ping = (size) => socket.send('{"type":"ping"}'.padEnd(size));
    ping(2000);
    assert.deepEqual(await socket.nextJson(), { type: "pong" });
    ping(2001);
    assert.equal((await socket.closed).code, 1009);
  });

  // Its parts need more memory than its bytes, in either encoding.
  test("messageBytes: a short message may have many parts", async (t) => {
    const broker = await limited(t, { messageBytes: 1024 });
    const metadata = Object.fromEntries([...Array(60).keys()].map((n) => [`k${n}`, ""]));
    for (const dialect of ["json", "protobuf"]) {
      const peer = await Peer.open(t, broker, "chat", dialect, { roles: allRoles, groups: ["g"] });
      peer.say({ type: "sendToGroup", group: "g", dataType: "text", data: "x", metadata });
      assert.deepEqual((await peer.next()).metadata, metadata);
    }
    const peer = await Peer.open(t, broker, "chat", "protobuf");
    peer.socket.send(Buffer.alloc(1024, Buffer.from("4a00", "hex"))); // 512 times `ping`: the last counts
    assert.deepEqual(await peer.next(), { type: "pong" });
  });

  test("framesPerSecond: who sends more is closed with 1008, and the log names the setting", async (t) => {
    const broker = await limited(t, { framesPerSecond: 20 });
    const socket = await openJson(t, broker, "chat");
    for (let i = 0; i < 60; i++) socket.sendJson({ type: "ping" });
    const { code, reason } = await socket.closed;
    assert.deepEqual([code, reason], [1008, "The client sends too many messages in a second."]);
    const frames = socket.inbox.rest.map((frame) => JSON.parse(frame));
    // The second may have ended in between; both halves are within the limit then.
    assert.ok(frames.filter((frame) => frame.type === "pong").length <= 40);
    assert.equal(frames.at(-1).event, "disconnected");
    await broker.logged(/closed \(Throttled\).*limits\.framesPerSecond/);
  });

  test("framesPerSecond: who stays below is left alone", async (t) => {
    const broker = await limited(t, { framesPerSecond: 5 });
    const socket = await openJson(t, broker, "chat");
    for (let i = 0; i < 7; i++) {
      socket.sendJson({ type: "ping" });
      assert.deepEqual(await socket.nextJson(), { type: "pong" });
      await pass(300); // the pace is what is tested
    }
  });

  test("groupNameCharacters, of clients, tokens and services", async (t) => {
    const broker = await limited(t, { groupNameCharacters: 4 });
    const socket = await openJson(t, broker, "chat", { roles: allRoles, groups: ["äöüß"] });
    socket.sendJson(join("five5"));
    assert.equal((await socket.nextJson()).error.name, "BadRequest");
    socket.sendJson({ type: "sendToGroup", group: "five5", stream: { streamId: "s" } });
    const { type, streamId, error } = await socket.nextJson();
    assert.deepEqual([type, streamId, error.name], ["streamClosed", "s", "BadRequest"]);
    socket.sendJson(join("four"));
    assert.equal((await socket.nextJson()).success, true);
    assert.equal(await refusedStatus(await accessUrl(broker, "chat", { groups: ["five5"] })), 400);
    await broker.logged(/refused with 400: .*limits\.groupNameCharacters/);
    await assert.rejects(serviceClient(broker, "chat").group("five5").sendToAll("x", text), { statusCode: 400 });
  });

  test("groupsPerConnection, of clients, tokens and services", async (t) => {
    const broker = await limited(t, { groupsPerConnection: 2 });
    const service = serviceClient(broker, "chat");
    const socket = await openJson(t, broker, "chat", { roles: allRoles, groups: ["one", "two"] });
    socket.sendJson(join("three"));
    const { error } = await socket.nextJson();
    assert.equal(error.name, "BadRequest");
    assert.match(error.message, /limits\.groupsPerConnection/);
    await service.group("two").addConnection(socket.welcome.connectionId);
    await assert.rejects(service.group("three").addConnection(socket.welcome.connectionId), { statusCode: 409 });
    await service.addConnectionsToGroups(["three"], ""); // others may have joined
    await broker.logged(/REST call refused with 409: .*limits\.groupsPerConnection/);
    await broker.logged(/not added to groups.*limits\.groupsPerConnection/);
    assert.equal(await service.groupExists("three"), false);
    assert.equal(await refusedStatus(await accessUrl(broker, "chat", { groups: ["a", "b", "c"] })), 400);
    await broker.logged(/refused with 400: .*limits\.groupsPerConnection/);
  });

  test("userIdCharacters", async (t) => {
    const broker = await limited(t, { userIdCharacters: 3 });
    await openJson(t, broker, "chat", { userId: "ann" });
    assert.equal(await refusedStatus(await accessUrl(broker, "chat", { userId: "anna" })), 400);
    await broker.logged(/refused with 400: .*limits\.userIdCharacters/);
  });

  test("unackedMessages, of a reliable client that is away", async (t) => {
    const broker = await limited(t, { unackedMessages: 2, recoverySeconds: 60 });
    const service = serviceClient(broker, "chat");
    const socket = await openJson(t, broker, "chat", {}, reliableProtocol);
    const { connectionId } = socket.welcome;
    for (let i = 0; i < 2; i++) await service.sendToConnection(connectionId, "x", text);
    await socket.inbox.take(2);
    assert.equal(await service.connectionExists(connectionId), true);
    await service.sendToConnection(connectionId, "one too many", text);
    assert.equal((await socket.closed).code, 1008);
    await broker.logged(/closed \(UnackedClient\).*limits\.unackedMessages/);
    assert.equal(await service.connectionExists(connectionId), false);
  });

  const slowly = {
    queueMessages: { queueMessages: 3, queueBytes: 100_000_000 },
    queueBytes: { queueMessages: 1_000_000, queueBytes: 2_000_000 },
  };
  for (const [limit, limits] of Object.entries(slowly)) {
    test(`${limit}, of a client that reads slowly`, async (t) => {
      const broker = await limited(t, limits);
      const service = serviceClient(broker, "chat");
      const slow = await openJson(t, broker, "chat", { userId: "slow" });
      slow.ws.pause();
      const filler = "x".repeat(1_000_000);
      // The kernel takes as much as it likes before the queue gets anything.
      for (let i = 0; i < 100 && !/SlowClient/.test(broker.log); i++) await service.sendToUser("slow", filler, text);
      await broker.logged(new RegExp(`closed \\(SlowClient\\).*limits\\.${limit}`));
    });
  }

  test("unackedBytes, of a reliable client that acknowledges nothing", async (t) => {
    const broker = await limited(t, { unackedBytes: 1024 });
    const service = serviceClient(broker, "chat");
    const socket = await openJson(t, broker, "chat", {}, reliableProtocol);
    const { connectionId } = socket.welcome;
    const send = () => service.sendToConnection(connectionId, "x".repeat(400), text);
    await send();
    await send();
    const [, second] = (await socket.inbox.take(2)).map((frame) => JSON.parse(frame));
    socket.sendJson({ type: "sequenceAck", sequenceId: second.sequenceId });
    await socket.heard();
    for (let i = 0; i < 3; i++) await send();
    assert.equal((await socket.closed).code, 1008);
    assert.equal(socket.inbox.rest.filter((frame) => JSON.parse(frame).type === "message").length, 2);
    await broker.logged(/closed \(UnackedClient\).*limits\.unackedBytes/);
  });

  test("streamsPerConnection", async (t) => {
    const broker = await limited(t, { streamsPerConnection: 2 });
    const socket = await openJson(t, broker, "chat", { roles: allRoles });
    const open = async (streamId) => {
      socket.sendJson({ type: "sendToGroup", group: "g", stream: { streamId } });
      const { type, error } = await socket.nextJson();
      return error?.name ?? type;
    };
    assert.deepEqual([await open("a"), await open("b"), await open("c")], ["streamAck", "streamAck", "BadRequest"]);
    socket.sendJson({ type: "streamEnd", streamId: "a" });
    assert.deepEqual(await socket.nextJson(), { type: "streamClosed", streamId: "a" });
    assert.equal(await open("c"), "streamAck", "one has ended");
    const other = await openJson(t, broker, "chat", { roles: allRoles });
    other.sendJson({ type: "sendToGroup", group: "g", stream: { streamId: "a" } });
    assert.equal((await other.nextJson()).type, "streamAck", "each connection has its own");
  });

  test("streamIdleSeconds, of a stream that names no limit", async (t) => {
    const broker = await limited(t, { streamIdleSeconds: 1 });
    const socket = await openJson(t, broker, "chat", { roles: allRoles });
    for (const stream of [{ streamId: "long", idleTimeoutMs: 60_000 }, { streamId: "usual" }]) {
      socket.sendJson({ type: "sendToGroup", group: "g", stream });
      assert.equal((await socket.nextJson()).type, "streamAck");
    }
    const { type, streamId, error } = await socket.nextJson();
    assert.deepEqual([type, streamId, error.name], ["streamClosed", "usual", "IdleTimeout"]);
    socket.sendJson({ type: "streamEnd", streamId: "long" });
    assert.deepEqual(await socket.nextJson(), { type: "streamClosed", streamId: "long" });
  });

  test("groupStatesPerConnection and groupStatesPerGroup", async (t) => {
    // One shard: how many a group has is known to the others a moment later.
    const broker = await limited(t, { groupStatesPerConnection: 2, groupStatesPerGroup: 1 }, { threads: 1 });
    const roles = ["webpubsub.setGroupState", "webpubsub.getGroupState"];
    const open = () => openJson(t, broker, "chat", { roles, groups: ["a", "b", "c"] });
    const set = async (socket, group) => {
      socket.sendJson({ type: "setGroupState", group, ackId: (socket.acks = (socket.acks ?? 0) + 1), state: { k: "v" } });
      return (await socket.nextJson()).error;
    };
    const [one, two] = [await open(), await open()];
    assert.deepEqual([await set(one, "a"), await set(one, "b"), await set(one, "a")], [undefined, undefined, undefined]);
    assert.deepEqual(await set(one, "c"), { name: "BadRequest", message: "The connection has states or subscriptions in too many groups." });
    assert.deepEqual(await set(two, "a"), { name: "BadRequest", message: "Too many connections have a state in this group." });
    assert.equal(await set(two, "c"), undefined);
  });

  test("recoverySeconds", async (t) => {
    const broker = await limited(t, { recoverySeconds: 1 });
    const service = serviceClient(broker, "chat");
    const socket = await openJson(t, broker, "chat", {}, reliableProtocol);
    socket.cut();
    await broker.logged(/lost its socket, and may come back within 1 s/);
    await broker.logged(/The connection recovery timeout expired/);
    assert.equal(await service.connectionExists(socket.welcome.connectionId), false);
  });

  test("ackIds", async (t) => {
    const broker = await limited(t, { ackIds: 1 });
    const socket = await openJson(t, broker, "chat", { roles: allRoles });
    const again = async (ackId) => {
      socket.sendJson({ ...join("g"), ackId });
      return (await socket.nextJson()).success;
    };
    assert.deepEqual([await again(1), await again(1), await again(2), await again(1)], [true, false, true, true]);
  });

  test("permissionNames and permissionPatterns", async (t) => {
    const broker = await limited(t, { permissionNames: 1, permissionPatterns: 1 });
    const roles = ["joinLeaveGroup.a", "joinLeaveGroup.b", "joinLeaveGroups.c*", "joinLeaveGroups.d*"];
    const socket = await openJson(t, broker, "chat", { roles: roles.map((role) => `webpubsub.${role}`) });
    const got = [];
    for (const [i, group] of ["a", "b", "cc", "dd"].entries()) {
      socket.sendJson({ ...join(group), ackId: i + 1 });
      got.push((await socket.nextJson()).success);
    }
    assert.deepEqual(got, [true, false, true, false]);
    await broker.logged(/limits\.permissionNames or limits\.permissionPatterns/);
  });

  test("restBodyBytes and filterBytes", async (t) => {
    const broker = await limited(t, { restBodyBytes: 1024, filterBytes: 20 });
    const service = serviceClient(broker, "chat");
    await service.sendToAll("x".repeat(1024), text);
    await assert.rejects(service.sendToAll("x".repeat(1025), text), { statusCode: 413 });
    await service.sendToAll("x", { ...text, filter: "userId eq '345678 0'" });
    await assert.rejects(service.sendToAll("x", { ...text, filter: "userId eq '345678 01'" }), { statusCode: 400 });
  });

  test("limits change while the broker runs", async (t) => {
    const file = `${temporaryFolder(t)}/broker.json`;
    const set = (limits) => writeFileSync(file, JSON.stringify({ limits }));
    set({ groupNameCharacters: 3 });
    const broker = await startBroker(t, { threads: 1, args: ["--config", file] });
    const socket = await openJson(t, broker, "chat", { roles: allRoles });
    const joins = async (group, ackId) => {
      socket.sendJson({ ...join(group), ackId });
      return (await socket.nextJson()).success;
    };
    assert.equal(await joins("four", 1), false);
    set({ groupNameCharacters: 4, messageBytes: 1024 });
    for (let ackId = 2; !(await joins("four", ackId)); ackId++) await pass(50); // until the file is read
    const large = '{"type":"ping"}'.padEnd(1025);
    const fresh = await openJson(t, broker, "chat");
    fresh.send(large);
    assert.equal((await fresh.closed).code, 1009);
    socket.send(large);
    assert.deepEqual(await socket.nextJson(), { type: "pong" }, "an open connection keeps the size of its messages");
  });

  test("a raw client's message has the same limit", async (t) => {
    const broker = await limited(t, { messageBytes: 1024 });
    const url = await accessUrl(broker, "chat", { roles: ["webpubsub.sendToGroup"], groups: ["g"] });
    const raw = await openSocket(t, `${url}&webpubsub_mode=sendToGroup&group=g`);
    raw.send("x".repeat(1024));
    assert.equal((await raw.inbox.next()).length, 1024);
    raw.send("x".repeat(1025));
    assert.equal((await raw.closed).code, 1009);
  });
});
