// Prints what the hub "chat" sends to everybody:  node subscriber.mjs
// `WebPubSubConnectionString` is what pubhook-broker prints when it starts.

import { WebPubSubServiceClient } from "@azure/web-pubsub";
import { WebPubSubClient } from "@azure/web-pubsub-client";

const service = new WebPubSubServiceClient(process.env.WebPubSubConnectionString, "chat");
const client = new WebPubSubClient({
  getClientAccessUrl: async () => (await service.getClientAccessToken({ userId: "subscriber" })).url,
});

client.on("connected", ({ connectionId }) => console.log(`connected as ${connectionId}`));
client.on("server-message", ({ message }) => {
  console.log(message.dataType === "json" ? JSON.stringify(message.data) : `${message.data}`);
});
client.on("stopped", () => process.exit());
process.once("SIGTERM", () => client.stop());

await client.start();
