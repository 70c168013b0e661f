// Rounds, medians, ratios and goals of one table.

export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

export const spread = (values) =>
  values.length < 2 || median(values) === 0 ? 0 : (Math.max(...values) - Math.min(...values)) / median(values);

// Each round measures each subject once, in turn, so that drift hits all of them alike. What
// fails once is not asked again.
async function measureRounds(table, runs, progress) {
  const taken = table.subjects.map(() => ({ figures: [] }));
  for (let run = 1; run <= runs; run++) {
    for (const [i, subject] of table.subjects.entries()) {
      if (subject.missing || taken[i].error) continue;
      progress(`${table.title}: ${subject.name}, run ${run} of ${runs}`);
      try {
        taken[i].figures.push(await subject.measure());
      } catch (error) {
        taken[i].error = error.message;
        progress(`FAILED: ${error.message}`);
      }
    }
  }
  return taken;
}

// The median of each figure over the rounds.
function condense(figures) {
  const result = {};
  for (const name of Object.keys(figures[0])) {
    const values = figures.map((f) => f[name]);
    result[name] = typeof values[0] === "number" ? median(values) : values[0];
  }
  return result;
}

// A goal compares a figure (`value` unless it names another, of which less is better) with
// a number, or with the same figure of the first subject or of the one that it names:
//   { ratio: 0.9 }  { ratio: 7, of: "Express" }  { atLeast: 30000 }  { atMost: 100, figure: "p50" }
function judge(goal, subject, table, rows) {
  const figure = goal.figure ?? "value";
  const more = figure === "value" && table.better === "more";
  const got = subject[figure];
  if (goal.ratio !== undefined) {
    const base = (goal.of ? rows.find((row) => row.name === goal.of) : rows[0])?.[figure];
    if (got === undefined || !base) return { ...goal, figure, more, met: null };
    const ratio = got / base;
    return { ...goal, figure, more, got: ratio, met: more ? ratio >= goal.ratio : ratio <= goal.ratio };
  }
  if (got === undefined) return { ...goal, figure, met: null };
  return { ...goal, figure, got, met: got >= (goal.atLeast ?? -Infinity) && got <= (goal.atMost ?? Infinity) };
}

export async function measureTable(table, runs, progress) {
  const taken = await measureRounds(table, table.runs ?? runs, progress);
  const rows = table.subjects.map((subject, i) => {
    const { figures, error } = taken[i];
    const about = { name: subject.name, series: subject.series, x: subject.x };
    if (subject.missing) return { ...about, missing: subject.missing };
    if (error) return { ...about, error };
    const values = figures.map((f) => f.value);
    return { ...about, ...condense(figures), spread: spread(values), runs: values };
  });
  const base = rows[0].value;
  rows.forEach((row, i) => {
    if (row.value !== undefined && base) row.ratio = row.value / base;
    const goals = [table.subjects[i].goal ?? []].flat();
    if (goals.length) row.goals = goals.map((goal) => judge(goal, row, table, rows));
  });
  const { title, unit, better, note, columns, plot } = table;
  return { title, unit, better, note, columns, plot, subjects: rows };
}
