// WebSocket frames over a real socket: what the codec's vectors check in a function
// call, seen by a client; and keep-alive, which only shows in time.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { accessUrl, openSocket, reliableProtocol, serviceClient } from "./lib/clients.mjs";
import { RawConnection } from "./lib/net.mjs";
import { temporaryFolder } from "./lib/paths.mjs";
import { startBroker } from "./lib/pubhook.mjs";

// Anybody may come, and has `seconds` to show that it lives.
async function brokerWithKeepAlive(t, seconds) {
  const file = join(temporaryFolder(t), "broker.json");
  const hub = { anonymousConnectPolicy: "allow", webSocketKeepAliveIntervalInSeconds: seconds };
  await writeFile(file, `// a comment is allowed\n${JSON.stringify({ hubs: { chat: hub } })}`);
  return startBroker(t, { args: ["--config", file] });
}

// A client whose upgrade is through; `received` then holds frames only.
async function openFrames(t, broker) {
  const connection = await RawConnection.open(t, broker.port);
  connection.write(
    `GET /client/hubs/chat HTTP/1.1\r\nHost: ${broker.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  assert.equal(await connection.status(), 101);
  connection.received = connection.received.subarray(connection.text.indexOf("\r\n\r\n") + 4);
  return connection;
}

// [what, frames from the client in hex, first bytes of the answer in hex]
const exchanges = [
  ["a closing handshake", "8882 00000000 03e8", "880203e8"],
  ["a close without a code", "8880 00000000", "8800"],
  ["a ping before it", "8981 00000000 61 8882 00000000 0fa0", "8a016188020fa0"],
  ["a frame without a mask (RFC 6455 section 5.1)", "810161", "03ea"],
  ["a reserved opcode (section 5.2)", "8380 00000000", "03ea"],
  ["a fragmented ping (section 5.5)", "0980 00000000", "03ea"],
  ["a message over 1 MiB, by its header (section 10.4)", "82ff 0000000000100001 00000000", "03f1"],
  ["text that is not UTF-8 (section 8.1)", "0181 00000000 ff", "03ef"],
];

describe("frames", () => {
  for (const [what, sent, answer] of exchanges) {
    for (const pieces of ["whole", "byte by byte"]) {
      test(`${what}, ${pieces}`, async (t) => {
        const client = await openFrames(t, await brokerWithKeepAlive(t, 120));
        const bytes = Buffer.from(sent.replaceAll(" ", ""), "hex");
        client.socket.setNoDelay(true);
        if (pieces === "whole") client.write(bytes);
        else for (const byte of bytes) client.write(Buffer.from([byte]));
        await client.closed; // the broker ends the connection
        const hex = client.received.toString("hex");
        // A refusal is a close frame: its code stands behind two bytes of header.
        assert.ok(hex.startsWith(answer) || (hex.startsWith("88") && hex.startsWith(answer, 4)), hex);
      });
    }
  }
});

describe("keep-alive", { concurrency: true }, () => {
  test("a silent client is pinged, then dropped", async (t) => {
    const broker = await brokerWithKeepAlive(t, 1);
    const client = await openFrames(t, broker);
    await client.closed;
    assert.equal(client.received.toString("hex"), "8900");
    await broker.logged(/closed \(PingTimeout\): The client did not answer pings\..*webSocketKeepAliveInterval/);
  });

  // Its network may be back in a moment, so it has lost no more than its socket.
  test("a silent client that can recover loses its socket, and comes back", async (t) => {
    const broker = await brokerWithKeepAlive(t, 3);
    const url = new URL(await accessUrl(broker, "chat", { groups: ["g"] }));
    const silent = await openSocket(t, url.href, reliableProtocol, { autoPong: false });
    const { connectionId, reconnectionToken } = await silent.nextJson();
    await silent.closed;
    await broker.logged(/may come back .*The client did not answer pings/);
    await serviceClient(broker, "chat").group("g").sendToAll("while away", { contentType: "text/plain" });
    url.searchParams.set("awps_connection_id", connectionId);
    url.searchParams.set("awps_reconnection_token", reconnectionToken);
    const back = await openSocket(t, url.href, reliableProtocol);
    assert.equal((await back.nextJson()).connectionId, connectionId);
    assert.equal((await back.nextJson()).data, "while away");
  });

  test("a client that answers stays", async (t) => {
    const client = await openFrames(t, await brokerWithKeepAlive(t, 4));
    let pings = 0;
    const second = new Promise((resolve) => {
      client.socket.on("data", () => {
        client.write(Buffer.from("8a8000000000", "hex"));
        if (++pings === 2) resolve("alive");
      });
    });
    assert.equal(await Promise.race([second, client.closed.then(() => "closed")]), "alive");
  });
});
