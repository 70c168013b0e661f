// An event handler for the hub "chat" on the official middleware, for comparison with
// the handlers in C:  node eventhandler.mjs [PORT]
// Then:  pubhook-broker --event-handler chat=http://localhost:8090/eventhandler

import express from "express";
import { WebPubSubEventHandler } from "@azure/web-pubsub-express";

const handler = new WebPubSubEventHandler("chat", {
  path: "/eventhandler",
  handleConnect: (request, response) => response.success({ groups: ["lobby"] }),
  onConnected: ({ context }) => console.log(`${context.userId} connected`),
  onDisconnected: ({ context }) => console.log(`${context.userId} disconnected`),
  handleUserEvent: (request, response) => {
    console.log(`${request.context.userId}: ${request.data}`);
    response.success(`You said: ${request.data}`, "text");
  },
});

const server = express()
  .use(handler.getMiddleware())
  .listen(Number(process.argv[2] ?? 8090), "127.0.0.1", () => {
    console.log(`ready http://localhost:${server.address().port}/eventhandler`);
  });
process.once("SIGTERM", () => server.close());
