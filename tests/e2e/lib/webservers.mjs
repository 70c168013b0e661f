// nginx with the configurations of nginx/, and lighttpd running pubhookd as CGI.

import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { once } from "node:events";
import { setTimeout as pass } from "node:timers/promises";
import { accepts, freePort } from "./net.mjs";
import { program, sanitizerEnvironment, sourceDir, temporaryFolder } from "./paths.mjs";
import { patience } from "./patience.mjs";
import { start } from "./program.mjs";
import { defaultKey } from "./pubhook.mjs";

// nginx writes nothing when it is ready, so its port is asked until it answers.
async function listening(server, port) {
  const end = performance.now() + patience;
  while (server.running && performance.now() < end) {
    if (await accepts({ port, host: "127.0.0.1" })) return;
    await pass(50);
  }
  throw new Error(`${server.command} does not listen on ${port}\n${server.log}`);
}

// A configuration as shipped, with addresses and files of this test in place of its own.
function adapt(name, replacements) {
  let conf = readFileSync(path.join(sourceDir, "nginx", name), "utf8");
  for (const [pattern, text] of replacements) {
    if (!pattern.test(conf)) throw new Error(`nginx/${name} holds nothing like ${pattern}`);
    pattern.lastIndex = 0;
    conf = conf.replace(pattern, text);
  }
  return conf;
}

// Loopback and one port in place of all addresses and a well-known one.
function listenOn(port) {
  return (line) => (line.includes("[::]") ? "" : line.replace(/\d+/, `127.0.0.1:${port}`));
}

// The main configuration around a server block of ours: no daemon, all files in one folder.
function mainConf(folder, conf) {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return [
    "daemon off;",
    process.getuid() === 0 ? "user root;" : "",
    "worker_processes 1;",
    `pid ${folder}/nginx.pid;`,
    "error_log stderr warn;",
    "events {}",
    "http {",
    "access_log off;",
    ...temporary.map((kind) => `${kind}_temp_path ${folder}/${kind};`),
    conf,
    "}",
  ].join("\n");
}

async function startNginx(t, folder, conf, port) {
  const file = path.join(folder, "nginx.conf");
  writeFileSync(file, mainConf(folder, conf));
  const args = ["-p", folder, "-c", file, "-e", "stderr"];
  execFileSync("/usr/sbin/nginx", [...args, "-t"], { stdio: "pipe" });
  const server = start(t, "/usr/sbin/nginx", args);
  await listening(server, port);
  return server;
}

// nginx/fastcgi.conf in front of `pubhookd --fastcgi SOCKET`.
export async function startNginxFastcgi(t, socket) {
  const folder = temporaryFolder(t);
  const port = await freePort();
  const conf = adapt("fastcgi.conf", [
    [/listen [^;]*;/g, listenOn(port)],
    [/unix:[^;]*;/g, `unix:${socket};`],
  ]);
  await startNginx(t, folder, conf, port);
  return { url: `http://127.0.0.1:${port}/eventhandler`, port };
}

// nginx/broker.conf with a certificate for localhost, in front of a broker. `host` is what
// it passes on as the Host in place of the caller's.
export async function startNginxBroker(t, broker, { port, host } = {}) {
  const folder = temporaryFolder(t);
  port ??= await freePort();
  const [certificate, key] = [`${folder}/cert.pem`, `${folder}/key.pem`];
  execFileSync("openssl", [
    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate,
  ], { stdio: "pipe" });
  const conf = adapt("broker.conf", [
    [/listen [^;]*;/g, listenOn(port)],
    [/server 127\.0\.0\.1:8080/g, `server ${broker.host}`],
    [/ssl_certificate [^;]*;/g, `ssl_certificate ${certificate};`],
    [/ssl_certificate_key [^;]*;/g, `ssl_certificate_key ${key};`],
    ...(host ? [[/proxy_set_header Host [^;]*;/g, `proxy_set_header Host ${host};`]] : []),
  ]);
  await startNginx(t, folder, conf, port);
  return { url: `https://localhost:${port}`, port, certificateFile: certificate };
}

// lighttpd that starts pubhookd for each request.
export async function startLighttpdCgi(t, plugin, { key = defaultKey } = {}) {
  const folder = temporaryFolder(t);
  const port = await freePort();
  const script = path.join(folder, "handler.cgi");
  const sanitizers = Object.entries(sanitizerEnvironment())
    .filter(([name]) => /SAN_OPTIONS$/.test(name))
    .map(([name, value]) => `export ${name}='${value}'\n`);
  const command = [program("pubhookd"), "--log-level", "warn", "--access-key", key, "--plugin", plugin].map((word) => `'${word}'`).join(" ");
  writeFileSync(script, `#!/bin/sh\n${sanitizers.join("")}exec ${command}\n`);
  chmodSync(script, 0o755);
  mkdirSync(path.join(folder, "www"));
  const file = path.join(folder, "lighttpd.conf");
  writeFileSync(
    file,
    `server.modules = ("mod_alias", "mod_cgi")
server.bind = "127.0.0.1"
server.port = ${port}
server.document-root = "${folder}/www"
server.upload-dirs = ("${folder}")
server.max-request-field-size = 65536
alias.url = ("/eventhandler" => "${script}")
cgi.assign = (".cgi" => "")
`,
  );
  const server = start(t, "/usr/sbin/lighttpd", ["-D", "-f", file], {
    goodStatus: [0, 1], // 1 with connections that were idle
  });
  await listening(server, port);
  return { url: `http://127.0.0.1:${port}/eventhandler`, port };
}
