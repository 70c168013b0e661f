// docs/tutorial.md, with every file and every command as it is written there.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { openPage, startBrowser } from "./lib/browser.mjs";
import { follow } from "./lib/markdown.mjs";
import { accepts } from "./lib/net.mjs";
import { patience } from "./lib/patience.mjs";

// A person with a browser window of their own.
class Visitor {
  errors = [];

  static async join(browser, url, name) {
    const visitor = new Visitor();
    visitor.page = await openPage(browser);
    visitor.page.on("pageerror", (error) => visitor.errors.push(error.message));
    await visitor.page.goto(url);
    await visitor.page.fill("#name", name);
    await visitor.page.click("#join button");
    await visitor.sees(`*: You are ${name}.`);
    return visitor;
  }
  async say(text) {
    await this.page.fill("#text", text);
    await this.page.click("#say button");
  }
  sees(text) {
    return this.page.waitForSelector(`#log li:text-is(${JSON.stringify(text)})`);
  }
  async leave() {
    assert.deepEqual(this.errors, []);
    await this.page.context().close();
  }
}

test("the tutorial leads to a chat", { timeout: 15 * patience }, async (t) => {
  const browser = await startBrowser(t);
  const chats = async ({ here }) => {
    const ann = await join(here, "ann");
    const bob = await join(here, "bob");
    await ann.say("hello");
    await bob.sees("ann: hello");
    await ann.sees("*: That was message 1 from you.");
    await ann.sees("*: bob is here.");
    await ann.leave();
    await bob.leave();
  };
  const join = (here, name) => Visitor.join(browser, here("http://127.0.0.1:8081/"), name);

  await follow(t, "docs/tutorial.md", {
    ports: [8080, 8081, 8090, 9000],
    notRun: ["What you need"],
    see: {
      "3. The page": async ({ here }) => {
        const ann = await join(here, "ann");
        const bob = await join(here, "bob");
        await ann.say("hello <b>bob</b>");
        await bob.sees("ann: hello <b>bob</b>");
        await ann.sees("*: The handler heard you.");
        await bob.say("hello ann");
        await ann.sees("bob: hello ann");
        await ann.leave();
        await bob.leave();
      },
      "4. State": async ({ here }) => {
        const ann = await join(here, "ann");
        await ann.say("one");
        await ann.sees("*: That was message 1 from you.");
        await ann.say("two");
        await ann.sees("*: That was message 2 from you.");
        const bob = await join(here, "bob");
        await bob.say("three");
        await bob.sees("*: That was message 1 from you.");
        await ann.sees("bob: three");
        await ann.leave();
        await bob.leave();
      },
      "5. A greeting": chats,
      "7. A process of its own": chats,
      "8. Behind nginx": async (reader) => {
        const port = Number(reader.here("8090")); // nginx does not say when it is ready
        const end = performance.now() + patience;
        while (performance.now() < end && !(await accepts({ port, host: "127.0.0.1" }))) await delay(50);
        await chats(reader);
      },
    },
  });
});
