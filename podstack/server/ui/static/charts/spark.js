/** A curve as small as a word: an inline SVG without axes, its words for who does not see it. */

import { number } from "../core/format.js";

const SVG = "http://www.w3.org/2000/svg";
const WORDS = { NaN: NaN, Infinity: Infinity, "-Infinity": -Infinity };
const PAD = 2; // pixels at each edge

/**
 * The path of a curve in a box; a gap where a value is no finite number. Pure.
 * @param {number[]} xs @param {(number|string)[]} values as /series answers them
 * @returns {string} of an SVG path; empty without finite values
 */
export function sparkPath(xs, values, width, height) {
  const known = values.map((value) => (typeof value === "string" ? WORDS[value] : value ?? NaN));
  const finite = known.filter(Number.isFinite);
  if (!finite.length) return "";
  const [lo, hi] = [finite.reduce((a, b) => Math.min(a, b)), finite.reduce((a, b) => Math.max(a, b))];
  const [from, to] = [xs[0], xs.at(-1)];
  const left = (x) => PAD + (to > from ? (x - from) / (to - from) : 0.5) * (width - 2 * PAD);
  const top = (value) => PAD + (hi > lo ? 1 - (value / 2 - lo / 2) / (hi / 2 - lo / 2) : 0.5) * (height - 2 * PAD);
  let isOpen = false;
  return known.map((value, at) => {
    if (!Number.isFinite(value)) { isOpen = false; return ""; }
    const mark = isOpen ? "L" : "M";
    isOpen = true;
    const place = `${left(xs[at]).toFixed(1)} ${top(value).toFixed(1)}`;
    return Number.isFinite(known[at + 1]) || mark === "L" ? mark + place : `${mark}${place}h.1`; // a point alone
  }).join("");
}

/** @param series {x, mean, …} as /series answers it @returns {SVGElement} */
export function spark(name, series, width = 120, height = 22) {
  const svg = document.createElementNS(SVG, "svg");
  const set = (made, pairs) => { for (const [key, value] of Object.entries(pairs)) made.setAttribute(key, value); return made; };
  set(svg, { class: "spark", width, height, viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": `${name}: from ${number(series.mean[0])} to ${number(series.mean.at(-1))}` });
  svg.append(set(document.createElementNS(SVG, "path"), { d: sparkPath(series.x, series.mean, width, height) }));
  return svg;
}
