/** Brushes as the filter language writes them: for links to the runs table. */

import { literal, named, nameText } from "../table/tokens.js";
import { partOf, split } from "./data.js";

/** The brushes as a filter; empty without any. @param {string} before a filter that holds too */
export function filterText(compared, brushes, before = "") {
  const parts = Object.entries(brushes).map(([key, brush]) => condition(nameOf(compared, key), brush, writer(compared, key)));
  if (before.trim()) parts.unshift(parts.length ? `(${before.trim()})` : before.trim());
  return parts.join(" and ");
}

function condition(name, brush, written) {
  if (Array.isArray(brush)) return `${name} >= ${brush[0]} and ${name} <= ${brush[1]}`;
  const plain = brush.in.filter((value) => value !== null);
  const parts = [];
  if (plain.length === 1) parts.push(`${name} = ${written(plain[0])}`);
  if (plain.length > 1) parts.push(`${name} in (${plain.map(written).join(", ")})`);
  if (plain.length < brush.in.length) parts.push(`${name} is none`);
  return parts.length > 1 ? `(${parts.join(" or ")})` : parts[0] ?? `${name} in ()`;
}

/** Lists and dicts count as their JSON text; digits that stand for a number are one. */
function writer({ digits }, key) {
  const isInDigits = digits?.includes(split(key)[1]) && key.startsWith("params.");
  return (value) => (isInDigits && /^-?\d+$/.test(value) ? String(value) : literal(typeof value === "object" ? JSON.stringify(value) : value));
}

/** How a column is called. */
function nameOf({ directions, use }, key) {
  const [kind, name] = split(key);
  return nameText(kind === "metrics" ? named(kind, name, partOf(directions[name], use)) : named(kind, name));
}
