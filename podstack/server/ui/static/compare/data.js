/**
 * The answer of `compare/columns` as something to ask: runs are numbers 0 … count - 1, in the
 * order of the answer; a column is a parameter (`params.lr`) or a metric (`metrics.val_acc`).
 */

const WORDS = { NaN: NaN, Infinity: Infinity, "-Infinity": -Infinity };

/** Instead of a column to group by: all runs are one group. */
export const ALL = "*";

/** A metric's figure as a number; null where the run has none. */
export const real = (value) => (typeof value === "string" ? WORDS[value] : value ?? null);

/** The kind and the name of a column: `["params", "opt.lr"]`. */
export function split(key) {
  const at = key.indexOf(".");
  return [key.slice(0, at), key.slice(at + 1)];
}

/** Which figure of a metric stands for it: "last", or the "best" where the name says which. */
export function partOf(direction, use = "best") {
  if (use === "last" || !direction) return "last";
  return direction === "minimize" ? "min" : "max";
}

/** What a value is called where it is one of a few. */
export function textOf(value) {
  if (value === undefined) return "—";
  return typeof value === "string" ? value : JSON.stringify(value) ?? String(value);
}

/** Equal, and of one kind; lists and dicts by what is in them. */
export function same(a, b) {
  if (Object.is(a, b) || a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || !a || !b) return false;
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (!value || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}

export class Compared {
  /** @param answer what the server said; @param use "best" or "last": the figure of a metric */
  constructor(answer, use = "best") {
    this.runs = answer.runs;
    this.ids = answer.runs.id;
    this.count = this.ids.length;
    this.places = new Map(this.ids.map((id, at) => [id, at]));
    this.params = answer.params;
    this.equal = answer.equal_params;
    this.digits = answer.digits;
    this.directions = answer.directions;
    this.objective = answer.objective; // the metric that the server judges these runs by, or null
    this.use = use;
    this.absent = new Map(Object.entries(answer.absent).map(([n, places]) => [n, new Set(places)]));
    this.metrics = figures(answer.metrics);
    this.more = { params: answer.more_params, metrics: answer.more_metrics };
  }

  /** Every run, as places. */
  get all() {
    return this.ids.map((_, at) => at);
  }

  /** The value in a column; undefined where the run has none. */
  value(key, run) {
    const [kind, name] = split(key);
    if (kind === "metrics") return this.figure(name, run) ?? undefined;
    if (name in this.equal) return this.equal[name];
    if (!(name in this.params) || this.absent.get(name)?.has(run)) return undefined;
    return this.params[name][run];
  }

  values(key, runs = this.all) {
    return runs.map((run) => this.value(key, run));
  }

  /** A figure of a metric: a number, or null. */
  figure(metric, run, part = partOf(this.directions[metric], this.use)) {
    return this.metrics[metric]?.[part][run] ?? null;
  }
}

function figures(metrics) {
  const parts = ({ last, min, max }) => ({
    last: last.map(real), min: min.map(real), max: max.map(real),
  });
  return Object.fromEntries(Object.entries(metrics).map(([name, told]) => [name, parts(told)]));
}

/**
 * Whether one value passes one brush: `[lo, hi]`, both ends within, or `{in: [values]}`; who lacks
 * the column passes none.
 */
export function passes(brush, value) {
  if (value === undefined) return false;
  if (Array.isArray(brush)) return value >= brush[0] && value <= brush[1];
  return brush.in.some((wanted) => same(wanted, value));
}

/** The runs that pass all brushes, in their order. */
export function brushed(compared, runs, brushes) {
  const all = Object.entries(brushes);
  return runs.filter((run) => all.every(([key, brush]) => passes(brush, compared.value(key, run))));
}

/** A brush in words, for a chip and a screen reader. */
export function words(brush, number, text) {
  if (Array.isArray(brush)) return `${number(brush[0])} – ${number(brush[1])}`;
  return brush.in.map(text).join(", ");
}
