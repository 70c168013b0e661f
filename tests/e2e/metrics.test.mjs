// GET /metrics: known traffic, exact numbers.

import assert from "node:assert/strict";
import http from "node:http";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { cleanup } from "./lib/cleanup.mjs";
import { accessUrl, allRoles, jsonProtocol, openJson, openSocket, refusedStatus, reliableProtocol, serviceClient } from "./lib/clients.mjs";
import { metricsOf, metricsThat, parseMetrics } from "./lib/metrics.mjs";
import { temporaryFolder } from "./lib/paths.mjs";
import { startBroker, startHandler } from "./lib/pubhook.mjs";

function configuration(t, value) {
  const file = path.join(temporaryFolder(t), "broker.json");
  writeFileSync(file, JSON.stringify(value));
  return file;
}

// A handler whose answers to events the test decides; it consents to validation.
async function startAnswers(t, answer) {
  const server = http.createServer((request, response) => {
    request.resume().on("end", () => {
      if (request.method === "OPTIONS") return response.writeHead(200, { "WebHook-Allowed-Origin": "*" }).end();
      response.writeHead(answer(request.headers)).end();
    });
  });
  server.keepAliveTimeout = 0; // a broker that is slow finds its connection where it left it
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanup(t, () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${server.address().port}/eh`;
}

test("the strict parser is strict", () => {
  const good = '# HELP a_total b\n# TYPE a_total counter\na_total{x="1\\"\\n"} 2\n';
  assert.equal(parseMetrics(good).get("a_total", { x: '1"\n' }), 2);
  const head = "# HELP a b\n# TYPE a gauge\n";
  const histogram = "# HELP a b\n# TYPE a histogram\n";
  for (const bad of [
    "a 1\n",
    `${head}a 1\na 1\n`,
    `${head}b 1\n`,
    `${head}a{x=1} 1\n`,
    `${head}a{x="1"y="2"} 1\n`,
    `${head}a x\n`,
    `${head}a 1`,
    `${head}${head}a 1\n`,
    `${histogram}a_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n`,
    `${histogram}a_bucket{le="1"} 1\na_sum 1\na_count 1\n`,
  ]) {
    assert.throws(() => parseMetrics(bad), undefined, bad);
  }
});

test("connections, messages, bytes and REST calls are counted exactly, over all threads", async (t) => {
  const broker = await startBroker(t, { threads: 4 });
  const start = await metricsOf(broker);
  assert.equal(start.get("pubhook_sockets"), 0);
  assert.equal(start.get("pubhook_messages_received_total"), 0);
  assert.equal(start.get("pubhook_build_info", { version: "0.1.0", threads: "4" }), 1);
  assert.ok(start.get("process_resident_memory_bytes") > 1e6);
  assert.ok(start.get("pubhook_heap_bytes") > 1000);
  assert.ok(Math.abs(start.get("process_start_time_seconds") - Date.now() / 1000) < 60);

  const clients = [];
  for (let i = 0; i < 12; i++) clients.push(await openJson(t, broker, "chat", { roles: allRoles, groups: ["g"] }));
  const raw = await openSocket(t, await accessUrl(broker, "Other"));
  const metrics = await metricsThat(broker, (m) => {
    assert.equal(m.get("pubhook_sockets"), 13);
    assert.equal(m.get("pubhook_connections", { hub: "chat" }), 12);
    assert.equal(m.get("pubhook_connections", { hub: "other" }), 1);
    assert.equal(m.get("pubhook_connections_accepted_total"), 13);
    assert.ok(m.get("process_open_fds") >= start.get("process_open_fds") + 13);
    assert.equal(m.get("pubhook_messages_sent_total"), 12, "the connected frames");
  });
  const received = metrics.get("pubhook_received_bytes_total");
  const sentBytes = metrics.get("pubhook_sent_bytes_total");
  let frameBytes = 0;
  const next = async (client) => {
    const text = await client.inbox.next();
    frameBytes += text.length + (text.length < 126 ? 2 : 4); // with the head of a frame
    return JSON.parse(text);
  };

  const frame = JSON.stringify({ type: "sendToGroup", group: "g", dataType: "text", data: "x", ackId: 1 });
  clients[0].send(frame);
  for (const client of clients) {
    const first = await next(client);
    assert.ok(["message", "ack"].includes(first.type));
  }
  await next(clients[0]);
  await serviceClient(broker, "chat").sendToAll("hello", { contentType: "text/plain" });
  for (const client of clients) assert.equal((await next(client)).data, "hello");
  const unknown = await fetch(`${broker.url}/api/nothing`);
  assert.equal(unknown.status, 404);

  const sendAll = { operation: "POST /api/hubs/{hub}/:send" };
  await metricsThat(broker, (m) => {
    assert.equal(m.get("pubhook_messages_sent_total"), 12 + 25);
    assert.equal(m.get("pubhook_messages_received_total"), 1);
    // A masked frame of 72 bytes has a head of 6.
    assert.equal(m.get("pubhook_received_bytes_total") - received, frame.length + 6);
    assert.equal(m.get("pubhook_sent_bytes_total") - sentBytes, frameBytes);
    assert.equal(m.get("pubhook_rest_requests_total", { ...sendAll, status: "2xx" }), 1);
    assert.equal(m.get("pubhook_rest_requests_total", { operation: "none", status: "4xx" }), 1);
  });

  await raw.close();
  for (const client of clients) await client.close();
  await metricsThat(broker, (m) => {
    assert.equal(m.get("pubhook_sockets"), 0);
    assert.equal(m.get("pubhook_connections", { hub: "chat" }), 0);
    assert.equal(m.get("pubhook_connections_closed_total", { reason: "Normal" }), 13);
    assert.equal(m.sum("pubhook_connections_closed_total"), 13);
  });
});

test("refused handshakes, recoveries, detached connections", async (t) => {
  const broker = await startBroker(t, { threads: 4 });
  const url = `${broker.url.replace("http", "ws")}/client/hubs/chat`;
  assert.equal(await refusedStatus(url), 401);
  assert.equal(await refusedStatus(`${await accessUrl(broker, "chat")}&webpubsub_mode=dance`), 400);
  const client = await openJson(t, broker, "chat", {}, reliableProtocol);
  client.cut();
  await metricsThat(broker, (m) => {
    assert.equal(m.get("pubhook_connections_detached"), 1);
    assert.equal(m.get("pubhook_handshakes_refused_total", { status: "401" }), 1);
    assert.equal(m.get("pubhook_handshakes_refused_total", { status: "400" }), 1);
    assert.equal(m.get("pubhook_connections", { hub: "chat" }), 1);
    assert.equal(m.get("pubhook_sockets"), 0);
  });
  const { connectionId, reconnectionToken } = client.welcome;
  const recover = (id) => `${url}?awps_connection_id=${id}&awps_reconnection_token=${reconnectionToken}`;
  const again = await openSocket(t, recover(connectionId), reliableProtocol);
  assert.equal((await again.nextJson()).event, "connected");
  const stranger = await openSocket(t, recover("nobody"), reliableProtocol);
  assert.equal((await stranger.closed).code, 1008);
  await metricsThat(broker, (m) => {
    assert.equal(m.get("pubhook_sockets"), 1);
    assert.equal(m.get("pubhook_connections_recovered_total"), 1);
    assert.equal(m.get("pubhook_recoveries_refused_total"), 1);
    assert.equal(m.get("pubhook_connections_accepted_total"), 1);
    assert.equal(m.get("pubhook_connections_detached"), 0);
  });
});

test("events by outcome, their duration, and failures of handlers by kind", async (t) => {
  const statuses = { good: 204, bad: 400, awful: 501 };
  const url = await startAnswers(t, (headers) => statuses[headers["ce-eventname"]] ?? 204);
  const config = configuration(t, {
    hubs: {
      chat: {
        eventHandlers: [
          { urlTemplate: url, userEventPattern: "good,bad", systemEvents: ["connect", "connected", "disconnected"] },
          { urlTemplate: "http://127.0.0.1:1/nobody", userEventPattern: "nobody" },
        ],
      },
    },
  });
  const broker = await startBroker(t, { args: ["--config", config] });
  const client = await openJson(t, broker, "chat");
  const ask = async (event, ackId) => {
    client.sendJson({ type: "event", event, dataType: "text", data: "x", ackId });
    return (await client.nextJson()).success;
  };
  assert.equal(await ask("good", 1), true);
  assert.equal(await ask("good", 2), true);
  assert.equal(await ask("bad", 3), false);
  assert.equal(await ask("unknown", 4), false);
  await client.close();
  await metricsThat(broker, (metrics) => {
    const outcome = (event, name) => metrics.get("pubhook_events_total", { event, outcome: name });
    assert.deepEqual(["connect", "connected", "disconnected"].map((event) => outcome(event, "ok")), [1, 1, 1]);
    assert.equal(outcome("user", "ok"), 2);
    assert.equal(outcome("user", "failed"), 1);
    assert.equal(outcome("user", "no_handler"), 1);
    assert.equal(metrics.sum("pubhook_events_total"), 7);
    assert.equal(metrics.get("pubhook_event_duration_seconds_count", { event: "user" }), 3);
    assert.equal(metrics.get("pubhook_handler_failures_total", { kind: "status_4xx" }), 1);
    assert.equal(metrics.sum("pubhook_handler_failures_total"), 1);
    assert.equal(metrics.get("pubhook_events_pending"), 0);
  });
});

test("a connect that the handler refuses is no failure", async (t) => {
  const url = await startAnswers(t, () => 403);
  const broker = await startBroker(t, { upstreams: { chat: url } });
  assert.equal(await refusedStatus(await accessUrl(broker, "chat"), jsonProtocol), 403);
  await metricsThat(broker, (metrics) => {
    assert.equal(metrics.get("pubhook_events_total", { event: "connect", outcome: "refused" }), 1);
    assert.equal(metrics.get("pubhook_handshakes_refused_total", { status: "403" }), 1);
    assert.equal(metrics.sum("pubhook_handler_failures_total"), 0);
  });
});

test("clients that end by silence, by the service, by mistakes", async (t) => {
  const config = configuration(t, { hubs: { impatient: { webSocketKeepAliveIntervalInSeconds: 1 } } });
  const broker = await startBroker(t, { args: ["--config", config] });
  const silent = await openSocket(t, await accessUrl(broker, "impatient"), jsonProtocol, { autoPong: false });
  const wrong = await openJson(t, broker, "chat");
  wrong.send("{");
  const closed = await openJson(t, broker, "chat");
  await serviceClient(broker, "chat").closeConnection(closed.welcome.connectionId);
  await silent.closed;
  await metricsThat(broker, (metrics) => {
    assert.equal(metrics.get("pubhook_sockets"), 0);
    for (const reason of ["PingTimeout", "BadRequest", "ClosedByAppServer"]) {
      assert.equal(metrics.get("pubhook_connections_closed_total", { reason }), 1, reason);
    }
    assert.equal(metrics.sum("pubhook_connections_closed_total"), 3);
  });
  await broker.logged(/closed \(PingTimeout\): The client did not answer pings\./);
});

test("the setting, the methods", async (t) => {
  const off = await startBroker(t, { args: ["--config", configuration(t, { metrics: false })] });
  const refused = await fetch(`${off.url}/metrics`);
  assert.equal(refused.status, 404);
  assert.match(await refused.text(), /"metrics": true/);
  const key = "k".repeat(32);
  const everywhere = await startBroker(t, { listen: "0.0.0.0:0", args: ["--access-key", key] });
  assert.equal((await fetch(`http://127.0.0.1:${everywhere.port}/metrics`)).status, 404);
  const on = await startBroker(t, { listen: "0.0.0.0:0", args: ["--access-key", key, "--config", configuration(t, { metrics: true })] });
  assert.equal((await fetch(`http://127.0.0.1:${on.port}/metrics`)).status, 200);
  const broker = await startBroker(t);
  const head = await fetch(`${broker.url}/metrics`, { method: "HEAD" });
  assert.equal(head.status, 200);
  const post = await fetch(`${broker.url}/metrics`, { method: "POST", body: "x" });
  assert.equal(post.status, 405);
  assert.equal(post.headers.get("allow"), "GET, HEAD");
});

test("handlers of plugins are counted, under pubhookd and inside the broker", async (t) => {
  const handler = await startHandler(t, "echo", { args: ["--metrics", "127.0.0.1:0"] });
  const [, page] = await handler.logged(/metrics are at (http:\S+)\/metrics/);
  const broker = await startBroker(t, { handlers: { inside: "echo" }, upstreams: { outside: handler.url } });
  for (const [hub, url, label] of [["inside", broker.url, "inside"], ["outside", page, "*"]]) {
    const client = await openJson(t, broker, hub);
    for (const ackId of [1, 2]) {
      client.sendJson({ type: "event", event: "e", dataType: "text", data: "x", ackId });
      while ((await client.nextJson()).type !== "ack");
    }
    const labels = { handler: "echo", hub: label, kind: "user", event: "*" };
    await metricsThat({ url }, (metrics) => {
      assert.equal(metrics.get("pubhook_handler_events_total", { ...labels, outcome: "answered" }), 2);
      assert.equal(metrics.get("pubhook_handler_duration_seconds_count", labels), 2);
      assert.equal(metrics.get("pubhook_handler_events_in_flight", labels), 0);
      assert.equal(metrics.sum("pubhook_requests_refused_total"), 0);
    });
  }
});
