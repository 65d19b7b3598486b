/** A table of any length: only the rows in sight are in the document. */
import {el} from '../core/dom.js';
import {cell, shown} from './cells.js';

const ROW = 30;
const MARGIN = 6; // rows drawn beyond what is in sight
const NAME = 230;
const NARROW = 160; // on a phone
const VISIBLE = /[\p{L}\p{N}\p{P}\p{S}]/u;
const SAMPLE = 40; // rows that a column's width is guessed from

/**
 * @typedef {number | {title: string, key: string, count: number, isFolded: boolean}} Entry a row of
 *   the table, or the head of a group
 * @typedef {object} View
 *   {table, columns, entries: Entry[], rows: number[], best: Map<string, number>, colors,
 *   selected: Set<string>, sort: {key, descending} | null, at: number, href: (id) => string}
 */
export class Grid {
  /** @param {HTMLElement} host @param {(key: string) => void} onSort */
  constructor(host, onSort) {
    this.colgroup = el('colgroup');
    this.head = el('tr', {'aria-rowindex': '1'});
    this.body = el('tbody');
    this.above = spacer();
    this.below = spacer();
    this.table = el('table', {class: 'grid'}, this.colgroup, el('thead', {}, this.head), this.body);
    this.scroll = el('div', {class: 'grid-scroll', tabindex: '0', role: 'region', 'aria-label': 'Table of runs'}, this.table);
    this.onSort = onSort;
    this.frame = 0;
    this.scroll.addEventListener('scroll', () => this.later(), {passive: true});
    new ResizeObserver(() => this.later()).observe(this.scroll);
    host.replaceChildren(this.scroll);
  }

  /** Draw another view. @param {View} view */
  show(view) {
    const columns = view.columns.map((column) => column.key).join('\n');
    this.view = view;
    if (this.columns !== columns || this.shape !== view.table) this.shaped(columns);
    this.heads();
    this.draw(true);
  }

  shaped(columns) {
    Object.assign(this, {columns, shape: this.view.table});
    const widths = [34, innerWidth < 640 ? NARROW : NAME, ...this.view.columns.map((column) => this.width(column))];
    this.colgroup.replaceChildren(...widths.map((width) => el('col', {style: {width: `${width}px`}})), el('col'));
    this.table.style.width = `max(100%, ${widths.reduce((sum, width) => sum + width, 0)}px)`;
  }

  width(column) {
    const {table, rows} = this.view;
    const get = table.column(column.name);
    const longest = rows.slice(0, SAMPLE).reduce((most, row) => Math.max(most, shown(column, get(row)).length), 0);
    const room = {status: 46, tags: 48}[column.key] ?? (column.direction ? 40 : column.isNumber ? 30 : 24);
    return Math.round(Math.min(220, Math.max(62, longest * (column.isNumber ? 8.6 : 7.3) + room, Math.min(column.title.length, 18) * 6.6 + 36)));
  }

  heads() {
    const {columns, selected, rows, table} = this.view;
    const chosen = rows.filter((row) => selected.has(table.data.ids[row])).length;
    const all = el('input', {type: 'checkbox', class: 'select-all', 'aria-label': 'Select all runs shown', checked: chosen > 0 && chosen === rows.length, indeterminate: chosen > 0 && chosen < rows.length});
    const name = {key: 'name', title: 'Name'};
    this.head.replaceChildren(el('th', {scope: 'col', class: 'pick'}, all), ...[name, ...columns].map((column) => this.headOf(column)), el('th', {class: 'filler', 'aria-hidden': 'true'}));
    this.table.setAttribute('aria-rowcount', String(this.view.entries.length + 1));
  }

  headOf(column) {
    const {sort} = this.view;
    const way = sort?.key === column.key ? (sort.descending ? 'descending' : 'ascending') : 'none';
    const arrow = way === 'none' ? null : el('span', {class: 'sort-arrow', 'aria-hidden': 'true'}, way === 'ascending' ? '↑' : '↓');
    const button = el('button', {type: 'button', title: column.title, onclick: () => this.onSort(column.key)}, el('span', {class: 'cut'}, column.title), arrow);
    return el('th', {scope: 'col', 'aria-sort': way, 'data-key': column.key, class: column.key === 'name' ? 'name' : column.isNumber ? 'number' : ''}, button);
  }

  later() { this.frame ||= requestAnimationFrame(() => { this.frame = 0; this.draw(false); }); }

  draw(isNew) {
    if (!this.view) return;
    const {entries} = this.view;
    const first = Math.max(0, Math.floor(this.scroll.scrollTop / ROW) - MARGIN);
    const last = Math.min(entries.length, Math.ceil((this.scroll.scrollTop + this.scroll.clientHeight) / ROW) + MARGIN);
    if (!isNew && first === this.first && last === this.last) return;
    const held = this.body.contains(document.activeElement) ? document.activeElement : null;
    const focus = held && {run: held.closest('tr')?.dataset.run, selector: held.tagName.toLowerCase()};
    if (isNew || first >= this.last || last <= this.first) this.drawAll(first, last);
    else this.drawEnds(first, last);
    Object.assign(this, {first, last});
    this.above.style.height = `${first * ROW}px`;
    this.below.style.height = `${(entries.length - last) * ROW}px`;
    if (focus?.run && !this.body.contains(held)) this.body.querySelector(`tr[data-run="${CSS.escape(focus.run)}"] ${focus.selector}`)?.focus({preventScroll: true});
  }

  drawAll(first, last) { this.body.replaceChildren(this.above, ...this.entries(first, last), this.below); }

  /** Only what came into sight is made, and only what left it goes: the other rows need no layout. */
  drawEnds(first, last) {
    const {above, below} = this;
    for (let place = this.first; place < first; place += 1) above.nextSibling.remove();
    for (let place = last; place < this.last; place += 1) below.previousSibling.remove();
    above.after(...this.entries(first, this.first));
    below.before(...this.entries(this.last, last));
  }

  entries(first, last) { return this.view.entries.slice(first, Math.max(first, last)).map((entry, place) => this.entry(entry, first + place)); }

  entry(entry, place) { return typeof entry === 'number' ? this.row(entry, place) : this.group(entry, place); }

  group({title, key, count, isFolded}, place) {
    const button = el('button', {type: 'button', class: 'fold', 'aria-expanded': String(!isFolded), 'data-key': key}, el('span', {class: 'fold-mark', 'aria-hidden': 'true'}, isFolded ? '▸' : '▾'), title, el('span', {class: 'muted'}, ` ${count}`));
    return el('tr', {class: 'group', 'aria-rowindex': String(place + 2)}, el('td', {colspan: String(this.view.columns.length + 3)}, button));
  }

  row(row, place) {
    const {table, columns, best, colors, selected, at, href} = this.view;
    const id = table.data.ids[row];
    const isPicked = selected.has(id);
    const name = VISIBLE.test(table.data.names[row]) ? table.data.names[row] : id;
    const pick = el('td', {class: 'pick'}, el('input', {type: 'checkbox', checked: isPicked, 'aria-label': `Select ${name}`}));
    const dot = el('span', {class: 'dot', 'aria-hidden': 'true', style: {background: colors.get(id)?.color}});
    const cells = columns.map((column) => { const value = table.column(column.name)(row); return cell(column, value, best.has(column.key) && best.get(column.key) === value); });
    return el('tr', {'data-run': id, 'aria-rowindex': String(place + 2), 'aria-selected': String(isPicked), class: at === place ? 'is-at' : ''},
      pick, el('th', {scope: 'row', class: 'name'}, el('span', {class: 'name-cell'}, dot, el('a', {href: href(id), title: name.slice(0, 500)}, name))), cells, el('td', {class: 'filler'}));
  }

  /** Scroll so that an entry is in sight. */
  reveal(place) {
    const top = place * ROW;
    const room = this.scroll.clientHeight - ROW * 2;
    if (top < this.scroll.scrollTop) this.scroll.scrollTop = top;
    else if (top > this.scroll.scrollTop + room) this.scroll.scrollTop = top - room;
  }
}

/** Stands for the rows that are out of sight. */
function spacer() { return el('tr', {class: 'spacer', 'aria-hidden': 'true'}); }
