// The event handler of tests/plugins/witness.c once more, on the official middleware
// for Express: what it answers must be what the C framework answers.

import { once } from "node:events";
import express from "express";
import { WebPubSubEventHandler } from "@azure/web-pubsub-express";
import { cleanup } from "./cleanup.mjs";
import { Records } from "./records.mjs";

const line = (kind, { context }, more) => ({
  kind,
  event: context.eventName,
  hub: context.hub,
  connectionId: context.connectionId,
  userId: context.userId ?? null,
  ...more,
});

function connect(records) {
  return (request, response) => {
    records.put(line("connect", request));
    const query = request.queries ?? request.query ?? {};
    const [reject] = query.reject ?? [];
    if (reject) return response.fail(Number(reject), "the witness refuses");
    for (const [name, value] of Object.entries(JSON.parse(Buffer.from(query.state?.[0] ?? "", "base64").toString() || "{}"))) {
      response.setState(name, value);
    }
    response.success({
      userId: query.userId?.[0],
      groups: query.joins,
      roles: query.role,
      subprotocol: query.subprotocol?.[0],
    });
  };
}

const answers = {
  whoami: ({ context }, response) =>
    response.success(
      JSON.stringify({
        hub: context.hub,
        userId: context.userId ?? null,
        connectionId: context.connectionId,
        state: Object.keys(context.states).length ? Buffer.from(JSON.stringify(context.states)).toString("base64") : null,
      }),
      "json",
    ),
  count: ({ context }, response) => {
    const count = (context.states.count ?? 0) + 1;
    response.setState("count", count);
    response.success(JSON.stringify({ count }), "json");
  },
  quiet: (request, response) => response.success(),
  refuse: (request, response) => response.fail(403, "the witness refuses"),
};

function echo({ data, dataType }, response) {
  response.success(dataType === "json" ? JSON.stringify(data) : dataType === "binary" ? Buffer.from(data) : data, dataType);
}

export async function startExpressWitness(t, hub) {
  const records = new Records();
  const handler = new WebPubSubEventHandler(hub, {
    path: "/eventhandler",
    handleConnect: connect(records),
    onConnected: (request) => records.put(line("connected", request)),
    onDisconnected: (request) => records.put(line("disconnected", request, { reason: request.reason ?? null })),
    onGroupJoined: (request) => records.put(line("joined", request, { group: request.group })),
    onGroupLeft: (request) => records.put(line("left", request, { group: request.group })),
    handleUserEvent: (request, response) => {
      records.put(line("user", request, { type: request.dataType }));
      (answers[request.context.eventName] ?? echo)(request, response);
    },
  });
  const server = express().use(handler.getMiddleware()).listen(0, "127.0.0.1");
  server.keepAliveTimeout = 0; // a client that is slow finds its connection where it left it
  await once(server, "listening");
  cleanup(t, () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${server.address().port}/eventhandler`, records };
}
