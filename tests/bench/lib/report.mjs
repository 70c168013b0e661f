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

const percent = (part) => `${(part * 100).toFixed(0)} %`;
const columnTitle = (table, name) => table.columns?.[name] ?? titles[name] ?? name;

export function goalText(goal, table) {
  const what = goal.figure === "value" ? "" : `${columnTitle(table, goal.figure)} `;
  if (goal.ratio !== undefined) {
    return `${what}${goal.more ? "≥" : "≤"} ${goal.ratio} × ${goal.of ?? table.subjects[0].name}`;
  }
  return [goal.atLeast !== undefined && `${what}≥ ${number(goal.atLeast)}`, goal.atMost !== undefined && `${what}≤ ${number(goal.atMost)}`]
    .filter(Boolean)
    .join(", ");
}

const verdict = (goal) => (goal.met === null ? "not measured" : goal.met ? "met" : "**missed**");

function tableText(table) {
  const names = new Set(table.subjects.flatMap((row) => Object.keys(row).filter((name) => !own.has(name))));
  const withGoals = table.subjects.some((row) => row.goals);
  const head = ["subject", "ratio", table.unit, ...[...names].map((name) => columnTitle(table, name)), "spread", ...(withGoals ? ["goal"] : [])];
  const lines = table.subjects.map((row) => {
    const why = row.missing ? `not measured: ${row.missing}` : row.error ? `**failed**: ${row.error.split("\n")[0]}` : null;
    const goals = (row.goals ?? []).map((goal) => `${goalText(goal, table)}: ${verdict(goal)}`).join("; ");
    if (why) return [row.name, "", why, ...[...names].map(() => ""), "", ...(withGoals ? [goals] : [])];
    return [row.name, row.ratio === undefined ? "" : row.ratio.toFixed(2), number(row.value), ...[...names].map((name) => number(row[name])),
            percent(row.spread), ...(withGoals ? [goals] : [])];
  });
  return [
    `### ${table.title}`,
    "",
    ...(table.note ? [table.note, ""] : []),
    `| ${head.join(" | ")} |`,
    `|${head.map((_, i) => (i === 0 || head[i] === "goal" ? " --- |" : " ---: |")).join("")}`,
    ...lines.map((cells) => `| ${cells.join(" | ")} |`),
  ].join("\n");
}

export const allGoals = (results) =>
  results.sections.flatMap((section) =>
    section.tables.flatMap((table) => table.subjects.flatMap((row) => (row.goals ?? []).map((goal) => ({ table, row, goal })))),
  );

function goalsText(results) {
  const goals = allGoals(results);
  if (goals.length === 0) return "";
  const met = goals.filter(({ goal }) => goal.met).length;
  return [
    "## Goals",
    "",
    `${met} of ${goals.length} met.`,
    "",
    "| of | what | wanted | measured | |",
    "| --- | --- | --- | ---: | --- |",
    ...goals.map(({ table, row, goal }) => `| ${table.title} | ${row.name} | ${goalText(goal, table)} | ${number(goal.got)} | ${verdict(goal)} |`),
  ].join("\n");
}

export const sectionText = (section) => [`## ${section.title}`, ...section.tables.map(tableText)].join("\n\n");

export const headText = (results) =>
  `Medians of ${results.runs} run${results.runs > 1 ? "s" : ""} in turn${results.quick ? " (quick: short ones)" : ""}, ` +
  `${results.date}. ${machineText(results.machine)}.`;

export const reportText = (results) =>
  [headText(results), goalsText(results), ...results.sections.map(sectionText)].filter(Boolean).join("\n\n") + "\n";
