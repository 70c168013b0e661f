// Every operation of the data-plane REST API, with the official package where it reaches
// it and with plain HTTP where it does not (client-and-rest section 5.2).

import assert from "node:assert/strict";
import { request } from "node:http";
import { test } from "node:test";
import { accessUrl, openJson, openSocket, reliableProtocol, serviceClient } from "./lib/clients.mjs";
import { RawConnection } from "./lib/net.mjs";
import { defaultKey, startBroker } from "./lib/pubhook.mjs";
import { call, now, signToken } from "./lib/tokens.mjs";

const versions = "2021-10-01, 2022-11-01, 2023-07-01, 2024-01-01, 2024-12-01";
const newest = "api-version=2024-12-01";
const text = { contentType: "text/plain" };
const mebibyte = 1024 * 1024;
// Names that lose something when they are decoded too often, too early or not at all.
// (The package itself loses "..", which is resolved as a step up in its URL.)
const names = [
  "a/b", "50%", "%2F", "%252F", "a b+c", "a?b#c&d=e", "Ω/\u{1F600}", ":send", "'\"\\",
  "x".repeat(1024), "€".repeat(1024), "\u{1F600}".repeat(1024),
];

// Who is in the group? Everybody else gets nothing before the mark that all get.
async function membersOf(broker, group, sockets) {
  const service = serviceClient(broker, "chat");
  await service.group(group).sendToAll("member", text);
  await service.sendToAll("mark", text);
  const members = [];
  for (const socket of sockets) {
    let frame = await socket.nextJson();
    if (frame.data === "member") {
      members.push(socket);
      frame = await socket.nextJson();
    }
    assert.equal(frame.data, "mark");
  }
  return members.map((socket) => sockets.indexOf(socket));
}

// Three connections: two of ann, one of bob.
async function trio(t, options = {}) {
  const broker = await startBroker(t, options);
  const sockets = [];
  for (const userId of ["ann", "ann", "bob"]) sockets.push(await openJson(t, broker, "chat", { userId }));
  return { broker, service: serviceClient(broker, "chat"), sockets, ids: sockets.map((socket) => socket.welcome.connectionId) };
}

// What a client reads when a service closes its connection, and then the close frame.
async function closedWith(socket, reason) {
  const goodbye = await socket.nextJson();
  assert.deepEqual([goodbye.type, goodbye.event], ["system", "disconnected"]);
  assert.equal(goodbye.message, `Application server closed the connection.${reason ? ` Reason: ${reason}` : ""}`);
  assert.deepEqual(await socket.closed, { code: 1000, reason: "" });
}

async function stillOpen(broker, sockets) {
  await serviceClient(broker, "chat").sendToAll("still here", text);
  for (const socket of sockets) assert.equal((await socket.nextJson()).data, "still here");
}

// --- Closing ---------------------------------------------------------------------------

test("closeAllConnections, with a reason, and without those that are excluded", async (t) => {
  const { broker, service, sockets, ids } = await trio(t);
  const elsewhere = await openJson(t, broker, "other");
  const path = `/api/hubs/chat/:closeConnections?${newest}&reason=a%20b%2F%C3%A9&excluded=${ids[1]}&excluded=${ids[2]}&excluded=nobody`;
  assert.equal((await call(broker, "POST", path)).status, 204);
  await closedWith(sockets[0], "a b/é");
  await stillOpen(broker, sockets.slice(1));
  await service.closeAllConnections();
  await closedWith(sockets[1]);
  await closedWith(sockets[2]);
  await service.closeAllConnections({ reason: "nobody hears it" });
  elsewhere.sendJson({ type: "ping" });
  assert.equal((await elsewhere.nextJson()).type, "pong");
});

test("group.closeAllConnections closes the members alone", async (t) => {
  const { broker, service, sockets, ids } = await trio(t);
  const group = service.group("a/b %");
  for (const id of ids.slice(0, 2)) await group.addConnection(id);
  const path = `/api/hubs/chat/groups/a%2Fb%20%25/:closeConnections?${newest}&excluded=${ids[0]}`;
  assert.equal((await call(broker, "POST", path)).status, 204);
  await closedWith(sockets[1]);
  await group.closeAllConnections({ reason: "bye" });
  await closedWith(sockets[0], "bye");
  await stillOpen(broker, [sockets[2]]);
  await service.group("empty").closeAllConnections();
});

test("closeUserConnections closes all of a user's connections", async (t) => {
  const { broker, service, sockets, ids } = await trio(t);
  assert.equal((await call(broker, "POST", `/api/hubs/chat/users/ann/:closeConnections?excluded=${ids[1]}`)).status, 204);
  await closedWith(sockets[0]);
  await service.closeUserConnections("ann", { reason: "out" });
  await closedWith(sockets[1], "out");
  await stillOpen(broker, [sockets[2]]);
  await service.closeUserConnections("nobody");
});

test("closeConnection; raw clients see the close frame alone; nobody recovers", async (t) => {
  const { broker, service, sockets, ids } = await trio(t);
  await service.closeConnection(ids[0]);
  await closedWith(sockets[0]);
  await service.closeConnection(ids[0]); // 204 all the same
  const raw = await openSocket(t, await accessUrl(broker, "chat", { userId: "raw" }));
  await service.closeUserConnections("raw", { reason: "not shown" });
  assert.deepEqual(await raw.closed, { code: 1000, reason: "" });
  assert.deepEqual(raw.inbox.rest, []);
  const lost = await openJson(t, broker, "chat", { userId: "lost" }, reliableProtocol);
  const { connectionId, reconnectionToken } = lost.welcome;
  lost.cut();
  await lost.closed;
  assert.equal(await service.connectionExists(connectionId), true, "it may come back");
  assert.equal(await service.userExists("lost"), true);
  await service.closeConnection(connectionId);
  assert.equal(await service.connectionExists(connectionId), false);
  const recovery = `ws://${broker.host}/client/hubs/chat?awps_connection_id=${connectionId}&awps_reconnection_token=${reconnectionToken}`;
  const late = await openSocket(t, recovery, reliableProtocol);
  assert.equal((await late.closed).code, 1008);
});

test("a reason of any length closes, cut between two characters", async (t) => {
  const { service, sockets } = await trio(t);
  await service.closeAllConnections({ reason: `x${"é".repeat(1024)}` });
  const { message } = await sockets[0].nextJson();
  assert.equal(message, `Application server closed the connection. Reason: x${"é".repeat(511)}`);
});

// --- Groups ---------------------------------------------------------------------------

test("connections and users join and leave groups, by any name", async (t) => {
  const { broker, service, sockets, ids } = await trio(t);
  for (const name of names) {
    const group = service.group(name);
    await group.addConnection(ids[0]);
    await group.addUser("bob");
    assert.deepEqual(await membersOf(broker, name, sockets), [0, 2], name);
    assert.equal(await service.groupExists(name), true);
    await group.removeConnection(ids[0]);
    await group.removeUser("bob");
    assert.deepEqual(await membersOf(broker, name, sockets), [], name);
    assert.equal(await service.groupExists(name), false);
  }
});

test("a group name of the longest kind, 1024 characters of four bytes, works in every operation", async (t) => {
  const { broker, service, sockets, ids } = await trio(t);
  const name = "\u{1f600}".repeat(1024); // 12 KiB of the URL, which the token repeats
  const group = service.group(name);
  await group.addConnection(ids[0]);
  await group.addUser("bob");
  assert.deepEqual(await membersOf(broker, name, sockets), [0, 2]);
  assert.equal(await service.groupExists(name), true);
  await group.sendToAll("to the group", { ...text, filter: "userId eq 'bob'" });
  assert.equal((await sockets[2].nextJson()).group, name);
  await service.grantPermission(ids[1], "sendToGroup", { targetName: name });
  assert.equal(await service.hasPermission(ids[1], "sendToGroup", { targetName: name }), true);
  await service.revokePermission(ids[1], "sendToGroup", { targetName: name });
  await service.addConnectionsToGroups([name], "userId eq 'ann'");
  const members = [];
  for await (const member of await group.listConnections({ maxPageSize: 1 })) members.push(member.connectionId);
  assert.deepEqual(members.sort(), [...ids].sort());
  await service.removeConnectionsFromGroups([name], "userId eq 'ann'");
  await group.removeUser("bob");
  await group.addConnection(ids[1]);
  await group.removeConnection(ids[1]);
  assert.equal(await service.groupExists(name), false);
  await group.addConnection(ids[0]);
  await group.closeAllConnections({ reason: "x".repeat(500) });
  await closedWith(sockets[0], "x".repeat(500));
});

test("user ids may be any name", async (t) => {
  const broker = await startBroker(t);
  const service = serviceClient(broker, "chat");
  for (const userId of names) {
    const socket = await openJson(t, broker, "chat", { userId });
    assert.equal(socket.welcome.userId, userId);
    assert.equal(await service.userExists(userId), true, userId);
    await service.sendToUser(userId, "to you", text);
    assert.equal((await socket.nextJson()).data, "to you");
    await service.group("g").addUser(userId);
    await service.removeUserFromAllGroups(userId);
    await service.closeUserConnections(userId);
    await closedWith(socket);
    assert.equal(await service.userExists(userId), false, userId);
  }
});

test("removeUserFromAllGroups and removeConnectionFromAllGroups", async (t) => {
  const { broker, service, sockets, ids } = await trio(t);
  for (const name of ["g", "h/1"]) {
    await service.group(name).addUser("ann");
    await service.group(name).addUser("bob");
  }
  await service.removeConnectionFromAllGroups(ids[0]);
  assert.deepEqual(await membersOf(broker, "g", sockets), [1, 2]);
  await service.removeUserFromAllGroups("bob");
  assert.deepEqual(await membersOf(broker, "h/1", sockets), [1]);
  await service.removeUserFromAllGroups("ann");
  assert.deepEqual(await membersOf(broker, "g", sockets), []);
  // idempotent, also for those who are not there
  await service.removeUserFromAllGroups("ann");
  await service.removeUserFromAllGroups("nobody");
  await service.removeConnectionFromAllGroups("nobody");
});

test("a user who is not there joins nothing, neither now nor later", async (t) => {
  const broker = await startBroker(t);
  const service = serviceClient(broker, "chat");
  await assert.rejects(service.group("g").addUser("late"), { statusCode: 404 });
  const late = await openJson(t, broker, "chat", { userId: "late" });
  assert.deepEqual(await membersOf(broker, "g", [late]), []);
});

test("addConnectionsToGroups and removeConnectionsFromGroups without a filter mean everybody", async (t) => {
  const { broker, service, sockets } = await trio(t);
  const other = await openJson(t, broker, "other");
  await service.addConnectionsToGroups(["g", "h/%", "g"], "");
  assert.deepEqual(await membersOf(broker, "g", sockets), [0, 1, 2]);
  assert.deepEqual(await membersOf(broker, "h/%", sockets), [0, 1, 2]);
  await service.removeConnectionsFromGroups(["h/%", "never joined"], undefined);
  assert.deepEqual(await membersOf(broker, "h/%", sockets), []);
  assert.deepEqual(await membersOf(broker, "g", sockets), [0, 1, 2]);
  assert.equal(await serviceClient(broker, "other").groupExists("g"), false);
  assert.deepEqual(other.inbox.rest, []);
});

test("filters and lists: one look at each operation that has them", async (t) => {
  const { broker, service, sockets, ids } = await trio(t);
  const ann = "userId eq 'ann'";
  await service.addConnectionsToGroups(["g/1"], ann);
  assert.deepEqual(await membersOf(broker, "g/1", sockets), [0, 1]);
  await service.removeConnectionsFromGroups(["g/1"], `connectionId eq '${ids[0]}'`);
  assert.deepEqual(await membersOf(broker, "g/1", sockets), [1]);
  await service.group("g/1").addConnection(ids[2]);
  const only = async (send) => {
    await send({ ...text, filter: ann });
    await service.sendToAll("mark", text);
    assert.deepEqual((await sockets[1].inbox.take(2)).map((frame) => JSON.parse(frame).data), ["to ann", "mark"]);
    assert.equal((await sockets[2].nextJson()).data, "mark");
  };
  await only((options) => service.group("g/1").sendToAll("to ann", options));
  await only((options) => service.sendToUser("ann", "to ann", options));
  await only((options) => service.sendToAll("to ann", options));
  for (const badCall of [
    () => service.sendToAll("x", { ...text, filter: "userId lt 1" }),
    () => service.group("g").sendToAll("x", { ...text, filter: "userId lt 1" }),
    () => service.sendToUser("u", "x", { ...text, filter: "userId lt 1" }),
    () => service.addConnectionsToGroups(["g"], "userId lt 1"),
    () => service.removeConnectionsFromGroups(["g"], "userId lt 1"),
  ]) {
    await assert.rejects(badCall, { statusCode: 400, code: "Error.BadRequest", message: /\(Parameter 'filter'\)/ });
  }
  const members = [];
  for await (const member of await service.group("g/1").listConnections({ maxPageSize: 1 })) members.push(member);
  assert.deepEqual(
    members.sort((a, b) => a.userId.localeCompare(b.userId)),
    [{ connectionId: ids[1], userId: "ann" }, { connectionId: ids[2], userId: "bob" }],
  );
});

// --- Permissions ----------------------------------------------------------------------

// Sends a frame and returns the name of the ack's error, or "ok".
async function ackOf(socket, frame) {
  socket.sendJson({ ackId: (socket.acks = (socket.acks ?? 0) + 1), ...frame });
  const ack = await socket.nextJson();
  assert.equal(ack.type, "ack");
  return ack.success ? "ok" : ack.error.name;
}

test("permissions are granted, looked at and revoked, at once", async (t) => {
  const { broker, service, sockets, sockets: [ann], ids: [id] } = await trio(t);
  const join = (group) => ackOf(ann, { type: "joinGroup", group });
  const send = (group) => ackOf(ann, { type: "sendToGroup", group, dataType: "text", data: "x", noEcho: true });
  assert.equal(await service.hasPermission(id, "joinLeaveGroup", { targetName: "g/1" }), false);
  assert.equal(await join("g/1"), "Forbidden");
  await service.grantPermission(id, "joinLeaveGroup", { targetName: "g/1" });
  assert.equal(await service.hasPermission(id, "joinLeaveGroup", { targetName: "g/1" }), true);
  assert.equal(await service.hasPermission(id, "joinLeaveGroup", { targetName: "g" }), false);
  assert.equal(await service.hasPermission(id, "sendToGroup", { targetName: "g/1" }), false);
  assert.equal(await join("g/1"), "ok");
  assert.equal(await join("g"), "Forbidden");
  assert.equal(await send("g/1"), "Forbidden");
  // without targetName: every group
  await service.grantPermission(id, "sendToGroup");
  assert.equal(await service.hasPermission(id, "sendToGroup"), true);
  assert.equal(await send("any"), "ok");
  await service.revokePermission(id, "sendToGroup", { targetName: "any" });
  assert.equal(await send("any"), "Forbidden");
  assert.equal(await send("another"), "ok");
  await service.revokePermission(id, "sendToGroup");
  assert.equal(await send("another"), "Forbidden");
  await service.revokePermission(id, "joinLeaveGroup", { targetName: "g/1" });
  assert.equal(await join("g/1"), "Forbidden");
  assert.equal(await ackOf(ann, { type: "leaveGroup", group: "g/1" }), "Forbidden");
  assert.deepEqual(await membersOf(broker, "g/1", sockets), [0], "who is in a group stays in it");
});

test("permissions are called by name in any case, or by number", async (t) => {
  const { broker, ids: [id] } = await trio(t);
  const status = async (method, permission) =>
    (await call(broker, method, `/api/hubs/chat/permissions/${permission}/connections/${id}?${newest}&targetName=g`)).status;
  for (const [granted, asked] of [["SENDTOGROUP", "1"], ["2", "joinleavegroup"]]) {
    assert.equal(await status("HEAD", asked), 404);
    assert.equal(await status("PUT", granted), 200);
    assert.equal(await status("HEAD", asked), 200);
    assert.equal(await status("DELETE", asked), 204);
    assert.equal(await status("HEAD", granted), 404);
  }
});

test("the 1001st name is a conflict and changes nothing", async (t) => {
  const { service, ids: [id] } = await trio(t);
  for (let n = 0; n < 1000; n++) await service.grantPermission(id, "sendToGroup", { targetName: `g${n}` });
  await assert.rejects(service.grantPermission(id, "sendToGroup", { targetName: "g1000" }), {
    statusCode: 409, code: "Error.Connection.Conflict",
  });
  assert.equal(await service.hasPermission(id, "sendToGroup", { targetName: "g1000" }), false);
  assert.equal(await service.hasPermission(id, "sendToGroup", { targetName: "g999" }), true);
  await service.grantPermission(id, "sendToGroup", { targetName: "g5" }); // it has that one
  // A revocation is one name more where a role permits more than that name, and is not
  // answered as if it were done when there is no room for it.
  await service.grantPermission(id, "sendToGroup");
  for (let n = 0; n < 1000; n++) await service.revokePermission(id, "sendToGroup", { targetName: `g${n}` });
  await assert.rejects(service.revokePermission(id, "sendToGroup", { targetName: "g1000" }), {
    statusCode: 409, code: "Error.Connection.Conflict",
  });
  assert.equal(await service.hasPermission(id, "sendToGroup", { targetName: "g1000" }), true);
});

// --- Answers --------------------------------------------------------------------------

const connection404 = (code) => ({
  code, message: "Connection `nobody` is not found.", target: "Connection",
});
const path = (rest) => `/api/hubs/chat${rest}`;
const bad = (message, target = "Request") => [400, "Error.BadRequest", { code: "Error.BadRequest", message, target }];
const json = (body) => ({ headers: { "Content-Type": "application/json" }, body: typeof body === "string" ? body : JSON.stringify(body) });
const list = "A nonempty list of valid group names is required.";
const twice = (name) => bad(`The query parameter ${name} came twice.`);
const badVersion = bad("The specified API version is not supported.", "api-version");
const badTtl = bad("messageTtlSeconds must be a whole number from 0 to 300.");
const badTarget = bad("targetName must be a group name: 1 to 1024 characters, not all white space.");
const badPermission = bad("The permission must be sendToGroup or joinLeaveGroup.");
const permission = (name, query = "") => path(`/permissions/${name}/connections/nobody${query}`);

// Method, path, what is sent, and then status, x-ms-error-code and body (undefined: none;
// a string: the start of the message).
const answers = [
  // operations whose target is not there
  ["HEAD", "/api/health", {}, 200],
  ["GET", "/api/health", {}, 200],
  ["POST", path("/:send"), { body: "x" }, 202],
  ["POST", path("/groups/none/:send"), { body: "x" }, 202],
  ["POST", path("/users/nobody/:send"), { body: "x" }, 202],
  ["POST", path("/connections/nobody/:send"), { body: "x" }, 202],
  ["POST", path("/:closeConnections"), {}, 204],
  ["POST", path("/groups/none/:closeConnections"), {}, 204],
  ["POST", path("/users/nobody/:closeConnections"), {}, 204],
  ["DELETE", path("/connections/nobody"), {}, 204],
  ["HEAD", path("/connections/nobody"), {}, 404],
  ["HEAD", path("/groups/none"), {}, 404, "Warning.Group.NotExisted"],
  ["HEAD", path("/users/nobody"), {}, 404, "Warning.User.NotExisted"],
  ["PUT", path("/groups/g/connections/nobody"), {}, 404, "Error.Connection.NotExisted", connection404("Error.Connection.NotExisted")],
  ["DELETE", path("/groups/g/connections/nobody"), {}, 204],
  ["PUT", path("/users/nobody/groups/g"), {}, 404],
  ["DELETE", path("/users/nobody/groups/g"), {}, 204],
  ["DELETE", path("/users/nobody/groups"), {}, 204],
  ["DELETE", path("/connections/nobody/groups"), {}, 204],
  ["POST", path("/:addToGroups"), json({ groups: ["g"] }), 200],
  ["POST", path("/:removeFromGroups"), json({ groups: ["g"], filter: null }), 200],
  ["PUT", permission("sendToGroup"), {}, 404, "Info.Connection.NotExisted", connection404("Info.Connection.NotExisted")],
  ["DELETE", permission("joinLeaveGroup"), {}, 204],
  ["HEAD", permission("sendToGroup", "?targetName=g"), {}, 404, "Info.Connection.NotExisted"],
  ["POST", path("/:generateToken"), {}, 401],
  // versions
  ...["2021-10-01", "2022-11-01", "2023-07-01", "2024-01-01", "2024-12-01"].map((version) =>
    ["HEAD", path(`/groups/none?api-version=${version}`), {}, 404, "Warning.Group.NotExisted"]),
  ["POST", path("/:send?API-VERSION=2024-12-01"), { body: "x" }, 202],
  ["POST", path("/:send?api-version=2021-05-01-preview"), { body: "x" }, ...badVersion],
  ["POST", path("/:send?api-version="), { body: "x" }, ...badVersion],
  ["POST", path("/:send?api-version=2024-12-01,2021-10-01"), { body: "x" }, ...badVersion],
  ["POST", path(`/:send?${newest}&${newest}`), { body: "x" }, ...badVersion],
  ["GET", "/api/health?api-version=1", {}, ...badVersion],
  // paths and methods
  ["GET", path("/:send"), {}, 405, "Error.MethodNotAllowed", "this path takes the methods POST only"],
  ["POST", path("/groups/g"), { body: "" }, 405, "Error.MethodNotAllowed", "this path takes the methods HEAD only"],
  ["POST", path("/:SEND"), { body: "x" }, 404, "Error.NotFound", "this broker has no operation with this path"],
  ["POST", path("/%3Asend"), { body: "x" }, 404, "Error.NotFound", "this broker has no operation with this path"],
  ["POST", path("/groups/a/b/:send"), { body: "x" }, 404, "Error.NotFound", "this broker has no operation with this path"],
  // names
  ["POST", "/api/hubs/1chat/:send", { body: "x" }, ...bad("Invalid hub name.")],
  ["POST", `/api/hubs/${"x".repeat(129)}/:send`, { body: "x" }, ...bad("Invalid hub name.")],
  ["POST", `/api/hubs/${"x".repeat(128)}/:send`, { body: "x" }, 202],
  ["POST", path("/groups/%20/:send"), { body: "x" }, ...bad("Invalid group name.")],
  ["POST", path(`/groups/${"x".repeat(1025)}/:send`), { body: "x" }, ...bad("Invalid group name.")],
  ["POST", path("/groups/%ff/:send"), { body: "x" }, ...bad("Invalid group name.")],
  ["POST", path("/groups/%4/:send"), { body: "x" }, ...bad("Invalid group name.")],
  ["POST", path("/users//:send"), { body: "x" }, ...bad("Invalid user id.")],
  ["POST", path("/connections/%00/:send"), { body: "x" }, ...bad("Invalid connection id.")],
  // parameters
  ["POST", path("/:send?messageTtlSeconds=300&unknown=1&unknown=2"), { body: "x" }, 202],
  ["POST", path("/:send?API-Version=2024-12-01"), { body: "x" }, 202],
  ["POST", path("/:send?Api-Version=1"), { body: "x" }, ...badVersion],
  ["POST", path("/:send?MESSAGETTLSECONDS=0"), { body: "x" }, 202],
  ["POST", path("/:send?messageTtlSeconds=301"), { body: "x" }, ...badTtl],
  ["POST", path("/groups/g/:send?messageTtlSeconds=-1"), { body: "x" }, ...badTtl],
  ["POST", path("/users/u/:send?messageTtlSeconds=1.5"), { body: "x" }, ...badTtl],
  ["POST", path("/connections/c/:send?messageTtlSeconds="), { body: "x" }, ...badTtl],
  ["POST", path("/:send?messageTtlSeconds=1&messageTtlSeconds=1"), { body: "x" }, ...twice("messageTtlSeconds")],
  ["POST", path("/:closeConnections?reason=a&Reason=b"), {}, ...twice("reason")],
  ["POST", path("/:closeConnections?reason="), {}, 204],
  ["POST", path("/:send?excluded=&filter="), { body: "x" }, 202],
  ["POST", path(`/:send?${"excluded=x&".repeat(1023)}excluded=y`), { body: "x" }, 202],
  ["PUT", path("/groups/%2E%2E/connections/nobody"), {}, 404, "Error.Connection.NotExisted", connection404("Error.Connection.NotExisted")],
  ["POST", path("/:send?excluded=%zz"), { body: "x" }, ...bad("The query has a broken percent-escape or over 1024 parameters.")],
  ["POST", path("/:send?excluded=%ff"), { body: "x" }, ...bad("The query is not UTF-8.")],
  ["POST", path(`/:send?${"a&".repeat(1024)}a`), { body: "x" }, ...bad("The query has a broken percent-escape or over 1024 parameters.")],
  ["PUT", permission("sendToGroup", "?targetName="), {}, ...badTarget],
  ["PUT", permission("sendToGroup", `?targetName=${"x".repeat(1025)}`), {}, ...badTarget],
  ["DELETE", permission("sendToGroup", "?targetName=%20"), {}, ...badTarget],
  ["HEAD", permission("sendToGroup", "?targetName="), {}, 400, "Error.BadRequest"],
  ["HEAD", path("/users/%ff"), {}, 400, "Error.BadRequest"],
  ["PUT", permission("sendToGroup", "?targetName=a&targetName=b"), {}, ...twice("targetName")],
  ["PUT", permission("sendToGroups"), {}, ...badPermission],
  ["DELETE", permission("3"), {}, ...badPermission],
  // bodies of messages
  ["POST", path("/:send"), json("{}"), 202],
  ["POST", path("/:send"), json("{"), 400, "Error.BadRequest", "The request body is not a valid JSON."],
  ["POST", path("/:send"), json(""), 400, "Error.BadRequest", "The request body is not a valid JSON."],
  ["POST", path("/:send"), { headers: { "Content-Type": "text/plain; charset=utf-16" }, body: Buffer.from("ab", "utf16le") }, 202],
  ["POST", path("/:send"), { headers: { "Content-Type": "text/plain" }, body: Buffer.from([0xff]) }, 400, "Error.BadRequest", "The request body is not in the charset"],
  ["POST", path("/:send"), { headers: { "Content-Type": "image/png" }, body: "x" }, 415, "Error.UnsupportedMediaType", "expected one Content-Type"],
  ["POST", path("/:send"), { headers: { "Content-Type": "text/plain; charset=koi8-r" }, body: "x" }, 415, "Error.UnsupportedMediaType", "the charset of the Content-Type is unknown"],
  ["POST", path("/:send"), { headers: { "Content-Type": "application/octet-stream" }, body: Buffer.alloc(mebibyte) }, 202],
  ["POST", path("/:send"), { headers: { "X-WebPubSub-Metadata-K": "ä" }, body: "x" }, 400, "Error.BadRequest", "The headers X-WebPubSub-Metadata"],
  // bodies with groups
  ["POST", path("/:addToGroups"), json({ groups: [] }), ...bad(list)],
  ["POST", path("/:removeFromGroups"), json({ groups: ["g", " "] }), ...bad(list)],
  ["POST", path("/:addToGroups"), json({ groups: [1] }), ...bad(list)],
  ["POST", path("/:addToGroups"), json({ filter: "" }), ...bad(list)],
  ["POST", path("/:addToGroups"), json([]), ...bad(list)],
  ["POST", path("/:addToGroups"), json({ groups: ["g"], filter: 1 }), ...bad("`filter` must be a string.")],
  ["POST", path("/:addToGroups"), json({ groups: Array(1000).fill("g") }), 200],
  ["POST", path("/:addToGroups"), json({ groups: Array(1001).fill("g") }), ...bad("At most 1000 groups can be named in one request.")],
  ["POST", path("/:removeFromGroups"), json("{"), 400, "Error.BadRequest", "The request body is not a valid JSON."],
  ["POST", path("/:addToGroups"), { headers: { "Content-Type": "text/plain" }, body: '{"groups":["g"]}' }, 415, "Error.UnsupportedMediaType", "expected one Content-Type: application/json"],
];

test("every answer has its status, code and body", async (t) => {
  const broker = await startBroker(t);
  for (const [method, target, options, status, code = null, body] of answers) {
    const shown = target.length > 80 ? `${target.slice(0, 80)}...` : target;
    await t.test(`${method} ${shown} ${JSON.stringify(options).slice(0, 60)}: ${status}`, async () => {
      const response = await plainCall(broker, method, target, options);
      assert.equal(response.status, status, response.text);
      assert.equal(response.headers["api-supported-versions"], versions);
      assert.equal(response.headers["x-ms-error-code"] ?? null, code);
      if (body === undefined) return assert.equal(response.text, "");
      assert.equal(response.headers["content-type"], "application/json");
      const error = JSON.parse(response.text);
      if (typeof body !== "string") return assert.deepEqual(error, body);
      assert.equal(error.code, code);
      assert.ok(error.message.startsWith(body), error.message);
    });
  }
});

// fetch changes paths like a/../b and adds a Content-Type; this sends what it is given.
function plainCall(broker, method, target, { headers = {}, body = "", token } = {}) {
  token ??= signToken({ aud: `${broker.url}${target}`, exp: now() + 60 });
  return new Promise((resolve, reject) => {
    const outgoing = request({
      host: "127.0.0.1", port: broker.port, method, path: target, agent: false,
      headers: { Authorization: `Bearer ${token}`, "Content-Length": Buffer.byteLength(body), ...headers },
    }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part) => (text += part));
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, text }));
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

test("a head that is refused unread is answered like the rest of the API", async (t) => {
  const broker = await startBroker(t);
  const many = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`X-${i}`, "x"]));
  const rows = [
    [many, 431, "Error.RequestHeaderFieldsTooLarge", /header lines/],
    [{ "X-Long": "x".repeat(25_000) }, 431, "Error.RequestHeaderFieldsTooLarge", /bytes of headers/],
    [{ "X-Bad": "\x7f" }, 400, "Error.BadRequest", /./],
  ];
  for (const [headers, status, code, message] of rows) {
    const connection = await RawConnection.open(t, broker.port);
    connection.write(head(broker, "/api/hubs/chat/:send", "Content-Length: 0", ...Object.entries(headers).map((pair) => pair.join(": "))));
    assert.equal(await connection.status(), status);
    await connection.closed;
    const { text } = connection;
    assert.match(text, new RegExp(`\r\napi-supported-versions: ${versions}\r\n`, "i"));
    assert.match(text, new RegExp(`\r\nx-ms-error-code: ${code}\r\n`, "i"));
    const error = JSON.parse(text.slice(text.indexOf("\r\n\r\n") + 4));
    assert.deepEqual([error.code, error.target], [code, "Request"]);
    assert.match(error.message, message);
  }
});

// --- Who asks -------------------------------------------------------------------------

test("tokens: the URL with or without its query, no other; 401 has no body", async (t) => {
  const broker = await startBroker(t);
  const target = `/api/hubs/chat/groups/a%2Fb?${newest}`;
  const claims = (aud, more = {}) => ({ aud, exp: now() + 60, ...more });
  const rows = [
    [signToken(claims(`${broker.url}${target}`)), 404],
    [signToken(claims(`${broker.url}/api/hubs/chat/groups/a%2Fb`)), 404],
    [signToken(claims(`${broker.url}/API/Hubs/chat/groups/a/b`)), 404],
    [signToken(claims(`http://localhost:${broker.port}${target}`)), 404],
    [signToken(claims(`https://127.0.0.1:${broker.port}${target}`)), 404],
    [signToken(claims(`${broker.url}/api/hubs/chat/groups/c`)), 401],
    [signToken(claims(`${broker.url}/client/hubs/chat`)), 401],
    [signToken(claims(`http://example.com${target}`)), 401],
    [signToken(claims(`${broker.url}${target}`), "another key that is long enough"), 401],
    [signToken({ aud: `${broker.url}${target}` }), 401],
    [signToken({ aud: `${broker.url}${target}`, exp: now() - 301 }), 401],
    [signToken({ aud: `${broker.url}${target}`, exp: now() - 240 }), 404],
    [signToken(claims(`${broker.url}${target}`, { nbf: now() + 360 })), 401],
    [signToken(claims(`${broker.url}${target}`), defaultKey, { alg: "none" }), 401],
    [signToken(claims(`${broker.url}${target}`), defaultKey, { alg: "HS512" }), 401],
    [signToken(claims("https://webpubsub.azure.com")), 401],
    ["", 401],
    ["x", 401],
  ];
  for (const [token, status] of rows) {
    const response = await plainCall(broker, "HEAD", target, { token });
    assert.equal(response.status, status, JSON.stringify(token.split(".").slice(0, 2).map((part) => Buffer.from(part, "base64url").toString())));
    assert.equal(response.headers["api-supported-versions"], versions);
  }
  const response = await plainCall(broker, "POST", "/api/hubs/chat/:generateToken", {});
  assert.deepEqual([response.status, response.text], [401, ""]);
  await broker.logged(/REST call refused with 401: :generateToken is for callers with a token of Microsoft Entra/);
});

// --- Bodies ---------------------------------------------------------------------------

const head = (broker, target, ...lines) =>
  [`POST ${target} HTTP/1.1`, `Host: ${broker.host}`, `Authorization: Bearer ${signToken({ aud: `${broker.url}${target}`, exp: now() + 60 })}`, ...lines, "", ""].join("\r\n");

test("a body in chunks is a body", async (t) => {
  const { broker, sockets: [ann] } = await trio(t);
  const connection = await RawConnection.open(t, broker.port);
  connection.write(head(broker, "/api/hubs/chat/:send", "Content-Type: text/plain", "Transfer-Encoding: chunked"));
  connection.write("3\r\none\r\n4\r\n two\r\n0\r\n\r\n");
  assert.equal(await connection.status(), 202);
  assert.equal((await ann.nextJson()).data, "one two");
});

test("what is too large is refused before it is read", async (t) => {
  const broker = await startBroker(t);
  const target = "/api/hubs/chat/:send";
  const refused = async (...lines) => {
    const connection = await RawConnection.open(t, broker.port);
    connection.write(head(broker, target, ...lines));
    return connection;
  };
  // by its length: not one byte of it is sent
  let connection = await refused(`Content-Length: ${mebibyte + 1}`);
  assert.equal(await connection.status(), 413);
  connection = await refused(`Content-Length: ${mebibyte + 1}`, "Expect: 100-continue");
  assert.equal(await connection.status(), 413);
  connection = await refused("Content-Length: 5", "Expect: 100-continue");
  assert.equal(await connection.status(), 100);
  // in chunks: with the byte that is too much; the end of the body is never sent
  connection = await refused("Transfer-Encoding: chunked");
  connection.write(`${mebibyte.toString(16)}\r\n`).write(Buffer.alloc(mebibyte)).write("\r\n1\r\nx");
  assert.equal(await connection.status(), 413);
  await connection.closed;
  assert.match(connection.text, /x-ms-error-code: Error\.PayloadTooLarge\r\n/);
  assert.match(connection.text, /\{"code":"Error\.PayloadTooLarge","message":"The request body is larger than 1048576 bytes\.","target":"Request"\}$/);
  // lengths that are none
  for (const length of ["-1", "1x", "99999999999999999999"]) {
    connection = await refused(`Content-Length: ${length}`);
    assert.ok([400, 413].includes(await connection.status()), length);
  }
});
