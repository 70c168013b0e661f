// What the documents show is true: their C compiles and runs, what they quote is in the files,
// their links lead somewhere, and nothing in them is left untested by accident.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { WebPubSubServiceClient } from "@azure/web-pubsub";
import { WebPubSubEventHandler } from "@azure/web-pubsub-express";
import express from "express";
import { cleanup } from "./lib/cleanup.mjs";
import { openJson } from "./lib/clients.mjs";
import { blocks, follow, isFile, readersEnvironment } from "./lib/markdown.mjs";
import { freePort } from "./lib/net.mjs";
import { prefix, program, sourceDir, temporaryFolder } from "./lib/paths.mjs";
import { start } from "./lib/program.mjs";
import { defaultKey, startBroker } from "./lib/pubhook.mjs";

const run = promisify(execFile);
const documents = [
  ...readdirSync(sourceDir).filter((name) => name.endsWith(".md")),
  ...readdirSync(path.join(sourceDir, "docs")).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`),
];
const text = (name) => readFileSync(path.join(sourceDir, name), "utf8");

// ---- every document

// What a heading is called in a link, as GitHub does it.
const anchor = (heading) => heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");
const anchors = (name) => [...text(name).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchor(heading));

test("links lead to files and headings that are there, also in the installation", () => {
  const installed = path.join(prefix, "share/doc/pubhook");
  for (const name of documents) {
    for (const [, target] of text(name).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [file, fragment] = target.split("#");
      const to = file ? path.join(path.dirname(name), file) : name;
      for (const folder of [sourceDir, installed]) assert.ok(existsSync(path.join(folder, to)), `${folder}/${name}: ${target}`);
      if (fragment) assert.ok(anchors(to).includes(fragment), `${name}: ${target}: no such heading`);
    }
  }
});

// Quoted from a file of the sources: lines that follow each other there.
const isQuote = ({ words: [word] }) => isFile(word) && existsSync(path.join(sourceDir, word));

test("what is quoted from a file is in it", () => {
  const quotes = documents.flatMap(blocks).filter(isQuote);
  assert.ok(quotes.length >= 3);
  for (const quote of quotes) {
    assert.ok(text(quote.words[0]).includes(quote.text), `${quote.where}: not in ${quote.words[0]}`);
  }
});

test("C is never only looked at", () => {
  for (const block of documents.flatMap(blocks).filter(({ language }) => language === "c")) {
    assert.ok(isFile(block.words[0]) || ["program", "handlers", "table"].includes(block.words[0]), `${block.where}: say what it is`);
  }
});

test("manual pages that are named exist", () => {
  for (const name of documents) {
    for (const [page, base, section] of text(name).matchAll(/\b(pubhook[a-z-]*|ph_\w+)\(([13])\)/g)) {
      assert.ok(existsSync(path.join(prefix, `share/man/man${section}/${base}.${section}`)), `${name}: ${page}`);
    }
  }
});

const folderText = (folder, ending) =>
  readdirSync(path.join(sourceDir, folder)).filter((name) => ending.test(name)).map((name) => text(`${folder}/${name}`)).join("\n");

test("functions, types and constants that are named exist", () => {
  const known = new Set(folderText("include/pubhook", /\.h$/).match(/\b(?:ph|PH)_\w+/g));
  for (const name of documents) {
    for (const [word] of text(name).matchAll(/\b(?:ph|PH)_\w+\b(?!\.{3})/g)) {
      assert.ok(known.has(word) || word.endsWith("_"), `${name}: ${word}`);
    }
  }
});

test("metrics that are named exist", () => {
  const sources = ["src/broker/metrics", "src/app"].map((folder) => folderText(folder, /\.c$/)).join();
  for (const name of documents) {
    for (const [metric] of text(name).matchAll(/\bpubhook_[a-z_]+\b(?!\.)/g)) assert.ok(sources.includes(`"${metric}"`), `${name}: ${metric}`);
  }
});

test("options that are named exist", () => {
  const manual = folderText("man", /\.1$/).replaceAll("\\-", "-");
  const scripts = `${folderText("scripts", /./)}\n${text("tests/bench/run")}`;
  const all = `${manual}\n${scripts}\n${text("configure.ac").replaceAll("AC_ARG_ENABLE([", "--enable-")}`;
  for (const name of documents) {
    for (const [, option] of text(name).matchAll(/`[^`\n]*?(--[a-z][a-z-]+)/g)) {
      assert.ok(all.includes(option), `${name}: ${option}`);
    }
  }
});

test("README.md: every command and file of it works", async (t) => {
  const modules = path.join(sourceDir, "tests/e2e/node_modules");
  await follow(t, "README.md", {
    ports: [8080, 8090],
    notRun: ["Try it", "Run your handler"],
    started: /^ready /m,
    prepare({ folder, env, here }) {
      symlinkSync(modules, path.join(folder, "node_modules"));
      env.PATH += `:${path.dirname(process.execPath)}`;
      env.WebPubSubConnectionString = here(`Endpoint=http://127.0.0.1:8080;AccessKey=${defaultKey};Version=1.0;`);
    },
  });
});

// ---- from Express to pubhook

const page = "docs/from-express-and-aspnet.md";

// The table of handlers.c, by the functions' names.
const rows = {
  on_connect: "PH_EVENT_CONNECT, NULL",
  on_connected: "PH_EVENT_CONNECTED, NULL",
  on_disconnected: "PH_EVENT_DISCONNECTED, NULL",
  on_joined: "PH_EVENT_JOINED, NULL",
  on_left: "PH_EVENT_LEFT, NULL",
  on_message: 'PH_EVENT_USER, "message"',
  on_quiet: 'PH_EVENT_USER, "quiet"',
  on_event: 'PH_EVENT_USER, "*"',
};

function asPlugin(functions) {
  const names = [...functions.matchAll(/^static struct ph_reply \*(\w+)\(/gm)].map(([, name]) => name);
  assert.ok(names.length > 0);
  const table = blocks(page).find(({ words }) => words[0] === "table").text;
  const lines = names.map((name) => `    {${rows[name]}, ${name}},\n`).join("");
  return `#include <pubhook/plugin.h>\n#include <stdio.h>\n${functions}\n${table.replace(/ {4}\{PH_EVENT[^}]*\},\n/g, (row) => (row.includes("CONNECT,") ? lines : ""))}`;
}

const compiled = (block) => (block.words[0] === "program" ? block.text : asPlugin(block.text));

const service = `Endpoint=http://localhost;AccessKey=${defaultKey};`;

async function startC(t, block, connectionString = service) {
  const cwd = temporaryFolder(t);
  const env = readersEnvironment(t);
  writeFileSync(path.join(cwd, "main.c"), compiled(block));
  const isProgram = block.words[0] === "program";
  const command = isProgram
    ? "cc main.c -o main $(pkg-config --cflags --libs pubhook)"
    : "cc -shared -fPIC $(pkg-config --cflags pubhook) main.c -o main.so";
  await run("bash", ["-c", command], { cwd, env }).catch((error) => assert.fail(`${block.where}: ${error.stderr}`));
  const arguments_ = isProgram
    ? [path.join(cwd, "main"), ["127.0.0.1:0"]]
    : [program("pubhookd"), ["--listen", "127.0.0.1:0", "--allow-unsigned", "--plugin", path.join(cwd, "main.so")]];
  const server = start(t, ...arguments_, {
    env: { ...env, WebPubSubConnectionString: connectionString },
    ...(isProgram ? { goodStatus: [0, null] } : {}),
  });
  return { url: await server.line("ready"), logged: (line) => server.logged(line), server };
}

async function startJs(t, block, connectionString = service) {
  const lines = [];
  const given = {
    WebPubSubEventHandler,
    WebPubSubServiceClient,
    console: { error: (line) => lines.push(line) },
    process: { env: { WebPubSubConnectionString: connectionString } },
  };
  const handler = new Function(...Object.keys(given), `${block.text}\nreturn handler;`)(...Object.values(given));
  const server = express().use(handler.getMiddleware()).listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanup(t, () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${server.address().port}/eventhandler`, lines };
}

const types = {
  connect: "azure.webpubsub.sys.connect",
  connected: "azure.webpubsub.sys.connected",
  disconnected: "azure.webpubsub.sys.disconnected",
  joined: "azure.webpubsub.gp.joined",
  left: "azure.webpubsub.gp.left",
};

// What the service would make of the answer: the two sides may say it differently.
async function fire(url, event) {
  const { createHmac } = await import("node:crypto");
  const isSystem = event.name in types;
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "ce-specversion": "1.0", "ce-awpsversion": "1.0", "ce-source": "/hubs/chat/client/conn1", "ce-id": "2",
      "ce-time": "2026-11-20T12:00:00Z", "ce-hub": "chat", "ce-connectionId": "conn1", "ce-eventName": event.name,
      "ce-type": types[event.name] ?? `azure.webpubsub.user.${event.name}`,
      "ce-signature": `sha256=${createHmac("sha256", defaultKey).update("conn1").digest("hex")}`,
      "WebHook-Request-Origin": "localhost",
      "Content-Type": isSystem ? "application/json" : event.type ?? "text/plain",
      ...(event.user === null ? {} : { "ce-userId": event.user ?? "ann" }),
      ...event.headers,
      ...(event.state ? { "ce-connectionState": event.state } : {}),
    },
    body: isSystem ? JSON.stringify(event.body ?? {}) : event.data ?? "hello",
  });
  const body = await response.text();
  const state = response.headers.get("ce-connectionState");
  const meaning = { state: state && JSON.parse(Buffer.from(state, "base64").toString()), raw: state };
  if (!response.ok) return { status: response.status, body: body.startsWith("{") ? JSON.parse(body) : body };
  if (event.name === "connect") return { ...meaning, raw: undefined, answer: body ? JSON.parse(body) : {} };
  return { ...meaning, type: body && response.headers.get("content-type").replace(/;.*/, ""), body };
}

const connectBody = { claims: { name: ["Ann"] }, query: {}, headers: {}, subprotocols: [], clientCertificates: [] };
const cases = {
  "The application": [{ name: "message" }, { name: "other", data: "something" }],
  "Let a client in": [{ name: "connect", body: connectBody }],
  "Refuse it": [{ name: "connect", body: connectBody }, { name: "connect", body: connectBody, user: null }],
  "User events": [{ name: "message" }, { name: "quiet" }, { name: "nothing" }],
  "Connection state": [{ name: "message" }, { name: "message", state: Buffer.from('{"count":4}').toString("base64") }],
  "Connected, disconnected, joined, left": [
    { name: "connected", logs: "ann is here" },
    { name: "disconnected", body: { reason: "bye" }, logs: "ann has gone: bye" },
    { name: "joined", body: { group: "lobby" }, logs: "ann joins lobby" },
    { name: "left", body: { group: "lobby" }, logs: "ann leaves lobby" },
  ],
  "Speak to others": "by a client",
  "Answer later": [{ name: "message" }],
  JSON: [{ name: "message", type: "application/json", data: '{"items":[{"id":7},{"id":8}]}' }],
  MQTT: ["ann", "bob"].map((username) => ({
    name: "connect",
    headers: { "ce-subprotocol": "mqtt", "ce-physicalConnectionId": "physical1" },
    body: { ...connectBody, subprotocols: ["mqtt"], mqtt: { protocolVersion: 5, username, password: null, userProperties: null } },
  })),
  "Something goes wrong": [{ name: "message" }],
};

describe(page, () => {
  const all = blocks(page);
  const headings = [...new Set(all.map(({ heading }) => heading))];

  test("each section has a case here", () => assert.deepEqual(headings, Object.keys(cases)));

  for (const heading of headings) {
    const of = (language, ...kinds) => all.find((block) => block.heading === heading && block.language === language && kinds.includes(block.words[0]));

    if (cases[heading] === "by a client") {
      for (const [language, startIt] of [["js", startJs], ["c", startC]]) {
        test(`${heading}: a client hears of another, ${language}`, async (t) => {
          const listen = `127.0.0.1:${await freePort()}`;
          const connectionString = `Endpoint=http://${listen};AccessKey=${defaultKey};Version=1.0;`;
          const { url } = await startIt(t, of(language, "express", "handlers"), connectionString);
          const broker = await startBroker(t, { listen, upstreams: { chat: url } });
          const first = await openJson(t, broker, "chat", { userId: "ann" });
          assert.equal((await first.nextJson()).data, "ann is here");
          await openJson(t, broker, "chat", { userId: "bob" });
          assert.equal((await first.nextJson()).data, "bob is here");
        });
      }
      continue;
    }

    test(`${heading}: Express and pubhook answer the same`, async (t) => {
      const c = await startC(t, of("c", "program", "handlers"));
      const js = await startJs(t, of("js", "express"));
      for (const event of cases[heading]) {
        assert.deepEqual(await fire(c.url, event), await fire(js.url, event), JSON.stringify(event));
        if (!event.logs) continue;
        await c.logged(event.logs);
        assert.ok(js.lines.includes(event.logs), js.lines.join());
      }
      if (of("c", "program")) c.server.abandon(); // it has no handler for SIGTERM
    });
  }
});
