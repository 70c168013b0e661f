// Sockets below HTTP and WebSocket: malformed requests, cut connections.

import { randomInt } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import net from "node:net";
import { cleanup } from "./cleanup.mjs";
import { patience } from "./patience.mjs";

// A port that nobody has now: for servers that cannot say which one they took, or that are
// stopped and started again. It is below those that the kernel gives to whoever asks for any,
// if it leaves some, so that nobody gets it in between.
export async function freePort() {
  const [kernels] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").split("\t").map(Number);
  for (;;) {
    const server = net.createServer().listen(kernels > 15_000 ? randomInt(10_000, kernels) : 0, "127.0.0.1");
    try {
      await once(server, "listening");
    } catch (error) {
      if (error.code === "EADDRINUSE") continue;
      throw error;
    }
    const { port } = server.address();
    server.close();
    await once(server, "close");
    return port;
  }
}

// Does somebody listen there? `address` is what net.connect takes.
export async function accepts(address) {
  const socket = net.connect(address);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

// A plain TCP connection that collects what it receives.
export class RawConnection {
  received = Buffer.alloc(0);

  static async open(t, port) {
    const connection = new RawConnection();
    connection.socket = net.connect(port, "127.0.0.1");
    connection.socket.on("data", (bytes) => (connection.received = Buffer.concat([connection.received, bytes])));
    connection.socket.on("error", () => {}); // a reset ends it as much as a FIN
    connection.closed = new Promise((resolve) => connection.socket.once("close", resolve));
    cleanup(t, () => connection.socket.destroy());
    await once(connection.socket, "connect");
    return connection;
  }
  write(data) {
    this.socket.write(data);
    return this;
  }
  get text() {
    return this.received.toString("latin1");
  }
  // The status of the answer once its head is there; 0 when the peer closes without one.
  async status(milliseconds = patience) {
    const status = () => Number(/^HTTP\/1\.1 (\d{3}) [\s\S]*?\r\n\r\n/.exec(this.text)?.[1] ?? 0);
    const signal = AbortSignal.timeout(milliseconds);
    while (!status()) {
      if (this.socket.destroyed || this.socket.readableEnded) return status();
      await Promise.race([once(this.socket, "data", { signal }), this.closed]);
    }
    return status();
  }
}

// The status that a request, given as bytes, is answered with.
export async function statusOf(t, port, request) {
  const connection = await RawConnection.open(t, port);
  connection.write(request);
  const status = await connection.status();
  connection.socket.destroy();
  return status;
}

// Forwards to a port and can cut what goes through it, as a bad network would.
export class CuttableProxy {
  #pairs = new Set();
  cuts = 0;
  cutsOf = { up: 0, down: 0 };
  // () => after how many bytes a new connection is cut: { up } to the target, { down } to the client
  life = undefined;

  static async start(t, targetPort) {
    const proxy = new CuttableProxy();
    proxy.server = net.createServer((client) => proxy.#join(client, net.connect(targetPort, "127.0.0.1")));
    proxy.server.listen(0, "127.0.0.1");
    await once(proxy.server, "listening");
    proxy.port = proxy.server.address().port;
    cleanup(t, () => {
      proxy.cut();
      proxy.server.close();
    });
    return proxy;
  }

  #join(client, target) {
    const pair = { client, target };
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      client.destroy();
      target.destroy();
    };
    pair.left = { up: Infinity, down: Infinity, ...this.life?.() };
    client.on("data", (bytes) => this.#lives(pair, "up", bytes, target, end) && target.write(bytes));
    target.on("data", (bytes) => this.#lives(pair, "down", bytes, client, end) && this.#forward(bytes, client, end));
    for (const socket of [client, target]) socket.on("error", end).on("close", end);
  }

  // False: the connection is over, in the middle of these bytes or before.
  #lives(pair, way, bytes, to, end) {
    if (pair.over) return false;
    if (bytes.length < pair.left[way]) {
      pair.left[way] -= bytes.length;
      return true;
    }
    to.write(bytes.subarray(0, pair.left[way]), end); // whatever is on its way back is lost
    pair.over = true;
    this.cuts++;
    this.cutsOf[way]++;
    return false;
  }

  #forward(bytes, client, end) {
    if (this.budget === undefined) return client.write(bytes);
    const part = bytes.subarray(0, this.budget);
    this.budget -= part.length;
    if (this.budget > 0) return client.write(part);
    this.budget = undefined;
    this.cuts++;
    client.write(part, end); // the rest of what the broker sent is lost
  }

  // Lets `bytes` more bytes down to the client, then cuts, in the middle of whatever comes.
  cutAfter(bytes) {
    this.budget = bytes;
  }
  cut() {
    for (const { client, target } of [...this.#pairs]) {
      client.destroy();
      target.destroy();
    }
  }
}
