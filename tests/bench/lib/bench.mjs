// What a section measures with: the programs of the build, the key of all, and
// servers that end with the measurement.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { LOAD, cpuSeconds, load, serve } from "./processes.mjs";

export const folder = join(dirname(fileURLToPath(import.meta.url)), "..");
export const key = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";

export class Bench {
  constructor(build, { quick = false } = {}) {
    this.build = build;
    this.quick = quick;
    this.seconds = quick ? 2 : 5; // of a load that is measured for a time
  }

  // Programs and plugins of the build, by their path in it.
  program(path) {
    const file = join(this.build, path);
    if (!existsSync(file)) throw new Error(`${path} is not built: run "make bench" in the build folder`);
    return file;
  }

  plugin(name) {
    return this.program(`handlers/.libs/${name}.so`);
  }

  // Fewer in a quick run.
  count(number) {
    return this.quick ? Math.ceil(number / 5) : number;
  }

  // Servers for serve(): a command and how to know that it is ready.
  broker(...args) {
    const command = [this.program("pubhook-broker"), "--listen", "127.0.0.1:0", "--threads", "1", "--log-level", "error", ...args];
    return { command, ready: /^ready http:\/\/127\.0\.0\.1:(\d+)$/ };
  }

  pubhookd(plugin, { fastcgi, threads = 1 } = {}) {
    const [place, ready] = fastcgi
      ? [["--fastcgi", fastcgi], /^ready fastcgi:/]
      : [["--listen", "127.0.0.1:0"], /^ready http:\/\/127\.0\.0\.1:(\d+)\//];
    const command = [this.program("pubhookd"), ...place, "--threads", String(threads), "--access-key", key, "--log-level", "error",
                     "--plugin", this.plugin(plugin.split("?")[0]) + plugin.replace(/^[^?]*/, "")];
    return { command, ready };
  }

  bare(name, ...args) {
    return { command: [this.program(`tests/bench/bare/${name}`), ...args], ready: /^ready (\d+)$/ };
  }

  // Starts a server, measures it and stops it, whatever happens.
  async with({ command, ...options }, measure) {
    const server = await serve(command, options);
    try {
      return await measure(server);
    } catch (error) {
      error.message += server.lastWords() && ` (${server.child.command.split(" ")[0]} says: ${server.lastWords()})`;
      throw error;
    } finally {
      await server.stop();
    }
  }

  // Clients that are there and listen, for with() or serve() as servers are.
  listeners(port, dialect, count, receiveBuffer = 0) {
    const args = [port, dialect, count, receiveBuffer].map(String);
    return { command: [this.program("tests/bench/load/idle"), ...args], ready: /^ready (\d+)$/, cpu: LOAD };
  }

  // The same while `measure` runs.
  idle(port, dialect, count, { measure }) {
    return this.with(this.listeners(port, dialect, count), measure);
  }

  // A load client of ours: its last line is JSON. `cpu_s` is the CPU time of the processes
  // `pids` until that line comes, from when the client says `started`, if it does: without
  // what connecting and disconnecting cost.
  async load(name, args, { pids = [], ...options } = {}) {
    const used = () => pids.reduce((all, pid) => all + cpuSeconds(pid), 0);
    let [before, after] = [used(), 0];
    const onLine = (line) => {
      if (line === "started") before = used();
      else after = used();
      options.onLine?.(line);
    };
    const out = await load([this.program(`tests/bench/load/${name}`), ...args.map(String)], { ...options, onLine });
    return { ...JSON.parse(out.trim().split("\n").at(-1)), cpu_s: after - before };
  }
}
