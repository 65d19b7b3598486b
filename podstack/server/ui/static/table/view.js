/** From the columns of all runs and what the address says to what is drawn. */
import {compiled} from './evaluate.js';
import {namesIn} from './filter.js';
import {parseOrder, sorted} from './order.js';
import {parseLoose} from './loose.js';
import {shown} from './cells.js';
import {nameText} from './tokens.js';

/** Rows that fit a filter; `needsServer`: it asks for what the page was not told. */
export function filtered(table, text, options = {}) {
  const parsed = parseLoose(text, options);
  const needsServer = Boolean(parsed.tree) && namesIn(parsed.tree).some((name) => !table.has(name));
  const found = parsed.tree && !needsServer ? table.rows.filter(compiled(parsed.tree, table)) : table.rows.slice();
  return {...parsed, rows: found, needsServer};
}

/** The keys of an order; the newest first where it is none. */
export function orderOf(text) {
  try {
    return parseOrder(text || '-created');
  } catch {
    return parseOrder('-created');
  }
}

/** Rows in an order; they come as the server answers, the newest first. */
export function sortedRows(table, rows, keys) {
  const {key, descending} = shownOrder(keys);
  return key === 'created' && descending && keys.length === 1 ? rows : sorted(rows, keys, table);
}

/** The first key of an order, as the head of a column shows it. */
export function shownOrder([{name, descending}]) { return {key: nameText(name), descending}; }

/** The order after a click on a column's head: best, or largest, or first in the alphabet first. */
export function nextOrder(column, current) {
  const largest = column.direction ? column.direction === 'maximize' : ['created', 'duration'].includes(column.key) || column.kind === 'metrics';
  const descending = current.key === column.key ? !current.descending : largest;
  return `${descending ? '-' : ''}${column.key}`;
}

/** Rows below the heads of their groups, the largest group first. folded: keys of closed groups. */
export function grouped(table, rows, column, folded) {
  const get = table.column(column.name);
  const groups = new Map();
  for (const row of rows) {
    const key = shown(column, get(row));
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(row);
  }
  const bySize = [...groups].sort((a, b) => b[1].length - a[1].length);
  return bySize.flatMap(([key, members]) => {
    const isFolded = folded.has(key);
    return [{title: `${column.title}: ${key}`, key, count: members.length, isFolded}, ...(isFolded ? [] : members)];
  });
}
