/** The shown columns in their order, to be carried by mouse or finger and stepped by keys. */
import {carries} from '../core/carry.js';
import {clear, el, on} from '../core/dom.js';
import {moved} from './layout.js';

const STEPS = {ArrowUp: -1, ArrowDown: 1};

/**
 * @param {import('./columns.js').Columns} columns changed at once
 * @param {() => void} changed tells who else shows the columns
 * @returns {{element: HTMLElement, draw: () => void}}
 */
export function columnOrder(columns, changed) {
  const list = el('ol', {class: 'order-rows', 'aria-label': 'Shown columns in their order'});
  const said = el('p', {class: 'visually-hidden', role: 'status'});
  const draw = () => {
    const focused = document.activeElement?.closest?.('.order-row')?.dataset.key;
    const act = document.activeElement?.dataset?.act;
    clear(list).append(...columns.shown.map((column, at, all) => rowOf(column, at, all.length, columns.layout.pins.length)));
    if (focused) list.querySelector(`[data-key="${CSS.escape(focused)}"] [data-act="${act}"]`)?.focus();
  };
  const move = (key, gap) => {
    columns.set(moved(columns.layout, key, gap));
    draw();
    changed();
    said.textContent = placeOf(columns, key);
  };
  const step = (key, by) => {
    const at = columns.shown.findIndex((column) => column.key === key);
    if (at + by < 0 || at + by >= columns.shown.length) said.textContent = `${placeOf(columns, key)}, the ${by < 0 ? 'first' : 'last'}`;
    else move(key, by < 0 ? at - 1 : at + 2);
  };
  carries(list, {items: '.order-row', grip: '.grip', isColumn: true, onMove: ({dataset: {key}}, gap) => move(key, gap)});
  on(list, 'click', '[data-act]', (_, button) => step(button.closest('li').dataset.key, STEPS[button.dataset.act]));
  list.addEventListener('keydown', (event) => {
    const row = event.target.closest('.order-row');
    if (!row || !event.altKey || !STEPS[event.key]) return;
    event.preventDefault();
    step(row.dataset.key, STEPS[event.key]);
  });
  draw();
  return {element: el('div', {class: 'column-order'}, el('h3', {}, 'Order'), list, el('p', {class: 'muted small'}, 'Drag a row, or Alt ↑ ↓ on it.'), said), draw};
}

/** `val_acc: 3 of 12, pinned` */
function placeOf(columns, key) {
  const at = columns.shown.findIndex((column) => column.key === key);
  return `${columns.known.get(key).title}: column ${at + 1} of ${columns.shown.length}${at < columns.layout.pins.length ? ', pinned' : ''}`;
}

function rowOf({key, title}, at, count, pins) {
  const button = (act, word, face, isEnd) => el('button', {type: 'button', class: 'pin', dataset: {act}, 'aria-disabled': String(isEnd), 'aria-label': `Move ${title} ${word}`, title: `Move ${word} (Alt ${face})`}, face);
  return el('li', {class: 'order-row', dataset: {key}}, el('span', {class: 'grip', 'aria-hidden': 'true'}),
    el('span', {class: 'cut', title}, title), at < pins ? el('span', {class: 'muted small', title: 'Pinned'}, '★') : null,
    button('ArrowUp', 'up', '↑', at === 0), button('ArrowDown', 'down', '↓', at === count - 1));
}
