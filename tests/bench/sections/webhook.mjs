// Webhooks: what decoding, signature, dispatch and reply cost beside bare libraries.
import { join } from "node:path";
import { connectionId, folder, signature } from "../lib/bench.mjs";
import { load } from "../lib/processes.mjs";

const name = "webhook";
const title = "Webhooks";

const micros = (text) => {
  const [, value, unit] = /([\d.]+)(us|ms|s)/.exec(text);
  return Math.round(Number(value) * { us: 1, ms: 1000, s: 1e6 }[unit]);
};

const wrk = (bench) => async ({ port }) => {
  const out = await load(["wrk", "-t1", "-c64", `-d${bench.seconds}s`, "--latency", "-s", join(folder, "load", "webhook.lua"), `http://127.0.0.1:${port}`],
                         { env: { CONNECTION_ID: connectionId, SIGNATURE: signature } });
  if (/Non-2xx|Socket errors/.test(out)) throw new Error(out);
  return {
    value: Number(/Requests\/sec:\s+([\d.]+)/.exec(out)[1]),
    p50: micros(/^\s+50%\s+(\S+)/m.exec(out)[1]),
    p99: micros(/^\s+99%\s+(\S+)/m.exec(out)[1]),
  };
};

function tables(bench) {
  const subject = (name, server, goal) => ({ name, goal, measure: () => bench.with(server, wrk(bench)) });
  return [
    {
      title: "Webhooks, one server core, 64 connections",
      unit: "requests/s",
      better: "more",
      subjects: [
        subject("bare libmicrohttpd, HMAC, 204", bench.bare("bare_http", "1")),
        subject("pubhookd, `auth` (event without a handler, 204)", bench.pubhookd("auth", "users=bench"), { ratio: 0.85 }),
        subject("pubhookd, `echo` (event answered with its data)", bench.pubhookd("echo"), { ratio: 0.85 }),
      ],
    },
  ];
}

export default { name, title, tables };
