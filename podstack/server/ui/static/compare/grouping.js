/**
 * Curves of several runs as one: the mean over the runs and a band around it, on steps that all
 * of them share. A run counts from its first point to its last; between its points it is a line.
 */

import { number } from "../core/format.js";
import { ALL, textOf } from "./data.js";
import { dimension } from "./dimensions.js";

const POINTS = 200;

/**
 * @param {{x: number[], mean: number[]}[]} curves one a run, x rising
 * @param {"minmax"|"std"|"half"} band lowest to highest run, one standard deviation to each side, or
 *   the middle half of the runs, with their median as the line
 * @returns {{x, mean, min, max, last, count}} columns of one length; empty without points
 */
export function grouped(curves, band = "minmax") {
  const drawn = curves.map(finite).filter(({ x }) => x.length);
  const columns = { x: [], mean: [], min: [], max: [], last: [], count: [] };
  for (const x of grid(drawn)) {
    const values = drawn.map((curve) => at(curve, x)).filter((value) => value !== null);
    if (values.length) add(columns, x, values, band);
  }
  return columns;
}

function add(columns, x, values, band) {
  const [line, low, high] = BANDS[band]?.(values) ?? BANDS.minmax(values);
  columns.x.push(x);
  columns.mean.push(line);
  columns.last.push(line);
  columns.min.push(low);
  columns.max.push(high);
  columns.count.push(values.length);
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The line, and the band's two edges. */
const BANDS = {
  minmax: (values) => [mean(values), Math.min(...values), Math.max(...values)],
  std: (values) => {
    const middle = mean(values);
    const spread = Math.sqrt(mean(values.map((value) => (value - middle) ** 2)));
    return [middle, middle - spread, middle + spread];
  },
  half: (values) => {
    const sorted = values.toSorted((a, b) => a - b);
    return [0.5, 0.25, 0.75].map((share) => between(sorted, share * (sorted.length - 1)));
  },
};

function between(sorted, place) {
  const [low, high] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  return low + (high - low) * (place % 1);
}

function finite({ x, mean }) {
  const kept = x.map((_, at) => at).filter((at) => Number.isFinite(mean[at]) && Number.isFinite(x[at]));
  return { x: kept.map((at) => x[at]), y: kept.map((at) => mean[at]) };
}

/** The steps of the longest curve where all are short, else `POINTS` from the first to the last. */
function grid(curves) {
  const all = [...new Set(curves.flatMap(({ x }) => x))].sort((a, b) => a - b);
  if (all.length <= POINTS) return all;
  const [lo, hi] = [all[0], all.at(-1)];
  return Array.from({ length: POINTS }, (_, step) => lo + ((hi - lo) * step) / (POINTS - 1));
}

/** The value of a curve at x, between its points; null beyond its ends. */
function at({ x: xs, y: ys }, x) {
  if (x < xs[0] || x > xs.at(-1)) return null;
  let [low, high] = [0, xs.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[middle] <= x) low = middle;
    else high = middle;
  }
  if (xs[high] === xs[low]) return ys[low];
  return ys[low] + ((ys[high] - ys[low]) * (x - xs[low])) / (xs[high] - xs[low]);
}

/** Label → runs, in the order of the values. Numbers of many values are cut into quarters of the runs. */
export function groupsOf(view, key, runs) {
  if (key === ALL) return new Map(runs.length ? [["all runs", runs]] : []);
  const values = view.compared.values(key, runs);
  const axis = dimension(key, values);
  const cuts = axis.kind === "category" ? null : quarters(values);
  const labels = cuts ? cuts.map((_, at) => cutLabel(cuts, at)) : axis.categories.map(textOf);
  const groups = new Map(labels.map((label) => [label, []]));
  runs.forEach((run, at) => {
    const isCut = cuts && typeof values[at] === "number";
    const label = isCut ? labels[cuts.findLastIndex((cut, place) => !place || cut <= values[at])] : textOf(values[at]);
    groups.set(label, [...(groups.get(label) ?? []), run]);
  });
  return new Map([...groups].filter(([, own]) => own.length));
}

/** Where the quarters begin. */
function quarters(values) {
  const known = values.filter((value) => typeof value === "number").sort((a, b) => a - b);
  const at = (share) => known[Math.min(known.length - 1, Math.floor(share * known.length))];
  return [...new Set([0, 0.25, 0.5, 0.75].map(at))];
}

const cutLabel = (cuts, at) =>
  (at + 1 < cuts.length ? `${number(cuts[at])} – ${number(cuts[at + 1])}` : `from ${number(cuts[at])}`);
