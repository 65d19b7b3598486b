/**
 * Brushes: which runs pass them, and how they read in the filter language. A brush is `[lo, hi]`,
 * both ends within, or `{in: [values]}`; runs that lack the column pass none of its brushes.
 */

import { same } from "./data.js";

/** Whether one value passes one brush. */
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

/** The brushes as a filter; empty without any. @param {string} before a filter that holds too */
export function filterText(compared, brushes, before = "") {
  const parts = Object.entries(brushes).map(([key, brush]) => condition(compared.named(key), brush));
  if (before.trim()) parts.unshift(parts.length ? `(${before.trim()})` : before.trim());
  return parts.join(" and ");
}

function condition(name, brush) {
  if (Array.isArray(brush)) return `${name} >= ${brush[0]} and ${name} <= ${brush[1]}`;
  const plain = brush.in.filter((value) => value !== null);
  const parts = [];
  if (plain.length === 1) parts.push(`${name} = ${literal(plain[0])}`);
  if (plain.length > 1) parts.push(`${name} in (${plain.map(literal).join(", ")})`);
  if (plain.length < brush.in.length) parts.push(`${name} is none`);
  return parts.length > 1 ? `(${parts.join(" or ")})` : parts[0] ?? `${name} in ()`;
}

/** A value as the filter language writes it; lists and dicts count as their JSON text. */
export function literal(value) {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}

/** A brush in words, for a chip and a screen reader. */
export function words(brush, number, text) {
  if (Array.isArray(brush)) return `${number(brush[0])} – ${number(brush[1])}`;
  return brush.in.map(text).join(", ");
}
