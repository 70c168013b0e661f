// What the service client sends for each operation, beside what the official JavaScript SDK
// sends for it: both call one server, which records.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { test } from "node:test";
import { WebPubSubServiceClient } from "@azure/web-pubsub";
import { cleanup } from "./lib/cleanup.mjs";
import { makeCertificates } from "./lib/eventserver.mjs";
import { serviceWire } from "./lib/paths.mjs";
import { start } from "./lib/program.mjs";
import { defaultKey } from "./lib/pubhook.mjs";

const [group, user, connection] = ["a/b %?é", "u'ser (1)!*", "c+d=e&f"];
const filter = "userId ne 'o''neil' and 'g' in groups";
const reason = "too late & far";
const excluded = ["a b", "c&d=e"];
const groups = ["g1", "quo\"teé"];
const text = { contentType: "text/plain" };

// The same requests as in tests/service/wire.c, by the same names, in the same order.
const byKey = {
  "health": (s) => s.client.healthApi.getServiceStatus(),
  "sendToAll text": (s) => s.sendToAll("héllo", text),
  "sendToAll JSON": (s) => s.sendToAll({ a: [1, "é"] }),
  "sendToAll binary": (s) => s.sendToAll(new Uint8Array([0, 255, 1]).buffer),
  "sendToAll nothing": (s) => s.sendToAll(new ArrayBuffer(0)),
  "sendToAll with options": (s) => s.sendToAll("x", {
    ...text, filter, excludedConnections: excluded, messageTtlSeconds: 30,
    requestOptions: { customHeaders: { "X-WebPubSub-Metadata-trace": "t 1" } },
  }),
  "sendToGroup": (s) => s.group(group).sendToAll("x", { ...text, filter, excludedConnections: excluded, messageTtlSeconds: 300 }),
  "sendToUser": (s) => s.sendToUser(user, "x", { ...text, filter, messageTtlSeconds: 1 }),
  "sendToConnection": (s) => s.sendToConnection(connection, "x", { ...text, messageTtlSeconds: 1 }),
  "closeAllConnections": (s) => s.closeAllConnections({ excluded, reason }),
  "closeAllConnections without options": (s) => s.closeAllConnections(),
  "closeGroupConnections": (s) => s.group(group).closeAllConnections({ excluded, reason }),
  "closeUserConnections": (s) => s.closeUserConnections(user, { excluded, reason }),
  "closeConnection": (s) => s.closeConnection(connection, { reason }),
  "connectionExists": (s) => s.connectionExists(connection),
  "groupExists": (s) => s.groupExists(group),
  "userExists": (s) => s.userExists(user),
  "addConnectionToGroup": (s) => s.group(group).addConnection(connection),
  "removeConnectionFromGroup": (s) => s.group(group).removeConnection(connection),
  "removeConnectionFromAllGroups": (s) => s.removeConnectionFromAllGroups(connection),
  "addUserToGroup": (s) => s.group(group).addUser(user),
  "removeUserFromGroup": (s) => s.group(group).removeUser(user),
  "removeUserFromAllGroups": (s) => s.removeUserFromAllGroups(user),
  "addConnectionsToGroups": (s) => s.addConnectionsToGroups(groups, filter),
  "removeConnectionsFromGroups": (s) => s.removeConnectionsFromGroups(groups, filter),
  "listConnectionsInGroup": async (s) => {
    const pages = (await s.group(group).listConnections({ maxPageSize: 2, top: 3 })).byPage();
    await pages.next();
    return pages;
  },
  "listConnectionsInGroup, next page": (s, pages) => pages.next(),
  "grantPermission": (s) => s.grantPermission(connection, "sendToGroup", { targetName: group }),
  "revokePermission": (s) => s.revokePermission(connection, "joinLeaveGroup", { targetName: group }),
  "checkPermission": (s) => s.hasPermission(connection, "joinLeaveGroup"),
};

const byEntra = {
  "sendToAll text": (s) => s.sendToAll("x", text),
  "generateClientToken": (s) => s.getClientAccessToken(),
  "generateClientToken for MQTT": (s) => s.getClientAccessToken({
    userId: "ann", roles: ["webpubsub.sendToGroup.g1", "webpubsub.joinLeaveGroup"], groups,
    expirationTimeInMinutes: 5, clientProtocol: "mqtt",
  }),
};

// --- Intended differences --------------------------------------------------------------

const differences = {
  // Health needs no token, so none is made (client-and-rest section 5.2).
  "health": ({ authorization, ...rest }) => rest,
};
// Besides: `accept-encoding`, since answers are short; `user-agent`; the escapes of !'()* in
// URLs, which mean the same (RFC 3986 section 6.2.2.2); exp, which is 5 minutes away rather
// than 60.

// --- A server that records --------------------------------------------------------------

function answer(request, response, base) {
  const { pathname, search } = new URL(request.url, base);
  const json = (value) => response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(value));
  if (pathname.endsWith("/:send")) response.writeHead(202).end();
  else if (pathname.endsWith("/:generateToken")) json({ token: "made-by-the-service" });
  else if (request.method === "GET") {
    const more = search.includes("continuationToken") ? {} : { nextLink: `${base}${pathname}?api-version=2024-12-01&maxpagesize=2&top=1&continuationToken=t%2B1%3D` };
    json({ value: [{ connectionId: "c1", userId: "ann" }, { connectionId: "c2" }], ...more });
  } else if (request.method === "DELETE" || pathname.endsWith("/:closeConnections")) response.writeHead(204).end();
  else response.writeHead(200).end();
}

async function startRecorder(t, tls) {
  const recorder = { requests: [] };
  const serve = (request, response) => {
    const parts = [];
    request.on("data", (data) => parts.push(data)).on("end", () => {
      recorder.requests.push({ request, url: `${recorder.url}${request.url}`, body: Buffer.concat(parts) });
      answer(request, response, recorder.url);
    });
  };
  const server = tls ? https.createServer(tls, serve) : http.createServer(serve);
  server.listen(0, tls ? "localhost" : "127.0.0.1");
  await once(server, "listening");
  recorder.url = `http${tls ? "s" : ""}://localhost:${server.address().port}`;
  cleanup(t, () => {
    server.close();
    server.closeAllConnections?.();
  });
  return recorder;
}

// --- What of a request counts ---------------------------------------------------------------

const decode = (part) => Buffer.from(part, "base64url").toString();

// Of a token of an access key: its algorithm, its claims, and whether the audience is the URL.
function readToken(authorization, url) {
  const token = authorization.match(/^Bearer (\S+)$/)[1];
  if (!token.startsWith("eyJ")) return token;
  const [head, payload, signature] = token.split(".");
  const claims = JSON.parse(decode(payload));
  assert.equal(createHmac("sha256", defaultKey).update(`${head}.${payload}`).digest("base64url"), signature);
  assert.ok(claims.exp > claims.iat && claims.exp <= claims.iat + 3600);
  return { head: JSON.parse(decode(head)), claims: Object.keys(claims).sort(), audience: claims.aud === url || claims.aud };
}

// The path is split before it is decoded, as the service does; the order of a query's names is
// of no meaning, that of values of one name is.
function essence({ request, url, body }, audience) {
  const [path, query = ""] = request.url.split("?");
  const { headers } = request;
  const names = ["accept", "content-type", "content-length", "transfer-encoding", "expect", "cookie", "x-webpubsub-metadata-trace"];
  assert.match(headers["user-agent"], /./);
  assert.ok(headers["x-ms-client-request-id"]);
  return {
    method: request.method,
    path: path.split("/").map(decodeURIComponent),
    query: query.split("&").map(decodeURIComponent).sort(),
    body: body.toString("latin1"),
    headers: Object.fromEntries(names.filter((name) => headers[name] !== undefined).map((name) => [name, headers[name]])),
    ...(headers.authorization && { authorization: readToken(headers.authorization, audience ? url.replace(/^http:\/\/[^/]*/, audience) : url) }),
  };
}

async function recordSdk(recorder, service, cases, audience) {
  const recorded = {};
  let before;
  for (const [name, make] of Object.entries(cases)) {
    recorder.requests.length = 0;
    before = await make(service, before);
    assert.equal(recorder.requests.length, 1, `${name}: the SDK sent ${recorder.requests.length} requests`);
    recorded[name] = essence(recorder.requests[0], audience);
  }
  return recorded;
}

async function recordOurs(t, recorder, args, audience) {
  recorder.requests.length = 0;
  const program = start(t, serviceWire(), args);
  await program.ended();
  for (const line of program.lines) assert.match(line, /: 20[024] $/);
  return Object.fromEntries(recorder.requests.map((record) => [record.request.headers["x-ms-client-request-id"], essence(record, audience)]));
}

function compare(ours, theirs, { without } = {}) {
  const expected = Object.keys(theirs).filter((name) => name !== without);
  assert.deepEqual(Object.keys(ours), expected);
  for (const name of expected) {
    const adapt = differences[name] ?? ((request) => request);
    assert.deepEqual(ours[name], adapt(theirs[name]), name);
  }
}

// --- The comparison ---------------------------------------------------------------------------

const nextPage = "listConnectionsInGroup, next page";

test("with an access key, each operation is the same request as the JavaScript SDK's", async (t) => {
  const recorder = await startRecorder(t);
  const connectionString = `Endpoint=${recorder.url};AccessKey=${defaultKey};Version=1.0;`;
  const sdk = new WebPubSubServiceClient(connectionString, "chat", { allowInsecureConnection: true });
  const theirs = await recordSdk(recorder, sdk, byKey);
  compare(await recordOurs(t, recorder, ["call", "key", connectionString]), theirs);
  compare(await recordOurs(t, recorder, ["start", "key", connectionString]), theirs, { without: nextPage });
});

test("through a reverse proxy, tokens name the endpoint, as the JavaScript SDK's do", async (t) => {
  const recorder = await startRecorder(t);
  const endpoint = "http://contoso.example:8080/base";
  const connectionString = `Endpoint=${endpoint};AccessKey=${defaultKey};Version=1.0;`;
  const audience = "http://contoso.example:8080";
  const sdk = new WebPubSubServiceClient(connectionString, "chat", {
    allowInsecureConnection: true, reverseProxyEndpoint: recorder.url,
  });
  const theirs = await recordSdk(recorder, sdk, { "sendToAll text": byKey["sendToAll text"], "sendToGroup": byKey.sendToGroup }, audience);
  const ours = await recordOurs(t, recorder, ["call", "key", connectionString, recorder.url], audience);
  for (const name of Object.keys(theirs)) assert.deepEqual(ours[name], theirs[name], name);
  assert.equal(ours.sendToGroup.authorization.audience, true);
  assert.deepEqual(ours.sendToGroup.path.slice(0, 3), ["", "base", "api"]);
});

test("with tokens of Microsoft Entra, over TLS, requests are the same too", async (t) => {
  const { caFile, cert, key } = makeCertificates(t);
  const recorder = await startRecorder(t, { cert, key });
  const credential = { getToken: async () => ({ token: "a-token-of-entra", expiresOnTimestamp: Date.now() + 3600_000 }) };
  const sdk = new WebPubSubServiceClient(recorder.url, credential, "chat", { tlsOptions: { ca: readFileSync(caFile) } });
  const theirs = await recordSdk(recorder, sdk, byEntra);
  for (const how of ["call", "start"]) {
    compare(await recordOurs(t, recorder, [how, "entra", recorder.url, "a-token-of-entra", caFile]), theirs);
  }
});
