// Sends to all clients of the hub "chat":  node publisher.mjs "hello"

import { WebPubSubServiceClient } from "@azure/web-pubsub";

const text = process.argv[2] ?? "hello";
const service = new WebPubSubServiceClient(process.env.WebPubSubConnectionString, "chat", {
  allowInsecureConnection: true, // the broker on this machine speaks plain HTTP
});

await service.sendToAll(text, { contentType: "text/plain" });
console.log("sent");
