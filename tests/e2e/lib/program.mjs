// Starts the programs under test and stops them. A program that ends in any other
// way than by SIGTERM and status 0, or that a sanitizer complained about, fails the
// test that started it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { cleanup } from "./cleanup.mjs";
import { sanitizerEnvironment } from "./paths.mjs";
import { patience } from "./patience.mjs";

const sanitizerReport = /AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:/;

export class Program {
  #child;
  #log = "";
  #watchers = new Set();

  constructor(command, args, { env = {}, cwd, stdin = "ignore", goodStatus = 0 } = {}) {
    this.goodStatus = goodStatus;
    this.command = [command, ...args].join(" ");
    this.#child = spawn(command, args, {
      cwd,
      env: { ...sanitizerEnvironment(), ...env },
      stdio: [stdin, "pipe", "pipe"],
    });
    this.exited = once(this.#child, "close");
    this.exited.catch(() => {});
    this.lines = [];
    this.onLine = undefined; // gets the lines in place of `lines`
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      if (this.onLine) return this.onLine(line);
      this.lines.push(line);
      this.#notify();
    });
    this.#child.stderr.setEncoding("utf8").on("data", (text) => {
      this.#log += text;
      this.#notify();
    });
    this.#child.on("close", () => this.#notify());
  }

  get pid() {
    return this.#child.pid;
  }
  get log() {
    return this.#log;
  }
  get running() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  #notify() {
    for (const watcher of [...this.#watchers]) watcher();
  }

  // Resolves to what `probe` returns once it returns something.
  #until(probe, what, milliseconds) {
    return new Promise((resolve, reject) => {
      const finish = (settle, value) => {
        clearTimeout(timer);
        this.#watchers.delete(watcher);
        this.#child.off("error", broken);
        settle(value);
      };
      const fail = (why) => finish(reject, new Error(`${this.command}: ${why} while waiting for ${what}\n${this.#log}`));
      const watcher = () => {
        const found = probe();
        if (found) finish(resolve, found);
        else if (!this.running) fail("ended");
      };
      const timer = setTimeout(() => fail(`${milliseconds} ms passed`), milliseconds);
      this.#watchers.add(watcher);
      const broken = (error) => fail(error.message);
      this.#child.once("error", broken);
      watcher();
    });
  }

  // The rest of the first line of standard output that starts with `word`.
  line(word, milliseconds = patience) {
    const find = () => this.lines.find((line) => line.startsWith(`${word} `))?.slice(word.length + 1);
    return this.#until(find, `a line "${word} ..."`, milliseconds);
  }

  // The first line of standard output that matches.
  printed(pattern, milliseconds = patience) {
    return this.#until(() => this.lines.map((line) => line.match(pattern)).find(Boolean), `a line ${pattern}`, milliseconds);
  }

  // Waits until the log (standard error) matches.
  logged(pattern, milliseconds = patience) {
    return this.#until(() => this.#log.match(pattern), `${pattern} in the log`, milliseconds);
  }

  // For programs that were started with `stdin: "pipe"`.
  type(text) {
    this.#child.stdin.write(text);
  }
  endInput() {
    this.#child.stdin.end();
  }

  signal(name) {
    this.#child.kill(name);
  }

  // Ends it at once, as a crash would.
  async kill() {
    this.#child.kill("SIGKILL");
    await this.exited;
  }

  async stop() {
    if (!this.running) {
      assert.fail(`${this.command} ended by itself: ${this.#child.exitCode ?? this.#child.signalCode}\n${this.#log}`);
    }
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGABRT"), patience);
    await this.exited;
    clearTimeout(timer);
    this.assertClean();
  }

  assertClean() {
    assert.doesNotMatch(this.#log, sanitizerReport, `${this.command}: a sanitizer reported`);
    const good = [this.goodStatus].flat().includes(this.#child.exitCode);
    assert.ok(good, `${this.command}: ended by ${this.#child.signalCode ?? `status ${this.#child.exitCode}`}\n${this.#log}`);
  }
}

// Starts a program for a test: stopped, and checked, when the test is over.
export function start(t, command, args, options) {
  const running = new Program(command, args, options);
  let stopped;
  running.stopOnce = () => (stopped ??= running.stop());
  // Kills it, as a crash would.
  running.abandon = () => (stopped = running.kill());
  // Waits until it ends by itself.
  running.ended = () => (stopped = running.exited.then(() => running.assertClean()));
  cleanup(t, () => running.stopOnce());
  return running;
}
