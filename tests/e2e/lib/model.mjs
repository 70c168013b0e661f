// What a broker does to its clients, said as simply as possible: sets and lists, no
// shards, no sockets. The model test compares it with the real one, step by step.

// What may be done with groups (official-emulator section 2.6): a default, and names with
// a verdict of their own.
class Rules {
  exceptions = new Map();

  constructor(roles, action) {
    this.fallback = roles.includes(`webpubsub.${action}`);
    for (const role of roles) {
      if (role.startsWith(`webpubsub.${action}.`)) this.set(role.slice(`webpubsub.${action}.`.length), true);
    }
  }
  allow(group) {
    return this.exceptions.get(group) ?? this.fallback;
  }
  set(group, verdict) {
    if (this.allow(group) === verdict) return;
    if (!this.exceptions.delete(group)) this.exceptions.set(group, verdict);
  }
}

// A message as a client of the dialect sees it.
function seenBy(dialect, message) {
  if (dialect === "raw") {
    const { dataType, data } = message;
    if (dataType === "text") return { type: "message", dataType, data };
    if (dataType === "json") return { type: "message", dataType: "text", data: JSON.stringify(data) };
    return { type: "message", dataType: "binary", data };
  }
  const { fromUserId, ...rest } = message;
  return dialect.startsWith("json") && fromUserId ? { ...rest, fromUserId } : rest;
}

export class ModelClient {
  attached = true;
  sequence = 0;
  unacked = []; // reliable: to be heard again after a recovery
  expected = []; // to be heard next
  acked = new Set(); // ackIds of successes
  closing = undefined; // the code that the socket is closed with

  constructor(label, { dialect, id, user, roles, groups, publishes }) {
    Object.assign(this, { label, dialect, id, user, publishes, groups: new Set(groups) });
    this.reliable = dialect.endsWith("reliable");
    this.framed = dialect !== "raw";
    this.may = { sendToGroup: new Rules(roles, "sendToGroup"), joinLeaveGroup: new Rules(roles, "joinLeaveGroup") };
  }
  // A frame about the connection: lost when nobody is there.
  hear(frame) {
    if (this.attached) this.expected.push(frame);
  }
  hearMessage(message) {
    const frame = seenBy(this.dialect, { type: "message", ...message });
    if (this.reliable) {
      frame.sequenceId = ++this.sequence;
      this.unacked.push(frame);
    }
    this.hear(frame);
  }
  hearAck(ackId, error) {
    if (ackId === undefined) return;
    if (!error) this.acked.add(ackId);
    this.hear(error ? { type: "ack", ackId, success: false, error } : { type: "ack", ackId, success: true });
  }
}

const deeds = { joinGroup: "join", leaveGroup: "leave", sendToGroup: "send to" };

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
  remove(client) {
    this.clients.delete(client.label);
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
    for (const client of this.scope(scope).filter(filter)) {
      for (const group of groups ?? [...client.groups]) client.groups.delete(group);
    }
  }
  close(scope, reason, excluded = []) {
    const message = `Application server closed the connection.${reason ? ` Reason: ${reason}` : ""}`;
    for (const client of this.scope(scope).filter(({ id }) => !excluded.includes(id))) {
      if (client.framed) client.hear({ type: "system", event: "disconnected", message });
      client.closing = 1000;
      this.remove(client);
    }
  }

  // What a client says, with or without an ackId.
  #refused(client, { type, group, ackId }) {
    if (client.acked.has(ackId)) {
      client.hear({
        type: "ack", ackId, success: false,
        error: { name: "Duplicate", message: `Message with ack-id: ${ackId} has been processed` },
      });
      return true;
    }
    const action = type === "sendToGroup" ? "sendToGroup" : "joinLeaveGroup";
    if (client.may[action].allow(group)) return false;
    const message = `The client does not have permission to ${deeds[type]} group '${group}'.`;
    client.hearAck(ackId, { name: "Forbidden", message });
    return true;
  }
  says(client, { type, group, ackId, noEcho, ...message }) {
    if (this.#refused(client, { type, group, ackId })) return;
    if (type === "joinGroup") client.groups.add(group);
    if (type === "leaveGroup") client.groups.delete(group);
    if (type === "sendToGroup") this.publish(client, group, message, noEcho);
    client.hearAck(ackId);
  }
  publish(client, group, message, noEcho) {
    for (const member of this.scope({ kind: "group", name: group })) {
      if (noEcho && member === client) continue;
      member.hearMessage({ from: "group", group, fromUserId: client.user, ...message });
    }
  }
  // Raw clients that publish (client-and-rest section 2.8); their group takes it or they go.
  publishRaw(client, message) {
    if (client.may.sendToGroup.allow(client.publishes)) return this.publish(client, client.publishes, message);
    client.closing = 1008;
    this.remove(client);
  }
  // Answered by the echo handler.
  event(client, { ackId, dataType, data }) {
    client.hearMessage({ from: "server", dataType, data });
    client.hearAck(ackId);
  }

  acknowledge(client, sequenceId) {
    client.unacked = client.unacked.filter((frame) => frame.sequenceId > sequenceId);
  }
  detach(client) {
    client.attached = false;
    client.expected = [];
  }
  recover(client) {
    client.attached = true;
    client.expected = [...client.unacked];
  }
}
