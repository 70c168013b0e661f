// What a broker does to its clients, said as simply as possible: sets and lists, no
// shards, no sockets. The model test compares it with the real one, step by step.

import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";

// What may be done with groups (official-emulator section 2.6): what roles give, and names
// with a verdict of their own.
class Rules {
  exceptions = new Map();

  // `patterns`: text of a role's pattern, and the test that it stands for.
  constructor(roles, action, patterns) {
    const prefix = `webpubsub.${action}`;
    this.all = roles.includes(prefix);
    this.patterns = patterns.filter(({ text }) => roles.includes(`${prefix}s.${text}`));
    for (const role of roles) {
      if (role.startsWith(`${prefix}.`)) this.set(role.slice(prefix.length + 1), true);
    }
  }
  #fallback(group) {
    return this.all || this.patterns.some(({ fits }) => fits(group));
  }
  allow(group) {
    return this.exceptions.get(group) ?? this.#fallback(group);
  }
  set(group, verdict) {
    if (this.#fallback(group) === verdict) this.exceptions.delete(group);
    else this.exceptions.set(group, verdict);
  }
}

// A message as a client of the dialect sees it; undefined if it does not.
function seenBy(dialect, message) {
  if (dialect === "raw") {
    const { dataType, data, stream } = message;
    if (stream?.endOfStream) return undefined;
    if (dataType === "text") return { type: "message", dataType, data };
    if (dataType === "json") return { type: "message", dataType: "text", data: JSON.stringify(data) };
    return { type: "message", dataType: "binary", data };
  }
  const { fromUserId, ...rest } = message;
  return dialect.startsWith("json") && fromUserId ? { ...rest, fromUserId } : rest;
}

const unnumbered = ({ sequenceId, ...frame }) => frame;

// Frames that may come in any order. `numbered`: each has its sequence id already; else the
// order in which they come decides.
class Bag {
  constructor(numbered = false) {
    this.numbered = numbered;
  }
}

// A frame that a client is about to hear. `instead`: what may come in its place.
class Due {
  constructor(frame, { bag, instead } = {}) {
    Object.assign(this, { frame, bag, instead });
  }
  is(frame) {
    const [mine, its] = this.bag && !this.bag.numbered ? [unnumbered(this.frame), unnumbered(frame)] : [this.frame, frame];
    return isDeepStrictEqual(mine, its) || (this.instead !== undefined && isDeepStrictEqual(this.instead, its));
  }
}

export class ModelClient {
  attached = true;
  sequence = 0;
  unacked = []; // reliable: to be heard again after a recovery
  expected = []; // to be heard next
  maybe = []; // may come before the end
  acked = new Set(); // ackIds of successes
  states = new Map(); // what it says about itself, by group
  watched = new Set(); // groups whose states it has subscribed to
  streams = new Map(); // that it has open
  closing = undefined; // the code that the socket is closed with

  constructor(label, { dialect, id, user, roles, patterns = [], groups, publishes, noEcho }) {
    Object.assign(this, { label, dialect, id, user, publishes, noEcho, groups: new Set(groups) });
    this.reliable = dialect.endsWith("reliable");
    this.framed = dialect !== "raw";
    const rules = (action) => new Rules(roles, action, patterns);
    this.may = Object.fromEntries(["sendToGroup", "joinLeaveGroup", "setGroupState", "getGroupState"].map((action) => [action, rules(action)]));
  }
  // A frame about the connection: lost when nobody is there.
  hear(frame, how) {
    if (this.attached) this.expected.push(new Due(frame, how));
  }
  // One that is kept until it was acknowledged.
  #hearKept(frame, how) {
    if (this.reliable) frame.sequenceId = ++this.sequence;
    const due = new Due(frame, how);
    if (this.reliable) this.unacked.push(due);
    if (this.attached) this.expected.push(due);
  }
  hearMessage(message, how) {
    const frame = seenBy(this.dialect, { type: "message", ...message });
    if (frame) this.#hearKept({ ...frame }, how);
  }
  hearStates(frame, how) {
    this.#hearKept({ ...frame }, how);
  }
  hearAck(ackId, error) {
    if (ackId === undefined) return;
    if (!error) this.acked.add(ackId);
    this.hear(error ? { type: "ack", ackId, success: false, error } : { type: "ack", ackId, success: true });
  }

  // All that is expected now comes in any order, but messages by their sequence ids. What is
  // asked again may have been done before.
  hearMixed() {
    const bag = new Bag(true);
    this.expected = this.expected.map(({ frame }) => new Due(frame, { bag, instead: frame.type === "ack" && frame.success ? duplicate(frame.ackId) : undefined }));
  }

  // Takes what is expected next: one frame, or those that come in any order.
  #nextDue() {
    const [first] = this.expected;
    const end = first.bag ? this.expected.findIndex(({ bag }) => bag !== first.bag) : 1;
    return this.expected.splice(0, end < 0 ? this.expected.length : end);
  }
  #mayHear(frame) {
    const at = this.maybe.findIndex((possible) => isDeepStrictEqual(possible, unnumbered(frame)));
    if (at >= 0) this.maybe.splice(at, 1);
    return at >= 0;
  }
  // Hears all that is expected; `next` gives the frames that have come.
  async listen(next) {
    const what = `what ${this.label} (${this.dialect}) hears`;
    while (this.expected.length > 0) {
      const due = this.#nextDue();
      const numbers = due.map(({ frame }) => frame.sequenceId).filter(Boolean);
      const waiting = [...due];
      const heard = [];
      while (waiting.length > 0) {
        const frame = await next();
        const at = waiting.findIndex((one) => one.is(frame));
        if (at < 0 && this.#mayHear(frame)) continue;
        if (at < 0) assert.deepEqual(frame, waiting[0].frame, what);
        const [one] = waiting.splice(at, 1);
        if (frame.sequenceId) heard.push(frame);
        else if (!one.instead) one.frame = frame;
        one.bag = undefined; // its place is clear now
      }
      assert.deepEqual(heard.map(({ sequenceId }) => sequenceId), numbers, `${what}: by sequence ids`);
      // As it has come, it comes again.
      due.filter(({ frame }) => frame.sequenceId).forEach((one, i) => (one.frame = heard[i]));
    }
  }
}

const deeds = {
  joinGroup: "join", leaveGroup: "leave", sendToGroup: "send to",
  setGroupState: "set a state in", subscribeGroupState: "see the states of",
};
const actions = {
  joinGroup: "joinLeaveGroup", leaveGroup: "joinLeaveGroup", sendToGroup: "sendToGroup",
  setGroupState: "setGroupState", subscribeGroupState: "getGroupState",
};
const duplicate = (ackId) => ({
  type: "ack", ackId, success: false,
  error: { name: "Duplicate", message: `Message with ack-id: ${ackId} has been processed` },
});
const forbidden = (type, group) => ({ name: "Forbidden", message: `The client does not have permission to ${deeds[type]} group '${group}'.` });
const revoked = { name: "Forbidden", message: "The client does not have permission to send to the group any more." };
const cancelled = { name: "Cancelled", message: "The connection of the publisher has ended." };

const stateItem = ({ id, user }, state) => ({ connectionId: id, ...(user !== undefined && { userId: user }), ...(state && { state }) });

export class Model {
  clients = new Map(); // those that live, by label

  get all() {
    return [...this.clients.values()];
  }
  add(label, properties) {
    const client = new ModelClient(label, properties);
    this.clients.set(label, client);
    return client;
  }

  // Whom an operation names.
  scope({ kind, name }) {
    return this.all.filter((client) => {
      if (kind === "group") return client.groups.has(name);
      if (kind === "user") return client.user === name;
      return kind === "connection" ? client.id === name : true;
    });
  }
  send(scope, message, { excluded = [], filter = () => true } = {}) {
    const from = scope.kind === "group" ? { from: "group", group: scope.name } : { from: "server" };
    for (const client of this.scope(scope)) {
      if (!excluded.includes(client.id) && filter(client)) client.hearMessage({ ...from, ...message });
    }
  }
  join(scope, groups, filter = () => true) {
    for (const client of this.scope(scope).filter(filter)) for (const group of groups) client.groups.add(group);
  }
  // Without groups: all.
  leave(scope, groups, filter = () => true) {
    const bag = new Bag();
    for (const client of this.scope(scope).filter(filter)) {
      for (const group of groups ?? [...client.groups]) this.#leaveOne(client, group, { bag });
    }
  }
  #leaveOne(client, group, how) {
    if (client.groups.delete(group) && client.states.delete(group)) this.#tellState(client, group, undefined, how);
  }

  // Connections end at once: who is left hears of their streams and states, in the order of
  // chance; each of them may still hear of the others'.
  end(clients) {
    for (const client of clients) this.clients.delete(client.label);
    const how = { bag: new Bag(), dying: clients };
    for (const client of clients) {
      for (const stream of client.streams.values()) this.#publishEnd(client, stream, cancelled, how);
      for (const group of client.states.keys()) this.#tellState(client, group, undefined, how);
    }
  }
  remove(client) {
    this.end([client]);
  }
  close(scope, reason, excluded = []) {
    const message = `Application server closed the connection.${reason ? ` Reason: ${reason}` : ""}`;
    const closed = this.scope(scope).filter(({ id }) => !excluded.includes(id));
    this.end(closed);
    for (const client of closed) {
      if (client.framed) client.hear({ type: "system", event: "disconnected", message });
      client.closing = 1000;
    }
  }

  // What a client says, with or without an ackId.
  #refused(client, { type, group, ackId }) {
    if (client.acked.has(ackId)) {
      client.hear(duplicate(ackId));
      return true;
    }
    if (!actions[type] || client.may[actions[type]].allow(group)) return false;
    client.hearAck(ackId, forbidden(type, group));
    return true;
  }
  #deeds = {
    joinGroup: (client, { group }) => client.groups.add(group),
    leaveGroup: (client, { group }) => this.#leaveOne(client, group),
    sendToGroup: (client, { group, noEcho, ...message }) => this.publish(client, group, message, noEcho),
    unsubscribeGroupState: (client, { group }) => client.watched.delete(group),
  };
  says(client, { type, ackId, ...message }) {
    if (this.#refused(client, { type, ackId, ...message })) return;
    this.#deeds[type](client, message);
    client.hearAck(ackId);
  }
  publish(client, group, message, noEcho, { bag, dying = [] } = {}) {
    const told = { from: "group", group, fromUserId: client.user, ...message };
    for (const member of this.scope({ kind: "group", name: group })) {
      if (!noEcho || member !== client) member.hearMessage(told, { bag });
    }
    for (const other of dying) {
      if (other !== client && other.groups.has(group)) other.maybe.push(seenBy(other.dialect, { type: "message", ...told }));
    }
  }
  // Raw clients that publish (client-and-rest section 2.8); their group takes it or they go.
  publishRaw(client, message) {
    if (client.may.sendToGroup.allow(client.publishes)) return this.publish(client, client.publishes, message, client.noEcho);
    client.closing = 1008;
    this.remove(client);
  }
  // Answered by the echo handler.
  event(client, { ackId, dataType, data }) {
    client.hearMessage({ from: "server", dataType, data });
    client.hearAck(ackId);
  }
  invoke(client, { invocationId, dataType, data }) {
    client.hear({ type: "invokeResponse", invocationId, success: true, dataType, data });
  }

  // --- Group states (client-and-rest section 2.6)

  #tellState(client, group, state, { bag, dying = [] } = {}) {
    const frame = { type: "groupStateUpdate", group, items: [stateItem(client, state)] };
    for (const watcher of this.all) if (watcher.watched.has(group)) watcher.hearStates(frame, { bag });
    for (const other of dying) if (other !== client && other.watched.has(group)) other.maybe.push(frame);
  }
  // Without a state: there is none any more.
  setState(client, { type, group, ackId, state }) {
    if (this.#refused(client, { type, group, ackId })) return;
    if (!client.groups.has(group)) return client.hearAck(ackId, { name: "Forbidden", message: "Not a member of group." });
    client.hearAck(ackId);
    const had = client.states.delete(group);
    if (state) client.states.set(group, state);
    if (state || had) this.#tellState(client, group, state);
  }
  subscribe(client, { type, group, ackId }) {
    if (this.#refused(client, { type, group, ackId })) return;
    client.watched.add(group);
    client.hearAck(ackId);
    const items = this.all.filter(({ states }) => states.has(group)).map((other) => stateItem(other, other.states.get(group)));
    items.sort((a, b) => (a.connectionId < b.connectionId ? -1 : 1));
    client.hearStates({ type: "groupStateSnapshot", group, items });
  }

  // --- Streams (client-and-rest section 2.4)

  openStream(client, { streamId, group, noEcho }) {
    if (!client.may.sendToGroup.allow(group)) return client.hear({ type: "streamClosed", streamId, error: forbidden("sendToGroup", group) });
    client.streams.set(streamId, { streamId, group, noEcho, next: 1 });
    this.#ackStream(client, streamId);
  }
  #ackStream(client, streamId, how) {
    client.hear({ type: "streamAck", streamId, expectedSequenceId: client.streams.get(streamId).next }, how);
  }
  #publishEnd(client, { streamId, group, noEcho, next }, error, how) {
    const stream = { streamId, streamSequenceId: next, endOfStream: true, ...(error && { error }) };
    this.publish(client, group, { dataType: "text", data: "", stream }, noEcho, how);
  }
  #closeStream(client, stream, toSubscribers, toPublisher) {
    this.#publishEnd(client, stream, toSubscribers);
    client.streams.delete(stream.streamId);
    client.hear({ type: "streamClosed", streamId: stream.streamId, ...(toPublisher && { error: toPublisher }) });
  }
  // Each is judged by what its publisher may do now.
  #mayGoOn(client, stream) {
    if (client.may.sendToGroup.allow(stream.group)) return true;
    this.#closeStream(client, stream, revoked, revoked);
    return false;
  }
  streamData(client, { streamId, streamSequenceId, dataType, data }) {
    const stream = client.streams.get(streamId);
    if (!this.#mayGoOn(client, stream)) return;
    if (streamSequenceId > stream.next) {
      const message = `Expected stream sequence id ${stream.next}, but got ${streamSequenceId}.`;
      return client.hear({ type: "streamNack", streamId, name: "InvalidSequenceId", message, expectedSequenceId: stream.next });
    }
    if (streamSequenceId === stream.next) {
      this.publish(client, stream.group, { dataType, data, stream: { streamId, streamSequenceId } }, stream.noEcho);
      stream.next++;
    }
    this.#ackStream(client, streamId);
  }
  endStream(client, { streamId, error }) {
    const stream = client.streams.get(streamId);
    if (this.#mayGoOn(client, stream)) this.#closeStream(client, stream, error && { name: "UserError", ...error });
  }

  // --- Sockets come and go

  acknowledge(client, sequenceId) {
    client.unacked = client.unacked.filter(({ frame }) => frame.sequenceId > sequenceId);
  }
  detach(client) {
    client.attached = false;
    client.expected = [];
  }
  recover(client) {
    client.attached = true;
    client.expected = [...client.unacked];
    const bag = new Bag();
    for (const streamId of client.streams.keys()) this.#ackStream(client, streamId, { bag });
  }
}
