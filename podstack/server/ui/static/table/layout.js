/** Which columns are shown and in which order: what `cols` and `pins` say, and how they change. */
import {named, nameText} from './tokens.js';

/** @typedef {{pins: string[], rest: string[]}} Layout keys of columns; the pinned ones come first */

/** @param {{cols: string[], pins: string[]}} state `cols` is empty where nobody chose @returns {Layout} */
export function layoutOf({cols, pins}, usual, known) {
  const first = pins.filter((key) => known.has(key));
  const rest = (cols.length ? cols : usual).filter((key) => known.has(key) && !first.includes(key));
  return {pins: [...new Set(first)], rest: [...new Set(rest)]};
}

/** What the address says of a layout; nothing of the usual one. */
export function stateOf({pins, rest}, usual) {
  const others = usual.filter((key) => !pins.includes(key));
  const isUsual = rest.length === others.length && rest.every((key, at) => key === others[at]);
  return {pins, cols: isUsual ? [] : rest.length ? rest : [...pins, 'name']};
}

/**
 * A column put into a gap between the shown ones: 0 is before the first. It is pinned where it comes
 * to stand among pinned ones, and free again where it leaves them.
 */
export function moved({pins, rest}, key, gap) {
  const all = [...pins, ...rest];
  const wasPinned = pins.includes(key);
  const isPinned = gap < pins.length || (gap === pins.length && wasPinned);
  const others = (keys) => keys.filter((other) => other !== key);
  const order = [...others(all.slice(0, gap)), key, ...others(all.slice(gap))];
  const count = pins.length - Number(wasPinned) + Number(isPinned);
  return {pins: order.slice(0, count), rest: order.slice(count)};
}

/** A column one place further, among the pinned or among the others. @param {-1 | 1} by */
export function stepped(layout, key, by) {
  const part = layout.pins.includes(key) ? 'pins' : 'rest';
  const keys = [...layout[part]];
  const at = keys.indexOf(key);
  const to = at + by;
  if (to < 0 || to >= keys.length) return layout;
  [keys[at], keys[to]] = [keys[to], keys[at]];
  return {...layout, [part]: keys};
}

export function turned({pins, rest}, key) {
  const others = (keys) => keys.filter((other) => other !== key);
  return pins.includes(key) ? {pins: others(pins), rest: [key, ...rest]} : {pins: [...pins, key], rest: others(rest)};
}

export function without({pins, rest}, key) {
  const others = (keys) => keys.filter((other) => other !== key);
  return {pins: others(pins), rest: others(rest)};
}

/** Exactly these columns: those that were there keep their places, new ones come last. */
export function holding({pins, rest}, wanted) {
  const asked = new Set(wanted);
  const fresh = wanted.filter((key) => !pins.includes(key) && !rest.includes(key));
  return {pins: pins.filter((key) => asked.has(key)), rest: [...rest.filter((key) => asked.has(key)), ...fresh]};
}

/** Columns in the places of others. @param {Map<string, string>} others by the key that they replace */
export function exchanged({pins, rest}, others) {
  const first = [...new Set(pins.map((key) => others.get(key) ?? key))];
  const then = [...new Set(rest.map((key) => others.get(key) ?? key))].filter((key) => !first.includes(key));
  return {pins: first, rest: then};
}

/** The figure of a metric that tells the best of a run: its max where more is better. */
export const bestPart = (column) => ({maximize: 'max', minimize: 'min'})[column.direction];

/** The key of another figure of a metric's column. */
export const keyWith = (column, part) => nameText(named('metrics', column.name.name, part));
