// What a reader must know to compare figures: the machine and the tools, and nothing that
// tells whose it is.
import { spawnSync } from "node:child_process";
import { cpus, release, totalmem } from "node:os";
import { configured } from "./build.mjs";
import { LOAD, SERVER } from "./processes.mjs";

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

// What the machine takes away from a program that only spins, on all cores of the measurements
// at once.
export function measureStalls(bench) {
  const cores = cpus().length > 1 ? [SERVER, LOAD] : [SERVER];
  const one = async (cpu) => {
    const { lost, stalls, longest_us } = await bench.load("stalls", [bench.seconds], { cpu });
    return { lost, stalls, longest_us };
  };
  return Promise.all(cores.map(one));
}

// p99 looks at one in a hundred, so that is what the part that is lost is to be compared with.
function stallsText(stalls) {
  const parts = stalls.map(({ lost }) => (lost * 100).toFixed(2)).join(" and ");
  const longest = Math.max(...stalls.map(({ longest_us }) => longest_us)) / 1000;
  return `A program that only spins lost ${parts} % of its time to the machine, up to ${longest.toFixed(1)} ms at a time`;
}

export const machineText = (m) =>
  `${m.cpu}, ${m.cores} cores, ${m.memoryGiB} GiB, ${m.kernel}, ${m.compiler} ${m.flags}, node ${m.node}.` +
  (m.stalls ? ` ${stallsText(m.stalls)}.` : "");
