// A day in a few minutes: clients of every protocol come, join, send, are cut, recover and
// leave; services call; strangers are refused; the settings are read again. When all have
// gone, the broker must be where it was after the warm-up: connections, queues,
// descriptors, memory. Run it with a broker that is built with sanitizers.
//
//   SOAK_SECONDS=600   how long, with the warm-up (a fifth, a minute at most)
//   PUBHOOK_SEED=N     makes the same choices again; what comes of them is a matter of time

import assert from "node:assert/strict";
import { utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { metricsOf } from "../e2e/lib/metrics.mjs";
import { dialects } from "../e2e/lib/peers.mjs";
import { plugin, sanitizerEnvironment, program, temporaryFolder } from "../e2e/lib/paths.mjs";
import { defaultKey, startHandler } from "../e2e/lib/pubhook.mjs";
import { start } from "../e2e/lib/program.mjs";
import { Random } from "../e2e/lib/random.mjs";
import { descriptors } from "./descriptors.mjs";
import { clientLife, latecomerLife, sdkLife, serviceLife, strangerLife } from "./lives.mjs";

const total = Number(process.env.SOAK_SECONDS ?? 600) * 1000;
const warmUp = Math.min(total / 5, 60_000);
const recoverySeconds = 3; // how long a session is kept whose client does not come back
const settleMs = 90_000; // idle HTTP connections are kept for 30 s
const cast = [
  [clientLife, 24],
  [sdkLife, 2],
  [serviceLife, 3],
  [strangerLife, 1],
  [latecomerLife, 1],
];

// What may have grown since the warm-up. The heap is what is allocated and not freed, as
// the allocator counts it, without freed memory that a sanitizer still watches: pools of
// idle transfers and of libmicrohttpd fill up to their limits, no more. Resident memory
// has that, fragmentation and the sanitizer's own besides.
const heapGrowth = 1 << 20;
const residentGrowth = 192 << 20;

async function startBroker(t, handler) {
  const file = path.join(temporaryFolder(t), "broker.json");
  const rows = (url) => [{ urlTemplate: url, userEventPattern: "*", systemEvents: ["connect", "connected", "disconnected"] }];
  writeFileSync(file, JSON.stringify({ limits: { recoverySeconds }, hubs: { web: { eventHandlers: rows(handler.url) }, sdk: { eventHandlers: rows(handler.url) } } }));
  const asan = `${sanitizerEnvironment().ASAN_OPTIONS ?? ""}:quarantine_size_mb=1:thread_local_quarantine_size_kb=64`;
  const args = ["--listen", "127.0.0.1:0", "--threads", "4", "--config", file, "--handler", `plugin=${plugin("echo")}`];
  const broker = start(t, program("pubhook-broker"), args, { env: { ASAN_OPTIONS: asan } });
  broker.url = await broker.line("ready");
  broker.connectionString = await broker.line("connection-string");
  assert.ok(broker.connectionString.includes(defaultKey));
  broker.port = Number(new URL(broker.url).port);
  broker.reload = () => {
    utimesSync(file, new Date(), new Date());
    broker.signal("SIGHUP");
  };
  return broker;
}

// Everybody lives one life after the other until the time is over.
async function play(world, random, until) {
  const actors = cast.flatMap(([life, count]) => Array(count).fill(life));
  await Promise.all(
    actors.map(async (life) => {
      const chance = random.fork();
      while (Date.now() < until && !world.failure) {
        try {
          await life(world, chance);
        } catch (error) {
          world.fail(error);
        }
      }
    }),
  );
  if (world.failure) throw world.failure;
}

// What must be zero when nobody is there.
function unrest(metrics) {
  const gauges = ["pubhook_sockets", "pubhook_sockets_blocked", "pubhook_connections_detached", "pubhook_events_pending", "pubhook_mailbox_bytes"];
  const busy = gauges.filter((name) => metrics.get(name) !== 0);
  if (metrics.sum("pubhook_connections") !== 0) busy.push("pubhook_connections");
  return busy;
}

// Waits until nobody is there and `isFine` finds nothing to complain about any more.
async function settle(world, complaints = () => []) {
  const end = Date.now() + settleMs;
  for (;;) {
    const metrics = await metricsOf(world.broker);
    const files = descriptors(world.broker.pid, world.broker.port, [world.handler.port]);
    const wrong = [...unrest(metrics), ...complaints(metrics, files)];
    // One connection is the one that asks.
    if (files.clients > 1) wrong.push(`${files.clients} connections of clients`);
    if (wrong.length === 0) return { metrics, files };
    if (Date.now() > end) assert.fail(`not quiet ${settleMs / 1000} s after all have left: ${wrong.join("; ")}`);
    await sleep(500);
  }
}

// What goes in comes out.
function checkBooks(metrics) {
  const events = (event, outcome) => metrics.get("pubhook_events_total", { event, outcome });
  const accepted = metrics.get("pubhook_connections_accepted_total");
  assert.equal(metrics.sum("pubhook_connections_closed_total"), accepted, "every connection ended");
  // Some left while their connect handler was asked.
  assert.ok(events("connect", "ok") >= accepted, "every connection was asked for");
  assert.equal(events("connected", "ok"), accepted, "connected");
  assert.ok(events("disconnected", "ok") >= accepted, "disconnected");
  assert.equal(events("disconnected", "ok"), events("connect", "ok"), "disconnected for all who were let in");
  for (const event of ["connect", "connected", "user", "disconnected"]) assert.equal(events(event, "failed"), 0, `${event} failed`);
  assert.equal(metrics.sum("pubhook_handler_failures_total"), 0);
  assert.equal(metrics.sum("pubhook_rest_requests_total", { status: "5xx" }), 0);
  for (const reason of ["ServiceTransientError", "SendEventFailed", "EventHandlerNotFound", "SlowClient", "Other"]) {
    assert.equal(metrics.get("pubhook_connections_closed_total", { reason }), 0, `closed with ${reason}`);
  }
}

// A soak in which something never happened has not shown that it leaves nothing behind.
function checkDeeds(world, metrics) {
  for (const dialect of [...Object.keys(dialects), "sdk", "service", "stranger", "latecomer"]) assert.ok(world.lives[dialect] > 0, `lives of ${dialect}`);
  assert.ok(metrics.get("pubhook_connections_recovered_total") > 0, "recovered");
  assert.ok(metrics.get("pubhook_recoveries_refused_total") > 0, "came too late");
  for (const reason of ["Normal", "ClosedByAppServer", "BadRequest"]) {
    assert.ok(metrics.get("pubhook_connections_closed_total", { reason }) > 0, `closed with ${reason}`);
  }
}

test("the broker is where it began once all have left", { timeout: total + 2 * settleMs + 120_000 }, async (t) => {
  const random = new Random(t);
  const handler = await startHandler(t, "echo", { threads: 8 });
  const broker = await startBroker(t, handler);
  const world = {
    broker,
    handler,
    hubs: ["web", "plugin"],
    ids: new Set(),
    lives: {},
    said: 0,
    tooLateMs: recoverySeconds * 1000 + 1500,
    fail(error) {
      this.failure ??= error;
    },
  };
  const end = Date.now() + total;
  await play(world, random, Date.now() + warmUp);
  const before = await settle(world);
  const reloads = setInterval(() => broker.reload(), 15_000);
  try {
    await play(world, random, end);
  } finally {
    clearInterval(reloads);
  }
  const heap = (metrics) => metrics.get("pubhook_heap_bytes");
  const resident = (metrics) => metrics.get("process_resident_memory_bytes");
  const after = await settle(world, (metrics, files) => [
    ...(heap(metrics) > heap(before.metrics) + heapGrowth ? [`heap: ${heap(before.metrics)}, then ${heap(metrics)}`] : []),
    ...(files.others !== before.files.others ? [`descriptors: ${JSON.stringify(before.files.kinds)}, then ${JSON.stringify(files.kinds)}`] : []),
    ...(files.handlers > 30 ? [`${files.handlers} idle connections to the handler`] : []),
  ]);
  t.diagnostic(`lives: ${JSON.stringify(world.lives)}, said: ${world.said}`);
  t.diagnostic(`connections: ${after.metrics.get("pubhook_connections_accepted_total")}, recovered: ${after.metrics.get("pubhook_connections_recovered_total")}`);
  t.diagnostic(`heap: ${heap(before.metrics)}, then ${heap(after.metrics)} bytes; resident: ${resident(before.metrics)}, then ${resident(after.metrics)}`);
  t.diagnostic(`descriptors: ${JSON.stringify(before.files)}, then ${JSON.stringify(after.files)}`);
  assert.ok(resident(after.metrics) <= resident(before.metrics) + residentGrowth, `resident: ${resident(before.metrics)}, then ${resident(after.metrics)}`);
  checkBooks(after.metrics);
  checkDeeds(world, after.metrics);
  const errors = broker.log.split("\n").filter((line) => /^\S+ error /.test(line));
  assert.deepEqual(errors, [], "no line of level error");
  await broker.stopOnce(); // a leak at the end is an error of the sanitizer's
});
