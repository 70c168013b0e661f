// The protobuf subprotocols by protobufjs and the schema that is installed. Frames are
// translated from and to the form of the JSON subprotocol, so that one test speaks both.

import { WebPubSubJsonProtocol } from "@azure/web-pubsub-client";
import protobuf from "protobufjs";
import { schema } from "./paths.mjs";

export const protobufProtocol = "protobuf.webpubsub.azure.v1";
export const reliableProtobufProtocol = "protobuf.reliable.webpubsub.azure.v1";
export const schemaFile = schema("webpubsub.proto");

const root = await new protobuf.Root().load(schemaFile);
const Upstream = root.lookupType("azure.webpubsub.UpstreamMessage");
const Downstream = root.lookupType("azure.webpubsub.DownstreamMessage");
const Any = root.lookupType("google.protobuf.Any");

// The bytes of an Any: what the event handler gets, and raw clients.
export const anyBytes = (typeUrl, value) => Buffer.from(Any.encode({ type_url: typeUrl, value: Buffer.from(value) }).finish());

// A frame from an object as the schema names its fields. A field that the schema does not
// know is a mistake of the test.
export function encodeUpstream(message) {
  const problem = Upstream.verify(message);
  if (problem) throw new Error(`${JSON.stringify(message)}: ${problem}`);
  return Buffer.from(Upstream.encode(Upstream.fromObject(message)).finish());
}

// An object with what was there on the wire, and nothing else.
export const decodeDownstream = (frame) => Downstream.toObject(Downstream.decode(frame), { longs: Number, bytes: Buffer });

// Each way in for `data` and `dataType` of the JSON form.
const toData = {
  text: (data) => ({ textData: data }),
  json: (data) => ({ jsonData: JSON.stringify(data) }),
  binary: (data) => ({ binaryData: Buffer.from(data, "base64") }),
  protobuf: (data) => ({ protobufData: Any.decode(Buffer.from(data, "base64")) }),
};

const fromData = {
  textData: (data) => ({ dataType: "text", data }),
  jsonData: (data) => ({ dataType: "json", data: JSON.parse(data) }),
  binaryData: (data) => ({ dataType: "binary", data: data.toString("base64") }),
  protobufData: (any) => ({ dataType: "protobuf", data: Buffer.from(Any.encode(any).finish()).toString("base64") }),
};

function packData({ dataType = "json", data }) {
  return data === undefined ? {} : { data: toData[dataType](data) };
}

function unpackData(data) {
  const [[kind, value]] = Object.entries(data);
  return fromData[kind](value);
}

function packed({ type, target, dataType, data, state, ...rest }) {
  return { ...rest, ...packData({ dataType, data }), ...(state && { state: { entries: state } }) };
}

// JSON type: its member of UpstreamMessage.
const upstreamNames = {
  sendToGroup: "sendToGroupMessage",
  event: "eventMessage",
  joinGroup: "joinGroupMessage",
  leaveGroup: "leaveGroupMessage",
  sequenceAck: "sequenceAckMessage",
  ping: "pingMessage",
  invoke: "invokeEventMessage",
  cancelInvocation: "cancelInvocationMessage",
  streamData: "streamDataMessage",
  streamEnd: "streamEndMessage",
  setGroupState: "setGroupStateMessage",
  subscribeGroupState: "subscribeGroupStateMessage",
  unsubscribeGroupState: "unsubscribeGroupStateMessage",
};

const unpacked = ({ data, ...rest }) => ({ ...rest, ...(data && unpackData(data)) });

function groupState(type, { items = [], ...rest }) {
  const unpackItem = ({ state, ...item }) => ({ ...item, ...(state && { state: state.entries ?? {} }) });
  return { type, ...rest, items: items.map(unpackItem) };
}

function system({ connectedMessage, disconnectedMessage }) {
  if (connectedMessage) return { type: "system", event: "connected", userId: null, ...connectedMessage };
  return { type: "system", event: "disconnected", message: disconnectedMessage.reason ?? "" };
}

// Members of DownstreamMessage in the JSON form. proto3 does not send false and 0.
const downstream = {
  ackMessage: (m) => ({ type: "ack", success: false, ackId: 0, ...m }),
  dataMessage: (m) => ({ type: "message", ...unpacked(m) }),
  systemMessage: system,
  pongMessage: () => ({ type: "pong" }),
  invokeResponseMessage: (m) => ({ type: "invokeResponse", success: false, ...unpacked(m) }),
  streamAckMessage: (m) => ({ type: "streamAck", ...m }),
  streamNackMessage: (m) => ({ type: "streamNack", ...m }),
  streamClosedMessage: (m) => ({ type: "streamClosed", ...m }),
  groupStateUpdateMessage: (m) => groupState("groupStateUpdate", m),
  groupStateSnapshotMessage: (m) => groupState("groupStateSnapshot", m),
};

export const protobufCodec = {
  greets: true,
  encode: (message) => encodeUpstream({ [upstreamNames[message.type]]: packed(message) }),
  decode(frame) {
    if (typeof frame === "string") throw new Error(`text to a protobuf client: ${frame}`);
    const [[name, message]] = Object.entries(decodeDownstream(frame));
    return downstream[name](message);
  },
};

// For the official client, whose protocols are objects that anybody may write: between its
// messages and the JSON form stands its own JSON protocol.
export function sdkProtobufProtocol(name) {
  const json = WebPubSubJsonProtocol();
  return {
    name,
    isReliableSubProtocol: name === reliableProtobufProtocol,
    writeMessage: (message) => protobufCodec.encode(JSON.parse(json.writeMessage(message))),
    parseMessages: (frame) => json.parseMessages(JSON.stringify(protobufCodec.decode(Buffer.from(frame)))),
  };
}
