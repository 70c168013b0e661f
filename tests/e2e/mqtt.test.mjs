// Events of MQTT clients, as the service sends them, at our framework over each transport and at
// the official middleware: what the two answer to connect must be the same.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Scope } from "./lib/cleanup.mjs";
import { startExpressWitness } from "./lib/express.mjs";
import { temporaryFolder, testPlugin } from "./lib/paths.mjs";
import { startHandler } from "./lib/pubhook.mjs";
import { eventSignature } from "./lib/tokens.mjs";
import { startLighttpdCgi, startNginxFastcgi } from "./lib/webservers.mjs";

const hub = "chat";
const client = "device-1";

const handlers = {
  "HTTP": (scope) => startHandler(scope, testPlugin("witness")),
  "nginx and FastCGI": async (scope) => {
    const socket = `${temporaryFolder(scope)}/pubhook.sock`;
    await startHandler(scope, testPlugin("witness"), { fastcgi: socket });
    return startNginxFastcgi(scope, socket);
  },
  "lighttpd and CGI": (scope) => startLighttpdCgi(scope, testPlugin("witness")),
};

function post(url, type, body, headers) {
  return fetch(url, {
    method: "POST",
    body,
    headers: {
      "content-type": "application/json",
      "ce-specversion": "1.0",
      "ce-awpsversion": "1.0",
      "ce-type": `azure.webpubsub.${type}`,
      "ce-source": `/hubs/${hub}/client/${client}/phys-1`,
      "ce-id": "1",
      "ce-time": "2026-11-20T12:00:00Z",
      "ce-signature": eventSignature(client),
      "ce-connectionId": client,
      "ce-hub": hub,
      "ce-eventName": type.split(".").at(-1),
      "ce-physicalConnectionId": "phys-1",
      "ce-subprotocol": "mqtt",
      "webhook-request-origin": "localhost",
      ...headers,
    },
  });
}

async function connect(url, protocolVersion, query) {
  const body = {
    claims: {}, query, headers: {}, subprotocols: ["mqtt"], clientCertificates: [],
    mqtt: { protocolVersion, cleanStart: true, username: "bob", password: "cGFzcw==", userProperties: [{ name: "a", value: "1" }] },
  };
  const response = await post(url, "sys.connect", JSON.stringify(body));
  const text = await response.text();
  return { status: response.status, body: text ? JSON.parse(text) : null };
}

for (const [name, start] of Object.entries(handlers)) {
  describe(name, () => {
    const scope = new Scope(after);
    let ours, theirs;
    before(async () => {
      ours = (await start(scope)).url;
      theirs = (await startExpressWitness(scope, hub)).url;
    });

    for (const version of [4, 5]) {
      for (const reject of ["400", "401", "500"]) {
        test(`connect refused with ${reject}, protocol version ${version}: the code of the official middleware`, async () => {
          const [got, expected] = [await connect(ours, version, { reject: [reject] }), await connect(theirs, version, { reject: [reject] })];
          assert.equal(got.status, expected.status);
          assert.deepEqual(got.body.mqtt, { code: expected.body.mqtt.code, reason: "the witness refuses" });
        });
      }
    }

    test("connect accepted as the official middleware does", async () => {
      const query = { userId: ["eve"], joins: ["a", "b"], role: ["webpubsub.sendToGroup.b"] };
      const [got, expected] = [await connect(ours, 5, query), await connect(theirs, 5, query)];
      assert.deepEqual(got, { status: 200, body: { userId: "eve", groups: ["a", "b"], roles: query.role } });
      assert.deepEqual(expected.body, got.body);
    });

    test("disconnected, with a packet and without", async () => {
      for (const disconnectPacket of [null, { code: 4, userProperties: [{ name: "a", value: "b" }] }]) {
        const body = JSON.stringify({ reason: null, mqtt: { initiatedByClient: true, disconnectPacket } });
        const { status } = await post(ours, "sys.disconnected", body, { "ce-sessionId": "sess-1" });
        assert.equal(status, 204);
      }
    });

    test("a user event of any type, with its properties, is answered with both", async () => {
      const bytes = Buffer.from([0, 1, 254, 255]);
      const response = await post(ours, "user.publish", bytes, { "content-type": "image/x-custom; q=1", "mqtt-room": "7", "ce-sessionId": "sess-1" });
      assert.equal(response.status, 200);
      assert.equal(response.headers.get("content-type"), "image/x-custom; q=1");
      assert.equal(response.headers.get("mqtt-room"), "7");
      assert.deepEqual(Buffer.from(await response.arrayBuffer()), bytes);
    });
  });
}
