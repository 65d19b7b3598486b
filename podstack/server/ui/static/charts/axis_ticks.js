/** Where an axis of numbers is marked, and how the marks read. */

import { number } from "../core/format.js";

const STEPS = [1, 2, 5, 10];

/** @param axis {kind, lo, hi, isWhole} of whole numbers only @returns {{value: number, text: string}[]} at about `count` places */
export function axisTicks(axis, count) {
  if (!(axis.hi > axis.lo)) return Number.isFinite(axis.lo) ? [mark(axis.lo)] : [];
  const logs = axis.kind === "log" ? decades(axis, count) : [];
  return (logs.length > 1 ? logs : even(axis.lo, axis.hi, count, axis.isWhole ? 1 : 0)).map(mark);
}

const mark = (value) => ({ value, text: number(value) });

function even(lo, hi, count, least) {
  const rough = (hi - lo) / Math.max(1, count);
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(least, STEPS.find((one) => one * size >= rough) * size);
  const first = Math.ceil(lo / step - 1e-9);
  const last = Math.floor(hi / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, at) => Number(((first + at) * step).toPrecision(12)));
}

/** Powers of ten, each `every`th where there are too many. */
function decades({ lo, hi }, count) {
  const [first, last] = [Math.ceil(Math.log10(lo) - 1e-9), Math.floor(Math.log10(hi) + 1e-9)];
  const every = Math.max(1, Math.ceil((last - first + 1) / (count + 1)));
  const found = [];
  for (let power = first; power <= last; power += every) found.push(Number(`1e${power}`));
  return found;
}
