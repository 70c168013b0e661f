// What must go wrong properly: handlers that die, senders that lie, input that is
// broken. After each, a bystander asks whether everything still works; that no
// program crashed, leaked or ended badly is checked whenever one is stopped.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { accessUrl, allRoles, openJson, openSocket, refusedStatus, serviceClient } from "./lib/clients.mjs";
import { cleanup, Scope } from "./lib/cleanup.mjs";
import { freePort, RawConnection, statusOf } from "./lib/net.mjs";
import { patience } from "./lib/patience.mjs";
import { startBroker, startHandler } from "./lib/pubhook.mjs";
import { call, eventSignature } from "./lib/tokens.mjs";

const megabyte = 1 << 20;
const nested = "[".repeat(100_000) + "]".repeat(100_000);

describe("the event handler is killed in the middle of traffic", { concurrency: true }, () => {
  // Sends an event and resolves to its ack, with the answer's data as `answer`.
  async function say(client, n) {
    client.sendJson({ type: "event", event: "say", dataType: "json", data: n, ackId: n });
    let answer;
    for (;;) {
      const frame = await client.nextJson();
      if (frame.type === "ack") return { ...frame, answer };
      answer = frame.data;
    }
  }

  test("events fail by the rules, clients stay, all works again when it is back", async (t) => {
    const listen = `127.0.0.1:${await freePort()}`;
    let handler = await startHandler(t, "echo", { listen });
    const broker = await startBroker(t, { upstreams: { chat: handler.url } });
    const client = await openJson(t, broker, "chat", { roles: allRoles });
    const neighbour = await openJson(t, broker, "chat", { groups: ["g"] });
    const raw = await openSocket(t, await accessUrl(broker, "chat"));
    assert.deepEqual(await say(client, 1), { type: "ack", ackId: 1, success: true, answer: 1 });
    await handler.abandon();

    const pending = say(client, 2);
    const refused = refusedStatus(await accessUrl(broker, "chat"));
    raw.send("anybody?");
    // Delivery between clients does not wait for the handler.
    await serviceClient(broker, "chat").group("g").sendToAll("meanwhile", { contentType: "text/plain" });
    assert.equal((await neighbour.nextJson()).data, "meanwhile");
    const { success, error } = await pending;
    assert.deepEqual([success, error.name], [false, "InternalServerError"]);
    assert.equal(await refused, 500, "nobody could say yes to a new client");
    assert.equal((await raw.closed).code, 1011);

    handler = await startHandler(t, "echo", { listen });
    assert.deepEqual(await say(client, 3), { type: "ack", ackId: 3, success: true, answer: 3 });
    assert.equal(await refusedStatus(await accessUrl(broker, "chat")), 101);
    await neighbour.close();
  });

  test("an event sent while it restarts is tried again and answered", async (t) => {
    const listen = `127.0.0.1:${await freePort()}`;
    const handler = await startHandler(t, "echo", { listen });
    const broker = await startBroker(t, { upstreams: { chat: handler.url } });
    const client = await openJson(t, broker, "chat");
    await say(client, 1);
    await handler.abandon();
    const pending = say(client, 2);
    await startHandler(t, "echo", { listen });
    assert.deepEqual(await pending, { type: "ack", ackId: 2, success: true, answer: 2 });
  });

  test("a handler with another key refuses; the broker says so and works on", async (t) => {
    const handler = await startHandler(t, "echo", { key: "another key, which is long enough to be one" });
    const broker = await startBroker(t, { upstreams: { chat: handler.url } });
    assert.equal(await refusedStatus(await accessUrl(broker, "chat")), 401);
    await broker.logged(/401/);
  });
});

// POSTs an event to pubhookd as the service would; `headers` replace or remove (null) single ones.
async function postEvent(handler, { headers = {}, body = "hello", path = "" } = {}) {
  const usual = {
    "Content-Type": "text/plain",
    "WebHook-Request-Origin": "localhost",
    "ce-awpsversion": "1.0",
    "ce-specversion": "1.0",
    "ce-type": "azure.webpubsub.user.message",
    "ce-source": "/hubs/chat/client/c1",
    "ce-id": "2",
    "ce-time": "2026-01-02T03:04:05Z",
    "ce-hub": "chat",
    "ce-connectionId": "c1",
    "ce-eventName": "message",
    "ce-signature": eventSignature("c1"),
  };
  const kept = Object.entries({ ...usual, ...headers }).filter(([, value]) => value !== null);
  const response = await fetch(handler.url + path, { method: "POST", headers: kept, body });
  return { status: response.status, text: await response.text() };
}

const systemEvent = (name) => ({
  "ce-type": `azure.webpubsub.sys.${name}`, "ce-eventName": name, "Content-Type": "application/json", "ce-id": "0",
});

describe("pubhookd and what it is sent", () => {
  const scope = new Scope(after);
  let handler;
  before(async () => (handler = await startHandler(scope, "echo")));
  const unharmed = async () => assert.deepEqual(await postEvent(handler), { status: 200, text: "hello" });

  const signature = eventSignature("c1");
  const signatures = {
    missing: null,
    empty: "",
    "of another connection": eventSignature("c2"),
    "of another key": eventSignature("c1", "x".repeat(40)),
    truncated: signature.slice(0, -1),
    "too long": `${signature}0`,
    "without its algorithm": signature.slice("sha256=".length),
    "of another algorithm": signature.replace("sha256", "sha1"),
  };
  for (const [what, value] of Object.entries(signatures)) {
    test(`a signature that is ${what} is 401`, async () => {
      const { status, text } = await postEvent(handler, { headers: { "ce-signature": value } });
      assert.equal(status, 401);
      assert.notEqual(text, "hello");
      await unharmed();
    });
  }

  test("one good signature among others is enough, in either case", async () => {
    const value = `sha256=something, ${signature.replace(/=.*/, (hex) => hex.toUpperCase())}`;
    assert.equal((await postEvent(handler, { headers: { "ce-signature": value } })).status, 200);
  });

  const broken = {
    "connect with malformed JSON": [400, { headers: systemEvent("connect"), body: '{"claims":' }],
    "connect with 100,000 nested brackets": [400, { headers: systemEvent("connect"), body: nested }],
    "connect that is no object": [400, { headers: systemEvent("connect"), body: "[]" }],
    "a system event that does not exist": [400, { headers: systemEvent("exploded"), body: "{}" }],
    "a type of somebody else": [400, { headers: { "ce-type": "com.example.order" } }],
    "no type": [400, { headers: { "ce-type": null } }],
    "no hub": [400, { headers: { "ce-hub": null } }],
    "no connection id": [401, { headers: { "ce-connectionId": null } }],
    "no id": [400, { headers: { "ce-id": null } }],
    "data of an unknown type": [[400, 415], { headers: { "Content-Type": "image/png" } }],
    "text that is not UTF-8": [400, { body: Buffer.from([0x66, 0xff, 0xfe]) }],
    "2 MB of data": [413, { body: "x".repeat(2 * megabyte) }],
    "another path": [404, { path: "-not" }],
  };
  for (const [what, [expected, request]] of Object.entries(broken)) {
    test(`${what}: ${expected}, with a reason`, async () => {
      const { status, text } = await postEvent(handler, request);
      assert.ok([expected].flat().includes(status), `status ${status}: ${text}`);
      assert.ok(text.length > 0, "a reason");
      await unharmed();
    });
  }

  test("too many and too large headers are 431", async () => {
    const many = Object.fromEntries([...Array(120).keys()].map((n) => [`x-${n}`, "1"]));
    assert.equal((await postEvent(handler, { headers: many })).status, 431);
    await unharmed();
  });

  test("the validation handshake: consent for a service, none without an origin", async () => {
    const ask = (method, headers, path = "") => fetch(handler.url + path, { method, headers });
    const headers = { "WebHook-Request-Origin": "contoso.webpubsub.azure.com", "ce-awpsversion": "1.0" };
    for (const [method, path] of [["OPTIONS", ""], ["OPTIONS", "/validate"], ["GET", ""], ["GET", "/validate"]]) {
      const response = await ask(method, headers, path);
      assert.equal(Math.floor(response.status / 100), 2, `${method} ${path}`);
      assert.match(response.headers.get("webhook-allowed-origin"), /^(\*|contoso\.webpubsub\.azure\.com)$/);
    }
    assert.equal((await ask("OPTIONS", {})).status, 400);
  });

  malformedHttpTests(() => handler.port, "/eventhandler", unharmed);
});

describe("the broker and what it is sent", () => {
  const scope = new Scope(after);
  let broker;
  let bystander;
  before(async () => {
    broker = await startBroker(scope, { handlers: { chat: "echo" } });
    bystander = await openJson(scope, broker, "chat", { userId: "bystander" });
  });
  const unharmed = async () => {
    bystander.sendJson({ type: "ping" });
    assert.deepEqual(await bystander.nextJson(), { type: "pong" });
  };

  async function closedBy(t, send) {
    const socket = await openJson(t, broker, "chat");
    send(socket.ws);
    const { code } = await socket.closed;
    await unharmed();
    return code;
  }

  test("a binary frame on a JSON connection closes it with 1003", async (t) => {
    assert.equal(await closedBy(t, (ws) => ws.send(Buffer.from("{}"))), 1003);
  });

  const malformed = {
    "no JSON": "hello",
    "half JSON": '{"type":"ping"',
    "no object": "[]",
    "no type": "{}",
    "an unknown type": '{"type":"dance"}',
    "a join without a group": '{"type":"joinGroup","ackId":1}',
    "an ackId that is text": '{"type":"joinGroup","group":"g","ackId":"1"}',
    "100,000 nested brackets": `{"type":"event","event":"e","data":${nested}}`,
  };
  for (const [what, frame] of Object.entries(malformed)) {
    test(`${what}: closed with 1007`, async (t) => {
      assert.equal(await closedBy(t, (ws) => ws.send(frame)), 1007);
    });
  }

  test("bad UTF-8 closes with 1007, on raw and on JSON connections", async (t) => {
    assert.equal(await closedBy(t, (ws) => ws.send(Buffer.from([0x22, 0xc3, 0x28]), { binary: false })), 1007);
    const raw = await openSocket(t, await accessUrl(broker, "chat"));
    raw.ws.send(Buffer.from([0x61, 0xff]), { binary: false });
    assert.equal((await raw.closed).code, 1007);
    await unharmed();
  });

  test("a message of a megabyte is fine, one byte more closes with 1009", async (t) => {
    const raw = await openSocket(t, await accessUrl(broker, "chat"));
    raw.send("x".repeat(megabyte));
    assert.equal((await raw.inbox.next()).length, megabyte);
    raw.send("x".repeat(megabyte + 1));
    assert.equal((await raw.closed).code, 1009);
    await unharmed();
  });

  test("a frame without a mask closes with 1002", async (t) => {
    const url = new URL(await accessUrl(broker, "chat"));
    const connection = await RawConnection.open(t, broker.port);
    connection.write(
      `GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${broker.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    );
    assert.equal(await connection.status(), 101);
    assert.match(connection.text, /sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/i);
    connection.write(Buffer.from([0x81, 0x01, 0x61]));
    await connection.closed;
    const frame = connection.received.subarray(connection.text.indexOf("\r\n\r\n") + 4);
    assert.deepEqual([frame[0], frame.readUInt16BE(2)], [0x88, 1002]);
    await unharmed();
  });

  test("a REST body of 2 MB is refused, and so is malformed JSON", async () => {
    const send = (contentType, body) =>
      call(broker, "POST", "/api/hubs/chat/:send?api-version=2024-12-01", { headers: { "Content-Type": contentType }, body });
    assert.ok([400, 413].includes((await send("text/plain", "x".repeat(2 * megabyte))).status));
    assert.equal((await send("application/json", nested)).status, 400);
    assert.equal((await send("application/json", '{"a":}')).status, 400);
    await unharmed();
  });

  test("a client that stops reading is closed, others get everything", async (t) => {
    const slow = await openJson(t, broker, "chat", { groups: ["flood"] });
    const fast = await openJson(t, broker, "chat", { groups: ["flood"] });
    const sender = await openJson(t, broker, "chat", { roles: allRoles });
    slow.ws.pause();
    const data = "y".repeat(100_000);
    const count = 400; // 40 MB: more than any queue and socket buffer takes
    for (let n = 0; n < count; n++) {
      sender.sendJson({ type: "sendToGroup", group: "flood", dataType: "text", data });
      if (n % 20 === 19) await fast.inbox.take(20);
    }
    slow.ws.resume();
    assert.ok([1006, 1008].includes((await slow.closed).code));
    await unharmed();
  });

  malformedHttpTests(() => broker.port, "/client/hubs/chat", unharmed);
});

// The same for every HTTP server of ours. `port` is a function: it is known only once the tests run.
function malformedHttpTests(port, path, unharmed) {
  const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\n`;
  const requests = {
    "two Host lines": `${head}Host: example.org\r\nContent-Length: 0\r\n\r\n`,
    "no Host line": `POST ${path} HTTP/1.1\r\nContent-Length: 0\r\n\r\n`,
    "two Content-Length lines": `${head}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`,
    "Content-Length and Transfer-Encoding": `${head}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    "a negative Content-Length": `${head}Content-Length: -1\r\n\r\n`,
    "a Content-Length that is no number": `${head}Content-Length: 1x\r\n\r\na`,
    "a control character in a value": `${head}X-Bell: a\x07b\r\nContent-Length: 0\r\n\r\n`,
    "a NUL in a value": `${head}X-Nul: a\x00b\r\nContent-Length: 0\r\n\r\n`,
    "a space before the colon": `${head}X-Space : a\r\nContent-Length: 0\r\n\r\n`,
    "no HTTP at all": "hello there\r\n\r\n",
  };
  for (const [what, request] of Object.entries(requests)) {
    test(`HTTP with ${what} is refused`, async (t) => {
      const status = await statusOf(t, port(), request);
      assert.ok(status === 0 || (status >= 400 && status < 500), `status ${status}`);
      await unharmed();
    });
  }

  test("a request that is cut in the middle harms nobody", async (t) => {
    for (const part of [`POST ${path} HT`, `${head}Content-Le`, `${head}Content-Length: 100\r\n\r\nabc`]) {
      const connection = await RawConnection.open(t, port());
      connection.write(part);
      await unharmed();
      connection.socket.destroy();
      await unharmed();
    }
  });
}

test("pubhookd --max-connections: one more waits until another has ended", async (t) => {
  const handler = await startHandler(t, "echo", { threads: 1, args: ["--max-connections", "1"] });
  const validation = "OPTIONS /eventhandler HTTP/1.1\r\nHost: localhost\r\nWebHook-Request-Origin: localhost\r\n\r\n";
  const first = await RawConnection.open(t, handler.port);
  assert.equal(await first.write(validation).status(), 200);
  const next = (await RawConnection.open(t, handler.port)).write(validation);
  for (let i = 0; i < 10; i++) {
    first.received = Buffer.alloc(0);
    assert.equal(await first.write(validation).status(), 200);
  }
  assert.equal(next.text, "");
  first.socket.end();
  assert.equal(await next.status(), 200);
});

// Half a minute each, so at the same time.
describe("a client that sends a byte a second is thrown out in time, others are served", { concurrency: true }, () => {
  async function drip(t, { port }, unharmed) {
    const connection = await RawConnection.open(t, port);
    connection.write("POST /eventhandler HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
    const timer = setInterval(() => connection.write("a"), 1000);
    cleanup(t, () => clearInterval(timer));
    for (let i = 0; i < 5; i++) {
      await unharmed();
      await delay(1000);
    }
    const tooLong = new AbortController();
    const late = delay(3 * patience, "still connected", { signal: tooLong.signal }).catch(() => {});
    assert.notEqual(await Promise.race([connection.closed, late]), "still connected");
    tooLong.abort();
    await unharmed();
  }

  test("pubhookd", async (t) => {
    const handler = await startHandler(t, "echo");
    await drip(t, handler, async () => assert.equal((await postEvent(handler)).status, 200));
  });

  test("pubhook-broker", async (t) => {
    const broker = await startBroker(t);
    await drip(t, broker, async () => assert.equal(await refusedStatus(await accessUrl(broker, "chat")), 101));
    await broker.logged(/request refused: it was not complete within 30 s.* from=127\.0\.0\.1:\d+ call=\/eventhandler/);
  });
});
