// pubhook trigger, listen and validate: handlers without a service, services without a handler.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { createServer as createTcpServer } from "node:net";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { cleanup } from "./lib/cleanup.mjs";
import { environment, fails, isWrong, objects, prints, pubhook } from "./lib/cli.mjs";
import { accessUrl, openJson, openSocket } from "./lib/clients.mjs";
import { makeCertificates } from "./lib/eventserver.mjs";
import { program, temporaryFolder } from "./lib/paths.mjs";
import { start } from "./lib/program.mjs";
import { defaultKey, startBroker, startHandler } from "./lib/pubhook.mjs";
import { startWebhook } from "./lib/webhook.mjs";

const service = `Endpoint=http://contoso.example;AccessKey=${defaultKey};Version=1.0;`;

function signature(key, connectionId) {
  return `sha256=${createHmac("sha256", key).update(connectionId).digest("hex")}`;
}

// --- trigger ------------------------------------------------------------------------------

test("trigger fires each kind of event with what its options say", async (t) => {
  const hook = await startWebhook(t, () => ({ status: 204 }));
  const fire = async (...args) => {
    await prints(["trigger", ...args, "--hub", "chat", "--connection", "c1", "--user", "ann"], { service });
    const { headers, body } = hook.requests.at(-1);
    assert.equal(headers["ce-signature"], signature(defaultKey, "c1"));
    assert.deepEqual([headers["ce-hub"], headers["ce-connectionid"], headers["ce-userid"]], ["chat", "c1", "ann"]);
    assert.equal(headers["webhook-request-origin"], "contoso.example");
    assert.equal(headers["ce-specversion"], "1.0");
    return { headers, type: headers["ce-type"], text: body.toString(), id: headers["ce-id"], body };
  };

  const connect = await fire("connect", hook.url, "--claim", "role=a", "--claim", "role=b", "--query", "x=1", "--header", "User-Agent=me",
    "--subprotocol", "json.webpubsub.azure.v1", "--subprotocol", "mine");
  assert.equal(connect.type, "azure.webpubsub.sys.connect");
  assert.equal(connect.id, "0");
  assert.deepEqual(JSON.parse(connect.text), {
    claims: { role: ["a", "b"], sub: ["ann"] }, query: { x: ["1"] }, headers: { "User-Agent": ["me"] },
    subprotocols: ["json.webpubsub.azure.v1", "mine"], clientCertificates: [],
  });
  const connected = await fire("connected", hook.url, "--subprotocol", "mine", "--state", "eyJ9");
  assert.deepEqual([connected.type, connected.text, connected.id], ["azure.webpubsub.sys.connected", "{}", "1"]);
  assert.deepEqual([connected.headers["ce-subprotocol"], connected.headers["ce-connectionstate"]], ["mine", "eyJ9"]);
  const disconnected = await fire("disconnected", hook.url, "--reason", "gone");
  assert.deepEqual([disconnected.type, disconnected.text], ["azure.webpubsub.sys.disconnected", '{"reason":"gone"}']);
  const joined = await fire("joined", hook.url, "--group", "g");
  assert.deepEqual([joined.type, joined.text], ["azure.webpubsub.gp.joined", '{"group":"g"}']);
  assert.equal((await fire("left", hook.url, "--group", "g")).type, "azure.webpubsub.gp.left");

  const text = await fire("message", hook.url, "--text", "héllo", "--metadata", "Trace=7", "--id", "41");
  assert.deepEqual([text.type, text.text, text.headers["content-type"], text.id], ["azure.webpubsub.user.message", "héllo", "text/plain", "41"]);
  assert.equal(text.headers["x-webpubsub-metadata-trace"], "7");
  const json = await fire("move", hook.url, "--json", '{"x": 1}');
  assert.deepEqual([json.type, json.text, json.headers["content-type"]], ["azure.webpubsub.user.move", '{"x": 1}', "application/json"]);
  const folder = temporaryFolder(t);
  writeFileSync(`${folder}/data`, Buffer.from([0, 255]));
  const binary = await fire("blob", hook.url, "--file", `${folder}/data`);
  assert.deepEqual([binary.headers["content-type"], binary.body], ["application/octet-stream", Buffer.from([0, 255])]);
  assert.equal((await fire("blob", hook.url, "--file", `${folder}/data`, "--data-type", "protobuf")).headers["content-type"], "application/x-protobuf");
  assert.equal((await fire("connected", hook.url, "--user-event", "--text", "x")).type, "azure.webpubsub.user.connected");
});

test("trigger signs with every key, with none when told so, and sends a bearer token", async (t) => {
  const hook = await startWebhook(t, () => ({ status: 204 }));
  const headers = async (...args) => {
    await prints(["trigger", "message", hook.url, "--hub", "chat", "--connection", "c1", "--text", "x", ...args], { service });
    return hook.requests.at(-1).headers;
  };
  assert.equal((await headers("--access-key", "second"))["ce-signature"], `${signature(defaultKey, "c1")},${signature("second", "c1")}`);
  const none = await headers("--unsigned", "--bearer", "tok");
  assert.deepEqual([none["ce-signature"], none.authorization], [undefined, "Bearer tok"]);
});

test("trigger fires the events of an MQTT client, and says what its CONNACK would be", async (t) => {
  let answer = { status: 204 };
  const hook = await startWebhook(t, () => answer);
  const fire = async (...args) => {
    const { stdout } = await pubhook(["trigger", ...args, "--hub", "chat", "--connection", "dev1", "--mqtt", "5", "--mqtt-property", "unit=C"], { service });
    const { headers, body } = hook.requests.at(-1);
    return { headers, body: body.toString(), stdout };
  };
  const connect = await fire("connect", hook.url, "--mqtt-username", "ann", "--mqtt-password", "pw");
  assert.deepEqual([connect.headers["ce-physicalconnectionid"] !== undefined, connect.headers["ce-sessionid"]], [true, undefined]);
  const { mqtt, subprotocols } = JSON.parse(connect.body);
  assert.deepEqual(subprotocols, ["mqtt"]);
  assert.deepEqual([mqtt.protocolVersion, mqtt.username, mqtt.password, mqtt.userProperties],
    [5, "ann", Buffer.from("pw").toString("base64"), [{ name: "unit", value: "C" }]]);
  const message = await fire("reading", hook.url, "--text", "21", "--content-type", "text/x-celsius");
  assert.deepEqual([message.headers["content-type"], message.headers["mqtt-unit"], message.headers["ce-subprotocol"]], ["text/x-celsius", "C", "mqtt"]);
  const gone = JSON.parse((await fire("disconnected", hook.url, "--mqtt-code", "4")).body);
  assert.deepEqual([gone.mqtt.initiatedByClient, gone.mqtt.disconnectPacket.code], [true, 4]);
  answer = { status: 401, body: '{"mqtt":{"code":138,"reason":"banned"}}' };
  assert.match((await fire("connect", hook.url)).stdout, /refused with status 401; its CONNACK has code 138: banned/);
  await isWrong(["trigger", "connect", hook.url, "--hub", "h", "--mqtt", "4"], /none of 3\.1\.1, 5/, { service });
  await isWrong(["trigger", "connect", hook.url, "--hub", "h", "--mqtt-username", "a"], /go with --mqtt VERSION/, { service });
});

test("trigger puts hub and event into the URL's template", async (t) => {
  const seen = [];
  const server = createServer((request, response) => (seen.push(request.url), response.writeHead(204).end())).listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanup(t, () => (server.closeAllConnections(), server.close()));
  await prints(["trigger", "my move", `http://127.0.0.1:${server.address().port}/{hub}/{event}?code=1`, "--hub", "chat", "--text", ""], { service });
  assert.deepEqual(seen, ["/chat/my%20move?code=1"]);
});

test("trigger shows request, response and what the service would make of it", async (t) => {
  const handler = await startHandler(t, "echo");
  const shown = await prints(["trigger", "message", handler.url, "--hub", "chat", "--text", "hello"], { service });
  assert.match(shown, /^> POST http:.*\n/);
  assert.match(shown, /^> ce-type: azure\.webpubsub\.user\.message$/m);
  assert.match(shown, /^< 200 OK$/m);
  assert.match(shown, /^< hello$/m);
  assert.match(shown, /^the event succeeds; the client is sent 5 bytes of text \(\d+\.\d ms\)$/m);
  const [object] = objects(await prints(["trigger", "message", handler.url, "--hub", "chat", "--text", "hello", "--output", "json"], { service }));
  assert.equal(object.success, true);
  assert.deepEqual([object.request.body, object.response.status, object.response.body], ["hello", 200, "hello"]);
  assert.deepEqual(object.answer, { dataType: "text", data: "hello" });
  assert.ok(object.request.headers.some(([name, value]) => name === "ce-hub" && value === "chat"));
});

// [event, status, headers, body, success, meaning]
const answers = [
  ["connect", 204, {}, "", true, /accepted, as its token says/],
  ["connect", 200, { "content-type": "application/json" }, '{"userId":"bob","groups":["a","b"],"roles":[],"subprotocol":"p"}', true,
    /accepted, as user bob, in groups a, b, without any role, with subprotocol p/],
  ["connect", 200, { "ce-connectionState": "s" }, "", true, /connection state is now "s"/],
  ["connect", 401, {}, "who", false, /the client is refused with status 401/],
  ["connect", 200, {}, "{", false, /refused with status 500, because the answer to connect/],
  ["connect", 503, {}, "", false, /503 is tried again after 1, 3 and 5 seconds; then the client is refused/],
  ["connected", 500, {}, "", false, /the failure is only logged/],
  ["connected", 204, {}, "", true, /the handler has been told/],
  ["message", 204, {}, "", true, /succeeds; nothing is sent/],
  ["message", 200, { "content-type": "text/html" }, "<p>", false, /the event fails: .*Content-Type "text\/html"/],
  ["message", 403, {}, "", false, /the event fails: a raw client is closed, others get a failed ack/],
];

test("trigger says what each answer means, and exits with 1 when it is a failure", async (t) => {
  let answer;
  const hook = await startWebhook(t, () => answer);
  for (const [event, status, headers, body, success, meaning] of answers) {
    answer = { status, headers, body };
    const result = await pubhook(["trigger", event, hook.url, "--hub", "chat", ...(event === "message" ? ["--text", "x"] : [])], { service });
    assert.match(result.stdout, meaning);
    assert.equal(result.status, success ? 0 : 1, result.stdout);
    assert.equal(result.stderr, "");
  }
});

test("trigger repeats an event over connections that stay open, and sums up", async (t) => {
  const connections = new Set();
  const ids = [];
  const users = new Set();
  const server = createServer((request, response) => {
    connections.add(request.socket);
    ids.push(Number(request.headers["ce-id"]));
    users.add(request.headers["ce-userid"]);
    request.resume().on("end", () => response.writeHead(ids.length % 10 === 0 ? 500 : 204).end());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanup(t, () => (server.closeAllConnections(), server.close()));
  const url = `http://127.0.0.1:${server.address().port}/`;
  const args = ["trigger", "message", url, "--hub", "chat", "--text", "x", "--user", "u{n}", "--repeat", "100", "--connections", "4"];
  const { status, stdout } = await pubhook([...args, "--output", "json"], { service });
  assert.equal(status, 1); // some failed
  const [summary] = objects(stdout);
  assert.equal(summary.events, 100);
  assert.deepEqual(summary.statuses, { 204: 90, 500: 10 });
  assert.deepEqual([summary.failed, summary.unanswered], [10, 0]);
  assert.ok(summary.milliseconds.p50 <= summary.milliseconds.p99 && summary.milliseconds.p99 <= summary.milliseconds.max);
  assert.equal(connections.size, 4);
  assert.deepEqual(ids.sort((a, b) => a - b), Array.from({ length: 100 }, (_, i) => i + 2)); // none twice
  assert.equal(users.size, 100);
  const text = (await pubhook(args, { service })).stdout;
  assert.match(text, /^100 events in [\d.]+ s, \d+ a second\nanswers  204: 90  500: 10  none: 0\nfailed   10\nlatency  p50 [\d.]+ ms/);
});

test("trigger keeps to a rate", async (t) => {
  const handler = await startHandler(t, "echo");
  const [summary] = objects(await prints(["trigger", "message", handler.url, "--hub", "chat", "--text", "x", "--repeat", "21", "--rate", "40",
    "--output", "json"], { service }));
  assert.equal(summary.failed, 0);
  assert.ok(summary.seconds >= 0.49, `21 events at 40 a second: ${summary.seconds} s`);
});

test("trigger's mistakes and failures", async () => {
  const url = "http://127.0.0.1:1/";
  await isWrong(["trigger", "message"], /URL is missing/, { service });
  await isWrong(["trigger", "message", "localhost:80", "--hub", "h"], /"localhost:80" is no URL/, { service });
  await isWrong(["trigger", "message", url], /which hub\? Expected --hub HUB/, { service });
  await isWrong(["trigger", "message", url, "--hub", "h"], /with which key is it signed\?/);
  await isWrong(["trigger", "joined", url, "--hub", "h"], /which group\? Expected --group/, { service });
  await isWrong(["trigger", "connect", url, "--hub", "h", "--text", "x"], /data is for user events, not for connect/, { service });
  await isWrong(["trigger", "message", url, "--hub", "h", "--claim", "a=b"], /--claim is for connect/, { service });
  await isWrong(["trigger", "connect", url, "--hub", "h", "--claim", "a"], /"a" is not NAME=VALUE/, { service });
  await isWrong(["trigger", "message", url, "--hub", "h", "--rate", "5"], /--rate and --connections go with --repeat/, { service });
  await fails(["trigger", "message", url, "--hub", "h", "--text", "x"], /no answer from http:\/\/127\.0\.0\.1:1\/: /, { service });
  await fails(["trigger", "message", url, "--hub", "h", "--text", "x", "--validate"], /is not valid: nobody accepts connections there/, { service });
  const { stdout } = await pubhook(["trigger", "message", url, "--hub", "h", "--text", "x", "--output", "json"], { service });
  assert.equal(objects(stdout)[0].success, false);
});

// --- listen ---------------------------------------------------------------------------------

async function startListen(t, args, { env = environment(service) } = {}) {
  const listener = start(t, program("pubhook"), ["listen", "127.0.0.1:0", ...args], { env });
  [, listener.url] = await listener.printed(/ready\W+(http[^"]*)/);
  return listener;
}

test("listen prints the events that a broker sends, and records them for trigger", async (t) => {
  const folder = temporaryFolder(t);
  const file = `${folder}/events.jsonl`;
  const listener = await startListen(t, ["--record", file, "--echo", "--access-key", defaultKey], { env: environment() });
  const broker = await startBroker(t, { upstreams: { chat: listener.url } });
  const client = await openJson(t, broker, "chat", { userId: "ann" });
  client.sendJson({ type: "event", event: "greet", dataType: "text", data: "hello", ackId: 1 });
  assert.equal((await client.nextJson()).data, "hello"); // by --echo
  await client.close();
  await listener.printed(/^disconnected$/);
  await broker.stopOnce();
  await listener.stopOnce(); // SIGTERM ends it with status 0

  const recorded = objects(readFileSync(file, "utf8"));
  assert.deepEqual(recorded.map((event) => event.type.replace("azure.webpubsub.", "")).slice(0, 3), ["sys.connect", "sys.connected", "user.greet"]);
  const greet = recorded.find((event) => event.type === "azure.webpubsub.user.greet");
  assert.deepEqual([greet.hub, greet.userId, greet.dataType, greet.data, greet.subprotocol], ["chat", "ann", "text", "hello", "json.webpubsub.azure.v1"]);
  assert.deepEqual(recorded[0].data.claims.sub, ["ann"]);

  const hook = await startWebhook(t, () => ({ status: 204 }));
  await prints(["trigger", "--recorded", file, hook.url], { service });
  assert.equal(hook.requests.length, recorded.length);
  for (const [at, event] of recorded.entries()) {
    const { headers, body } = hook.requests[at];
    assert.equal(headers["ce-type"], event.type);
    assert.equal(headers["ce-connectionid"], event.connectionId);
    assert.equal(headers["ce-id"], event.id);
    assert.equal(headers["ce-time"], event.time);
    assert.equal(headers["webhook-request-origin"], event.origin);
    assert.equal(headers["ce-signature"], signature(defaultKey, event.connectionId));
    if (event.dataType === "json") assert.deepEqual(JSON.parse(body), event.data);
    else assert.equal(body.toString(), event.data);
  }
});

test("listen shows an event as a block, or as an object on a line", async (t) => {
  const text = await startListen(t, []);
  await prints(["trigger", "message", text.url, "--hub", "chat", "--text", "hello", "--user", "ann", "--metadata", "a=b"], { service });
  await text.stopOnce();
  const block = text.lines.slice(1).join("\n");
  assert.match(block, /^message\n {2}hub chat\n {2}connection trigger-[0-9a-f]{16}\n {2}user ann\n/);
  assert.match(block, /\n {2}a b\n/);
  assert.match(block, /\n {4}hello$/);

  const json = await startListen(t, ["--json"]);
  await prints(["trigger", "move", json.url, "--hub", "chat", "--json", '{"x": [1,\n2]}'], { service });
  await json.stopOnce();
  const [ready, event, ...more] = json.lines.map((line) => JSON.parse(line));
  assert.deepEqual([ready, more], [{ ready: json.url }, []]);
  assert.deepEqual([event.type, event.dataType, event.data], ["azure.webpubsub.user.move", "json", { x: [1, 2] }]);
});

test("listen ends when nobody reads any more, and when it cannot record", async (t) => {
  const folder = temporaryFolder(t);
  const child = spawn(program("pubhook"), ["listen", "127.0.0.1:0", "--json"], { env: environment(service), stdio: ["ignore", "pipe", "pipe"] });
  cleanup(t, () => child.kill("SIGKILL"));
  const closed = once(child, "close");
  let log = "";
  child.stderr.on("data", (part) => (log += part));
  const [ready] = await once(child.stdout, "data");
  child.stdout.destroy();
  await prints(["trigger", "connected", JSON.parse(ready).ready, "--hub", "chat"], { service });
  assert.deepEqual(await closed, [1, null]);
  assert.match(log, /^pubhook listen: not every event could be written\n$/);
  await fails(["listen", "127.0.0.1:0", "--record", `${folder}/none/file`], /none\/file: No such file/, { service });
});

test("listen answers as it is told", async (t) => {
  const answersOf = async (listenArgs, event, ...args) => {
    const listener = await startListen(t, listenArgs);
    const { stdout, status } = await pubhook(["trigger", event, listener.url, "--hub", "chat", ...args, "--output", "json"], { service });
    await listener.stopOnce();
    return { status, ...objects(stdout)[0] };
  };
  assert.deepEqual((await answersOf(["--reply-json", '{"a":1}'], "message", "--text", "x")).answer, { dataType: "json", data: { a: 1 } });
  assert.deepEqual((await answersOf(["--reply-text", "yes"], "message", "--text", "x")).answer, { dataType: "text", data: "yes" });
  const refused = await answersOf(["--reject", "403", "--reject-text", "no"], "connect");
  assert.deepEqual([refused.status, refused.response.status, refused.response.body], [1, 403, "no"]);
  const accepted = await answersOf(["--user", "bob", "--group", "g", "--role", "r", "--subprotocol", "p", "--state", "s"], "connect", "--subprotocol", "p");
  assert.deepEqual(accepted.answer, { userId: "bob", groups: ["g"], roles: ["r"], subprotocol: "p", connectionState: "s" });
});

test("listen fails closed", async (t) => {
  await isWrong(["listen", "127.0.0.1:0"], /key/);
  await isWrong(["listen", "nonsense", "--allow-unsigned"], /nonsense/);
  await isWrong(["listen", "--echo", "--reject", "401", "--allow-unsigned"], /exclude each other/);
  await isWrong(["listen", "--reply-json", "{", "--allow-unsigned"], /--reply-json/);
  const listener = await startListen(t, []);
  const fire = async (...args) => (await pubhook(["trigger", "message", listener.url, "--hub", "chat", "--text", "x", "--output", "json", ...args])).stdout;
  assert.equal(objects(await fire("--access-key", "wrong"))[0].response.status, 401);
  assert.equal(objects(await fire("--unsigned"))[0].response.status, 401);
  await listener.logged(/refused POST/);
  await listener.stopOnce();
  assert.deepEqual(listener.lines.slice(1), []);
  const open = await startListen(t, ["--allow-unsigned"], { env: environment() });
  assert.equal(objects((await pubhook(["trigger", "message", open.url, "--hub", "chat", "--text", "x", "--output", "json", "--unsigned"])).stdout)[0].success, true);
  const { port } = new URL(open.url);
  await fails(["listen", `127.0.0.1:${port}`, "--allow-unsigned"], /ddress/);
});

// --- validate ----------------------------------------------------------------------------------

// A server whose answers to OPTIONS and GET are told: [status, headers].
async function startAnswers(t, byMethod) {
  const asked = [];
  const server = createServer((request, response) => {
    asked.push({ method: request.method, url: request.url, headers: request.headers });
    const [status, headers = {}] = byMethod[request.method] ?? byMethod.any;
    response.writeHead(status, headers).end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanup(t, () => (server.closeAllConnections(), server.close()));
  return { url: `http://127.0.0.1:${server.address().port}/hook`, asked };
}

const consent = { "WebHook-Allowed-Origin": "*" };

test("validate asks as the service does", async (t) => {
  const ok = await startAnswers(t, { OPTIONS: [200, consent] });
  const text = await prints(["validate", `${ok.url}/{hub}/{event}`, "--hub", "chat"], { service });
  assert.equal(text, "OPTIONS 200 OK, WebHook-Allowed-Origin: *\nvalid: contoso.example may send events there\n");
  const [{ method, url, headers }] = ok.asked;
  assert.deepEqual([method, url], ["OPTIONS", "/hook/chat/validate"]);
  assert.deepEqual([headers["webhook-request-origin"], headers["ce-awpsversion"]], ["contoso.example", "1.0"]);
  for (const name of ["ce-signature", "ce-type", "authorization", "cookie"]) assert.equal(headers[name], undefined, name);

  const get = await startAnswers(t, { OPTIONS: [404], GET: [204, { "WebHook-Allowed-Origin": "B.example" }] });
  const [object] = objects(await prints(["validate", get.url, "--origin", "b.example", "--json"]));
  assert.equal(object.valid, true);
  assert.deepEqual(object.steps.map(({ method: m, status }) => [m, status]), [["OPTIONS", 404], ["GET", 204]]);

  const each = await startAnswers(t, { OPTIONS: [200, { "WebHook-Allowed-Origin": ["a.example", "b.example"] }] });
  await prints(["validate", each.url, "--origin", "a.example, b.example"]);
  assert.equal(each.asked[0].headers["webhook-request-origin"], "a.example, b.example");
});

// [answer to OPTIONS, the problem's name, the line]
const problems = [
  [[200], "no-consent", /answers without WebHook-Allowed-Origin; .*WebHook-Allowed-Origin: \*/],
  [[200, { "WebHook-Allowed-Origin": "other.example" }], "other-origin", /allows other origins \(.*other\.example\)/],
  [[200, { "WebHook-Allowed-Origin": "a.example,contoso.example" }], "comma-list", /list in one line.*one WebHook-Allowed-Origin line for each/],
  [[301, { Location: "https://elsewhere.example/" }], "redirect", /redirects.*\(to https:\/\/elsewhere\.example\/\)/],
  [[400], "bad-request", /calls the request bad/],
  [[401], "unauthorized", /wants a login.*\?code=/],
  [[403], "forbidden", /refuses this service.*--allowed-origin/],
  [[404], "not-found", /nothing at this path, for OPTIONS nor for GET/],
  [[405], "method", /does not allow OPTIONS, and GET is tried after 404 alone/],
  [[429], "too-many", /too many requests/],
  [[502], "server-error", /it fails; .*502 and 504/],
];

test("validate explains each wrong answer and how to mend it", async (t) => {
  for (const [answer, name, line] of problems) {
    const server = await startAnswers(t, { any: answer });
    await fails(["validate", server.url, "--once"], line, { service });
    const { status, stdout } = await pubhook(["validate", server.url, "--once", "--json"], { service });
    const [object] = objects(stdout);
    assert.deepEqual([status, object.valid, object.problem], [1, false, name]);
    assert.ok(object.remedy);
    assert.equal(server.asked.some(({ method }) => method === "GET"), answer[0] === 404, name);
  }
});

test("validate tries again after 5xx, as the service does", async (t) => {
  let asked = 0;
  const server = createServer((request, response) => response.writeHead(++asked === 1 ? 503 : 200, consent).end()).listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanup(t, () => (server.closeAllConnections(), server.close()));
  const text = await prints(["validate", `http://127.0.0.1:${server.address().port}/`], { service });
  assert.match(text, /^OPTIONS 503 Service Unavailable.* \(again in 1 s\)\nOPTIONS 200 OK/);
});

test("validate explains handlers that cannot be reached", async (t) => {
  const problemOf = async (url, ...args) => objects((await pubhook(["validate", url, "--once", "--json", ...args], { service })).stdout)[0]?.problem;
  assert.equal(await problemOf("http://127.0.0.1:1/"), "no-connection");
  assert.equal(await problemOf("http://no-such-host.invalid/"), "name-not-found");
  const certificates = makeCertificates(t);
  const tls = createTlsServer(certificates, (request, response) => response.writeHead(200, consent).end()).listen(0, "127.0.0.1");
  const tcp = createTcpServer((socket) => socket.on("error", () => {}).resume().end("SSH-2.0-hello\r\n")).listen(0, "127.0.0.1");
  const silent = createTcpServer((socket) => socket.on("error", () => {}).once("data", () => socket.destroy())).listen(0, "127.0.0.1");
  await Promise.all([tls, tcp, silent].map((server) => once(server, "listening")));
  cleanup(t, () => (tls.closeAllConnections(), tls.close(), tcp.close(), silent.close()));
  const port = (server) => server.address().port;
  assert.equal(await problemOf(`https://localhost:${port(tls)}/`), "certificate");
  assert.match(await prints(["validate", `https://localhost:${port(tls)}/`, "--ca-file", certificates.caFile], { service }), /valid/);
  assert.equal(await problemOf(`https://127.0.0.1:${port(tcp)}/`), "tls");
  assert.equal(await problemOf(`http://127.0.0.1:${port(tcp)}/`), "not-http");
  assert.equal(await problemOf(`http://127.0.0.1:${port(silent)}/`), "no-answer");
  await isWrong(["validate", "localhost"], /"localhost" is no URL/);
  await isWrong(["validate", "http://localhost/{hub}"], /expected --hub HUB/);
  await isWrong(["validate", "http://localhost/", "--origin", "https://a.example"], /is no host name/);
});

test("validate agrees with pubhookd and with the broker", async (t) => {
  const handler = await startHandler(t, "echo", { args: ["--allowed-origin", "contoso.example"] });
  await prints(["validate", handler.url], { service });
  await fails(["validate", handler.url, "--origin", "evil.example"], /refuses this service/, { service });
  const broker = await startBroker(t, { upstreams: { chat: handler.url } });
  assert.equal(await openSocket(t, await accessUrl(broker, "chat")).catch((error) => error.status), 500);
});
