/** What is said of trials: their words, values, durations, order, and shares of a sweep. Pure. */

/** completed, pruned, failed, killed or running; waiting where nobody has it any more and it is offered again. */
export const statusOf = (trial) => (trial.pruned ? "pruned" : isWaiting(trial) ? "waiting" : trial.status);
const isWaiting = ({ status, worker }) => status === "running" && worker === "";
/** The objective of a trial, NaN where it has none; infinities are texts in an answer. */
export const valueOf = (trial) => (trial.value === null || trial.value === undefined ? NaN : Number(trial.value));
export const isRanked = (trial) => trial.status === "completed" && Number.isFinite(valueOf(trial));
/** Whether it may be the best: a pruned one's value is shown, and never that. */
export const counts = (trial) => isRanked(trial) && !trial.pruned;

/**
 * A sweep, and what is new of it: the answer to a question with `since`, null where nothing is.
 * @param {object | null} known what all answers until now said
 */
export function merged(known, told) {
  if (!told || told.whole || !known) return told ?? known;
  const trials = new Map(known.trials.map((trial) => [trial.number, trial]));
  for (const trial of told.trials) trials.set(trial.number, trial);
  return { ...known, ...told, trials: [...trials.values()].sort((a, b) => a.number - b.number) };
}

/** Seconds; of a running trial those until now, of one that never began or waits null. */
export function seconds(trial, now) {
  if (!Number.isFinite(trial.started) || isWaiting(trial)) return null;
  return Math.max(0, (trial.ended ?? now) - trial.started);
}

/** Names of all parameters, in the order in which trials have them. */
export const namesOf = (trials) => [...new Set(trials.flatMap(({ params }) => Object.keys(params)))];

/** One parameter's specification by its whole name; null where the sweep has none of it. */
export function specOf(parameters, name) {
  if (Object.hasOwn(parameters, name)) return parameters[name];
  for (const [group, inner] of Object.entries(parameters)) {
    const below = `${group}/`;
    if (name.startsWith(below) && typeof inner === "object" && inner !== null) {
      const found = specOf(inner, name.slice(below.length));
      if (found) return found;
    }
  }
  return null;
}

/** How an axis of a parameter is spaced: as it is drawn. */
export function scaleOf(parameters, name) {
  const kind = specOf(parameters, name)?.distribution;
  return kind?.includes("log") ? "log" : kind ? "linear" : "auto";
}

/** Trials of a sweep that are over, by status, and what is left: [word, count], in one order. */
export function parts({ completed, pruned, failed, killed, running, total }) {
  const over = completed + failed + killed;
  const left = total === null ? 0 : Math.max(0, Number(total) - over - running);
  return [["completed", completed - pruned], ["pruned", pruned], ["failed", failed], ["killed", killed], ["running", running], ["left", left]];
}

export const over = ({ completed, failed, killed }) => completed + failed + killed;

/** Trials by a column: `number`, `status`, `value`, `time`, or a parameter as `p:name`; `-` in front turns it. */
export function sorted(trials, sort, now) {
  const isDown = sort.startsWith("-");
  const column = sort.replace(/^-/, "");
  const keyed = trials.map((trial) => [keyOf(trial, column, now), trial]);
  keyed.sort(([a, one], [b, other]) => compare(a, b, isDown) || (isDown ? other.number - one.number : one.number - other.number));
  return keyed.map(([, trial]) => trial);
}

function keyOf(trial, column, now) {
  if (column.startsWith("p:")) return Object.hasOwn(trial.params, column.slice(2)) ? trial.params[column.slice(2)] : undefined;
  return { number: trial.number, status: statusOf(trial), value: Number.isNaN(valueOf(trial)) ? undefined : valueOf(trial), time: seconds(trial, now) ?? undefined }[column];
}

/** What is missing stands last in either order; numbers before texts. */
function compare(a, b, isDown) {
  if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
  const both = typeof a === "number" && typeof b === "number";
  const found = both ? a - b : typeof a === "number" ? -1 : typeof b === "number" ? 1 : String(a).localeCompare(String(b), "en", { numeric: true });
  return isDown ? -found : found;
}
