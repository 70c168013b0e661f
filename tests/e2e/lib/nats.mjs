// A NATS server, and a subscriber that speaks its text protocol.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import net from "node:net";
import { cleanup } from "./cleanup.mjs";
import { Inbox } from "./clients.mjs";

const program = ["/usr/sbin/nats-server", "/usr/bin/nats-server"].find(existsSync) ?? "nats-server";

export async function startNats(t, port, args = []) {
  const child = spawn(program, ["--addr", "127.0.0.1", "--port", String(port), ...args], { stdio: ["ignore", "ignore", "pipe"] });
  const exited = once(child, "exit");
  let log = "";
  const ready = new Promise((resolve, reject) => {
    child.stderr.setEncoding("utf8").on("data", (text) => {
      log += text;
      if (log.includes("Server is ready")) resolve();
    });
    exited.then(() => reject(new Error(`nats-server ended: ${log}`)), reject);
  });
  const server = {
    port,
    url: `nats://127.0.0.1:${port}`,
    async stop(signal = "SIGTERM") {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      await exited;
    },
  };
  cleanup(t, () => server.stop());
  await ready;
  return server;
}

// A server that denies every message, and says so as late as it can: behind the confirmation of
// the batch, where a real one says it before.
export async function startDenyingNats(t) {
  const server = net.createServer((socket) => {
    let buffer = Buffer.alloc(0);
    let denials = "";
    const readLine = () => {
      const at = buffer.indexOf("\r\n");
      if (at < 0) return false;
      const words = buffer.subarray(0, at).toString().split(" ");
      const end = at + 2 + (words[0] === "HPUB" ? Number(words.at(-1)) + 2 : 0);
      if (buffer.length < end) return false;
      buffer = buffer.subarray(end);
      if (words[0] === "HPUB") denials += `-ERR 'Permissions Violation for Publish to "${words[1]}"'\r\n`;
      if (words[0] !== "PING") return true;
      socket.write(`PONG\r\n${denials}`);
      denials = "";
      return true;
    };
    socket.on("data", (bytes) => {
      buffer = Buffer.concat([buffer, bytes]);
      while (readLine());
    });
    socket.on("error", () => {});
    cleanup(t, () => socket.destroy());
    socket.write(`INFO ${JSON.stringify({ server_id: "x", version: "2.9.10", headers: true, max_payload: 1048576 })}\r\n`);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanup(t, () => server.close());
  return { url: `nats://127.0.0.1:${server.address().port}` };
}

function parseHeaders(text) {
  const lines = text.split("\r\n").slice(1).filter(Boolean);
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]));
}

// Messages of a subject, wildcards allowed, as {subject, headers, body}.
export async function subscribe(t, server, subject, { user, pass } = {}) {
  const inbox = new Inbox(`NATS ${subject}`);
  const socket = net.connect(server.port, "127.0.0.1");
  cleanup(t, () => socket.destroy());
  let buffer = Buffer.alloc(0);
  let subscribed;
  const ready = new Promise((resolve) => (subscribed = resolve));
  const readMessage = (line, end) => {
    const words = line.split(" ");
    const [headerSize, size] = words[0] === "HMSG" ? words.slice(-2).map(Number) : [0, Number(words.at(-1))];
    if (buffer.length < end + size + 2) return false;
    const bytes = buffer.subarray(end, end + size);
    inbox.put({
      subject: words[1],
      headers: parseHeaders(bytes.subarray(0, headerSize).toString()),
      body: bytes.subarray(headerSize),
    });
    buffer = buffer.subarray(end + size + 2);
    return true;
  };
  const readLine = () => {
    const at = buffer.indexOf("\r\n");
    if (at < 0) return false;
    const line = buffer.subarray(0, at).toString();
    if (/^H?MSG /.test(line)) return readMessage(line, at + 2);
    buffer = buffer.subarray(at + 2);
    if (line === "PING") socket.write("PONG\r\n");
    if (line === "PONG") subscribed();
    if (line.startsWith("-ERR")) inbox.close(line);
    return true;
  };
  socket.on("data", (bytes) => {
    buffer = Buffer.concat([buffer, bytes]);
    while (readLine());
  });
  socket.on("error", () => {});
  socket.on("close", () => inbox.close("the server has gone"));
  socket.write(`CONNECT ${JSON.stringify({ verbose: false, headers: true, user, pass })}\r\nSUB ${subject} 1\r\nPING\r\n`);
  await ready;
  return inbox;
}
