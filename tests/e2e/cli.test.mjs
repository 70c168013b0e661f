// The command line: help, mistakes, tokens, every operation of the service, completion.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import path from "node:path";
import { test } from "node:test";
import { cleanup } from "./lib/cleanup.mjs";
import { fails, isWrong, objects, onTerminal, optionsOf, prints, pubhook, verbs } from "./lib/cli.mjs";
import { openJson, openSocket } from "./lib/clients.mjs";
import { makeCertificates } from "./lib/eventserver.mjs";
import { prefix, temporaryFolder } from "./lib/paths.mjs";
import { startBroker, startHandler } from "./lib/pubhook.mjs";

const key = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";
const service = `Endpoint=http://localhost:8080;AccessKey=${key};Version=1.0;`;

// --- Help and mistakes -------------------------------------------------------------------

test("every verb has a help with options and examples, by --help and by help VERB", async () => {
  const all = await verbs();
  assert.ok(all.length >= 20, all.join());
  for (const verb of all) {
    const help = await prints([...verb.split(" "), "--help"]);
    assert.match(help, new RegExp(`^Usage: pubhook ${verb} `), verb);
    assert.match(help, /\nOptions:\n/, verb);
    assert.match(help, new RegExp(`\nExamples:\n(.*\n)*.*pubhook ${verb}`), verb);
    assert.equal(await prints(["help", ...verb.split(" ")]), help);
  }
});

test("families list their verbs", async () => {
  const help = await prints(["help", "group"]);
  for (const verb of ["group add", "group remove", "group list", "group exists", "group close"]) assert.ok(help.includes(`  ${verb} `), verb);
  assert.ok(!help.includes("user exists"));
  assert.equal(await prints(["--version"]).then((text) => text.split(" ")[0]), "pubhook");
});

test("a wrong command line is one line that says what would be right", async () => {
  await isWrong([], /which verb\?/);
  await isWrong(["group"], /which verb\? Expected add, remove, list/);
  await isWrong(["frobnicate"], /unknown verb "frobnicate"/);
  await isWrong(["group", "frobnicate"], /^pubhook group: unknown verb "frobnicate"; see pubhook group --help/);
  await isWrong(["token"], /HUB is missing: pubhook token HUB/, { service });
  await isWrong(["token", "chat", "more"], /unexpected argument "more"/, { service });
  await isWrong(["token", "chat", "--bogus"], /unknown option --bogus/, { service });
  await isWrong(["token", "chat", "--minutes"], /--minutes needs a value: --minutes N/, { service });
  await isWrong(["token", "chat", "--minutes", "0"], /"0" is no whole number from 1 to/, { service });
  await isWrong(["token", "1chat"], /"1chat" is no name of a hub/, { service });
  await isWrong(["token", "chat"], /which service\? Expected --connection-string, or WebPubSubConnectionString/);
  await isWrong(["token", "chat", "--output", "xml"], /none of text, json/, { service });
  await isWrong(["permission", "grant", "chat", "id", "fly"], /"fly" is none of sendToGroup, joinLeaveGroup/, { service });
  await isWrong(["send", "chat"], /send what\? Expected --text/, { service });
  await isWrong(["send", "chat", "--text", "a", "--json", "1"], /exclude each other/, { service });
  await isWrong(["send", "chat", "--json", "{"], /not JSON/, { service });
  await isWrong(["send", "chat", "--user", "a", "--group", "b", "--text", "c"], /exclude each other/, { service });
  for (const verb of ["token", "connect"])
    await isWrong([verb, "chat", "--user", "bob "], /the user id starts or ends with white space/, { service });
  await isWrong(["listen", "--allow-unsigned", "--user", "bob "], /the user id starts or ends with white space/);
  await isWrong(["group", "add", "chat", "g"], /who\? Expected one of --connection/, { service });
});

test("a connection string that is wrong is never repeated in a message", async () => {
  const { stderr, status } = await pubhook(["token", "chat"], { service: `AccessKey=${key};` });
  assert.equal(status, 2);
  assert.ok(!stderr.includes(key));
});

test("output that cannot be written is a failure", { skip: !existsSync("/dev/full") }, async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(`${folder}/run`, `exec "${prefix}/bin/pubhook" help >/dev/full`);
  assert.throws(() => execFileSync("sh", [`${folder}/run`], { stdio: "pipe" }), { status: 1 });
});

// --- Tokens ------------------------------------------------------------------------------

function claims(token) {
  return JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
}

test("token has user, roles, groups and lifetime", async () => {
  const args = ["token", "chat", "--user", "alice", "--role", "webpubsub.sendToGroup", "--role", "webpubsub.joinLeaveGroup.a", "--group", "a", "--minutes", "5"];
  const payload = claims((await prints(args, { service })).trim());
  assert.equal(payload.sub, "alice");
  assert.deepEqual(payload.role, ["webpubsub.sendToGroup", "webpubsub.joinLeaveGroup.a"]);
  assert.deepEqual(payload["webpubsub.group"], ["a"]);
  assert.equal(payload.exp - payload.iat, 300);
  assert.equal(payload.aud, "http://localhost:8080/client/hubs/chat");
  const [object] = objects(await prints(["token", "chat", "--json", "--connection-string", service]));
  assert.equal(claims(object.token).sub, undefined);
  assert.deepEqual([object.hub, object.minutes], ["chat", 60]);
});

test("token and url from the service, for callers with a token of Microsoft Entra", async (t) => {
  const certificates = makeCertificates(t);
  const asked = [];
  const server = createServer(certificates, (request, response) => {
    asked.push([request.method, request.url.split("?")[0], request.headers.authorization]);
    response.setHeader("Content-Type", "application/json").end('{"token":"made.by.service"}');
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanup(t, () => (server.closeAllConnections(), server.close()));
  const { port } = server.address();
  const args = ["--endpoint", `https://localhost:${port}`, "--bearer", "entra", "--ca-file", certificates.caFile];
  assert.equal(await prints(["token", "chat", ...args]), "made.by.service\n");
  assert.equal(await prints(["url", "chat", ...args, "--client", "mqtt"]), `wss://localhost:${port}/clients/mqtt/hubs/chat?access_token=made.by.service\n`);
  assert.deepEqual(asked[0], ["POST", "/api/hubs/chat/:generateToken", "Bearer entra"]);
  await isWrong(["token", "chat", "--bearer", "x"], /--endpoint and --bearer go together/);
});

test("url is one that a client connects to", async (t) => {
  const broker = await startBroker(t);
  const url = (await prints(["url", "chat", "--user", "alice"], { service: broker })).trim();
  const socket = await openSocket(t, url, "json.webpubsub.azure.v1");
  assert.equal((await socket.nextJson()).userId, "alice");
});

// --- The service -------------------------------------------------------------------------

async function trio(t) {
  const broker = await startBroker(t);
  const sockets = [];
  for (const userId of ["ann", "ann", "bob"]) sockets.push(await openJson(t, broker, "chat", { userId }));
  const run = (...args) => pubhook(args, { service: broker });
  const ok = async (...args) => assert.equal(await prints(args, { service: broker }), "");
  return { broker, sockets, run, ok, ids: sockets.map((socket) => socket.welcome.connectionId) };
}

test("send reaches a hub, a group, a user and a connection", async (t) => {
  const { sockets: [ann, ann2, bob], broker, ids, ok } = await trio(t);
  await ok("send", "chat", "--text", "to all", "--metadata", "trace=1");
  for (const socket of [ann, ann2, bob]) {
    const message = await socket.nextJson();
    assert.deepEqual([message.dataType, message.data, message.metadata], ["text", "to all", { trace: "1" }]);
  }
  await ok("send", "chat", "--user", "bob", "--json", '{"a": [1]}');
  assert.deepEqual((await bob.nextJson()).data, { a: [1] });
  await ok("send", "chat", "--connection", ids[1], "--text", "to one");
  assert.equal((await ann2.nextJson()).data, "to one");
  await ok("group", "add", "chat", "g", "--user", "ann");
  await ok("send", "chat", "--group", "g", "--text", "to g", "--exclude", ids[0]);
  assert.equal((await ann2.nextJson()).data, "to g");
  await ok("send", "chat", "--text", "not bob", "--filter", "userId ne 'bob'", "--ttl", "30");
  assert.equal((await ann.nextJson()).data, "not bob");
  assert.equal((await ann2.nextJson()).data, "not bob");
  const [result] = objects(await prints(["send", "chat", "--text", "end", "--output", "json"], { service: broker }));
  assert.deepEqual([result.ok, result.status, result.tries], [true, 202, 1]);
  assert.equal((await bob.nextJson()).data, "end"); // nothing came in between
});

test("send takes its data from a file or a pipe", async (t) => {
  const { sockets: [ann], broker } = await trio(t);
  const folder = temporaryFolder(t);
  const bytes = Buffer.from([0, 1, 255, 10]);
  writeFileSync(`${folder}/x.bin`, bytes);
  writeFileSync(`${folder}/x.json`, '{"from":"file"}');
  await prints(["send", "chat", "--file", `${folder}/x.bin`], { service: broker });
  assert.deepEqual(await ann.nextJson().then((m) => [m.dataType, m.data]), ["binary", bytes.toString("base64")]);
  await prints(["send", "chat", "--file", `${folder}/x.json`], { service: broker });
  assert.deepEqual((await ann.nextJson()).data, { from: "file" });
  await prints(["send", "chat", "--file", "-", "--data-type", "text"], { service: broker, input: "piped" });
  assert.deepEqual(await ann.nextJson().then((m) => [m.dataType, m.data]), ["text", "piped"]);
  await isWrong(["send", "chat", "--file", `${folder}/none`], /none: No such file/, { service: broker });
});

test("group: add, list, exists, remove, close", async (t) => {
  const { sockets, ids, ok, run, broker } = await trio(t);
  const members = async () => objects(await prints(["group", "list", "chat", "g", "--json"], { service: broker }));
  const says = async (answer) => {
    const { status, stdout } = await run("group", "exists", "chat", "g");
    assert.deepEqual([status, stdout], answer ? [0, "yes\n"] : [1, "no\n"]);
  };
  await says(false);
  await ok("group", "add", "chat", "g", "--connection", ids[2]);
  await says(true);
  assert.deepEqual(await members(), [{ connectionId: ids[2], userId: "bob" }]);
  await ok("group", "add", "chat", "g", "h", "--all");
  assert.deepEqual((await members()).map((m) => m.connectionId).sort(), [...ids].sort());
  assert.equal((await prints(["group", "list", "chat", "h", "--top", "2"], { service: broker })).split("\n").length, 3);
  await ok("group", "remove", "chat", "g", "--user", "ann");
  assert.equal(await prints(["group", "list", "chat", "g"], { service: broker }), `${ids[2]}\tbob\n`);
  await ok("group", "remove", "chat", "g", "--connection", ids[2]);
  await says(false);
  await ok("group", "remove", "chat", "h", "--filter", "userId eq 'ann'");
  await ok("group", "close", "chat", "h", "--reason", "over");
  assert.match((await sockets[2].nextJson()).message, /Reason: over/);
  await fails(["group", "add", "chat", "g", "--user", "nobody"], /404/, { service: broker });
});

test("user and connection: exists, leave-groups, close", async (t) => {
  const { sockets, ids, ok, broker } = await trio(t);
  const asks = async (...args) => objects(await pubhook([...args, "--json"], { service: broker }).then((r) => r.stdout))[0].exists;
  assert.equal(await asks("user", "exists", "chat", "ann"), true);
  assert.equal(await asks("user", "exists", "chat", "eve"), false);
  assert.equal(await asks("connection", "exists", "chat", ids[0]), true);
  assert.equal(await asks("connection", "exists", "chat", "nope"), false);
  await ok("group", "add", "chat", "g", "--all");
  await ok("user", "leave-groups", "chat", "ann");
  await ok("connection", "leave-groups", "chat", ids[2]);
  assert.equal(await asks("group", "exists", "chat", "g"), false);
  await ok("connection", "close", "chat", ids[2], "--reason", "c");
  assert.match((await sockets[2].nextJson()).message, /Reason: c$/);
  await ok("user", "close", "chat", "ann", "--exclude", ids[1], "--reason", "u");
  assert.match((await sockets[0].nextJson()).message, /Reason: u$/);
  await ok("connection", "close-all", "chat", "--reason", "all");
  assert.match((await sockets[1].nextJson()).message, /Reason: all$/);
});

test("permission: grant, check, revoke", async (t) => {
  const { ids, ok, run } = await trio(t);
  const check = async () => (await run("permission", "check", "chat", ids[0], "sendToGroup", "--group", "g")).stdout;
  assert.equal(await check(), "no\n");
  await ok("permission", "grant", "chat", ids[0], "sendToGroup", "--group", "g");
  assert.equal(await check(), "yes\n");
  await ok("permission", "revoke", "chat", ids[0], "sendtogroup", "--group", "g");
  assert.equal(await check(), "no\n");
});

test("health, and failures of the service as one line and as an object", async (t) => {
  const broker = await startBroker(t);
  assert.equal(await prints(["health"], { service: broker }), "");
  const other = broker.connectionString.replace(/AccessKey=.*?;/, "AccessKey=wrong-key-wrong-key-wrong-key-wrong;");
  await fails(["send", "chat", "--text", "x"], /401/, { service: other });
  const { status, stdout, stderr } = await pubhook(["send", "chat", "--text", "x", "--filter", "bad bad", "--output", "json"], { service: broker });
  assert.equal(status, 1);
  assert.deepEqual(objects(stdout).map((o) => [o.ok, o.status]), [[false, 400]]);
  assert.match(stderr, /Invalid syntax/);
  await broker.stopOnce();
  await fails(["health", "--timeout", "1"], /is the service there/, { service: broker });
});

// --- Terminals and shells ------------------------------------------------------------------

test("colour on a terminal alone, and not with NO_COLOR", async (t) => {
  const handler = await startHandler(t, "echo");
  const args = ["validate", handler.url];
  const escape = /\x1b\[/;
  assert.match((await onTerminal(args)).stdout, escape);
  assert.doesNotMatch((await onTerminal(args, { env: { NO_COLOR: "1" } })).stdout, escape);
  assert.doesNotMatch((await onTerminal(args, { env: { TERM: "dumb" } })).stdout, escape);
  assert.doesNotMatch(await prints(args), escape);
});

test("what a handler says cannot steer the terminal", async (t) => {
  const handler = await startHandler(t, "echo");
  const { stdout } = await onTerminal(["trigger", "message", handler.url, "--hub", "chat", "--access-key", key, "--text", "a\x1b]0;owned\x07b"]);
  assert.ok(!stdout.includes("\x1b]0;"), JSON.stringify(stdout));
  assert.ok(stdout.includes("\\x1b]0;owned\\x07b"));
});

const completions = { bash: "share/bash-completion/completions/pubhook", zsh: "share/zsh/site-functions/_pubhook" };

// What bash offers behind these words.
function bashCompletes(words) {
  const script = `. "${prefix}/${completions.bash}"
    COMP_WORDS=(pubhook "$@"); COMP_CWORD=$#; _pubhook; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const env = { ...process.env, PATH: `${prefix}/bin:${process.env.PATH}` };
  return execFileSync("bash", ["-c", script, "bash", ...words], { encoding: "utf8", env }).split("\n").filter(Boolean);
}

test("bash completes every verb and option of the help", async () => {
  const all = await verbs();
  const first = new Set(all.map((verb) => verb.split(" ")[0]));
  assert.deepEqual(new Set(bashCompletes([""])), new Set([...first, "help", "--help", "--version"]));
  assert.deepEqual(bashCompletes(["tri"]), ["trigger"]);
  assert.deepEqual(new Set(bashCompletes(["group", ""])), new Set(all.filter((v) => v.startsWith("group ")).map((v) => v.split(" ")[1])));
  assert.deepEqual(bashCompletes(["help", "perm"]), ["permission"]);
  for (const verb of all) assert.deepEqual(new Set(bashCompletes([...verb.split(" "), "--"])), new Set(await optionsOf(verb)), verb);
});

test("bash completes files where an option wants one, and nothing where it wants another value", (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(`${folder}/events.jsonl`, "");
  assert.deepEqual(bashCompletes(["trigger", "--recorded", `${folder}/ev`]), [`${folder}/events.jsonl`]);
  assert.deepEqual(bashCompletes(["trigger", "--user", ""]), []);
});

test("zsh's completion has every verb and option, and is one that zsh can read", async () => {
  const text = await prints(["completion", "zsh"]);
  for (const verb of await verbs()) {
    const at = text.indexOf(`'${verb}') _arguments`);
    assert.ok(at > 0, verb);
    const entry = text.slice(at, text.indexOf(";;", at));
    for (const option of await optionsOf(verb)) if (option !== "--version") assert.match(entry, new RegExp(`'\\*?${option}[=\\[]`), `${verb} ${option}`);
  }
  assert.match(readFileSync(path.join(prefix, completions.zsh), "utf8"), /^#compdef pubhook\n/);
  execFileSync("zsh", ["-n"], { input: text });
  await isWrong(["completion", "fish"], /none of bash, zsh/);
});

test("the manual page has every verb and option", async () => {
  const page = readFileSync(path.join(prefix, "share/man/man1/pubhook.1"), "utf8").replaceAll("\\-", "-").replace(/\\f[BIR]/g, "");
  const sections = page.split(/^\.S[SH] /m);
  const common = sections.find((text) => text.startsWith("COMMON OPTIONS"));
  for (const verb of await verbs()) {
    const section = sections.find((text) => text.startsWith(`"pubhook ${verb}"`));
    assert.ok(section, `man page: no section on ${verb}`);
    for (const option of await optionsOf(verb)) {
      const entry = new RegExp(`^\\.BI? ${option}( |$)`, "m");
      assert.ok(entry.test(section) || entry.test(common), `man page: ${verb} ${option}`);
    }
  }
});
