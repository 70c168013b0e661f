// Fan-out: one message to all members of a group, beside the smallest loop that can do it
// and beside peers. Every delivery is counted, and checked for its place and its content.
import { peers } from "../lib/peers.mjs";

const name = "fanout";
const title = "Fan-out";

const members = 1000;
const size = 128;
const json = "pubhook-broker, JSON";
// What the members speak, and how near to JSON it must come.
const kinds = [
  ["reliable", "pubhook-broker, JSON reliable", 0.8],
  ["protobuf", "pubhook-broker, protobuf", 0.95],
  ["protobuf-reliable", "pubhook-broker, protobuf reliable", 0.8],
  ["raw", "pubhook-broker, raw", 0.95],
];

// Most peers write no message together with others: with many in flight they get fewer, so
// that they take no longer.
function subjects(bench, fan, { goals, ratios = true, peersShare = 1, quick = true }) {
  const ours = (name, server, dialect, goal) => ({ name, goal, measure: () => bench.with(server, fan(dialect)) });
  return [
    ours("smallest honest loop", bench.bare("floor"), "floor"),
    ours(json, bench.broker(), "json", goals),
    ...kinds.map(([dialect, name, ratio]) => ours(name, bench.broker(), dialect, ratios ? { ratio, of: json } : undefined)),
    ...peers.map((peer) => ({ name: peer.name, missing: peer.missing(bench) ?? (bench.quick && !quick ? "left out by --quick" : null), measure: () => peer.with(bench, fan(peer.dialect, peersShare)) })),
  ];
}

const figures = ({ deliveries_per_s, latency }) => ({ value: deliveries_per_s, p50: latency.p50_us, p99: latency.p99_us, all: latency.all_p99_us });
const medians = "Medians of the figures of each tenth of a second.";
const columns = { all: "p99 µs of all" };

function closed(bench, inFlight, goals) {
  const messages = bench.count(600) * (inFlight === 1 ? 1 : 10);
  const fan = (dialect, share = 1) => async ({ port }) =>
    figures(await bench.load("fanout", [port, dialect, members, Math.ceil(messages * share), size, inFlight]));
  return {
    title: `Fan-out to ${members} members, ${inFlight} in flight`,
    unit: "deliveries/s",
    better: "more",
    note: `Latency: from a message's sending to the last member's delivery. ${medians}`,
    columns,
    plot: { kind: "bars", file: `fanout-${inFlight}` },
    subjects: subjects(bench, fan, { goals, peersShare: inFlight === 1 ? 1 : 0.15, quick: inFlight === 1 }),
  };
}

// Messages are due at a fixed rate whether or not those before have been delivered, and
// latency counts from then: a server that stalls cannot hide it by being asked less.
function open(bench) {
  const rate = 100;
  const messages = rate * (bench.quick ? 2 : 5);
  const fan = (dialect) => async ({ port }) => {
    const out = await bench.load("fanout", [port, dialect, members, messages, size, `${rate}/s`]);
    return { value: out.latency.p99_us, p50: out.latency.p50_us, all: out.latency.all_p99_us, "deliveries/s": out.deliveries_per_s };
  };
  return {
    title: `Fan-out to ${members} members, ${rate} messages a second`,
    unit: "p99 µs",
    better: "less",
    note: `Latency: from when a message was due to each member's delivery, after a second in which the server warms up. ${medians}`,
    columns,
    plot: { kind: "bars", file: "fanout-latency" },
    subjects: subjects(bench, fan, { goals: { ratio: 1.15 }, ratios: false, quick: false }),
  };
}

const tables = (bench) => [
  closed(bench, 1, [{ ratio: 0.9 }, { figure: "p99", ratio: 1.15 }]),
  closed(bench, 16, [{ ratio: 0.96 }, { figure: "p99", ratio: 1.15 }]),
  open(bench),
];

export default { name, title, tables };
