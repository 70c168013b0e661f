// Two shards beside one. Where the load client needs the second core too, wall-clock time
// says little of them; what the busiest of the shards' threads has used says how far it is
// from being full.
import { BOTH, SERVER, threadNs } from "../lib/processes.mjs";

const name = "shards";
const title = "Shards";

const members = 1000;

function tables(bench) {
  const messages = bench.count(6000);
  const fan = async ({ port, pid }) => {
    const before = threadNs(pid);
    const out = await bench.load("fanout", [port, "json", members, messages, 128, 16]);
    const used = [...threadNs(pid)].map(([thread, ns]) => ns - (before.get(thread) ?? 0));
    const busiest = Math.max(...used);
    const all = used.reduce((a, b) => a + b, 0);
    return { value: (members * messages) / (busiest / 1e9), wall: out.deliveries_per_s, cost: all / (members * messages) };
  };
  const subject = (threads, cpu, goal) => ({
    name: threads === 1 ? "one shard" : `${threads} shards`,
    goal,
    measure: () => bench.with({ ...bench.broker("--threads", String(threads)), cpu }, fan),
  });
  return [
    {
      title: `Fan-out to ${members} members by one shard and by two, 16 in flight`,
      unit: "deliveries for each second of the busiest shard's CPU time",
      better: "more",
      note: "One shard has a core to itself. Two share both cores with the load client: their wall-clock figure is what is left over.",
      columns: { wall: "deliveries/s by the clock", cost: "ns of CPU time per delivery, all threads" },
      plot: { kind: "bars", file: "shards" },
      subjects: [subject(1, SERVER), subject(2, BOTH, { ratio: 1.7 })],
    },
  ];
}

export default { name, title, tables };
