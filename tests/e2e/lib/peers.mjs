// Clients that speak each protocol on a bare socket, behind one interface: what they say
// and hear are objects in the form of the JSON subprotocol, whatever the wire has.

import { accessUrl, jsonProtocol, openSocket, reliableProtocol } from "./clients.mjs";
import { protobufCodec, protobufProtocol, reliableProtobufProtocol } from "./protobuf.mjs";

const json = {
  encode: (message) => JSON.stringify(message),
  decode: (frame) => JSON.parse(frame),
  greets: true,
};

// Raw clients hear data alone: text and JSON as text, the rest as bytes.
const raw = {
  encode: (message) => message.data,
  decode: (frame) =>
    typeof frame === "string"
      ? { type: "message", dataType: "text", data: frame }
      : { type: "message", dataType: "binary", data: frame.toString("base64") },
};

// name: what a client offers, how it speaks, whether it can recover.
export const dialects = {
  raw: { subprotocols: [], codec: raw },
  json: { subprotocols: jsonProtocol, codec: json },
  "json reliable": { subprotocols: reliableProtocol, codec: json, reliable: true },
  protobuf: { subprotocols: protobufProtocol, codec: protobufCodec },
  "protobuf reliable": { subprotocols: reliableProtobufProtocol, codec: protobufCodec, reliable: true },
};

export class Peer {
  // `options` are those of the token; `query` is added to the URL; `dial` is for the socket.
  static async open(t, broker, hub, dialect, options = {}, query = {}, dial = {}) {
    const url = new URL(await accessUrl(broker, hub, options));
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const peer = new Peer();
    peer.t = t;
    peer.dialect = dialects[dialect];
    peer.url = url;
    await peer.#connect(url, dial);
    return peer;
  }

  async #connect(url, dial) {
    this.socket = await openSocket(this.t, url.href, this.dialect.subprotocols, dial);
    if (!this.dialect.codec.greets) return;
    this.welcome = await this.next();
    this.id = this.welcome.connectionId;
  }

  get reliable() {
    return this.dialect.reliable === true;
  }
  say(message) {
    this.socket.send(this.dialect.codec.encode(message));
  }
  async next(milliseconds) {
    return this.dialect.codec.decode(await this.socket.inbox.next(milliseconds));
  }
  // Messages that have arrived already.
  get waiting() {
    return this.socket.inbox.rest.map((frame) => this.dialect.codec.decode(frame));
  }
  cut() {
    this.socket.cut();
  }
  // Reliable peers: where to come back.
  get recoveryUrl() {
    const url = new URL(this.url);
    url.searchParams.set("awps_connection_id", this.id);
    url.searchParams.set("awps_reconnection_token", this.welcome.reconnectionToken);
    return url;
  }
  // Back on a new socket, which may reach any shard.
  async recover(dial = {}) {
    await this.#connect(this.recoveryUrl, dial);
  }
}
