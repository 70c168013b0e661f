// The open files of a process, told apart: connections from its clients, connections that
// it keeps to event handlers, and everything else.

import { readdirSync, readFileSync, readlinkSync } from "node:fs";

// inode: [local port, remote port] of each TCP socket.
function tcpSockets(pid) {
  const sockets = new Map();
  for (const line of readFileSync(`/proc/${pid}/net/tcp`, "utf8").split("\n").slice(1)) {
    const [, local, remote, state, , , , , , inode] = line.trim().split(/\s+/);
    if (!inode) continue;
    const port = (address) => parseInt(address.split(":")[1], 16);
    sockets.set(inode, { local: port(local), remote: port(remote), listening: state === "0A" });
  }
  return sockets;
}

function unixSockets(pid) {
  const lines = readFileSync(`/proc/${pid}/net/unix`, "utf8").split("\n").slice(1);
  return new Set(lines.map((line) => line.trim().split(/\s+/)[6]));
}

// A connection that its peer has reset is in no table of the kernel's any more; only those
// to handlers are kept unread, so it is one of them.
export function descriptors(pid, ownPort, handlerPorts) {
  const sockets = tcpSockets(pid);
  const pairs = unixSockets(pid);
  const counts = { clients: 0, handlers: 0, others: 0, kinds: {} };
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    let target = "";
    try {
      target = readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      continue; // closed meanwhile
    }
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    const socket = sockets.get(inode);
    if (socket && !socket.listening && socket.local === ownPort) counts.clients++;
    else if (inode && !pairs.has(inode) && (!socket || handlerPorts.includes(socket.remote))) counts.handlers++;
    else {
      const kind = socket ? "tcp" : target.replace(/\d+/g, "N");
      counts.others++;
      counts.kinds[kind] = (counts.kinds[kind] ?? 0) + 1;
    }
  }
  return counts;
}
