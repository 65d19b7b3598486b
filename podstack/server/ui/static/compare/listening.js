/** A state that panels listen to: who draws a part of it is told when that part changes. */

export class Listening {
  /** @param state by name; @param write what puts changes into the link */
  constructor(state, write) {
    Object.assign(this, { state, write, listeners: [], lifters: [], lifted: null, kept: {} });
    this.seen = new Set();
  }

  /**
   * Call `draw` now and whenever one of these parts of the state changes. With a host, only while
   * that is in sight: what changed meanwhile is drawn when it comes.
   */
  on(parts, draw, host = null) {
    const listener = { parts: new Set(parts), draw, host, isStale: true };
    this.listeners.push(listener);
    this.refresh(listener);
  }

  refresh(listener) {
    listener.isStale = listener.host !== null && !this.seen.has(listener.host);
    if (!listener.isStale) listener.draw(this);
  }

  /** A host came into sight, or went. */
  see(host, isSeen) {
    if (!isSeen) return void this.seen.delete(host);
    this.seen.add(host);
    for (const listener of this.listeners) {
      if (listener.host === host && listener.isStale) this.refresh(listener);
    }
  }

  /** Change parts of the state. @param options.reload whether the runs have to be asked for again */
  change(changes, { push = false, reload = false } = {}) {
    Object.assign(this.state, changes);
    this.forget();
    this.write(changes, { push });
    if (reload) return this.reload();
    this.redraw(Object.keys(changes));
  }

  /** Tell who listens to one of these parts; everybody, without any. */
  redraw(changed = null) {
    this.forget();
    for (const listener of [...this.listeners]) {
      if (!changed || changed.some((part) => listener.parts.has(part))) this.refresh(listener);
    }
  }

  /** A run is under the pointer, or none: `lift` is called with its place. */
  onLift(lift) {
    this.lifters.push(lift);
  }

  lift(run) {
    if (run === this.lifted) return;
    this.lifted = run;
    for (const lift of this.lifters) lift(run);
  }

  forget() {
    this.kept = {};
  }

  once(name, make) {
    if (!(name in this.kept)) this.kept[name] = make();
    return this.kept[name];
  }
}
