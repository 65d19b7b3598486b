/** What may come next in the filter box. */
import {ATTRIBUTES, STATUSES, literal, named, nameText} from './tokens.js';

const OPERATORS = ['=', '!=', '>', '>=', '<', '<=', 'contains', 'in (', 'is missing', 'is not missing'];
const MOST = 9;
const WORD = /(?:`[^`]*|[^\s()=<>!,`'"]*)$/;
const VALUE = /((?:\w+\.)?(?:`[^`]+`|[^\s()=<>!,`'"]+)(?:\.\w+)?)\s*(?:=|!=|<>|\bcontains|\bin\s*[([](?:[^)\]]*,)?)\s*$/;
const PLAIN = /^[\p{L}_][\p{L}\p{N}_/:@%+-]*$/u;

/** Every name of a table, as the language writes it: [text, Name]. @returns {Map<string, object>} */
export function namesOf(table) {
  const found = new Map();
  for (const name of Object.keys(table.data.metrics)) found.set(nameText(named('any', name)), named('metrics', name));
  for (const name of Object.keys(table.data.params)) {
    const text = nameText(named('any', name));
    found.set(found.has(text) ? nameText(named('params', name)) : text, named('params', name));
  }
  for (const name of ATTRIBUTES) found.set(name, named('attribute', name));
  return found;
}

/**
 * @param {string} before the text up to the caret @param {Map<string, object>} names
 * @param {import('./table.js').Table} table
 * @returns {{from: number, words: string[]}} from: where the word that they replace begins
 */
export function completions(before, names, table) {
  const word = WORD.exec(before)[0];
  const from = before.length - word.length;
  const head = before.slice(0, from);
  const words = candidates(head, names, table);
  const wanted = word.toLowerCase();
  const starting = words.filter((text) => text.toLowerCase().startsWith(wanted));
  const inside = wanted ? words.filter((text) => !starting.includes(text) && text.toLowerCase().includes(wanted)) : [];
  return {from, words: [...starting, ...inside].filter((text) => text !== word).slice(0, MOST)};
}

function candidates(head, names, table) {
  const value = VALUE.exec(head);
  if (value) return valuesOf(names.get(value[1].replace(/^(?:metrics|params)\./, '')) ?? names.get(value[1]), table);
  const last = /(\S+)\s*$/.exec(head)?.[1] ?? '';
  if (!last || /^(?:and|or|not|.*\()$/i.test(last)) return [...names.keys()];
  if (names.has(last)) return OPERATORS;
  return /[=<>!]$/.test(last) ? [] : ['and', 'or'];
}

function valuesOf(name, table) {
  if (!name || name.kind === 'metrics') return [];
  if (name.name === 'status') return STATUSES;
  const get = table.column(name);
  const found = new Map();
  for (let row = 0; row < table.size; row += 1) {
    for (const value of [get(row)].flat()) if (value !== undefined && value !== null && value !== '') found.set(String(value), typeof value);
  }
  return [...found].slice(0, 200).map(([text, type]) => (type !== 'string' || PLAIN.test(text) || (table.isInDigits(name) && /^-?\d+$/.test(text)) ? text : literal(text)));
}
