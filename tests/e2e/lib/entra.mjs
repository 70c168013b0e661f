// An identity provider: keys, and tokens signed with them.

import { createSign, generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { once } from "node:events";
import { cleanup } from "./cleanup.mjs";
import { now } from "./tokens.mjs";

export const issuer = "https://sts.windows.net/tenant/";
export const audience = "https://webpubsub.azure.com";
const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

export class IdentityProvider {
  #keys = new Map();
  requests = 0;

  // Serves its key set on loopback.
  static async start(t) {
    const provider = new IdentityProvider();
    provider.addKey("first");
    const server = createServer((request, response) => {
      provider.requests++;
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify(provider.keySet));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    provider.url = `http://127.0.0.1:${server.address().port}/discovery/keys?p=1`;
    cleanup(t, () => server.close());
    return provider;
  }
  addKey(kid) {
    this.#keys.set(kid, generateKeyPairSync("rsa", { modulusLength: 2048 }));
  }
  get keySet() {
    const keys = [...this.#keys].map(([kid, { publicKey }]) => ({
      ...publicKey.export({ format: "jwk" }), kid, use: "sig", x5t: kid, x5c: ["AAAA"], issuer,
    }));
    return { keys: [{ kty: "EC", crv: "P-256", kid: "ec", x: "AA", y: "AA" }, ...keys] };
  }
  token(claims = {}, kid = "first", header = {}) {
    const unsigned = `${encode({ typ: "JWT", alg: "RS256", x5t: kid, kid, ...header })}.${encode({
      aud: audience, iss: issuer, iat: now(), nbf: now(), exp: now() + 3600, appid: "app", ...claims,
    })}`;
    return `${unsigned}.${createSign("RSA-SHA256").update(unsigned).sign(this.#keys.get(kid).privateKey, "base64url")}`;
  }
}
