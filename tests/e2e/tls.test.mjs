// nginx/broker.conf in front of the broker: the official packages over TLS, with no
// option that an application for the cloud service would not have.

import assert from "node:assert/strict";
import { test } from "node:test";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { patience } from "./lib/patience.mjs";
import { startBroker } from "./lib/pubhook.mjs";
import { startNginxBroker } from "./lib/webservers.mjs";

const run = promisify(execFile);

// In a process of its own, because node reads NODE_EXTRA_CA_CERTS once, at its start.
const application = `
  import { WebPubSubServiceClient } from "@azure/web-pubsub";
  import { WebPubSubClient } from "@azure/web-pubsub-client";
  const service = new WebPubSubServiceClient(process.env.WebPubSubConnectionString, "chat");
  const { url } = await service.getClientAccessToken({ userId: "ann", groups: ["a/b"] });
  const client = new WebPubSubClient(url);
  const messages = [];
  const both = new Promise((resolve) => {
    for (const kind of ["server-message", "group-message"]) {
      client.on(kind, ({ message }) => messages.push(message.data) === 3 && resolve());
    }
  });
  await client.start();
  await client.sendEvent("greet", "from the client", "text");
  await service.sendToAll({ from: "the service" });
  await service.group("a/b").sendToAll("to the group", { contentType: "text/plain" });
  await both;
  console.log(JSON.stringify({ url, messages }));
  process.exit();
`;

test("the SDKs connect over https and wss through nginx", async (t) => {
  const broker = await startBroker(t, { handlers: { chat: "echo" } });
  const { url, certificateFile } = await startNginxBroker(t, broker);
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", application], {
    cwd: new URL(".", import.meta.url).pathname,
    timeout: patience,
    env: {
      ...process.env,
      NODE_EXTRA_CA_CERTS: certificateFile,
      WebPubSubConnectionString: broker.connectionString.replace(broker.url, url),
    },
  });
  const { url: clientUrl, messages } = JSON.parse(stdout);
  assert.match(clientUrl, /^wss:\/\/localhost:/);
  assert.deepEqual(messages, ["from the client", { from: "the service" }, "to the group"]);
});

test("metrics are not for those who come through nginx", async (t) => {
  const broker = await startBroker(t);
  const { url, certificateFile } = await startNginxBroker(t, broker);
  const { stdout } = await run("curl", ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", certificateFile, `${url}/metrics`]);
  assert.equal(stdout, "404");
  assert.equal((await fetch(`${broker.url}/metrics`)).status, 200);
});
