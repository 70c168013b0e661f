// Two people chat on the example page in a real browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { openPage, startBrowser } from "./lib/browser.mjs";
import { startBroker, startNegotiate } from "./lib/pubhook.mjs";

async function join(browser, url, name) {
  const page = await openPage(browser);
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await page.goto(url);
  await page.fill("#name", name);
  await page.click("#join button");
  await page.waitForSelector("#status[data-state=open]");
  return {
    page,
    errors,
    say: async (text) => {
      await page.fill("#text", text);
      await page.click("#say button");
    },
    sees: (text) => page.waitForSelector(`#log li:has-text(${JSON.stringify(text)})`),
  };
}

test("two users chat on the example page", async (t) => {
  const broker = await startBroker(t, { handlers: { chat: "chat" } });
  const negotiate = await startNegotiate(t, broker);
  const browser = await startBrowser(t);
  const ann = await join(browser, negotiate.url, "Ann Ω");
  const bob = await join(browser, negotiate.url, "Bob");

  await ann.say("hello <b>Bob</b> & all");
  const line = await bob.sees("hello <b>Bob</b> & all");
  assert.match(await line.textContent(), /^Ann Ω/);
  await bob.say("hello Ann");
  await ann.sees("hello Ann");
  await ann.say("bye");
  // The handler in C answers the sender, with a count that lives in the connection's state.
  await ann.sees("the handler in C counts 2");
  await bob.sees("the handler in C counts 1");
  assert.deepEqual([...ann.errors, ...bob.errors], []);
});

test("a name is needed: without one the handler refuses and the page says so", async (t) => {
  const broker = await startBroker(t, { handlers: { chat: "chat" } });
  const negotiate = await startNegotiate(t, broker);
  const response = await fetch(new URL("/negotiate", negotiate.url));
  assert.equal(response.status, 400);
});
