// Servers of others that do what the broker does, as Debian and npm install them, each with
// a small configuration or program in peers/. What is not installed is said to be missing.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { folder } from "./bench.mjs";
import { freePort } from "./processes.mjs";

// A configuration of peers/ with ports of this run; `command` starts a server with the file.
function configured(name, command) {
  return async (bench, measure) => {
    const temporary = mkdtempSync(join(tmpdir(), "pubhook-bench-"));
    try {
      const values = { PORT: await freePort(), SPARE: await freePort(), FOLDER: temporary };
      const file = join(temporary, name);
      const text = readFileSync(join(folder, "peers", name), "utf8").replace(/@([A-Z]+)@/g, (_, key) => values[key]);
      writeFileSync(file, text);
      return await bench.with({ command: command(file, temporary), ready: { host: "127.0.0.1", port: values.PORT } }, measure);
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  };
}

const printsReady = (command) => (bench, measure) => bench.with({ command: command(bench), ready: /^ready (\d+)$/ }, measure);
const script = (name) => printsReady(() => [process.execPath, join(folder, "peers", name)]);
const unless = (file, why = "not installed (scripts/deps --bench)") => (existsSync(file) ? null : why);
const npm = (name) => unless(join(folder, "peers/node_modules", name));

// name; dialect of the load clients; missing(bench): why it cannot be measured, or null;
// with(bench, measure): starts it, measures and stops it.
export const peers = [
  {
    name: "nchan in nginx",
    dialect: "nchan",
    missing: () => unless("/usr/sbin/nginx") ?? unless("/usr/lib/nginx/modules/ngx_nchan_module.so"),
    with: configured("nchan.conf", (file, temporary) => ["/usr/sbin/nginx", "-p", temporary, "-c", file, "-e", "stderr"]),
  },
  {
    name: "NATS server",
    dialect: "nats",
    missing: () => unless("/usr/sbin/nats-server"),
    with: configured("nats.conf", (file) => ["/usr/sbin/nats-server", "-c", file, "-l", "/dev/null"]),
  },
  {
    name: "mosquitto",
    dialect: "mqtt",
    missing: () => unless("/usr/sbin/mosquitto"),
    with: configured("mosquitto.conf", (file) => ["/usr/sbin/mosquitto", "-c", file]),
  },
  {
    name: "libwebsockets",
    dialect: "plain",
    missing: (bench) => unless(join(bench.build, "tests/bench/peers/libwebsockets"), "not built: libwebsockets-dev was not there"),
    with: printsReady((bench) => [bench.program("tests/bench/peers/libwebsockets")]),
  },
  { name: "ws on Node", dialect: "plain", missing: () => npm("ws"), with: script("ws.mjs") },
  { name: "Socket.IO", dialect: "socket.io", missing: () => npm("socket.io"), with: script("socketio.mjs") },
];
