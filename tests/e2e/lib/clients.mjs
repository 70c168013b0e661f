// Clients: the official SDKs, set up for a broker on this machine, and a bare
// WebSocket that keeps what it receives.

import { once } from "node:events";
import { WebPubSubServiceClient } from "@azure/web-pubsub";
import { WebPubSubClient, WebPubSubJsonProtocol, WebPubSubJsonReliableProtocol } from "@azure/web-pubsub-client";
import WebSocket from "ws";
import { CClient } from "./cclient.mjs";
import { cleanup } from "./cleanup.mjs";
import { jsonProtocol, reliableProtocol } from "./names.mjs";
import { patience } from "./patience.mjs";

export { jsonProtocol, reliableProtocol };
// False when a suite runs over the client library in C.
export const official = process.env.PUBHOOK_TEST_CLIENT !== "c";
export const allRoles = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];

export function serviceClient(broker, hub) {
  return new WebPubSubServiceClient(broker.connectionString, hub, { allowInsecureConnection: true });
}

export async function accessUrl(broker, hub, options = {}) {
  return (await serviceClient(broker, hub).getClientAccessToken(options)).url;
}

// What arrives, in order, and a way to wait for the next of it.
export class Inbox {
  #items = [];
  #takers = [];
  #closed;

  constructor(what) {
    this.what = what;
  }
  put(item) {
    const taker = this.#takers.shift();
    if (taker) taker.resolve(item);
    else this.#items.push(item);
  }
  close(why) {
    this.#closed = why;
    for (const taker of this.#takers.splice(0)) taker.reject(new Error(`${this.what}: closed (${why})`));
  }
  next(milliseconds = patience) {
    if (this.#items.length) return Promise.resolve(this.#items.shift());
    if (this.#closed) return Promise.reject(new Error(`${this.what}: closed (${this.#closed})`));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#takers.splice(this.#takers.indexOf(taker), 1);
        reject(new Error(`${this.what}: nothing came in ${milliseconds} ms`));
      }, milliseconds);
      const settle = (how) => (value) => {
        clearTimeout(timer);
        how(value);
      };
      const taker = { resolve: settle(resolve), reject: settle(reject) };
      this.#takers.push(taker);
    });
  }
  async take(count, milliseconds) {
    const items = [];
    while (items.length < count) items.push(await this.next(milliseconds));
    return items;
  }
  // What has arrived and was not taken.
  get rest() {
    return [...this.#items];
  }
}

export class Socket {
  constructor(url, protocols = [], options = {}) {
    this.inbox = new Inbox(`socket ${protocols}`);
    this.ws = new WebSocket(url, protocols, { perMessageDeflate: false, ...options });
    this.closed = new Promise((resolve) => {
      this.ws.once("close", (code, reason) => {
        resolve({ code, reason: reason.toString() });
        this.inbox.close(`${code} ${reason}`);
      });
    });
    this.ws.on("message", (data, isBinary) => this.inbox.put(isBinary ? data : data.toString()));
    this.ws.on("error", () => {}); // what follows from it is seen in `opened` or `closed`
  }
  async opened() {
    await Promise.race([
      once(this.ws, "open"),
      once(this.ws, "unexpected-response").then(([, response]) => {
        response.resume();
        throw Object.assign(new Error(`refused: ${response.statusCode}`), { status: response.statusCode });
      }),
    ]);
    return this;
  }
  get protocol() {
    return this.ws.protocol;
  }
  send(data) {
    this.ws.send(data);
  }
  sendJson(value) {
    this.ws.send(JSON.stringify(value));
  }
  async nextJson(milliseconds) {
    return JSON.parse(await this.inbox.next(milliseconds));
  }
  // The peer has worked on all that was sent: it answers a ping of WebSocket's own.
  async heard() {
    this.ws.ping();
    await Promise.race([once(this.ws, "pong"), this.closed]);
  }
  async close(code = 1000) {
    this.ws.close(code);
    return this.closed;
  }
  // Drops the connection without a close frame.
  cut() {
    this.ws.terminate();
  }
}

// An open socket of any protocol; closed when the test is over.
export async function openSocket(t, url, protocols = [], options = {}) {
  const socket = new Socket(url, protocols, options);
  cleanup(t, () => socket.cut());
  return socket.opened();
}

// The status that a client's handshake is refused with.
export async function refusedStatus(url, protocols = [], options = {}) {
  const socket = new Socket(url, protocols, options);
  try {
    await socket.opened();
  } catch (error) {
    return error.status ?? error;
  } finally {
    socket.cut();
  }
  return 101;
}

// A socket of the JSON subprotocol after its "connected" frame, which is `socket.welcome`.
export async function openJson(t, broker, hub, tokenOptions = {}, protocol = jsonProtocol) {
  const socket = await openSocket(t, await accessUrl(broker, hub, tokenOptions), protocol);
  socket.welcome = await socket.nextJson();
  return socket;
}

// stop() only begins to stop; a client that still reconnects would outlive its broker.
async function stopClient(client) {
  const stopped = new Promise((resolve) => {
    for (const event of ["stopped", "disconnected"]) client.on(event, resolve);
  });
  client.stop();
  await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, 1000).unref())]);
  await client.dispose?.();
}

function newClient(getUrl, { protocol, ...options }) {
  const protocols = { [jsonProtocol]: WebPubSubJsonProtocol, [reliableProtocol]: WebPubSubJsonReliableProtocol };
  const credential = typeof getUrl === "string" ? getUrl : { getClientAccessUrl: getUrl };
  if (!official && protocols[protocol]) return new CClient(credential, { protocol, ...options });
  return new WebPubSubClient(credential, { protocol: protocols[protocol]?.() ?? protocol, ...options });
}

// A started client, the official one or ours in its place. `inbox` gets its messages, `client`
// is the SDK's object. The protocol is a name, or an object that the SDK takes for one.
export async function startClient(t, getUrl, { protocol = reliableProtocol, ...options } = {}) {
  // Without keep-alive: its timers outlive the client by up to 40 s, and the test with it.
  const client = newClient(getUrl, { protocol, keepAliveTimeoutInMs: 0, keepAliveIntervalInMs: 0, ...options });
  const inbox = new Inbox(`client ${protocol.name ?? protocol}`);
  client.on("group-message", (event) => inbox.put({ from: "group", ...event.message }));
  client.on("server-message", (event) => inbox.put({ from: "server", ...event.message }));
  const connected = new Promise((resolve) => client.on("connected", resolve));
  cleanup(t, () => stopClient(client));
  await client.start();
  const { connectionId, userId } = await connected;
  return { client, inbox, connectionId, userId };
}
