// The installation as C programmers use it: programs compiled with what pkg-config names,
// and nothing else.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import path from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { plugin, prefix, sanitizerEnvironment, sourceDir, temporaryFolder } from "./lib/paths.mjs";

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
    const { stdout } = await run(program, [plugin("echo")], { env, timeout: 60_000 });
    assert.equal(stdout, "ok\n");
  });

  test("a C test has brokers in its own process", async (t) => {
    const program = await compile(t, "tests/installed/broker.c", ["pubhooktest"]);
    const { stdout } = await run(program, [plugin("echo")], { env, timeout: 60_000 });
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
