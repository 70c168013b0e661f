// One message, the whole way round, each hop shown as it happens:
//
//   official client -> pubhook-broker -> signed webhook -> pubhookd -> handler in C
//
// and back. Starts everything itself:  node roundtrip.mjs PREFIX [TEXT]
// PREFIX is where pubhook is installed. A small proxy between the broker and pubhookd
// shows the webhook and its answer.

import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { createInterface } from "node:readline";
import { WebPubSubServiceClient } from "@azure/web-pubsub";
import { WebPubSubClient } from "@azure/web-pubsub-client";

const [prefix, text = "hello from the official SDK"] = process.argv.slice(2);
const accessKey = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";
const running = [];
let hops = 0;

function hop(from, to, lines) {
  console.log(`\n${++hops}  ${from} -> ${to}`);
  for (const line of lines) console.log(`   ${line}`);
}

// Starts a program of pubhook and resolves to its lines `ready ...` and the like.
async function start(name, args, lineCount) {
  const child = spawn(`${prefix}/bin/${name}`, args, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "close");
  running.push({ name, child, ended });
  const lines = {};
  for await (const line of createInterface({ input: child.stdout })) {
    const [word, rest] = line.split(/ (.*)/);
    lines[word] = rest;
    if (Object.keys(lines).length === lineCount) return lines;
  }
  throw new Error(`${name} ended before it was ready`);
}

async function stopAll() {
  for (const { name, child, ended } of running.reverse()) { // the broker first
    child.kill("SIGTERM");
    const [status] = await ended;
    if (status !== 0) throw new Error(`${name} ended with status ${status}`);
  }
}

function showWebhook(request, body) {
  const { headers } = request;
  if (headers["ce-type"] !== "azure.webpubsub.user.message") return false;
  const id = headers["ce-connectionid"];
  const expected = `sha256=${createHmac("sha256", accessKey).update(id).digest("hex")}`;
  const named = ["ce-type", "ce-hub", "ce-connectionid", "ce-userid", "ce-id", "ce-signature", "content-type"];
  hop("broker", "handler: a signed CloudEvents webhook", [
    `POST ${request.url}`,
    ...named.map((name) => `${name}: ${headers[name]}`),
    `signature is HMAC-SHA256(access key, connection id): ${headers["ce-signature"].includes(expected)}`,
    `body: ${body}`,
  ]);
  return true;
}

// Hands each request on to `target`, and shows the one that carries the message.
async function startProxy(target) {
  const server = http.createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray());
    const shown = showWebhook(request, body);
    const onward = http.request(target, { method: request.method, path: request.url, headers: request.headers });
    onward.end(body);
    const [answer] = await once(onward, "response");
    const answerBody = Buffer.concat(await answer.toArray());
    if (shown) {
      const state = answer.headers["ce-connectionstate"];
      hop("handler in C", "broker: its reply", [
        `HTTP ${answer.statusCode}, ${answer.headers["content-type"]}`,
        `ce-connectionstate: ${state} = ${Buffer.from(state, "base64")}`,
        `body: ${answerBody}`,
      ]);
    }
    response.writeHead(answer.statusCode, answer.rawHeaders).end(answerBody);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

const handler = await start("pubhookd", [
  "--listen", "127.0.0.1:0", "--access-key", accessKey, "--plugin", `${prefix}/lib/pubhook/handlers/chat.so`,
], 1);
const proxy = await startProxy(handler.ready);
const webhook = `http://127.0.0.1:${proxy.address().port}${new URL(handler.ready).pathname}`;
const broker = await start("pubhook-broker", [
  "--listen", "127.0.0.1:0", "--access-key", accessKey, "--event-handler", `chat=${webhook}`,
], 2);
console.log(`pubhookd runs handlers/chat at ${handler.ready}`);
console.log(`pubhook-broker runs at ${broker.ready}`);

const service = new WebPubSubServiceClient(broker["connection-string"], "chat");
const client = new WebPubSubClient({
  getClientAccessUrl: async () => (await service.getClientAccessToken({ userId: "alice" })).url,
});
const answer = new Promise((resolve) => client.on("server-message", ({ message }) => resolve(message)));
const stopped = new Promise((resolve) => client.on("stopped", resolve));
client.on("connected", ({ connectionId, userId }) => {
  hop("client", "broker", [`@azure/web-pubsub-client is connected as ${userId}, connection ${connectionId}`, `it sends event "message" with text: ${text}`]);
});
await client.start();
await client.sendEvent("message", text, "text");
const { dataType, data } = await answer;
hop("broker", "client: the handler's answer", [`${dataType}: ${JSON.stringify(data)}`]);

client.stop();
await stopped;
await stopAll();
proxy.close();
if (data.from !== "alice" || data.text !== text || data.count !== 1) throw new Error("that is not the answer of handlers/chat");
console.log("\nThe whole round trip works.");
process.exit(); // the client's keep-alive timers would stay for 40 s
