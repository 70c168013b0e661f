// The program pubhook-broker: command line, configuration file, what it prints, signals.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { openJson, openSocket } from "./lib/clients.mjs";
import { RawConnection } from "./lib/net.mjs";
import { program, sanitizerEnvironment, temporaryFolder, testPlugin } from "./lib/paths.mjs";
import { defaultKey, startBroker } from "./lib/pubhook.mjs";
import { startWebhook } from "./lib/webhook.mjs";

// Runs the broker with arguments that end it at once.
async function run(...args) {
  const child = spawn(program("pubhook-broker"), args, { env: sanitizerEnvironment() });
  const text = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"]) child[stream].on("data", (data) => (text[stream] += data));
  const [status] = await once(child, "close");
  return { status, ...text };
}

function configuration(t, text) {
  const file = path.join(temporaryFolder(t), "broker.json");
  writeFileSync(file, typeof text === "string" ? text : JSON.stringify(text));
  return file;
}

test("--help and --version answer and exit 0", async () => {
  const help = await run("--help");
  assert.equal(help.status, 0);
  for (const option of ["listen", "access-key", "config", "event-handler", "handler", "threads", "log-level", "log-format"]) {
    assert.match(help.stdout, new RegExp(`--${option} `));
  }
  const version = await run("--version");
  assert.equal(version.status, 0);
  assert.match(version.stdout, /^pubhook-broker \(pubhook\) \d+\.\d+\.\d+\n$/);
});

test("a wrong command line is one line and exit 2", async (t) => {
  const rows = [
    [["--listen"], /--listen needs a value/],
    [["--listen", "nowhere"], /--listen: .*HOST:PORT/],
    [["--threads", "0"], /--threads/],
    [["--log-level", "loud"], /--log-level: .*debug/],
    [["--access-key", "short"], /--access-key: .*32/],
    [["--event-handler", "chat"], /: --event-handler: (?!.*--event-handler).*HUB=URL/],
    [["--handler", "chat"], /--handler: .*HUB=/],
    [["--unheard-of"], /--unheard-of/],
    [["extra"], /extra/],
    [["--listen", "0.0.0.0:0"], /--access-key|accessKeys/],
    [["--config", "/nowhere/broker.json"], /\/nowhere\/broker.json/],
    [["--config", configuration(t, '{\n"hubs": 1}')], /broker.json:2/],
    [["--config", configuration(t, { lisen: "127.0.0.1:0" })], /lisen/],
  ];
  for (const [args, expected] of rows) {
    const { status, stdout, stderr } = await run(...args);
    assert.equal(status, 2, `${args}: ${stderr}`);
    assert.match(stderr, expected);
    assert.match(stderr, /^pubhook-broker: [^\n]+\n$/, "one line");
    assert.equal(stdout, "");
  }
});

test("what only the start can find is one line and exit 1", async (t) => {
  const broker = await startBroker(t);
  const rows = [
    [["--listen", broker.host], /cannot listen on 127\.0\.0\.1:\d+: Address already in use/],
    [["--listen", "127.0.0.1:0", "--handler", "chat=/nowhere/x.so"], /\/nowhere\/x\.so/],
    [["--listen", "127.0.0.1:0", "--handler", `chat=${testPlugin("bad_open")}`], /bad_open\.so/],
  ];
  for (const [args, expected] of rows) {
    const { status, stdout, stderr } = await run(...args);
    assert.equal(status, 1, `${args}: ${stderr}`);
    assert.match(stderr, expected);
    assert.equal(stdout, "");
  }
});

test("it prints exactly two lines when it is ready", async (t) => {
  const broker = await startBroker(t);
  assert.deepEqual(broker.lines, [
    `ready http://127.0.0.1:${broker.port}`,
    `connection-string Endpoint=http://127.0.0.1:${broker.port};AccessKey=${defaultKey};Version=1.0;`,
  ]);
  assert.equal(await (await fetch(`${broker.url}/`)).text().then((text) => /pubhook-broker/.test(text)), true);
});

// The kernel makes whoever needs more room in the table wait, with all of a shard's clients.
test("the table of its files has room for all that it may open before the first client comes", async (t) => {
  const broker = await startBroker(t);
  const file = (name) => readFileSync(`/proc/${broker.pid}/${name}`, "utf8");
  const limit = Number(/^Max open files +\d+ +(\d+)/m.exec(file("limits"))[1]);
  const room = Number(/^FDSize:\s+(\d+)/m.exec(file("status"))[1]);
  assert.ok(room >= Math.min(limit, 131072), `${room} of ${limit}`);
});

test("the configuration file counts, and the command line overrides it", async (t) => {
  const key = "k".repeat(32);
  const file = configuration(t, {
    listen: "127.0.0.1:1",
    accessKeys: [key],
    hubs: { open: { anonymousConnectPolicy: "allow" } },
  });
  const broker = await startBroker(t, { args: ["--config", file] });
  assert.match(broker.connectionString, new RegExp(`AccessKey=${key};`));
  const anonymous = await openSocket(t, `ws://${broker.host}/client/hubs/open`, "json.webpubsub.azure.v1");
  assert.equal((await anonymous.nextJson()).event, "connected");
  await anonymous.close();
});

test("SIGTERM closes clients with 1001 and tells handlers before it exits", async (t) => {
  const hook = await startWebhook(t, () => undefined);
  const broker = await startBroker(t, { args: ["--event-handler", `chat=${hook.url}`] });
  const clients = await Promise.all(Array.from({ length: 10 }, () => openJson(t, broker, "chat")));
  await broker.stopOnce();
  for (const client of clients) assert.equal((await client.closed).code, 1001);
  const told = hook.requests.filter(({ headers }) => headers["ce-eventname"] === "disconnected");
  assert.equal(new Set(told.map(({ headers }) => headers["ce-connectionid"])).size, 10);
});

test("while it shuts down it is not healthy, and says so on connections that are still open", async (t) => {
  const broker = await startBroker(t, { threads: 1 });
  const client = await openJson(t, broker, "chat");
  client.ws._socket.pause(); // so that the broker waits for its close frame
  const connection = await RawConnection.open(t, broker.port);
  const ask = "GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const health = () => {
    connection.received = Buffer.alloc(0);
    return connection.write(ask).status();
  };
  assert.equal(await health(), 200);
  const stopped = broker.stopOnce();
  let status = 200;
  while (status === 200) status = await health(); // until the signal has reached it
  assert.equal(status, 503);
  assert.match(connection.text, /shutting down/);
  client.ws._socket.resume();
  await stopped;
});

test("a client that does not answer does not keep it from stopping", async (t) => {
  const broker = await startBroker(t);
  const client = await openJson(t, broker, "chat");
  client.ws._socket.pause();
  await broker.stopOnce(); // killed, if it does not end
});

test("a plugin's handler that never returns holds up neither others nor the end", async (t) => {
  const broker = await startBroker(t, { handlers: { stuck: testPlugin("endless"), echo: "echo" } });
  const event = { type: "event", event: "e", dataType: "text", data: "x", ackId: 1 };
  for (let i = 0; i < 5; i++) (await openJson(t, broker, "stuck")).sendJson(event);
  const other = await openJson(t, broker, "echo");
  other.sendJson(event);
  assert.equal((await other.nextJson()).data, "x");
  await broker.stopOnce(); // killed, if it does not end
  assert.match(broker.log, /does a handler of a plugin return/);
});
