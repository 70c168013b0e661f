// Tokens and signatures made by hand, for what the SDKs cannot be made to send.

import { createHmac } from "node:crypto";
import { defaultKey } from "./pubhook.mjs";

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
export const now = () => Math.floor(Date.now() / 1000);

export function signToken(claims, key = defaultKey, header = { alg: "HS256", typ: "JWT" }) {
  const unsigned = `${encode(header)}.${encode(claims)}`;
  return `${unsigned}.${createHmac("sha256", key).update(unsigned).digest("base64url")}`;
}

// ce-signature of a webhook (event-handler section 4).
export function eventSignature(connectionId, key = defaultKey) {
  return `sha256=${createHmac("sha256", key).update(connectionId).digest("hex")}`;
}

// A REST call with a token of its own.
export function call(broker, method, pathAndQuery, { headers = {}, body } = {}) {
  const url = `${broker.url}${pathAndQuery}`;
  const token = signToken({ aud: url, exp: now() + 60 });
  return fetch(url, { method, body, headers: { Authorization: `Bearer ${token}`, ...headers } });
}
