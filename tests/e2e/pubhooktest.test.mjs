// The installation as C programmers use it: programs compiled with what pkg-config names,
// and nothing else.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { plugin, prefix, sanitizerEnvironment, sourceDir, temporaryFolder } from "./lib/paths.mjs";
import { patience } from "./lib/patience.mjs";
import { start } from "./lib/program.mjs";

const run = promisify(execFile);
const lib = path.join(prefix, "lib");
const env = {
  ...sanitizerEnvironment(),
  PKG_CONFIG_PATH: path.join(lib, "pkgconfig"),
  LD_LIBRARY_PATH: lib,
};

// A program can only use a library with sanitizers if it has them itself.
async function sanitizers() {
  const { stdout } = await run("readelf", ["-d", path.join(lib, "libpubhook.so")]);
  return stdout.includes("libasan") ? ["-fsanitize=address,undefined"] : [];
}

async function words(...args) {
  const { stdout } = await run("pkg-config", args, { env });
  return stdout.trim().split(/\s+/);
}

// The program's file. Undefined symbols, also those of the libraries, are mistakes.
async function compile(t, source, modules) {
  const out = path.join(temporaryFolder(t), "program");
  const flags = await words("--cflags", "--libs", ...modules);
  await run("gcc", ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-g", ...(await sanitizers()),
    path.join(sourceDir, source), ...flags, "-Wl,--no-undefined", "-Wl,--no-allow-shlib-undefined", "-o", out], { env });
  return out;
}

describe("libpubhooktest, installed", () => {
  test("a C test runs its handlers over HTTP, FastCGI, CGI and directly", async (t) => {
    const program = await compile(t, "tests/installed/handlers.c", ["pubhooktest"]);
    const { stdout } = await run(program, [plugin("echo"), `${plugin("delay")}?after=10ms`], { env, timeout: 5 * patience });
    assert.equal(stdout, "ok\n");
  });

  test("a C test has brokers in its own process", async (t) => {
    const program = await compile(t, "tests/installed/broker.c", ["pubhooktest"]);
    const { stdout } = await run(program, [plugin("echo")], { env, timeout: 5 * patience });
    assert.match(stdout, /^start [\d.]+ ms, stop [\d.]+ ms\nok\n$/);
  });

  test("it shows nothing but its own functions", async () => {
    for (const name of ["libpubhooktest.so", "libpubhooktest-broker.so"]) {
      const { stdout } = await run("nm", ["-D", "--defined-only", path.join(lib, name)]);
      const names = stdout.trim().split("\n").map((line) => line.split(" ").at(-1));
      assert.ok(names.length >= 3, name);
      for (const symbol of names) assert.match(symbol, /^ph_test_/, name);
    }
  });
});

// The folder that plugin authors copy, with every command of its README.md.
test("the skeleton is built, tested, described and run outside of the tree, and loaded again", async (t) => {
  const folder = path.join(temporaryFolder(t), "mine");
  cpSync(path.join(prefix, "share/pubhook/skeleton"), folder, { recursive: true });
  const { stdout: data } = await run("pkg-config", ["--variable=datadir", "pubhook"], { env });
  assert.equal(path.join(data.trim(), "pubhook/skeleton"), path.join(prefix, "share/pubhook/skeleton"));
  const extra = (await sanitizers()).join(" ");
  const make = (target, ...args) => run("make", [target, ...args], {
    cwd: folder, timeout: 5 * patience, env: { ...env, PATH: `${path.join(prefix, "bin")}:${process.env.PATH}` },
  });
  const warnings = "-O1 -g -Wall -Wextra -Werror";
  await make("skeleton.so", `CFLAGS=${warnings}`);
  const { stdout: checked } = await make("check", `CFLAGS=${warnings} ${extra}`, "--old-file=skeleton.so");
  assert.match(checked, /ok: direct\nok: http\nok: fastcgi\nok: cgi\n/);
  assert.match((await make("describe")).stdout, /greeting=TEXT .*\n.*1 to 1000 bytes; default: hello/);

  const pubhookd = start(t, path.join(prefix, "bin/pubhookd"),
    ["--listen", "127.0.0.1:0", "--watch", "--allow-unsigned", "--plugin", path.join(folder, "skeleton.so")], { env });
  const url = await pubhookd.line("ready");
  const greet = async () => (await fetch(url, {
    method: "POST",
    headers: {
      "content-type": "text/plain", "ce-specversion": "1.0", "ce-awpsversion": "1.0", "ce-type": "azure.webpubsub.user.greet",
      "ce-source": "/", "ce-id": "1", "ce-hub": "chat", "ce-connectionid": "c", "ce-eventname": "greet",
    },
  })).text();
  assert.equal(await greet(), "hello");
  const source = path.join(folder, "skeleton.c");
  writeFileSync(source, readFileSync(source, "utf8").replace('.preset = "hello"', '.preset = "good morning"'));
  await make("skeleton.so");
  await pubhookd.logged(/plugin skeleton loaded again/);
  assert.equal(await greet(), "good morning");
  await make("clean");
});

test("an embedder's program links with only what pkg-config --libs pubhook names", async (t) => {
  assert.deepEqual((await words("--libs-only-l", "pubhook")), ["-lpubhook"]);
  for (const name of ["embed", "own_server"]) {
    const program = await compile(t, `examples/${name}.c`, ["pubhook"]);
    const { stdout } = await run("readelf", ["-d", program]);
    const needed = [...stdout.matchAll(/NEEDED.*\[(.*?)\]/g)].map((match) => match[1]);
    assert.ok(needed.includes("libpubhook.so.0"), name);
    for (const file of needed) assert.match(file, /^lib(pubhook|c|asan|ubsan)\.so/, name);
  }
});

// The broker's libraries are nothing to those who write handlers.
test("libpubhook needs neither the event loop of the broker nor its other libraries", async () => {
  const { stdout } = await run("readelf", ["-d", path.join(lib, "libpubhook.so")]);
  assert.match(stdout, /libmicrohttpd/);
  assert.doesNotMatch(stdout, /libuv|protobuf-c|libnats/);
});
