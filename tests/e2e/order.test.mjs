// What one sends to a group arrives everywhere in the order of sending: at clients of
// every protocol, on every shard, while sockets of senders and receivers are cut and
// recover. Reliable clients lose nothing and see nothing twice. What a REST call does
// comes after what clients had acknowledged.

import assert from "node:assert/strict";
import { request } from "node:http";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { allRoles } from "./lib/clients.mjs";
import { patience } from "./lib/patience.mjs";
import { dialects, Peer } from "./lib/peers.mjs";
import { startBroker } from "./lib/pubhook.mjs";
import { Random } from "./lib/random.mjs";
import { call, now, signToken } from "./lib/tokens.mjs";

const hub = "chat";
const group = "g";
const threads = 4;
const rounds = 4;
const perSender = 120; // of a round, in which nobody may get 1,000 unacknowledged messages
const receiversOfKind = 16; // so that a shard has enough of them to write to them in turns
const awayMs = 20; // at most, between a cut and the recovery
const numbers = (count) => [...Array(count).keys()];

// --- Senders. Each sends `perSender` messages "name n", in the order of n.

// Only what the broker has acknowledged counts as sent: after a recovery the rest is
// sent again, under the same ackIds, so that nothing is sent twice.
async function sendByClient(sender, name, from, random) {
  const last = from + perSender - 1;
  const say = (n) => sender.say({ type: "sendToGroup", group, dataType: "text", data: `${name} ${n}`, noEcho: true, ackId: n + 1 });
  let acked = from - 1;
  let sent = from - 1;
  let cutAt = sender.reliable ? random.between(from, last + 20) : Infinity;
  while (acked < last) {
    while (sent < last && sent - acked < 20) say(++sent);
    if (acked + 1 >= cutAt) {
      cutAt = Infinity;
      await cutAndRecover(sender, random);
      sent = acked;
      continue;
    }
    const heard = await sender.next();
    if (heard.type !== "ack") continue;
    assert.ok(heard.success || heard.error.name === "Duplicate", JSON.stringify(heard));
    acked = Math.max(acked, heard.ackId - 1);
  }
}

// Raw clients hear nothing of what becomes of their messages.
async function sendByRaw(sender, name, from) {
  for (let n = from; n < from + perSender; n++) sender.say({ data: `${name} ${n}` });
}

// Each call on a connection of its own, which may reach any shard; awaited. A filter that all
// pass makes a call one that takes longer.
function post(broker, data, filter) {
  const path = `/api/hubs/${hub}/groups/${group}/:send?api-version=2024-12-01${filter ? `&filter=${encodeURIComponent(filter)}` : ""}`;
  const token = signToken({ aud: broker.url + path, exp: now() + 60 });
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "text/plain", "Content-Length": Buffer.byteLength(data) };
  return new Promise((resolve, reject) => {
    request(broker.url + path, { method: "POST", agent: false, headers }, (response) => {
      response.resume().once("end", () => resolve(response.statusCode));
    }).once("error", reject).end(data);
  });
}

async function sendByRest(broker, name, from) {
  for (let n = from; n < from + perSender; n++) assert.equal(await post(broker, `${name} ${n}`, n % 2 ? undefined : "'g' in groups"), 202);
}

// --- Receivers

async function cutAndRecover(peer, random) {
  peer.cut();
  await sleep(random.below(awayMs));
  await peer.recover();
}

// Takes `count` messages; `log` has for each sender what came of it. Reliable ones are
// cut in between, and leave out what they had before, as the official clients do.
async function receive(receiver, count, random) {
  const { peer, log } = receiver;
  let untilCut = peer.reliable ? random.between(1, count / 2) : Infinity;
  for (let taken = 0; taken < count; ) {
    const message = await peer.next();
    if (message.type !== "message") continue;
    if (peer.reliable) {
      if (message.sequenceId <= receiver.highest) continue;
      assert.equal(message.sequenceId, receiver.highest + 1, "no gap in the sequence ids");
      receiver.highest = message.sequenceId;
      if (random.oneIn(40)) peer.say({ type: "sequenceAck", sequenceId: receiver.highest });
    }
    taken++;
    const [name, n] = text(message).split(" ");
    if (!log.has(name)) log.set(name, []);
    log.get(name).push(Number(n));
    if (--untilCut === 0) {
      await cutAndRecover(peer, random);
      untilCut = random.between(1, count / 2);
    }
  }
}

const text = ({ dataType, data }) => (dataType === "binary" ? Buffer.from(data, "base64").toString() : data);

// So that the next round starts with nothing unacknowledged.
async function acknowledge({ peer, highest }) {
  if (!peer.reliable) return;
  peer.say({ type: "sequenceAck", sequenceId: highest });
  peer.say({ type: "ping" });
  while ((await peer.next()).type !== "pong");
}

test("from each sender in its order, at every receiver, through cuts", { timeout: 10 * patience }, async (t) => {
  const random = new Random(t);
  const broker = await startBroker(t, { threads });
  const clients = Object.keys(dialects).filter((name) => name !== "raw");
  const senders = [{ name: "rest", send: (from) => sendByRest(broker, "rest", from) }];
  for (const dialect of clients) {
    const name = dialect.replace(/ /g, "-");
    const peer = await Peer.open(t, broker, hub, dialect, { roles: allRoles });
    const own = random.fork();
    senders.push({ name, send: (from) => sendByClient(peer, name, from, own) });
  }
  const raw = await Peer.open(t, broker, hub, "raw", { roles: allRoles }, { webpubsub_mode: "sendToGroup", group });
  senders.push({ name: "raw", send: (from) => sendByRaw(raw, "raw", from) });

  const receivers = [];
  for (const dialect of Object.keys(dialects).flatMap((name) => Array(receiversOfKind).fill(name))) {
    const peer = await Peer.open(t, broker, hub, dialect, { groups: [group] });
    receivers.push({ dialect, peer, log: new Map(), highest: 0, random: random.fork() });
  }
  for (const round of numbers(rounds)) {
    const total = senders.length * perSender;
    assert.ok(total < 1000);
    await Promise.all([
      ...senders.map(({ send }) => send(round * perSender)),
      ...receivers.map((receiver) => receive(receiver, total, receiver.random)),
    ]);
    await Promise.all(receivers.map(acknowledge));
  }
  for (const { dialect, log } of receivers) {
    for (const { name } of senders) {
      assert.deepEqual(log.get(name), numbers(rounds * perSender), `what ${name} sent, at a ${dialect} client`);
    }
  }
});

test("a REST call comes behind what was acknowledged to a client", { timeout: 10 * patience }, async (t) => {
  const broker = await startBroker(t, { threads });
  const sender = await Peer.open(t, broker, hub, "json", { roles: allRoles });
  const receivers = await Promise.all(numbers(8).map(() => Peer.open(t, broker, hub, "json", { groups: [group], userId: "ann" })));
  const times = 1000;
  for (const n of numbers(times)) {
    sender.say({ type: "sendToGroup", group, dataType: "text", data: `client ${n}`, ackId: n });
    assert.equal((await sender.next()).success, true);
    const { status } = await call(broker, "POST", `/api/hubs/${hub}/users/ann/:send`, { headers: { "Content-Type": "text/plain" }, body: `REST ${n}` });
    assert.equal(status, 202);
  }
  for (const receiver of receivers) {
    for (const n of numbers(times)) {
      assert.deepEqual([(await receiver.next()).data, (await receiver.next()).data], [`client ${n}`, `REST ${n}`]);
    }
  }
});
