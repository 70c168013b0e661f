// A peer of the broker: the smallest fan-out server over ws. Prints `ready PORT`.
import { WebSocket, WebSocketServer } from "ws";

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false, backlog: 1024 });
const members = new Set();

server.on("connection", (socket, request) => {
  if (request.url === "/publisher") {
    socket.on("message", (data) => {
      for (const member of members) {
        if (member.readyState === WebSocket.OPEN) member.send(data, { binary: false });
      }
    });
  } else {
    members.add(socket);
    socket.on("close", () => members.delete(socket));
  }
});
server.on("listening", () => console.log(`ready ${server.address().port}`));
