// What others notice of a reader that stops, and of a webhook that is slow for some: p99
// beside the same load without them, in turn. The rates are far from what the server can do,
// so that it is the neighbour who is measured.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inTemporaryFolder } from "../lib/configured.mjs";
import { LOAD, serve } from "../lib/processes.mjs";
import { call } from "../../e2e/lib/tokens.mjs";

const name = "isolation";
const title = "Isolation";

const moved = 1.1; // how far others' p99 may move; p50, which wanders less, tells more
const goals = [{ ratio: moved }, { figure: "p50", ratio: moved }];
const peakMiB = (pid) => Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024;

// Clients that the broker has closed because they did not keep up.
async function slowClients(port) {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(/^pubhook_connections_closed_total\{reason="SlowClient"\} (\d+)$/m.exec(text)[1]);
}

// The most bytes that wait in the kernel to be sent to one who is connected to a port.
function mostUnsent(port) {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const sockets = readFileSync("/proc/net/tcp", "utf8").split("\n").map((line) => line.trim().split(/\s+/));
  return sockets.reduce((most, [, from, , , queues]) => (from?.endsWith(local) ? Math.max(most, parseInt(queues, 16)) : most), 0);
}

// Sends to the clients of a process that has stopped until the kernel takes no more: what waits
// there has stayed the same over as many answers as give the broker time to write. The broker
// answers first.
async function fillSockets({ port, pid }) {
  const broker = { url: `http://127.0.0.1:${port}` };
  const large = "x".repeat(256 * 1024);
  for (let most = 0, same = 0; same < 20; ) {
    const body = same > 0 ? "x" : large;
    const answer = await call(broker, "POST", `/api/hubs/bench/users/bench-${pid}/:send`, { headers: { "Content-Type": "text/plain" }, body });
    if (answer.status !== 202) throw new Error(`filling the reader's socket: ${answer.status} ${await answer.text()}`);
    const now = mostUnsent(port);
    same = now > most ? 0 : same + 1;
    most = Math.max(most, now);
  }
}

const withSettings = (settings, measure) =>
  inTemporaryFolder((temporary) => {
    const file = join(temporary, "broker.json");
    writeFileSync(file, JSON.stringify(settings));
    return measure(file);
  });

// One that reads, among others who read. While it does not, its socket is full, and its queue
// fills up until it is closed.
class Reader {
  constructor(bench, port) {
    Object.assign(this, { bench, port, closed: 0 });
  }

  async open() {
    const { command, ...options } = this.bench.listeners(this.port, "json", 1, 4096);
    this.process = await serve(command, options);
  }

  async stopReading() {
    await this.expect("before its queue was full");
    process.kill(this.process.pid, "SIGSTOP");
    await fillSockets({ port: this.port, pid: this.process.pid });
    await this.expect("while its socket was filled");
    this.closed++;
  }

  async expect(when) {
    const closed = await slowClients(this.port);
    if (closed !== this.closed) throw new Error(`${closed} readers were closed ${when}, not ${this.closed}`);
  }

  async end() {
    await this.process.stop();
    await this.expect("when one had stopped reading");
  }
}

// Two subjects that come out of one process, with their phases in turn.
function inTurn(first, second, goal, run) {
  let phases;
  const runFirst = async () => {
    phases = null;
    phases = await run();
    return phases[0];
  };
  const takeSecond = () => {
    if (!phases) throw new Error(`is measured together with "${first}", which failed`);
    return phases[1];
  };
  return [
    { name: first, measure: runFirst },
    { name: second, goal, measure: takeSecond },
  ];
}

const figures = ({ p50_us, p99_us, all_p99_us }, peak) => ({ value: p99_us, p50: p50_us, all: all_p99_us, peak });
const columns = { all: "p99 µs of all", peak: "peak MiB of the broker" };
const medians = "Medians of the figures of each tenth of a second, in phases of 5 s in turn.";

function readers(bench) {
  const rate = 100, members = 1000, size = 128, phase = 5, queue = 350;
  const messages = 2 * phase * rate * (bench.quick ? 1 : 4);
  const fan = async ({ port, pid }) => {
    const reader = new Reader(bench, port);
    let before, turn = Promise.resolve();
    const change = async (number) => {
      if (number % 2) {
        before ??= peakMiB(pid);
        await reader.stopReading();
      } else if (number > 0) {
        await reader.end();
        await reader.open();
      }
    };
    const onLine = (line) => {
      const number = /^phase (\d+)$/.exec(line)?.[1];
      if (number === undefined) return;
      turn = turn.then(() => change(Number(number)));
      turn.catch(() => {}); // it is awaited below
    };
    await reader.open();
    try {
      const out = await bench.load("fanout", [port, "json", members - 1, messages, size, `${rate}/s`, "phases"], { onLine });
      await turn;
      await reader.end();
      return [figures(out.even, before), figures(out.odd, peakMiB(pid))];
    } finally {
      await reader.process.stop();
    }
  };
  const run = () => withSettings({ limits: { queueMessages: queue } }, (file) => bench.with(bench.broker("--config", file), fan));
  return {
    title: `Fan-out to ${members} members, ${rate} messages a second, one of whom stops reading`,
    unit: "others' p99 µs",
    better: "less",
    note: `The socket of the reader that stops (SIGSTOP) is full; its queue of ${queue} messages fills up in most of the phase, and then it is closed. ${medians}`,
    columns,
    subjects: inTurn("all read", "one stops", [...goals, { figure: "peak", ratio: 1.1 }], run),
  };
}

function handlers(bench) {
  const clients = 1000, rate = 4000, cycles = bench.quick ? 1 : 6;
  const pace = async ({ port, pid }) => {
    let before;
    const onLine = (line) => line === "slow" && (before = peakMiB(pid));
    const out = await bench.load("paced", [port, clients, rate, cycles], { onLine });
    return [figures(out.quick, before), figures(out.slow, peakMiB(pid))];
  };
  // Ids of events are remembered to tell doubled ones. With fewer than each client sends in the
  // first phase, that memory does not grow later.
  const run = () =>
    withSettings({ limits: { ackIds: 8 } }, (file) =>
      bench.with({ ...bench.bare("slow_http", "5000"), cpu: LOAD }, ({ port }) =>
        bench.with(bench.broker("--config", file, "--event-handler", `bench=http://127.0.0.1:${port}/`), pace)));
  return {
    title: `Events of ${clients} clients, ${rate} a second, a tenth of whom wait for their handler`,
    unit: "others' p99 µs",
    better: "less",
    note: `From when an event was due to its ack. ${medians} The handler runs on the load's core.`,
    columns,
    subjects: inTurn("answered at once", "a tenth after 5 s", [...goals, { figure: "peak", ratio: 1.25 }], run),
  };
}

const tables = (bench) => [readers(bench), handlers(bench)];

export default { name, title, tables };
