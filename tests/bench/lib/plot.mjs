// Plots as SVG: the same results give the same bytes. Colours follow the reader's light or
// dark scheme; a title and a description say in words what is drawn.
import { number } from "./report.mjs";

const width = 760;
const style = `
  svg { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; }
  .card { fill: #ffffff; stroke: #d0d7de; }
  text { fill: #1f2328; }
  .title { font-size: 15px; font-weight: 600; }
  .soft { fill: #59636e; }
  .grid { stroke: #d0d7de; stroke-width: 1; }
  .goal { stroke: #1f2328; stroke-width: 2; }
  .other { fill: #a8b1bb; }
  .ours { fill: #1f6feb; }
  .line { fill: none; stroke-width: 2; }
  .s0 { stroke: #1f6feb; } .s1 { stroke: #bf5f00; } .s2 { stroke: #1a7f37; } .s3 { stroke: #8250df; } .s4 { stroke: #cf222e; } .s5 { stroke: #59636e; }
  .d0 { fill: #1f6feb; } .d1 { fill: #bf5f00; } .d2 { fill: #1a7f37; } .d3 { fill: #8250df; } .d4 { fill: #cf222e; } .d5 { fill: #59636e; }
  @media (prefers-color-scheme: dark) {
    .card { fill: #0d1117; stroke: #3d444d; }
    text { fill: #f0f6fc; }
    .soft { fill: #9198a1; }
    .grid { stroke: #2a313c; }
    .goal { stroke: #f0f6fc; }
    .other { fill: #59636e; }
    .ours { fill: #4493f8; }
    .s0 { stroke: #4493f8; } .s1 { stroke: #f0883e; } .s2 { stroke: #3fb950; } .s3 { stroke: #ab7df8; } .s4 { stroke: #ff7b72; } .s5 { stroke: #9198a1; }
    .d0 { fill: #4493f8; } .d1 { fill: #f0883e; } .d2 { fill: #3fb950; } .d3 { fill: #ab7df8; } .d4 { fill: #ff7b72; } .d5 { fill: #9198a1; }
  }`;

const escape = (text) => String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
const plain = (name) => name.replace(/`/g, "");
const at = (value) => String(Math.round(value * 10) / 10);
const textWidth = (text) => text.length * 6.3;

function text(x, y, words, { kind = "", anchor = "start" } = {}) {
  return `<text x="${at(x)}" y="${at(y)}"${kind && ` class="${kind}"`}${anchor === "start" ? "" : ` text-anchor="${anchor}"`}>${escape(words)}</text>`;
}

function lineFrom(x1, y1, x2, y2, kind) {
  return `<line class="${kind}" x1="${at(x1)}" y1="${at(y1)}" x2="${at(x2)}" y2="${at(y2)}"/>`;
}

function picture(title, description, height, parts) {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${at(height)}" width="${width}" height="${at(height)}" role="img" aria-labelledby="title description">`,
    `<title id="title">${escape(title)}</title>`,
    `<desc id="description">${escape(description)}</desc>`,
    `<style>${style}\n</style>`,
    `<rect class="card" x="0.5" y="0.5" width="${width - 1}" height="${at(height - 1)}" rx="6"/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

// Round numbers from nothing to at least `most`, four or five steps.
function ticks(most) {
  const rough = most / 4 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const result = [];
  for (let i = 0; i * step < most + step; i++) result.push(Math.round(i * step * 1e6) / 1e6);
  return result;
}

const short = (value) =>
  value >= 1e6 ? `${number(value / 1e6).replace(/\.?0+$/, "")} M` : value >= 10000 ? `${number(value / 1e3).replace(/\.?0+$/, "")} k` : String(value);

const hint = (table) => `${table.unit}, ${table.better === "more" ? "more" : "less"} is better`;

/* --- Bars --------------------------------------------------------------------------- */

// Where the goal for a subject's figure lies on the axis.
function goalValue(row, rows) {
  const goal = row.goals?.find((g) => g.figure === "value");
  if (!goal) return undefined;
  if (goal.ratio === undefined) return goal.atLeast ?? goal.atMost;
  const base = goal.of ? rows.find((r) => r.name === goal.of) : rows[0];
  return base?.value === undefined ? undefined : base.value * goal.ratio;
}

function barLabel(row) {
  if (row.value === undefined) return "not measured";
  return row.ratio === undefined ? number(row.value) : `${number(row.value)}  (${row.ratio.toFixed(2)})`;
}

function bars(table) {
  const rows = table.subjects;
  const left = Math.min(320, 24 + Math.max(...rows.map((row) => textWidth(plain(row.name)))));
  const right = width - 24 - Math.max(...rows.map((row) => textWidth(barLabel(row))));
  const [top, pitch, thick] = [68, 26, 16];
  const most = Math.max(...rows.map((row) => Math.max(row.value ?? 0, goalValue(row, rows) ?? 0)));
  const x = (value) => left + ((right - left) * value) / (most || 1);
  const parts = [text(16, 28, table.title, { kind: "title" }), text(16, 47, `${hint(table)}; in brackets: times the first`, { kind: "soft" })];
  let goals = false;
  rows.forEach((row, i) => {
    const y = top + i * pitch;
    parts.push(text(left - 8, y + 12.5, plain(row.name), { anchor: "end" }));
    if (row.value !== undefined) {
      parts.push(`<rect class="${/^pubhook/.test(row.name) ? "ours" : "other"}" x="${at(left)}" y="${y}" width="${at(Math.max(1, x(row.value) - left))}" height="${thick}" rx="2"/>`);
    }
    const goal = goalValue(row, rows);
    if (goal !== undefined) {
      goals = true;
      parts.push(lineFrom(x(goal), y - 3, x(goal), y + thick + 3, "goal"));
    }
    const end = Math.max(row.value === undefined ? left : x(row.value), goal === undefined || goal < (row.value ?? 0) ? 0 : x(goal));
    parts.push(text(end + 6, y + 12.5, barLabel(row), { kind: row.value === undefined ? "soft" : "" }));
  });
  let height = top + rows.length * pitch + 8;
  if (goals) {
    parts.push(lineFrom(left, height - 2, left, height + 12, "goal"), text(left + 8, height + 9, "goal", { kind: "soft" }));
    height += 22;
  }
  const description = rows.map((row) => `${plain(row.name)}: ${barLabel(row)}`).join("; ");
  return picture(table.title, `${hint(table)}. ${description}.`, height, parts);
}

/* --- Lines -------------------------------------------------------------------------- */

function lines(table) {
  const rows = table.subjects.filter((row) => row.value !== undefined && row.x !== undefined);
  const names = [...new Set(rows.map((row) => row.series))];
  const [left, right, top, bottom] = [64, width - 24, 78 + 18 * Math.ceil(names.length / 2), 330 + 18 * Math.ceil(names.length / 2)];
  const xs = [...new Set(rows.map((row) => row.x))].sort((a, b) => a - b);
  // Of decades, except that nothing has its place one below the first.
  const place = (value) => (value === 0 ? Math.log10(xs.find((v) => v > 0)) - 1 : Math.log10(value));
  const [from, to] = [place(xs[0]), place(xs.at(-1))];
  const x = (value) => left + 20 + ((right - left - 40) * (place(value) - from)) / (to - from || 1);
  const marks = ticks(Math.max(...rows.map((row) => row.value)) * 1.02);
  const y = (value) => bottom - ((bottom - top) * value) / marks.at(-1);
  const parts = [text(16, 28, table.title, { kind: "title" }), text(16, 47, hint(table), { kind: "soft" })];
  names.forEach((name, i) => {
    const [at0, at1] = [16 + (i % 2) * 364, 68 + 18 * Math.floor(i / 2)];
    parts.push(`<circle class="d${i % 6}" cx="${at0 + 5}" cy="${at1 - 4}" r="4"/>`, text(at0 + 16, at1, plain(name)));
  });
  for (const mark of marks) {
    parts.push(lineFrom(left, y(mark), right, y(mark), "grid"), text(left - 8, y(mark) + 4, short(mark), { kind: "soft", anchor: "end" }));
  }
  let taken = -Infinity;
  for (const value of xs) {
    if (x(value) - taken < 44) continue;
    parts.push(text(x(value), bottom + 18, number(value), { kind: "soft", anchor: "middle" }));
    taken = x(value);
  }
  parts.push(text((left + right) / 2, bottom + 38, table.plot.x, { kind: "soft", anchor: "middle" }));
  names.forEach((name, i) => {
    const points = rows.filter((row) => row.series === name).sort((a, b) => a.x - b.x);
    parts.push(`<polyline class="line s${i % 6}" points="${points.map((p) => `${at(x(p.x))},${at(y(p.value))}`).join(" ")}"/>`);
    for (const p of points) parts.push(`<circle class="d${i % 6}" cx="${at(x(p.x))}" cy="${at(y(p.value))}" r="3.5"/>`);
  });
  const description = names
    .map((name) => `${plain(name)}: ${rows.filter((row) => row.series === name).map((row) => `${number(row.value)} at ${number(row.x)}`).join(", ")}`)
    .join("; ");
  return picture(table.title, `${hint(table)}, by ${table.plot.x}. ${description}.`, bottom + 54, parts);
}

// The plots of a table: name of the file and its text.
export function plots(results) {
  const kinds = { bars, lines };
  return results.sections
    .flatMap((section) => section.tables)
    .filter((table) => table.plot && table.subjects.some((row) => row.value !== undefined))
    .map((table) => ({ file: `${table.plot.file}.svg`, title: table.title, svg: kinds[table.plot.kind](table) }));
}
