// What clients and services do all day: each function is one life, from coming to going.
// What should not happen is thrown; what may happen to anybody (a service closes the
// connection) ends the life.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { accessUrl, allRoles, refusedStatus, serviceClient, startClient } from "../e2e/lib/clients.mjs";
import { dialects, Peer } from "../e2e/lib/peers.mjs";

const patience = 60_000; // the machine may be busy with other tests
const roles = [...allRoles, "webpubsub.setGroupState", "webpubsub.getGroupState"];
const groups = ["g0", "g1", "g2", "g3", "g 4/5%"];
const users = Array.from({ length: 10 }, (_, i) => `user${i}`);
const payloads = [
  { dataType: "text", data: "hello" },
  { dataType: "json", data: { a: [1, "two", null], b: "x".repeat(300) } },
  { dataType: "binary", data: Buffer.alloc(900, 7).toString("base64") },
];

// Stands in for a test context; what was started is stopped at the end of the life.
function scope() {
  const all = [];
  return {
    after: (undo) => all.push(undo),
    end: async () => {
      for (const undo of all.reverse()) await undo();
    },
  };
}

class Client {
  #waiting = new Map();
  #ackId = 0;
  #unacked = 0;
  over = false;
  ends = [1000, 1005, 1006]; // codes that are no surprise

  constructor(world, peer, dialect) {
    Object.assign(this, { world, peer, dialect });
    this.#listen();
  }

  async #listen() {
    const { socket } = this.peer;
    for (;;) {
      let heard;
      try {
        heard = await this.peer.next(24 * 3600 * 1000);
      } catch {
        break;
      }
      this.#hear(heard);
    }
    const { code } = await socket.closed;
    for (const resolve of this.#waiting.values()) resolve(undefined);
    this.#waiting.clear();
    if (!this.ends.includes(code)) this.world.fail(new Error(`a ${this.dialect} client was closed with ${code}`));
    if (socket === this.peer.socket && !this.cutting) this.over = true;
  }

  #hear(heard) {
    const key = {
      ack: `ack ${heard.ackId}`,
      pong: "pong",
      invokeResponse: `invoke ${heard.invocationId}`,
      streamAck: `open ${heard.streamId}`,
      streamClosed: `close ${heard.streamId}`,
      groupStateSnapshot: "snapshot",
    }[heard.type];
    this.#waiting.get(key)?.(heard);
    this.#waiting.delete(key);
    if (heard.sequenceId === undefined || ++this.#unacked < 10) return;
    this.#unacked = 0;
    this.peer.say({ type: "sequenceAck", sequenceId: heard.sequenceId });
  }

  // Says something and waits for what answers it; undefined: the connection went.
  async ask(message, key) {
    if (this.over || this.cutting) return undefined;
    this.peer.say(message);
    this.world.said++;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.world.fail(new Error(`no answer to ${JSON.stringify(message).slice(0, 200)}`)), patience);
      this.#waiting.set(key, (heard) => {
        clearTimeout(timer);
        resolve(heard);
      });
    });
  }

  async askAcked(message, allowed = []) {
    const ackId = ++this.#ackId;
    const ack = await this.ask({ ...message, ackId }, `ack ${ackId}`);
    if (!ack || ack.success || [...allowed, "Duplicate"].includes(ack.error?.name)) return;
    this.world.fail(new Error(`${JSON.stringify(message).slice(0, 200)}: ${JSON.stringify(ack)}`));
  }

  // Loses the socket and comes back after a while; the session may be gone by then, and is
  // when that takes too long.
  async cutAndRecover(awayMs) {
    this.cutting = true;
    this.peer.cut();
    await sleep(awayMs);
    this.ends.push(1008); // a service may have closed it meanwhile
    try {
      await this.peer.recover();
      this.cutting = false;
      this.#listen();
    } catch {
      this.over = true;
    }
  }

  // Waits until the socket is closed; `end` begins that.
  async leave(end) {
    if (!this.over && !this.cutting) end();
    await this.peer.socket.closed;
    this.over = true;
  }
}

const deeds = [
  async (c, r) => c.askAcked({ type: "joinGroup", group: r.pick(groups) }, ["Forbidden"]),
  async (c, r) => c.askAcked({ type: "leaveGroup", group: r.pick(groups) }, ["Forbidden"]),
  async (c, r) => c.askAcked({ type: "sendToGroup", group: r.pick(groups), noEcho: r.oneIn(2), ...r.pick(payloads) }, ["Forbidden"]),
  async (c, r) => c.askAcked({ type: "sendToGroup", group: r.pick(groups), ttlSeconds: 1, metadata: { k: "v" }, ...r.pick(payloads) }, ["Forbidden"]),
  async (c, r) => c.askAcked({ type: "event", event: "deed", ...r.pick(payloads) }),
  async (c) => c.ask({ type: "ping" }, "pong"),
  async (c, r) => {
    const invocationId = `${r.below(1e9)}`;
    const answer = await c.ask({ type: "invoke", invocationId, target: "event", event: "deed", dataType: "text", data: "x" }, `invoke ${invocationId}`);
    if (answer && !answer.success) c.world.fail(new Error(JSON.stringify(answer)));
  },
  // Nobody waits for the answer; it may come all the same.
  async (c, r) => {
    const invocationId = `${r.below(1e9)}`;
    c.peer.say({ type: "invoke", invocationId, target: "event", event: "deed", dataType: "text", data: "x" });
    c.peer.say({ type: "cancelInvocation", invocationId });
    await c.ask({ type: "ping" }, "pong");
  },
  async (c, r) => {
    const streamId = `s${r.below(1e9)}`;
    if (!(await c.ask({ type: "sendToGroup", group: r.pick(groups), noEcho: true, stream: { streamId } }, `open ${streamId}`))) return;
    for (let n = 1; n <= 3 && !c.over && !c.cutting; n++) {
      c.peer.say({ type: "streamData", streamId, streamSequenceId: n, dataType: "text", data: `${n}` });
    }
    if (!r.oneIn(3)) await c.ask({ type: "streamEnd", streamId }, `close ${streamId}`); // else it ends with its publisher
  },
  async (c, r) => {
    const group = r.pick(groups);
    await c.askAcked({ type: "joinGroup", group }, ["Forbidden"]);
    await c.askAcked({ type: "subscribeGroupState", group }, ["Forbidden"]);
    await c.askAcked({ type: "setGroupState", group, state: { mood: `${r.below(9)}` } }, ["Forbidden"]);
    if (r.oneIn(2)) await c.askAcked({ type: "setGroupState", group }, ["Forbidden"]); // else it ends with the connection
    if (r.oneIn(2)) await c.askAcked({ type: "unsubscribeGroupState", group });
  },
];

// One connection of one protocol.
export async function clientLife(world, random) {
  const t = scope();
  const dialect = random.pick(Object.keys(dialects));
  const hub = random.pick(world.hubs);
  const options = { userId: random.oneIn(5) ? undefined : random.pick(users), roles, groups: [random.pick(groups)] };
  const raw = dialect === "raw";
  const query = raw && random.oneIn(2) ? { webpubsub_mode: "sendToGroup", group: "g0" } : {};
  try {
    const peer = await Peer.open(t, world.broker, hub, dialect, options, query);
    const client = new Client(world, peer, dialect);
    if (peer.id) world.ids.add(peer.id);
    for (let left = random.between(5, 30); left > 0 && !client.over; left--) {
      if (raw) peer.say({ data: "said" });
      else if (peer.reliable && random.oneIn(8)) await client.cutAndRecover(random.oneIn(12) ? world.tooLateMs : random.below(800));
      else await random.pick(deeds)(client, random);
      await sleep(random.between(5, 60));
    }
    world.ids.delete(peer.id);
    if (!raw && random.oneIn(6)) {
      // Breaks the rules, and is closed for it.
      if (!client.over && !client.cutting) {
        client.ends.push(1003, 1007);
        peer.socket.send("{");
        await peer.socket.closed;
      }
    } else {
      await client.leave(() => (random.oneIn(3) ? peer.cut() : peer.socket.ws.close(1000)));
    }
    world.lives[dialect] = (world.lives[dialect] ?? 0) + 1;
  } finally {
    await t.end();
  }
}

// Comes back when its session has gone; others do so now and then, in a long soak.
export async function latecomerLife(world, random) {
  const t = scope();
  try {
    const dialect = random.pick(["json reliable", "protobuf reliable"]);
    const hub = random.pick(world.hubs);
    const peer = await Peer.open(t, world.broker, hub, dialect, { roles });
    const client = new Client(world, peer, dialect);
    client.cutting = true;
    peer.cut();
    // A broker that is busy may hear of the cut late; a session that has gone stays away.
    const gone = Date.now() + patience;
    while (await serviceClient(world.broker, hub).connectionExists(peer.id)) {
      assert.ok(Date.now() < gone, "a session is there longer than it is kept");
      await sleep(500);
    }
    await client.cutAndRecover(0);
    assert.ok(client.over, "a session that has gone came back");
    world.lives.latecomer = (world.lives.latecomer ?? 0) + 1;
  } finally {
    await t.end();
  }
}

// The official client, in a hub where no service closes connections.
export async function sdkLife(world, random) {
  const t = scope();
  try {
    const { client } = await startClient(t, () => accessUrl(world.broker, "sdk", { userId: random.pick(users), roles }), { autoReconnect: false });
    const group = random.pick(groups);
    await client.joinGroup(group);
    for (let left = random.between(2, 10); left > 0; left--) {
      await client.sendToGroup(group, { n: left }, "json", { noEcho: random.oneIn(2) });
      await client.sendEvent("deed", "x", "text");
      await sleep(random.between(5, 60));
    }
    await client.leaveGroup(group);
    world.lives.sdk = (world.lives.sdk ?? 0) + 1;
  } finally {
    await t.end();
  }
}

const text = { contentType: "text/plain" };
const calls = [
  (s) => s.sendToAll("to all", text),
  (s, r) => s.group(r.pick(groups)).sendToAll({ to: "group" }),
  (s, r) => s.group(r.pick(groups)).sendToAll("some", { ...text, filter: "userId ne null and length(groups) gt 0", messageTtlSeconds: 1 }),
  (s, r) => s.sendToUser(r.pick(users), "to user", text),
  (s, r, id) => s.sendToConnection(id, "to one", text),
  (s, r, id) => s.connectionExists(id),
  (s, r) => s.userExists(r.pick(users)),
  (s, r) => s.groupExists(r.pick(groups)),
  (s, r, id) => s.group(r.pick(groups)).addConnection(id),
  (s, r, id) => s.group(r.pick(groups)).removeConnection(id),
  (s, r) => s.group(r.pick(groups)).addUser(r.pick(users)),
  (s, r) => s.group(r.pick(groups)).removeUser(r.pick(users)),
  (s, r) => s.removeUserFromAllGroups(r.pick(users)),
  (s) => s.addConnectionsToGroups(["g1", "g2"], "startswith(userId,'user1')"),
  (s) => s.removeConnectionsFromGroups(["g2"], "startswith(userId,'user1')"),
  (s, r, id) => s.grantPermission(id, "sendToGroup", { targetName: r.pick(groups) }),
  (s, r, id) => s.revokePermission(id, "joinLeaveGroup", { targetName: r.pick(groups) }),
  (s, r, id) => s.hasPermission(id, "sendToGroup", { targetName: r.pick(groups) }),
  async (s, r) => {
    for await (const member of await s.group(r.pick(groups)).listConnections({ maxPageSize: 5 })) assert.ok(member.connectionId);
  },
  (s, r, id) => r.oneIn(3) && s.closeConnection(id, { reason: "soak" }),
  (s, r) => r.oneIn(5) && s.closeUserConnections(r.pick(users)),
  (s, r) => r.oneIn(20) && s.group(r.pick(groups)).closeAllConnections(),
];

// Calls of a service. A connection that has gone is no mistake.
export async function serviceLife(world, random) {
  const service = serviceClient(world.broker, random.pick(world.hubs));
  for (let left = random.between(5, 30); left > 0; left--) {
    const id = [...world.ids][random.below(world.ids.size || 1)] ?? "nobody";
    try {
      await random.pick(calls)(service, random, id);
    } catch (error) {
      if (error.statusCode !== 404) throw error;
    }
    await sleep(random.between(5, 60));
  }
  world.lives.service = (world.lives.service ?? 0) + 1;
}

// Those who are not let in.
export async function strangerLife(world, random) {
  const url = `${world.broker.url.replace("http", "ws")}/client/hubs/${random.pick(world.hubs)}`;
  assert.equal(await refusedStatus(random.oneIn(2) ? url : `${url}?access_token=x.y.z`), 401);
  await sleep(random.between(50, 500));
  world.lives.stranger = (world.lives.stranger ?? 0) + 1;
}
