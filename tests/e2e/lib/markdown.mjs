// Documents whose examples are tested: what is between ``` is done as a reader would do it, in
// an empty folder, with the installation alone.
//
//   ```LANGUAGE FILE        a file of that name (a word with a dot or a slash)
//   ```c FILE replaces F    the function or array F of that file, with the comment above it
//   ```sh                   typed in the first terminal; each command must succeed
//   ```sh NAME              typed in the terminal NAME, where it goes on running; what runs
//                           there already is ended with Ctrl-C before
//   ```text                 what the terminal of the block before shows; "..." is any text
//   ```text NAME            what the terminal NAME shows
//   ```LANGUAGE not-run     only looked at; the tests of each document say which those are

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { cleanup } from "./cleanup.mjs";
import { freePort } from "./net.mjs";
import { patience } from "./patience.mjs";
import { prefix, sanitizerEnvironment, sourceDir, temporaryFolder } from "./paths.mjs";

const sanitizerReport = /AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:/;

// The blocks of a document: {language, words, text, line, heading}.
export function blocks(name) {
  const found = [];
  let heading = "";
  let open;
  readFileSync(path.join(sourceDir, name), "utf8").split("\n").forEach((line, at) => {
    const fence = /^```(.*)$/.exec(line);
    if (fence && !open) {
      const [language = "", ...words] = fence[1].trim().split(/ +/);
      open = { language, words, text: "", line: at + 1, heading, where: `${name}:${at + 1}` };
    } else if (fence) {
      found.push(open);
      open = undefined;
    } else if (open) {
      open.text += `${line}\n`;
    } else if (/^#+ /.test(line)) {
      heading = line.replace(/^#+ /, "");
    }
  });
  assert.equal(open, undefined, `${open?.where}: the block has no end`);
  return found;
}

export const isFile = (word) => /[./]/.test(word ?? "");

function isSanitized() {
  return execFileSync("nm", ["-D", path.join(prefix, "lib/libpubhook.so")]).includes("__asan_init");
}

function writeScript(folder, name, text) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, name), `#!/bin/sh\n${text}\n`);
  chmodSync(path.join(folder, name), 0o755);
}

// `cc` as readers have it, with warnings as errors; and as the installed library was
// built, since a program must have the same sanitizers.
function writeCompiler(folder) {
  const flags = ["-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", ...(isSanitized() ? ["-fsanitize=address,undefined"] : [])];
  writeScript(folder, "cc", `exec gcc ${flags.join(" ")} "$@"`);
}

// Programs that listen on a port that no command names get the free one in its place.
function writeDefaultPorts(folder, exchange) {
  for (const [name, port] of [["pubhook-broker", "8080"], ["pubhookd", "8090"]]) {
    const free = exchange.find(([from]) => from === port)?.[1];
    const real = path.join(prefix, "bin", name);
    if (free) writeScript(folder, name, `case " $* " in *" --listen "* | *" --fastcgi "*) exec ${real} "$@" ;; esac\nexec ${real} --listen 127.0.0.1:${free} "$@"`);
  }
}

// What a reader has who put the installation into a folder of its own.
export function readersEnvironment(t, exchange = []) {
  const home = temporaryFolder(t);
  const bin = path.join(home, "bin");
  writeCompiler(bin);
  writeDefaultPorts(bin, exchange);
  const { WebPubSubConnectionString: _, ...env } = sanitizerEnvironment();
  return {
    ...env,
    HOME: home,
    PATH: [bin, path.join(prefix, "bin"), "/usr/bin", "/bin"].join(":"),
    PKG_CONFIG_PATH: path.join(prefix, "lib/pkgconfig"),
    LD_LIBRARY_PATH: path.join(prefix, "lib"),
    MANPATH: path.join(prefix, "share/man"),
  };
}

function children(pid) {
  const own = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  return own.flatMap((child) => [...childrenOf(child), child]);
}
function childrenOf(pid) {
  try {
    return children(pid);
  } catch {
    return []; // it has ended meanwhile
  }
}

// One terminal: a shell that keeps its folder and its variables.
class Terminal {
  output = "";
  #watchers = new Set();
  #count = 0;
  busy = false;

  constructor(name, cwd, env) {
    this.name = name;
    this.shell = spawn("bash", ["--norc"], { cwd, env });
    for (const stream of [this.shell.stdout, this.shell.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        this.output += text;
        for (const watcher of [...this.#watchers]) watcher();
      });
    }
    this.exited = once(this.shell, "close");
    this.exited.then(() => {
      for (const watcher of [...this.#watchers]) watcher();
    });
    this.shell.stdin.write("trap 'echo \"@failed $BASH_COMMAND\"' ERR\n");
  }

  async until(probe, what, milliseconds = 3 * patience) {
    let timer;
    let watcher;
    try {
      return await new Promise((resolve, reject) => {
        const fail = (why) => reject(new Error(`terminal ${this.name}: ${why} while waiting for ${what} in:\n${this.output}`));
        watcher = () => {
          const found = probe(this.output);
          if (found) resolve(found);
          else if (this.shell.exitCode !== null || this.output.includes(`${this.mark}\n`)) fail("all has ended");
        };
        timer = setTimeout(() => fail(`${milliseconds} ms passed`), milliseconds);
        this.#watchers.add(watcher);
        watcher();
      });
    } finally {
      clearTimeout(timer);
      this.#watchers.delete(watcher);
    }
  }

  // Types commands; resolves when they are done if `wait`, and then all have succeeded.
  async type(text, { wait }) {
    await this.interrupt();
    this.output = "";
    this.mark = `@done ${++this.#count}`;
    this.busy = true;
    this.shell.stdin.write(`{\n${text}} </dev/null\necho "${this.mark}"\n`);
    if (wait) await this.finish();
  }

  async finish() {
    await this.until((output) => output.includes(`${this.mark}\n`), "the end of the commands");
    this.busy = false;
    this.output = this.output.replace(`${this.mark}\n`, "");
    assert.doesNotMatch(this.output, /^@failed/m, `terminal ${this.name}: a command failed:\n${this.output}`);
    assert.doesNotMatch(this.output, sanitizerReport);
  }

  // Ctrl-C, to what runs there and not to the shell.
  async interrupt() {
    if (!this.busy) return;
    assert.ok(!this.output.includes(`${this.mark}\n`), `terminal ${this.name}: what runs there ended by itself:\n${this.output}`);
    for (const pid of children(this.shell.pid)) {
      try {
        process.kill(pid, "SIGINT");
      } catch {
        // it has ended meanwhile
      }
    }
    await this.until((output) => output.includes(`${this.mark}\n`), "the end of what runs there");
    this.busy = false;
    assert.doesNotMatch(this.output, sanitizerReport);
  }

  async close() {
    if (this.shell.exitCode === null) await this.interrupt();
    this.shell.stdin.end();
    await this.exited;
  }
}

// The text of a block "text" as a pattern: its lines in this order, "..." for anything.
export function expectation(text) {
  const lines = text.trimEnd().split("\n").map((line) =>
    line.split("...").map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join(".*"));
  return new RegExp(`^${lines.join("\\n(?:.*\\n)*?")}`, "m");
}

// Goes through a document. `ports` are those that it names, and that are exchanged for free
// ones; `see` maps headings to what is to be looked at when all blocks below them were done;
// `started` is what each program that goes on running prints, where the document does not say.
export async function follow(t, name, { ports = [], see = {}, notRun = [], started, prepare } = {}) {
  const folder = temporaryFolder(t);
  const terminals = new Map();
  const exchange = [];
  for (const port of ports) exchange.push([String(port), process.env.PUBHOOK_DOCUMENT_PORTS ? String(port) : String(await freePort())]);
  const env = readersEnvironment(t, exchange);
  const here = (text) => exchange.reduce((now, [from, to]) => now.replaceAll(from, to), text);
  const reader = { folder, env, here, terminals };
  const terminal = (label) => {
    let one = terminals.get(label);
    if (!one) {
      terminals.set(label, (one = new Terminal(label, folder, env)));
      cleanup(t, () => one.close());
    }
    return one;
  };
  await prepare?.(reader);
  const all = blocks(name);
  const seen = new Set();
  const skipped = [];
  let last;
  for (const [at, block] of all.entries()) {
    const word = block.words[0];
    try {
      if (word === "not-run") skipped.push(block.heading);
      else if (isFile(word)) writeBlock(path.join(folder, word), block, here(block.text));
      else if (block.language === "sh") {
        last = terminal(word ?? "first");
        await last.type(here(block.text), { wait: !word });
        if (word && started) await last.until((output) => started.test(output), started);
      } else if (block.language === "text") {
        await (word ? terminal(word) : last).until((output) => expectation(here(block.text)).test(output), JSON.stringify(here(block.text)));
      } else assert.fail(`a block "${block.language}" that is neither a file nor typed`);
    } catch (error) {
      error.message = `${block.where}: ${error.message}`;
      throw error;
    }
    if (all[at + 1]?.heading !== block.heading && see[block.heading]) {
      seen.add(block.heading);
      await see[block.heading](reader);
    }
  }
  assert.deepEqual([...seen], Object.keys(see), "headings that are looked at");
  assert.deepEqual([...new Set(skipped)], notRun, "headings of what is not run");
  return reader;
}

function writeBlock(file, { words }, text) {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, words[1] === "replaces" ? replaceDefinition(readFileSync(file, "utf8"), words[2], text) : text);
}

function replaceDefinition(source, name, text) {
  const comment = String.raw`(?:/\*(?:[^*]|\*[^/])*\*/\n)?`;
  const body = String.raw`\b${name}(?:\([^;{}]*\)\n|\[\] = )\{[\s\S]*?\n\};?\n`;
  const old = new RegExp(`^${comment}static [^;{}]*${body}`, "gm");
  assert.equal(source.match(old)?.length, 1, `one ${name} to replace`);
  return source.replace(old, () => text);
}
