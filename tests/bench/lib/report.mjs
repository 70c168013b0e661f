// Results as Markdown: ratios first, because absolute figures drift from machine to machine.
import { machineText } from "./machine.mjs";

const titles = { p50: "p50 µs", p99: "p99 µs" };
const own = new Set(["name", "series", "x", "value", "ratio", "spread", "runs", "goals", "missing", "error"]);

export function number(value) {
  if (value === undefined || value === null) return "";
  if (typeof value !== "number") return String(value);
  const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

const heading = (level) => "#".repeat(level);
const percent = (part) => `${(part * 100).toFixed(0)} %`;
const columnTitle = (table, name) => table.columns?.[name] ?? titles[name] ?? name;

function goalText(goal, table) {
  const what = goal.figure === "value" ? "" : `${columnTitle(table, goal.figure)} `;
  if (goal.ratio !== undefined) {
    return `${what}${goal.more ? "≥" : "≤"} ${goal.ratio} × ${goal.of ?? table.subjects[0].name}`;
  }
  const unit = goal.figure === "value" ? ` ${table.unit}` : "";
  return `${what}${goal.atLeast === undefined ? `≤ ${number(goal.atMost)}` : `≥ ${number(goal.atLeast)}`}${unit}`;
}

const verdict = ({ met }) => (met === undefined ? "" : met === null ? "not measured" : met ? "met" : "**missed**");
const all = (mets) => (mets.includes(false) ? false : mets.includes(null) ? null : mets[0]);

function tableText(table, { plots, level }) {
  const names = new Set(table.subjects.flatMap((row) => Object.keys(row).filter((name) => !own.has(name))));
  const withGoals = table.subjects.some((row) => row.goals);
  const head = ["subject", "ratio", table.unit, ...[...names].map((name) => columnTitle(table, name)), "spread", ...(withGoals ? ["goal"] : [])];
  const lines = table.subjects.map((row) => {
    const why = row.missing ? `not measured: ${row.missing}` : row.error ? `**failed**: ${row.error.split("\n")[0]}` : null;
    const goals = verdict({ met: all((row.goals ?? []).map((goal) => goal.met)) });
    if (why) return [row.name, "", why, ...[...names].map(() => ""), "", ...(withGoals ? [goals] : [])];
    return [row.name, row.ratio === undefined ? "" : row.ratio.toFixed(2), number(row.value), ...[...names].map((name) => number(row[name])),
            percent(row.spread), ...(withGoals ? [goals] : [])];
  });
  return [
    `${heading(level + 1)} ${table.title}`,
    "",
    ...(table.note ? [table.note, ""] : []),
    ...(plots !== undefined && table.plot ? [`![${table.title}](${plots}${table.plot.file}.svg)`, ""] : []),
    `| ${head.join(" | ")} |`,
    `|${head.map((_, i) => (i === 0 || head[i] === "goal" ? " --- |" : " ---: |")).join("")}`,
    ...lines.map((cells) => `| ${cells.join(" | ")} |`),
  ].join("\n");
}

export const allGoals = (results) =>
  results.sections.flatMap((section) =>
    section.tables.flatMap((table) => table.subjects.flatMap((row) => (row.goals ?? []).map((goal) => ({ table, row, goal })))),
  );

function goalsText(results, { level }) {
  const goals = allGoals(results);
  if (goals.length === 0) return "";
  const met = goals.filter(({ goal }) => goal.met).length;
  return [
    `${heading(level)} Goals`,
    "",
    `${met} of ${goals.length} met.`,
    "",
    "| of | what | wanted | measured | |",
    "| --- | --- | --- | ---: | --- |",
    ...goals.map(({ table, row, goal }) => `| ${table.title} | ${row.name} | ${goalText(goal, table)} | ${goal.ratio === undefined ? number(goal.got) : (goal.got?.toFixed(3) ?? "")} | ${verdict(goal)} |`),
  ].join("\n");
}

const sectionText = (section, style) =>
  [`${heading(style.level)} ${section.title}`, ...section.tables.map((table) => tableText(table, style))].join("\n\n");

const headText = (results) =>
  `Medians of ${results.runs} run${results.runs > 1 ? "s" : ""} in turn${results.quick ? " (quick: short ones)" : ""}, ` +
  `${results.date}. ${machineText(results.machine)}` +
  (results.unfinished ? " **The run did not come to its end.**" : "");

// `plots`: what stands before the file names of plots, which are left out without it;
// `level`: of the headings.
export function reportText(results, { plots, level = 2 } = {}) {
  const style = { plots, level };
  return [headText(results), goalsText(results, style), ...results.sections.map((section) => sectionText(section, style))].filter(Boolean).join("\n\n") + "\n";
}
