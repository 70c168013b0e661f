// The client library in C, dressed as the official client, so that one suite of scenarios
// runs over both: tests/client/driver does what it is told by lines of JSON.

import { randomUUID } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { reliableProtocol, jsonProtocol } from "./names.mjs";
import { clientDriver } from "./paths.mjs";
import { Program } from "./program.mjs";

const never = 4294967295;
const names = { [reliableProtocol]: "reliable", [jsonProtocol]: "json" };

class SendMessageError extends Error {
  name = "SendMessageError";
}
class InvocationError extends Error {
  name = "InvocationError";
}

function encode(content, type) {
  if (type === "json") return JSON.stringify(content);
  return type === "text" ? content : Buffer.from(content).toString("base64");
}

function decode(data, type) {
  if (data === undefined || type === "text") return data;
  if (type === "json") return JSON.parse(data);
  return new Uint8Array(Buffer.from(data, "base64")).buffer;
}

function errorDetail({ name, message }) {
  return name ? { name, message } : undefined;
}

const keyOf = (group, streamId) => JSON.stringify([group, streamId]);

function readMessage(event) {
  const message = { ...event, data: decode(event.data, event.dataType) };
  if (message.metadata) delete message.metadata[""];
  if (message.stream?.error) delete message.stream.error.x;
  return message;
}

export class CClient {
  #events = new EventEmitter();
  #program;
  #commands = new Map();
  #last = 0;
  #invocations = 0;
  #getUrl;
  #listeners = []; // of streams
  #streams = new Map(); // the fragments of those that are open, for each listener
  #writers = new Map();

  constructor(credential, { protocol, loop = false, ...options }) {
    this.#getUrl = typeof credential === "string" ? () => credential : credential.getClientAccessUrl;
    this.#program = new Program(clientDriver(), loop ? ["loop"] : ["thread"], { stdin: "pipe" });
    this.#program.onLine = (line) => this.#take(JSON.parse(line));
    const { keepAliveIntervalInMs: interval, keepAliveTimeoutInMs: timeout } = options;
    this.#tell("new", {
      protocol: names[protocol],
      noReconnect: options.autoReconnect === false,
      noRejoin: options.autoRejoinGroups === false,
      keepAlive: interval === 0 ? never : interval,
      keepAliveTimeout: timeout === 0 ? never : timeout,
      retries: options.messageRetryOptions?.maxRetries,
      retryDelay: options.messageRetryOptions?.retryDelayInMs,
      reconnectDelay: options.reconnectRetryOptions?.retryDelayInMs,
      ...options.driver,
    });
  }

  // Ends the program, and fails when it did not end well.
  async dispose() {
    this.#program.endInput();
    await this.#program.exited;
    this.#program.assertClean();
  }

  #tell(command, options = {}) {
    const id = ++this.#last;
    const answer = new Promise((resolve) => this.#commands.set(id, resolve));
    this.#program.type(`${JSON.stringify({ do: command, id, ...options })}\n`);
    return answer;
  }

  async #ask(command, options) {
    const result = await this.#tell(command, options);
    if (result.err === 0) return { isDuplicated: result.duplicate, ...result };
    throw Object.assign(new SendMessageError(result.message), { errorDetail: errorDetail(result), err: result.err });
  }

  async #take({ event, id, ...rest }) {
    if (event === undefined) {
      this.#commands.get(id)?.(rest);
      this.#commands.delete(id);
    } else if (event === "need-url") {
      this.#tell("url", { url: await Promise.resolve(this.#getUrl()).catch(() => undefined) });
    } else if (event === "stream-begun") {
      this.#beginStream(rest);
    } else if (event === "stream-fragment") {
      const message = readMessage(rest);
      for (const each of this.#streams.get(keyOf(rest.group, rest.stream.streamId))) each.put(message);
    } else if (event === "stream-ended") {
      this.#endStream(rest);
    } else if (event === "stream-failed") {
      this.#writers.get(rest.streamId)?.fail(rest);
    } else if (event.endsWith("message")) {
      this.#events.emit(event, { message: readMessage(rest) });
    } else {
      const error = Object.assign(new Error(rest.message), { errorDetail: errorDetail(rest) });
      this.#events.emit(event, event === "rejoin-group-failed" ? { group: rest.group, error } : rest);
    }
  }

  #beginStream({ group, streamId }) {
    const key = keyOf(group, streamId);
    if (this.#streams.has(key)) throw new Error(`stream ${streamId} has begun twice`);
    this.#streams.set(key, this.#listeners.map((listener) => {
      const fragments = Object.assign(new Fragments(), { groupName: group, streamId });
      listener(fragments);
      return fragments;
    }));
  }

  #endStream({ group, streamId, err, name, message, userErrorCode }) {
    const key = keyOf(group, streamId);
    const error = { name: name || `error ${err}`, message, ...(userErrorCode && { userErrorCode }) };
    for (const each of this.#streams.get(key)) each.end(err === 0 ? undefined : error);
    this.#streams.delete(key);
  }

  on(event, listener) {
    this.#events.on(event, listener);
  }
  off(event, listener) {
    this.#events.off(event, listener);
  }
  start() {
    return this.#ask("start");
  }
  stop() {
    this.#tell("stop");
  }
  joinGroup(group) {
    return this.#ask("join", { group });
  }
  leaveGroup(group) {
    return this.#ask("leave", { group });
  }
  sendToGroup(group, content, type, options = {}) {
    return this.#ask("send", { group, type, data: encode(content, type), ...options });
  }
  sendEvent(name, content, type, options = {}) {
    return this.#ask("event", { name, type, data: encode(content, type), ...options });
  }

  async invokeEvent(name, content, type, { invocationId = `${++this.#invocations}`, abortSignal, timeout } = {}) {
    const cancel = () => this.#tell("cancel", { invocationId });
    abortSignal?.addEventListener("abort", cancel, { once: true });
    const result = await this.#tell("invoke", { name, type, data: encode(content, type), invocationId, timeout });
    abortSignal?.removeEventListener("abort", cancel);
    if (result.err !== 0) {
      throw Object.assign(new InvocationError(result.message), { invocationId, errorDetail: errorDetail(result), err: result.err });
    }
    return { invocationId, dataType: result.dataType, data: decode(result.data, result.dataType) };
  }

  async openGroupStream(group, { streamId = randomUUID(), noEcho, idleTimeoutInMs } = {}) {
    const events = new EventEmitter();
    let over = false;
    const fail = ({ name, message }) => {
      over = true;
      events.emit("failed", { name: name || "Error", message });
    };
    this.#writers.set(streamId, { fail });
    const result = await this.#tell("open", { group, streamId, noEcho, idleTimeout: idleTimeoutInMs });
    if (result.err !== 0) throw Object.assign(new Error(result.message), { name: result.name });
    // As with the official client, a fragment that is on its way is as good as written; what
    // becomes of it is told by onError.
    const write = async (content, type) => {
      if (over) throw new Error("the stream is over");
      this.#tell("write", { streamId, type, data: encode(content, type) });
    };
    const finish = async (command, options) => {
      over = true;
      await this.#tell(command, { streamId, ...options });
    };
    return {
      streamId,
      write,
      end: () => finish("end"),
      abort: (error) => finish("abort", { message: error?.message, code: error?.userErrorCode }),
      onError: (listener) => events.on("failed", listener),
    };
  }

  // Of each stream that begins: its fragments. How streams are read was said to the constructor
  // (`driver`: streamsFromStart, streamIdle), before any could come.
  onGroupStream(callback) {
    this.#listeners.push(callback);
  }
}

class Fragments {
  #events = new EventEmitter();
  #items = [];
  #ended = false;
  #error;

  put(item) {
    this.#items.push(item);
    this.#events.emit("more");
  }
  end(error) {
    this.#ended = true;
    this.#error = error;
    this.#events.emit("more");
  }
  async *[Symbol.asyncIterator]() {
    for (;;) {
      while (this.#items.length) yield this.#items.shift();
      if (this.#ended && this.#error) throw this.#error;
      if (this.#ended) return;
      await once(this.#events, "more");
    }
  }
}
