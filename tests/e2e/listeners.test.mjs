// Event listeners: a hub publishes its events to NATS.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { accessUrl, allRoles, openJson, openSocket } from "./lib/clients.mjs";
import { metricsThat, metricsWhen } from "./lib/metrics.mjs";
import { startDenyingNats, startNats, subscribe } from "./lib/nats.mjs";
import { freePort } from "./lib/net.mjs";
import { program, temporaryFolder } from "./lib/paths.mjs";
import { start } from "./lib/program.mjs";
import { startBroker } from "./lib/pubhook.mjs";

const everything = { systemEvents: ["connected", "disconnected"], userEventPattern: "*" };

function configuration(t, eventListeners) {
  const file = `${temporaryFolder(t)}/broker.json`;
  writeFileSync(file, JSON.stringify({ hubs: { chat: { eventListeners } } }));
  return file;
}

const withListeners = (t, listeners, options = {}) =>
  startBroker(t, { args: ["--config", configuration(t, listeners)], ...options });

const sendEvent = async (socket, event, data, more = {}) => {
  socket.sendJson({ type: "event", event, dataType: "text", data, ackId: 1, ...more });
  return socket.nextJson();
};

// When so many events have had their end.
async function listenerCounts(broker, count) {
  const counts = (m) => ({ sent: m.get("pubhook_listener_events_total"), lost: m.get("pubhook_listener_events_lost_total") });
  const isOver = (m) => counts(m).sent + counts(m).lost >= count;
  return counts(await metricsWhen(broker, isOver, `${count} events are sent or lost`));
}

describe("event listeners", () => {
  test("CloudEvents in binary mode: attributes, metadata, data", async (t) => {
    const nats = await startNats(t, await freePort());
    const heard = await subscribe(t, nats, "events.>");
    const broker = await withListeners(t, [
      { endpoint: nats.url, subject: "events.{hub}.{event}", eventNameFilter: everything },
    ]);
    const socket = await openJson(t, broker, "chat", { userId: "änn" });
    const { connectionId } = socket.welcome;
    assert.deepEqual(await sendEvent(socket, "order.new", "grüße", { metadata: { trace: "7" } }), {
      type: "ack", ackId: 1, success: true,
    });
    await socket.close();

    const [connected, order, disconnected] = await heard.take(3);
    const common = {
      "ce-specversion": "1.0",
      "ce-awpsversion": "1.0",
      "ce-source": `/hubs/chat/client/${connectionId}`,
      "ce-hub": "chat",
      "ce-connectionId": connectionId,
      "ce-userId": "änn",
      "ce-subprotocol": "json.webpubsub.azure.v1",
    };
    const check = (message, event, type, id, more) => {
      const { "ce-time": time, ...headers } = message.headers;
      assert.match(time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
      assert.equal(message.subject, `events.chat.${event}`);
      assert.deepEqual(headers, {
        ...common,
        "ce-type": `azure.webpubsub.${type}.${event}`,
        "ce-eventName": event,
        "ce-id": String(id),
        "Nats-Msg-Id": `${connectionId}/${id}`,
        ...more,
      });
    };
    check(connected, "connected", "sys", 1, { "Content-Type": "application/json" });
    check(order, "order.new", "user", 2, { "Content-Type": "text/plain", "x-webpubsub-metadata-trace": "7" });
    check(disconnected, "disconnected", "sys", 3, { "Content-Type": "application/json" });
    assert.equal(order.body.toString(), "grüße");
    assert.ok("reason" in JSON.parse(disconnected.body));
  });

  test("what no filter wants is not published, and fails for want of a handler", async (t) => {
    const nats = await startNats(t, await freePort());
    const heard = await subscribe(t, nats, ">");
    const broker = await withListeners(t, [
      { endpoint: nats.url, subject: "a", eventNameFilter: { userEventPattern: "order.*" } },
      { endpoint: nats.url, subject: "b", filter: { userEventPattern: "order.new,other", systemEvents: [] } },
    ]);
    const socket = await openJson(t, broker, "chat");
    assert.equal((await sendEvent(socket, "ping.me", "1")).success, false);
    assert.equal((await sendEvent(socket, "order.new", "2", { ackId: 2 })).success, true);
    assert.equal((await sendEvent(socket, "other", "3", { ackId: 3 })).success, true);
    await socket.close();
    const messages = await heard.take(3);
    assert.deepEqual(messages.map(({ subject, body }) => [subject, body.toString()]), [["a", "2"], ["b", "2"], ["b", "3"]]);
  });

  test("a handler gets the event as well, under the same id, and its answer counts", async (t) => {
    const nats = await startNats(t, await freePort());
    const heard = await subscribe(t, nats, "pubhook.chat.*");
    const broker = await withListeners(t, [{ endpoint: nats.url, eventNameFilter: everything }], {
      handlers: { chat: "echo" },
    });
    const socket = await openJson(t, broker, "chat");
    assert.equal((await sendEvent(socket, "greet", "hello")).data, "hello");
    assert.equal((await socket.nextJson()).success, true);
    const [, greet] = await heard.take(2);
    assert.deepEqual([greet.subject, greet.headers["ce-id"], greet.body.toString()], ["pubhook.chat.greet", "2", "hello"]);
  });

  test("a raw client without a handler lives on its listener", async (t) => {
    const nats = await startNats(t, await freePort());
    const heard = await subscribe(t, nats, "pubhook.>");
    const broker = await withListeners(t, [{ endpoint: nats.url, eventNameFilter: { userEventPattern: "message" } }]);
    const raw = await openSocket(t, await accessUrl(broker, "chat"));
    raw.send("one");
    raw.send(Buffer.from([0, 255, 13, 10]));
    const [one, two] = await heard.take(2);
    assert.deepEqual([one.headers["Content-Type"], one.body.toString()], ["text/plain", "one"]);
    assert.deepEqual([two.headers["Content-Type"], two.body], ["application/octet-stream", Buffer.from([0, 255, 13, 10])]);
    assert.equal(raw.ws.readyState, 1);
  });

  test("while NATS is away events wait, in order, and clients do not", async (t) => {
    const port = await freePort();
    const first = await startNats(t, port);
    const broker = await withListeners(t, [{ endpoint: `nats://127.0.0.1:${port}`, eventNameFilter: { userEventPattern: "*" } }]);
    const sockets = [await openJson(t, broker, "chat", { roles: allRoles }), await openJson(t, broker, "chat")];
    let heard = await subscribe(t, first, "pubhook.>");
    assert.equal((await sendEvent(sockets[0], "e", "before")).success, true);
    assert.equal((await heard.next()).body.toString(), "before");
    await first.stop();
    await broker.logged(/event listener nats:\/\/127\.0\.0\.1:\d+ is away/);
    const count = 300;
    for (let i = 0; i < count; i++) {
      assert.equal((await sendEvent(sockets[i % 2], "e", `${i}`, { ackId: i + 2 })).success, true);
    }
    await metricsThat(broker, (metrics) => assert.equal(metrics.get("pubhook_listener_events_waiting"), count));

    const second = await startNats(t, port);
    heard = await subscribe(t, second, "pubhook.>");
    await broker.logged(/is connected: \d+ events wait, 0 were lost/);
    // Confirmation may be lost with a connection; the id tells what comes again.
    const seen = new Map();
    while (seen.size < count) {
      const { headers, body } = await heard.next();
      if (!seen.has(headers["Nats-Msg-Id"])) seen.set(headers["Nats-Msg-Id"], Number(body));
    }
    for (const parity of [0, 1]) {
      const own = [...seen.values()].filter((n) => n % 2 === parity);
      assert.deepEqual(own, [...own].sort((a, b) => a - b), "in the order of the connection");
    }
  });

  test("a server that is there later gets what happened before", async (t) => {
    const port = await freePort();
    const filter = { systemEvents: ["connected"], userEventPattern: "*" };
    const broker = await withListeners(t, [{ endpoint: `nats://127.0.0.1:${port}`, eventNameFilter: filter }]);
    await broker.logged(/is away/);
    const socket = await openJson(t, broker, "chat");
    assert.equal((await sendEvent(socket, "early", "x")).success, true);
    const nats = await startNats(t, port);
    const heard = await subscribe(t, nats, "pubhook.>");
    assert.deepEqual((await heard.take(2)).map((m) => m.headers["ce-eventName"]), ["connected", "early"]);
  });

  test("an event that is larger than NATS allows is lost, with a line in the log, and no other", async (t) => {
    const file = `${temporaryFolder(t)}/nats.conf`;
    writeFileSync(file, "max_payload: 2000\n");
    const nats = await startNats(t, await freePort(), ["-c", file]);
    const heard = await subscribe(t, nats, "pubhook.>");
    const broker = await withListeners(t, [{ endpoint: nats.url, eventNameFilter: { userEventPattern: "*" } }]);
    const socket = await openJson(t, broker, "chat");
    for (const [i, size] of [10, 3000, 20].entries()) {
      assert.equal((await sendEvent(socket, "e", "x".repeat(size), { ackId: i + 1 })).success, true);
    }
    assert.deepEqual((await heard.take(2)).map((m) => m.body.length), [10, 20]);
    await broker.logged(/an event for subject pubhook\.chat\.e .* is lost: .*max_payload/);
  });

  test("an event that NATS denies is lost, counted, and told", async (t) => {
    const file = `${temporaryFolder(t)}/nats.conf`;
    writeFileSync(file, 'authorization { users: [ { user: u, password: geheim, permissions: { publish: "pubhook.chat.good" } } ] }\n');
    const nats = await startNats(t, await freePort(), ["-c", file]);
    const heard = await subscribe(t, nats, "pubhook.>", { user: "u", pass: "geheim" });
    const broker = await withListeners(t, [{ endpoint: `nats://u:geheim@127.0.0.1:${nats.port}`, eventNameFilter: { userEventPattern: "*" } }]);
    const socket = await openJson(t, broker, "chat");
    assert.equal((await sendEvent(socket, "bad", "x", { ackId: 1 })).success, true);
    await broker.logged(/an event for event listener nats:\/\/127\.0\.0\.1:\d+ is lost: .*pubhook\.chat\.bad.*permission to publish/i);
    assert.equal((await sendEvent(socket, "good", "y", { ackId: 2 })).success, true);
    assert.equal((await heard.next()).body.toString(), "y");
    assert.deepEqual(await listenerCounts(broker, 2), { sent: 1, lost: 1 });
    assert.doesNotMatch(broker.log, /geheim/);
  });

  test("what NATS denies counts as lost alone, whenever it says so, also when nothing comes after it", async (t) => {
    const nats = await startDenyingNats(t);
    const broker = await withListeners(t, [{ endpoint: nats.url, eventNameFilter: { userEventPattern: "*" } }]);
    await broker.logged(/is connected/);
    const socket = await openJson(t, broker, "chat");
    const events = ["one", "two", "three"];
    for (const [i, event] of events.entries()) {
      assert.equal((await sendEvent(socket, event, "x", { ackId: i + 1 })).success, true);
      assert.deepEqual(await listenerCounts(broker, i + 1), { sent: 0, lost: i + 1 });
    }
    for (const event of events) {
      await broker.logged(new RegExp(`an event for event listener .* is lost: .*pubhook\\.chat\\.${event}\\b.*permission to publish`, "i"));
    }
  });

  test("user and password reach NATS and no log", async (t) => {
    const port = await freePort();
    const nats = await startNats(t, port, ["--user", "u", "--pass", "geheim"]);
    const heard = await subscribe(t, nats, "pubhook.>", { user: "u", pass: "geheim" });
    const broker = await withListeners(t, [
      { endpoint: `nats://u:geheim@127.0.0.1:${port}`, eventNameFilter: { systemEvents: ["connected"] } },
    ]);
    await openJson(t, broker, "chat");
    assert.equal((await heard.next()).headers["ce-eventName"], "connected");
    await broker.logged(/event listener nats:\/\/127\.0\.0\.1:\d+ is connected/);
    assert.doesNotMatch(broker.log, /geheim/);
  });

  test("what waits at the end is published before the broker goes", async (t) => {
    const nats = await startNats(t, await freePort());
    const heard = await subscribe(t, nats, "pubhook.>");
    const broker = await withListeners(t, [{ endpoint: nats.url, eventNameFilter: { systemEvents: ["disconnected"] } }]);
    for (let i = 0; i < 20; i++) await openJson(t, broker, "chat");
    await broker.stopOnce();
    const reasons = (await heard.take(20)).map((m) => JSON.parse(m.body).reason);
    assert.deepEqual(new Set(reasons), new Set(["The service is shutting down."]));
  });

  test("a listener that is new in the file hears of what comes from then on", async (t) => {
    const [one, two] = [await startNats(t, await freePort()), await startNats(t, await freePort())];
    const heard = [await subscribe(t, one, ">"), await subscribe(t, two, ">")];
    const filter = { userEventPattern: "*" };
    const file = configuration(t, [{ endpoint: one.url, eventNameFilter: filter }]);
    const broker = await startBroker(t, { args: ["--config", file] });
    const socket = await openJson(t, broker, "chat");
    assert.equal((await sendEvent(socket, "e", "1")).success, true);
    assert.equal((await heard[0].next()).body.toString(), "1");
    const listeners = [one, two].map(({ url }) => ({ endpoint: url, eventNameFilter: filter }));
    writeFileSync(file, JSON.stringify({ hubs: { chat: { eventListeners: listeners } } }));
    let count = 1;
    for (let told; !told; told = heard[1].rest.length > 0) {
      assert.equal((await sendEvent(socket, "e", `${++count}`, { ackId: count })).success, true);
    }
    assert.equal((await heard[0].take(count - 1)).at(-1).body.toString(), `${count}`);
  });

  test("with NATS away the broker ends all the same, and tells what is lost", async (t) => {
    const endpoint = `nats://127.0.0.1:${await freePort()}`;
    const broker = await withListeners(t, [{ endpoint, eventNameFilter: everything }]);
    await openJson(t, broker, "chat");
    await broker.stopOnce(); // 10 s
    assert.match(broker.log, /2 events for event listener .* are lost: it was away until the end/);
  });

  test("a wrong listener is refused with file and line", async (t) => {
    const nats = { endpoint: "nats://h:4222" };
    for (const [listener, why] of [
      [{ eventNameFilter: everything }, /must have an endpoint/],
      [nats, /must have an eventNameFilter/],
      [{ ...nats, endpoint: "https://h", eventNameFilter: everything }, /endpoint must be nats:/],
      [{ ...nats, subject: "a..b", eventNameFilter: everything }, /two in a row/],
      [{ ...nats, subject: "a.>", eventNameFilter: everything }, /wildcard/],
      [{ ...nats, eventNameFilter: { systemEvents: ["connect"] } }, /connect needs an answer/],
    ]) {
      const broker = start(t, program("pubhook-broker"), ["--config", configuration(t, [listener])], { goodStatus: 2 });
      await broker.ended();
      assert.match(broker.log, why);
      assert.match(broker.log, /broker\.json:1: /);
    }
  });
});
