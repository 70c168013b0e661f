// The protobuf subprotocols (client-and-rest section 2.7, official-emulator section 3.1),
// driven by protobufjs and the installed schema: frames as they are on the wire, and the
// official client with a protocol of ours. What the subprotocols have in common is tested
// through the peers of the other files.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import protobuf from "protobufjs";
import { accessUrl, allRoles, openJson, openSocket, serviceClient, startClient } from "./lib/clients.mjs";
import { Scope } from "./lib/cleanup.mjs";
import { CuttableProxy } from "./lib/net.mjs";
import {
  anyBytes, decodeDownstream, encodeUpstream, protobufProtocol, reliableProtobufProtocol, schemaFile, sdkProtobufProtocol,
} from "./lib/protobuf.mjs";
import { startBroker } from "./lib/pubhook.mjs";
import { startWebhook } from "./lib/webhook.mjs";

const hub = "chat";
const any = { type_url: "type.googleapis.com/pubhook.Test", value: Buffer.from([0, 1, 255]) };
const anyOnWire = anyBytes(any.type_url, any.value);

class Client {
  static async open(t, broker, protocol, options = {}) {
    const client = new Client();
    client.t = t;
    client.protocol = protocol;
    client.url = new URL(await accessUrl(broker, hub, options));
    return client.connect(client.url);
  }
  async connect(url) {
    this.socket = await openSocket(this.t, url.href, this.protocol);
    this.welcome = (await this.next()).systemMessage.connectedMessage;
    return this;
  }
  say(message) {
    this.socket.send(encodeUpstream(message));
  }
  async next() {
    const frame = await this.socket.inbox.next();
    assert.ok(Buffer.isBuffer(frame), "binary frames only");
    return decodeDownstream(frame);
  }
  // The message itself: `dataMessage` without what the reliable subprotocol adds.
  async nextData() {
    const { dataMessage, ...others } = await this.next();
    assert.deepEqual(others, {});
    const { sequenceId, ...message } = dataMessage;
    this.sequenceId = sequenceId;
    return message;
  }
  async ask(message) {
    this.say(message);
    return this.next();
  }
  recoveryUrl() {
    const url = new URL(this.url);
    url.searchParams.set("awps_connection_id", this.welcome.connectionId);
    url.searchParams.set("awps_reconnection_token", this.welcome.reconnectionToken);
    return url;
  }
}

test("the installed schema has the whole contract", async () => {
  const root = await new protobuf.Root().load(schemaFile);
  const numbers = (name) => {
    const type = root.lookupType(`azure.webpubsub.${name}`);
    return Object.fromEntries(type.fieldsArray.map((field) => [field.name, field.id]));
  };
  assert.deepEqual(numbers("UpstreamMessage"), {
    sendToGroupMessage: 1, eventMessage: 5, joinGroupMessage: 6, leaveGroupMessage: 7, sequenceAckMessage: 8,
    pingMessage: 9, invokeEventMessage: 10, cancelInvocationMessage: 11, streamDataMessage: 13, streamEndMessage: 14,
    setGroupStateMessage: 15, subscribeGroupStateMessage: 16, unsubscribeGroupStateMessage: 17,
  });
  assert.deepEqual(numbers("DownstreamMessage"), {
    ackMessage: 1, dataMessage: 2, systemMessage: 3, pongMessage: 4, invokeResponseMessage: 5, streamAckMessage: 6,
    streamNackMessage: 7, streamClosedMessage: 8, groupStateUpdateMessage: 9, groupStateSnapshotMessage: 10,
  });
  assert.deepEqual(numbers("MessageData"), { textData: 1, binaryData: 2, protobufData: 3, jsonData: 4 });
  assert.deepEqual(numbers("DownstreamMessage.SystemMessage.DisconnectedMessage"), { reason: 2 });
});

for (const protocol of [protobufProtocol, reliableProtobufProtocol]) {
  const reliable = protocol === reliableProtobufProtocol;

  describe(protocol, { concurrency: 4 }, () => {
    const scope = new Scope(after);
    let broker, service;
    before(async () => {
      broker = await startBroker(scope, { threads: 2 });
      service = serviceClient(broker, hub);
    });
    const open = (t, options) => Client.open(t, broker, protocol, options);

    test("connected", async (t) => {
      const [ann, nobody] = [await open(t, { userId: "ann" }), await open(t)];
      assert.equal(ann.socket.protocol, protocol);
      assert.equal(ann.welcome.userId, "ann");
      assert.equal(nobody.welcome.userId ?? "", "");
      assert.match(ann.welcome.connectionId, /^.+$/);
      assert.equal("reconnectionToken" in ann.welcome, reliable);
    });

    test("ping", async (t) => {
      const client = await open(t);
      assert.deepEqual(await client.ask({ pingMessage: {} }), { pongMessage: {} });
    });

    test("join, send, leave; acks and repetitions", async (t) => {
      const client = await open(t, { roles: allRoles });
      const group = `acks ${protocol}`;
      const ack = (ackId) => ({ ackMessage: { ackId, success: true } });
      assert.deepEqual(await client.ask({ joinGroupMessage: { group, ackId: 1 } }), ack(1));
      assert.deepEqual(await client.ask({ joinGroupMessage: { group, ackId: 1 } }), {
        ackMessage: { ackId: 1, error: { name: "Duplicate", message: "Message with ack-id: 1 has been processed" } },
      });
      client.say({ sendToGroupMessage: { group, ackId: 2, data: { textData: "one" } } });
      const both = [await client.next(), await client.next()];
      assert.deepEqual(both.find((frame) => frame.ackMessage), ack(2));
      const { sequenceId, ...message } = both.find((frame) => frame.dataMessage).dataMessage;
      assert.deepEqual(message, { from: "group", group, data: { textData: "one" } });
      assert.equal(sequenceId, reliable ? 1 : undefined);
      assert.deepEqual(await client.ask({ sendToGroupMessage: { group, ackId: 3, noEcho: true, data: { textData: "two" } } }), ack(3));
      assert.deepEqual(await client.ask({ leaveGroupMessage: { group, ackId: 4 } }), ack(4));
      assert.deepEqual(await client.ask({ sendToGroupMessage: { group, ackId: 5, data: { textData: "three" } } }), ack(5));
      assert.deepEqual(await client.ask({ pingMessage: {} }), { pongMessage: {} }, "nothing else came");
    });

    test("without a role", async (t) => {
      const client = await open(t);
      const { ackMessage } = await client.ask({ joinGroupMessage: { group: "g", ackId: 7 } });
      assert.deepEqual([ackMessage.ackId, "success" in ackMessage, ackMessage.error.name], [7, false, "Forbidden"]);
      const again = await client.ask({ sendToGroupMessage: { group: "g", ackId: 8, data: { textData: "x" } } });
      assert.equal(again.ackMessage.error.name, "Forbidden");
    });

    for (const [kind, value] of Object.entries({
      textData: "text \0 with ü and a NUL", jsonData: ' {"a": [1.50, null]} ', binaryData: Buffer.from([0, 255, 128]), protobufData: any,
    })) {
      for (const data of kind === "jsonData" ? [value] : [value, kind === "protobufData" ? {} : value.slice(0, 0)]) {
        test(`${kind}, ${data === value ? "some" : "none"}`, async (t) => {
          const group = `${t.name}, ${protocol}`;
          const client = await open(t, { roles: allRoles, groups: [group] });
          client.say({ sendToGroupMessage: { group, data: { [kind]: data } } });
          assert.deepEqual((await client.nextData()).data, { [kind]: data });
        });
      }
    }

    test("sends of the service", async (t) => {
      const client = await open(t, { userId: `u ${protocol}`, groups: [`g ${protocol}`] });
      await service.group(`g ${protocol}`).sendToAll("text", { contentType: "text/plain" });
      assert.deepEqual(await client.nextData(), { from: "group", group: `g ${protocol}`, data: { textData: "text" } });
      await service.sendToUser(`u ${protocol}`, { a: 1 });
      assert.deepEqual(await client.nextData(), { from: "server", data: { jsonData: '{"a":1}' } });
      await service.sendToConnection(client.welcome.connectionId, Buffer.from([1, 2]));
      assert.deepEqual(await client.nextData(), { from: "server", data: { binaryData: Buffer.from([1, 2]) } });
    });

    test("closed by the service", async (t) => {
      const client = await open(t);
      await service.closeConnection(client.welcome.connectionId, { reason: "no more" });
      const { systemMessage } = await client.next();
      assert.match(systemMessage.disconnectedMessage.reason, /Application server closed the connection. Reason: no more/);
      assert.equal((await client.socket.closed).code, 1000);
    });

    // [what, frame, close code, in the reason]
    const refused = [
      ["text", "hello", 1003, /binary/],
      ["bytes that are no message", Buffer.from("0a05", "hex"), 1007, /UpstreamMessage/],
      ["nothing", Buffer.alloc(0), 1007, /UpstreamMessage/],
      ["a message that nobody knows", Buffer.from("120161", "hex"), 1007, /UpstreamMessage/],
      ["a group without a name", encodeUpstream({ joinGroupMessage: { group: "" } }), 1007, /group/],
      ["a string that is not UTF-8", Buffer.from("32030a01ff", "hex"), 1007, /UTF-8/],
      ["a send without data", encodeUpstream({ sendToGroupMessage: { group: "g" } }), 1007, /data/],
      ["JSON that is none", encodeUpstream({ sendToGroupMessage: { group: "g", data: { jsonData: "{" } } }), 1007, /JSON/],
      ["a lifetime too long", encodeUpstream({ sendToGroupMessage: { group: "g", ttlSeconds: 301, data: { textData: "" } } }), 1007, /300/],
      ["more than 1 MiB", Buffer.alloc((1 << 20) + 1), 1009, /./],
    ];
    for (const [what, frame, code, reason] of refused) {
      test(`closed for ${what}`, async (t) => {
        const client = await open(t);
        client.socket.send(frame);
        const { systemMessage } = await client.next();
        assert.match(systemMessage.disconnectedMessage.reason, reason);
        assert.equal((await client.socket.closed).code, code);
      });
    }
    test("a stream: fragments, a gap, a repetition, its end", async (t) => {
      const group = `stream ${protocol}`;
      const [publisher, subscriber] = [await open(t, { roles: allRoles }), await open(t, { groups: [group] })];
      const fragment = (streamSequenceId, textData) => ({ streamDataMessage: { streamId: "s", streamSequenceId, data: { textData } } });
      const expects = (expectedSequenceId) => ({ streamAckMessage: { streamId: "s", expectedSequenceId } });
      const heard = (textData, stream) => ({ from: "group", group, data: { textData }, stream: { streamId: "s", ...stream } });

      const opening = { sendToGroupMessage: { group, stream: { streamId: "s", idleTimeoutMs: 60_000 } } };
      assert.deepEqual(await publisher.ask(opening), expects(1));
      assert.deepEqual(await publisher.ask(fragment(1, "one")), expects(2));
      assert.deepEqual(await subscriber.nextData(), heard("one", { streamSequenceId: 1 }));
      const { streamNackMessage } = await publisher.ask(fragment(3, "three"));
      const { message, ...nack } = streamNackMessage;
      assert.deepEqual(nack, { streamId: "s", name: "InvalidSequenceId", expectedSequenceId: 2 });
      assert.ok(message);
      assert.deepEqual(await publisher.ask(fragment(1, "again")), expects(2));
      publisher.say({ streamDataMessage: { streamId: "s" } }); // keep-alive
      assert.deepEqual(await publisher.ask(fragment(2, "two")), expects(3));
      assert.deepEqual(await subscriber.nextData(), heard("two", { streamSequenceId: 2 }));

      const end = { streamEndMessage: { streamId: "s", error: { message: "no more", userErrorCode: "E1" } } };
      assert.deepEqual(await publisher.ask(end), { streamClosedMessage: { streamId: "s" } });
      const error = { name: "UserError", message: "no more", userErrorCode: "E1" };
      assert.deepEqual(await subscriber.nextData(), heard("", { streamSequenceId: 3, endOfStream: true, error }));
      const { streamClosedMessage } = await publisher.ask({ streamDataMessage: { streamId: "other" } });
      assert.equal(streamClosedMessage.error.name, "StreamNotFound");
    });

    test("what JSON clients call protobuf and is no Any comes as bytes", async (t) => {
      const group = `no Any ${protocol}`;
      const client = await open(t, { groups: [group] });
      const sender = await openJson(t, broker, hub, { roles: allRoles });
      sender.sendJson({ type: "sendToGroup", group, dataType: "protobuf", data: Buffer.from("no Any").toString("base64") });
      assert.deepEqual((await client.nextData()).data, { binaryData: Buffer.from("no Any") });
    });

    if (!reliable) {
      test("closed for a sequence ack", async (t) => {
        const client = await open(t);
        client.say({ sequenceAckMessage: { sequenceId: 1 } });
        assert.equal((await client.socket.closed).code, 1007);
      });
    }
  });

  describe(`${protocol} with an event handler`, { concurrency: 4 }, () => {
    const scope = new Scope(after);
    const at = {};
    // The event's name says what is answered.
    const answers = {
      text: () => ({ status: 200, headers: { "Content-Type": "text/plain" }, body: "re" }),
      json: () => ({ status: 200, headers: { "Content-Type": "application/json" }, body: '{"a": 1}' }),
      binary: () => ({ status: 200, headers: { "Content-Type": "application/octet-stream" }, body: Buffer.from([1, 0, 2]) }),
      protobuf: () => ({ status: 200, headers: { "Content-Type": "application/x-protobuf" }, body: anyOnWire }),
      noAny: () => ({ status: 200, headers: { "Content-Type": "application/x-protobuf" }, body: "no Any at all" }),
      nothing: () => ({ status: 204 }),
      failure: () => ({ status: 400 }),
      slow: () => new Promise((resolve) => at.answerSlowly(resolve)),
    };
    before(async () => {
      at.hook = await startWebhook(scope, (request) => answers[request.headers["ce-eventname"]]?.());
      at.broker = await startBroker(scope, { upstreams: { [hub]: at.hook.url } });
    });
    const open = (t) => Client.open(t, at.broker, protocol);
    const requestOf = (client, event) =>
      at.hook.requests.find(({ headers }) => headers["ce-connectionid"] === client.welcome.connectionId && headers["ce-eventname"] === event);

    for (const [event, data] of Object.entries({
      text: { textData: "re" }, json: { jsonData: '{"a": 1}' }, binary: { binaryData: Buffer.from([1, 0, 2]) }, protobuf: { protobufData: any },
    })) {
      test(`an answer that is ${event}, before its ack`, async (t) => {
        const client = await open(t);
        client.say({ eventMessage: { event, data: { textData: "x" }, ackId: 1 } });
        assert.deepEqual(await client.nextData(), { from: "server", data });
        assert.deepEqual(await client.next(), { ackMessage: { ackId: 1, success: true } });
      });
    }

    test("no answer, a failure, and an Any that is none", async (t) => {
      const client = await open(t);
      const ask = async (event, ackId) => (await client.ask({ eventMessage: { event, data: { textData: "x" }, ackId } })).ackMessage;
      assert.deepEqual(await ask("nothing", 1), { ackId: 1, success: true });
      assert.equal((await ask("failure", 2)).error.name, "InternalServerError");
      assert.equal((await ask("noAny", 3)).error.name, "InternalServerError");
      await at.broker.logged(/must be a serialized google\.protobuf\.Any/);
      assert.deepEqual(await ask("nothing", 4), { ackId: 4, success: true }, "the client stays");
    });

    for (const [event, data] of Object.entries({
      text: { textData: "re" }, json: { jsonData: '{"a": 1}' }, binary: { binaryData: Buffer.from([1, 0, 2]) },
      protobuf: { protobufData: any }, nothing: undefined,
    })) {
      test(`an invocation whose answer is ${event}`, async (t) => {
        const client = await open(t);
        const answer = await client.ask({ invokeEventMessage: { event, invocationId: "i 1", data: { textData: "x" } } });
        assert.deepEqual(answer, { invokeResponseMessage: { invocationId: "i 1", success: true, ...(data && { data }) } });
      });
    }

    for (const [event, name] of [["failure", "BadRequest"], ["noAny", "InternalServerError"]]) {
      test(`an invocation that ends in ${name}`, async (t) => {
        const client = await open(t);
        const { invokeResponseMessage } = await client.ask({ invokeEventMessage: { event, invocationId: "1" } });
        const { error, ...others } = invokeResponseMessage;
        assert.deepEqual([others, error.name], [{ invocationId: "1" }, name]);
        assert.deepEqual(await client.ask({ pingMessage: {} }), { pongMessage: {} });
      });
    }

    test("a cancelled invocation is not answered", async (t) => {
      const client = await open(t);
      const answered = new Promise((resolve) => (at.answerSlowly = resolve));
      client.say({ invokeEventMessage: { event: "slow", invocationId: "1" } });
      const answer = await answered; // the handler is asked
      client.say({ cancelInvocationMessage: { invocationId: "1" } });
      assert.deepEqual(await client.ask({ pingMessage: {} }), { pongMessage: {} });
      answer(answers.text());
      assert.deepEqual(await client.ask({ invokeEventMessage: { event: "nothing", invocationId: "1" } }), {
        invokeResponseMessage: { invocationId: "1", success: true },
      });
    });

    for (const [kind, data, type, body] of [
      ["text", { textData: "ü" }, /^text\/plain/, Buffer.from("ü")],
      ["json", { jsonData: " [1] " }, /^application\/json/, Buffer.from(" [1] ")],
      ["binary", { binaryData: Buffer.from([0, 1]) }, /^application\/octet-stream$/, Buffer.from([0, 1])],
      ["protobuf", { protobufData: any }, /^application\/x-protobuf$/, anyOnWire],
    ]) {
      test(`an event that is ${kind}`, async (t) => {
        const client = await open(t);
        await client.ask({ eventMessage: { event: "nothing", data, ackId: 1 } });
        const request = requestOf(client, "nothing");
        assert.match(request.headers["content-type"], type);
        assert.deepEqual(request.body, body);
        assert.equal(request.headers["ce-subprotocol"], protocol);
      });
    }
  });
}

for (const threads of [1, 4]) {
  describe(`recovery of ${reliableProtobufProtocol}, ${threads} loop thread${threads > 1 ? "s" : ""}`, () => {
    test("what was not acknowledged comes again, then what came meanwhile", async (t) => {
      const broker = await startBroker(t, { threads });
      const group = serviceClient(broker, hub).group("g");
      const send = (text) => group.sendToAll(text, { contentType: "text/plain" });
      const client = await Client.open(t, broker, reliableProtobufProtocol, { userId: "ann", roles: allRoles, groups: ["g"] });
      const heard = async () => [(await client.nextData()).data.textData, client.sequenceId];
      for (const text of ["one", "two", "three"]) await send(text);
      assert.deepEqual([await heard(), await heard(), await heard()], [["one", 1], ["two", 2], ["three", 3]]);
      client.say({ sequenceAckMessage: { sequenceId: 1 } });
      const { ackMessage } = await client.ask({ joinGroupMessage: { group: "other", ackId: 9 } });
      assert.equal(ackMessage.success, true);

      const first = client.welcome;
      client.socket.cut();
      await send("away");
      await client.connect(client.recoveryUrl());
      assert.equal(client.welcome.connectionId, first.connectionId);
      assert.equal(client.welcome.userId, "ann");
      assert.ok(client.welcome.reconnectionToken);
      assert.deepEqual([await heard(), await heard(), await heard()], [["two", 2], ["three", 3], ["away", 4]]);
      const again = await client.ask({ joinGroupMessage: { group: "other", ackId: 9 } });
      assert.equal(again.ackMessage.error.name, "Duplicate");

      // Acknowledged is gone, and 300 more messages need two bytes for their sequence ids.
      client.say({ sequenceAckMessage: { sequenceId: 4 } });
      await client.ask({ pingMessage: {} });
      for (let i = 0; i < 300; i++) client.say({ sendToGroupMessage: { group: "g", data: { textData: String(i) } } });
      for (let i = 0; i < 300; i++) assert.deepEqual(await heard(), [String(i), 5 + i]);
      client.socket.cut();
      await client.connect(client.recoveryUrl());
      for (let i = 0; i < 300; i++) assert.deepEqual(await heard(), [String(i), 5 + i]);
    });

    test("is refused by 1008 with another's token, and keeps its subprotocol whatever is offered", async (t) => {
      const broker = await startBroker(t, { threads });
      const [one, two] = [
        await Client.open(t, broker, reliableProtobufProtocol, { groups: ["g"] }),
        await Client.open(t, broker, reliableProtobufProtocol),
      ];
      const wrong = one.recoveryUrl();
      wrong.searchParams.set("awps_reconnection_token", two.welcome.reconnectionToken);
      const refused = await openSocket(t, wrong.href, reliableProtobufProtocol);
      assert.equal((await refused.closed).code, 1008);

      one.socket.cut();
      one.protocol = ["json.webpubsub.azure.v1", reliableProtobufProtocol];
      await one.connect(one.recoveryUrl());
      assert.equal(one.socket.protocol, reliableProtobufProtocol, "and says so");
      await serviceClient(broker, hub).group("g").sendToAll("hi", { contentType: "text/plain" });
      assert.deepEqual((await one.nextData()).data, { textData: "hi" });
    });
  });
}

for (const protocol of [protobufProtocol, reliableProtobufProtocol]) {
  describe(`the official client over ${protocol}`, { concurrency: 4 }, () => {
    const scope = new Scope(after);
    let broker;
    before(async () => (broker = await startBroker(scope, { threads: 2, handlers: { [hub]: "echo" } })));
    const start = (t, options) =>
      startClient(t, () => accessUrl(broker, hub, { roles: allRoles, ...options }), { protocol: sdkProtobufProtocol(protocol) });

    for (const [type, data] of [
      ["text", "hi"], ["json", { a: [1, null] }], ["binary", Buffer.from([0, 255])], ["protobuf", anyOnWire],
    ]) {
      // The client gives and takes bytes as an ArrayBuffer.
      const content = Buffer.isBuffer(data) ? new Uint8Array(data).buffer : data;
      const same = (got) => assert.deepEqual(content instanceof ArrayBuffer ? Buffer.from(got) : got, data);

      test(`${type}: to a group, as an event and its answer, as an invocation`, async (t) => {
        const group = `${type} ${protocol}`;
        const [sender, receiver] = [await start(t), await start(t, { groups: [group] })];
        await sender.client.sendToGroup(group, content, type);
        const message = await receiver.inbox.next();
        assert.deepEqual([message.from, message.group, message.dataType], ["group", group, type]);
        same(message.data);

        await sender.client.sendEvent("echo", content, type);
        const answer = await sender.inbox.next();
        assert.deepEqual([answer.from, answer.dataType], ["server", type]);
        same(answer.data);

        const invoked = await sender.client.invokeEvent("echo", content, type);
        assert.equal(invoked.dataType, type);
        same(invoked.data);
      });
    }

    test("joining, leaving, and what is not allowed", async (t) => {
      const { client, inbox } = await start(t);
      const group = `joined ${protocol}`;
      await client.joinGroup(group);
      await client.sendToGroup(group, "one", "text");
      assert.equal((await inbox.next()).data, "one");
      await client.leaveGroup(group);
      await client.sendToGroup(group, "two", "text");
      assert.deepEqual(inbox.rest, []);
      const nobody = await startClient(t, () => accessUrl(broker, hub), {
        protocol: sdkProtobufProtocol(protocol), messageRetryOptions: { maxRetries: 0 },
      });
      await assert.rejects(nobody.client.joinGroup(group), ({ errorDetail }) => errorDetail.name === "Forbidden");
    });

    test("a stream", async (t) => {
      const group = `streamed ${protocol}`;
      const [publisher, subscriber] = [await start(t), await start(t, { groups: [group] })];
      const streamed = new Promise((resolve, reject) => {
        subscriber.client.onGroupStream(async (stream) => {
          const pieces = [];
          for await (const message of stream) pieces.push(message.data);
          resolve(pieces);
        });
        subscriber.client.on("stopped", reject);
      });
      const writer = await publisher.client.openGroupStream(group);
      for (const piece of ["one", "two", "three"]) await writer.write(piece, "text");
      await writer.end();
      assert.deepEqual(await streamed, ["one", "two", "three"]);
    });
  });
}

test("the official client over the reliable subprotocol: its socket cut again and again", async (t) => {
  const broker = await startBroker(t, { threads: 4 });
  const proxy = await CuttableProxy.start(t, broker.port);
  const throughProxy = { ...broker, connectionString: broker.connectionString.replace(`:${broker.port};`, `:${proxy.port};`) };
  const receiver = await startClient(t, () => accessUrl(throughProxy, hub, { groups: ["g"] }), {
    protocol: sdkProtobufProtocol(reliableProtobufProtocol),
  });
  const sender = await openJson(t, broker, hub, { roles: allRoles });
  let sent = 0;
  const got = [];
  for (const cutAfter of [500, 2503, 3007, 333]) {
    proxy.cutAfter(cutAfter);
    for (let i = 0; i < 250; i++) sender.sendJson({ type: "sendToGroup", group: "g", dataType: "json", data: sent++ });
    got.push(...(await receiver.inbox.take(250)));
  }
  assert.deepEqual(got.map((message) => message.data), [...Array(1000).keys()]);
  assert.equal(proxy.cuts, 4, "each cut happened");
  assert.deepEqual(receiver.inbox.rest, []);
});
