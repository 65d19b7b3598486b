/** A table of any length: only the rows in sight are in the document. */
import {el} from '../core/dom.js';
import {cell} from './cells.js';
import {Heads} from './heads.js';
import {NAME, PICK, guessed, within} from './widths.js';

const ROW = 30;
const TALL = 40; // for fingers
const MARGIN = 6; // rows drawn beyond what is in sight
const NARROW = ['', 'auto', '106px', '94px']; // on a phone: name, status and one figure
const MOST_STUCK = 3; // pinned columns that stay in sight
const STUCK_SHARE = 0.55; // of the table's width that they may take
const VISIBLE = /[\p{L}\p{N}\p{P}\p{S}]/u;

/**
 * @typedef {number | {title: string, key: string, count: number, isFolded: boolean}} Entry a row of
 *   the table, or the head of a group
 * @typedef {object} View
 *   {table, columns, entries: Entry[], rows: number[], best: Map<string, number>, colors,
 *   selected: Set<string>, sort: {key, descending} | null, at: number, href: (id) => string,
 *   pins: number of columns that stay in sight, bars: Map<string, (value) => number | null>,
 *   widths: Map<string, number>, isNarrow: whether it is drawn for a phone}
 */
export class Grid {
  /** @param {HTMLElement} host @param {import('./heads.js').Acts} acts */
  constructor(host, acts) {
    this.colgroup = el('colgroup');
    this.head = el('tr', {'aria-rowindex': '1'});
    this.body = el('tbody');
    this.above = spacer();
    this.below = spacer();
    this.table = el('table', {class: 'grid'}, this.colgroup, el('thead', {}, this.head), this.body);
    this.scroll = el('div', {class: 'grid-scroll', tabindex: '0', role: 'region', 'aria-label': 'Table of runs'}, this.table);
    this.heads = new Heads(this.head, acts);
    this.frame = 0;
    this.body.addEventListener('pointerdown', () => this.held());
    this.scroll.addEventListener('scroll', () => this.later(), {passive: true});
    new ResizeObserver(() => this.later()).observe(this.scroll);
    host.replaceChildren(this.scroll);
    this.room = innerHeight - this.scroll.getBoundingClientRect().top;
  }

  /** Draw another view. @param {View} view */
  show(view) {
    this.view = view;
    this.shaped();
    this.heads.show(view);
    this.table.setAttribute('aria-rowcount', String(view.entries.length + 1));
    this.draw(true);
  }

  /** Columns keep their guessed width while the table is the same, whatever rows are shown. */
  shaped() {
    const {columns, table, rows, widths, isNarrow} = this.view;
    if (this.shape !== table) Object.assign(this, {shape: table, guesses: new Map()});
    for (const column of columns) if (!this.guesses.has(column.key)) this.guesses.set(column.key, guessed(column, table, rows));
    const all = [PICK, widths.get('name') ?? NAME, ...columns.map(({key}) => widths.get(key) ?? this.guesses.get(key))];
    this.colgroup.replaceChildren(...all.map((width, at) => el('col', {style: {width: isNarrow && at !== 0 ? NARROW[at] : `${width}px`}})), el('col', isNarrow ? {style: {width: '0'}} : {}));
    this.table.style.width = isNarrow ? '100%' : `max(100%, ${all.reduce((sum, width) => sum + width, 0)}px)`;
    this.stick(all);
  }

  /** Pinned columns stay where they are while the others go by, as far as there is room for both. */
  stick(widths) {
    const room = this.scroll.clientWidth * STUCK_SHARE;
    let left = widths[0] + widths[1];
    let stuck = 0;
    while (stuck < Math.min(this.view.pins, MOST_STUCK) && left + widths[stuck + 2] < room) {
      this.table.style.setProperty(`--pin-${stuck + 1}`, `${left}px`);
      left += widths[stuck + 2];
      stuck += 1;
    }
    this.table.dataset.stuck = String(stuck);
  }

  /** Draw a column wider or narrower, while a pointer still holds it. */
  widen(key, width) {
    const at = key === 'name' ? 1 : this.view.columns.findIndex((column) => column.key === key) + 2;
    const before = parseFloat(this.colgroup.children[at].style.width);
    const total = parseFloat(/[\d.]+(?=px\)?$)/.exec(this.table.style.width)?.[0]) + within(width) - before;
    this.colgroup.children[at].style.width = `${within(width)}px`;
    this.table.style.width = `max(100%, ${total}px)`;
  }

  /** How high the box is; it ends with its rows, and grows with those that are to be drawn. */
  get high() {
    const {clientHeight} = this.scroll;
    this.room = Math.max(this.room, clientHeight);
    return Math.max(clientHeight, Math.min(this.room, this.view.entries.length * this.tall));
  }

  get tall() { return this.view?.isNarrow ? TALL : ROW; }

  /** A row that went before it is let go would get no click: what is to be drawn meanwhile waits. */
  held() {
    const over = new AbortController();
    const end = () => {
      over.abort();
      this.isHeld = false;
      if (this.isLate) setTimeout(() => this.draw(true));
    };
    this.isHeld = true;
    for (const name of ['pointerup', 'pointercancel']) addEventListener(name, end, {signal: over.signal});
  }

  later() { this.frame ||= requestAnimationFrame(() => { this.frame = 0; this.draw(false); }); }

  draw(isNew) {
    if (!this.view) return;
    const {entries} = this.view;
    const first = Math.max(0, Math.floor(this.scroll.scrollTop / this.tall) - MARGIN);
    const last = Math.min(entries.length, Math.ceil((this.scroll.scrollTop + this.high) / this.tall) + MARGIN);
    if (!isNew && first === this.first && last === this.last) return;
    this.isLate = isNew && this.isHeld;
    if (this.isLate) return;
    const held = this.body.contains(document.activeElement) ? document.activeElement : null;
    const focus = held && {run: held.closest('tr')?.dataset.run, selector: held.tagName.toLowerCase()};
    if (isNew || first >= this.last || last <= this.first) this.drawAll(first, last);
    else this.drawEnds(first, last);
    Object.assign(this, {first, last});
    this.above.style.height = `${first * this.tall}px`;
    this.below.style.height = `${(entries.length - last) * this.tall}px`;
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
    const {table, columns, best, bars, colors, selected, at, href} = this.view;
    const id = table.data.ids[row];
    const isPicked = selected.has(id);
    const name = VISIBLE.test(table.data.names[row]) ? table.data.names[row] : id;
    const pick = el('td', {class: 'pick'}, el('input', {type: 'checkbox', checked: isPicked, 'aria-label': `Select ${name}`}));
    const dot = el('span', {class: 'dot', 'aria-hidden': 'true', style: {background: colors.get(id)?.color}});
    const cells = columns.map((column) => { const value = table.column(column.name)(row); return cell(column, value, best.has(column.key) && best.get(column.key) === value, bars.get(column.key)?.(value)); });
    return el('tr', {'data-run': id, 'aria-rowindex': String(place + 2), 'aria-selected': String(isPicked), class: at === place ? 'is-at' : ''},
      pick, el('th', {scope: 'row', class: 'name'}, el('span', {class: 'name-cell'}, dot, el('a', {href: href(id), title: name.slice(0, 500)}, name))), cells, el('td', {class: 'filler'}));
  }

  /** Scroll so that an entry is in sight. */
  reveal(place) {
    const top = place * this.tall;
    const room = this.scroll.clientHeight - this.tall * 2;
    if (top < this.scroll.scrollTop) this.scroll.scrollTop = top;
    else if (top > this.scroll.scrollTop + room) this.scroll.scrollTop = top - room;
  }
}

/** Stands for the rows that are out of sight. */
function spacer() { return el('tr', {class: 'spacer', 'aria-hidden': 'true'}); }
