/** The axis of a parameter, as the sweep declares it: a list is categories, a log range is logarithmic. */

import { dimension, MOST_CATEGORIES } from "../compare/dimensions.js";
import { scaleOf, specOf } from "./trials.js";

/** @param {any[]} values one a trial, undefined where it has none */
export function axisOf(sweep, name, values) {
  const listed = specOf(sweep.parameters, name)?.values;
  const isWhole = specOf(sweep.parameters, name)?.distribution?.startsWith("int") ?? false;
  if (!listed) return { ...dimension(name, values, scaleOf(sweep.parameters, name)), title: name, isWhole };
  const seen = new Set(values.filter((value) => value !== undefined).map((value) => JSON.stringify(value)));
  const categories = listed.filter((value) => seen.has(JSON.stringify(value)));
  const places = new Map(categories.map((value, at) => [JSON.stringify(value), at]));
  return { key: name, title: name, kind: "category", constant: categories.length < 2, crowded: categories.length > MOST_CATEGORIES, categories, places };
}
