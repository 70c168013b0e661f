// Node's own HTTP server doing the one thing that a webhook must cost: an HMAC-SHA256 of
// the connection id. Reads the body, checks nothing, answers 204.
import { createHmac } from "node:crypto";
import { createServer } from "node:http";

const key = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";

const server = createServer({ keepAlive: true }, (request, response) => {
  request.resume();
  request.on("end", () => {
    createHmac("sha256", key).update(request.headers["ce-connectionid"] ?? "").digest("hex");
    response.writeHead(204).end();
  });
});
server.keepAliveTimeout = 0;
server.listen(0, "127.0.0.1", () => console.log(`ready ${server.address().port}`));
