// The official middleware for Express with a handler that has nothing to say: as it is
// shipped, or (`check`) with the check of the signature that the middleware leaves to its
// users, and that pubhookd always does; or (`echo`) with one that sends the data back.
import { createHmac, timingSafeEqual } from "node:crypto";
import { WebPubSubEventHandler } from "@azure/web-pubsub-express";
import express from "express";

const key = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";

function isSigned(request) {
  const wanted = createHmac("sha256", key).update(request.get("ce-connectionId") ?? "").digest();
  return (request.get("ce-signature") ?? "").split(",").some((entry) => {
    const given = Buffer.from(entry.replace("sha256=", ""), "hex");
    return given.length === wanted.length && timingSafeEqual(given, wanted);
  });
}

const handler = new WebPubSubEventHandler("bench", {
  path: "/eventhandler",
  handleUserEvent: (request, response) =>
    process.argv[2] === "echo" ? response.success(request.data, request.dataType) : response.success(),
});
const app = express();
if (process.argv[2] === "check") app.use((request, response, next) => (isSigned(request) ? next() : response.sendStatus(401)));
app.use(handler.getMiddleware());
const server = app.listen(0, "127.0.0.1", () => console.log(`ready ${server.address().port}`));
server.keepAliveTimeout = 0;
