// Event round trips: client event, webhook, handler, reply and ack. Each client sends its
// next event when message and ack of the one before are there.
import { BOTH, LOAD, SERVER } from "../lib/processes.mjs";

const name = "events";
const title = "Event round trips";

const count = { 1: 20000, 64: 100000, 1000: 100000 };
const columns = { cpu: "server CPU, µs each" };

// The same work three ways. Where "both cores" stands, broker, handler and load share them
// as the kernel likes; otherwise the broker has one to itself.
function table(bench, clients, goals) {
  const events = bench.count(count[clients]);
  const trips = (cpu, ...helpers) => async ({ port, pid }) => {
    const out = await bench.load("events", [port, clients, events], { cpu, pids: [pid, ...helpers] });
    return { value: out.round_trips_per_s, p50: out.p50_us, p99: out.p99_us, cpu: (out.cpu_s * 1e6) / events };
  };
  const over = (broker, helper, load) => () =>
    bench.with({ ...bench.pubhookd("echo"), cpu: helper }, ({ port, pid }) =>
      bench.with({ ...bench.broker("--event-handler", `bench=http://127.0.0.1:${port}/eventhandler`), cpu: broker }, trips(load, pid)),
    );
  return {
    title: `Event round trips, ${clients} client${clients > 1 ? "s" : ""}`,
    unit: "round trips/s",
    better: "more",
    columns,
    plot: { kind: "bars", file: `events-${clients}` },
    subjects: [
      { name: "smallest honest loop (answers itself)", measure: () => bench.with(bench.bare("event_floor"), trips(LOAD)) },
      {
        name: "pubhook-broker, handler in it",
        goal: goals.inside,
        measure: () => bench.with(bench.broker("--handler", `bench=${bench.plugin("echo")}`), trips(LOAD)),
      },
      { name: "pubhook-broker, HTTP, all on both cores", goal: goals.http, measure: over(BOTH, BOTH, BOTH) },
      { name: "pubhook-broker, HTTP, handler on the load's core", measure: over(SERVER, LOAD, LOAD) },
    ],
  };
}

const tables = (bench) => [
  table(bench, 1, { http: { figure: "p50", atMost: 100 } }),
  table(bench, 64, { inside: { atLeast: 150000 }, http: { atLeast: 30000 } }),
  table(bench, 1000, { inside: { atLeast: 150000 }, http: { atLeast: 30000 } }),
];

export default { name, title, tables };
