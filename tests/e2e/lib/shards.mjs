// Which shard of a broker has a connection is the kernel's choice, made by the addresses and
// ports of both ends. A local port whose connection went to a shard once goes there again,
// so a test that finds out can choose.

import assert from "node:assert/strict";
import { Agent, request } from "node:http";
import { jsonProtocol, openSocket } from "./clients.mjs";
import { now, signToken } from "./tokens.mjs";

// The last two digits of a connection id.
export const shardOf = (connectionId) => parseInt(connectionId.slice(-2), 16);

export class Shards {
  #ports; // that are free, by shard
  #agents = new Map();

  constructor(t, broker, count) {
    Object.assign(this, { t, broker, count });
    this.#ports = Array.from({ length: count }, () => []);
  }

  // Looks where a connection of any port goes, in a hub of its own. A reset leaves nothing
  // behind that keeps the port from being used again.
  async #probe() {
    const url = `${this.broker.url}/client/hubs/probes`;
    const token = signToken({ aud: url, exp: now() + 60 });
    const socket = await openSocket(this.t, `${url.replace("http", "ws")}?access_token=${token}`, jsonProtocol);
    const { connectionId } = await socket.nextJson();
    const { localPort } = socket.ws._socket;
    socket.ws._socket.resetAndDestroy();
    await socket.closed;
    this.#ports[shardOf(connectionId)].push(localPort);
  }

  // What `connect` makes of a local port whose connection goes to the shard. Another program
  // may have taken the port since it was seen to be free.
  async to(shard, connect) {
    for (;;) {
      while (this.#ports[shard].length === 0) await this.#probe();
      const localPort = this.#ports[shard].shift();
      try {
        return await connect({ localAddress: "127.0.0.1", localPort });
      } catch (error) {
        if (error.code !== "EADDRINUSE" && error.code !== "EADDRNOTAVAIL") throw error;
      }
    }
  }

  // A REST call that the shard answers, on a connection that stays open for the next.
  async call(shard, method, pathAndQuery, { headers = {}, body } = {}) {
    const url = `${this.broker.url}${pathAndQuery}`;
    const all = { Authorization: `Bearer ${signToken({ aud: url, exp: now() + 60 })}`, ...headers };
    const through = (agent) => new Promise((resolve, reject) => {
      const answered = (response) => {
        const chunks = [];
        response.on("data", (chunk) => chunks.push(chunk)).once("error", reject);
        response.once("end", () => resolve({ status: response.statusCode, text: Buffer.concat(chunks).toString() }));
      };
      request(url, { method, headers: all, agent }, answered).once("error", reject).end(body);
    });
    if (this.#agents.has(shard)) return through(this.#agents.get(shard));
    return this.to(shard, async (dial) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1, ...dial });
      const answer = await through(agent);
      assert.ok(answer.status);
      this.#agents.set(shard, agent);
      this.t.after(() => agent.destroy());
      return answer;
    });
  }
}
