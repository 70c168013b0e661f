// Servers and load programs as child processes: where they run, when they are ready, what
// they weigh, and that none is left behind.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { basename } from "node:path";
import { createInterface } from "node:readline";
import { accepts } from "../../e2e/lib/net.mjs";

// The server has the first CPU to itself, the load the second, where there are two.
export const SERVER = "0";
export const LOAD = "1";
export const BOTH = "0,1";

const pinned = cpus().length > 1;
export const on = (cpu, command) => (pinned ? ["taskset", "-c", cpu, ...command] : command);

const children = new Set();
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));
process.once("exit", () => children.forEach((child) => child.kill("SIGKILL")));

function begin(command, { cpu, env, stdio }) {
  const [file, ...args] = on(cpu, command);
  const child = spawn(file, args, { env: { ...process.env, ...env }, stdio });
  child.command = [basename(command[0]), ...command.slice(1)].join(" ");
  children.add(child);
  child.gone = once(child, "exit").then(([code, signal]) => {
    children.delete(child);
    return code ?? signal;
  });
  return child;
}

const startSeconds = 30; // for a server to be ready
const endSeconds = 10; // for a server to go when it is told to

// For a server that says nothing when it is ready: `address` is what net.connect takes.
async function listening(child, address) {
  while (!(await accepts(address))) {
    if (child.exitCode !== null || child.signalCode !== null) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function readyLine(child, pattern) {
  return new Promise((resolve) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const match = pattern.exec(line);
      if (match) resolve(match);
    });
  });
}

// Starts a server and waits until it is ready; one that hangs is killed, and the measurement
// fails, not the run: `ready` is a pattern for a line that it
// prints, whose first group is its port, or the address that it will listen on. `end` is the
// signal that stops it.
export async function serve(command, { ready, cpu = SERVER, env, end = "SIGTERM" } = {}) {
  const lines = ready instanceof RegExp;
  const child = begin(command, { cpu, env, stdio: ["ignore", lines ? "pipe" : "ignore", "pipe"] });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (data) => (log = (log + data).slice(-2000)));
  const up = lines ? readyLine(child, ready) : listening(child, ready);
  const timer = setTimeout(() => child.kill("SIGKILL"), startSeconds * 1000);
  const failed = child.gone.then((code) => {
    throw new Error(`${child.command} ended with ${code} before it was ready: ${log.trim()}`);
  });
  failed.catch(() => {});
  const match = await Promise.race([up, failed]).finally(() => clearTimeout(timer));
  return {
    child,
    pid: child.pid,
    port: lines ? Number(match[1]) : ready.port,
    lastWords: () => log.trim().split("\n").at(-1),
    async stop() {
      child.kill(end);
      child.kill("SIGCONT");
      const timer = setTimeout(() => child.kill("SIGKILL"), endSeconds * 1000);
      await child.gone;
      clearTimeout(timer);
    },
  };
}

// Runs a load program to its end and gives what it printed. One that hangs fails. `onLine`
// gets each line as it comes.
export async function load(command, { cpu = LOAD, env, seconds = 120, onLine } = {}) {
  const child = begin(command, { cpu, env, stdio: ["ignore", "pipe", "pipe"] });
  const text = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) child[name].setEncoding("utf8").on("data", (data) => (text[name] += data));
  if (onLine) createInterface({ input: child.stdout }).on("line", onLine);
  const closed = once(child, "close");
  const timer = setTimeout(() => child.kill("SIGKILL"), seconds * 1000);
  const code = await child.gone;
  clearTimeout(timer);
  await closed;
  if (code !== 0) throw new Error(`${child.command}: ended with ${code}: ${(text.stderr || text.stdout).trim()}`);
  return text.stdout;
}

/* --- What a process weighs ------------------------------------------------------ */

// All of a server that has more than one process.
export function family(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean);
  return [pid, ...children.flatMap((child) => family(Number(child)))];
}

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

// Resident memory in KiB; what processes share is divided between them.
export const memoryKiB = (pid) =>
  sum(family(pid).map((p) => Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${p}/smaps_rollup`, "utf8"))[1])));

// CPU time in nanoseconds of each thread of a process, by thread id.
export function threadNs(pid) {
  const tasks = readdirSync(`/proc/${pid}/task`);
  return new Map(tasks.map((task) => [task, Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0])]));
}

// CPU time of a server in seconds.
export const cpuSeconds = (pid) => sum(family(pid).map((p) => sum([...threadNs(p).values()]))) / 1e9;

// How many descriptors a process has open, and how many this one may give its children.
export const openFiles = (pid) => readdirSync(`/proc/${pid}/fd`).length;
export const maxOpenFiles = () => Number(/^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? Infinity);

// As many connections as wanted, or as a server and a load client may have; the rest is for
// what else they open.
export const connectionsUpTo = (wanted) => Math.min(wanted, maxOpenFiles() - 500);
