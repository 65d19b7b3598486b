/** Bars in cells: where a value lies between the lowest and the highest of the rows shown. */

const LEAST = 0.03; // the lowest has a bar, too
const LOG_FROM = 100; // times the lowest: from there on by orders of magnitude

/**
 * @param {object[]} columns @param {number[]} rows @param {string[]} keys of the columns with bars
 * @returns {Map<string, (value: any) => number | null>} the share of a cell that its bar fills
 */
export function barsOf(table, columns, rows, keys) {
  const wanted = columns.filter((column) => keys.includes(column.key));
  return new Map(wanted.map((column) => [column.key, shareOf(rows.map(table.column(column.name)))]));
}

/** @param {any[]} values those that are no finite numbers count for nothing */
export function shareOf(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const scale = low > 0 && high / low > LOG_FROM ? Math.log : (value) => value;
  const span = scale(high) - scale(low);
  return (value) => {
    if (!Number.isFinite(value)) return null;
    return span > 0 ? LEAST + (1 - LEAST) * ((scale(value) - scale(low)) / span) : 1;
  };
}
