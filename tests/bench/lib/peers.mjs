// Servers of others that do what the broker does, as Debian and npm install them, each with
// a small configuration or program in peers/. What is not installed is said to be missing.
import { join } from "node:path";
import { folder } from "./bench.mjs";
import { nginx, withConfigured } from "./configured.mjs";
import { missing, missingNpm } from "./installed.mjs";

const configured = (name, command) => (bench, measure) => withConfigured(bench, name, { command }, measure);
const printsReady = (command) => (bench, measure) => bench.with({ command: command(bench), ready: /^ready (\d+)$/ }, measure);
const script = (name) => printsReady(() => [process.execPath, join(folder, "peers", name)]);

// name; dialect of the load clients; missing(bench): why it cannot be measured, or null;
// with(bench, measure): starts it, measures and stops it.
export const peers = [
  {
    name: "nchan in nginx",
    dialect: "nchan",
    missing: () => missing("/usr/sbin/nginx") ?? missing("/usr/lib/nginx/modules/ngx_nchan_module.so"),
    with: configured("nchan.conf", nginx),
  },
  {
    name: "NATS server",
    dialect: "nats",
    missing: () => missing("/usr/sbin/nats-server"),
    with: configured("nats.conf", (file) => ["/usr/sbin/nats-server", "-c", file, "-l", "/dev/null"]),
  },
  {
    name: "mosquitto",
    dialect: "mqtt",
    missing: () => missing("/usr/sbin/mosquitto"),
    with: configured("mosquitto.conf", (file) => ["/usr/sbin/mosquitto", "-c", file]),
  },
  {
    name: "libwebsockets",
    dialect: "plain",
    missing: (bench) => missing(join(bench.build, "tests/bench/peers/libwebsockets"), "not built: libwebsockets-dev was not there"),
    with: printsReady((bench) => [bench.program("tests/bench/peers/libwebsockets")]),
  },
  { name: "ws on Node", dialect: "plain", missing: () => missingNpm("ws"), with: script("ws.mjs") },
  { name: "Socket.IO", dialect: "socket.io", missing: () => missingNpm("socket.io"), with: script("socketio.mjs") },
];
