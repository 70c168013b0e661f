// Handlers that call the service: what ph_event_service gives them under pubhookd and inside
// the broker.

import assert from "node:assert/strict";
import { test } from "node:test";
import { openJson } from "./lib/clients.mjs";
import { freePort } from "./lib/net.mjs";
import { plugin as pluginFile, testPlugin } from "./lib/paths.mjs";
import { defaultKey, startBroker, startHandler } from "./lib/pubhook.mjs";

const greeting = "chat?greeting=is%20here";

// pubhookd needs the broker's address, and the broker that of pubhookd.
async function apart(t, plugin) {
  const listen = `127.0.0.1:${await freePort()}`;
  const env = { WebPubSubConnectionString: `Endpoint=http://${listen};AccessKey=${defaultKey};Version=1.0;` };
  const handler = await startHandler(t, plugin, { env });
  return startBroker(t, { listen, upstreams: { chat: handler.url } });
}

const within = (t, plugin) => startBroker(t, { threads: 1, handlers: { chat: plugin } });
const caller = (settings = "") => `${testPlugin("caller")}${settings}`;

async function ask(socket, event, data = "") {
  socket.sendJson({ type: "event", event, dataType: "text", data });
  return (await socket.nextJson()).data;
}

for (const [where, start] of Object.entries({ "under pubhookd": apart, "inside the broker": within })) {
  test(`${where}, connected greets the lobby`, async (t) => {
    const broker = await start(t, where === "inside the broker" ? chatInside() : greeting);
    const ann = await openJson(t, broker, "chat", { userId: "ann" });
    assert.deepEqual((await ann.nextJson()).data, { from: "ann", text: "is here" });
    const bob = await openJson(t, broker, "chat", { userId: "b\"ob" });
    for (const socket of [ann, bob]) {
      const frame = await socket.nextJson();
      assert.deepEqual([frame.group, frame.data], ["lobby", { from: "b\"ob", text: "is here" }]);
    }
  });

  test(`${where}, a handler posts to all, and asks with and without waiting`, async (t) => {
    const broker = await start(t, caller());
    const ann = await openJson(t, broker, "chat", { userId: "ann" });
    assert.equal(await ask(ann, "wait"), "exists 0");
    assert.equal(await ask(ann, "later"), "later 1");
    ann.sendJson({ type: "event", event: "post", dataType: "text", data: "hello" });
    const heard = [(await ann.nextJson()).data, (await ann.nextJson()).data];
    assert.deepEqual(heard.sort(), ["hello", "posted"]);
  });
}

test("a handler on the broker's own loop must not wait, and says so", async (t) => {
  const broker = await within(t, caller("?never=1"));
  const ann = await openJson(t, broker, "chat", { userId: "ann" });
  assert.match(await ask(ann, "wait"), /^groupExists: this handler runs on a loop that must not wait: use ph_service_post/);
  assert.equal(await ask(ann, "later"), "later 1");
});

test("without a connection string the log says what to configure, and events go on", async (t) => {
  const handler = await startHandler(t, caller());
  const broker = await startBroker(t, { upstreams: { chat: handler.url } });
  const ann = await openJson(t, broker, "chat", { userId: "ann" });
  assert.equal(await ask(ann, "post", "x"), "an argument is missing or out of range");
  assert.equal(await ask(ann, "wait"), "there is no client: service is NULL");
  await handler.logged(/wants to call the service, but there is no connection string.*WebPubSubConnectionString/);
});

test("what a handler posts and the service refuses is in the log, without the key", async (t) => {
  const listen = `127.0.0.1:${await freePort()}`;
  const env = { WebPubSubConnectionString: `Endpoint=http://${listen};AccessKey=another-key-than-the-one-of-this-broker;` };
  const handler = await startHandler(t, caller(), { env });
  const broker = await startBroker(t, { listen, upstreams: { chat: handler.url } });
  const ann = await openJson(t, broker, "chat", { userId: "ann" });
  assert.equal(await ask(ann, "post", "x"), "posted");
  await handler.logged(/a request to the service failed: sendToAll: the service answered 401/);
  assert.doesNotMatch(handler.log, /another-key/);
});

function chatInside() {
  return `${pluginFile("chat")}?greeting=is%20here`;
}
