/** Which parameter mattered, in words: what explains the objective most, where it is best, how sure that is. */

import { number } from "../core/format.js";
import { textOf } from "./data.js";
import { ENOUGH } from "./importance.js";
import { isReal, ranks } from "./statistics.js";

const BEST_SHARE = 0.2; // of the runs: where most of the best ones are
const WORDS = [[0.5, "explains most of"], [0.25, "explains much of"], [0.1, "explains some of"], [0, "explains little of"]];
const SECOND = 0.1; // the share from which a second parameter is named

/**
 * @param view of the compared runs (view.js), as far as `importance`, `objective` and `direction` go
 * @returns {{text: string, doubt: string, key: string|null}|null} null where there is nothing to explain
 */
export function verdict({ compared, importance, objective, direction, selected }) {
  const { found, runs } = importance;
  if (!objective || !found.length) return null;
  const metric = label(objective);
  const doubt = runs < ENOUGH ? `low confidence: ${runs} runs` : "";
  const [first, second] = found;
  if (!(first.share > 0)) return { text: `No parameter explains ${metric} more than chance would`, doubt, key: null };
  const way = WORDS.find(([least]) => first.share >= least)[1];
  const parts = [`${label(first.key)} ${way} ${metric} (${percent(first.share)})`, bestWords(compared, selected, first, objective, direction)];
  if (second?.share >= SECOND) parts.push(`then ${label(second.key)} (${percent(second.share)})`);
  return { text: parts.filter(Boolean).join(", "), doubt, key: first.key };
}

const label = (key) => key.slice(key.indexOf(".") + 1);
const percent = (share) => `${Math.round(share * 100)} %`;

/** `best near 1e-3`, `best with adam`; which way is better has to be known, else it is the highest. */
function bestWords(compared, runs, { key, kind }, objective, direction) {
  const known = runs.filter((run) => isReal(compared.value(objective, run)) && compared.value(key, run) !== undefined);
  const word = direction ? "best" : "highest";
  if (kind === "category") return `${word} with ${textOf(bestGroup(compared, known, key, objective, direction))}`;
  const value = middleOfBest(compared, known, key, objective, direction);
  return value === null ? "" : `${word} near ${near(value)}`;
}

const sign = (direction) => (direction === "minimize" ? 1 : -1);

/** The middle value of the best fifth of the runs. */
export function middleOfBest(compared, runs, key, objective, direction) {
  const order = [...runs].sort((a, b) => sign(direction) * (compared.value(objective, a) - compared.value(objective, b)));
  const best = order.slice(0, Math.max(1, Math.round(runs.length * BEST_SHARE)));
  const values = best.map((run) => compared.value(key, run)).filter(isReal).sort((a, b) => a - b);
  return values.length ? values[(values.length - 1) >> 1] : null;
}

/** The value whose runs rank best on average. */
export function bestGroup(compared, runs, key, objective, direction) {
  const rank = ranks(runs.map((run) => sign(direction) * compared.value(objective, run)));
  const groups = new Map();
  runs.forEach((run, at) => {
    const value = compared.value(key, run);
    const group = groups.get(textOf(value)) ?? { value, sum: 0, count: 0 };
    groups.set(textOf(value), { value, sum: group.sum + rank[at], count: group.count + 1 });
  });
  return [...groups.values()].reduce((best, one) => (one.sum / one.count < best.sum / best.count ? one : best)).value;
}

/** Two figures are enough for a place: `1e-3`, `0.0031`, `128`. */
function near(value) {
  if (Number.isInteger(value)) return number(value);
  return number(Number(value.toPrecision(2))).replace(/^(\d+)\.?0*e/, "$1e");
}
