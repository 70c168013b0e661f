// Starting: from exec to ready, and how large the programs are.
import { execFileSync } from "node:child_process";
import { realpathSync, statSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { folder } from "../lib/bench.mjs";
import { inTemporaryFolder, nginx, withConfig } from "../lib/configured.mjs";
import { missing } from "../lib/installed.mjs";
import { freePort } from "../../e2e/lib/net.mjs";
import { BOTH } from "../lib/processes.mjs";

const name = "start";
const title = "Start";

const threads = ["--threads", String(cpus().length)]; // as they are without the option
const [nginxFile, natsFile] = ["/usr/sbin/nginx", "/usr/sbin/nats-server"];

function times(bench) {
  const count = bench.count(20);
  const starts = async (ready, command) => {
    const out = await bench.load("start", [count, ready, ...command], { cpu: BOTH });
    return { value: out.p50_us / 1000, min: out.min_us / 1000, max: out.max_us / 1000 };
  };
  const portOf = async (command) => {
    const port = await freePort();
    return starts(`port:${port}`, command(port));
  };
  const goal = { atMost: 10 };
  return {
    title: `From exec to ready, median of ${count} starts`,
    note: "With files in the page cache. Ready is the line that says so; of nginx, the first connection that is accepted.",
    unit: "ms",
    better: "less",
    columns: { min: "least", max: "most" },
    plot: { kind: "bars", file: "start" },
    subjects: [
      { name: "pubhook-broker", goal, measure: () => starts("ready ", bench.broker(...threads).command) },
      {
        name: "pubhook-broker with a handler in it",
        goal,
        measure: () => starts("ready ", bench.broker(...threads, "--handler", `bench=${bench.plugin("echo")}`).command),
      },
      { name: "pubhookd", goal, measure: () => starts("ready ", bench.pubhookd("echo", { threads: cpus().length }).command) },
      {
        name: "nginx, one worker",
        missing: missing(nginxFile),
        measure: () => withConfig("nginx-204.conf", {}, ({ file, temporary, port }) => starts(`port:${port}`, nginx(file, temporary))),
      },
      { name: "NATS server", missing: missing(natsFile), measure: () => portOf((port) => [natsFile, "-a", "127.0.0.1", "-p", String(port)]) },
      { name: "Node, one HTTP server", measure: () => starts("ready ", [process.execPath, join(folder, "peers/node_http.mjs")]) },
    ],
  };
}

function sizes(bench) {
  const stripped = (file) =>
    inTemporaryFolder((temporary) => {
      const copy = join(temporary, "copy");
      execFileSync("strip", ["-o", copy, file]);
      return { value: statSync(copy).size / 1000 };
    });
  const installed = (file) => ({ value: statSync(realpathSync(file)).size / 1000 });
  const goal = { atMost: 1000 };
  return {
    title: "Size of the programs, stripped",
    note: "The file alone, without the libraries of the system that it loads.",
    unit: "kB",
    better: "less",
    runs: 1,
    subjects: [
      ...["pubhook-broker", "pubhookd"].map((name) => ({ name, goal, measure: () => stripped(bench.program(name)) })),
      ...[["nginx", nginxFile], ["NATS server", natsFile], ["Node", process.execPath]].map(([name, file]) => ({
        name,
        missing: missing(file),
        measure: () => installed(file),
      })),
    ],
  };
}

const tables = (bench) => [times(bench), sizes(bench)];

export default { name, title, tables };
