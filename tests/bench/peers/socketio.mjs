// A peer of the broker: a room of Socket.IO, over its WebSocket transport. Prints `ready PORT`.
import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer();
const io = new Server(http, { transports: ["websocket"], serveClient: false, perMessageDeflate: false });

io.on("connection", (socket) => {
  if (socket.handshake.query.role === "publisher") socket.on("p", (text) => io.to("g").emit("m", text));
  else socket.join("g");
});
http.listen({ host: "127.0.0.1", port: 0, backlog: 1024 }, () => console.log(`ready ${http.address().port}`));
