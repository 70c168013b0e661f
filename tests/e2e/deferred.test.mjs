// Handlers that answer later, over each way to reach one: many clients wait at once, and a
// server that is stopped gives the answers that it owes.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { openJson } from "./lib/clients.mjs";
import { plugin, temporaryFolder } from "./lib/paths.mjs";
import { defaultKey, startBroker, startHandler } from "./lib/pubhook.mjs";
import { startLighttpdCgi, startNginxFastcgi } from "./lib/webservers.mjs";

const hub = "chat";
const clients = 40;
const delay = (after) => `${plugin("delay")}?after=${after}`;

// Each starts a broker whose events get their answers after that time.
const transports = {
  "in process": (t, after) => startBroker(t, { handlers: { [hub]: delay(after) } }),
  "HTTP": async (t, after) => {
    const { url } = await startHandler(t, delay(after), { threads: 1 });
    return startBroker(t, { upstreams: { [hub]: url } });
  },
  "HTTP with workers": async (t, after) => {
    const { url } = await startHandler(t, delay(after), { threads: 1, args: ["--workers", "2"] });
    return startBroker(t, { upstreams: { [hub]: url } });
  },
  "nginx and FastCGI": async (t, after) => {
    const socket = `${temporaryFolder(t)}/pubhook.sock`;
    await startHandler(t, delay(after), { threads: 1, fastcgi: socket });
    const { url } = await startNginxFastcgi(t, socket);
    return startBroker(t, { upstreams: { [hub]: url } });
  },
};

async function ask(socket, data) {
  socket.sendJson({ type: "event", event: "e", dataType: "text", data, ackId: 1 });
  const message = await socket.nextJson();
  const ack = await socket.nextJson();
  assert.deepEqual([message.type, message.from, message.data], ["message", "server", data]);
  assert.deepEqual([ack.type, ack.success], ["ack", true]);
}

for (const [name, start] of Object.entries(transports)) {
  test(`${name}: one thread answers all that wait`, async (t) => {
    const after = 300;
    const broker = await start(t, `${after}ms`);
    const sockets = await Promise.all(Array.from({ length: clients }, () => openJson(t, broker, hub)));
    const began = performance.now();
    await Promise.all(sockets.map((socket, i) => ask(socket, `event ${i}`)));
    assert.ok(performance.now() - began >= after, "not before their time");
  });
}

test("lighttpd and CGI: the process waits", async (t) => {
  const { url } = await startLighttpdCgi(t, delay("50ms"));
  const broker = await startBroker(t, { upstreams: { [hub]: url } });
  await ask(await openJson(t, broker, hub), "hello");
});

// "100 Continue" says that the handler has begun with the request, so that it is one of those
// that it owes an answer.
test("a handler that is stopped gives the answers that it owes", async (t) => {
  const handler = await startHandler(t, delay("500ms"));
  const request = http.request(handler.url, {
    method: "POST",
    headers: {
      Expect: "100-continue", "Content-Type": "text/plain", "Content-Length": 5,
      "WebHook-Request-Origin": "localhost", "ce-specversion": "1.0", "ce-awpsversion": "1.0",
      "ce-type": "azure.webpubsub.user.e", "ce-source": "/hubs/chat/client/conn1", "ce-id": "1",
      "ce-time": "2026-11-20T12:00:00Z", "ce-hub": hub, "ce-connectionId": "conn1", "ce-eventName": "e",
      "ce-signature": `sha256=${createHmac("sha256", defaultKey).update("conn1").digest("hex")}`,
    },
  });
  request.flushHeaders();
  await once(request, "continue");
  const responded = once(request, "response");
  const ended = handler.ended();
  handler.signal("SIGTERM");
  request.end("hello");
  const [response] = await responded;
  assert.equal(response.statusCode, 200);
  assert.equal(await text(response), "hello");
  await ended;
});
