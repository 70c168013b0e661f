// An event handler in a few lines, for what no framework would answer.

import { createServer } from "node:http";
import { once } from "node:events";
import { cleanup } from "./cleanup.mjs";

// `answer(request, body)` returns {status, headers, body} of events, or a promise of it;
// the validation of the URL is answered here. Requests are kept in `requests`.
export async function startWebhook(t, answer) {
  const hook = { requests: [] };
  const server = createServer(async (request, response) => {
    if (request.method === "OPTIONS") return response.setHeader("WebHook-Allowed-Origin", "*").end();
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    hook.requests.push({ headers: request.headers, body });
    const { status = 204, headers = {}, body: text = "" } = (await answer(request, body)) ?? {};
    response.writeHead(status, headers).end(text);
  });
  server.keepAliveTimeout = 0; // a client that is slow finds its connection where it left it
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanup(t, () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  hook.url = `http://127.0.0.1:${server.address().port}/eventhandler`;
  return hook;
}
