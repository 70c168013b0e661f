// Invocations with the official client (client-and-rest section 2.5): what it invokes is a
// user event for the event handler, whose answer comes back.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { describe, test } from "node:test";
import { accessUrl, jsonProtocol, openJson, reliableProtocol, startClient } from "./lib/clients.mjs";
import { CuttableProxy } from "./lib/net.mjs";
import { temporaryFolder } from "./lib/paths.mjs";
import { startBroker } from "./lib/pubhook.mjs";
import { startWebhook } from "./lib/webhook.mjs";

const text = { "content-type": "text/plain" };
const json = { "content-type": "application/json" };

// A handler that knows a few events; `release` lets the answers to `wait` go.
async function startHandler(t) {
  let release;
  const released = new Promise((resolve) => (release = resolve));
  const seen = [];
  const waiting = [];
  const events = {
    echo: ({ headers }, body) => ({ status: 200, headers: { "content-type": headers["content-type"] }, body }),
    add: (_, body) => ({ status: 200, headers: json, body: JSON.stringify(JSON.parse(body).reduce((a, b) => a + b)) }),
    quiet: () => ({ status: 204 }),
    trace: ({ headers }) => ({
      status: 200,
      headers: { ...text, "X-WebPubSub-Metadata-trace": `${headers["x-webpubsub-metadata-trace"]} seen` },
      body: "ok",
    }),
    refuse: () => ({ status: 400, headers: text, body: "no such room" }),
    forbid: () => ({ status: 403 }),
    break: () => ({ status: 200, headers: { "content-type": "text/html" }, body: "<p>a stack trace" }),
    wait: async () => {
      for (const tell of waiting.splice(0)) tell();
      await released;
      return { status: 200, headers: text, body: "at last" };
    },
  };
  const hook = await startWebhook(t, async (request, body) => {
    const name = request.headers["ce-eventname"];
    if (!request.headers["ce-type"].startsWith("azure.webpubsub.user.")) return { status: 204 };
    seen.push(name);
    return events[name] ? events[name](request, body) : { status: 404 };
  });
  return { ...hook, seen, release, asked: () => new Promise((resolve) => waiting.push(resolve)) };
}

const startIn = (t, broker, protocol) => startClient(t, () => accessUrl(broker, "chat", { userId: "ann" }), { protocol });

// What an invocation failed with.
async function failure(promise) {
  const error = await promise.then(() => assert.fail("it succeeded"), (reason) => reason);
  assert.equal(error.name, "InvocationError");
  return error;
}

async function errorDetail(promise) {
  return (await failure(promise)).errorDetail;
}

for (const threads of [1, 4]) {
  for (const protocol of [jsonProtocol, reliableProtocol]) {
    describe(`invocations, ${protocol}, ${threads} loop thread${threads > 1 ? "s" : ""}`, () => invokeTests(threads, protocol));
  }
}

function invokeTests(threads, protocol) {
  const start = async (t) => {
    const handler = await startHandler(t);
    const broker = await startBroker(t, { threads, upstreams: { chat: handler.url } });
    return { handler, broker, ...(await startIn(t, broker, protocol)) };
  };

  test("the answer of the event handler comes back, whatever its type", async (t) => {
    const { client, inbox } = await start(t);
    const bytes = new Uint8Array([0, 1, 254, 255]).buffer;
    assert.deepEqual(await client.invokeEvent("add", [2, 3], "json"), { invocationId: "1", dataType: "json", data: 5 });
    assert.deepEqual(await client.invokeEvent("echo", "hällo", "text"), { invocationId: "2", dataType: "text", data: "hällo" });
    const { data, dataType } = await client.invokeEvent("echo", bytes, "binary", { invocationId: "mine" });
    assert.deepEqual([dataType, [...new Uint8Array(data)]], ["binary", [0, 1, 254, 255]]);
    const quiet = await client.invokeEvent("quiet", "x", "text");
    assert.deepEqual([quiet.dataType, quiet.data], [undefined, undefined]);
    assert.deepEqual(inbox.rest, [], "an answer is no message");
  });

  test("many at once: each gets its own answer", async (t) => {
    const { client, handler } = await start(t);
    const answers = await Promise.all([...Array(100).keys()].map((n) => client.invokeEvent("echo", n, "json")));
    assert.deepEqual(answers.map(({ data }) => data), [...Array(100).keys()]);
    assert.equal(handler.seen.length, 100);
  });

  test("failures have names", async (t) => {
    const { client } = await start(t);
    assert.deepEqual(await errorDetail(client.invokeEvent("refuse", "x", "text")), { name: "BadRequest", message: "no such room" });
    assert.equal((await errorDetail(client.invokeEvent("forbid", "x", "text"))).name, "Forbidden");
    assert.equal((await errorDetail(client.invokeEvent("unknown", "x", "text"))).name, "NotFound");
    assert.deepEqual(await errorDetail(client.invokeEvent("break", "x", "text")),
      { name: "InternalServerError", message: "Internal server error" });
    assert.equal((await client.invokeEvent("echo", "still here", "text")).data, "still here");
  });

  test("without an event handler", async (t) => {
    const broker = await startBroker(t, { threads });
    const { client } = await startIn(t, broker, protocol);
    assert.deepEqual(await errorDetail(client.invokeEvent("echo", "x", "text")),
      { name: "NotFound", message: "No event handler takes this event." });
  });

  test("what is not answered in time fails, and is not waited for any longer", async (t) => {
    const handler = await startHandler(t);
    const file = `${temporaryFolder(t)}/broker.json`;
    writeFileSync(file, JSON.stringify({ limits: { invocationSeconds: 3 } }));
    const broker = await startBroker(t, { threads, upstreams: { chat: handler.url }, args: ["--config", file] });
    const { client } = await startIn(t, broker, protocol);
    const late = errorDetail(client.invokeEvent("wait", "x", "text"));
    const next = client.invokeEvent("echo", "next", "text", { invocationId: "next" });
    assert.deepEqual(await late, { name: "Timeout", message: "The event handler did not answer in time." });
    await next.catch((error) => assert.equal(error.errorDetail.name, "Timeout")); // it waited as long
    assert.equal((await client.invokeEvent("echo", "after it", "text")).data, "after it");
    handler.release();
  });

  test("an abort takes the event back, and the next one has its turn", async (t) => {
    const { client, handler } = await start(t);
    const abort = new AbortController();
    const asked = handler.asked();
    const aborted = failure(client.invokeEvent("wait", "x", "text", { abortSignal: abort.signal }));
    await asked;
    abort.abort();
    await aborted;
    assert.equal((await client.invokeEvent("echo", "next", "text")).data, "next", "the handler has not answered `wait`");
    handler.release();
    assert.deepEqual(handler.seen, ["wait", "echo"]);
  });

  test("events and invocations of a client stay in order", async (t) => {
    const { client, handler } = await start(t);
    const asked = handler.asked();
    const first = client.invokeEvent("wait", "x", "text");
    await asked;
    const others = [client.sendEvent("quiet", "x", "text"), client.invokeEvent("add", [1], "json")];
    handler.release();
    assert.equal((await first).data, "at last");
    await Promise.all(others);
    assert.deepEqual(handler.seen, ["wait", "quiet", "add"]);
  });

  test("what a socket was lost with is asked again after the reconnection", async (t) => {
    const handler = await startHandler(t);
    const broker = await startBroker(t, { threads, upstreams: { chat: handler.url } });
    const proxy = await CuttableProxy.start(t, broker.port);
    const seenThrough = { ...broker, connectionString: broker.connectionString.replace(`:${broker.port};`, `:${proxy.port};`) };
    const { client } = await startIn(t, seenThrough, protocol);
    const asked = handler.asked();
    const lost = failure(client.invokeEvent("wait", "x", "text", { invocationId: "mine" }));
    await asked;
    proxy.cut();
    assert.match((await lost).message, /disconnected|socket was lost/);
    handler.release();
    // The SDK does not queue what is asked while it has no connection.
    for (let tries = 0; ; tries++) {
      try {
        assert.equal((await client.invokeEvent("wait", "x", "text", { invocationId: "mine" })).data, "at last");
        break;
      } catch (error) {
        if (tries === 50 || error.errorDetail) throw error;
        await delay(100);
      }
    }
  });

  test("metadata, on the wire", async (t) => {
    const { broker } = await start(t);
    const socket = await openJson(t, broker, "chat", {}, protocol);
    socket.sendJson({ type: "invoke", invocationId: "x", target: "event", event: "trace", metadata: { trace: "7" } });
    assert.deepEqual(await socket.nextJson(), {
      type: "invokeResponse", invocationId: "x", success: true, dataType: "text", data: "ok", metadata: { trace: "7 seen" },
    });
  });

  test("an id is taken until its response", async (t) => {
    const { broker, handler } = await start(t);
    const socket = await openJson(t, broker, "chat", {}, protocol);
    const asked = handler.asked();
    const invoke = (event) => socket.sendJson({ type: "invoke", invocationId: "x", target: "event", event });
    invoke("wait");
    await asked;
    invoke("echo");
    assert.equal((await socket.nextJson()).error.name, "Duplicate");
    handler.release();
    assert.equal((await socket.nextJson()).data, "at last");
    invoke("quiet");
    assert.deepEqual(await socket.nextJson(), { type: "invokeResponse", invocationId: "x", success: true });
    assert.deepEqual(handler.seen, ["wait", "quiet"]);
  });
}
