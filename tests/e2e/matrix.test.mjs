// Who hears what of whom: each kind of client, and REST, sends each kind of data to each
// kind of client, and the frame that arrives is the one of the tables, to the byte
// (client-and-rest sections 2.1, 2.2, 2.7 and 2.8).

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { allRoles } from "./lib/clients.mjs";
import { Scope } from "./lib/cleanup.mjs";
import { dialects, Peer } from "./lib/peers.mjs";
import { anyBytes, decodeDownstream, encodeUpstream } from "./lib/protobuf.mjs";
import { startBroker } from "./lib/pubhook.mjs";
import { call } from "./lib/tokens.mjs";

const hub = "chat";
const userId = "ann";
const any = { type_url: "type.googleapis.com/pubhook.Test", value: Buffer.from([0, 255, 128]) };

// Of each type, in the forms that protocols have for it. JSON has white space and numbers
// that a parser would not give back.
const text = 'a "text", \n ü 😀';
const json = '{"a" : [1.50, "\\u00fc", null]}';
const binary = Buffer.from([0, 1, 255, 128]);
const protobuf = anyBytes(any.type_url, any.value);
const forms = {
  text: { bytes: Buffer.from(text), isText: true, inJson: JSON.stringify(text), inProtobuf: { textData: text } },
  json: { bytes: Buffer.from(json), isText: true, inJson: json, inProtobuf: { jsonData: json } },
  binary: { bytes: binary, isText: false, inJson: `"${binary.toString("base64")}"`, inProtobuf: { binaryData: binary } },
  protobuf: { bytes: protobuf, isText: false, inJson: `"${protobuf.toString("base64")}"`, inProtobuf: { protobufData: any } },
};

/* --- Senders ------------------------------------------------------------------- */

async function fromClient(t, broker, dialect, group, frame) {
  const query = dialect === "raw" ? { webpubsub_mode: "sendToGroup", group } : {};
  const sender = await Peer.open(t, broker, hub, dialect, { userId, roles: allRoles }, query);
  sender.socket.send(frame);
}

const sendJson = (dialect) => (t, broker, group, type) =>
  fromClient(t, broker, dialect, group, `{"type":"sendToGroup","group":"${group}","dataType":"${type}","data":${forms[type].inJson}}`);

const sendProtobuf = (dialect) => (t, broker, group, type) =>
  fromClient(t, broker, dialect, group, encodeUpstream({ sendToGroupMessage: { group, data: forms[type].inProtobuf } }));

const sendRaw = (t, broker, group, type) =>
  fromClient(t, broker, "raw", group, forms[type].isText ? forms[type].bytes.toString() : forms[type].bytes);

const contentTypes = { text: "text/plain", json: "application/json", binary: "application/octet-stream" };
async function post(broker, path, type) {
  const headers = { "Content-Type": contentTypes[type] };
  const { status } = await call(broker, "POST", `/api/hubs/${hub}/${path}/:send?api-version=2024-12-01`, { headers, body: forms[type].bytes });
  assert.equal(status, 202);
}

// What each can say at all, and how.
const senders = {
  raw: { types: ["text", "binary"], send: sendRaw, userId },
  json: { types: Object.keys(forms), send: sendJson("json"), userId },
  "json reliable": { types: Object.keys(forms), send: sendJson("json reliable"), userId },
  protobuf: { types: Object.keys(forms), send: sendProtobuf("protobuf"), userId },
  "protobuf reliable": { types: Object.keys(forms), send: sendProtobuf("protobuf reliable"), userId },
  REST: { types: Object.keys(contentTypes), send: (t, broker, group, type) => post(broker, `groups/${group}`, type) },
};

/* --- Receivers ----------------------------------------------------------------- */

// Each: what arrives of a message of `type`, from `group` or from the server if there is
// none; as the `nth` message for who counts them.
const jsonFrame = (counts) => ({ type, group, sentBy, nth }) => {
  const from = group ? `"from":"group","group":"${group}"` : '"from":"server"';
  const user = sentBy ? `,"fromUserId":"${sentBy}"` : "";
  const sequence = counts ? `,"sequenceId":${nth}` : "";
  return `{"type":"message",${from}${user},"dataType":"${type}","data":${forms[type].inJson}${sequence}}`;
};

const protobufFrame = (counts) => ({ type, group, nth }) => ({
  dataMessage: {
    from: group ? "group" : "server",
    ...(group && { group }),
    data: forms[type].inProtobuf,
    ...(counts && { sequenceId: nth }),
  },
});

const receivers = {
  raw: ({ type }) => (forms[type].isText ? forms[type].bytes.toString() : forms[type].bytes),
  json: jsonFrame(false),
  "json reliable": jsonFrame(true),
  protobuf: protobufFrame(false),
  "protobuf reliable": protobufFrame(true),
};

async function hears(receiver, dialect, message) {
  const frame = await receiver.socket.inbox.next();
  const expected = receivers[dialect]({ nth: 1, ...message });
  // A protobuf frame has its fields in any order: what it says is compared.
  if (dialect.startsWith("protobuf")) assert.ok(Buffer.isBuffer(frame));
  assert.deepEqual(dialect.startsWith("protobuf") ? decodeDownstream(frame) : frame, expected);
  assert.deepEqual(receiver.waiting, [], "once");
}

test("the matrix has every kind of client", () => {
  assert.deepEqual(Object.keys(receivers), Object.keys(dialects));
  assert.deepEqual(Object.keys(senders), [...Object.keys(dialects), "REST"]);
});

for (const threads of [1, 4]) {
  describe(`${threads} loop thread${threads > 1 ? "s" : ""}`, { concurrency: 4 }, () => {
    const scope = new Scope(after);
    let broker;
    before(async () => (broker = await startBroker(scope, { threads })));

    for (const [from, sender] of Object.entries(senders)) {
      for (const to of Object.keys(receivers)) {
        for (const type of sender.types) {
          test(`${type} from ${from} to ${to}`, async (t) => {
            const group = t.name.replaceAll(" ", "-");
            const receiver = await Peer.open(t, broker, hub, to, { groups: [group] });
            await sender.send(t, broker, group, type);
            await hears(receiver, to, { type, group, sentBy: sender.userId });
          });
        }
      }
    }

    test("all to all of one group", async (t) => {
      const group = "everybody";
      const present = [];
      for (const to of Object.keys(receivers)) present.push([to, await Peer.open(t, broker, hub, to, { groups: [group] })]);
      let nth = 0;
      for (const sender of Object.values(senders)) {
        for (const type of sender.types) {
          await sender.send(t, broker, group, type);
          nth++;
          for (const [to, receiver] of present) await hears(receiver, to, { type, group, sentBy: sender.userId, nth });
        }
      }
      assert.equal(nth, 21);
    });

    for (const to of Object.keys(receivers)) {
      for (const type of Object.keys(contentTypes)) {
        test(`${type} from REST to a user who is ${to}`, async (t) => {
          const user = t.name.replaceAll(" ", "-");
          const receiver = await Peer.open(t, broker, hub, to, { userId: user });
          await post(broker, `users/${user}`, type);
          await hears(receiver, to, { type });
        });
      }
    }
  });
}
