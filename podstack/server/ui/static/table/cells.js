/** What stands in the cells of the runs table. */
import {el} from '../core/dom.js';
import {NOTHING, ago, duration, moment, number} from '../core/format.js';

const KNOWN = new Set(['running', 'completed', 'failed', 'killed']);
const MOST = 300; // characters of a text that are drawn; the title has more

/** A value as a text, as it is drawn and as widths are guessed from. */
export function shown(column, value) {
  if (value === undefined || value === '') return NOTHING;
  if (value === null) return 'none';
  if (column.key === 'created') return ago(value);
  if (column.key === 'duration') return duration(value);
  if (column.key === 'experiment') return value[1];
  if (Array.isArray(value)) return value.join(', ') || NOTHING;
  return typeof value === 'number' ? number(value) : String(value).slice(0, MOST);
}

/** The cell of a column. best: whether it is the best of its column; share: of it that a bar fills. */
export function cell(column, value, best, share = null) {
  const text = shown(column, value);
  if (column.key === 'status') return el('td', {}, status(value));
  if (column.key === 'tags') return el('td', {class: 'tags', title: value.join(', ') || null}, value.length ? value.slice(0, 4).map((tag) => el('span', {class: 'tag'}, tag)) : faint(NOTHING));
  if (column.key === 'created') return el('td', {title: moment(value)}, text);
  const classes = `${column.isNumber ? 'number' : 'cut'}${best ? ' is-best' : ''}`;
  if (value === undefined || value === null) return el('td', {class: classes}, faint(text));
  const bar = share === null ? {class: classes} : {class: `${classes} has-bar`, style: {'--bar': `${(share * 100).toFixed(1)}%`}};
  return el('td', {...bar, title: titleOf(column, value)}, best ? star() : null, text);
}

const faint = (text) => el('span', {class: 'muted'}, text);
const star = () => el('span', {class: 'best-star', role: 'img', 'aria-label': 'best'}, '★');

function titleOf(column, value) {
  if (typeof value === 'number') return String(value);
  return column.isNumber ? null : String(column.key === 'experiment' ? value[1] : value).slice(0, 2000);
}

export function status(word) {
  return el('span', {class: `status status-${KNOWN.has(word) ? word : 'other'}`}, el('span', {class: 'status-mark', 'aria-hidden': 'true'}), word);
}
