/**
 * Where things stand in parallel coordinates, without a canvas: the axes' places, the lines'
 * heights, which line is under the pointer, where a dragged title lands.
 *
 * A line between two axes is a cubic whose x runs evenly and whose y is a smoothstep, so that what
 * is hit is exactly what is drawn.
 */

export const TOP = 14;
export const BOTTOM = 34; // room for the lane of runs that have no value
const SIDE = 52;
const NEAR = 6; // pixels from a line that still mean it
const NARROWEST = 92; // pixels between two axes

/** The width that the axes need, at least. */
export const neededWidth = (count) => SIDE * 2 + NARROWEST * Math.max(0, count - 1);

/** The x of each axis. */
export function places(count, width) {
  if (count < 2) return count ? [width / 2] : [];
  return Array.from({ length: count }, (_, at) => SIDE + ((width - 2 * SIDE) * at) / (count - 1));
}

/** The y of a position 0 … 1; of what has none, the lane below the axis. */
export function heightOf(position, height) {
  if (position === null) return height - 10;
  return TOP + (1 - position) * (height - TOP - BOTTOM);
}

/** The position of a y, 0 … 1. */
export function positionOf(y, height) {
  return Math.min(1, Math.max(0, 1 - (y - TOP) / (height - TOP - BOTTOM)));
}

/**
 * The line nearest to a point.
 * @param {number[][]} lines the heights of each line, one an axis; @param {number[]} xs the axes
 * @returns {number} its place; -1 where none is near
 */
export function nearest(lines, xs, x, y) {
  const at = Math.max(0, Math.min(xs.length - 2, xs.findLastIndex((place) => place <= x)));
  const span = xs.length > 1 ? (x - xs[at]) / (xs[at + 1] - xs[at]) : 0;
  const u = Math.min(1, Math.max(0, span));
  const smooth = u * u * (3 - 2 * u);
  let [best, distance] = [-1, NEAR];
  lines.forEach((heights, line) => {
    const next = heights[at + 1] ?? heights[at];
    const away = Math.abs(heights[at] + (next - heights[at]) * smooth - y);
    if (away < distance) [best, distance] = [line, away];
  });
  return best;
}

/** The axis within reach of an x; -1 where none is. */
export function axisAt(xs, x, reach = 14) {
  return xs.findIndex((place) => Math.abs(place - x) <= reach);
}

/** The keys in the order that dropping one at an x gives. */
export function moved(keys, key, xs, x) {
  const rest = keys.filter((other) => other !== key);
  const before = keys.filter((other, at) => other !== key && xs[at] < x).length;
  return [...rest.slice(0, before), key, ...rest.slice(before)];
}

/** A brush as a stretch after an arrow key: moved as a whole, or its upper end alone. */
export function nudged([from, to], direction, isUpperEnd, step) {
  const high = Math.min(1, Math.max(0, to + direction * step));
  if (isUpperEnd) return [Math.min(from, high), high];
  const low = Math.min(1, Math.max(0, from + direction * step));
  const size = to - from;
  return direction > 0 ? [high - size, high] : [low, low + size];
}
