// Group states (client-and-rest section 2.6): what connections say about themselves in a
// group, over four shards.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { serviceClient } from "./lib/clients.mjs";
import { Scope } from "./lib/cleanup.mjs";
import { dialects, Peer } from "./lib/peers.mjs";
import { startBroker } from "./lib/pubhook.mjs";

const hub = "chat";
const threads = 4;
const framed = Object.keys(dialects).filter((name) => name !== "raw");
const roles = ["webpubsub.joinLeaveGroup", "webpubsub.setGroupState", "webpubsub.getGroupState"];
const numbers = (count) => [...Array(count).keys()];

// The kernel spreads connections over the shards; with this many, all have some.
const many = 12;

let acks = 0;
// Says something and waits for its ack; what comes before the ack is returned with it.
async function ask(peer, message) {
  const ackId = ++acks;
  const before = [];
  peer.say({ ...message, ackId });
  for (;;) {
    const heard = await peer.next();
    if (heard.type === "ack" && heard.ackId === ackId) return { ack: heard, before };
    before.push(heard);
  }
}

const set = (peer, group, state) => ask(peer, { type: "setGroupState", group, state });

async function subscribe(peer, group) {
  const { ack } = await ask(peer, { type: "subscribeGroupState", group });
  assert.equal(ack.success, true);
  const snapshot = await peer.next();
  assert.equal(snapshot.type, "groupStateSnapshot");
  return snapshot.items;
}

// What a client knows: the snapshot, and what updates made of it.
class View {
  constructor(items) {
    this.states = new Map(items.map((item) => [item.connectionId, item]));
  }
  update({ type, items }) {
    assert.equal(type, "groupStateUpdate");
    for (const item of items) {
      const known = this.states.get(item.connectionId);
      assert.ok(!known || item.updatedAt > known.updatedAt, "later than what was known");
      if (item.state) this.states.set(item.connectionId, item);
      else this.states.delete(item.connectionId);
    }
  }
  // Reads updates until `done` says so.
  async until(peer, done) {
    while (!done(this)) this.update(await peer.next());
  }
  state(peer) {
    return this.states.get(peer.id)?.state;
  }
}

describe("group states", () => {
  const scope = new Scope(after);
  let broker;
  before(async () => (broker = await startBroker(scope, { threads })));

  const open = (t, dialect, group, options = {}) =>
    Peer.open(t, broker, hub, dialect, { roles, groups: group ? [group] : [], ...options });

  for (const dialect of framed) {
    test(`${dialect}: set, seen, changed, cleared`, async (t) => {
      const group = `simple ${dialect}`;
      const [one, two] = [await open(t, dialect, group, { userId: "ann" }), await open(t, dialect, group)];
      const view = new View(await subscribe(two, group));
      const start = Date.now();
      assert.equal((await set(one, group, { mood: "glad", at: "Ω" })).ack.success, true);
      await view.until(two, () => view.state(one));
      const { updatedAt, ...item } = view.states.get(one.id);
      assert.deepEqual(item, { connectionId: one.id, userId: "ann", state: { mood: "glad", at: "Ω" } });
      assert.ok(updatedAt >= start - 1 && updatedAt <= Date.now() + 1);
      await set(one, group, { mood: "sad" });
      await view.until(two, () => view.state(one).mood === "sad");
      await set(one, group);
      await view.until(two, () => !view.state(one));
      assert.deepEqual(await subscribe(one, group), []);
    });

    test(`${dialect}: the ack comes before one's own update`, async (t) => {
      const peer = await open(t, dialect, `own ${dialect}`);
      await subscribe(peer, `own ${dialect}`);
      const { ack, before } = await set(peer, `own ${dialect}`, { k: "v" });
      assert.deepEqual([ack.success, before], [true, []]);
      assert.equal((await peer.next()).items[0].connectionId, peer.id);
    });

    test(`${dialect}: refusals`, async (t) => {
      const group = `refused ${dialect}`;
      const outside = await open(t, dialect);
      assert.deepEqual((await set(outside, group, { k: "v" })).ack.error, { name: "Forbidden", message: "Not a member of group." });
      const inside = await open(t, dialect, group);
      assert.equal((await set(inside, group, { k: "ä".repeat(255) + "v" })).ack.success, true, "512 bytes");
      assert.deepEqual((await set(inside, group, { k: "ä".repeat(256) })).ack.error, {
        name: "BadRequest",
        message: "State payload exceeds maximum size 512 bytes.",
      });
      const nobody = await open(t, dialect, group, { roles: [] });
      for (const type of ["setGroupState", "subscribeGroupState"]) {
        assert.equal((await ask(nobody, { type, group, state: { k: "v" } })).ack.error.name, "Forbidden");
      }
      assert.equal((await ask(nobody, { type: "unsubscribeGroupState", group })).ack.success, true);
      const one = await open(t, dialect, group, { roles: [`webpubsub.setGroupState.${group}`] });
      assert.equal((await set(one, group, { k: "v" })).ack.success, true);
    });

    test(`${dialect}: who unsubscribes hears no more`, async (t) => {
      const group = `unsubscribed ${dialect}`;
      const [one, two] = [await open(t, dialect, group), await open(t, dialect, group)];
      await subscribe(two, group);
      assert.equal((await ask(two, { type: "unsubscribeGroupState", group })).ack.success, true);
      await set(one, group, { k: "v" });
      await serviceClient(broker, hub).group(group).sendToAll("after", { contentType: "text/plain" });
      assert.equal((await two.next()).data, "after");
    });
  }

  test("a subscriber on any shard gets all states, by connection id", async (t) => {
    const group = "all";
    const members = await Promise.all(numbers(many).map((n) => open(t, framed[n % framed.length], group)));
    await Promise.all(members.map((peer, n) => set(peer, group, { n: String(n) })));
    const ids = members.map((peer) => peer.id).sort();
    for (const n of numbers(many)) {
      const watcher = await open(t, framed[n % framed.length]);
      const items = await subscribe(watcher, group);
      const told = items.map((item) => item.connectionId);
      assert.deepEqual(told, ids.filter((id) => told.includes(id)), "by connection id");
      const view = new View(items);
      await view.until(watcher, () => view.states.size === many); // some of other shards may still come
      assert.deepEqual(members.map((peer) => view.state(peer)), numbers(many).map((i) => ({ n: String(i) })));
    }
  });

  test("leaving, being removed, closing, dying: each ends a state", async (t) => {
    const group = "ends";
    const service = serviceClient(broker, hub);
    const members = await Promise.all(numbers(4).map(() => open(t, "json", group)));
    const watchers = await Promise.all(numbers(many).map(() => open(t, "json")));
    const views = await Promise.all(watchers.map(async (peer) => new View(await subscribe(peer, group))));
    const all = (done) => Promise.all(views.map((view, i) => view.until(watchers[i], done)));
    await Promise.all(members.map((peer) => set(peer, group, { k: "v" })));
    await all((view) => view.states.size === 4);
    const ends = [
      (peer) => ask(peer, { type: "leaveGroup", group }),
      (peer) => service.group(group).removeConnection(peer.id),
      (peer) => service.closeConnection(peer.id),
      (peer) => peer.cut(),
    ];
    for (const [n, end] of ends.entries()) {
      await end(members[n]);
      await all((view) => !view.state(members[n]));
      assert.deepEqual(views.map((view) => view.states.size), views.map(() => 3 - n));
    }
  });

  test("many changes at once: each subscriber sees those of a connection in order", async (t) => {
    const group = "busy";
    const changes = 100;
    const members = await Promise.all(numbers(4).map((n) => open(t, framed[n % framed.length], group)));
    const watchers = await Promise.all(numbers(many).map((n) => open(t, framed[n % framed.length])));
    const watch = async (peer) => {
      const view = new View(await subscribe(peer, group)); // in the middle of it
      await view.until(peer, () => members.every((member) => view.state(member)?.n === String(changes)));
    };
    const change = async (peer) => {
      for (let n = 1; n <= changes; n++) await set(peer, group, { n: String(n) });
    };
    await Promise.all([...members.map(change), ...watchers.map(watch)]);
  });

  for (const dialect of framed.filter((name) => dialects[name].reliable)) {
    test(`${dialect}: states and subscriptions survive a recovery, numbered like messages`, async (t) => {
      const group = `survives ${dialect}`;
      const [one, two] = [await open(t, dialect, group), await open(t, dialect, group)];
      assert.deepEqual(await subscribe(one, group), []);
      await set(one, group, { k: "mine" });
      assert.equal((await one.next()).sequenceId, 2);
      one.say({ type: "sequenceAck", sequenceId: 2 });
      one.say({ type: "ping" });
      assert.equal((await one.next()).type, "pong"); // so the ack was seen
      one.cut();
      await one.socket.closed;
      await set(two, group, { k: "while away" });
      const view = new View(await subscribe(two, group));
      await view.until(two, () => view.state(one)?.k === "mine" && view.state(two)?.k === "while away");
      await one.recover();
      const update = await one.next();
      assert.deepEqual([update.type, update.sequenceId], ["groupStateUpdate", 3]);
      assert.deepEqual(update.items.map(({ connectionId, state }) => [connectionId, state.k]), [[two.id, "while away"]]);
      await set(one, group, { k: "back" });
      assert.equal((await one.next()).sequenceId, 4);
    });
  }
});
