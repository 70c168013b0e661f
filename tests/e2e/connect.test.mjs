// pubhook connect: a client on the terminal and behind a pipe.

import assert from "node:assert/strict";
import { test } from "node:test";
import { environment, fails, isWrong, objects, onTerminal, prints, pubhook } from "./lib/cli.mjs";
import { accessUrl, allRoles, openJson, serviceClient } from "./lib/clients.mjs";
import { program } from "./lib/paths.mjs";
import { start } from "./lib/program.mjs";
import { startBroker } from "./lib/pubhook.mjs";

const broker = (t) => startBroker(t, { handlers: { chat: "echo" } });

// Input typed at once; what it printed, as objects.
async function session(service, input, args = []) {
  const result = await pubhook(["connect", "chat", "--json", ...args], { service, input });
  return { ...result, events: objects(result.stdout) };
}

test("commands from a pipe are carried out, answered, and then it ends", async (t) => {
  const service = await broker(t);
  const other = await openJson(t, service, "chat", { userId: "bob", roles: allRoles, groups: ["the lobby"] });
  const input = 'join "the lobby"\nsend "the lobby" hello  you\nsend-json "the lobby" {"a": [1]}\nevent greet hi\nevent-json greet 2\n\n'
    + 'invoke ask what\ninvoke-json ask {"q": 1}\nleave "the lobby"';
  const { status, events, stderr } = await session(service, input, ["--user", "alice"]);
  assert.equal(status, 0, stderr);
  assert.equal(events[0].event, "connected");
  assert.equal(events[0].userId, "alice");
  const done = events.filter((event) => event.event === "done");
  assert.deepEqual(new Set(done.map((event) => event.command)), new Set(input.split("\n").filter(Boolean)));
  assert.ok(done.every((event) => event.success));
  assert.equal(done.find((event) => event.command === "invoke ask what").data, "what");
  assert.deepEqual(done.find((event) => event.command.startsWith("invoke-json")).data, { q: 1 });
  const messages = events.filter((event) => event.event === "message");
  assert.deepEqual(messages.filter((m) => m.from === "server").map((m) => m.data), ["hi", 2]); // the echo handler's
  const [text, json] = messages.filter((m) => m.from === "group");
  assert.deepEqual([text.group, text.fromUserId, text.dataType, text.data], ["the lobby", "alice", "text", "hello  you"]);
  assert.deepEqual(json.data, { a: [1] });
  assert.ok(text.sequenceId > 0); // the reliable protocol
  assert.equal((await other.nextJson()).data, "hello  you");
  assert.deepEqual((await other.nextJson()).data, { a: [1] });
});

test("a command that fails is told of, the others go on, and the status is 1", async (t) => {
  const service = await broker(t);
  const { status, events } = await session(service, "fly\njoin\nsend-json g {bad\njoin secret\nevent e x\n", ["--role", "none"]);
  assert.equal(status, 1);
  const outcome = Object.fromEntries(events.filter((e) => e.event === "done").map((e) => [e.command, e]));
  assert.match(outcome.fly.message, /expected join, leave, send/);
  assert.match(outcome.join.message, /join GROUP/);
  assert.equal(outcome["send-json g {bad"].success, false);
  assert.equal(outcome["join secret"].name, "Forbidden");
  assert.equal(outcome["event e x"].success, true);
});

test("text output, and every frame with --frames", async (t) => {
  const service = await broker(t);
  const { stdout, status } = await pubhook(["connect", "chat", "--user", "alice", "--protocol", "json", "--frames"], { service, input: "join g\nsend g hello\nquit\nevent never sent\n" });
  assert.equal(status, 0, stdout);
  assert.match(stdout, /^connected \S+ as alice$/m);
  assert.match(stdout, /^done join g$/m);
  assert.match(stdout, /^group g from alice: hello$/m);
  assert.match(stdout, /^--> \{"type":"joinGroup","group":"g","ackId":1\}$/m);
  assert.match(stdout, /^<-- \{"type":"ack","ackId":1,"success":true\}$/m);
  assert.ok(!stdout.includes("never sent")); // behind quit
  assert.ok(!stdout.includes("access_token"));
});

test("raw: lines go as frames, data comes as it is", async (t) => {
  const service = await broker(t);
  const running = start(t, program("pubhook"), ["connect", "chat", "--protocol", "raw", "--stay"], { env: environment(service), stdin: "pipe" });
  running.type("one\nquit\n");
  await running.printed(/^quit$/); // the echo handler's; it is no command here
  assert.deepEqual(running.lines, ["one", "quit"]);
  running.endInput();
  await running.stopOnce(); // SIGTERM ends it with status 0
});

test("a URL connects as its token says; --stay waits for messages; a new socket is not the end", async (t) => {
  const service = await broker(t);
  const url = await accessUrl(service, "chat", { userId: "ann", roles: allRoles });
  const running = start(t, program("pubhook"), ["connect", url, "--join", "g", "--stay", "--json"], { env: environment(), stdin: "ignore" });
  await running.printed(/"command":"g","success":true/);
  const client = serviceClient(service, "chat");
  await client.group("g").sendToAll("first", { contentType: "text/plain" });
  await running.printed(/"data":"first"/);
  const { connectionId } = JSON.parse((await running.printed(/.*"event":"connected".*/))[0]);
  await client.closeConnection(connectionId, { reason: "go" });
  await running.printed(/"event":"disconnected"/);
  await running.printed(new RegExp(`"event":"connected","connectionId":"(?!${connectionId})`));
  await client.sendToAll("second", { contentType: "text/plain" });
  await running.printed(/"data":"second"/);
  await running.stopOnce();
});

test("on a terminal there is a prompt, help, and colour", async (t) => {
  const service = await broker(t);
  const { stdout } = await onTerminal(["connect", "chat"], { service, input: "help\njoin g\nquit\n" });
  assert.match(stdout, /\x1b\[2m>\x1b\[0m /);
  assert.match(stdout, /send-json GROUP JSON +send a JSON value to a group/);
  assert.match(stdout, /\x1b\[32mdone\x1b\[0m join g/);
  const piped = await prints(["connect", "chat"], { service, input: "join g\n" });
  assert.doesNotMatch(piped, /\x1b|^> /m);
});

test("mistakes and failures of connect", async (t) => {
  const service = await broker(t);
  await isWrong(["connect"], /HUB\|URL is missing/, { service });
  await isWrong(["connect", "1x"], /"1x" is no name of a hub and no URL/, { service });
  await isWrong(["connect", "chat"], /which service\?/);
  await isWrong(["connect", "ws://localhost/", "--user", "a"], /a URL has its token/);
  await isWrong(["connect", "chat", "--protocol", "smoke"], /none of reliable, json, raw/, { service });
  await isWrong(["connect", "chat", "--protocol", "raw", "--join", "g"], /--join needs a subprotocol/, { service });
  const wrongKey = service.connectionString.replace(/AccessKey=.*?;/, "AccessKey=wrong-key-wrong-key-wrong-key-wrong;");
  await fails(["connect", "chat"], /cannot connect: not authenticated/, { service: wrongKey });
});
