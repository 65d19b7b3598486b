/** The columns of one table: which are shown, in which order, how wide, and which have bars. */
import {writeState} from '../core/state.js';
import {bestPart, exchanged, holding, keyWith, layoutOf, moved, stateOf, stepped, turned, without} from './layout.js';
import {nameText} from './tokens.js';
import {keepWidths, widthsKept, within} from './widths.js';

/**
 * @typedef {object} Hands of the page
 *   {changed(), order(), sort(key, descending?), filterBy(key), groupBy(key), canGroup(column), grid(), say(text)}
 */
export class Columns {
  /** @param {{cols: string[], pins: string[], bars: string[]}} state of the address @param {Hands} hands */
  constructor(state, hands) {
    Object.assign(this, {state, hands, known: new Map(), usual: [], widths: widthsKept()});
  }

  /** The columns that there are, and the keys of those that are shown where nobody chose. */
  take(all, usual) { Object.assign(this, {known: new Map(all.map((column) => [column.key, column])), usual}); }

  get all() { return [...this.known.values()]; }

  get layout() { return layoutOf(this.state, this.usual, this.known); }

  get shown() {
    const {pins, rest} = this.layout;
    return [...pins, ...rest].map((key) => this.known.get(key));
  }

  /** What a phone has room for: the status, and the first pinned metric. */
  get narrow() {
    const shown = this.shown;
    const first = this.layout.pins.map((key) => this.known.get(key)).find(({isNumber}) => isNumber) ?? shown.find(({kind}) => kind === 'metrics');
    return [this.known.get('status'), first].filter(Boolean);
  }

  /** @param {import('./layout.js').Layout} layout */
  set(layout) {
    const {cols, pins} = stateOf(layout, this.usual);
    Object.assign(this.state, {cols, pins});
    writeState({cols: cols.length ? cols : null, pins: pins.length ? pins : null});
    this.hands.changed();
  }

  choose(keys) { this.set(holding(this.layout, keys)); }

  reset() { this.set({pins: [], rest: this.usual}); }

  setBars(bars) {
    this.state.bars = bars;
    writeState({bars: bars.length ? bars : null});
    this.hands.changed();
  }

  /** Other figures in the places of some; order and bars go with them. @param {Map<string, string>} others */
  exchange(others) {
    const was = this.hands.order();
    this.state.bars = this.state.bars.map((key) => others.get(key) ?? key);
    writeState({bars: this.state.bars.length ? this.state.bars : null});
    this.set(exchanged(this.layout, others));
    if (others.has(was.key)) this.hands.sort(others.get(was.key), was.descending);
  }

  /** The same figure of every metric that is shown; `best` by the direction of each. */
  figures(part) {
    const metrics = this.shown.filter((column) => column.kind === 'metrics' && column.part !== 'steps');
    const wanted = (column) => (part === 'best' ? bestPart(column) ?? column.part : part);
    this.exchange(new Map(metrics.map((column) => [column.key, keyWith(column, wanted(column))]).filter(([, to]) => this.known.has(to))));
  }

  /** @param {number | null} width null for what the rows need @param {boolean} isLast of a movement */
  setWidth(key, width, isLast) {
    this.widths.delete(key);
    if (width !== null) this.widths.set(key, within(width));
    if (!isLast) return void this.hands.grid().widen(key, width);
    keepWidths(this.widths);
    return void this.hands.changed();
  }

  step(key, by) {
    const {shown} = this;
    this.set(stepped(this.layout, key, by));
    const at = this.shown.findIndex((column) => column.key === key);
    const isThere = shown[at].key === key;
    this.hands.say(isThere ? 'It is at the end of its part.' : `${this.known.get(key).title}: column ${at + 1} of ${shown.length}`);
  }

  /** What the heads of the table ask for. @returns {import('./heads.js').Acts} */
  get acts() {
    return {
      onSort: (key) => this.hands.sort(key),
      onMenu: (key, button) => this.menu(key, button),
      onStep: (key, by) => this.step(key, by),
      onMove: (key, gap) => this.set(moved(this.layout, key, gap)),
      onWidth: (key, width, isLast) => this.setWidth(key, width, isLast),
    };
  }

  async menu(key, button) {
    const {openColumn} = await import('./column_menu.js');
    const column = this.known.get(key);
    const {pins, rest} = this.layout;
    const part = pins.includes(key) ? pins : rest;
    const hasBars = this.state.bars.includes(key);
    const after = (act, to = () => key) => (...told) => { act(...told); setTimeout(() => this.hands.grid().heads.focus(to(...told))); };
    openColumn(button, {column, isPinned: part === pins, hasBars, isFirst: part[0] === key, isLast: part.at(-1) === key, canGroup: this.hands.canGroup(column)}, {
      sort: after((descending) => this.hands.sort(key, descending)),
      figure: after((other) => this.exchange(new Map([[key, other]])), (other) => other),
      figures: after((wanted) => this.figures(wanted)),
      bars: after(() => this.setBars(hasBars ? this.state.bars.filter((other) => other !== key) : [...this.state.bars, key])),
      pin: after(() => this.set(turned(this.layout, key))),
      step: after((by) => this.step(key, by)),
      filter: () => this.hands.filterBy(nameText(column.name)),
      group: () => this.hands.groupBy(key),
      fit: after(() => this.setWidth(key, null, true)),
      hide: () => this.set(without(this.layout, key)),
    });
  }
}
