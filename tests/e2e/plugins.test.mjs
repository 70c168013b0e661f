// Plugins that are loaded again while they are in use, by pubhookd and by the broker.

import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import { copyFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { accessUrl, openJson, openSocket } from "./lib/clients.mjs";
import { temporaryFolder, testPlugin } from "./lib/paths.mjs";
import { defaultKey, startBroker, startHandler } from "./lib/pubhook.mjs";
import { startNginxFastcgi } from "./lib/webservers.mjs";

// A plugin's file, whose builds can be exchanged for each other.
function makePlugin(t) {
  const folder = temporaryFolder(t);
  const file = path.join(folder, "plugin.so");
  const use = (name) => {
    copyFileSync(name.includes("/") ? name : testPlugin(name), path.join(folder, "new"));
    renameSync(path.join(folder, "new"), file);
  };
  use("build_one");
  return { file, use };
}

// The answer to a signed user event.
async function fire(url, name = "name") {
  const connection = "conn1";
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "content-type": "text/plain",
      "ce-specversion": "1.0", "ce-awpsversion": "1.0", "ce-id": randomUUID(),
      "ce-type": `azure.webpubsub.user.${name}`, "ce-source": "/", "ce-hub": "chat",
      "ce-eventname": name, "ce-connectionid": connection, "webhook-request-origin": "localhost",
      "ce-signature": `sha256=${createHmac("sha256", defaultKey).update(connection).digest("hex")}`,
    },
  });
  return `${response.status} ${await response.text()}`;
}

// How many lines of the log match.
const count = (program, pattern) => program.log.match(new RegExp(pattern, "g"))?.length ?? 0;

// Exchanges the builds several times, each time until the log tells of it.
async function exchange(program, plugin, times, check) {
  for (let i = 0; i < times; i++) {
    const [name, answer] = i % 2 ? ["build_one", "one"] : ["build_two", "two"];
    plugin.use(name);
    await program.logged(new RegExp(`(plugin build loaded again[^]*?){${i + 1}}`));
    assert.equal(await check(), answer);
  }
}

describe("--watch", () => {
  for (const transport of ["HTTP", "FastCGI behind nginx"]) {
    test(`pubhookd answers every request while builds are exchanged, over ${transport}`, async (t) => {
      const plugin = makePlugin(t);
      const fastcgi = transport === "HTTP" ? undefined : path.join(temporaryFolder(t), "socket");
      const handler = await startHandler(t, plugin.file, { args: ["--watch"], threads: 4, fastcgi });
      const { url } = fastcgi ? await startNginxFastcgi(t, fastcgi) : handler;
      let over = false;
      const answers = new Map();
      const clients = Array.from({ length: 8 }, async () => {
        while (!over) {
          const answer = await fire(url, "message");
          answers.set(answer, (answers.get(answer) ?? 0) + 1);
        }
      });
      await exchange(handler, plugin, 6, async () => (await fire(url)).replace("200 ", ""));
      over = true;
      await Promise.all(clients);
      assert.deepEqual([...answers.keys()].sort(), ["200 one", "200 two"]);
      await handler.logged(/(plugin build closed[^]*?){6}/);
    });
  }

  test("an event that is answered later keeps its build, and the new one serves meanwhile", async (t) => {
    const plugin = makePlugin(t);
    const handler = await startHandler(t, plugin.file, { args: ["--watch"] });
    const never = fire(handler.url, "never");
    await handler.logged(/build one waits/);
    plugin.use("build_two");
    await handler.logged(/plugin build loaded again/);
    assert.equal(await fire(handler.url), "200 two");
    assert.equal(await never, "504 ");
    await handler.logged(/build one closes/);
  });

  test("pubhookd keeps the old build while the new one does not load", async (t) => {
    const plugin = makePlugin(t);
    const handler = await startHandler(t, plugin.file, { args: ["--watch"] });
    plugin.use("bad_no_entry");
    await handler.logged(/plugin not loaded again, the old build stays: .*does not export ph_plugin_entry/);
    writeFileSync(plugin.file, "half"); // over it, in place
    await handler.logged(/plugin not loaded again, the old build stays: .*not complete/);
    assert.equal(await fire(handler.url), "200 one");
    plugin.use("build_two");
    await handler.logged(/plugin build loaded again/);
    assert.equal(await fire(handler.url), "200 two");
    assert.equal(count(handler, "plugin build loaded again"), 1);
  });

  test("the broker answers every event while builds are exchanged", async (t) => {
    const plugin = makePlugin(t);
    const broker = await startBroker(t, { handlers: { chat: plugin.file }, args: ["--watch"] });
    const open = async () => openSocket(t, await accessUrl(broker, "chat", { userId: "ann" }));
    const ask = async (socket) => {
      socket.send("hello");
      return socket.inbox.next();
    };
    const sockets = await Promise.all([open(), open(), open(), open()]);
    let over = false;
    const answers = new Set();
    const clients = sockets.map(async (socket) => {
      while (!over) answers.add(await ask(socket));
    });
    const last = await open();
    await exchange(broker, plugin, 4, () => ask(last));
    over = true;
    await Promise.all(clients);
    assert.deepEqual([...answers].sort(), ["one", "two"]);
  });
});

test("SIGHUP loads the broker's plugins again too", async (t) => {
  const plugin = makePlugin(t);
  const config = path.join(temporaryFolder(t), "config.json");
  writeFileSync(config, "{}");
  const broker = await startBroker(t, { handlers: { chat: plugin.file }, args: ["--config", config] });
  const socket = await openSocket(t, await accessUrl(broker, "chat", { userId: "ann" }));
  plugin.use("build_two");
  broker.signal("SIGHUP");
  await broker.logged(/plugin build loaded again/);
  socket.send("hello");
  assert.equal(await socket.inbox.next(), "two");
});

// What no handler may do, each after the other (tests/plugins/hostile.c). What a handler is
// told of its configuration stays out of the log.
describe("a plugin that does what no handler may", () => {
  const wrong = ["nothing", "foreign", "crooked", "copied", "wrong", "never", "dropped"];
  const good = { twice: "first", byforeign: "own", config: "none" };
  const spec = () => `${testPlugin("hostile")}?key=unspoken`;

  test("pubhookd answers each event and serves on", async (t) => {
    const handler = await startHandler(t, spec());
    for (const name of wrong) assert.match(await fire(handler.url, name), /^50[04] $/, name);
    for (const [name, answer] of Object.entries(good)) assert.equal(await fire(handler.url, name), `200 ${answer}`);
    assert.doesNotMatch(handler.log, /unspoken/);
  });

  // It tries each event that fails again, for nine seconds.
  test("the broker fails those events, answers the others, and serves on", async (t) => {
    const broker = await startBroker(t, { handlers: { chat: spec() } });
    const ask = async (event) => {
      const client = await openJson(t, broker, "chat");
      client.sendJson({ type: "event", event, ackId: 1, dataType: "text", data: "" });
      return client.nextJson();
    };
    const failed = wrong.map(async (event) => {
      const { type, success, error } = await ask(event);
      assert.deepEqual({ type, success, name: error.name }, { type: "ack", success: false, name: "InternalServerError" }, event);
    });
    const answered = Object.entries(good).map(async ([event, answer]) => assert.equal((await ask(event)).data, answer, event));
    await Promise.all([...failed, ...answered]);
    assert.equal((await fetch(`${broker.url}/api/health`)).status, 200);
    assert.doesNotMatch(broker.log, /unspoken/);
  });
});
