// New clients with tokens of their own, as fast as one core of the server takes them, and
// what a client that is connected already notices: one pings every millisecond.
import { connectionsUpTo } from "../lib/processes.mjs";

const name = "connect";
const title = "Connecting";

function tables(bench) {
  const burst = connectionsUpTo(bench.count(15000));
  const connect = (args) => async ({ port, pid }) => {
    const out = await bench.load("connect", ["--port", port, "--pid", pid, "--burst", burst, "--no-memory", ...args]);
    return { value: out.connects_per_s, cost: out.connect_us, p99: out.burst_ping_p99_us, stall: out.burst_stall_us, closing: out.closing_stall_us };
  };
  const subject = (name, server, args, goal) => ({ name, goal, measure: () => bench.with(server, connect(args)) });
  const goals = [{ atLeast: 15000 }, { figure: "stall", atMost: 5000 }];
  return [
    {
      title: `${burst} new connections`,
      unit: "connections/s",
      better: "more",
      note: "Each client of the broker has a token of its own. p99 and the longest stalls are those of the client that pings, medians of three times as many runs as elsewhere.",
      columns: { cost: "µs of server time each", p99: "ping p99 µs", stall: "longest stall µs", closing: "longest stall µs while all close" },
      plot: { kind: "bars", file: "connect" },
      times: bench.quick ? 1 : 3, // a burst is half a second, and one pause of the machine in it is its longest stall
      subjects: [
        subject("smallest honest loop, no tokens", bench.bare("floor"), ["--no-token"]),
        subject("pubhook-broker, JSON", bench.broker(), ["--subprotocol", "json.webpubsub.azure.v1", "--greeted"], goals),
        subject("pubhook-broker, JSON reliable", bench.broker(), ["--subprotocol", "json.reliable.webpubsub.azure.v1", "--greeted"]),
        subject("pubhook-broker, raw", bench.broker(), []),
      ],
    },
  ];
}

export default { name, title, tables };
