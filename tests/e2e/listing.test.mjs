// A group's connections (client-and-rest section 5.2, operation 21), by the official SDK and
// by plain HTTP, on one loop thread and on four.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openJson, reliableProtocol, serviceClient } from "./lib/clients.mjs";
import { startBroker } from "./lib/pubhook.mjs";
import { call } from "./lib/tokens.mjs";

const names = ["plain", "a/b", "100%", "%2F", "%252F", "sp ace", "Ünï😀", "a?b#c&d=e", "a+b", "'\"<>\\"];

async function all(iterator) {
  const items = [];
  for await (const item of await iterator) items.push(item);
  return items;
}
async function pagesOf(iterator, settings) {
  const pages = [];
  for await (const page of (await iterator).byPage(settings)) pages.push(page);
  return pages;
}
const ids = (items) => items.map((item) => item.connectionId);
const sizes = (pages) => pages.map((page) => page.length);

// Follows links as they come, with a token for each.
async function follow(broker, pathAndQuery) {
  const pages = [];
  while (pathAndQuery) {
    const answer = await call(broker, "GET", pathAndQuery);
    assert.equal(answer.status, 200, pathAndQuery);
    assert.equal(answer.headers.get("content-type"), "application/json");
    const page = await answer.json();
    pages.push(page.value);
    if (page.nextLink) assert.ok(page.nextLink.startsWith(`${broker.url}/api/hubs/`), page.nextLink);
    pathAndQuery = page.nextLink?.slice(broker.url.length);
  }
  return pages;
}

for (const threads of [1, 4]) {
  describe(`broker with ${threads} loop thread${threads > 1 ? "s" : ""}`, () => {
    test("listConnections: all, by pages, and the first ones, for any group name", async (t) => {
      const broker = await startBroker(t, { threads });
      const service = serviceClient(broker, "chat");
      const members = [];
      for (let i = 0; i < 12; i++) {
        const client = await openJson(t, broker, "chat", { groups: names, ...(i % 2 ? { userId: `u ${i}/"` } : {}) });
        members.push(client.welcome);
      }
      await openJson(t, broker, "chat", { groups: ["another"] });
      members.sort((a, b) => (a.connectionId < b.connectionId ? -1 : 1));
      for (const name of names) {
        const group = service.group(name);
        const listed = await all(group.listConnections());
        assert.deepEqual(ids(listed), members.map((m) => m.connectionId), name);
        assert.deepEqual(listed.map((m) => m.userId ?? null), members.map((m) => m.userId ?? null));
        const pages = await pagesOf(group.listConnections({ maxPageSize: 5 }));
        assert.deepEqual(sizes(pages), [5, 5, 2], name);
        assert.deepEqual(ids(pages.flat()), ids(members));
        assert.deepEqual(ids(await all(group.listConnections({ top: 7 }))), ids(members.slice(0, 7)));
        assert.deepEqual(sizes(await pagesOf(group.listConnections({ maxPageSize: 4, top: 10 }))), [4, 4, 2]);
        assert.deepEqual(sizes(await pagesOf(group.listConnections({ maxPageSize: 4, top: 8 }))), [4, 4]);
        assert.deepEqual(sizes(await pagesOf(group.listConnections({ maxPageSize: 200, top: 200 }))), [12]);
        const path = `/api/hubs/Chat/groups/${encodeURIComponent(name)}/connections`;
        assert.deepEqual(sizes(await follow(broker, `${path}?maxpagesize=5&top=11`)), [5, 5, 1]);
      }
      assert.deepEqual(await all(service.group("nobody").listConnections()), []);
      assert.deepEqual(await all(serviceClient(broker, "other").group("plain").listConnections()), []);
    });

    test("pages are stable while members come and go", async (t) => {
      const broker = await startBroker(t, { threads });
      const service = serviceClient(broker, "chat");
      const group = service.group("g/1");
      for (let i = 0; i < 10; i++) await openJson(t, broker, "chat", { groups: ["g/1"] });
      const before = ids(await all(group.listConnections()));
      const pages = (await group.listConnections({ maxPageSize: 3 })).byPage();
      const shown = ids((await pages.next()).value);
      assert.deepEqual(shown, before.slice(0, 3));
      // Who was shown goes, so does who is next, and others come.
      await Promise.all(before.slice(0, 4).map((id) => group.removeConnection(id)));
      const late = [];
      for (let i = 0; i < 6; i++) late.push((await openJson(t, broker, "chat", { groups: ["g/1"] })).welcome.connectionId);
      for await (const page of pages) shown.push(...ids(page));
      const expected = [...before.slice(4), ...late.filter((id) => id > before[2])].sort();
      assert.deepEqual(shown, [...before.slice(0, 3), ...expected]);
    });

    test("who waits for recovery is still listed, who has left is not", async (t) => {
      const broker = await startBroker(t, { threads });
      const group = serviceClient(broker, "chat").group("g");
      const lost = await openJson(t, broker, "chat", { groups: ["g"] }, reliableProtocol);
      const gone = await openJson(t, broker, "chat", { groups: ["g"] }, reliableProtocol);
      lost.cut();
      await lost.closed;
      await gone.close();
      for (let listed; (listed = ids(await all(group.listConnections()))).length !== 1;) assert.equal(listed.length, 2);
      assert.deepEqual(ids(await all(group.listConnections())), [lost.welcome.connectionId]);
    });
  });
}

test("continuation tokens of another group, another hub or nobody are refused", async (t) => {
  const broker = await startBroker(t);
  for (let i = 0; i < 2; i++) await openJson(t, broker, "chat", { groups: ["g", "h"] });
  const first = await (await call(broker, "GET", "/api/hubs/chat/groups/g/connections?maxpagesize=1")).json();
  const link = new URL(first.nextLink);
  assert.equal(link.searchParams.get("api-version"), "2024-12-01");
  assert.equal(link.searchParams.get("maxpagesize"), "1");
  const token = link.searchParams.get("continuationToken");
  const status = async (path, value) =>
    (await call(broker, "GET", `/api/hubs/${path}/connections?continuationToken=${encodeURIComponent(value)}`)).status;
  assert.equal(await status("chat/groups/g", token), 200);
  assert.equal(await status("CHAT/groups/g", token), 200);
  for (const path of ["chat/groups/h", "chat/groups/G", "other/groups/g"]) assert.equal(await status(path, token), 400, path);
  for (const value of ["", "x", token.slice(1), token.slice(0, -4), `${token[0] === "A" ? "B" : "A"}${token.slice(1)}`, "A".repeat(2100)]) {
    assert.equal(await status("chat/groups/g", value), 400, value);
  }
});

test("parameters of a list that are none are refused", async (t) => {
  const broker = await startBroker(t);
  const size = "maxpagesize must be a whole number from 1 to 200.";
  const top = "top must be a whole number from 1 to 2147483647.";
  const rows = [
    ["maxpagesize=1&top=1"], ["MAXPAGESIZE=200&TOP=2147483647"],
    ["maxpagesize=0", size], ["maxpagesize=201", size], ["maxpagesize=-1", size], ["maxpagesize=", size], ["maxpagesize=x", size],
    ["top=0", top], ["top=2147483648", top], ["top=", top],
    ["maxpagesize=1&maxpagesize=1", "The query parameter maxpagesize came twice."],
    ["top=1&Top=1", "The query parameter top came twice."],
    ["continuationToken=", "Invalid continuationToken: expected the one of the last page's nextLink, for the same hub and group."],
  ];
  for (const [query, message] of rows) {
    const answer = await call(broker, "GET", `/api/hubs/chat/groups/g/connections?${query}`);
    const want = message ? { code: "Error.BadRequest", message, target: "Request" } : { value: [], nextLink: null };
    assert.deepEqual([answer.status, await answer.json()], [message ? 400 : 200, want], query);
    assert.equal(answer.headers.get("x-ms-error-code"), message ? "Error.BadRequest" : null);
  }
});
