// Where the programs under test are. They are the installed ones, so that the
// installation is tested too; PUBHOOK_PREFIX names another installation.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { cleanup } from "./cleanup.mjs";

export const sourceDir = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../..");
export const prefix = process.env.PUBHOOK_PREFIX ?? path.join(sourceDir, "build/check/install");
// Not installed, so taken from the build folder: example programs, plugins broken on purpose.
export const buildDir = process.env.PUBHOOK_BUILD ?? path.dirname(prefix);

function must(file, hint) {
  if (!existsSync(file)) throw new Error(`${file} is missing: ${hint}`);
  return file;
}

export function program(name) {
  return must(path.join(prefix, "bin", name), "run scripts/check, or set PUBHOOK_PREFIX to an installation");
}

export function plugin(name) {
  return must(path.join(prefix, "lib/pubhook/handlers", `${name}.so`), "run make install");
}

// What users generate protobuf clients from.
export function schema(name) {
  return must(path.join(prefix, "share/pubhook", name), "run make install");
}

// A plugin that only the tests use.
export function testPlugin(name) {
  return must(path.join(buildDir, "tests/plugins/.libs", `${name}.so`), "run make check in the build folder");
}

export function example(name) {
  return must(path.join(buildDir, "examples", name), "run make in the build folder, or set PUBHOOK_BUILD");
}

// The client library behind lines of JSON.
export function clientDriver() {
  return must(path.join(buildDir, "tests/client/driver"), "run make check in the build folder");
}

// The service client's requests, one after the other.
export function serviceWire() {
  return must(path.join(buildDir, "tests/service/wire"), "run make check in the build folder");
}

// A new folder that goes away with the test (or test file) that asked for it.
export function temporaryFolder(t) {
  const folder = mkdtempSync(path.join(tmpdir(), "pubhook-"));
  cleanup(t, () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

// The sanitizer settings of scripts/sanitizers.env, which the environment may override.
export function sanitizerEnvironment() {
  const lines = readFileSync(path.join(sourceDir, "scripts/sanitizers.env"), "utf8").split("\n");
  const settings = lines.filter((line) => /^[A-Z_]+=/.test(line)).map((line) => {
    const at = line.indexOf("=");
    return [line.slice(0, at), line.slice(at + 1)];
  });
  return { ...Object.fromEntries(settings), ...process.env };
}
