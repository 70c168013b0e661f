// A headless Chromium that talks to this machine alone.

import { chromium } from "playwright-core";
import { cleanup } from "./cleanup.mjs";
import { patience } from "./patience.mjs";

const flags = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export async function startBrowser(t) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    chromiumSandbox: process.getuid() !== 0, // which root cannot have
    args: flags,
    timeout: patience,
  });
  cleanup(t, () => browser.close());
  return browser;
}

// A page of its own for each user, as two computers would have.
export async function openPage(browser) {
  const context = await browser.newContext();
  context.setDefaultTimeout(patience);
  return context.newPage();
}
