// What a reader must know to compare figures: the machine and the tools, and nothing that
// tells whose it is.
import { spawnSync } from "node:child_process";
import { cpus, release, totalmem } from "node:os";
import { configured } from "./build.mjs";

function firstLine(command) {
  const [file, ...args] = command;
  const { stdout, stderr } = spawnSync(file, args, { encoding: "utf8" });
  return (stdout || stderr || "").split("\n")[0].trim();
}

export function describeMachine(build) {
  const { compiler, flags } = configured(build);
  return {
    cpu: cpus()[0].model.trim(),
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `Linux ${release()}`,
    compiler: firstLine([...compiler.split(" "), "--version"]),
    flags,
    node: process.version,
  };
}

export const machineText = (m) =>
  `${m.cpu}, ${m.cores} cores, ${m.memoryGiB} GiB, ${m.kernel}, ${m.compiler} ${m.flags}, node ${m.node}`;
