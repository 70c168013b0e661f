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

test("streams: opened, written to, ended and aborted", async (t) => {
  const service = await broker(t);
  const reader = await openJson(t, service, "chat", { roles: allRoles, groups: ["g"] });
  const input = 'join g\nopen s1 g\nwrite s1 hello  you\nwrite-json s1 {"a": [1]}\nend s1\nopen s2 g\nabort s2 too late\nopen s3 g\n';
  const { status, events, stderr } = await session(service, input, ["--user", "alice"]);
  assert.equal(status, 0, stderr);
  const got = events.filter((event) => event.event === "message").map(({ data, stream }) => [data, stream]);
  const part = (streamId, streamSequenceId, end) => ({ streamId, streamSequenceId, endOfStream: end !== undefined, ...end });
  assert.deepEqual(got.slice(0, 4), [
    ["hello  you", part("s1", 1)],
    [{ a: [1] }, part("s1", 2)],
    [undefined, part("s1", 3, {})],
    [undefined, part("s2", 1, { error: { name: "UserError", message: "too late" } })],
  ]);
  const ends = [];
  while (ends.length < 3) {
    const { stream } = await reader.nextJson();
    if (stream.endOfStream) ends.push([stream.streamId, stream.error?.name]);
  }
  assert.deepEqual(ends, [["s1", undefined], ["s2", "UserError"], ["s3", "UserError"]], "one that was not ended is aborted");
});

test("streams that cannot be", async (t) => {
  const service = await broker(t);
  const refused = await session(service, "write s x\nopen s\nopen s g\nopen s g\nend other\nabort other", ["--role", "none"]);
  assert.equal(refused.status, 1);
  const why = refused.events.filter((e) => e.event === "done").map(({ command, name, message }) => [command, name, message]);
  const none = "no stream of this id is open: open STREAM GROUP";
  assert.deepEqual(why.slice(0, 5).map(([command, , message]) => [command, message]), [
    ["write s x", none], ["open s", "open STREAM GROUP"], ["open s g", "a stream of this id is open"], ["end other", none], ["abort other", none],
  ]);
  assert.deepEqual(why.slice(5).map(([command, name]) => [command, name]), [["open s g", "Forbidden"]]);
  assert.deepEqual(refused.events.filter((e) => e.event === "stream-failed").map(({ streamId, name }) => [streamId, name]), [["s", "Forbidden"]]);
});

test("lines of any kind: carriage returns, quotes, blanks", async (t) => {
  const service = await broker(t);
  const { events, status } = await session(service, 'join g\r\n""\n"\n  \n\r\njoin "open\nquit\r\njoin never\n');
  assert.equal(status, 1);
  const done = events.filter((e) => e.event === "done").map(({ command, success }) => [command, success]);
  assert.deepEqual(new Map(done), new Map([["join g", true], ['""', false], ['"', false], ['join "open', true]]));
});

test("a line may have 2 MiB, however it is cut on its way", async (t) => {
  const service = await broker(t);
  for (const before of ["", "join before\n"]) {
    const fits = await session(service, `${before}${" ".repeat(2 << 20)}\njoin g\n`);
    assert.equal(fits.status, 0, fits.stderr);
    assert.equal(fits.events.at(-1).command, "join g");
    const long = await session(service, `${before}${" ".repeat((2 << 20) + 1)}\njoin g\n`);
    assert.equal(long.status, 1);
    assert.match(long.events.find((e) => e.success === false).message, /more than 2097152 bytes/);
    assert.ok(!long.events.some((e) => e.command === "join g"));
  }
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
