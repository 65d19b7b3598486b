/** The state of a workspace: what the link carries, what follows from it, and who listens. */

import { ALL, Compared } from "../compare/data.js";
import { colorsFor } from "../compare/run_palette.js";
import { runColors } from "../core/colors.js";
import { readState, writeState } from "../core/state.js";
import { changesOf, chosenOf, drawnOf, matching, MOST_DRAWN } from "./choices.js";

const USUAL = { q: "", runs: null, x: "step", smooth: 0, log: false, logx: false, fit: false, table: false, at: [], group: "", band: "minmax", metrics: "", shut: [], zoom: [], colors: {} };

export class View {
  constructor(answer) {
    this.state = { ...readState(USUAL) };
    this.state.runs = chosenOf(this.state.runs);
    this.listeners = [];
    this.lifters = [];
    this.take(answer);
    this.state.colors = colorsFor(this.compared.ids, this.state.colors);
  }

  /** A new answer of `compare/columns`; the choice of runs stays. */
  take(answer) {
    this.compared = new Compared(answer);
    this.total = answer.total;
    this.generation = this.grown = answer.generation;
  }

  /** What became of some runs; who listens to "runs" is told where that is news. */
  keepStatus({ id: ids, status }) {
    const old = JSON.stringify(this.runs.status);
    ids.forEach((id, at) => (this.runs.status[this.compared.places.get(id)] = status[at]));
    if (JSON.stringify(this.runs.status) !== old) this.tell(["runs"]);
  }

  get runs() { return this.compared.runs; }
  get names() { return Object.keys(this.compared.metrics); }
  get drawn() { return drawnOf(this.compared.ids, this.state.runs); }
  /** Whether any of the drawn runs has a metric. */
  has(name) {
    const { last } = this.compared.metrics[name];
    return this.drawn.length === 0 || this.drawn.some((id) => last[this.compared.places.get(id)] !== null);
  }

  /** Where alerts fired on a metric; runs side by side show none. */
  flagsOf() { return []; }

  get listed() { return matching(this.runs, this.state.q); }
  /** Whether x is logarithmic: a time of day never is. */
  get isLogX() { return this.state.logx && this.state.x !== "wall"; }
  get isGrouped() { return Boolean(this.state.group); }

  /** The drawn runs that still run. */
  get running() {
    return this.drawn.filter((id) => this.runs.status[this.compared.places.get(id)] === "running");
  }

  get colors() { return runColors(this.drawn, this.state.colors); }

  /** The column that runs are grouped by, or ALL. */
  get groupKey() { return this.state.group === ALL ? ALL : `params.${this.state.group}`; }

  nameOf(id) { return this.runs.name[this.compared.places.get(id)]; }

  /** Another state; listeners hear which parts changed. */
  change(changes) {
    const parts = Object.keys(changes);
    Object.assign(this.state, changes);
    writeState(changesOf(this.state, USUAL));
    this.tell(parts);
  }

  tell(parts) {
    for (const { wanted, heard } of this.listeners) if (parts.some((part) => wanted.includes(part))) heard(parts);
  }

  on(wanted, heard) { this.listeners.push({ wanted, heard }); }

  toggle(id) {
    const drawn = this.drawn;
    this.change({ runs: drawn.includes(id) ? drawn.filter((other) => other !== id) : [...drawn, id] });
  }

  /** Draw these runs and no others. */
  draw(places) {
    this.change({ runs: places.map((at) => this.compared.ids[at]).slice(0, MOST_DRAWN) });
  }

  lift(id) { for (const heard of this.lifters) heard(id); }
  onLift(heard) { this.lifters.push(heard); }
}
