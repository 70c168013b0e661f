// Event round trips: client event, webhook, handler, reply and ack. Each client sends its
// next event when message and ack of the one before are there, or keeps 16 under way.
import { BOTH, LOAD, SERVER } from "../lib/processes.mjs";

const name = "events";
const title = "Event round trips";

const count = { 1: 20000, 64: 100000, 1000: 100000 };
const columns = { cpu: "server CPU, µs each" };

const goalInside = { atLeast: 150000 };
const goalHttp = { atLeast: 30000 };
// Centrifuge's RPC proxy, by one server core and with its upstream on the load's, measured on
// another machine of this kind: no package of it is there to be measured beside.
const centrifuge = { 1: { figure: "p50", atMost: 127 }, 64: { atLeast: 26800 } };

function roundTrips(bench, clients, inFlight) {
  const events = bench.count(count[clients]);
  return (cpu, ...helpers) => async ({ port, pid }) => {
    const out = await bench.load("events", [port, clients, events, inFlight], { cpu, pids: [pid, ...helpers] });
    return { value: out.round_trips_per_s, p50: out.p50_us, p99: out.p99_us, cpu: (out.cpu_s * 1e6) / events };
  };
}

const floor = (bench, trips) => ({
  name: "smallest honest loop (answers itself)",
  measure: () => bench.with(bench.bare("event_floor"), trips(LOAD)),
});

const inside = (bench, trips, goal) => ({
  name: "pubhook-broker, handler in it",
  goal,
  measure: () => bench.with(bench.broker("--handler", `bench=${bench.plugin("echo")}`), trips(LOAD)),
});

function table(bench, clients, inFlight, file, subjects) {
  const each = inFlight > 1 ? `${inFlight} in flight each` : "1 in flight" + (clients > 1 ? " each" : "");
  return {
    title: `Event round trips, ${clients} client${clients > 1 ? "s" : ""}, ${each}`,
    unit: "round trips/s",
    better: "more",
    columns,
    plot: { kind: "bars", file },
    subjects,
  };
}

// The same work three ways. Where "both cores" stands, broker, handler and load share them
// as the kernel likes; otherwise the broker has one to itself.
function oneInFlight(bench, clients, goals) {
  const trips = roundTrips(bench, clients, 1);
  const over = (broker, helper, load) => () =>
    bench.with({ ...bench.pubhookd("echo"), cpu: helper }, ({ port, pid }) =>
      bench.with({ ...bench.broker("--event-handler", `bench=http://127.0.0.1:${port}/eventhandler`), cpu: broker }, trips(load, pid)),
    );
  return table(bench, clients, 1, `events-${clients}`, [
    floor(bench, trips),
    inside(bench, trips, goals.inside),
    { name: "pubhook-broker, HTTP, all on both cores", goal: goals.http, measure: over(BOTH, BOTH, BOTH) },
    { name: "pubhook-broker, HTTP, handler on the load's core", goal: centrifuge[clients], measure: over(SERVER, LOAD, LOAD) },
  ]);
}

// With more in flight a read brings several events, so the kernel's part is shared. The goal
// for a handler inside names no number in flight: it is judged here, and with one in flight the
// ratio to the smallest loop tells what is ours.
function manyInFlight(bench, clients, inFlight) {
  const trips = roundTrips(bench, clients, inFlight);

  return table(bench, clients, inFlight, `events-${clients}-${inFlight}`, [floor(bench, trips), inside(bench, trips, goalInside)]);
}

const tables = (bench) => [
  oneInFlight(bench, 1, { http: { figure: "p50", atMost: 100 } }),
  oneInFlight(bench, 64, { http: goalHttp }),
  manyInFlight(bench, 64, 16),
  oneInFlight(bench, 1000, { inside: goalInside, http: goalHttp }),
];

export default { name, title, tables };
