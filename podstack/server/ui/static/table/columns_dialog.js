/** Which columns are shown, in which order, and which of them are pinned. */
import {dialog} from '../core/dialog.js';
import {el} from '../core/dom.js';
import {columnOrder} from './column_order.js';
import {turned} from './layout.js';
import {isDiffering} from './table.js';

const WORDS = {attribute: 'Facts', metrics: 'Metrics', params: 'Parameters'};
const MOST = 300; // rows of a section; a search finds the others

/** @param {import('./columns.js').Columns} columns changed at once @param {object} table */
export function openColumns(columns, table) {
  const differing = new Set(columns.all.filter((column) => isDiffering(table, column)).map((column) => column.key));
  const find = el('input', {type: 'search', placeholder: 'Search columns', 'aria-label': 'Search columns', autofocus: true, autocomplete: 'off'});
  const only = el('input', {type: 'checkbox'});
  const list = el('div', {class: 'column-list'});
  let order = null; // drawn after the list, and with it
  const draw = () => {
    const wanted = find.value.trim().toLowerCase();
    const shown = new Set(columns.shown);
    const isListed = (column) => column.kind !== 'metrics' || column.part === 'last' || wanted || shown.has(column); // the others are a search or a head's menu away
    const found = columns.all.filter((column) => column.title.toLowerCase().includes(wanted) && isListed(column) && (!only.checked || differing.has(column.key)));
    const held = document.activeElement?.getAttribute('aria-label');
    list.replaceChildren(...Object.entries(WORDS).flatMap(([kind, word]) => sectionOf(word, found.filter((column) => column.kind === kind), columns, draw, () => order.draw())));
    if (!found.length) list.append(el('p', {class: 'muted'}, 'No column has that in its name.'));
    order?.draw();
    if (held) list.querySelector(`[aria-label="${CSS.escape(held)}"]`)?.focus();
  };
  find.addEventListener('input', draw);
  only.addEventListener('change', draw);
  draw();
  order = columnOrder(columns, draw);
  const head = el('div', {class: 'column-head'}, find, el('label', {}, only, ' Only differing'));
  dialog({title: 'Columns', body: [head, el('div', {class: 'column-panes'}, list, order.element)], actions: [
    {text: 'Usual columns', kind: 'plain', run: () => columns.reset()}, {text: 'Done'},
  ]});
  find.focus();
}

function sectionOf(word, found, columns, draw, ordered) {
  if (!found.length) return [];
  const rest = found.length > MOST ? [el('p', {class: 'muted small'}, `${found.length - MOST} more: search for them`)] : [];
  const shown = new Set(columns.shown.map(({key}) => key));
  return [el('h3', {}, word), el('div', {class: 'column-rows'}, found.slice(0, MOST).map((column) => rowOf(column, shown, columns, draw, ordered))), ...rest];
}

function rowOf({key, title}, shown, columns, draw, ordered) {
  const isPinned = columns.layout.pins.includes(key);
  const chosen = (isOn) => columns.all.map((column) => column.key).filter((other) => (other === key ? isOn : shown.has(other)));
  const box = el('input', {type: 'checkbox', checked: shown.has(key), onchange: (event) => {
    columns.choose(chosen(event.target.checked));
    if (event.target.checked) shown.add(key); else shown.delete(key);
    ordered();
  }});
  const pin = el('button', {type: 'button', class: 'pin', 'aria-pressed': String(isPinned), 'aria-label': `Pin ${title}`, title: 'Pin: first in the table, and it stays in sight', onclick: () => { columns.set(turned(columns.layout, key)); draw(); }}, isPinned ? '★' : '☆');
  return el('div', {class: 'column-row'}, el('label', {class: 'cut', title}, box, ` ${title}`), pin);
}
