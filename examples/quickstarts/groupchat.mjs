// A group chat in the terminal over the bare subprotocol, with nothing but the package
// `ws`:  node groupchat.mjs NAME NEGOTIATE_URL
// NEGOTIATE_URL is the server that hands out addresses (examples/negotiate.c), such as
// http://localhost:8081/negotiate. Each line that you type goes to the group "lobby";
// the end of input leaves.

import { createInterface } from "node:readline";
import WebSocket from "ws";

const [name = "somebody", negotiate = "http://localhost:8081/negotiate"] = process.argv.slice(2);
const { url } = await (await fetch(`${negotiate}?id=${encodeURIComponent(name)}`)).json();

const socket = new WebSocket(url, "json.webpubsub.azure.v1");
const send = (frame) => socket.send(JSON.stringify(frame));
let ackId = 0;

function say(text) {
  send({ type: "sendToGroup", group: "lobby", dataType: "text", data: text, noEcho: true, ackId: ++ackId });
}

// What the page of examples/chat sends is JSON with a member "text".
const textOf = ({ dataType, data }) => (dataType === "json" ? (data.text ?? JSON.stringify(data)) : data);

socket.on("message", (bytes) => {
  const frame = JSON.parse(bytes);
  if (frame.event === "connected") send({ type: "joinGroup", group: "lobby", ackId: ++ackId });
  else if (frame.type === "ack" && !frame.success) console.error(`refused: ${frame.error.message}`);
  else if (frame.type === "ack" && frame.ackId === 1) readLines();
  else if (frame.from === "group") console.log(`${frame.fromUserId}: ${textOf(frame)}`);
});
socket.on("close", (code, reason) => console.log(`closed: ${code} ${reason}`));
socket.on("error", (error) => console.error(error.message));

function readLines() {
  console.log(`joined as ${name}`);
  createInterface({ input: process.stdin })
    .on("line", say)
    .on("close", () => socket.close(1000));
}
