// The build that is measured: found, or made.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";

export class Unfit extends Error {}

// What configure was told, from the file that it leaves behind.
export function configured(folder) {
  const file = join(folder, "config.status");
  if (!existsSync(file)) return null;
  const text = readFileSync(file, "utf8");
  const value = (name) => new RegExp(`^S\\["${name}"\\]="(.*)"$`, "m").exec(text)?.[1] ?? "";
  const flags = `${value("CFLAGS")} ${value("LTO_CFLAGS")}`.trim();
  return { compiler: value("CC"), flags, sanitizers: value("SAN_CFLAGS") };
}

function fault({ flags, sanitizers }) {
  if (/-fsanitize/.test(sanitizers + flags)) return "it was built with sanitizers";
  const level = flags.match(/-O\S*/g)?.at(-1) ?? "-O0";
  if (level === "-O0") return "it was built without optimisation";
  return null;
}

export function checkBuild(folder) {
  const settings = configured(folder);
  if (!settings) throw new Unfit(`${folder} is no build folder: configure has not run there`);
  const why = fault(settings);
  if (why) throw new Unfit(`${folder} cannot be measured: ${why}. Leave out --build, or configure one with CFLAGS="-O2 -g"`);
}

function step(what, command, cwd) {
  process.stderr.write(`${what} ... `);
  const [file, ...args] = command;
  const { status, stdout, stderr } = spawnSync(file, args, { cwd, encoding: "utf8", maxBuffer: 1 << 28 });
  if (status !== 0) {
    process.stderr.write("failed\n");
    throw new Unfit(`${command.join(" ")} failed in ${cwd}:\n${(stdout + stderr).split("\n").slice(-30).join("\n")}`);
  }
  process.stderr.write("ok\n");
}

// `build`, if somebody has made a fit one; a folder below it otherwise.
export function findOrMakeBuild(root) {
  const usual = ["build", "."].map((name) => join(root, name)).find((folder) => {
    const settings = configured(folder);
    return settings && !fault(settings);
  });
  const folder = usual ?? join(root, "build", "bench");
  if (!existsSync(join(root, "configure"))) step("preparing the build", ["autoreconf", "-fi"], root);
  if (!configured(folder)) {
    mkdirSync(folder, { recursive: true });
    step("configuring", [join(root, "configure"), "-q", "CFLAGS=-O2 -g"], folder);
  }
  step("compiling", ["make", `-j${cpus().length}`, "bench"], folder);
  return folder;
}
