// An event handler in the test's process: consents to be sent events, records them, and
// answers as it is told, over HTTP, HTTPS or HTTP/2.

import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import { cleanup } from "./cleanup.mjs";
import { temporaryFolder } from "./paths.mjs";
import { Records } from "./records.mjs";

// An issuer of its own and a certificate by it for "localhost".
export function makeCertificates(t) {
  const folder = temporaryFolder(t);
  const file = (name) => `${folder}/${name}`;
  const openssl = (...args) => execFileSync("openssl", args, { stdio: "pipe" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  openssl("req", "-x509", ...key, "-subj", "/CN=private issuer", "-keyout", file("ca.key"), "-out", file("ca.pem"));
  openssl("req", "-x509", ...key, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
    "-addext", "basicConstraints=critical,CA:FALSE", "-CA", file("ca.pem"), "-CAkey", file("ca.key"),
    "-keyout", file("cert.key"), "-out", file("cert.pem"));
  return { caFile: file("ca.pem"), cert: readFileSync(file("cert.pem")), key: readFileSync(file("cert.key")) };
}

// `answer` gets an event and returns { status, headers, body }, a promise of that, or "hang".
// `records` has the events; `sessions` and `sockets` count connections.
export async function startEventServer(t, answer = () => ({ status: 204 }), { tls, h2, port = 0 } = {}) {
  const records = new Records();
  const handler = { records, sessions: 0, sockets: 0, hanging: 0 };
  const serve = (request, response) => {
    if (request.method === "OPTIONS") {
      response.writeHead(200, { "WebHook-Allowed-Origin": "*" }).end();
      records.put({ validation: true, authorization: request.headers.authorization });
      return;
    }
    let body = "";
    request.on("data", (data) => (body += data)).on("end", async () => {
      const event = {
        event: request.headers["ce-eventname"],
        type: request.headers["ce-type"],
        hub: request.headers["ce-hub"],
        connectionId: request.headers["ce-connectionid"],
        url: request.url,
        authorization: request.headers.authorization,
        httpVersion: request.httpVersion,
        headers: request.headers,
        body,
      };
      records.put(event);
      const reply = await answer(event);
      if (reply === "hang") {
        handler.hanging++;
        return;
      }
      response.writeHead(reply.status, reply.headers).end(reply.body);
    });
  };
  const server = h2 ? http2.createSecureServer({ ...tls, allowHTTP1: true }, serve)
    : tls ? (await import("node:https")).createServer(tls, serve) : http.createServer(serve);
  server.keepAliveTimeout = 0; // a client that is slow finds its connection where it left it
  const open = new Set();
  server.on("session", (session) => {
    handler.sessions++;
    cleanup(t, () => session.destroy());
  });
  server.on(tls ? "secureConnection" : "connection", (socket) => {
    handler.sockets++;
    open.add(socket.on("error", () => {}).on("close", () => open.delete(socket)));
  });
  server.listen(port, tls ? "localhost" : "127.0.0.1");
  await once(server, "listening");
  handler.port = server.address().port;
  handler.url = tls ? `https://localhost:${handler.port}` : `http://127.0.0.1:${handler.port}`;
  let stopped;
  handler.stop = () => (stopped ??= new Promise((resolve) => {
    server.close(resolve);
    for (const socket of open) socket.destroy();
  }));
  cleanup(t, handler.stop);
  return handler;
}

export const text = (body) => ({ status: 200, headers: { "Content-Type": "text/plain" }, body });
