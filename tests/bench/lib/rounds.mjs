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

// Of one round's figures, so that the drift of the machine from round to round is in neither;
// null: one of both is missing.
function ratioOf(mine, theirs, figure) {
  if (!mine || !theirs) return null;
  const ratios = mine.map((figures, round) => figures[figure] / theirs[round]?.[figure]);
  return ratios.every(Number.isFinite) ? median(ratios) : null;
}

// A goal compares a figure (`value` unless it names another, of which less is better) with
// a number, or with the same figure of the first subject or of the one that it names:
//   { ratio: 0.9 }  { ratio: 7, of: "Express" }  { atLeast: 30000 }  { atMost: 100, figure: "p50" }
function judge(goal, at, table, taken) {
  const figure = goal.figure ?? "value";
  const more = figure === "value" && table.better === "more";
  const figures = taken[at].figures;
  if (goal.ratio !== undefined) {
    const base = goal.of ? table.subjects.findIndex(({ name }) => name === goal.of) : 0;
    const got = ratioOf(figures, taken[base]?.figures, figure);
    if (got === null) return { ...goal, figure, more, met: null };
    return { ...goal, figure, more, got, met: more ? got >= goal.ratio : got <= goal.ratio };
  }
  const got = condense(figures)[figure];
  if (got === undefined) return { ...goal, figure, met: null };
  return { ...goal, figure, got, met: got >= (goal.atLeast ?? -Infinity) && got <= (goal.atMost ?? Infinity) };
}

export async function measureTable(table, runs, progress) {
  const taken = await measureRounds(table, table.runs ?? runs * (table.times ?? 1), progress);
  const rows = table.subjects.map((subject, i) => {
    const { figures, error } = taken[i];
    const about = { name: subject.name, series: subject.series, x: subject.x };
    if (subject.missing) return { ...about, missing: subject.missing };
    if (error) return { ...about, error };
    const values = figures.map((f) => f.value);
    const row = { ...about, ...condense(figures), spread: spread(values), runs: values };
    row.ratio = ratioOf(figures, taken[0].figures, "value") ?? undefined;
    const goals = [subject.goal ?? []].flat();
    if (goals.length) row.goals = goals.map((goal) => judge(goal, i, table, taken));
    return row;
  });
  const { title, unit, better, note, columns, plot } = table;
  return { title, unit, better, note, columns, plot, subjects: rows };
}
