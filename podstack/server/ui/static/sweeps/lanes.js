/** Trials by worker, for a timeline: each worker's trials in rows such that none overlaps. */

/**
 * @param {object[]} trials {number, worker: id or "", host, started, ended}
 * @param {number} now epoch seconds, where a trial that still runs ends for now
 * @returns {{worker, rows: {trial, from, to}[][]}[]} in the order of the workers' first trials
 */
export function lanes(trials, now) {
  const begun = trials.filter((trial) => Number.isFinite(trial.started) && (trial.ended !== null || trial.worker !== "")); // not what waits
  const byWorker = new Map();
  for (const trial of [...begun].sort((a, b) => a.started - b.started || a.number - b.number)) {
    if (!byWorker.has(trial.worker)) byWorker.set(trial.worker, []);
    put(byWorker.get(trial.worker), bar(trial, now));
  }
  return [...byWorker].map(([worker, rows]) => ({ worker, rows }));
}

function bar(trial, now) {
  return { trial, from: trial.started, to: Math.max(trial.started, trial.ended ?? now) };
}

function put(rows, one) {
  const free = rows.find((row) => row.at(-1).to <= one.from);
  if (free) free.push(one);
  else rows.push([one]);
}

/** First start and last end of all; a millisecond at least, so that it can be drawn. */
export function spanOf(lanesOf) {
  const bars = lanesOf.flatMap(({ rows }) => rows.flat());
  if (!bars.length) return [0, 1];
  const from = Math.min(...bars.map((one) => one.from));
  return [from, Math.max(from + 0.001, ...bars.map((one) => one.to))];
}
