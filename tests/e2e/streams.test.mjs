// Streams with the official client (client-and-rest section 2.4): a publisher writes
// fragments to a group, subscribers iterate over them.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  accessUrl, allRoles, jsonProtocol, openJson, openSocket, reliableProtocol, serviceClient, startClient,
} from "./lib/clients.mjs";
import { CuttableProxy } from "./lib/net.mjs";
import { patience } from "./lib/patience.mjs";
import { startBroker } from "./lib/pubhook.mjs";

const numbers = (count) => [...Array(count).keys()];
const gone = { name: "Cancelled", message: "The connection of the publisher has ended." };
const idle = { name: "IdleTimeout", message: "Nothing was sent on the stream within its idle timeout." };

for (const threads of [1, 4]) {
  describe(`streams, ${threads} loop thread${threads > 1 ? "s" : ""}`, () => {
    for (const protocol of [jsonProtocol, reliableProtocol]) {
      describe(protocol, () => streamTests(threads, protocol));
    }
    recoveryTests(threads);
    orderTests(threads);
  });
}

const startIn = (t, broker, protocol, options = {}, clientOptions = {}) =>
  startClient(t, () => accessUrl(broker, "chat", { roles: allRoles, ...options }), { protocol, ...clientOptions });

// What a client sees of streams from now on, by their ids.
function subscribe(client, options) {
  const streams = new Map();
  const waiting = [];
  const settle = () => {
    for (const entry of [...waiting]) {
      const stream = streams.get(entry.id);
      if (stream && entry.ready(stream)) {
        waiting.splice(waiting.indexOf(entry), 1);
        entry.resolve(stream);
      }
    }
  };
  client.onGroupStream(async (stream) => {
    const seen = { group: stream.groupName, fragments: [], ended: false, error: undefined };
    streams.set(stream.streamId, seen);
    try {
      for await (const fragment of stream) {
        seen.fragments.push(fragment);
        settle();
      }
    } catch (error) {
      seen.error = error;
    }
    seen.ended = true;
    settle();
  }, options);
  const until = (id, ready) => new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`stream ${id}: not so after ${patience} ms`)), patience);
    waiting.push({ id, ready, resolve: (stream) => (clearTimeout(timer), resolve(stream)) });
    settle();
  });
  return {
    ended: (id, before) => until(id, (stream) => stream.ended && stream !== before),
    knows: (id) => streams.has(id),
    has: (id, count) => until(id, (stream) => stream.fragments.length >= count),
  };
}

const data = (stream) => stream.fragments.map((fragment) => fragment.data);
const errorOf = (writer) => new Promise((resolve) => writer.onError(resolve));

function streamTests(threads, protocol) {
  test("fragments of every type arrive in order, and then the end", async (t) => {
    const broker = await startBroker(t, { threads });
    const publisher = await startIn(t, broker, protocol, { userId: "ann" });
    const readers = [];
    for (let i = 0; i < 4; i++) readers.push(await startIn(t, broker, i % 2 ? jsonProtocol : protocol, { groups: ["g"] }));
    const views = readers.map(({ client }) => subscribe(client));
    const writer = await publisher.client.openGroupStream("g", { streamId: "story" });
    const bytes = new Uint8Array([0, 1, 254, 255]).buffer;
    await writer.write("once", "text");
    await writer.write({ upon: ["a", null] }, "json");
    await writer.write(bytes, "binary");
    await writer.write("", "text");
    await writer.end();
    for (const view of views) {
      const stream = await view.ended("story");
      assert.equal(stream.error, undefined);
      assert.equal(stream.group, "g");
      assert.deepEqual(stream.fragments.map((f) => [f.dataType, f.stream.streamSequenceId, f.fromUserId]),
        [["text", 1, "ann"], ["json", 2, "ann"], ["binary", 3, "ann"], ["text", 4, "ann"]]);
      assert.deepEqual(data(stream).map((d) => (d instanceof ArrayBuffer ? [...new Uint8Array(d)] : d)),
        ["once", { upon: ["a", null] }, [0, 1, 254, 255], ""]);
    }
  });

  // Not more: the SDK acknowledges messages once a second, and 1,000 are kept for it.
  test("900 fragments, several streams at once, to the group of the publisher itself", async (t) => {
    const broker = await startBroker(t, { threads });
    const { client } = await startIn(t, broker, protocol, { groups: ["g"] });
    const other = await startIn(t, broker, protocol, { groups: ["g"] });
    const views = [subscribe(client), subscribe(other.client)];
    const writers = await Promise.all(["x", "y", "z"].map((streamId) => client.openGroupStream("g", { streamId })));
    for (let i = 0; i < 900; i++) await writers[i % 3].write(i, "json");
    for (const writer of writers) await writer.end();
    for (const view of views) {
      for (const [i, id] of ["x", "y", "z"].entries()) {
        const stream = await view.ended(id);
        assert.equal(stream.error, undefined);
        assert.deepEqual(data(stream), numbers(900).filter((n) => n % 3 === i));
      }
    }
  });

  test("noEcho holds for all of a stream", async (t) => {
    const broker = await startBroker(t, { threads });
    const publisher = await startIn(t, broker, protocol, { groups: ["g"] });
    const reader = await startIn(t, broker, protocol, { groups: ["g"] });
    const view = subscribe(reader.client);
    const writer = await publisher.client.openGroupStream("g", { streamId: "s", noEcho: true });
    await writer.write("a", "text");
    await writer.end();
    assert.deepEqual(data(await view.ended("s")), ["a"]);
    await reader.client.sendToGroup("g", "behind it", "text");
    assert.equal((await publisher.inbox.next()).data, "behind it");
  });

  test("an abort tells the subscribers why", async (t) => {
    const broker = await startBroker(t, { threads });
    const publisher = await startIn(t, broker, protocol);
    const reader = await startIn(t, broker, protocol, { groups: ["g"] });
    const view = subscribe(reader.client);
    const writer = await publisher.client.openGroupStream("g", { streamId: "s" });
    await writer.write("a", "text");
    await writer.abort({ message: "out of ink", userErrorCode: "E_INK" });
    const stream = await view.ended("s");
    assert.deepEqual(data(stream), ["a"]);
    assert.deepEqual(stream.error, { name: "UserError", message: "out of ink", userErrorCode: "E_INK" });
  });

  test("a stream id can be used again", async (t) => {
    const broker = await startBroker(t, { threads });
    const publisher = await startIn(t, broker, protocol);
    const reader = await startIn(t, broker, protocol, { groups: ["g"] });
    for (const text of ["first", "second", "third"]) {
      const view = subscribe(reader.client);
      const writer = await publisher.client.openGroupStream("g", { streamId: "again" });
      await writer.write(text, "text");
      await writer.end();
      assert.deepEqual(data(await view.ended("again")), [text]);
      await publisher.client.sendToGroup("other", "x", "text"); // its ack comes behind streamClosed
    }
  });

  test("without the permission a stream is refused", async (t) => {
    const broker = await startBroker(t, { threads });
    const { client } = await startIn(t, broker, protocol, { roles: ["webpubsub.sendToGroup.other"] });
    await assert.rejects(client.openGroupStream("g"), {
      name: "Forbidden",
      message: "The client does not have permission to send to group 'g'.",
    });
    await (await client.openGroupStream("other")).end();
  });

  test("a permission that is taken away ends the stream", async (t) => {
    const broker = await startBroker(t, { threads });
    const service = serviceClient(broker, "chat");
    const publisher = await startIn(t, broker, protocol, { roles: ["webpubsub.sendToGroup.g"] });
    const reader = await startIn(t, broker, protocol, { groups: ["g"] });
    const view = subscribe(reader.client);
    const writer = await publisher.client.openGroupStream("g", { streamId: "s" });
    const failed = errorOf(writer);
    await writer.write("allowed", "text");
    await view.has("s", 1);
    await service.revokePermission(publisher.connectionId, "sendToGroup", { targetName: "g" });
    await writer.write("too late", "text");
    assert.equal((await failed).name, "Forbidden");
    const stream = await view.ended("s");
    assert.deepEqual(data(stream), ["allowed"]);
    assert.equal(stream.error.name, "Forbidden");
  });

  test("a stream on which nothing is written is closed on both sides", async (t) => {
    const broker = await startBroker(t, { threads });
    const publisher = await startIn(t, broker, protocol);
    const reader = await startIn(t, broker, protocol, { groups: ["g"] });
    const view = subscribe(reader.client);
    const writer = await publisher.client.openGroupStream("g", { streamId: "s", idleTimeoutInMs: 1500 });
    const failed = errorOf(writer);
    await writer.write("a", "text");
    assert.deepEqual(await failed, idle);
    const stream = await view.ended("s");
    assert.deepEqual(data(stream), ["a"]);
    assert.deepEqual(stream.error, idle);
    await assert.rejects(writer.write("b", "text"));
  });

  test("the end of the publisher cancels its streams", async (t) => {
    const broker = await startBroker(t, { threads });
    const publisher = await startIn(t, broker, protocol);
    const reader = await startIn(t, broker, protocol, { groups: ["g"] });
    const view = subscribe(reader.client);
    for (const streamId of ["s", "t"]) {
      const writer = await publisher.client.openGroupStream("g", { streamId });
      await writer.write("a", "text");
      await view.has(streamId, 1);
    }
    publisher.client.stop();
    for (const streamId of ["s", "t"]) assert.deepEqual((await view.ended(streamId)).error, gone);
  });

  test("so does a connection that the service closes", async (t) => {
    const broker = await startBroker(t, { threads });
    // An SDK client that is stopped while it has no connection goes on looking for one.
    const publisher = await startIn(t, broker, protocol, {}, { autoReconnect: false });
    const stopped = new Promise((resolve) => publisher.client.on("stopped", resolve));
    const reader = await startIn(t, broker, protocol, { groups: ["g"] });
    const view = subscribe(reader.client);
    const writer = await publisher.client.openGroupStream("g", { streamId: "s" });
    const failed = errorOf(writer);
    await writer.write("a", "text");
    await view.has("s", 1);
    await serviceClient(broker, "chat").closeConnection(publisher.connectionId, { reason: "enough" });
    assert.deepEqual((await view.ended("s")).error, gone);
    await failed;
    await stopped;
  });

  for (const whole of [false, true]) {
    test(`who comes in the middle gets ${whole ? "whole streams alone, when that is asked for" : "the rest"}`, async (t) => {
      const broker = await startBroker(t, { threads });
      const publisher = await startIn(t, broker, protocol, { groups: ["g"] });
      const own = subscribe(publisher.client);
      const first = await publisher.client.openGroupStream("g", { streamId: "first" });
      await first.write("early", "text");
      await own.has("first", 1);
      const reader = await startIn(t, broker, protocol, { groups: ["g"] }, { driver: { streamsFromStart: whole } });
      const view = subscribe(reader.client, { handleFromStart: whole });
      await first.write("late", "text");
      const second = await publisher.client.openGroupStream("g", { streamId: "second" });
      await second.write("whole", "text");
      await first.end();
      await second.end();
      assert.deepEqual(data(await view.ended("second")), ["whole"]);
      if (whole) assert.equal(view.knows("first"), false);
      else assert.deepEqual(data(await view.ended("first")), ["late"]);
    });
  }

  test("a subscriber gives up a stream that is silent for too long, and hears of it again", async (t) => {
    const broker = await startBroker(t, { threads });
    const publisher = await startIn(t, broker, protocol);
    const reader = await startIn(t, broker, protocol, { groups: ["g"] }, { driver: { streamIdle: 1500 } });
    const view = subscribe(reader.client, { idleTimeoutInMs: 1500 });
    const writer = await publisher.client.openGroupStream("g", { streamId: "s" });
    await writer.write("a", "text");
    const stream = await view.ended("s");
    assert.deepEqual([data(stream), stream.error.name], [["a"], "IdleTimeout"]);
    await writer.write("b", "text");
    await writer.end();
    const rest = await view.ended("s", stream);
    assert.deepEqual([data(rest), rest.error], [["b"], undefined]);
  });

  test("raw subscribers get the data of a stream", async (t) => {
    const broker = await startBroker(t, { threads });
    const publisher = await startIn(t, broker, protocol);
    const raw = await openSocket(t, await accessUrl(broker, "chat", { groups: ["g"] }));
    const writer = await publisher.client.openGroupStream("g");
    await writer.write("a", "text");
    await writer.write({ b: 1 }, "json");
    await writer.end();
    await publisher.client.sendToGroup("g", "behind it", "text");
    assert.deepEqual(await raw.inbox.take(3), ["a", '{"b":1}', "behind it"]);
  });
}

// The broker as seen through a proxy: its connection string names the proxy's port.
function through(broker, proxy) {
  return { ...broker, connectionString: broker.connectionString.replace(`:${broker.port};`, `:${proxy.port};`) };
}

function recoveryTests(threads) {
  test("streams go on when the publisher's socket is cut, again and again", async (t) => {
    const broker = await startBroker(t, { threads });
    const proxy = await CuttableProxy.start(t, broker.port);
    const publisher = await startIn(t, through(broker, proxy), reliableProtocol);
    const reader = await startIn(t, broker, reliableProtocol, { groups: ["g"] });
    const view = subscribe(reader.client);
    const writers = await Promise.all(["x", "y"].map((streamId) => publisher.client.openGroupStream("g", { streamId })));
    const errors = [];
    for (const writer of writers) writer.onError((error) => errors.push(error));
    let written = 0;
    for (const cutAfter of [1, 40, 7]) {
      proxy.cutAfter(cutAfter); // within the acks
      for (let i = 0; i < 130; i++, written++) {
        for (const writer of writers) await writer.write(written, "json");
      }
      for (const id of ["x", "y"]) await view.has(id, written);
      // By now it has been cut, by this ack if not before; the SDK sends this again until it is told.
      await publisher.client.sendToGroup("other", "x", "text");
    }
    for (const writer of writers) await writer.end();
    for (const id of ["x", "y"]) {
      const stream = await view.ended(id);
      assert.equal(stream.error, undefined);
      assert.deepEqual(data(stream), numbers(written));
    }
    assert.equal(proxy.cuts, 3);
    assert.deepEqual(errors, []);
  });

  test("streams go on when a subscriber's socket is cut", async (t) => {
    const broker = await startBroker(t, { threads });
    const proxy = await CuttableProxy.start(t, broker.port);
    const publisher = await startIn(t, broker, reliableProtocol);
    const reader = await startIn(t, through(broker, proxy), reliableProtocol, { groups: ["g"] });
    const view = subscribe(reader.client);
    const writer = await publisher.client.openGroupStream("g", { streamId: "x" });
    proxy.cutAfter(10_003);
    for (let i = 0; i < 300; i++) await writer.write(i, "json");
    await writer.end(); // far more than that has to come
    const stream = await view.ended("x");
    assert.equal(stream.error, undefined);
    assert.deepEqual(data(stream), numbers(300));
    assert.equal(proxy.cuts, 1);
  });

  // The answer to the end is lost with the socket; the SDK asks again after the recovery.
  test("an end whose answer was lost is no error", async (t) => {
    const broker = await startBroker(t, { threads });
    const proxy = await CuttableProxy.start(t, broker.port);
    const publisher = await startIn(t, through(broker, proxy), reliableProtocol);
    const reader = await startIn(t, broker, reliableProtocol, { groups: ["g"] });
    const view = subscribe(reader.client);
    const writer = await publisher.client.openGroupStream("g", { streamId: "x" });
    const errors = [];
    writer.onError((error) => errors.push(error));
    await writer.write("a", "text");
    await publisher.client.sendToGroup("other", "x", "text"); // acknowledged, and so is the fragment
    proxy.cutAfter(1);
    await writer.end();
    const stream = await view.ended("x");
    assert.deepEqual(data(stream), ["a"]);
    assert.equal(stream.error, undefined);
    // Once these are acknowledged, on the new socket, all that was said about the stream is read.
    await publisher.client.sendToGroup("other", "x", "text");
    await publisher.client.sendToGroup("other", "y", "text");
    assert.equal(proxy.cuts, 1);
    assert.deepEqual(errors, []);
  });

  test("of a client that cannot recover, a cut socket cancels the streams", async (t) => {
    const broker = await startBroker(t, { threads });
    const publisher = await openJson(t, broker, "chat", { roles: allRoles });
    const reader = await startIn(t, broker, jsonProtocol, { groups: ["g"] });
    const view = subscribe(reader.client);
    publisher.sendJson({ type: "sendToGroup", group: "g", stream: { streamId: "s" } });
    publisher.sendJson({ type: "streamData", streamId: "s", streamSequenceId: 1, data: 1 });
    await view.has("s", 1);
    publisher.cut();
    assert.deepEqual((await view.ended("s")).error, gone);
  });
}

function orderTests(threads) {
  test("fragments, messages and the messages of REST keep the order of their sender", async (t) => {
    const broker = await startBroker(t, { threads });
    const publisher = await openJson(t, broker, "chat", { roles: allRoles });
    const readers = [];
    for (let i = 0; i < 4; i++) readers.push(await openJson(t, broker, "chat", { groups: ["g"] }));
    const want = [];
    publisher.sendJson({ type: "sendToGroup", group: "g", stream: { streamId: "s" } });
    for (let i = 1; i <= 300; i++) {
      publisher.sendJson({ type: "streamData", streamId: "s", streamSequenceId: i, data: `s${i}` });
      publisher.sendJson({ type: "sendToGroup", group: "g", data: `m${i}` });
      want.push(`s${i}`, `m${i}`);
    }
    publisher.sendJson({ type: "streamEnd", streamId: "s" });
    publisher.sendJson({ type: "sendToGroup", group: "g", data: "last" });
    want.push("", "last");
    for (const reader of readers) {
      const frames = (await reader.inbox.take(want.length)).map((frame) => JSON.parse(frame));
      assert.deepEqual(frames.map((frame) => frame.data), want);
      assert.deepEqual(frames.at(-2).stream, { streamId: "s", streamSequenceId: 301, endOfStream: true });
    }
  });

  test("fragments that come together are acknowledged together", async (t) => {
    const broker = await startBroker(t, { threads });
    const publisher = await openJson(t, broker, "chat", { roles: allRoles });
    publisher.sendJson({ type: "sendToGroup", group: "g", stream: { streamId: "s" } });
    for (let i = 1; i <= 500; i++) publisher.sendJson({ type: "streamData", streamId: "s", streamSequenceId: i, data: i });
    publisher.sendJson({ type: "streamEnd", streamId: "s" });
    const acks = [];
    for (;;) {
      const frame = await publisher.nextJson();
      if (frame.type === "streamClosed") break;
      assert.equal(frame.type, "streamAck");
      acks.push(frame.expectedSequenceId);
    }
    assert.ok(acks.length <= 100, `${acks.length} acks for 500 fragments`);
    assert.deepEqual(acks, [...acks].sort((a, b) => a - b));
  });

  test("a gap is refused, a repetition is not sent on, a stranger is not found", async (t) => {
    const broker = await startBroker(t, { threads });
    const publisher = await openJson(t, broker, "chat", { roles: allRoles, groups: ["g"] });
    publisher.sendJson({ type: "sendToGroup", group: "g", noEcho: true, stream: { streamId: "s" } });
    assert.deepEqual(await publisher.nextJson(), { type: "streamAck", streamId: "s", expectedSequenceId: 1 });
    publisher.sendJson({ type: "streamData", streamId: "s", streamSequenceId: 2, data: 1 });
    assert.deepEqual(await publisher.nextJson(), {
      type: "streamNack", streamId: "s", name: "InvalidSequenceId",
      message: "Expected stream sequence id 1, but got 2.", expectedSequenceId: 1,
    });
    publisher.sendJson({ type: "streamData", streamId: "s", streamSequenceId: 0, data: 1 });
    assert.deepEqual(await publisher.nextJson(), { type: "streamAck", streamId: "s", expectedSequenceId: 1 });
    publisher.sendJson({ type: "streamData", streamId: "t" });
    const closed = await publisher.nextJson();
    assert.deepEqual([closed.type, closed.streamId, closed.error.name], ["streamClosed", "t", "StreamNotFound"]);
    publisher.sendJson({ type: "streamEnd", streamId: "s" });
    assert.deepEqual(await publisher.nextJson(), { type: "streamClosed", streamId: "s" });
  });
}
