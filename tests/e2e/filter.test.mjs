// Filters of REST operations (client-and-rest section 5.4), by the official SDK, on one loop
// thread and on four.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { odata } from "@azure/web-pubsub";
import {
  accessUrl, allRoles, jsonProtocol, openJson, openSocket, reliableProtocol, serviceClient,
} from "./lib/clients.mjs";
import { startBroker } from "./lib/pubhook.mjs";
import { call } from "./lib/tokens.mjs";

const text = { contentType: "text/plain" };

// Sends with the filter, then to all, and tells which clients got the first message.
async function receivers(service, clients, send, filter) {
  await send(filter);
  await service.sendToAll("end", text);
  const names = [];
  for (const [name, client] of Object.entries(clients)) {
    const got = [];
    do {
      const frame = await client.inbox.next();
      got.push(frame.startsWith("{") ? JSON.parse(frame).data : frame);
    } while (got.at(-1) !== "end");
    assert.ok(got.length <= 2, `${name} got ${got}`);
    if (got.length === 2) names.push(name);
  }
  return names.sort().join(" ");
}

async function family(t, broker) {
  const json = (options, protocol = jsonProtocol) => openJson(t, broker, "chat", options, protocol);
  return {
    ann: await json({ userId: "ann", groups: ["lobby", "g 1/%"] }),
    bob: await json({ userId: "bob", groups: ["lobby"] }, reliableProtocol),
    vic: await json({ userId: "vic's", groups: ["lobby", "x"] }),
    raw: await openSocket(t, await accessUrl(broker, "chat", { userId: "raw", groups: ["lobby"] })),
    nobody: await json({}),
  };
}

for (const threads of [1, 4]) {
  describe(`broker with ${threads} loop thread${threads > 1 ? "s" : ""}`, () => {
    test("sendToAll, to groups and to users with a filter", async (t) => {
      const broker = await startBroker(t, { threads });
      const service = serviceClient(broker, "chat");
      const clients = await family(t, broker);
      const toAll = (filter) => service.sendToAll("hit", { ...text, filter });
      const toLobby = (filter) => service.group("lobby").sendToAll("hit", { ...text, filter });
      const toAnn = (filter) => service.sendToUser("ann", "hit", { ...text, filter });
      const rows = [
        [toAll, "userId eq 'ann'", "ann"],
        [toAll, "USERID ne 'ann'", "bob nobody raw vic"],
        [toAll, "userId eq null", "nobody"],
        [toAll, "userId in ('ann', 'bob')", "ann bob"],
        [toAll, odata`userId eq ${"vic's"}`, "vic"],
        [toAll, odata`${"g 1/%"} in groups`, "ann"],
        [toAll, "'lobby' in groups and not ('x' in groups)", "ann bob raw"],
        [toAll, "length(groups) gt 1", "ann vic"],
        [toAll, "length(groups) eq 0", "nobody"],
        [toAll, "length(userId) le 3", "ann bob raw"],
        [toAll, "startswith(userId, 'a') or endswith(userId, 'w')", "ann raw"],
        [toAll, "contains(userId, '''') or userId eq null", "nobody vic"],
        [toAll, "toupper(userId) eq 'ANN'", "ann"],
        [toAll, "protocol eq null", "raw"],
        [toAll, `protocol eq '${reliableProtocol}'`, "bob"],
        [toAll, odata`connectionId eq ${clients.bob.welcome.connectionId}`, "bob"],
        [toAll, "false", ""],
        [toAll, "true", "ann bob nobody raw vic"],
        [toAll, "", "ann bob nobody raw vic"],
        [toLobby, "userId eq 'ann' or userId eq null", "ann"],
        [toLobby, "protocol eq null", "raw"],
        [toAnn, "'lobby' in groups", "ann"],
        [toAnn, "'x' in groups", ""],
      ];
      for (const [send, filter, want] of rows) {
        assert.equal(await receivers(service, clients, send, filter), want, filter);
      }
      const excluded = (filter) => service.sendToAll("hit", {
        ...text, filter, excludedConnections: [clients.ann.welcome.connectionId],
      });
      assert.equal(await receivers(service, clients, excluded, "userId in ('ann', 'bob')"), "bob");
    });

    test("a filter sees groups as they are when the call comes", async (t) => {
      const broker = await startBroker(t, { threads });
      const service = serviceClient(broker, "chat");
      const clients = await family(t, broker);
      const toMembers = (filter) => service.sendToAll("hit", { ...text, filter });
      for (let i = 0; i < 10; i++) {
        await service.group("late").addConnection(clients.nobody.welcome.connectionId);
        assert.equal(await receivers(service, clients, toMembers, "'late' in groups"), "nobody");
        await service.group("late").removeConnection(clients.nobody.welcome.connectionId);
        assert.equal(await receivers(service, clients, toMembers, "'late' in groups"), "");
      }
    });

    test("addConnectionsToGroups and removeConnectionsFromGroups with a filter", async (t) => {
      const broker = await startBroker(t, { threads });
      const service = serviceClient(broker, "chat");
      const clients = await family(t, broker);
      const to = (group) => () => service.group(group).sendToAll("hit", text);
      await service.addConnectionsToGroups(["new", "n/2"], "userId in ('ann', 'raw') or userId eq null");
      assert.equal(await receivers(service, clients, to("new")), "ann nobody raw");
      assert.equal(await receivers(service, clients, to("n/2")), "ann nobody raw");
      // What the change does to a connection does not count for its own filter.
      await service.addConnectionsToGroups(["chain"], "'new' in groups and not ('chain' in groups)");
      assert.equal(await receivers(service, clients, to("chain")), "ann nobody raw");
      await service.removeConnectionsFromGroups(["new"], "userId eq null or protocol eq null");
      assert.equal(await receivers(service, clients, to("new")), "ann");
      await service.removeConnectionsFromGroups(["new", "n/2"], "true");
      assert.equal(await receivers(service, clients, to("n/2")), "");
      await assert.rejects(service.addConnectionsToGroups(["a"], "userId"), {
        statusCode: 400,
        message: /Invalid syntax for 'userId': Type 'null', expect 'bool'. \(Parameter 'filter'\)/,
      });
    });

    // A thousand groups for each of 24 clients are more than a turn of a loop has room for.
    test("what an awaited call does is done, however long it takes", async (t) => {
      const broker = await startBroker(t, { threads });
      const service = serviceClient(broker, "chat");
      const clients = {};
      for (let i = 0; i < 24; i++) clients[`c${i}`] = await openJson(t, broker, "chat", { userId: `u${i % 2}` });
      const names = (prefix) => Array.from({ length: 1000 }, (_, i) => `${prefix}${i}`);
      const even = Object.keys(clients).filter((name) => Number(name.slice(1)) % 2 === 0).sort().join(" ");
      const to = (group) => () => service.group(group).sendToAll("hit", text);
      await service.addConnectionsToGroups(names("a"), "userId eq 'u0'");
      assert.equal(await receivers(service, clients, to("a0")), even);
      assert.equal(await receivers(service, clients, to("a999")), even);
      // Sixteen at once, among them some that undo the first, with fewer groups in all than
      // limits.groupsPerConnection.
      await Promise.all(Array.from({ length: 16 }, (_, i) => (i % 4 === 0
        ? service.removeConnectionsFromGroups(names("a").slice(i * 60, i * 60 + 240), "true")
        : service.addConnectionsToGroups(names(`b${i}-`).slice(0, 700), "userId eq 'u0'"))));
      assert.equal(await receivers(service, clients, to("a0")), "");
      assert.equal(await receivers(service, clients, to("a959")), "");
      assert.equal(await receivers(service, clients, to("a960")), even);
      for (const i of [1, 7, 15]) assert.equal(await receivers(service, clients, to(`b${i}-699`)), even);
      // While a client that does nothing but pings is answered all the time.
      const work = service.addConnectionsToGroups(names("p"), "userId eq 'u1'").then(() => "done");
      let pongs = 0;
      for (let last; last !== "done"; pongs++) {
        clients.c0.sendJson({ type: "ping" });
        assert.equal((await clients.c0.nextJson()).type, "pong");
        last = await Promise.race([work, Promise.resolve("under way")]);
      }
      assert.ok(pongs > 0);
    });

    // On one thread, the filter over 24 clients is more than a turn has room for.
    test("what an awaiting caller sends arrives in its order, with a filter and without", async (t) => {
      const broker = await startBroker(t, { threads });
      const service = serviceClient(broker, "chat");
      const clients = [];
      for (let i = 0; i < 24; i++) clients.push(await openJson(t, broker, "chat", { userId: `u${i}` }));
      const filter = `not (length(userId) in (${Array(1900).fill(9).join()}))`;
      const sent = [];
      for (let i = 0; i < 20; i++) {
        await service.sendToAll(`m${i}`, i % 2 ? text : { ...text, filter });
        sent.push(`m${i}`);
      }
      for (const client of clients) {
        const got = await client.inbox.take(sent.length);
        assert.deepEqual(got.map((frame) => JSON.parse(frame).data), sent);
      }
    });

    test("a broker that is told to stop in the middle stops", async (t) => {
      const broker = await startBroker(t, { threads });
      const service = serviceClient(broker, "chat");
      const clients = [];
      for (let i = 0; i < 24; i++) clients.push(await openJson(t, broker, "chat"));
      const names = Array.from({ length: 1000 }, (_, i) => `a${i}`);
      const calls = Array.from({ length: 8 }, (_, i) => service.addConnectionsToGroups(names.map((n) => n + i), "true"));
      await Promise.any(calls);
      const settled = Promise.allSettled(calls);
      await broker.stopOnce();
      await settled;
      for (const client of clients) assert.equal((await client.closed).code, 1001);
    });
  });
}

test("a filter that is wrong is refused, on an empty hub and before the body is read", async (t) => {
  const broker = await startBroker(t);
  const service = serviceClient(broker, "empty");
  const rows = [
    // Word for word what the service says, as its SDKs' tests and its documentation have it.
    ["invalid filter", "Invalid syntax for 'invalid filter': Syntax error at position 14 in 'invalid filter'. (Parameter 'filter')"],
    ["not length(userId) gt 5", "Invalid syntax for 'not length(userId)': Type 'null', expect 'bool'. (Parameter 'filter')"],
    ["userId lt 1", "Invalid syntax for 'userId lt 1': Type 'string', expect 'int'. (Parameter 'filter')"],
    ["ab eq 1", "Invalid syntax for 'ab eq 1': Token 'ab' is not supported. (Parameter 'filter')"],
    ["groups/any(g: g eq 'a')", "Invalid syntax for 'groups/any(g: g eq 'a')': Token 'groups/any(g: g eq 'a')' is not supported. (Parameter 'filter')"],
  ];
  for (const [filter, message] of rows) {
    for (const send of [
      () => service.sendToAll("x", { ...text, filter }),
      () => service.group("g").sendToAll("x", { ...text, filter }),
      () => service.sendToUser("u", "x", { ...text, filter }),
      () => service.addConnectionsToGroups(["g"], filter),
    ]) {
      await assert.rejects(send(), (error) => {
        assert.equal(error.statusCode, 400);
        assert.equal(error.code, "Error.BadRequest");
        // The SDK keeps the body of some operations as the message.
        const said = error.message.startsWith("{") ? JSON.parse(error.message).message : error.message;
        assert.equal(said, message);
        return true;
      });
    }
  }
  const query = `filter=${encodeURIComponent("userId eq")}`;
  const answer = await call(broker, "POST", `/api/hubs/empty/:send?${query}`, {
    headers: { "Content-Type": "application/json" }, body: "not JSON",
  });
  assert.equal(answer.status, 400);
  assert.equal(answer.headers.get("x-ms-error-code"), "Error.BadRequest");
  assert.deepEqual(await answer.json(), {
    code: "Error.BadRequest",
    message: "Invalid syntax for 'userId eq': Expression expected at position 9 in 'userId eq'. (Parameter 'filter')",
    target: "Request",
  });
});
