// GET /metrics, read strictly: what Prometheus would refuse or misread is an error here.

import assert from "node:assert/strict";
import { setTimeout as pass } from "node:timers/promises";
import { patience } from "./patience.mjs";

const name = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const sampleLine = new RegExp(`^(${name})(?:\\{(.*)\\})? ([0-9.]+|\\+Inf)$`);
const label = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)"(,|$)/y;

function labelsOf(text) {
  const labels = {};
  label.lastIndex = 0;
  while (label.lastIndex < text.length) {
    const at = label.lastIndex;
    const match = label.exec(text);
    assert.ok(match, `labels: ${text.slice(at)}`);
    assert.ok(!(match[1] in labels), `label ${match[1]} twice`);
    labels[match[1]] = match[2].replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
    if (match[3] === "" && label.lastIndex !== text.length) assert.fail(text);
  }
  return labels;
}

const key = (sample, labels) => `${sample}${JSON.stringify(Object.entries(labels).sort())}`;

function checkHistogram(family, samples) {
  const rows = new Map();
  for (const { sample, labels, value } of samples) {
    const { le, ...others } = labels;
    const id = JSON.stringify(others);
    const row = rows.get(id) ?? { buckets: [] };
    rows.set(id, row);
    if (sample === `${family}_bucket`) row.buckets.push([le === "+Inf" ? Infinity : Number(le), value]);
    else if (sample === `${family}_sum`) row.sum = value;
    else if (sample === `${family}_count`) row.count = value;
    else assert.fail(`${sample} in a histogram`);
  }
  for (const { buckets, sum, count } of rows.values()) {
    assert.ok(sum >= 0);
    assert.deepEqual(buckets, [...buckets].sort(([a], [b]) => a - b), "buckets go up");
    assert.deepEqual(buckets.map(([, n]) => n), buckets.map(([, n]) => n).sort((a, b) => a - b), "buckets are cumulative");
    assert.deepEqual(buckets.at(-1), [Infinity, count]);
  }
}

export function parseMetrics(text) {
  const values = new Map();
  const families = new Map();
  let family;
  assert.ok(text.endsWith("\n"));
  for (const line of text.slice(0, -1).split("\n")) {
    const help = /^# HELP (\S+) (.+)$/.exec(line);
    const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line);
    if (help) {
      assert.ok(!families.has(help[1]), `${help[1]} comes twice`);
      family = { name: help[1], samples: [] };
      families.set(family.name, family);
    } else if (type) {
      assert.equal(type[1], family.name);
      assert.equal(family.type, undefined);
      family.type = type[2];
    } else {
      const [, sample, labelText = "", value] = sampleLine.exec(line) ?? assert.fail(`no sample: ${line}`);
      const labels = labelsOf(labelText);
      assert.ok(family.type, `${sample} has a type`);
      if (family.type === "histogram") assert.ok(sample.startsWith(`${family.name}_`));
      else assert.equal(sample, family.name);
      assert.ok(!values.has(key(sample, labels)), `${line} comes twice`);
      values.set(key(sample, labels), Number(value));
      family.samples.push({ sample, labels, value: Number(value) });
    }
  }
  for (const { name, type, samples } of families.values()) if (type === "histogram") checkHistogram(name, samples);
  return {
    families,
    // A sample's value; an error when there is none.
    get(sample, labels = {}) {
      const value = values.get(key(sample, labels));
      assert.notEqual(value, undefined, `${sample} ${JSON.stringify(labels)} is in the metrics`);
      return value;
    },
    // The sum of a family's samples that have these labels.
    sum(sample, labels = {}) {
      const has = (s) => Object.entries(labels).every(([name, value]) => s.labels[name] === value);
      return families.get(sample).samples.filter(has).reduce((total, { value }) => total + value, 0);
    },
  };
}

export async function metricsOf(broker) {
  const response = await fetch(`${broker.url}/metrics`);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  return parseMetrics(await response.text());
}

// Metrics once `check` finds nothing to complain of: what a client has seen already is counted
// when the thread that did it is done with it.
export async function metricsThat(broker, check) {
  const end = performance.now() + patience;
  for (;;) {
    const metrics = await metricsOf(broker);
    try {
      check(metrics);
      return metrics;
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await pass(20);
  }
}

// Metrics once they satisfy `probe`.
export function metricsWhen(broker, probe, what) {
  return metricsThat(broker, (metrics) => assert.ok(probe(metrics), `the metrics never showed ${what}`));
}
