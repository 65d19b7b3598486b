/** Why a filter fits nothing: its parts that nothing fits, and names that no run has. */
import {compiled} from './evaluate.js';
import {namesIn} from './filter.js';
import {nameText} from './tokens.js';

const MOST_LIKE = 3;

/** The parts of a filter that nothing fits alone, else all: what a person may take away. */
export function excluding(table, parts) {
  const alone = parts.filter(({tree}) => namesIn(tree).every((name) => table.has(name)) && !hasAny(table, tree));
  return alone.length ? alone : parts;
}

function hasAny(table, tree) {
  const test = compiled(tree, table);
  for (let row = 0; row < table.size; row += 1) if (test(row)) return true;
  return false;
}

/**
 * Names of a filter that no run has.
 *
 * @param {Map<string, object>} names of the table, as the language writes them
 * @returns {{name: string, part: object, like: string[]}[]} like: the nearest names that there are
 */
export function nearest(parts, names) {
  const known = new Map([...names.keys()].map((word) => [word, bare(word)]));
  const has = (name) => names.has(nameText({...name, kind: 'any', part: ''})) || names.has(nameText({...name, part: ''})) || [...names.values()].some((other) => other.kind === name.kind && other.name === name.name);
  return parts.flatMap((part) => namesIn(part.tree).filter((name) => ['any', 'metrics', 'params'].includes(name.kind) && !has(name)).map((name) => ({name: name.name, part, like: like(bare(name.name), known)})));
}

const bare = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');

function like(wanted, known) {
  const scored = [...known].map(([word, text]) => [text.includes(wanted) || (text && wanted.includes(text)) ? 0 : distance(wanted, text), word]);
  const near = scored.filter(([far]) => far <= Math.max(1, Math.floor(wanted.length / 3)));
  return near.sort(([a, x], [b, y]) => a - b || x.length - y.length).slice(0, MOST_LIKE).map(([, word]) => word);
}

/** How many letters are to be changed, put in or taken out (Levenshtein, by one row at a time). */
function distance(a, b) {
  let before = Array.from({length: b.length + 1}, (_, at) => at);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) row[j] = Math.min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    before = row;
  }
  return before[b.length];
}
