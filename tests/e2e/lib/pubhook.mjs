// The programs of pubhook, by the command lines that they promise.

import { example, plugin, program, sourceDir } from "./paths.mjs";
import { start } from "./program.mjs";

export const defaultKey = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";

// A running broker. `handlers` maps hubs to plugins, `upstreams` hubs to URLs.
export async function startBroker(t, { listen = "127.0.0.1:0", threads = 2, handlers = {}, upstreams = {}, args = [] } = {}) {
  const command = ["--listen", listen, "--threads", String(threads), ...args];
  for (const [hub, name] of Object.entries(handlers)) {
    command.push("--handler", `${hub}=${name.includes("/") ? name : plugin(name)}`);
  }
  for (const [hub, url] of Object.entries(upstreams)) command.push("--event-handler", `${hub}=${url}`);
  const broker = start(t, program("pubhook-broker"), command);
  broker.url = await broker.line("ready");
  broker.connectionString = await broker.line("connection-string");
  broker.port = Number(new URL(broker.url).port);
  broker.host = `127.0.0.1:${broker.port}`;
  return broker;
}

// pubhookd over HTTP with the named plugins ("echo", "chat?key=value", or a path).
export async function startHandler(t, plugins, { listen = "127.0.0.1:0", fastcgi, key = defaultKey, threads = 2, args = [], env } = {}) {
  const command = fastcgi ? ["--fastcgi", fastcgi] : ["--listen", listen];
  command.push("--threads", String(threads), ...args);
  if (key) command.push("--access-key", key);
  for (const name of [plugins].flat()) {
    const [, file, settings] = name.match(/^([^?]*)(\?.*)?$/);
    command.push("--plugin", (file.includes("/") ? file : plugin(file)) + (settings ?? ""));
  }
  const handler = start(t, program("pubhookd"), command, { env });
  handler.url = await handler.line("ready");
  if (!fastcgi) handler.port = Number(new URL(handler.url).port);
  return handler;
}

// examples/negotiate: hands out client access URLs, and the chat page.
export async function startNegotiate(t, broker, hub = "chat") {
  const page = `${sourceDir}/examples/chat/index.html`;
  const negotiate = start(t, example("negotiate"), ["--listen", "127.0.0.1:0", "--hub", hub, "--page", page], {
    env: { WebPubSubConnectionString: broker.connectionString },
  });
  negotiate.url = await negotiate.line("ready");
  return negotiate;
}
