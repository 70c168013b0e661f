// Webhooks: what decoding, signature, dispatch and reply cost beside bare libraries, and
// whether everybody is served.
import { join } from "node:path";
import { folder } from "../lib/bench.mjs";
import { inTemporaryFolder, nginx, withConfigured } from "../lib/configured.mjs";
import { missing, missingNpm } from "../lib/installed.mjs";

const name = "webhook";
const title = "Webhooks";

const bareEcho = "bare libmicrohttpd, echo of the data";
const express = "official Express middleware, as shipped";
const expressEcho = "official Express middleware, echo of the data";
const noHandler = "auth?users=bench"; // has no handler for the event, so it is answered with 204
const columns = { cpu: "server CPU, µs each" };

const missingNginx = missing("/usr/sbin/nginx");
const missingExpress = missingNpm("@azure/web-pubsub-express");

// Requests for some seconds from clients that are never silent; `pids` are who works.
const flood = (bench, answer) => async ({ port, pids }) => {
  const out = await bench.load("webhook", [port, 64, bench.seconds, 0, answer], { pids });
  const cpu = (out.cpu_s * 1e6) / out.requests;
  return { value: out.requests_per_s, p50: out.p50_us, p99: out.p99_us, cpu };
};

function overHttp(bench) {
  const alone = (server, answer = "empty") => bench.with(server(), ({ port, pid }) => flood(bench, answer)({ port, pids: [pid] }));
  const script = (...args) => () => ({ command: [process.execPath, join(folder, "peers", args[0]), ...args.slice(1)], ready: /^ready (\d+)$/ });
  const better = (bare, middleware) => [{ ratio: 0.85, of: bare }, { ratio: 7, of: middleware }];
  return {
    title: "Webhooks over HTTP, one server core, 64 connections",
    note: "POST with a body of 64 bytes; HMAC-SHA256 of the connection id, except by nginx and by Express, which is shipped without.",
    unit: "requests/s",
    better: "more",
    columns,
    plot: { kind: "bars", file: "webhook" },
    subjects: [
      { name: "bare libmicrohttpd, 204", measure: () => alone(() => bench.bare("bare_http", "1")) },
      { name: "pubhookd, 204", goal: better("bare libmicrohttpd, 204", express), measure: () => alone(() => bench.pubhookd(noHandler)) },
      { name: bareEcho, measure: () => alone(() => bench.bare("bare_http", "1", "echo"), "echo") },
      { name: "pubhookd, echo of the data", goal: better(bareEcho, expressEcho), measure: () => alone(() => bench.pubhookd("echo"), "echo") },
      {
        name: "nginx, `return 204`",
        missing: missingNginx,
        measure: () => withConfigured(bench, "nginx-204.conf", { command: nginx }, ({ port, pid }) => flood(bench, "empty")({ port, pids: [pid] })),
      },
      { name: "Node http, 204", measure: () => alone(script("node_http.mjs")) },
      { name: express, missing: missingExpress, measure: () => alone(script("express.mjs")) },
      { name: expressEcho, missing: missingExpress, measure: () => alone(script("express.mjs", "echo"), "echo") },
      { name: "official Express middleware, signature checked", missing: missingExpress, measure: () => alone(script("express.mjs", "check")) },
    ],
  };
}

/* --- Behind nginx ------------------------------------------------------------------- */

const bareFcgi = (bench, threads) => (socket) => ({
  command: [bench.program("tests/bench/bare/bare_fcgi"), socket, String(threads)],
  ready: /^ready/,
});
const pubhookd = (bench, threads) => (socket) => bench.pubhookd(noHandler, { fastcgi: socket, threads });

// nginx and the application that `start` makes of a socket's path, both on the server's core.
function behindNginx(bench, start, measure) {
  return inTemporaryFolder((temporary) => {
    const socket = join(temporary, "socket");
    return bench.with(start(socket), (application) =>
      withConfigured(bench, "nginx-fastcgi.conf", { command: nginx, values: { SOCKET: socket } }, ({ port, pid }) =>
        measure({ port, pids: [pid, application.pid] }),
      ),
    );
  });
}

function overFastcgi(bench) {
  const subject = (name, start, goal) => ({ name, goal, missing: missingNginx, measure: () => behindNginx(bench, start, flood(bench, "empty")) });
  return {
    title: "Webhooks over FastCGI behind nginx, both on one core, 64 connections",
    note: "Connections between nginx and the application are kept alive.",
    unit: "requests/s",
    better: "more",
    columns,
    plot: { kind: "bars", file: "fastcgi" },
    subjects: [
      subject("bare libfcgi, 64 threads", bareFcgi(bench, 64)),
      ...[1, 4, 16, 64].map((threads) => subject(`pubhookd, ${threads} thread${threads > 1 ? "s" : ""}`, pubhookd(bench, threads), { ratio: 1 })),
    ],
  };
}

/* --- Whether everybody is served -------------------------------------------------------- */

const patience = 5; // seconds

const finish = (bench, clients, requests) => async ({ port }) => {
  const out = await bench.load("webhook", [port, clients, patience, requests, "empty"]);
  return { value: out.finished, fewest: out.fewest };
};

const everybody = {
  unit: "clients that finished",
  better: "more",
  runs: 1,
  columns: { fewest: "fewest answers to one" },
};

function starvation(bench) {
  const [clients, requests] = [32, 20];
  const subject = (name, start, goal) => ({ name, goal, missing: missingNginx, measure: () => behindNginx(bench, start, finish(bench, clients, requests)) });
  return {
    ...everybody,
    title: `${clients} clients, ${requests} requests each, behind nginx: who is served within ${patience} s`,
    note: "A thread of bare libfcgi serves one connection of nginx for as long as nginx keeps it.",
    subjects: [
      ...[1, 2, 4, 16, 64].map((threads) => subject(`pubhookd, threads: ${threads}`, pubhookd(bench, threads), { atLeast: clients })),
      ...[1, 4, 64].map((threads) => subject(`bare libfcgi, threads: ${threads}`, bareFcgi(bench, threads))),
    ],
  };
}

function crowds(bench) {
  const requests = 200;
  const subject = (name, server, clients, goal) => ({ name: `${name}, ${clients} clients`, goal, measure: () => bench.with(server(), finish(bench, clients, requests)) });
  const sizes = [127, 128, 256];
  return {
    ...everybody,
    title: `${requests} requests each, over HTTP, all clients at once: who is served within ${patience} s`,
    note: "A loop of libmicrohttpd 0.9.75 sleeps on 128 events that come together, until one more comes.",
    subjects: [
      ...sizes.map((clients) => subject("pubhookd", () => bench.pubhookd(noHandler), clients, { atLeast: clients })),
      ...sizes.map((clients) => subject("bare libmicrohttpd", () => bench.bare("bare_http", "1"), clients)),
    ],
  };
}

const tables = (bench) => [overHttp(bench), overFastcgi(bench), starvation(bench), crowds(bench)];

export default { name, title, tables };
