/** A sweep that is there as the texts of the form, and in words what the form cannot say of it. */

import { figure, parameterOf, rowOf } from "./form.js";
import { leaves } from "./leaves.js";

/**
 * @param sweep {strategy, objective, max_trials, stopping, pruner, seed, options, parameters, warm: count, floats: names}
 * @returns {{fields: Record<string, string>, rows: object[], lost: string[]}} lost: sentences
 */
export function likeOf(sweep) {
  const { objective, stopping } = sweep;
  const numbers = { max_trials: sweep.max_trials, patience: stopping.patience, max_time: stopping.max_time, target: stopping.target };
  const fields = { strategy: sweep.strategy, objective_metric: objective.metric, direction: objective.direction, pruner: sweep.pruner ?? "" };
  for (const [name, value] of Object.entries(numbers)) fields[name] = Number.isFinite(value) ? figure(value) : "";
  const pairs = leaves(sweep.parameters);
  return { fields, rows: pairs.map(([name, spec]) => rowOf(name, spec)), lost: [...lostOf(sweep), ...pairs.flatMap(([name, spec]) => inexact(name, spec))] };
}

function* lostOf({ strategy, options, warm, seed, stopping, floats }) {
  const said = Object.entries(options).filter(([, value]) => value !== false);
  if (said.length) yield `Of ${strategy} it used ${said.map(([name, value]) => (value === true ? name : `${name} ${value}`)).join(", ")}; the form has no place for that, create_sweep(sampler=…) does.`;
  if (warm) yield `It began with ${warm === 1 ? "one earlier result" : `${warm.toLocaleString("en")} earlier results`}; a sweep made here begins with none, create_sweep(warm_start=…) can.`;
  if (typeof stopping.target === "string") yield `Its target, ${stopping.target}, is no number that the form takes.`;
  if (floats.length) yield `${floats.join(", ")}: whole numbers become integers here, 1 instead of 1.0.`;
  yield `The seed is left open; with its own, ${seed}, the same trials would be drawn again.`;
}

/** What a row makes of a parameter is compared with the parameter. */
function inexact(name, spec) {
  const made = parameterOf(rowOf(name, spec));
  const odd = Object.keys(spec).filter((key) => key !== "distribution" && JSON.stringify(made[key]) !== JSON.stringify(spec[key]));
  if (name !== name.trim()) odd.push("name");
  return odd.length ? [`${name}: ${odd.join(" and ")} cannot be written in the form as it is; look at that row.`] : [];
}
