// Services that call with tokens of Microsoft Entra, and brokers behind proxies that
// change the Host (client-and-rest section 5.6).

import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { openSocket, refusedStatus } from "./lib/clients.mjs";
import { IdentityProvider, audience, issuer } from "./lib/entra.mjs";
import { program, sanitizerEnvironment, temporaryFolder } from "./lib/paths.mjs";
import { patience } from "./lib/patience.mjs";
import { startBroker } from "./lib/pubhook.mjs";
import { now, signToken } from "./lib/tokens.mjs";
import { freePort } from "./lib/net.mjs";
import { startNginxBroker } from "./lib/webservers.mjs";

const run = promisify(execFile);

function startConfigured(t, settings, options = {}) {
  const file = path.join(temporaryFolder(t), "broker.json");
  writeFileSync(file, JSON.stringify(settings));
  return startBroker(t, { ...options, args: ["--config", file] });
}

// An application in a process of its own, which trusts nginx's certificate.
async function runApplication(source, certificateFile, env) {
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", source], {
    cwd: new URL(".", import.meta.url).pathname,
    timeout: patience,
    env: { ...process.env, NODE_EXTRA_CA_CERTS: certificateFile, ...env },
  });
  return JSON.parse(stdout);
}

function callWith(broker, token, method, pathAndQuery, body) {
  return fetch(`${broker.url}${pathAndQuery}`, { method, body, headers: { Authorization: `Bearer ${token}` } });
}

const payload = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url"));

// The package takes a TokenCredential over https alone, and asks the service for the
// tokens of its clients.
const entraApplication = `
  import { WebPubSubServiceClient } from "@azure/web-pubsub";
  import { WebPubSubClient } from "@azure/web-pubsub-client";
  const scopes = [];
  const credential = {
    getToken(scope) {
      scopes.push(scope);
      return Promise.resolve({ token: process.env.TOKEN, expiresOnTimestamp: Date.now() + 3_600_000 });
    },
  };
  const service = new WebPubSubServiceClient(process.env.ENDPOINT, credential, "Chat");
  const { token, url } = await service.getClientAccessToken({
    userId: "ann/Ω", groups: ["a/b", "c"], roles: ["webpubsub.sendToGroup.a/b", "webpubsub.joinLeaveGroup"],
    expirationTimeInMinutes: 5,
  });
  const mqtt = await service.getClientAccessToken({ clientProtocol: "mqtt" });
  const client = new WebPubSubClient(url);
  const messages = [];
  const both = new Promise((resolve) => {
    for (const kind of ["server-message", "group-message"]) {
      client.on(kind, ({ message }) => messages.push(message.data) === 3 && resolve());
    }
  });
  await client.start();
  await client.sendToGroup("a/b", "from the client", "text");
  await service.sendToUser("ann/Ω", "to the user", { contentType: "text/plain" });
  await service.group("a/b").sendToAll({ to: "the group" });
  await both;
  const second = new WebPubSubClient(url);
  await second.start();
  const users = [];
  for await (const { userId } of await service.group("a/b").listConnections({ maxPageSize: 1 })) users.push(userId);
  const exists = [await service.userExists("ann/Ω"), await service.userExists("nobody")];
  console.log(JSON.stringify({ scopes, token, mqtt: mqtt.token, messages, exists, users }));
  process.exit();
`;

test("the SDK with a TokenCredential calls, makes tokens, and its client connects", async (t) => {
  const provider = await IdentityProvider.start(t);
  const broker = await startConfigured(t, { entra: { issuer, jwksUrl: provider.url } });
  const { url, certificateFile } = await startNginxBroker(t, broker);
  const seen = await runApplication(entraApplication, certificateFile, { ENDPOINT: url, TOKEN: provider.token() });
  assert.deepEqual(new Set(seen.scopes.flat()), new Set([`${audience}/.default`]));
  assert.deepEqual(seen.messages, ["from the client", "to the user", { to: "the group" }]);
  assert.deepEqual(seen.exists, [true, false]);
  assert.deepEqual(seen.users, ["ann/Ω", "ann/Ω"], "the second page is asked for over https");
  const claims = payload(seen.token);
  assert.deepEqual(
    { ...claims, iat: 0, exp: claims.exp - claims.iat },
    {
      aud: `${url}/client/hubs/chat`, sub: "ann/Ω", iat: 0, exp: 300,
      role: ["webpubsub.sendToGroup.a/b", "webpubsub.joinLeaveGroup"], "webpubsub.group": ["a/b", "c"],
    },
  );
  assert.equal(payload(seen.mqtt).aud, `${url}/clients/mqtt/hubs/chat`);
  assert.equal(provider.requests, 1);
});

test("tokens of another issuer, audience, key or time are refused; :generateToken is for Entra alone", async (t) => {
  const provider = await IdentityProvider.start(t);
  const stranger = await IdentityProvider.start(t);
  const broker = await startConfigured(t, { entra: { issuer, jwksUrl: provider.url } });
  const target = "/api/hubs/chat/users/nobody?api-version=2024-12-01";
  const rows = [
    [provider.token(), 404],
    [provider.token({ aud: `${audience}/` }), 404],
    [provider.token({ exp: now() - 240 }), 404],
    [provider.token({ nbf: now() + 240 }), 404],
    [provider.token({ iss: "https://sts.windows.net/other/" }), 401],
    [provider.token({ iss: undefined }), 401],
    [provider.token({ aud: "api://other" }), 401],
    [provider.token({ aud: `${broker.url}/api/hubs/chat/users/nobody` }), 401],
    [provider.token({ exp: now() - 360 }), 401],
    [provider.token({ exp: undefined }), 401],
    [provider.token({ nbf: now() + 360 }), 401],
    [provider.token({}, "first", { alg: "none" }), 401],
    [provider.token({}, "first", { alg: "HS256" }), 401],
    [provider.token({}, "first", { kid: "unknown" }), 401],
    [provider.token({}, "first", { kid: undefined }), 404], // there is just one key
    [stranger.token(), 401],
    [signToken({ aud: audience, iss: issuer, exp: now() + 60 }), 401],
    // what everybody can read is no secret to sign with
    [signToken({ aud: audience, iss: issuer, exp: now() + 60 }, JSON.stringify(provider.keySet)), 401],
    [signToken({ aud: `${broker.url}${target}`, exp: now() + 60 }), 404],
  ];
  for (const [token, status] of rows) {
    const { status: got } = await callWith(broker, token, "HEAD", target);
    assert.equal(got, status, JSON.stringify(payload(token)));
  }
  const generate = "/api/hubs/chat/:generateToken?userId=ann";
  const refused = await callWith(broker, signToken({ aud: `${broker.url}${generate}`, exp: now() + 60 }), "POST", generate);
  assert.deepEqual([refused.status, await refused.text()], [401, ""]);
  const response = await callWith(broker, provider.token(), "POST", generate);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("api-supported-versions")?.endsWith("2024-12-01"), true);
  const { token } = await response.json();
  assert.equal(await refusedStatus(`ws://${broker.host}/client/hubs/chat?access_token=${token}`), 101);
  assert.equal(await refusedStatus(`ws://${broker.host}/client/hubs/other?access_token=${token}`), 401);
  assert.equal((await callWith(broker, token, "HEAD", target)).status, 401, "a client's token is none for services");
  // nor is one for services good for a client
  assert.equal(await refusedStatus(`ws://${broker.host}/client/hubs/chat?access_token=${provider.token()}`), 401);
});

test("unvalidated tokens need a setting, and loopback", async (t) => {
  const anybody = await IdentityProvider.start(t);
  const broker = await startConfigured(t, { entra: { allowUnvalidatedTokens: true } });
  const target = "/api/hubs/chat/:generateToken?group=g&minutesToExpire=1";
  const response = await callWith(broker, anybody.token({ iss: "whoever" }), "POST", target);
  assert.equal(response.status, 200);
  const { token } = await response.json();
  await openSocket(t, `ws://${broker.host}/client/hubs/chat?access_token=${token}`);
  assert.equal((await callWith(broker, anybody.token(), "HEAD", "/api/hubs/chat/groups/g")).status, 200);
  assert.equal((await callWith(broker, anybody.token({ exp: now() - 360 }), "HEAD", "/api/hubs/chat/groups/g")).status, 401);
  assert.equal(anybody.requests, 0);

  const file = path.join(temporaryFolder(t), "broker.json");
  writeFileSync(file, JSON.stringify({ listen: "0.0.0.0:0", accessKeys: ["k".repeat(40)], entra: { allowUnvalidatedTokens: true } }));
  const outcome = spawnSync(program("pubhook-broker"), ["--config", file], { env: sanitizerEnvironment(), encoding: "utf8", timeout: patience });
  assert.equal(outcome.status, 2);
  assert.match(outcome.stderr, /allowUnvalidatedTokens lets everybody in and is refused on "0\.0\.0\.0"/);
});

test(":generateToken: what each parameter does, and what is refused", async (t) => {
  const anybody = await IdentityProvider.start(t);
  const broker = await startConfigured(t, { entra: { allowUnvalidatedTokens: true } });
  const generate = (query) => callWith(broker, anybody.token(), "POST", `/api/hubs/Chat/:generateToken?${query}`);
  const good = [
    ["", { aud: "/client/hubs/chat" }],
    ["userId=a%2Fb%20%CE%A9&minutesToExpire=1", { aud: "/client/hubs/chat", sub: "a/b Ω", minutes: 1 }],
    ["role=a&role=b&group=g%20%2F&group=h", { aud: "/client/hubs/chat", role: ["a", "b"], "webpubsub.group": ["g /", "h"] }],
    ["clientType=Default", { aud: "/client/hubs/chat" }],
    ["clientType=mqtt", { aud: "/clients/mqtt/hubs/chat" }],
    ["CLIENTTYPE=MQTT&api-version=2021-10-01&unknown=1", { aud: "/clients/mqtt/hubs/chat" }],
  ];
  for (const [query, { aud, minutes = 60, ...claims }] of good) {
    const response = await generate(query);
    assert.equal(response.status, 200, query);
    assert.equal(response.headers.get("content-type"), "application/json");
    const { iat, exp, ...rest } = payload((await response.json()).token);
    assert.deepEqual(rest, { aud: `${broker.url}${aud}`, ...claims }, query);
    assert.equal(exp - iat, minutes * 60);
  }
  const minutes = "minutesToExpire must be a whole number from 1 to 2147483647.";
  const type = "clientType must be Default or MQTT.";
  const bad = [
    ["minutesToExpire=0", minutes], ["minutesToExpire=-1", minutes], ["minutesToExpire=1.5", minutes], ["minutesToExpire=", minutes],
    ["minutesToExpire=1&minutesToExpire=2", "The query parameter minutesToExpire came twice."],
    ["clientType=SocketIO", type], ["clientType=", type],
    ["userId=", "userId is empty."],
    ["userId=bob%20", "userId starts or ends with white space, which would be lost on the way to an event handler."],
    [`userId=${"x".repeat(1025)}`, "userId has more than 1024 characters (limits.userIdCharacters)."],
    ["userId=a&userId=b", "The query parameter userId came twice."],
    ["group=", "Invalid group name."], ["group=g&group=%20", "Invalid group name."],
    ["api-version=1", "The specified API version is not supported.", "api-version"],
  ];
  for (const [query, message, target = "Request"] of bad) {
    const response = await generate(query);
    assert.equal(response.status, 400, query);
    assert.equal(response.headers.get("x-ms-error-code"), "Error.BadRequest");
    assert.deepEqual(await response.json(), { code: "Error.BadRequest", message, target }, query);
  }
});

// --- Proxies --------------------------------------------------------------------------

const application = `
  import { WebPubSubServiceClient } from "@azure/web-pubsub";
  import { WebPubSubClient } from "@azure/web-pubsub-client";
  const options = JSON.parse(process.env.OPTIONS ?? "{}");
  const service = new WebPubSubServiceClient(process.env.WebPubSubConnectionString, "chat", options);
  const { url } = await service.getClientAccessToken({ userId: "ann" });
  const client = new WebPubSubClient(process.env.PROXY ? url.replace(/wss:..[^/]*/, process.env.PROXY) : url);
  const message = new Promise((resolve) => client.on("server-message", ({ message }) => resolve(message.data)));
  await client.start();
  await service.sendToUser("ann", "hello", { contentType: "text/plain" });
  console.log(JSON.stringify({ message: await message }));
  process.exit();
`;

const ownKey = "k".repeat(32); // the default one is for loopback alone

test("behind a proxy that changes the Host, publicEndpoints says whose tokens are good", async (t) => {
  const port = await freePort();
  const url = `https://localhost:${port}`;
  const broker = await startConfigured(t, { publicEndpoints: [url] });
  const stranger = await startConfigured(t, { publicEndpoints: ["https://elsewhere.example.com"], accessKeys: [ownKey] });
  const { certificateFile } = await startNginxBroker(t, broker, { port, host: "backend.internal" });
  const connectionString = (b, endpoint) => b.connectionString.replace(b.url, endpoint);
  assert.deepEqual(
    await runApplication(application, certificateFile, { WebPubSubConnectionString: connectionString(broker, url) }),
    { message: "hello" },
  );
  const other = await startNginxBroker(t, stranger, { host: "backend.internal" });
  await assert.rejects(
    runApplication(application, other.certificateFile, { WebPubSubConnectionString: connectionString(stranger, other.url) }),
    /401/,
  );
});

test("reverseProxyEndpoint of the SDK: tokens name the endpoint behind it", async (t) => {
  const broker = await startConfigured(t, { publicEndpoints: ["https://chat.example.com"], accessKeys: [ownKey] });
  const { url, certificateFile, port } = await startNginxBroker(t, broker);
  const seen = await runApplication(application, certificateFile, {
    WebPubSubConnectionString: broker.connectionString.replace(broker.url, "https://chat.example.com"),
    OPTIONS: JSON.stringify({ reverseProxyEndpoint: url }),
    PROXY: `wss://localhost:${port}`,
  });
  assert.deepEqual(seen, { message: "hello" });
});
