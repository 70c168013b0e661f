// `pubhook` as a user calls it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { program, sanitizerEnvironment } from "./paths.mjs";

const sanitizerReport = /AddressSanitizer|LeakSanitizer|runtime error:/;

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function ended(child, input) {
  child.stdin.on("error", () => {}); // it may end before it has read all
  child.stdin.end(input);
  const [stdout, stderr, [status]] = await Promise.all([collect(child.stdout), collect(child.stderr), once(child, "close")]);
  const result = { status, bytes: stdout, stdout: stdout.toString(), stderr: stderr.toString() };
  assert.doesNotMatch(result.stderr + result.stdout, sanitizerReport);
  return result;
}

// Runs it to its end. `service` is a connection string, or something with one.
export async function pubhook(args, { service, env = {}, input = "" } = {}) {
  const child = spawn(program("pubhook"), args, { env: environment(service, env), stdio: "pipe" });
  return ended(child, input);
}

export function environment(service, env = {}) {
  const clean = { ...sanitizerEnvironment(), ...env };
  delete clean.WebPubSubConnectionString;
  if (service) clean.WebPubSubConnectionString = service.connectionString ?? service;
  return clean;
}

// The same on a terminal, with what a person would see in `stdout`.
export async function onTerminal(args, { service, env = {}, input = "" } = {}) {
  const quoted = [program("pubhook"), ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  const child = spawn("script", ["-qefc", quoted, "/dev/null"], { env: environment(service, { TERM: "xterm", ...env }), stdio: "pipe" });
  return ended(child, input);
}

// Success, and what it printed.
export async function prints(args, options) {
  const { status, stdout, stderr } = await pubhook(args, options);
  assert.equal(status, 0, `pubhook ${args.join(" ")}: ${stderr}`);
  return stdout;
}

// The objects that it printed, one on each line.
export function objects(text) {
  return text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

// A wrong command line: status 2, nothing printed, one line that matches.
export async function isWrong(args, pattern, options) {
  const { status, stdout, stderr } = await pubhook(args, options);
  assert.equal(status, 2, `pubhook ${args.join(" ")}: ${stdout}${stderr}`);
  assert.equal(stdout, "");
  assert.match(stderr, /^pubhook[^\n]*; see pubhook[^\n]* --help\n$/);
  assert.match(stderr, pattern);
}

// Another failure: status 1 and one line that matches.
export async function fails(args, pattern, options) {
  const { status, stdout, stderr } = await pubhook(args, options);
  assert.equal(status, 1, `pubhook ${args.join(" ")}: ${stdout}${stderr}`);
  assert.match(stderr, /^pubhook [^\n]*\n$/);
  assert.match(stderr, pattern);
  return stdout;
}

// The verbs and their options, as the help says.
export async function verbs() {
  const help = await prints(["--help"]);
  return [...help.split("Verbs:\n")[1].matchAll(/^ {2}([a-z-]+(?: [a-z-]+)?) {2,}/gm)].map((match) => match[1]);
}

export async function optionsOf(verb) {
  const help = await prints([...verb.split(" "), "--help"]);
  return [...help.matchAll(/^ {2}(--[a-z-]+)/gm)].map((match) => match[1]);
}
