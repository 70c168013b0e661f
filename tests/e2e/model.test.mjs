// Thousands of random steps on a broker with several shards, each compared with a simple
// model (lib/model.mjs): clients of all protocols come, join, leave, send, raise and invoke
// events, stream, say how they are, are cut at rest and in the middle of sending, recover
// and go; REST calls send to them, move them, close them, change what they may do and ask
// who is there. After each step every client must have heard what the model says, in that
// order, and nothing else.
//
// PUBHOOK_SEED=N replays the steps of a run, with each client and each call on the shard that
// it was on; PUBHOOK_STEPS=N makes it shorter or longer.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openSocket } from "./lib/clients.mjs";
import { Model } from "./lib/model.mjs";
import { patience } from "./lib/patience.mjs";
import { dialects, Peer } from "./lib/peers.mjs";
import { startBroker } from "./lib/pubhook.mjs";
import { Random } from "./lib/random.mjs";
import { Shards, shardOf } from "./lib/shards.mjs";

const hub = "chat";
const threads = 4;
const steps = Number(process.env.PUBHOOK_STEPS ?? 12_000);
const maxClients = 14;
const quietEvery = 20; // steps between two looks at whether anybody heard too much
const maxAway = 150; // steps until a cut client has to recover, long before its 30 s are over
const maxUnacked = 500; // of the 1,000 that end a connection

const groups = ["a", "b", "c", "a group/50% Ω"];
const users = ["ann", "bob", "ö/x", undefined];
const actions = ["sendToGroup", "joinLeaveGroup"];
const patterns = [
  { text: "?", fits: (group) => group.length === 1 },
  { text: "a*", fits: (group) => group.startsWith("a") },
  { text: "**", fits: () => true },
];
const any = "CgNhL2ISAXg="; // a serialized google.protobuf.Any

const filters = [
  { text: "startswith(userId, 'b') or userId eq 'ö/x'", holds: ({ user }) => user !== undefined && (user.startsWith("b") || user === "ö/x") },
  { text: "userId eq 'ann'", holds: ({ user }) => user === "ann" },
  { text: "userId eq null", holds: ({ user }) => user === undefined },
  { text: "userId in ('ann', 'bob') and 'a' in groups", holds: ({ user, groups }) => ["ann", "bob"].includes(user) && groups.has("a") },
  { text: "length(groups) gt 1", holds: ({ groups }) => groups.size > 1 },
  { text: "not ('b' in groups) or 'c' in groups", holds: ({ groups }) => !groups.has("b") || groups.has("c") },
];

class World {
  model = new Model();
  peers = new Map(); // by label
  left = []; // reliable ones whose connection has ended
  done = []; // what was done, for whoever looks for a mistake
  count = 0;

  constructor(t, broker, random) {
    Object.assign(this, { t, broker, random, shards: new Shards(t, broker, threads) });
  }
  get anyShard() {
    return this.random.below(threads);
  }
  note(text) {
    this.done.push(`${this.done.length}: ${text}`);
  }
  peer(client) {
    return this.peers.get(client.label);
  }
  // A client that fits, or nothing.
  some(fits) {
    const fitting = this.model.all.filter(fits);
    return fitting.length ? this.random.pick(fitting) : undefined;
  }
  maybe(value) {
    return this.random.oneIn(2) ? value : undefined;
  }
  // A connection id that lives, or one that nobody has.
  anyId() {
    return this.random.oneIn(8) ? "nobody" : (this.some((client) => client.framed)?.id ?? "nobody");
  }
  anyScope(kinds = ["hub", "group", "user", "connection"]) {
    const kind = this.random.pick(kinds);
    const names = { group: () => this.random.pick(groups), user: () => this.random.pick(users.slice(0, -1)), connection: () => this.anyId() };
    return { kind, name: names[kind]?.() };
  }
  // Roles for an action: none, all groups, groups by name, or those of a pattern and a name.
  someNamed(action) {
    return this.random.pick([[], [`webpubsub.${action}`], groups.filter(() => this.random.oneIn(2)).map((group) => `webpubsub.${action}.${group}`)]);
  }
  someRoles(action) {
    if (!this.random.oneIn(4)) return this.someNamed(action);
    return [`webpubsub.${action}s.${this.random.pick(patterns).text}`, `webpubsub.${action}.${this.random.pick(groups)}`];
  }
  // Each message is a new one.
  newMessage(types) {
    const n = ++this.count;
    const data = { text: `text ${n} Ω`, json: { n, list: [null, "ä"] }, binary: Buffer.from(`\0${n}\xff`, "latin1").toString("base64"), protobuf: any };
    const dataType = this.random.pick(types);
    return { dataType, data: data[dataType] };
  }

  // A REST call; the answer's status must be this one.
  async rest(status, method, path, { query = [], message, json, headers = {} } = {}) {
    const parameters = new URLSearchParams([...query, ["api-version", "2024-12-01"]]).toString().replace(/\+/g, "%20");
    const contentTypes = { text: "text/plain", json: "application/json", binary: "application/octet-stream" };
    const all = { ...headers };
    let body;
    if (message) {
      all["Content-Type"] = contentTypes[message.dataType];
      body = message.dataType === "binary" ? Buffer.from(message.data, "base64") : message.dataType === "json" ? JSON.stringify(message.data) : message.data;
    } else if (json) {
      all["Content-Type"] = "application/json";
      body = JSON.stringify(json);
    }
    this.note(`${method} ${path} ${query.map((pair) => pair.join("=")).join("&")} ${JSON.stringify(message ?? json) ?? ""}: ${status} expected`);
    const answer = await this.shards.call(this.anyShard, method, `/api/hubs/${hub}${path}?${parameters}`, { headers: all, body });
    assert.equal(answer.status, status, `${method} ${path}`);
  }

  forget(peer) {
    this.peers.delete(peer.client.label);
    if (peer.reliable) this.left.push(peer);
  }
  // The broker learns of the end of a client by itself; REST says when.
  async gone({ framed, id, user }) {
    const path = framed ? `connections/${id}` : `users/${user}`;
    while ((await this.shards.call(0, "HEAD", `/api/hubs/${hub}/${path}`)).status === 200) await sleep(2);
    await this.arrived();
  }

  // An ack says that the sender's shard has taken a message; what others do next may
  // overtake it on its way to another shard. A REST call that concerns all shards comes
  // behind it on each.
  async arrived() {
    await this.settle();
    await this.shards.call(this.anyShard, "HEAD", `/api/hubs/${hub}/groups/a`);
  }

  // Everybody hears what the model says, and sockets that must close do.
  async settle() {
    await Promise.all([...this.peers.values()].map(async (peer) => {
      const { client } = peer;
      await client.listen(async () => timeless(await peer.next()));
      if (!client.closing) return;
      if (client.attached) assert.equal((await peer.socket.closed).code, client.closing, `${client.label}'s close code`);
      this.forget(peer);
    }));
  }
  // Nobody has heard anything that was not expected: the next frame is the one asked for.
  async quiet() {
    const waiting = this.model.all.filter((client) => client.attached);
    for (const client of waiting.filter(({ framed }) => framed)) {
      this.peer(client).say({ type: "ping" });
      client.hear({ type: "pong" });
    }
    for (const client of waiting.filter(({ framed }) => !framed)) assert.deepEqual(this.peer(client).waiting, [], client.label);
    await this.settle();
  }
}

// A frame but for the times of states, which the model cannot know.
function timeless({ items, ...frame }) {
  if (!items) return frame;
  for (const { updatedAt } of items) assert.ok(updatedAt > 0);
  return { ...frame, items: items.map(({ updatedAt, ...item }) => item) };
}

const segment = encodeURIComponent;
const pathOf = ({ kind, name }) => (kind === "hub" ? "" : `/${kind}s/${segment(name)}`);
const attached = (client) => client.attached;
const speaks = (client) => client.attached && client.framed;

// --- Steps. Each does one thing to the broker and to the model; one that cannot be done
// now returns false.

async function connect(w) {
  if (w.model.all.length >= maxClients) return false;
  const { random, model } = w;
  const label = `c${++w.count}`;
  const dialect = random.pick(Object.keys(dialects));
  // Raw clients cannot be told apart but by their users.
  const user = dialect === "raw" ? label : random.pick(users);
  const initial = groups.filter(() => random.oneIn(4));
  const roles = [...actions.flatMap(w.someRoles, w), ...["setGroupState", "getGroupState"].flatMap((action) => (random.oneIn(3) ? w.someNamed(action) : [`webpubsub.${action}`]))];
  const publishes = dialect === "raw" ? w.maybe(random.pick(groups)) : undefined;
  const noEcho = random.oneIn(2);
  const shard = w.anyShard;
  w.note(`${label} connects to shard ${shard}, ${dialect}, user ${user}, groups ${initial}, roles ${roles}, publishes to ${publishes}${noEcho ? " without echo" : ""}`);
  const query = publishes ? { webpubsub_mode: "sendToGroup", group: publishes, noEcho } : {};
  const peer = await w.shards.to(shard, (dial) => Peer.open(w.t, w.broker, hub, dialect, { userId: user, roles, groups: initial }, query, dial));
  if (peer.id) assert.equal(shardOf(peer.id), shard);
  peer.client = model.add(label, { dialect, id: peer.id, user, roles, patterns, groups: initial, publishes, noEcho });
  w.peers.set(label, peer);
}

// The client ends its connection, by a close frame or, if not reliable, without.
async function disconnect(w) {
  const client = w.some(attached);
  if (!client) return false;
  const peer = w.peer(client);
  const cut = !client.reliable && w.random.oneIn(2);
  w.note(`${client.label} ${cut ? "is cut and gone" : "closes"}`);
  await (cut ? peer.cut() : peer.socket.close(1000));
  w.model.remove(client);
  w.forget(peer);
  await w.gone(client);
}

async function cut(w) {
  const client = w.some((c) => c.attached && c.reliable);
  if (!client) return false;
  w.note(`${client.label} is cut`);
  w.peer(client).cut();
  w.model.detach(client);
  client.away = 0;
}

async function recover(w, client = w.some((c) => c.reliable && (!c.attached || w.random.oneIn(10)))) {
  if (!client) return false;
  const shard = w.anyShard;
  w.note(`${client.label} recovers by shard ${shard}${client.attached ? " though it is there" : ""}`);
  await comeBack(w, client, shard);
  w.model.recover(client);
}

// Whatever socket it had is closed then.
async function comeBack(w, client, shard) {
  const peer = w.peer(client);
  const before = peer.socket;
  await w.shards.to(shard, (dial) => peer.recover(dial));
  assert.equal(peer.welcome.connectionId, client.id);
  await before.closed;
}

// Whose connection has ended cannot come back.
async function recoverInVain(w) {
  const peer = w.left.pop();
  if (!peer) return false;
  w.note(`${peer.client.label} recovers in vain`);
  const socket = await w.shards.to(w.anyShard, (dial) => openSocket(w.t, peer.recoveryUrl.href, peer.dialect.subprotocols, dial));
  assert.equal((await socket.closed).code, 1008);
}

async function joinOrLeave(w) {
  const client = w.some(speaks);
  if (!client) return false;
  const type = w.random.pick(["joinGroup", "joinGroup", "leaveGroup"]);
  sayAsModel(w, client, { type, group: w.random.pick(groups), ackId: ackIdOf(w, client) });
  await w.arrived();
}

async function publish(w) {
  const client = w.some(speaks);
  if (!client) return false;
  sayAsModel(w, client, {
    type: "sendToGroup",
    group: w.random.pick(groups),
    ackId: ackIdOf(w, client),
    noEcho: w.random.oneIn(3),
    ...w.newMessage(["text", "json", "binary", "protobuf"]),
    ...(w.random.oneIn(3) && { metadata: { "Trace-Id": String(w.count) } }),
  });
  await w.arrived();
}

// Now and then one that was used before.
function ackIdOf(w, client) {
  if (client.acked.size && w.random.oneIn(6)) return w.random.pick([...client.acked]);
  return ++w.count;
}

function say(w, client, message) {
  w.note(`${client.label} says ${JSON.stringify(message)}`);
  w.peer(client).say(message);
}
function sayAsModel(w, client, message) {
  say(w, client, message);
  w.model.says(client, message);
}

// A burst to a group, while sockets of those who hear it are cut, and maybe the sender's own.
// What has no ack then is said again, under the same ids.
async function burst(w) {
  const { random } = w;
  const group = random.pick(groups);
  const sender = w.some((c) => speaks(c) && c.may.sendToGroup.allow(group));
  if (!sender) return false;
  const messages = Array.from({ length: random.between(2, 12) }, () => ({
    type: "sendToGroup", group, ackId: ++w.count, noEcho: random.oneIn(3), ...w.newMessage(["text", "json", "binary", "protobuf"]),
  }));
  const cutAfter = sender.reliable && random.oneIn(2) ? random.below(messages.length) : undefined;
  const victims = new Set();
  for (const [n, message] of messages.entries()) {
    say(w, sender, message);
    const victim = random.oneIn(3) && w.some((c) => c.attached && c.reliable && c !== sender && !victims.has(c));
    if (victim) cutNow(w, victims, victim);
    if (random.oneIn(3)) await new Promise(setImmediate); // so that some of it gets on its way
    if (n === cutAfter) cutNow(w, victims, sender);
    if (n === cutAfter) break;
  }
  const back = [...victims].filter((c) => c === sender || random.oneIn(2)).map((c) => [c, w.anyShard]);
  await Promise.all(back.map(([client, shard]) => comeBack(w, client, shard)));
  for (const client of victims) w.model.detach(client);
  for (const client of victims) client.away = 0;
  for (const [client] of back) w.model.recover(client);
  if (victims.has(sender)) for (const message of messages) say(w, sender, message);
  for (const message of messages) w.model.says(sender, message);
  for (const [client] of back) client.hearMixed();
  await w.arrived();
}

function cutNow(w, victims, client) {
  w.note(`${client.label} is cut`);
  w.peer(client).cut();
  victims.add(client);
}

async function setState(w) {
  const client = w.some(speaks);
  if (!client) return false;
  const group = w.random.pick(w.random.oneIn(4) ? groups : [...client.groups, groups[0]]);
  const message = { type: "setGroupState", group, ackId: ackIdOf(w, client), state: w.random.oneIn(5) ? undefined : { mood: `${++w.count} Ω`, "": "x" } };
  say(w, client, message);
  w.model.setState(client, message);
  await w.arrived();
}

async function watchStates(w) {
  const client = w.some(speaks);
  if (!client) return false;
  const type = w.random.pick(["subscribeGroupState", "subscribeGroupState", "unsubscribeGroupState"]);
  const message = { type, group: w.random.pick(groups), ackId: ackIdOf(w, client) };
  if (type === "unsubscribeGroupState") return sayAsModel(w, client, message);
  say(w, client, message);
  w.model.subscribe(client, message);
}

async function openStream(w) {
  const client = w.some((c) => speaks(c) && c.streams.size < 3);
  if (!client) return false;
  const message = { streamId: `s${++w.count}`, group: w.random.pick(groups), noEcho: w.random.oneIn(3) };
  const { streamId, ...rest } = message;
  say(w, client, { type: "sendToGroup", ...rest, stream: { streamId } });
  w.model.openStream(client, message);
}

async function streamData(w) {
  const client = w.some((c) => c.attached && c.streams.size > 0);
  if (!client) return false;
  const { streamId, next } = w.random.pick([...client.streams.values()]);
  const streamSequenceId = w.random.pick([next, next, next, next + 1, Math.max(next - 1, 1)]);
  const message = { type: "streamData", streamId, streamSequenceId, ...w.newMessage(["text", "json", "binary", "protobuf"]) };
  say(w, client, message);
  w.model.streamData(client, message);
  await w.arrived();
}

async function endStream(w) {
  const client = w.some((c) => c.attached && c.streams.size > 0);
  if (!client) return false;
  const [streamId] = w.random.pick([...client.streams]);
  const message = { type: "streamEnd", streamId, ...(w.random.oneIn(3) && { error: { message: "had enough", userErrorCode: "E1" } }) };
  say(w, client, message);
  w.model.endStream(client, message);
  await w.arrived();
}

async function invoke(w) {
  const client = w.some(speaks);
  if (!client) return false;
  const message = { type: "invoke", invocationId: `i${++w.count}`, target: "event", event: "e", ...w.newMessage(["text", "json", "binary", "protobuf"]) };
  say(w, client, message);
  w.model.invoke(client, message);
}

const sayRaw = (w, client, { dataType, data }) => w.peer(client).say({ data: dataType === "binary" ? Buffer.from(data, "base64") : data });

async function publishRaw(w) {
  const client = w.some((c) => c.publishes);
  if (!client) return false;
  const message = w.newMessage(["text", "binary"]);
  w.note(`${client.label} says ${JSON.stringify(message)}`);
  sayRaw(w, client, message);
  w.model.publishRaw(client, message);
  if (client.closing) return;
  await w.peer(client).socket.heard();
  await w.arrived();
}

async function event(w) {
  const client = w.some((c) => c.attached && !c.publishes);
  if (!client) return false;
  const message = w.newMessage(client.framed ? ["text", "json", "binary", "protobuf"] : ["text", "binary"]);
  const ackId = client.framed ? ++w.count : undefined;
  w.note(`${client.label} raises an event, ${JSON.stringify(message)}`);
  if (client.framed) w.peer(client).say({ type: "event", event: "e", ackId, ...message });
  else sayRaw(w, client, message);
  w.model.event(client, { ackId, ...message });
}

async function acknowledge(w, client = w.some((c) => c.attached && c.unacked.length > 0)) {
  if (!client) return false;
  const { sequenceId } = w.random.pick(client.unacked).frame;
  w.note(`${client.label} acknowledges ${sequenceId}`);
  w.peer(client).say({ type: "sequenceAck", sequenceId });
  w.peer(client).say({ type: "ping" }); // its answer says that the broker has seen it
  w.model.acknowledge(client, sequenceId);
  client.hear({ type: "pong" });
}

async function restSend(w) {
  const scope = w.anyScope();
  const message = w.newMessage(["text", "json", "binary"]);
  const broad = scope.kind === "hub" || scope.kind === "group";
  const excluded = broad && w.random.oneIn(3) ? [w.anyId(), w.anyId()] : [];
  const filter = scope.kind !== "connection" && w.random.oneIn(3) ? w.random.pick(filters) : undefined;
  const metadata = w.random.oneIn(3) ? { "trace-id": String(w.count) } : undefined;
  const query = [
    ...excluded.map((id) => ["excluded", id]),
    ...(filter ? [["filter", filter.text]] : []),
    ...(w.random.oneIn(4) ? [["messageTtlSeconds", "300"]] : []),
  ];
  await w.rest(202, "POST", `${pathOf(scope)}/:send`, {
    query,
    message,
    headers: metadata ? { "X-WebPubSub-Metadata-Trace-Id": metadata["trace-id"] } : {},
  });
  w.model.send(scope, { ...message, ...(metadata && { metadata }) }, { excluded, filter: filter?.holds });
}

async function restJoinOrLeave(w) {
  const scope = w.anyScope(["user", "connection"]);
  const group = w.random.pick(groups);
  const path = scope.kind === "user" ? `${pathOf(scope)}/groups/${segment(group)}` : `/groups/${segment(group)}/connections/${segment(scope.name)}`;
  if (w.random.oneIn(2)) {
    await w.rest(w.model.scope(scope).length ? 200 : 404, "PUT", path);
    w.model.join(scope, [group]);
  } else {
    await w.rest(204, "DELETE", path);
    w.model.leave(scope, [group]);
  }
  await w.arrived();
}

async function restLeaveAll(w) {
  const scope = w.anyScope(["user", "connection"]);
  await w.rest(204, "DELETE", `${pathOf(scope)}/groups`);
  w.model.leave(scope);
  await w.arrived();
}

async function restGroups(w) {
  const chosen = [w.random.pick(groups), w.random.pick(groups)];
  const filter = w.maybe(w.random.pick(filters));
  const verb = w.random.pick(["addToGroups", "removeFromGroups"]);
  await w.rest(200, "POST", `/:${verb}`, { json: { groups: chosen, filter: filter?.text } });
  // Whom it is about is clear before anything is changed.
  const concerned = new Set(w.model.all.filter(filter?.holds ?? (() => true)));
  const isConcerned = (client) => concerned.has(client);
  if (verb === "addToGroups") w.model.join({ kind: "hub" }, chosen, isConcerned);
  else w.model.leave({ kind: "hub" }, chosen, isConcerned);
  await w.arrived();
}

async function restExists(w) {
  const scope = w.anyScope(["group", "user", "connection"]);
  await w.rest(w.model.scope(scope).length ? 200 : 404, "HEAD", pathOf(scope));
}

// In pages of random sizes, by connection id. Raw clients are known by their users.
async function restList(w) {
  const group = w.random.pick(groups);
  const size = w.random.between(1, 4);
  const listed = [];
  w.note(`the connections of group ${group}, ${size} a page`);
  let next = `/api/hubs/${hub}/groups/${segment(group)}/connections?maxpagesize=${size}&api-version=2024-12-01`;
  while (next) {
    const answer = await w.shards.call(w.anyShard, "GET", next);
    assert.equal(answer.status, 200);
    const { value, nextLink } = JSON.parse(answer.text);
    assert.ok(value.length <= size);
    listed.push(...value);
    next = nextLink?.slice(w.broker.url.length);
  }
  const ids = listed.map(({ connectionId }) => connectionId);
  assert.deepEqual(ids, [...ids].sort(), "sorted by connection id");
  const labels = listed.map(({ connectionId, userId }) => w.model.all.find((c) => (c.id ? c.id === connectionId : c.user === userId))?.label);
  const members = w.model.scope({ kind: "group", name: group });
  assert.deepEqual(labels.sort(), members.map(({ label }) => label).sort(), `who is in group ${group}`);
}

async function restClose(w) {
  const scope = w.anyScope(w.random.oneIn(12) ? ["hub", "group"] : ["user", "connection"]);
  const excluded = scope.kind === "connection" ? [] : [w.anyId(), w.anyId()];
  const reason = w.maybe(`reason ${++w.count} ä&=`);
  const query = [...excluded.map((id) => ["excluded", id]), ...(reason ? [["reason", reason]] : [])];
  if (scope.kind === "connection") await w.rest(204, "DELETE", pathOf(scope), { query });
  else await w.rest(204, "POST", `${pathOf(scope)}/:closeConnections`, { query });
  w.model.close(scope, reason, excluded);
  await w.arrived();
}

async function restPermission(w) {
  const scope = { kind: "connection", name: w.anyId() };
  const [client] = w.model.scope(scope);
  const [action, group] = [w.random.pick(actions), w.random.pick(groups)];
  const path = `/permissions/${action}/connections/${segment(scope.name)}`;
  const query = [["targetName", group]];
  const method = w.random.pick(["PUT", "DELETE", "HEAD"]);
  if (method === "HEAD") return w.rest(client?.may[action].allow(group) ? 200 : 404, method, path, { query });
  await w.rest(method === "DELETE" ? 204 : client ? 200 : 404, method, path, { query });
  client?.may[action].set(group, method === "PUT");
}

// What chance must not leave too long: the broker would end these connections.
async function careFor(w) {
  for (const client of w.model.all.filter(({ reliable }) => reliable)) {
    if (!client.attached && ++client.away > maxAway) await recover(w, client);
    if (client.attached && client.unacked.length > maxUnacked) await acknowledge(w, client);
  }
  await w.settle();
}

const table = [
  [8, connect], [3, disconnect], [5, cut], [6, recover], [1, recoverInVain],
  [14, joinOrLeave], [20, publish], [6, burst], [4, publishRaw], [8, event], [6, acknowledge],
  [8, setState], [8, watchStates], [3, openStream], [8, streamData], [1, endStream], [3, invoke],
  [16, restSend], [6, restJoinOrLeave], [1, restLeaveAll], [2, restGroups],
  [4, restExists], [3, restList], [2, restClose], [6, restPermission],
];
const draws = table.flatMap(([weight, step]) => Array(weight).fill(step));

test(`${steps} random steps`, { timeout: 10 * patience }, async (t) => {
  const random = new Random(t);
  const broker = await startBroker(t, { threads, handlers: { [hub]: "echo" } });
  const world = new World(t, broker, random);
  try {
    for (let step = 0; step < steps; ) {
      await careFor(world);
      if ((await random.pick(draws)(world)) === false) continue;
      await world.settle();
      step++;
      if (step % quietEvery === 0) await world.quiet();
    }
  } catch (error) {
    throw new Error(`PUBHOOK_SEED=${random.seed}, the last steps:\n${world.done.slice(-25).join("\n")}\n${error.stack}`, { cause: error });
  }
});
