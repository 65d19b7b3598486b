/** The heads of the columns: order, menu, place and width, by pointer and by keyboard. */
import {el} from '../core/dom.js';

const STEP = 16; // pixels of a width for each key

/**
 * @typedef {object} Acts
 *   {onSort(key), onMenu(key, button), onStep(key, by), onMove(key, gap), onWidth(key, width | null, isLast)}
 */
export class Heads {
  /** @param {HTMLElement} row @param {Acts} acts */
  constructor(row, acts) {
    Object.assign(this, {row, acts, drawn: ''});
    this.all = el('input', {type: 'checkbox', class: 'select-all', 'aria-label': 'Select all runs shown'});
    row.dataset.keys = 'head';
    row.addEventListener('click', (event) => this.clicked(event));
    row.addEventListener('contextmenu', (event) => this.asked(event));
    row.addEventListener('keydown', (event) => this.pressed(event));
    row.addEventListener('pointerenter', () => import('./head_drag.js').then(({follow}) => { this.follow = follow; row.dataset.carries = ''; }), {once: true});
    row.addEventListener('pointerdown', (event) => this.follow?.(event, this));
    row.addEventListener('dblclick', (event) => { if (event.target.closest('.head-grip')) acts.onWidth(keyOf(event), null, true); });
  }

  /** Draw the heads of a view, unless they are there. */
  show({columns, sort, bars, selected, rows, table}) {
    const chosen = selected.size ? rows.filter((row) => selected.has(table.data.ids[row])).length : 0;
    Object.assign(this.all, {checked: chosen > 0 && chosen === rows.length, indeterminate: chosen > 0 && chosen < rows.length});
    const drawn = JSON.stringify([columns.map(({key}) => key), sort, [...bars.keys()]]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const held = this.row.contains(document.activeElement) ? document.activeElement.closest('th')?.dataset.key : null;
    const heads = [{key: 'name', title: 'Name'}, ...columns].map((column) => headOf(column, sort));
    this.row.replaceChildren(el('th', {scope: 'col', class: 'pick'}, this.all), ...heads, el('th', {class: 'filler', 'aria-hidden': 'true'}));
    if (held) this.focus(held);
  }

  focus(key) { this.of(key)?.querySelector('.head-sort').focus(); }

  of(key) { return this.row.querySelector(`th[data-key="${CSS.escape(key)}"]`); }

  clicked(event) {
    const key = keyOf(event);
    if (event.target.closest('.head-menu')) this.acts.onMenu(key, event.target.closest('.head-menu'));
    else if (event.target.closest('.head-sort')) this.acts.onSort(key);
  }

  asked(event) {
    const key = keyOf(event);
    if (!key || key === 'name') return;
    event.preventDefault();
    this.acts.onMenu(key, this.of(key).querySelector('.head-menu'));
  }

  pressed(event) {
    const key = keyOf(event);
    if (!event.altKey || !key || !/^Arrow/.test(event.key)) return;
    event.preventDefault();
    const by = {ArrowLeft: -1, ArrowRight: 1}[event.key] ?? 0;
    if (event.shiftKey && by) this.acts.onWidth(key, this.of(key).offsetWidth + by * STEP, true);
    else if (key === 'name') return;
    else if (by) this.acts.onStep(key, by);
    else this.acts.onMenu(key, this.of(key).querySelector('.head-menu'));
  }
}

const keyOf = (event) => event.target.closest('th')?.dataset.key;

function headOf(column, sort) {
  const {key, title, isNumber} = column;
  const way = sort?.key === key ? (sort.descending ? 'descending' : 'ascending') : 'none';
  const arrow = way === 'none' ? null : el('span', {class: 'sort-arrow', 'aria-hidden': 'true'}, way === 'ascending' ? '↑' : '↓');
  const sorts = el('button', {type: 'button', class: 'head-sort', title, 'aria-keyshortcuts': key === 'name' ? null : 'Alt+ArrowLeft Alt+ArrowRight Alt+ArrowDown'}, el('span', {class: 'cut'}, title), arrow);
  const menu = key === 'name' ? null : el('button', {type: 'button', class: 'head-menu', tabindex: '-1', 'aria-haspopup': 'menu', 'aria-label': `Menu of ${title}`}, '▾');
  const kind = key === 'name' ? 'name' : isNumber ? 'number' : '';
  return el('th', {scope: 'col', 'aria-sort': way, 'data-key': key, class: kind}, sorts, menu, el('span', {class: 'head-grip', 'aria-hidden': 'true'}));
}
