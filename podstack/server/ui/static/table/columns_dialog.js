/** Which columns are shown, and which of them come first. */
import {dialog} from '../core/dialog.js';
import {el} from '../core/dom.js';
import {isDiffering} from './table.js';

const WORDS = {attribute: 'Facts', metrics: 'Metrics', params: 'Parameters'};

/**
 * @param {{all: object[], shown: string[], pins: string[], table: object}} now
 * @param {(shown: string[], pins: string[]) => void} onChange called at each change
 * @param {() => void} onReset
 */
export function openColumns({all, shown, pins, table}, onChange, onReset) {
  const chosen = new Set(shown);
  const first = new Set(pins);
  const differing = new Set(all.filter((column) => isDiffering(table, column)).map((column) => column.key));
  const find = el('input', {type: 'search', placeholder: 'Search columns', 'aria-label': 'Search columns', autofocus: true, autocomplete: 'off'});
  const only = el('input', {type: 'checkbox'});
  const list = el('div', {class: 'column-list'});
  const told = () => onChange(all.map((column) => column.key).filter((key) => chosen.has(key)), [...first]);
  const row = (column) => {
    const box = el('input', {type: 'checkbox', checked: chosen.has(column.key), onchange: () => { toggle(chosen, column.key); told(); }});
    const pin = el('button', {type: 'button', class: 'pin', 'aria-pressed': String(first.has(column.key)), 'aria-label': `Pin ${column.title}`, title: 'Pin: first in the table', onclick: () => { toggle(first, column.key); if (first.has(column.key)) chosen.add(column.key); told(); draw(); }}, first.has(column.key) ? '★' : '☆');
    return el('div', {class: 'column-row'}, el('label', {class: 'cut', title: column.title}, box, ` ${column.title}`), pin);
  };
  const draw = () => {
    const wanted = find.value.trim().toLowerCase();
    const rows = all.filter((column) => column.title.toLowerCase().includes(wanted) && (!only.checked || differing.has(column.key)));
    list.replaceChildren(...Object.entries(WORDS).flatMap(([kind, word]) => sectionOf(word, rows.filter((column) => column.kind === kind), row)));
    if (!rows.length) list.append(el('p', {class: 'muted'}, 'No column has that in its name.'));
  };
  find.addEventListener('input', draw);
  only.addEventListener('change', draw);
  draw();
  dialog({title: 'Columns', body: [el('div', {class: 'column-head'}, find, el('label', {}, only, ' Only differing')), list], actions: [
    {text: 'Usual columns', kind: 'plain', run: onReset}, {text: 'Done'},
  ]});
  find.focus();
}

const MOST = 300; // rows of a section; a search finds the others

function sectionOf(word, rows, row) {
  if (!rows.length) return [];
  const rest = rows.length > MOST ? [el('p', {class: 'muted small'}, `${rows.length - MOST} more: search for them`)] : [];
  return [el('h3', {}, word), el('div', {class: 'column-rows'}, rows.slice(0, MOST).map(row)), ...rest];
}

function toggle(set, key) { if (!set.delete(key)) set.add(key); }
