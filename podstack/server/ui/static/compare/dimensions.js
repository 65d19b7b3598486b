/**
 * A column as an axis: what kind it is, where a value stands on it, which range a brush means.
 * Positions run from 0 (bottom) to 1 (top).
 */

import { textOf } from "./data.js";
import { isReal } from "./statistics.js";

const FEW = 8; // different numbers that are still categories
const PER_CATEGORY = 3; // runs for each of them, at least
const LOG_FROM = 100; // max / min past which an axis is logarithmic
export const MOST_CATEGORIES = 30;

/**
 * The axis of a column.
 * @param {string} key of the column; @param {Array} values one a run, undefined where it has none
 * @returns {{key, kind: "linear"|"log"|"category", lo, hi, categories, constant, crowded}}
 */
export function dimension(key, values, scale = "auto") {
  const known = values.filter((value) => value !== undefined && !Number.isNaN(value));
  const numeric = known.length > 0 && known.every((value) => typeof value === "number");
  const different = distinct(known);
  const few = different.length <= FEW && known.length >= PER_CATEGORY * different.length;
  const isMetric = key.startsWith("metrics.");
  const constant = different.length < 2;
  if (numeric && !(few && !isMetric && !constant)) {
    return { key, constant, crowded: false, categories: null, ...range(known, scale) };
  }
  const crowded = different.length > MOST_CATEGORIES;
  const categories = inOrder(different, numeric);
  const places = new Map(categories.map((value, at) => [JSON.stringify(value), at]));
  return { key, kind: "category", constant, crowded, categories, places };
}

function distinct(values) {
  return [...new Map(values.map((value) => [JSON.stringify(value), value])).values()];
}

function inOrder(values, numeric) {
  if (numeric) return [...values].sort((a, b) => a - b);
  return [...values].sort((a, b) => textOf(a).localeCompare(textOf(b), "en", { numeric: true }));
}

function range(known, scale) {
  const finite = known.filter(isReal).sort((a, b) => a - b);
  const [lo, hi] = [finite[0] ?? Infinity, finite.at(-1) ?? -Infinity];
  const log = scale === "log" || (scale === "auto" && hi / lo > LOG_FROM && isEvenerInLogs(finite));
  return { kind: lo > 0 && log ? "log" : "linear", lo, hi };
}

/** Whether the middle value is nearer to the middle of a log axis: one tiny value is no reason. */
function isEvenerInLogs(sorted) {
  const [lo, mid, hi] = [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)];
  const linear = (mid - lo) / (hi - lo);
  const log = Math.log(mid / lo) / Math.log(hi / lo);
  return Math.abs(log - 0.5) < Math.abs(linear - 0.5);
}

/** Where a value stands, 0 … 1; null for what has no place (missing, NaN). */
export function position(axis, value) {
  if (value === undefined) return null;
  if (axis.kind === "category") return placeOf(axis, value);
  if (typeof value !== "number" || Number.isNaN(value)) return null;
  if (!Number.isFinite(value)) return value > 0 ? 1 : 0;
  const [at, lo, hi] = axis.kind === "log" ? [value, axis.lo, axis.hi].map(Math.log)
    : [value, axis.lo, axis.hi];
  return hi > lo ? Math.min(1, Math.max(0, (at - lo) / (hi - lo))) : 0.5;
}

function placeOf(axis, value) {
  const at = axis.places.get(JSON.stringify(value));
  return at === undefined ? null : placeAt(axis, at);
}

/** Where the category of a number stands. */
export const placeAt = (axis, at) =>
  (axis.categories.length < 2 ? 0.5 : at / (axis.categories.length - 1));

/** The value at a position of an axis of numbers. */
export function valueAt(axis, place) {
  if (axis.kind !== "log") return axis.lo + place * (axis.hi - axis.lo);
  return Math.exp(Math.log(axis.lo) + place * (Math.log(axis.hi) - Math.log(axis.lo)));
}

/** What a stretch of an axis means as a brush: [lo, hi], or the categories in it. */
export function brushOf(axis, from, to) {
  const [low, high] = from < to ? [from, to] : [to, from];
  if (axis.kind !== "category") return [short(valueAt(axis, low), -1), short(valueAt(axis, high), 1)];
  const isInside = (place) => place >= low - 1e-9 && place <= high + 1e-9;
  return { in: axis.categories.filter((_, at) => isInside(placeAt(axis, at))) };
}

/** Four figures, rounded outward: enough for a pixel, and the run at the very end is within. */
function short(value, sign) {
  const near = Number(value.toPrecision(4));
  if (sign * near >= sign * value) return near;
  const unit = 10 ** (Math.floor(Math.log10(Math.abs(value))) - 3);
  return Number((near + sign * unit).toPrecision(4));
}

/** The stretches of an axis that a brush covers: [from, to] pairs. */
export function stretches(axis, brush) {
  if (!brush) return [];
  if (Array.isArray(brush)) return [brush.map((value) => position(axis, value) ?? 0)];
  if (axis.kind !== "category") return [];
  const half = Math.min(0.04, 0.25 / Math.max(1, axis.categories.length - 1));
  const places = brush.in.map((value) => placeOf(axis, value)).filter((place) => place !== null);
  return places.map((place) => [Math.max(0, place - half), Math.min(1, place + half)]);
}
