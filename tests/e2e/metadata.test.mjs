// Message metadata on every way a message can take (client-and-rest sections 2.1 and
// 5.3, event-handler section 3.4, official-emulator sections 2.2 and 2.7).

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { allRoles, serviceClient } from "./lib/clients.mjs";
import { Scope } from "./lib/cleanup.mjs";
import { temporaryFolder, testPlugin } from "./lib/paths.mjs";
import { dialects, Peer } from "./lib/peers.mjs";
import { startBroker, startHandler } from "./lib/pubhook.mjs";
import { FileRecords } from "./lib/records.mjs";
import { call } from "./lib/tokens.mjs";
import { startWebhook } from "./lib/webhook.mjs";

const hub = "chat";
const framed = Object.keys(dialects).filter((name) => name !== "raw");
const metadata = { "Trace-Id": "7", empty: "", text: "a, b; c" };
const answered = { "trace-id": "7", empty: "", text: "b; c" }; // of a list, the last counts (event-handler section 3.4)
const without = ({ sequenceId, ...message }) => message;

const send = (broker, path, headers, body = "hi") =>
  call(broker, "POST", `/api/hubs/${hub}${path}?api-version=2024-12-01`, {
    headers: { "Content-Type": "text/plain", ...headers },
    body,
  });

describe("between clients", () => {
  const scope = new Scope(after);
  let broker;
  before(async () => (broker = await startBroker(scope, { threads: 2 })));

  for (const from of framed) {
    for (const to of Object.keys(dialects)) {
      test(`${from} to ${to}`, async (t) => {
        const group = `${from} to ${to}`;
        const [sender, receiver] = [
          await Peer.open(t, broker, hub, from, { userId: "ann", roles: allRoles }),
          await Peer.open(t, broker, hub, to, { groups: [group] }),
        ];
        sender.say({ type: "sendToGroup", group, dataType: "text", data: "hi", metadata });
        sender.say({ type: "sendToGroup", group, metadata });
        const [both, alone] = [await receiver.next(), await receiver.next()];
        assert.deepEqual([both.dataType, both.data, alone.dataType, alone.data], ["text", "hi", "text", ""]);
        for (const message of [both, alone]) assert.deepEqual(message.metadata, to === "raw" ? undefined : metadata);
      });
    }

    test(`${from}: over a limit the connection is closed, up to it all arrives`, async (t) => {
      const sizes = [[256, 1024, true], [257, 1, false], [1, 1025, false]];
      for (const [name, value, fits] of sizes) {
        const peer = await Peer.open(t, broker, hub, from, { roles: allRoles, groups: ["limits"] });
        const sent = { ["n".repeat(name)]: "v".repeat(value) };
        peer.say({ type: "sendToGroup", group: "limits", dataType: "text", data: "x", metadata: sent });
        if (fits) assert.deepEqual((await peer.next()).metadata, sent);
        else assert.equal((await peer.socket.closed).code, 1007);
        peer.cut();
      }
    });
  }
});

describe("from REST to clients", () => {
  const scope = new Scope(after);
  let broker;
  before(async () => (broker = await startBroker(scope, { threads: 2 })));

  for (const dialect of framed) {
    test(dialect, async (t) => {
      const userId = `user of ${dialect}`;
      const peer = await Peer.open(t, broker, hub, dialect, { userId, groups: [dialect] });
      const headers = { "X-WebPubSub-Metadata-Trace-Id": "1", "x-webpubsub-metadata-LANG": " en " };
      const paths = [
        "/:send", `/groups/${encodeURIComponent(dialect)}/:send`,
        `/users/${encodeURIComponent(userId)}/:send`, `/connections/${peer.id}/:send`,
      ];
      for (const path of paths) {
        assert.equal((await send(broker, path, headers)).status, 202);
        assert.deepEqual((await peer.next()).metadata, { "trace-id": "1", lang: "en" });
      }
      await serviceClient(broker, hub).sendToAll("plain", { contentType: "text/plain" });
      assert.equal("metadata" in (await peer.next()), false);
    });
  }

  test("the last of a list counts", async (t) => {
    const peer = await Peer.open(t, broker, hub, "json", { groups: ["list"] });
    const response = await send(broker, "/groups/list/:send", { "x-webpubsub-metadata-k": "first, second ,  third" });
    assert.equal(response.status, 202);
    assert.deepEqual((await peer.next()).metadata, { k: "third" });
  });

  test("limits", async () => {
    const header = (name, value) => ({ [`X-WebPubSub-Metadata-${name}`]: value });
    const kilobyte = "v".repeat(1000);
    const many = (count) => Object.assign({}, ...[...Array(count).keys()].map((n) => header(`k${n}`, kilobyte)));
    const rows = [
      [header("n".repeat(256), "v"), 202], [header("n".repeat(257), "v"), 400],
      [header("k", "v".repeat(1024)), 202], [header("k", "v".repeat(1025)), 400],
      [many(8), 202], [many(9), 400], [header("k", "\u00e4"), 400],
    ];
    for (const [headers, status] of rows) {
      const response = await send(broker, "/groups/nobody/:send", headers);
      assert.equal(response.status, status, JSON.stringify(headers).slice(0, 100));
      if (status === 400) {
        assert.equal(response.headers.get("x-ms-error-code"), "Error.BadRequest");
        assert.equal((await response.json()).code, "Error.BadRequest");
      }
    }
  });
});

// Each starts a handler that answers the event `tag` with its metadata, and a broker.
const handlers = {
  "in process": (scope, plugin) => startBroker(scope, { handlers: { [hub]: plugin } }),
  "HTTP": async (scope, plugin) => startBroker(scope, { upstreams: { [hub]: (await startHandler(scope, plugin)).url } }),
};

for (const [name, start] of Object.entries(handlers)) {
  describe(`with an event handler, ${name}`, () => {
    const scope = new Scope(after);
    const at = {};
    before(async () => {
      at.records = new FileRecords(scope, `${temporaryFolder(scope)}/events`);
      at.broker = await start(scope, `${testPlugin("witness")}?record=${at.records.file}`);
    });

    for (const dialect of framed) {
      test(`${dialect}: to the handler and back`, async (t) => {
        const peer = await Peer.open(t, at.broker, hub, dialect);
        peer.say({ type: "event", event: "tag", dataType: "text", data: "hi", metadata, ackId: 1 });
        const message = await peer.next();
        assert.deepEqual([message.from, message.data, message.metadata], ["server", "hi", answered]);
        assert.equal((await peer.next()).success, true);
        const seen = await at.records.kind("user", peer.id);
        assert.equal(seen.metadata, "trace-id=7;empty=;text=a, b; c");
      });

      test(`${dialect}: metadata alone is an empty text, both ways`, async (t) => {
        const peer = await Peer.open(t, at.broker, hub, dialect);
        peer.say({ type: "event", event: "tagOnly", metadata, ackId: 1 });
        const { dataType, data, metadata: back } = await peer.next();
        assert.deepEqual([dataType, data, back], ["text", "", answered]);
        const { type, size } = await at.records.kind("user", peer.id);
        assert.deepEqual([type, size], ["text", "0"]);
      });

      test(`${dialect}: with an invocation and its response`, async (t) => {
        const peer = await Peer.open(t, at.broker, hub, dialect);
        peer.say({ type: "invoke", invocationId: "1", target: "event", event: "tag", dataType: "text", data: "hi", metadata });
        const { type, invocationId, success, data, metadata: back } = await peer.next();
        assert.deepEqual([type, invocationId, success, data, back], ["invokeResponse", "1", true, "hi", answered]);
        assert.equal((await at.records.kind("user", peer.id)).metadata, "trace-id=7;empty=;text=a, b; c");
      });

      test(`${dialect}: without metadata nothing is made up`, async (t) => {
        const peer = await Peer.open(t, at.broker, hub, dialect);
        peer.say({ type: "event", event: "tag", dataType: "text", data: "hi", ackId: 1 });
        assert.deepEqual(without(await peer.next()), { type: "message", from: "server", dataType: "text", data: "hi" });
      });
    }
  });
}

describe("answers of a webhook", () => {
  const scope = new Scope(after);
  let broker, hook, next;
  before(async () => {
    hook = await startWebhook(scope, (request) => (request.headers["ce-type"].includes(".user.") ? next : undefined));
    broker = await startBroker(scope, { upstreams: { [hub]: hook.url } });
  });
  const meta = (values) => Object.fromEntries(Object.entries(values).map(([k, v]) => [`X-WebPubSub-Metadata-${k}`, v]));

  test("the request has one header for each entry", async (t) => {
    const peer = await Peer.open(t, broker, hub, "json");
    next = { status: 204 };
    peer.say({ type: "event", event: "e", dataType: "text", data: "hi", metadata: { "Trace-Id": "7", b: "x" }, ackId: 1 });
    assert.equal((await peer.next()).success, true);
    const { headers } = hook.requests.at(-1);
    assert.deepEqual([headers["x-webpubsub-metadata-trace-id"], headers["x-webpubsub-metadata-b"]], ["7", "x"]);
  });

  test("a raw client gets an empty text frame for metadata without a body", async (t) => {
    const peer = await Peer.open(t, broker, hub, "raw");
    next = { status: 200, headers: meta({ k: "v" }) };
    peer.say({ data: "hi" });
    assert.equal(await peer.socket.inbox.next(), "");
    next = { status: 204, headers: meta({ k: "v" }) };
    peer.say({ data: "hi" });
    assert.equal(await peer.socket.inbox.next(), "");
  });

  for (const [what, headers, limit] of [
    ["a value of 1025", meta({ k: "v".repeat(1025) }), 1024],
    ["a name of 257", meta({ ["n".repeat(257)]: "v" }), 256],
    ["9,000 bytes in all", meta(Object.fromEntries([..."abcdefghi"].map((k) => [k, "v".repeat(1000)]))), 8192],
  ]) {
    test(`${what}: the event fails, the log says why`, async (t) => {
      const peer = await Peer.open(t, broker, hub, "json");
      next = { status: 200, headers: { "Content-Type": "text/plain", ...headers }, body: "hi" };
      peer.say({ type: "event", event: "e", dataType: "text", data: "hi", ackId: 1 });
      const { success, error } = await peer.next();
      assert.deepEqual([success, error.name], [false, "InternalServerError"]);
      await broker.logged(new RegExp(`broke the contract.*metadata.* at most ${limit} bytes`));
    });
  }
});
