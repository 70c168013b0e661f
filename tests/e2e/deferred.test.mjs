// Handlers that answer later, over each way to reach one: many clients wait at once, and a
// server that is stopped gives the answers that it owes.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { openJson } from "./lib/clients.mjs";
import { plugin, temporaryFolder, testPlugin } from "./lib/paths.mjs";
import { defaultKey, startBroker, startHandler } from "./lib/pubhook.mjs";
import { startLighttpdCgi, startNginxFastcgi } from "./lib/webservers.mjs";

const hub = "chat";
const clients = 40;
const delay = (after) => `${plugin("delay")}?after=${after}`;

// Each starts a broker whose events go to that plugin.
const transports = {
  "in process": (t, handler) => startBroker(t, { handlers: { [hub]: handler } }),
  "HTTP": async (t, handler) => {
    const { url } = await startHandler(t, handler, { threads: 1 });
    return startBroker(t, { upstreams: { [hub]: url } });
  },
  "HTTP with workers": async (t, handler) => {
    const { url } = await startHandler(t, handler, { threads: 1, args: ["--workers", "2"] });
    return startBroker(t, { upstreams: { [hub]: url } });
  },
  "nginx and FastCGI": async (t, handler) => {
    const socket = `${temporaryFolder(t)}/pubhook.sock`;
    await startHandler(t, handler, { threads: 1, fastcgi: socket });
    const { url } = await startNginxFastcgi(t, socket);
    return startBroker(t, { upstreams: { [hub]: url } });
  },
};

async function ask(socket, data, { event = "e", ackId = 1 } = {}) {
  socket.sendJson({ type: "event", event, dataType: "text", data, ackId });
  const message = await socket.nextJson();
  const ack = await socket.nextJson();
  assert.deepEqual([message.type, message.from, message.data], ["message", "server", data]);
  assert.deepEqual([ack.type, ack.success], ["ack", true]);
}

for (const [name, start] of Object.entries(transports)) {
  test(`${name}: one thread answers all that wait`, async (t) => {
    const after = 300;
    const broker = await start(t, delay(`${after}ms`));
    const sockets = await Promise.all(Array.from({ length: clients }, () => openJson(t, broker, hub)));
    const began = performance.now();
    await Promise.all(sockets.map((socket, i) => ask(socket, `event ${i}`)));
    assert.ok(performance.now() - began >= after, "not before their time");
  });
}

for (const [name, start] of Object.entries(transports)) {
  test(`${name}: what nobody answers ends at its deadline`, async (t) => {
    const broker = await start(t, testPlugin("witness"));
    const sockets = await Promise.all(Array.from({ length: clients }, () => openJson(t, broker, hub)));
    await Promise.all(sockets.map((socket, i) => ask(socket, `too late ${i}`, { event: "overdue" })));
    await ask(sockets[0], "in time", { ackId: 2 });
  });
}

test("what nobody answers, and has no answer for that, is 504", async (t) => {
  const handler = await startHandler(t, testPlugin("witness"), { threads: 1 });
  const { request, responded } = post(handler, "overdue", 0);
  request.end();
  assert.equal((await responded)[0].statusCode, 504);
});

test("lighttpd and CGI: the process waits", async (t) => {
  const { url } = await startLighttpdCgi(t, delay("50ms"));
  const broker = await startBroker(t, { upstreams: { [hub]: url } });
  await ask(await openJson(t, broker, hub), "hello");
});

// A user event of so many bytes, which are to follow.
function post(handler, event, bytes, headers = {}) {
  const request = http.request(handler.url, {
    method: "POST",
    headers: {
      ...headers, "Content-Type": "text/plain", "Content-Length": bytes,
      "WebHook-Request-Origin": "localhost", "ce-specversion": "1.0", "ce-awpsversion": "1.0",
      "ce-type": `azure.webpubsub.user.${event}`, "ce-source": "/hubs/chat/client/conn1", "ce-id": "1",
      "ce-time": "2026-11-20T12:00:00Z", "ce-hub": hub, "ce-connectionId": "conn1", "ce-eventName": event,
      "ce-signature": `sha256=${createHmac("sha256", defaultKey).update("conn1").digest("hex")}`,
    },
  });
  return { request, responded: once(request, "response") };
}

// "100 Continue" says that the handler has begun with the request, so that it is one of those
// that it owes an answer.
test("a handler that is stopped gives the answers that it owes", async (t) => {
  const handler = await startHandler(t, delay("500ms"));
  const { request, responded } = post(handler, "e", 5, { Expect: "100-continue" });
  request.flushHeaders();
  await once(request, "continue");
  const ended = handler.ended();
  handler.signal("SIGTERM");
  request.end("hello");
  const [response] = await responded;
  assert.equal(response.statusCode, 200);
  assert.equal(await text(response), "hello");
  await ended;
});
