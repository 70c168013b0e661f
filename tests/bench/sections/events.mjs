// Event round trips: client event, webhook, handler, reply and ack.
const name = "events";
const title = "Event round trips";

function table(bench, clients, goals) {
  const events = bench.count(clients === 1 ? 10000 : 100000);
  const trips = async ({ port }) => {
    const out = await bench.load("events", [port, clients, events]);
    return { value: out.round_trips_per_s, p50: out.p50_us, p99: out.p99_us };
  };
  return {
    title: `Event round trips, ${clients} client${clients > 1 ? "s" : ""}`,
    unit: "round trips/s",
    better: "more",
    subjects: [
      {
        name: "handler in the broker (`--handler`)",
        goal: goals.inside,
        measure: () => bench.with(bench.broker("--handler", `bench=${bench.plugin("echo")}`), trips),
      },
      {
        name: "handler in pubhookd over HTTP",
        goal: goals.http,
        measure: () =>
          bench.with(bench.pubhookd("echo"), ({ port }) =>
            bench.with(bench.broker("--event-handler", `bench=http://127.0.0.1:${port}/eventhandler`), trips),
          ),
      },
    ],
  };
}

const tables = (bench) => [
  table(bench, 1, { http: { figure: "p50", atMost: 100 } }),
  table(bench, 64, { inside: { atLeast: 150000 }, http: { atLeast: 30000 } }),
];

export default { name, title, tables };
