/**
 * Filters and orders over the columns of the runs table, row by row as the server's index would.
 *
 * A column is an array: undefined is missing, null is none.
 */

import {compareTexts} from './order.js';
import {isTags, named} from './tokens.js';

/**
 * `tree` as a function of a row's number.
 *
 * @param {{column: (name: object) => (row: number) => any}} table
 * @returns {(row: number) => boolean}
 */
export function compiled(tree, table) {
  if (tree.type === 'junction') {
    const parts = tree.parts.map((part) => compiled(part, table));
    return tree.word === 'and' ?
      (row) => parts.every((holds) => holds(row)) : (row) => parts.some((holds) => holds(row));
  }
  if (tree.type === 'not') {
    const holds = compiled(tree.part, table);
    return (row) => !holds(row);
  }
  const get = getter(tree.name, table);
  if (tree.type === 'compare' && tree.value?.kind) {
    return pair(get, tree.operator, getter(tree.value, table));
  }
  const test = testOf(tree);
  return (row) => test(get(row));
}

/** The value of a name, as the index has it: a bare name is the metric, else the parameter. */
export function getter(name, table) {
  if (name.kind !== 'any') return table.column(name);
  const metric = table.column(named('metrics', name.name, name.part));
  if (name.part) return metric;
  const param = table.column(named('params', name.name));
  return (row) => metric(row) ?? param(row);
}

/** number, nan, text, bool, none, missing. */
export function kindOf(value) {
  if (value === undefined) return 'missing';
  if (value === null) return 'none';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return Number.isNaN(value) ? 'nan' : 'number';
  return 'text';
}

function isKnown(value) {
  return value !== undefined && !Number.isNaN(value);
}

function testOf(leaf) {
  if (isTags(leaf.name)) return tagTest(leaf);
  if (leaf.type === 'is') return isTest(leaf.name, leaf.state);
  if (leaf.type === 'contains') {
    const wanted = asciiLower(leaf.text);
    return oneOrOther(leaf.wanted,
      (value) => typeof value === 'string' && asciiLower(value).includes(wanted));
  }
  const values = leaf.type === 'member' ? leaf.values : [leaf.value];
  if (leaf.type === 'member' || leaf.operator === '=' || leaf.operator === '!=') {
    const wanted = new Set(values);
    return oneOrOther(leaf.operator ? leaf.operator === '=' : leaf.wanted,
      (value) => isKnown(value) && wanted.has(value));
  }
  return any((value) => ordered(value, leaf.operator, leaf.value));
}

/** An experiment is called by its name as well as by its id: either will do. */
function any(test) {
  return (value) => (Array.isArray(value) ? value.some(test) : test(value));
}

function oneOrOther(wanted, test) {
  const found = any(test);
  return wanted ? found : (value) => any(isKnown)(value) && !found(value);
}

function ordered(value, sign, right) {
  const kind = kindOf(right);
  if (kindOf(value) !== kind || (kind !== 'number' && kind !== 'text' && kind !== 'bool')) {
    return false;
  }
  return agrees(kind === 'text' ? compareTexts(value, right) : value - right, sign, value, right);
}

function agrees(difference, sign, left, right) {
  const order = left === right ? 0 : difference; // Infinity - Infinity is NaN
  switch (sign) {
    case '<': return order < 0;
    case '<=': return order <= 0;
    case '>': return order > 0;
    default: return order >= 0;
  }
}

function asciiLower(text) {
  return text.replace(/[A-Z]+/g, (part) => part.toLowerCase());
}

function isTest(name, state) {
  if (name.kind === 'attribute') {
    const present = any((value) => value !== undefined && value !== '');
    return (value) => !present(value);
  }
  if (state === 'missing') return (value) => value === undefined;
  if (state === 'none') return (value) => value === null;
  if (name.kind === 'metrics') return Number.isNaN;
  return (value) => Number.isNaN(value) || value === 'NaN';
}

function tagTest(leaf) {
  if (leaf.type === 'is') return (tags) => !tags?.length;
  const wanted = new Set(leaf.type === 'member' ? leaf.values : [leaf.text]);
  return (tags) => (tags ?? []).some((tag) => wanted.has(tag)) === leaf.wanted;
}

function pair(left, sign, right) {
  return (row) => {
    const others = [right(row)].flat();
    const values = [left(row)].flat();
    if (sign === '!=') {
      const isEqual = values.some((a) => others.some((b) => same(a, b)));
      return values.some(isKnown) && others.some(isKnown) && !isEqual;
    }
    if (sign === '=') return values.some((a) => others.some((b) => same(a, b)));
    return values.some((a) => others.some((b) => kindOf(b) !== 'bool' && ordered(a, sign, b)));
  };
}

function same(a, b) {
  return isKnown(a) && isKnown(b) && a === b;
}
