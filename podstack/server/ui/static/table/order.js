/** Orders of the runs table: `-metrics.val_acc, created`, read and applied as the server does. */

import {FilterError, isTags, nameOf, nameText, tokensOf} from './tokens.js';
import {getter} from './evaluate.js';

const MAX_KEYS = 10;

/**
 * @typedef {{name: object, descending: boolean}} Key
 * @throws {FilterError} it is no order.
 * @returns {Key[]}
 */
export function parseOrder(text) {
  const tokens = tokensOf(text);
  const keys = [];
  let next = 0;
  do {
    const [key, used] = keyAt(tokens, next);
    keys.push(key);
    next += used;
  } while (tokens[next].text === ',' && tokens[next++].kind === 'mark');
  if (tokens[next].kind !== 'end') throw new FilterError('expected , or the end', tokens[next].from);
  if (keys.length > MAX_KEYS) throw new FilterError(`at most ${MAX_KEYS} names`, 0);
  return keys;
}

function keyAt(tokens, next) {
  const token = tokens[next];
  const isSigned = token.kind === 'word' && '+-'.includes(token.text[0]);
  const name = nameOf(token, isSigned ? token.text.slice(1) : token.text);
  if (name.kind === 'tags' || isTags(name)) throw new FilterError('no order by tags', token.from);
  const sign = isSigned ? token.text[0] : token.sign;
  const way = tokens[next + 1].word;
  const isSaid = way === 'asc' || way === 'desc';
  if (sign && isSaid) throw new FilterError('either a sign or asc and desc', token.from);
  return [{name, descending: sign === '-' || way === 'desc'}, isSaid ? 2 : 1];
}

export function orderText(keys) {
  return keys.map(({name, descending}) => `${descending ? '-' : ''}${nameText(name)}`).join(',');
}

/** Several names between commas, such as the columns in a link. Odd ones are left out. */
export function parseNames(text) {
  try {
    return text ? listedNames(tokensOf(text)) : [];
  } catch {
    return [];
  }
}

function listedNames(tokens) {
  return tokens.filter((token) => token.kind === 'word' || token.kind === 'named').map((t) => nameOf(t));
}

/**
 * Rows in an order; equal ones stay as they come. Numbers come before texts, what is missing, none
 * or NaN last in both directions.
 *
 * @param {number[]} rows
 */
export function sorted(rows, keys, table) {
  const tests = keys.map((key) => comparison(key, rows, table));
  return [...rows].sort((a, b) => {
    for (const test of tests) {
      const order = test(a, b);
      if (order) return order;
    }
    return 0;
  });
}

function comparison({name, descending}, rows, table) {
  const get = getter(name, table);
  const read = table.isInDigits(name) ? (row) => counted(get(row)) : get;
  const values = [];
  for (const row of rows) values[row] = ranked(read(row));
  const way = descending ? -1 : 1;
  return (a, b) => {
    const left = values[a];
    const right = values[b];
    if (left === undefined || right === undefined) {
      return (left === undefined ? 1 : 0) - (right === undefined ? 1 : 0);
    }
    return way * compareValues(left, right);
  };
}

/** What digits mean, as nearly as a number here can. */
const counted = (value) => (typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value);

function ranked(value) {
  const found = Array.isArray(value) ? value[0] : value;
  if (found === undefined || found === null || Number.isNaN(found)) return undefined;
  return typeof found === 'boolean' ? Number(found) : found;
}

function compareValues(a, b) {
  if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1;
  if (typeof a === 'string') return compareTexts(a, b);
  return a < b ? -1 : Number(a > b);
}

/** Texts by their characters' numbers, as SQLite and Python order them. */
export function compareTexts(a, b) {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  let i = 0;
  while (i < length && a.charCodeAt(i) === b.charCodeAt(i)) i += 1;
  if (i === length) return a.length - b.length;
  return rankOf(a.charCodeAt(i)) - rankOf(b.charCodeAt(i));
}

/** Halves of a pair stand for characters beyond all that need none. */
function rankOf(unit) {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
}
