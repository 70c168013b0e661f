// What others notice of a reader that stops, and of a webhook that is slow for some: p99
// beside the same load without them, in turn. The rates are far from what the server can do,
// so that it is the neighbour who is measured.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inTemporaryFolder } from "../lib/configured.mjs";
import { LOAD } from "../lib/processes.mjs";

const name = "isolation";
const title = "Isolation";

const moved = 1.1; // how far others' p99 may move
const peakMiB = (pid) => Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024;

// Clients that the broker has closed because they did not keep up.
async function slowClients(port) {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(/^pubhook_connections_closed_total\{reason="SlowClient"\} (\d+)$/m.exec(text)[1]);
}

// Bytes that wait in the kernel to be sent from a port.
function unsent(port) {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const sockets = readFileSync("/proc/net/tcp", "utf8").split("\n").map((line) => line.trim().split(/\s+/));
  return sockets.reduce((sum, [, from, , , queues]) => sum + (from?.endsWith(local) ? parseInt(queues, 16) : 0), 0);
}

// Sends until the kernel takes no more for the reader that has stopped.
async function fillSocket(bench, port) {
  for (let before = -1, now = 0; now > before; ) {
    before = now;
    await bench.load("fanout", [port, "json", 1, 50, 4096, 16]);
    now = unsent(port);
  }
}

const withSettings = (settings, measure) =>
  inTemporaryFolder((temporary) => {
    const file = join(temporary, "broker.json");
    writeFileSync(file, JSON.stringify(settings));
    return measure(file);
  });

// The stopped reader's socket is full when the measurement begins, its queue fills in the
// first half, and then it must be closed.
function readers(bench) {
  const rate = 100, members = 1000, size = 128, queue = 400;
  const messages = rate * (bench.quick ? 8 : 10);
  const fan = async ({ port, pid }) => {
    const out = await bench.load("fanout", [port, "json", members - 1, messages, size, `${rate}/s`]);
    return { value: out.p99_us, p50: out.p50_us, peak: peakMiB(pid) };
  };
  const besideReader = (stopped) => (server) =>
    bench.idle(server.port, "json", 1, {
      receiveBuffer: 4096,
      measure: async ({ pid }) => {
        if (stopped) {
          process.kill(pid, "SIGSTOP");
          await fillSocket(bench, server.port);
        }
        const before = await slowClients(server.port);
        const figures = await fan(server);
        if (before > 0) throw new Error("the stopped reader was closed before its queue was full");
        if ((await slowClients(server.port)) !== Number(stopped)) throw new Error(stopped ? "the stopped reader was not closed" : "a reader that reads was closed");
        return figures;
      },
    });
  const subject = (name, stopped, goal) => ({
    name,
    goal,
    measure: () => withSettings({ limits: { queueMessages: queue } }, (file) => bench.with(bench.broker("--config", file), besideReader(stopped))),
  });
  return {
    title: `Fan-out to ${members} members, ${rate} messages a second, one of whom stops reading`,
    unit: "others' p99 µs",
    better: "less",
    note: `The socket of the reader that stops (SIGSTOP) is full; in each run its queue of ${queue} messages fills up, and it is closed.`,
    columns: { peak: "peak MiB of the broker" },
    runs: bench.quick ? undefined : 5,
    subjects: [subject("all read", false), subject("one stops", true, [{ ratio: moved }, { figure: "peak", ratio: 1.1 }])],
  };
}

// Both subjects come out of one process, with their phases in turn.
function handlers(bench) {
  const clients = 1000, rate = 4000, cycles = bench.quick ? 1 : 5;
  const pace = async ({ port, pid }) => {
    let before;
    const onLine = (line) => line === "slow" && (before = peakMiB(pid));
    const out = await bench.load("paced", [port, clients, rate, cycles], { onLine });
    return {
      quick: { value: out.p99_us, p50: out.p50_us, peak: before },
      slow: { value: out.slow_p99_us, p50: out.slow_p50_us, peak: peakMiB(pid) },
    };
  };
  const run = () =>
    bench.with({ ...bench.bare("slow_http", "5000"), cpu: LOAD }, ({ port }) =>
      bench.with(bench.broker("--event-handler", `bench=http://127.0.0.1:${port}/`), pace));
  let phases;
  return {
    title: `Events of ${clients} clients, ${rate} a second, a tenth of whom wait for their handler`,
    unit: "others' p99 µs",
    better: "less",
    note: "From when an event was due to its ack: medians of the figures of each second, in phases of 5 s in turn. The handler runs on the load's core.",
    columns: { peak: "peak MiB of the broker" },
    subjects: [
      { name: "answered at once", measure: async () => (phases = await run()).quick },
      { name: "a tenth after 5 s", measure: async () => phases.slow, goal: [{ ratio: moved }, { figure: "peak", ratio: 1.25 }] },
    ],
  };
}

const tables = (bench) => [readers(bench), handlers(bench)];

export default { name, title, tables };
