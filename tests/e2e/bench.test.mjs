// The bench without its measurements: what its command line refuses, what it makes of
// results, and that the same results always give the same files.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { sourceDir, temporaryFolder } from "./lib/paths.mjs";

const run = (...args) => spawnSync(process.execPath, [path.join(sourceDir, "tests/bench/run"), ...args], { encoding: "utf8" });

const goal = (more) => ({ figure: "value", more: true, met: true, ...more });
const results = {
  date: "2026-11-21",
  runs: 3,
  quick: false,
  machine: { cpu: "some CPU", cores: 2, memoryGiB: 8, kernel: "Linux 6", compiler: "gcc", flags: "-O2", node: "v20" },
  sections: [
    {
      name: "webhook",
      title: "Webhooks",
      tables: [
        {
          title: "Webhooks, <one> core & more",
          unit: "requests/s",
          better: "more",
          plot: { kind: "bars", file: "webhook" },
          subjects: [
            { name: "bare library", value: 100000, ratio: 1, spread: 0.02, p50: 400 },
            { name: "pubhookd, `echo`", value: 90000, ratio: 0.9, spread: 0.02, p50: 450, goals: [goal({ ratio: 0.85, got: 0.9 })] },
            { name: "pubhookd, slow", value: 50000, ratio: 0.5, spread: 0.02, p50: 900, goals: [goal({ ratio: 0.85, got: 0.5, met: false })] },
            { name: "a peer", missing: "not installed" },
          ],
        },
        {
          title: "Growth",
          unit: "ns",
          better: "less",
          plot: { kind: "lines", file: "growth", x: "members" },
          subjects: [0, 10, 1000].map((x) => ({ name: `JSON, ${x}`, series: "JSON", x, value: 20 + x / 100, ratio: 1, spread: 0 })),
        },
      ],
    },
  ],
};

function draw(t) {
  const folder = temporaryFolder(t);
  const file = path.join(folder, "given.json");
  writeFileSync(file, JSON.stringify(results));
  const out = path.join(folder, "out");
  const { status, stdout, stderr } = run("--plot", file, "--output", out);
  assert.equal(status, 0, stderr);
  return { folder, file, out, stdout, text: (name) => readFileSync(path.join(out, name), "utf8") };
}

for (const [args, complaint] of [
  [["--nothing"], /'--nothing'/],
  [["--only", "webhook,weather"], /--only weather: expected one of .*webhook/],
  [["--runs", "0"], /--runs 0: expected a number from 1 to 999/],
  [["--document", "x.md"], /--document needs --output/],
  [["extra"], /extra/],
]) {
  test(`${args.join(" ")} is refused with one line and status 2`, () => {
    const { status, stdout, stderr } = run(...args);
    assert.equal(status, 2);
    assert.equal(stdout, "");
    assert.match(stderr, complaint);
    assert.equal(stderr.trim().split("\n").length, 1, stderr);
  });
}

test("--help names every option and section", () => {
  const { status, stdout } = run("--help");
  assert.equal(status, 0);
  for (const word of ["--only", "--runs", "--quick", "--build", "--json", "--output", "--document", "--plot", "webhook", "growth"]) assert.ok(stdout.includes(word), word);
});

test("a folder without a build is refused", (t) => {
  const { status, stderr } = run("--build", temporaryFolder(t));
  assert.equal(status, 1);
  assert.match(stderr, /configure has not run there/);
});

test("builds with sanitizers and without optimisation are refused", (t) => {
  for (const [flags, why] of [["-O1 -g -fsanitize=address", /sanitizers/], ["-g -O2 -O0", /optimisation/], ["-g", /optimisation/]]) {
    const folder = temporaryFolder(t);
    writeFileSync(path.join(folder, "config.status"), `S["CC"]="gcc"\nS["CFLAGS"]="${flags}"\n`);
    const { status, stderr } = run("--build", folder);
    assert.equal(status, 1);
    assert.match(stderr, why);
  }
});

test("goals and ratios come first, and a goal that was missed is said to be", (t) => {
  const { stdout } = draw(t);
  assert.ok(stdout.indexOf("1 of 2 met") < stdout.indexOf("### Webhooks"));
  assert.match(stdout, /\| pubhookd, slow \| ≥ 0\.85 × bare library \| 0\.500 \| \*\*missed\*\* \|/);
  assert.match(stdout, /\| subject \| ratio \| requests\/s \| p50 µs \| spread \| goal \|/);
  assert.match(stdout, /\| a peer \|  \| not measured: not installed \|/);
});

test("the same results give the same files, byte for byte", (t) => {
  const [one, other] = [draw(t), draw(t)];
  const names = readdirSync(one.out).sort();
  assert.deepEqual(names, ["growth.svg", "results.json", "results.md", "webhook.svg"]);
  for (const name of names) assert.equal(one.text(name), other.text(name), name);
});

test("plots say in words what they show, and escape it", (t) => {
  const svg = draw(t).text("webhook.svg");
  assert.match(svg, /<title id="title">Webhooks, &lt;one&gt; core &amp; more<\/title>/);
  assert.match(svg, /<desc id="description">.*pubhookd, echo: 90,000 {2}\(0\.90\).*a peer: not measured/);
  assert.ok(!/NaN|undefined/.test(svg));
  assert.ok(!/NaN|undefined/.test(draw(t).text("growth.svg")));
});

test("--document replaces what stands between its marks, and nothing else", (t) => {
  const { folder, file, out } = draw(t);
  const document = path.join(folder, "performance.md");
  copyFileSync(path.join(sourceDir, "docs/performance.md"), document);
  const before = readFileSync(document, "utf8").split(/<!-- (?:end of )?results -->/);
  assert.equal(run("--plot", file, "--output", out, "--document", document).status, 0);
  const after = readFileSync(document, "utf8").split(/<!-- (?:end of )?results -->/);
  assert.deepEqual([after[0], after[2]], [before[0], before[2]]);
  assert.match(after[1], /!\[Growth\]\(out\/growth\.svg\)/);
});
