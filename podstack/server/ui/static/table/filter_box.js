/** The filter box: completion, and a line below what could not be read. */
import {clear, el} from '../core/dom.js';
import {completions} from './completion.js';

export class FilterBox {
  /**
   * @param {HTMLElement} host with an input, a ghost and a list
   * @param {{onChange: (text: string) => void, known: () => {names, table} | null}} options
   */
  constructor(host, {onChange, known}) {
    Object.assign(this, {onChange, known, at: -1, found: {from: 0, words: []}});
    [this.input, this.ghost, this.list] = ['input', '.filter-ghost', '.filter-list'].map((selector) => host.querySelector(selector));
    this.input.addEventListener('input', () => { this.onChange(this.input.value); this.suggest(); });
    this.input.addEventListener('focus', () => this.suggest());
    this.input.addEventListener('blur', () => this.close());
    this.input.addEventListener('scroll', () => { this.ghost.scrollLeft = this.input.scrollLeft; });
    this.input.addEventListener('keydown', (event) => this.pressed(event));
    this.list.addEventListener('pointerdown', (event) => this.clicked(event));
  }

  /** Underline parts of the text. @param {{from: number, to: number, message: string}[]} marks */
  mark(marks) {
    const text = this.input.value;
    let done = 0;
    clear(this.ghost);
    for (const {from, to} of marks) {
      this.ghost.append(text.slice(done, from), el('u', {}, text.slice(from, to)));
      done = to;
    }
    this.ghost.scrollLeft = this.input.scrollLeft;
  }

  suggest() {
    const known = this.known();
    const caret = this.input.selectionStart;
    const isInside = caret < this.input.value.length && /\S/.test(this.input.value[caret]);
    this.found = known && !isInside ? completions(this.input.value.slice(0, caret), known.names, known.table) : {from: 0, words: []};
    this.at = -1;
    this.drawList();
  }

  drawList() {
    const {words} = this.found;
    const options = words.map((word, place) => el('li', {role: 'option', id: `filter-${place}`, 'aria-selected': String(place === this.at)}, word));
    this.list.replaceChildren(...options);
    this.list.hidden = !words.length;
    this.input.setAttribute('aria-expanded', String(words.length > 0));
    if (this.at < 0) this.input.removeAttribute('aria-activedescendant');
    else this.input.setAttribute('aria-activedescendant', `filter-${this.at}`);
  }

  close() {
    this.found = {from: 0, words: []};
    this.at = -1;
    this.drawList();
  }

  pressed(event) {
    const {words} = this.found;
    if (event.key === 'Escape') return this.escaped(event);
    if (event.key === 'Enter' && this.at < 0) return this.close();
    if (!words.length) return undefined;
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') return this.moved(event, event.key === 'ArrowDown' ? 1 : -1);
    if (event.key === 'Enter' || (event.key === 'Tab' && !event.shiftKey && this.at >= 0)) return this.taken(event, words[this.at]);
    return undefined;
  }

  escaped(event) {
    if (this.list.hidden) return this.input.blur();
    event.preventDefault();
    return this.close();
  }

  moved(event, by) {
    event.preventDefault();
    const count = this.found.words.length;
    this.at = this.at < 0 && by < 0 ? count - 1 : (this.at + by + count) % count;
    this.drawList();
  }

  clicked(event) {
    const option = event.target.closest('[role=option]');
    if (option) this.taken(event, option.textContent);
  }

  taken(event, word) {
    event.preventDefault();
    const rest = this.input.value.slice(this.input.selectionStart);
    const text = `${this.input.value.slice(0, this.found.from)}${word}${word.endsWith('(') ? '' : ' '}`;
    this.input.value = text + rest.trimStart();
    this.input.setSelectionRange(text.length, text.length);
    this.onChange(this.input.value);
    this.suggest();
  }
}
