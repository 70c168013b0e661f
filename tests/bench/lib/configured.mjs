// Servers that are told what to do by a file: one of peers/ with @NAME@ filled in, in a
// folder that goes when they do.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { folder } from "./bench.mjs";
import { freePort } from "../../e2e/lib/net.mjs";

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

// Uses a file of peers/ in which @PORT@, @SPARE@ (another port), @FOLDER@, @USER@ (a
// directive of nginx) and `values` are filled in.
export function withConfig(name, values, use) {
  return inTemporaryFolder(async (temporary) => {
    const [port, spare] = [await freePort(), await freePort()];
    const all = { PORT: port, SPARE: spare, FOLDER: temporary, USER: user, ...values };
    const file = join(temporary, name);
    writeFileSync(file, readFileSync(join(folder, "peers", name), "utf8").replace(/@([A-Z]+)@/g, (_, key) => all[key]));
    return await use({ file, temporary, port });
  });
}

// A server with such a file: `command` makes its command of the file and the folder.
export const withConfigured = (bench, name, { command, values }, measure) =>
  withConfig(name, values, ({ file, temporary, port }) =>
    bench.with({ command: command(file, temporary), ready: { host: "127.0.0.1", port } }, measure),
  );

export const nginx = (file, temporary) => ["/usr/sbin/nginx", "-p", temporary, "-c", file, "-e", "stderr"];
