// Servers that are told what to do by a file: one of peers/ with @NAME@ filled in, in a
// folder that goes when they do.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { folder } from "./bench.mjs";
import { freePort } from "./processes.mjs";

export async function inTemporaryFolder(use) {
  const temporary = mkdtempSync(join(tmpdir(), "pubhook-bench-"));
  try {
    return await use(temporary);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

// Started by root, nginx gives its workers to somebody who may not use the folder.
const user = process.getuid() === 0 ? "user root;" : "";

// `command` makes the server's command of its file and folder; `values` are filled in
// besides @PORT@, @SPARE@ (another port), @FOLDER@ and @USER@ (a directive of nginx).
export function withConfigured(bench, name, { command, values = {} }, measure) {
  return inTemporaryFolder(async (temporary) => {
    const all = { PORT: await freePort(), SPARE: await freePort(), FOLDER: temporary, USER: user, ...values };
    const file = join(temporary, name);
    writeFileSync(file, readFileSync(join(folder, "peers", name), "utf8").replace(/@([A-Z]+)@/g, (_, key) => all[key]));
    return await bench.with({ command: command(file, temporary), ready: { host: "127.0.0.1", port: all.PORT } }, measure);
  });
}

export const nginx = (file, temporary) => ["/usr/sbin/nginx", "-p", temporary, "-c", file, "-e", "stderr"];
