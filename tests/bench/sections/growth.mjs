// Growth: what a thing costs must not depend on how many others there are.
import { connectionsUpTo, load } from "../lib/processes.mjs";

const name = "growth";
const title = "Growth";

const members = [...new Set([10, 100, 1000, 10000, 15000].map(connectionsUpTo))];

/* --- The core alone ----------------------------------------------------------------- */

// The tables that bench_core prints, as rows of { heading: cell }.
function markdownRows(text) {
  const rows = [];
  let head;
  for (const line of text.split("\n")) {
    const cells = /^\|(.*)\|$/.exec(line)?.[1].split("|").map((cell) => cell.trim());
    if (!cells) head = null;
    else if (!head) head = cells;
    else if (!/^-+$/.test(cells[0])) rows.push(Object.fromEntries(cells.map((cell, i) => [head[i], cell])));
  }
  return rows;
}

// One run of the program answers for all subjects of a round: the n-th time that a subject
// is asked, it gets its figure of the n-th run.
function coreRuns(bench) {
  const runs = [];
  const run = (n) => (runs[n] ??= load([bench.program("tests/bench/bench_core")]).then(markdownRows));
  return (where, figure) => {
    let asked = 0;
    return async () => {
      const row = (await run(asked++)).find((row) => Object.entries(where).every(([key, value]) => row[key] === String(value)));
      if (!row) throw new Error(`bench_core printed no row with ${JSON.stringify(where)}`);
      return { value: Number(row[figure]) };
    };
  };
}

// The goal of each is the figure of the smallest of its series; small ones wander.
const flat = (subjects, ratio) =>
  subjects.map((subject) => {
    const first = subjects.find((other) => other.series === subject.series);
    return subject === first ? subject : { ...subject, goal: { ratio, of: first.name } };
  });

function coreDeliveries(core) {
  const series = [
    ["json", "JSON"],
    ["json reliable", "JSON reliable"],
    ["protobuf", "protobuf"],
    ["raw", "raw"],
  ];
  return {
    title: "The core alone: cost of a delivery by members of the group",
    note: "From the sender's message to bytes that are ready for writev, one message in a turn; no sockets.",
    unit: "ns",
    better: "less",
    plot: { kind: "lines", file: "growth-core", x: "members of the group" },
    subjects: flat(
      series.flatMap(([format, label]) =>
        [10, 1000, 15000].map((x) => ({ name: `${label}, ${x} members`, series: label, x, measure: core({ format, members: x, burst: 1 }, "ns each") })),
      ),
      1.25,
    ),
  };
}

// One subject of load/growth.c. `memory` is what touching the memory of as many costs, and
// nothing else: what a hub that does not fit into the caches costs more, no code can save.
const grown = (bench, subject, series, sizes, words, most) =>
  flat(
    sizes.map((x) => ({
      name: `${series}, ${x} ${words}`,
      series,
      x,
      measure: async () => {
        const { ns, touch_ns } = await bench.load("growth", [subject, x]);
        return { value: ns, ...(touch_ns === undefined ? {} : { memory: touch_ns }) };
      },
    })),
    1.25,
  ).map((row) => (row.x > most ? { ...row, goal: undefined } : row));

const coreTable = (title, file, x, subjects, note) => ({
  title: `The core alone: ${title}`,
  note,
  unit: "ns",
  better: "less",
  columns: { memory: "ns for the memory alone" },
  plot: { kind: "lines", file, x },
  subjects,
});

const caches = "What is another one each time is not in the caches when there are very many: see the memory alone.";

function coreTables(bench) {
  const some = [10, 1000, 100000];
  return [
    coreTable("a delivery in a very large group", "growth-large", "members of the group", grown(bench, "delivery", "JSON", [1000, 15000, 100000], "members", 15000), caches),
    coreTable(
      "leaving and joining a group, by its members",
      "growth-joining",
      "members of the group",
      [...grown(bench, "join-one", "the same member", some, "members"), ...grown(bench, "join-any", "another one each time", some, "members", 1000)],
      caches,
    ),
    coreTable(
      "a send to a group of ten, by groups of the hub",
      "growth-hub",
      "groups of the hub",
      [...grown(bench, "groups-one", "the same group", some, "groups"), ...grown(bench, "groups-any", "another one each time", some, "groups", 1000)],
      caches,
    ),
    coreTable(
      "a send, by connections of the hub",
      "growth-targets",
      "connections of the hub",
      ["user", "connection", "group"].flatMap((what) => {
        const target = what === "group" ? "group of ten" : what;
        return [
          ...grown(bench, `rest-${what}-one`, `the same ${target}`, some, "connections"),
          ...grown(bench, `rest-${what}-any`, `another ${target} each time`, some, "connections", 1000),
        ];
      }),
      caches,
    ),
    coreTable("a delivery to those who read, by those among a thousand who do not", "growth-slow", "members that do not read", grown(bench, "slow", "JSON", [0, 1, 100], "do not read")),
  ];
}

/* --- Over sockets ------------------------------------------------------------------- */

function deliveries(bench) {
  const cost = (dialect, x) => async ({ port, pid }) => {
    const messages = Math.min(10000, Math.ceil(bench.count(400000) / x));
    const out = await bench.load("fanout", [port, dialect, x, messages, 128, 1], { pids: [pid] });
    return { value: (out.cpu_s * 1e6) / (messages * x), p50: out.latency.p50_us, p99: out.latency.p99_us };
  };
  const floor = "smallest honest loop";
  const subject = (label, server, dialect, x, goal) =>
    ({ name: `${label}, ${x} members`, series: label, x, goal, measure: () => bench.with(server(), cost(dialect, x)) });
  return {
    title: "Over sockets: server CPU for a delivery, by members of the group",
    note: "One message in flight, so each delivery is a call of the kernel, which has a price of its own for many sockets: hence the comparison with the smallest loop. With ten members, reading the message is shared by few.",
    unit: "µs of CPU",
    better: "less",
    plot: { kind: "lines", file: "growth-sockets", x: "members of the group" },
    // Those that are compared come one after the other.
    subjects: members.flatMap((x) => [
      subject(floor, () => bench.bare("floor"), "floor", x),
      subject("pubhook-broker, JSON", () => bench.broker(), "json", x, x > 10 ? { ratio: 1.2, of: `${floor}, ${x} members` } : undefined),
    ]),
  };
}

const send = (bench, what, connections, groups) => () =>
  bench.with(bench.broker(), async ({ port, pid }) => {
    const sends = bench.count(10000);
    const out = await bench.load("rest", [port, what, connections, groups, sends], { pids: [pid] });
    return { value: (out.cpu_s * 1e6) / sends, p50: out.p50_us, p99: out.p99_us };
  });

function restByConnections(bench) {
  const subjects = ["user", "connection", "group"].flatMap((what) =>
    [10, 1000, connectionsUpTo(15000)].map((x) => ({ name: `to a ${what} among ${x}`, series: `to a ${what}`, x, measure: send(bench, what, x, 10) })),
  );
  return {
    title: "Over sockets: server CPU for a REST send, by connections of the hub",
    note: "One send at a time, to a user, connection or group of one. p50 and p99: until answer and message are there.",
    unit: "µs of CPU",
    better: "less",
    plot: { kind: "lines", file: "growth-rest", x: "connections of the hub" },
    subjects: flat(subjects, 1.2),
  };
}

function restByGroups(bench) {
  const subjects = [10, 1000, 100000].map((x) => ({ name: `to a group among ${x}`, series: "to a group", x, measure: send(bench, "group", 20, x) }));
  return {
    title: "Over sockets: server CPU for a REST send, by groups of the hub",
    unit: "µs of CPU",
    better: "less",
    plot: { kind: "lines", file: "growth-groups", x: "groups of the hub" },
    subjects: flat(subjects, 1.2),
  };
}

function tables(bench) {
  const core = coreRuns(bench);
  return [coreDeliveries(core), ...coreTables(bench), deliveries(bench), restByConnections(bench), restByGroups(bench)];
}

export default { name, title, tables };
