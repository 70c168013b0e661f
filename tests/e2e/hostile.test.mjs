// Event handlers that break every rule, against a broker that runs: each event has an end, the
// log says in one line what was wrong with whom, and nobody else notices.

import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import net from "node:net";
import { after, describe, test } from "node:test";
import tls from "node:tls";
import { cleanup, Scope } from "./lib/cleanup.mjs";
import { openJson } from "./lib/clients.mjs";
import { makeCertificates, startEventServer, text } from "./lib/eventserver.mjs";
import { metricsOf, metricsThat, metricsWhen } from "./lib/metrics.mjs";
import { temporaryFolder } from "./lib/paths.mjs";
import { startBroker } from "./lib/pubhook.mjs";

const ok = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
const consent = "HTTP/1.1 200 OK\r\nWebHook-Allowed-Origin: *\r\nContent-Length: 0\r\n\r\n";

// A server without manners: consents to be sent events, and does `act(socket, event, attempt)`
// to each. `paths` are those of the requests that came.
async function startRude(t, act, certificates) {
  const rude = { paths: [], sockets: new Set() };
  const attempts = new Map();
  const serve = (socket) => {
    let came = "";
    rude.sockets.add(socket.on("error", () => {}).on("close", () => rude.sockets.delete(socket)));
    socket.setEncoding("latin1").on("data", (data) => {
      came += data;
      const end = came.indexOf("\r\n\r\n");
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(came)?.[1] ?? 0);
      if (end < 0 || came.length < end + 4 + length) return;
      const head = came.slice(0, end);
      came = "";
      rude.paths.push(head.split(" ")[1]);
      if (head.startsWith("OPTIONS")) return socket.write(consent);
      const id = /\r\nce-connectionid: *(\S+)/i.exec(head)[1];
      const event = /\r\nce-eventname: *(\S+)/i.exec(head)[1];
      attempts.set(id, (attempts.get(id) ?? 0) + 1);
      act(socket, event, attempts.get(id));
    });
  };
  const server = certificates ? tls.createServer(certificates, serve) : net.createServer(serve);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanup(t, () => {
    for (const socket of rude.sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  rude.origin = `${certificates ? "https://localhost" : "http://127.0.0.1"}:${server.address().port}`;
  rude.url = `${rude.origin}/{event}?code=geheim`;
  return rude;
}

// Hub chat has these event handlers.
function startWith(t, eventHandlers, caFile) {
  const file = `${temporaryFolder(t)}/broker.json`;
  writeFileSync(file, JSON.stringify({ caFile, hubs: { chat: { eventHandlers } } }));
  return startBroker(t, { args: ["--config", file] });
}

async function ask(client, event = "e", ackId = 1) {
  client.sendJson({ type: "event", event, dataType: "text", data: "x", ackId });
  let answer;
  for (;;) {
    const frame = await client.nextJson();
    if (frame.type === "ack") return { success: frame.success, answer };
    answer = frame.data;
  }
}

function forEver(socket, piece, head = "") {
  socket.write(head);
  const more = () => {
    while (!socket.destroyed && socket.write(piece));
  };
  socket.on("drain", more);
  more();
}

const kilobyte = "x".repeat(1024);
const say = (bytes) => (socket) => socket.end(bytes, "latin1");
const keep = (bytes) => (socket) => socket.write(bytes, "latin1");

// What it does; what the log says of it, over http and, where that differs, over https; the
// kind of failure.
const rows = {
  "closes without a word": [(socket) => socket.end(), /closed the connection without an answer|closed the connection before/, , "connect"],
  "is no HTTP server": [say("220 mail.example.com ESMTP\r\n"), /is not HTTP/, /HTTP/, "bad_answer|other"],
  "has a status that is none": [keep("HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"), /status from 100 to 599/, /answered 999|status/, "bad_answer|status_4xx|status_5xx"],
  "redirects": [keep("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"), /answered 302 .*redirects are not followed: use the final URL/, , "status_4xx"],
  "switches protocols": [keep("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), /switches protocols/, , "bad_answer"],
  "answers of what nobody sends": [keep("HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: 1\r\n\r\nx"), /broke the contract in its answer .*video\/mp4/, , "bad_answer"],
  "answers text that is none": [keep("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\n\xff"), /broke the contract in its answer .*UTF-8/, , "bad_answer"],
  "sets a state that no event can carry": [keep("HTTP/1.1 200 OK\r\nce-connectionState: caf\xc3\xa9\r\nContent-Length: 0\r\n\r\n"), /broke the contract in its answer .*ce-connectionState holds characters outside ASCII/, , "bad_answer"],
  "has a header without end": [(socket) => forEver(socket, kilobyte, "HTTP/1.1 200 OK\r\nX: "), /headers of its answer are too many or too large/, /a header line of its answer is too large/, "bad_answer"],
  "has headers without end": [(socket) => forEver(socket, "X: y\r\n".repeat(100), "HTTP/1.1 200 OK\r\n"), /headers of its answer are too many or too large/, , "bad_answer"],
  "has a body without end": [(socket) => forEver(socket, `400\r\n${kilobyte}\r\n`, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"), /larger than the limit of 16 MiB/, , "bad_answer"],
  "has a body of unknown length without end": [(socket) => forEver(socket, kilobyte, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"), /larger than the limit of 16 MiB/, , "bad_answer"],
  "announces too much": [keep("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 99999999999\r\n\r\nx"), /larger than the limit of 16 MiB/, , "bad_answer"],
  "has a length that is none": [keep("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), /Content-Length/, /Content-Length/i, "bad_answer|other"],
  "says to go on without end": [(socket) => forEver(socket, "HTTP/1.1 100 Continue\r\n\r\n"), /interim responses \(1xx\) without end/, , "bad_answer"],
  "has a chunk that is none": [keep("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), /size of a chunk/, /chunk/i, "bad_answer"],
};

for (const scheme of ["http", "https"]) {
  describe(`handlers over ${scheme} that answer what they must not`, { concurrency: 4 }, () => {
    const certificates = scheme === "https" ? makeCertificates(new Scope(after)) : undefined;

    for (const [what, [act, plain, overTls = plain, kind]] of Object.entries(rows)) {
      test(`one that ${what}`, async (t) => {
        const rude = await startRude(t, act, certificates);
        const good = await startEventServer(t, () => text("fine"));
        const broker = await startWith(t, [
          { urlTemplate: rude.url, userEventPattern: "e" }, { urlTemplate: good.url, userEventPattern: "*" },
        ], certificates?.caFile);
        const [client, neighbour] = [await openJson(t, broker, "chat", { userId: "ann" }), await openJson(t, broker, "chat")];
        const asked = ask(client);
        assert.deepEqual(await ask(neighbour, "other"), { success: true, answer: "fine" });
        assert.equal((await asked).success, false);
        await broker.logged(/user event failed.*\n/); // may come behind the ack
        const lines = broker.log.split("\n").filter((line) => /user event failed/.test(line));
        assert.equal(lines.length, 1, broker.log);
        assert.match(lines[0], certificates ? overTls : plain);
        assert.match(lines[0], new RegExp(`event handler ${rude.origin}/e .*hub=chat connection=${client.welcome.connectionId} user=ann`));
        assert.doesNotMatch(broker.log, /geheim/);
        assert.ok(!rude.paths.includes("/elsewhere"));
        await metricsThat(broker, (metrics) => {
          const kinds = kind.split("|").map((name) => metrics.get("pubhook_handler_failures_total", { kind: name }));
          assert.equal(kinds.reduce((sum, count) => sum + count, 0), 1, `${kind}: ${kinds}`);
          assert.equal(metrics.sum("pubhook_handler_failures_total"), 1);
          assert.equal(metrics.get("pubhook_events_pending"), 0);
        });
        assert.deepEqual(await ask(client, "other", 2), { success: true, answer: "fine" });
      });
    }

    // Closed in an orderly way and otherwise; the next try is answered.
    test("one that closes the connection at each byte of its answer", async (t) => {
      const rude = await startRude(t, (socket, event, attempt) => {
        const at = Number(event.slice(1));
        if (attempt > 1) return socket.write(ok);
        if (at % 2) socket.write(ok.slice(0, at), () => (certificates ? socket.destroy() : socket.resetAndDestroy()));
        else socket.end(ok.slice(0, at));
      }, certificates);
      const broker = await startWith(t, [{ urlTemplate: rude.url, userEventPattern: "*" }], certificates?.caFile);
      const cuts = Array.from({ length: ok.length }, (_, at) => at);
      const clients = await Promise.all(cuts.map(() => openJson(t, broker, "chat")));
      const answers = await Promise.all(clients.map((client, at) => ask(client, `b${at}`)));
      const wrong = cuts.filter((at) => answers[at].answer !== "hello" || !answers[at].success);
      assert.deepEqual(wrong, [], broker.log);
      assert.doesNotMatch(broker.log, /No error|geheim/);
      assert.equal((await metricsOf(broker)).sum("pubhook_handler_failures_total"), 0);
    });

    test("one that sends its headers a byte at a time holds up nobody, and is let go with its client", async (t) => {
      const rude = await startRude(t, (socket) => {
        socket.write("HTTP/1.1 200 OK\r\nX-Slow: ");
        const timer = setInterval(() => socket.write("a"), 20);
        socket.on("close", () => clearInterval(timer));
      }, certificates);
      const good = await startEventServer(t, () => text("fine"));
      const broker = await startWith(t, [
        { urlTemplate: rude.url, userEventPattern: "e" }, { urlTemplate: good.url, userEventPattern: "*" },
      ], certificates?.caFile);
      const [client, neighbour] = [await openJson(t, broker, "chat"), await openJson(t, broker, "chat")];
      client.sendJson({ type: "event", event: "e", dataType: "text", data: "x", ackId: 1 });
      await metricsWhen(broker, (m) => m.get("pubhook_events_pending") === 1, "an event under way");
      for (let n = 1; n <= 20; n++) assert.equal((await ask(neighbour, "other", n)).answer, "fine");
      await client.close();
      await metricsThat(broker, (metrics) => {
        assert.equal(metrics.get("pubhook_events_pending"), 0);
        assert.equal(metrics.get("pubhook_events_total", { event: "user", outcome: "dropped" }), 1);
      });
    });
  });
}

describe("handlers with the wrong kind of TLS", { concurrency: true }, () => {
  const certificates = makeCertificates(new Scope(after));

  async function refused(t, urlTemplate, caFile, expected) {
    const broker = await startWith(t, [{ urlTemplate, userEventPattern: "*" }], caFile);
    const client = await openJson(t, broker, "chat");
    assert.equal((await ask(client)).success, false);
    await broker.logged(expected);
    await metricsThat(broker, (metrics) => assert.equal(metrics.get("pubhook_handler_failures_total", { kind: "validation" }), 1));
  }

  test("a server that speaks none", async (t) => {
    const plain = await startEventServer(t);
    await refused(t, plain.url.replace("http:", "https:"), undefined, /user event failed: .*if it does not speak TLS, use http:\/\//);
  });

  test("a certificate for another name", async (t) => {
    const rude = await startRude(t, keep(ok), certificates);
    const url = rude.origin.replace("localhost", "127.0.0.1");
    await refused(t, url, certificates.caFile, /user event failed: .*the name in the URL must be in the certificate/);
  });

  test("TLS on a port for plain HTTP", async (t) => {
    const rude = await startRude(t, keep(ok), certificates);
    await refused(t, rude.origin.replace("https:", "http:"), undefined, /user event failed: .*(is not HTTP|closed the connection)/);
  });
});
