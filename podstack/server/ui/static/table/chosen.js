/**
 * A selection as a filter, so that a link can carry ten thousand runs.
 *
 * What is found is proved here before it is used: it fits the selected runs and no others. It ends
 * with the newest run, so that none which comes later is selected by it.
 */
import {compiled} from './evaluate.js';
import {parseStrict} from './filter.js';
import {literal} from './tokens.js';

const MOST = 4_000; // characters of a filter in a link
const MOST_ODD = 60; // runs that are named beside a filter
const MOST_SPANS = 40;

/** @returns {string} a filter of exactly the selected rows; "" where none is short enough */
export function filterOf(table, ids, filter) {
  const isIn = (row) => ids.has(table.data.ids[row]);
  if (ids.size !== rowsOf(table).filter(isIn).length) return ''; // some are not in this table
  const texts = [byFilter(table, isIn, filter), bySpans(table, isIn)];
  return texts.find((text) => text && text.length <= MOST && isExactly(table, text, isIn)) ?? '';
}

/** The ids that a filter of a link fits. */
export function idsOf(table, text) {
  const test = tested(table, text);
  return test ? rowsOf(table).filter(test).map((row) => table.data.ids[row]) : [];
}

const rowsOf = (table) => Array.from({length: table.size}, (_, row) => row);

function tested(table, text) {
  try {
    return compiled(parseStrict(text), table);
  } catch {
    return null; // a link that somebody cut
  }
}

function isExactly(table, text, isIn) {
  const test = tested(table, text);
  return Boolean(test) && rowsOf(table).every((row) => Boolean(test(row)) === isIn(row));
}

function byFilter(table, isIn, filter) {
  const newest = table.data.created.reduce((last, moment) => Math.max(last, moment), 0);
  const base = `${filter ? `(${filter}) and ` : ''}created <= ${newest}`;
  const test = tested(table, base);
  if (!test) return '';
  const less = rowsOf(table).filter((row) => test(row) && !isIn(row));
  const more = rowsOf(table).filter((row) => !test(row) && isIn(row));
  if (less.length + more.length > MOST_ODD) return '';
  const without = less.length ? `${base} and not id in ${listed(table, less)}` : base;
  return more.length ? `(${without}) or id in ${listed(table, more)}` : without;
}

const listed = (table, rows) => `(${rows.map((row) => literal(table.data.ids[row])).join(', ')})`;

/** Runs that began one after the other. */
function bySpans(table, isIn) {
  const {created} = table.data;
  const order = rowsOf(table).sort((a, b) => created[a] - created[b]);
  const spans = [];
  let isOpen = false;
  for (const row of order) {
    if (isIn(row) && isOpen) spans.at(-1)[1] = created[row];
    else if (isIn(row)) spans.push([created[row], created[row]]);
    isOpen = isIn(row);
  }
  if (spans.length > MOST_SPANS) return '';
  return spans.map(([from, to]) => `(created >= ${from} and created <= ${to})`).join(' or ');
}
