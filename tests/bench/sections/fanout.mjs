// Fan-out: one message to all members of a group, beside the smallest loop that can do it.
const name = "fanout";
const title = "Fan-out";

const members = 1000;
const json = "pubhook-broker, JSON";
// What the members speak, and how near to JSON it must come.
const kinds = [
  ["reliable", "pubhook-broker, JSON reliable", 0.8],
  ["protobuf", "pubhook-broker, protobuf", 0.95],
  ["protobuf-reliable", "pubhook-broker, protobuf reliable", 0.8],
  ["raw", "pubhook-broker, raw", 0.95],
];

function table(bench, inFlight, goals) {
  const messages = bench.count(1000) * (inFlight === 1 ? 1 : 6);
  const fan = (...kind) => async ({ port }) => {
    const out = await bench.load("fanout", [port, members, inFlight, messages, 128, ...kind]);
    return { value: out.deliveries_per_s, p50: out.p50_us, p99: out.p99_us };
  };
  const subject = (name, server, kind, goal) => ({ name, goal, measure: () => bench.with(server, fan(...kind)) });
  return {
    title: `Fan-out to ${members} members, ${inFlight} in flight`,
    unit: "deliveries/s",
    better: "more",
    plot: { kind: "bars", file: `fanout-${inFlight}` },
    subjects: [
      subject("smallest honest loop", bench.bare("floor"), ["floor"]),
      subject(json, bench.broker(), ["broker"], goals),
      ...kinds.map(([kind, name, ratio]) => subject(name, bench.broker(), ["broker", kind], { ratio, of: json })),
    ],
  };
}

const tables = (bench) => [
  table(bench, 1, [{ ratio: 0.9 }, { figure: "p99", ratio: 1.15 }]),
  table(bench, 16, [{ ratio: 0.96 }, { figure: "p99", ratio: 1.15 }]),
];

export default { name, title, tables };
