/** How wide columns are: as somebody drew them, else as their first rows need it. */
import {shown} from './cells.js';

export const PICK = 34;
export const NAME = 230;
export const NARROW = 48; // the least
const WIDE = 900; // the most that is drawn by hand
const SAMPLE = 40; // rows that a width is guessed from
const MOST_KEPT = 400; // columns whose width is remembered
const KEPT = 'podstack-widths';

/** The width of a column by its first rows. */
export function guessed(column, table, rows) {
  const get = table.column(column.name);
  const longest = rows.slice(0, SAMPLE).reduce((most, row) => Math.max(most, shown(column, get(row)).length), 0);
  const room = {status: 46, tags: 48}[column.key] ?? (column.direction ? 40 : column.isNumber ? 30 : 24);
  const head = Math.min(column.title.length, 18) * 6.6 + 40;
  return Math.round(Math.min(220, Math.max(62, longest * (column.isNumber ? 8.6 : 7.3) + room, head)));
}

export const within = (width) => Math.round(Math.max(NARROW, Math.min(WIDE, width)));

/** The widths that were drawn by hand in this browser, for all tables. @returns {Map<string, number>} */
export function widthsKept() {
  try {
    const pairs = Object.entries(JSON.parse(localStorage.getItem(KEPT) ?? '{}'));
    return new Map(pairs.filter(([, width]) => Number.isFinite(width)).map(([key, width]) => [key, within(width)]));
  } catch {
    return new Map(); // nothing is stored, or not by us
  }
}

/** @param {Map<string, number>} widths the last ones changed come last */
export function keepWidths(widths) {
  try {
    localStorage.setItem(KEPT, JSON.stringify(Object.fromEntries([...widths].slice(-MOST_KEPT))));
  } catch { /* a browser that stores nothing forgets them with the page */ }
}
