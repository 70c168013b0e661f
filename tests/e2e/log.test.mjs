// What the log tells an operator: one line for each refusal, who, why and what to change;
// once what each thread finds out; and no flood.

import assert from "node:assert/strict";
import { test } from "node:test";
import { openJson, openSocket, refusedStatus, reliableProtocol } from "./lib/clients.mjs";
import { startBroker, startHandler } from "./lib/pubhook.mjs";

const linesWith = (program, pattern) => program.log.split("\n").filter((line) => pattern.test(line));

test("the validation of a handler is told once, not by each thread", async (t) => {
  const handler = await startHandler(t, "echo");
  const broker = await startBroker(t, { threads: 4, upstreams: { chat: handler.url } });
  for (let i = 0; i < 24; i++) await openJson(t, broker, "chat");
  assert.equal(linesWith(handler, /validated for/).length > 1, true, "several threads asked");
  assert.equal(linesWith(broker, /is validated/).length, 1);
});

test("a refused call says from where, what and why, without its query", async (t) => {
  const broker = await startBroker(t);
  await fetch(`${broker.url}/api/hubs/chat/:send?api-version=2024-12-01&access_token=secret`, { method: "POST", body: "x" });
  await broker.logged(/REST call refused with 401: .*Authorization.* from=127\.0\.0\.1:\d+ call="POST \/api\/hubs\/chat\/:send"/);
  await fetch(`${broker.url}/somewhere?access_token=secret`);
  await broker.logged(/request refused with 404: nothing is here.* call="GET \/somewhere"/);
  assert.doesNotMatch(broker.log, /secret/);
});

test("a refused recovery says which connection and why", async (t) => {
  const broker = await startBroker(t);
  const url = `${broker.url.replace("http", "ws")}/client/hubs/chat?awps_connection_id=nobody&awps_reconnection_token=x`;
  await (await openSocket(t, url, reliableProtocol)).closed;
  await broker.logged(/recovery refused with 1008.*: .* hub=chat connection=nobody/);
});

test("many equal lines are counted instead of written", async (t) => {
  const broker = await startBroker(t);
  const url = `${broker.url.replace("http", "ws")}/client/hubs/chat`;
  for (let round = 0; round < 10; round++) {
    const statuses = await Promise.all(Array.from({ length: 25 }, () => refusedStatus(url)));
    assert.ok(statuses.every((status) => status === 401));
  }
  await broker.stopOnce();
  const written = linesWith(broker, /client refused with 401/).filter((line) => !/lines more/.test(line)).length;
  const counted = [...broker.log.matchAll(/(\d+) lines more like this were left out: client refused with 401/g)];
  assert.ok(written >= 100 && written < 250, `${written} lines`);
  assert.equal(written + counted.reduce((sum, [, n]) => sum + Number(n), 0), 250);
});
