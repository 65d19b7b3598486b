/** What came since the table was drawn. It waits until it is asked for: nothing moves below a pointer. */
import {integer} from '../core/format.js';

const counted = (count, word) => `${integer(count)} ${word} ${count === 1 ? 'run' : 'runs'}`;

export class News {
  /** @param {HTMLButtonElement} button */
  constructor(button) { Object.assign(this, {button, fresh: new Map(), gone: new Set(), hasColumns: false, isMoved: false}); }

  clear() {
    this.fresh.clear();
    this.gone.clear();
    this.hasColumns = this.isMoved = false;
    this.button.hidden = true;
  }

  /** Whether only the server can show it. */
  get isElsewhere() { return this.fresh.size > 0 || this.gone.size > 0 || this.hasColumns; }

  /** @param {object} found by `patch` */
  take({strange, gone, left, hasColumns, table}) {
    for (const id of table.rowOf.keys()) this.gone.delete(id); // brought back
    for (const id of left) this.fresh.delete(id);
    for (const id of strange) this.fresh.set(id, table);
    for (const id of gone) this.gone.add(id);
    this.hasColumns ||= hasColumns;
  }

  /** Say what there is. @param {(table: object, id: string) => boolean} fits whether a run would be shown */
  tell(fits) {
    const count = [...this.fresh].filter(([id, table]) => fits(table, id)).length;
    this.button.hidden = !count && !this.gone.size && !this.hasColumns && !this.isMoved;
    const others = this.hasColumns ? 'New columns' : 'The order has changed';
    this.button.textContent = count ? `${counted(count, 'new')} – show` : `${this.gone.size ? counted(this.gone.size, 'deleted') : others} – update`;
  }
}
