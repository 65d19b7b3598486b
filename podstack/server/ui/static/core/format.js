/** Figures and times as words; the server's ui/words.py writes the same. */

import { now } from "./page.js";

export const NOTHING = "–";
const grouped = new Intl.NumberFormat("en-US");

/** Four significant digits: `0.9342`, `12,840`, `4.74e-5`. Takes "NaN" and "Infinity" as texts, too. */
export function number(value) {
  if (value === null || value === undefined) return NOTHING;
  if (value === "NaN" || Number.isNaN(value)) return "NaN";
  const figure = Number(value) + 0; // minus zero is zero
  if (Number.isNaN(figure)) return String(value);
  if (!Number.isFinite(figure)) return figure > 0 ? "∞" : "-∞";
  const size = Math.abs(figure);
  if (Number.isInteger(figure) && size < 1e15) return grouped.format(figure);
  if (size < 1e-3 || size >= 1e7) return trimmed(figure.toExponential(2)).replace("e+", "e");
  if (size < 1) return trimmed(figure.toFixed(3 - Math.floor(Math.log10(size))));
  const places = Math.max(4 - String(Math.trunc(size)).length, 0);
  return figure.toLocaleString("en-US", { maximumFractionDigits: places });
}

const trimmed = (text) => text.replace(/(\.\d*?)0+(?=e|$)/, "$1").replace(/\.(?=e|$)/, "");

export const integer = (value) => (value === null || value === undefined ? NOTHING : grouped.format(Math.round(value)));

/** A difference, with its sign. */
export const signed = (value) => (value > 0 ? `+${number(value)}` : number(value).replace(/^-/, "−"));

const STEPS = [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]];

/** Seconds: `8 ms`, `2.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NOTHING;
  if (seconds < 1) return seconds ? `${Math.round(1000 * seconds)} ms` : "0 s";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.floor(seconds);
  for (const [size, unit, part, lesser] of STEPS) {
    if (whole < size) continue;
    const rest = Math.floor((whole % size) / part);
    return `${Math.floor(whole / size)} ${unit}${rest ? ` ${rest} ${lesser}` : ""}`;
  }
  return `${whole} s`;
}

const SPANS = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [60 * 86400, 86400, "d"], [730 * 86400, 30 * 86400, "mo"]];

/** An epoch time as its distance from now: `3 min ago`. */
export function ago(time, at = now()) {
  if (time === null || time === undefined) return NOTHING;
  const seconds = at - time;
  if (seconds < 5) return "just now";
  for (const [limit, size, unit] of SPANS) if (seconds < limit) return `${Math.floor(seconds / size)} ${unit} ago`;
  return `${Math.floor(seconds / (365 * 86400))} y ago`;
}

/** An epoch time in the reader's own zone: `2026-11-29 00:03:12`. */
export function moment(time) {
  if (time === null || time === undefined) return NOTHING;
  const at = new Date(time * 1000);
  if (Number.isNaN(at.getTime())) return NOTHING;
  const two = (part) => String(part).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}
