/**
 * Which parameter mattered: how much of the objective each one explains by itself.
 *
 * A number is cut into up to eight groups of one size, so that an effect that rises and falls
 * again counts too; other values are their own groups. `share` is `explained` of those groups
 * (statistics.js), `r` Spearman's correlation where the parameter is a number. Nothing is said of
 * interactions, and runs that were not chosen at random can mislead.
 */

import { textOf } from "./data.js";
import { dimension } from "./dimensions.js";
import { explained, isReal, quantileGroups, spearman } from "./statistics.js";

export const ENOUGH = 20; // runs; fewer are a guess
const LEAST = 4;

/**
 * @param compared the runs; @param {number[]} runs places; @param {string} objective a column
 * @returns {{found: {key, share, r, kind, runs}[], runs: number, reason: string|null}}
 */
export function importance(compared, runs, objective) {
  const counted = runs.filter((run) => isReal(compared.value(objective, run)));
  const found = Object.keys(compared.params).map((name) => one(compared, counted, `params.${name}`, objective));
  const known = found.filter(Boolean).sort((a, b) => b.share - a.share);
  return { found: known, runs: counted.length, reason: reasonFor(counted, known) };
}

function reasonFor(counted, known) {
  if (counted.length < LEAST) return `Importance needs ${LEAST} runs with this metric; there are ${counted.length}.`;
  if (!known.length) return "No parameter has more than one value among these runs.";
  return known.some(({ share }) => share > 0) ? null
    : "No parameter explains more of the differences than chance would.";
}

function one(compared, counted, key, objective) {
  const runs = counted.filter((run) => compared.value(key, run) !== undefined);
  if (runs.length < LEAST) return null;
  const values = compared.values(key, runs);
  const axis = dimension(key, values);
  const ys = compared.values(objective, runs);
  if (axis.constant || (axis.kind === "category" && axis.crowded)) return null;
  const groups = axis.kind === "category" ? values.map(textOf)
    : quantileGroups(values, Math.max(2, Math.min(8, Math.floor(runs.length / 5))));
  const numeric = values.every((value) => typeof value === "number");
  const r = numeric ? spearman(values, ys) : null;
  return { key, share: explained(groups, ys), r, kind: axis.kind, runs: runs.length };
}
