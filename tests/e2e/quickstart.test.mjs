// What a newcomer runs first: scripts/quickstart and the small programs of
// examples/quickstarts.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import path from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { prefix, sanitizerEnvironment, sourceDir } from "./lib/paths.mjs";
import { patience } from "./lib/patience.mjs";
import { start } from "./lib/program.mjs";
import { startBroker, startNegotiate } from "./lib/pubhook.mjs";
import { jsonProtocol, openJson, openSocket } from "./lib/clients.mjs";

const run = promisify(execFile);
const quickstart = (name) => path.join(sourceDir, "examples/quickstarts", name);
const node = (t, name, args, env, options) => start(t, process.execPath, [quickstart(name), ...args], { env, ...options });

// Everything that the round trip must show of itself, with data that only the real thing has.
function assertHops(output) {
  assert.match(output, /ce-type: azure\.webpubsub\.user\.message/);
  assert.match(output, /ce-signature: sha256=[0-9a-f]{64}/);
  assert.match(output, /signature is HMAC-SHA256\(access key, connection id\): true/);
  assert.match(output, /= \{"count":1\}/);
  assert.match(output, /json: \{"from":"alice","text":"hello from the official SDK","count":1\}/);
  assert.match(output, /The whole round trip works\.\n$/);
}

test("scripts answer --help, and begin nothing when told what they do not know", async () => {
  for (const name of ["check", "deps", "guard", "quickstart"]) {
    const script = path.join(sourceDir, "scripts", name);
    const { stdout } = await run(script, ["--help"], { timeout: patience });
    assert.match(stdout, /^[A-Z].*\n(.*\n)*  \S.* {2,}\S/, name);
    assert.doesNotMatch(stdout, /set -|^#/m, name);
    await assert.rejects(run(script, ["--nothing"], { timeout: patience }), (error) => {
      assert.match(error.stderr, new RegExp(`^${name}: unknown option --nothing: expected .*--help.*\n$`));
      return true;
    });
  }
});

test("scripts/quickstart --once builds and goes the whole way round", { timeout: 15 * patience }, async () => {
  const { stdout } = await run(path.join(sourceDir, "scripts/quickstart"), ["--once"]);
  assertHops(stdout);
});

test("scripts/quickstart stays, serves the page, and SIGTERM stops all of it", { timeout: 15 * patience }, async (t) => {
  const chat = start(t, path.join(sourceDir, "scripts/quickstart"), []);
  const page = (await chat.line("Open", 10 * patience)).trim();
  assert.match(await (await fetch(page)).text(), /<title>pubhook chat<\/title>/);
  const { url } = await (await fetch(`${page}negotiate?id=ann`)).json();
  const socket = await openSocket(t, url, jsonProtocol);
  assert.equal((await socket.nextJson()).userId, "ann");
  await chat.stopOnce();
  await assert.rejects(fetch(page), "nothing of it is left");
});

describe("examples/quickstarts", () => {
  test("roundtrip shows each hop", async () => {
    const { stdout } = await run(process.execPath, [quickstart("roundtrip.mjs"), prefix], { env: sanitizerEnvironment() });
    assertHops(stdout);
  });

  test("subscriber prints what publisher sends", async (t) => {
    const broker = await startBroker(t);
    const env = { WebPubSubConnectionString: broker.connectionString };
    const subscriber = node(t, "subscriber.mjs", [], env);
    await subscriber.line("connected");
    const { stdout } = await run(process.execPath, [quickstart("publisher.mjs"), "good news"], { env: { ...process.env, ...env } });
    assert.equal(stdout, "sent\n");
    assert.equal(await subscriber.line("good"), "news");
  });

  test("eventhandler answers a client's message", async (t) => {
    const handler = node(t, "eventhandler.mjs", ["0"]);
    const url = await handler.line("ready");
    const broker = await startBroker(t, { upstreams: { chat: url } });
    const client = await openJson(t, broker, "chat", { userId: "ann" });
    await handler.line("ann");
    client.sendJson({ type: "event", event: "message", dataType: "text", data: "hi" });
    assert.equal((await client.nextJson()).data, "You said: hi");
  });

  test("groupchat talks to others in the lobby, with nothing but a WebSocket", async (t) => {
    const broker = await startBroker(t, { handlers: { chat: "chat" } });
    const { url } = await startNegotiate(t, broker);
    const negotiate = new URL("/negotiate", url).href;
    const ann = node(t, "groupchat.mjs", ["ann", negotiate], {}, { stdin: "pipe" });
    const bob = node(t, "groupchat.mjs", ["bob", negotiate], {}, { stdin: "pipe" });
    await Promise.all([ann.line("joined"), bob.line("joined")]);
    ann.type("hello bob\n");
    assert.equal(await bob.line("ann:"), "hello bob");
    bob.type("hello ann\n");
    assert.equal(await ann.line("bob:"), "hello ann");
    for (const person of [ann, bob]) {
      person.endInput();
      await person.line("closed:");
      await person.ended();
    }
  });
});
