/** Which runs are selected, by id: it outlives every sort, filter and refresh. */
export class Selection {
  /** @param {string[]} ids @param {() => void} onChange */
  constructor(ids, onChange) {
    this.ids = new Set(ids);
    this.onChange = onChange;
    this.anchor = -1;
  }

  get size() { return this.ids.size; }

  has(id) { return this.ids.has(id); }

  /** Turn one over; with `isRange` all from the last one to it become as it. @param {string[]} shown ids in order */
  toggle(shown, place, isRange) {
    const wanted = !this.ids.has(shown[place]);
    const from = isRange && this.anchor >= 0 ? Math.min(this.anchor, place) : place;
    const to = isRange && this.anchor >= 0 ? Math.max(this.anchor, place) : place;
    this.set(shown.slice(from, to + 1), wanted);
    this.anchor = place;
  }

  set(ids, wanted) {
    for (const id of ids) {
      if (!id) continue;
      if (wanted) this.ids.add(id);
      else this.ids.delete(id);
    }
    this.onChange();
  }

  clear() {
    this.ids.clear();
    this.anchor = -1;
    this.onChange();
  }
}
