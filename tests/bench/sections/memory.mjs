// What an idle connection weighs, and what opening and closing one costs beside many.
import { setTimeout as sleep } from "node:timers/promises";
import { peers } from "../lib/peers.mjs";
import { connectionsUpTo, memoryKiB } from "../lib/processes.mjs";

const name = "memory";
const title = "Memory";

// What servers take to begin to tidy up: ours gives memory back once it is quiet for a second.
const pause = 2500;

// Memory in KiB once it has stopped changing; collectors of garbage take a while.
async function settled(pid) {
  await sleep(pause);
  let last = memoryKiB(pid);
  for (let i = 0; i < 20; i++) {
    await sleep(100);
    const now = memoryKiB(pid);
    if (Math.abs(now - last) < 64) return now;
    last = now;
  }
  return last;
}

// As many connections are there before: they make the server have what it has only once,
// tables, and what the rush of so many leaves in the heap for those that come next.
const weigh = (bench, dialect, count) => ({ port, pid }) =>
  bench.idle(port, dialect, count, {
    measure: async () => {
      const before = await settled(pid);
      return bench.idle(port, dialect, count, { measure: async () => ({ value: ((await settled(pid)) - before) / count }) });
    },
  });

function idle(bench) {
  const count = Math.floor(connectionsUpTo(10000) / 2);
  const ours = (name, server, dialect, goal) => ({ name, goal, measure: () => bench.with(server, weigh(bench, dialect, count)) });
  return {
    title: `An idle connection, of ${count}`,
    unit: "KiB",
    better: "less",
    note: `Growth of the resident memory of all processes of the server, from ${count} connections to twice as many.`,
    plot: { kind: "bars", file: "memory" },
    subjects: [
      ours("pubhook-broker, JSON", bench.broker(), "json", { atMost: 1.5 }),
      ours("pubhook-broker, JSON reliable", bench.broker(), "reliable", { atMost: 2.5 }),
      ours("smallest honest loop", bench.bare("floor"), "floor"),
      ...peers.map((peer) => ({ name: peer.name, missing: peer.missing(bench), measure: () => peer.with(bench, weigh(bench, peer.dialect, count)) })),
    ],
  };
}

// The program asks the kernel for the server's CPU time.
function cycles(bench) {
  const counts = [...new Set([0, 1000, 5000, 15000].map((count) => connectionsUpTo(count)))];
  const cycle = (count, args) => async ({ port, pid }) => {
    const out = await bench.load("connect", ["--port", port, "--pid", pid, "--idle", count, "--cycles", bench.count(10000), "--goodbye", "--no-memory", ...args]);
    return { value: out.cycle_us, "cycles/s": out.cycles_per_s };
  };
  const subject = (series, count, server, args, goal) => ({ name: `${series}, ${count} idle`, series, x: count, goal, measure: () => bench.with(server, cycle(count, args)) });
  const json = ["--subprotocol", "json.webpubsub.azure.v1", "--greeted"];
  const floor = "smallest honest loop", ours = "pubhook-broker, JSON";
  return {
    title: "Opening and closing a connection beside idle ones",
    unit: "µs of server time",
    better: "less",
    note: "The broker checks a token of each client's own. Ratios are to the loop with no idle connections.",
    plot: { kind: "lines", file: "open-close", x: "idle connections" },
    subjects: [
      ...counts.map((count) => subject(floor, count, bench.bare("floor"), ["--no-token"])),
      ...counts.map((count, i) => subject(ours, count, bench.broker(), json, [{ atMost: 60 }, ...(i > 0 ? [{ of: `${ours}, ${counts[0]} idle`, ratio: 1.1 }] : [])])),
    ],
  };
}

const tables = (bench) => [idle(bench), cycles(bench)];

export default { name, title, tables };
