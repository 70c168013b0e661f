// The harness itself: what it promises the other suites.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Inbox } from "./lib/clients.mjs";
import { Program } from "./lib/program.mjs";

const node = (source) => new Program(process.execPath, ["-e", source]);

test("a program that ends by itself fails the wait for its ready line, with its log", async () => {
  const program = node(`console.error("no such plugin"); process.exit(3)`);
  await assert.rejects(program.line("ready"), /no such plugin/);
});

test("a program that ignores SIGTERM's meaning and exits non-zero fails the test", async () => {
  const program = node(`process.on("SIGTERM", () => process.exit(1)); console.log("ready x"); setInterval(() => {}, 1000)`);
  assert.equal(await program.line("ready"), "x");
  await assert.rejects(program.stop(), /status 1/);
});

test("a sanitizer report fails the test even when the status is 0", async () => {
  const program = node(`
    process.on("SIGTERM", () => { console.error("==1==ERROR: LeakSanitizer: detected memory leaks"); process.exitCode = 0; clearInterval(t); });
    const t = setInterval(() => {}, 1000); console.log("ready x")`);
  await program.line("ready");
  await assert.rejects(program.stop(), /sanitizer/);
});

test("an inbox gives items in order, and says when nothing comes", async () => {
  const inbox = new Inbox("test");
  inbox.put(1);
  inbox.put(2);
  assert.deepEqual(await inbox.take(2), [1, 2]);
  await assert.rejects(inbox.next(10), /nothing came in 10 ms/);
});
