/** What came since the table was drawn. It waits until it is asked for: nothing moves below a pointer. */
import {integer} from '../core/format.js';

const counted = (count, word) => `${integer(count)} ${word} ${count === 1 ? 'run' : 'runs'}`;

export class News {
  /** @param {HTMLButtonElement} button */
  constructor(button) { Object.assign(this, {button, fresh: new Map(), gone: new Set(), isMoved: false}); }

  clear() {
    this.fresh.clear();
    this.gone.clear();
    this.isMoved = false;
    this.button.hidden = true;
  }

  /** @param {{strange: string[], gone: string[], table: object}} found by `patch` */
  take({strange, gone, table}) {
    for (const id of strange) this.fresh.set(id, table);
    for (const id of gone) this.gone.add(id);
  }

  /** Say what there is. @param {(table: object, id: string) => boolean} fits whether a run would be shown */
  tell(fits) {
    const count = [...this.fresh].filter(([id, table]) => fits(table, id)).length;
    this.button.hidden = !count && !this.gone.size && !this.isMoved;
    this.button.textContent = count ? `${counted(count, 'new')} – show` : this.gone.size ? `${counted(this.gone.size, 'deleted')} – update` : 'The order has changed – update';
  }
}
