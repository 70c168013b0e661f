// What pubhookd demands of the events that the broker sends: tokens of a managed identity,
// signatures, keys that change.

import assert from "node:assert/strict";
import { renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { openJson } from "./lib/clients.mjs";
import { IdentityProvider, issuer } from "./lib/entra.mjs";
import { temporaryFolder } from "./lib/paths.mjs";
import { defaultKey, startBroker, startHandler } from "./lib/pubhook.mjs";

const audience = "api://handlers";

function put(file, text) {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

// A broker that sends user events alone to the handler, with a token if there is one.
async function startBrokerFor(t, handler, token) {
  const folder = temporaryFolder(t);
  const settings = path.join(folder, "broker.json");
  const file = path.join(folder, "token");
  const auth = token ? { auth: { type: "BearerFile", file } } : {};
  put(file, token ?? "");
  writeFileSync(settings, JSON.stringify({
    hubs: { chat: { eventHandlers: [{ urlTemplate: handler.url, userEventPattern: "*", ...auth }] } },
  }));
  return startBroker(t, { args: ["--config", settings] });
}

// Sends an event and resolves to its ack.
async function say(client, ackId) {
  client.sendJson({ type: "event", event: "e", dataType: "text", data: "x", ackId });
  for (;;) {
    const frame = await client.nextJson();
    if (frame.type === "ack") return frame;
  }
}

const demands = (provider, ...more) => [
  "--entra-issuer", issuer, "--entra-audience", audience, "--entra-keys", provider.url, ...more,
];

describe("tokens of Microsoft Entra", { concurrency: true }, () => {
  test("the broker sends one, and the handler demands it besides the signature", async (t) => {
    const provider = await IdentityProvider.start(t);
    const handler = await startHandler(t, "echo", { args: demands(provider) });
    const broker = await startBrokerFor(t, handler, provider.token({ aud: audience }));
    const client = await openJson(t, broker, "chat");
    assert.equal((await say(client, 1)).success, true);
    assert.equal(provider.requests, 1);
  });

  test("alone, when it is all that is demanded", async (t) => {
    const provider = await IdentityProvider.start(t);
    const handler = await startHandler(t, "echo", { key: null, args: demands(provider) });
    const broker = await startBrokerFor(t, handler, provider.token({ aud: audience }));
    const client = await openJson(t, broker, "chat");
    assert.equal((await say(client, 1)).success, true);
  });

  test("one for somebody else is refused, and only the log says why", async (t) => {
    const provider = await IdentityProvider.start(t);
    const handler = await startHandler(t, "echo", { args: demands(provider) });
    const broker = await startBrokerFor(t, handler, provider.token({ aud: "api://others" }));
    const client = await openJson(t, broker, "chat");
    assert.equal((await say(client, 1)).success, false);
    await handler.logged(/the token's audience is "api:\/\/others", expected "api:\/\/handlers"/);
    assert.doesNotMatch(broker.log, /audience/);
  });

  test("a signature will do where either is accepted", async (t) => {
    const provider = await IdentityProvider.start(t);
    const handler = await startHandler(t, "echo", { args: demands(provider, "--require", "either") });
    const broker = await startBrokerFor(t, handler);
    const client = await openJson(t, broker, "chat");
    assert.equal((await say(client, 1)).success, true);
  });
});

describe("keys", { concurrency: true }, () => {
  test("a file of keys changes while a client sends", async (t) => {
    const file = path.join(temporaryFolder(t), "keys");
    put(file, "another-key\n");
    const handler = await startHandler(t, "echo", { key: null, args: ["--access-key-file", file] });
    const broker = await startBrokerFor(t, handler);
    const client = await openJson(t, broker, "chat");
    assert.equal((await say(client, 1)).success, false);
    put(file, `# of the loopback interface\nlocalhost ${defaultKey}\n`);
    process.kill(handler.pid, "SIGHUP");
    await handler.logged(/1 access keys were read/);
    assert.equal((await say(client, 2)).success, true);
    put(file, "wrong line here\n");
    await handler.logged(/the access keys from before stay: .*line 1: expected KEY/);
    assert.equal((await say(client, 3)).success, true);
    assert.doesNotMatch(handler.log, new RegExp(defaultKey));
  });

  test("a host with a key of its own is held to that one", async (t) => {
    const handler = await startHandler(t, "echo", { args: ["--origin-key", "localhost=another-key"] });
    const broker = await startBrokerFor(t, handler);
    const client = await openJson(t, broker, "chat");
    assert.equal((await say(client, 1)).success, false);
    await handler.logged(/ce-signature fits none of the 1 access keys of localhost/);
  });
});
