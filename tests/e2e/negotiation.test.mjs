// Which subprotocol a connection gets (client-and-rest sections 1.4 and 1.5), with a bare
// handshake: client libraries give up when they are offered none.

import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { after, before, describe, test } from "node:test";
import { accessUrl, allRoles } from "./lib/clients.mjs";
import { cleanup, Scope } from "./lib/cleanup.mjs";
import { dialects, Peer } from "./lib/peers.mjs";
import { decodeDownstream } from "./lib/protobuf.mjs";
import { startBroker } from "./lib/pubhook.mjs";
import { startWebhook } from "./lib/webhook.mjs";

const hub = "chat";
const json = "json.webpubsub.azure.v1";
const jsonReliable = "json.reliable.webpubsub.azure.v1";
const protobuf = "protobuf.webpubsub.azure.v1";
const protobufReliable = "protobuf.reliable.webpubsub.azure.v1";

// What answers the handshake: status, subprotocol, and the first bytes behind it.
async function handshake(t, broker, offered, query = {}, options = {}) {
  const url = new URL(await accessUrl(broker, hub, options));
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  const sent = request(url.href.replace(/^ws/, "http"), {
    headers: {
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
      ...(offered.length && { "Sec-WebSocket-Protocol": offered }),
    },
  }).end();
  const [response, socket, head] = await Promise.race([once(sent, "upgrade"), once(sent, "response")]);
  if (!socket) {
    response.resume();
    return { status: response.statusCode };
  }
  cleanup(t, () => socket.destroy());
  return { status: 101, subprotocol: response.headers["sec-websocket-protocol"], socket, head };
}

// How the broker greets: the first byte says text (0x81) or binary (0x82), raw clients hear nothing.
async function greeting({ socket, head }) {
  let bytes = head;
  const header = () => ((bytes[1] & 0x7f) < 126 ? 2 : 4);
  const length = () => (header() === 2 ? bytes[1] & 0x7f : bytes.readUInt16BE(2));
  while (bytes.length < 4 || bytes.length < header() + length()) bytes = Buffer.concat([bytes, (await once(socket, "data"))[0]]);
  const payload = bytes.subarray(header(), header() + length());
  if (bytes[0] === 0x81) return { kind: "json", reliable: "reconnectionToken" in JSON.parse(payload) };
  return { kind: "protobuf", reliable: "reconnectionToken" in decodeDownstream(payload).systemMessage.connectedMessage };
}

const kinds = {
  [json]: { kind: "json", reliable: false },
  [jsonReliable]: { kind: "json", reliable: true },
  [protobuf]: { kind: "protobuf", reliable: false },
  [protobufReliable]: { kind: "protobuf", reliable: true },
};

async function expect(t, broker, offered, echoed, query) {
  const answer = await handshake(t, broker, offered, query);
  assert.equal(answer.status, 101);
  assert.equal(answer.subprotocol, echoed);
  const kind = kinds[echoed?.toLowerCase()];
  if (kind) assert.deepEqual(await greeting(answer), kind);
}

describe("nobody chooses", { concurrency: 4 }, () => {
  const scope = new Scope(after);
  let broker;
  before(async () => (broker = await startBroker(scope)));

  for (const [what, offered, echoed] of [
    ["none offered", [], undefined],
    ...Object.keys(kinds).map((name) => [`${name} alone`, [name], name]),
    ["the client's spelling", ["JSON.WebPubSub.Azure.V1"], "JSON.WebPubSub.Azure.V1"],
    ["several: the client's order, JSON first", [json, protobufReliable, jsonReliable], json],
    ["several: the client's order, protobuf first", [protobufReliable, protobuf, jsonReliable], protobufReliable],
    ["in one header", [`${protobuf}, ${json}`], protobuf],
    ["unknown ones are passed over", ["game.v1", "json.webpubsub.azure.v2", protobuf], protobuf],
    ["unknown ones only", ["game.v1", "game.v2"], undefined],
  ]) {
    test(what, (t) => expect(t, broker, offered, echoed));
  }

  test("webpubsub_mode is for raw clients alone, and checked for all", async (t) => {
    const query = { webpubsub_mode: "sendToGroup", group: "of the query" };
    for (const dialect of Object.keys(dialects).filter((name) => name !== "raw")) {
      const bystander = await Peer.open(t, broker, hub, "json", { groups: [query.group] });
      const peer = await Peer.open(t, broker, hub, dialect, { roles: allRoles }, query);
      const ask = async (message) => {
        peer.say(message);
        return peer.next();
      };
      assert.deepEqual(await ask({ type: "joinGroup", group: "mine", ackId: 1 }), { type: "ack", ackId: 1, success: true });
      const { group, data } = await ask({ type: "sendToGroup", group: "mine", dataType: "text", data: "hi" });
      assert.deepEqual([group, data], ["mine", "hi"]);
      peer.say({ type: "sendToGroup", group: query.group, dataType: "text", data: "last" });
      assert.equal((await bystander.next()).data, "last", "nothing before it");
    }
    assert.equal((await handshake(t, broker, [json], { webpubsub_mode: "sendToGroup" })).status, 400, "no group");
  });

  test("a name that is no token", async (t) => {
    assert.equal((await handshake(t, broker, ["game v1"])).status, 400);
  });
});

describe("the connect handler chooses", { concurrency: 4 }, () => {
  const scope = new Scope(after);
  const at = {};
  const answered = { status: 200, headers: { "Content-Type": "application/json" } };
  // The query's `choose` is what the handler answers.
  function answer(event, body) {
    if (event.headers["ce-eventname"] === "message") at.heard({ headers: event.headers, body: String(body) });
    if (event.headers["ce-eventname"] !== "connect") return { status: 200 };
    const { query } = JSON.parse(body);
    return query.choose ? { ...answered, body: JSON.stringify({ subprotocol: query.choose[0] }) } : { status: 204 };
  }
  before(async () => {
    at.hook = await startWebhook(scope, answer);
    at.broker = await startBroker(scope, { upstreams: { [hub]: at.hook.url } });
  });

  for (const [what, offered, choose, echoed] of [
    ["the last of several", [json, jsonReliable, protobufReliable], protobufReliable, protobufReliable],
    ["in another case", [json, "Protobuf.WebPubSub.Azure.v1"], protobuf, "Protobuf.WebPubSub.Azure.v1"],
    ["one of the application's own", ["game.v1", "game.v2"], "game.v2", "game.v2"],
    ["one of the application's own beside ours", [json, "game.v1"], "game.v1", "game.v1"],
    ["ours beside one of the application's own", ["game.v1", json], json, json],
    ["nothing: ours", ["game.v1", protobuf, json], undefined, protobuf],
    ["nothing, and none is ours", ["game.v1"], undefined, undefined],
  ]) {
    test(what, (t) => expect(t, at.broker, offered, echoed, choose && { choose }));
  }

  test("one that was not offered is the handler's failure", async (t) => {
    assert.equal((await handshake(t, at.broker, [json], { choose: protobuf })).status, 500);
    assert.equal((await handshake(t, at.broker, [], { choose: json })).status, 500);
    await at.broker.logged(/did not offer/);
  });

  test("a client of the application's own subprotocol is a raw one, whose events name it", async (t) => {
    const said = new Promise((resolve) => (at.heard = resolve));
    const { socket } = await handshake(t, at.broker, ["game.v7"], { choose: "game.v7" });
    socket.write(Buffer.from("818200000000" + "6869", "hex")); // the text "hi"
    const event = await said;
    assert.equal(event.body, "hi");
    assert.equal(event.headers["ce-subprotocol"], "game.v7");
    assert.equal(event.headers["ce-type"], "azure.webpubsub.user.message");
  });

  test("and publishes its messages, if it asks for that mode", async (t) => {
    const listener = await Peer.open(t, at.broker, hub, "json", { groups: ["game"] });
    const query = { choose: "game.v8", webpubsub_mode: "sendToGroup", group: "game" };
    const { socket, subprotocol } = await handshake(t, at.broker, ["game.v8", json], query, { roles: ["webpubsub.sendToGroup.game"] });
    assert.equal(subprotocol, "game.v8");
    socket.write(Buffer.from("818200000000" + "6869", "hex"));
    const { from, group, dataType, data } = await listener.next();
    assert.deepEqual([from, group, dataType, data], ["group", "game", "text", "hi"]);
  });
});
