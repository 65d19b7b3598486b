/**
 * What the page shows, as one object: the compared runs, the state that its link carries, and all
 * that follows from the two. Panels ask it, tell it, and listen to it.
 */

import { brushed, Compared, textOf } from "./data.js";
import { dimension, position } from "./dimensions.js";
import { importance } from "./importance.js";
import { Listening } from "./listening.js";

/** The state and its defaults. What is equal to its default is not in the link. */
export const DEFAULTS = {
  runs: [], experiment: "", q: "", // which runs
  base: "", hide: [], order: [], // the strip; `order` where `runs` does not say it
  all: false, flip: "", figure: "best", sort: "", // tables; sort is a column, "-" before it turns it
  obj: "", use: "best", // the objective
  axes: [], inv: [], brush: {}, // parallel coordinates
  curves: [], x: "step", smooth: 0, log: false, group: "", band: "minmax",
  sx: "", sy: "", sc: "", ss: "", logx: "auto", logy: "auto", // scatter
  bar: "", // bars
  text: "", with: "", // texts side by side
  zoom: [], colors: {}, // curves; the colours chosen by hand, as slots by run
};

const MOST_AXES = 9;
export const MANY = 20; // runs past which charts come first and labels go
export const COLORED = 10; // runs that have a colour of their own; more are coloured by value

export class View extends Listening {
  /**
   * @param state as DEFAULTS; @param write what puts changes into the link
   * @param palette {forRuns(ids, chosen) → Map of {color, dash}, shade(share) → colour}
   */
  constructor(state, write, palette) {
    super(state, write);
    Object.assign(this, { palette, growers: [] });
  }

  /** A new answer of the server. */
  load(answer) {
    this.compared = new Compared(answer, this.state.use);
    this.total = answer.total;
    this.missing = answer.missing;
    this.generation = answer.generation;
    this.forget();
    if (answer.changed) for (const heard of this.growers) heard(answer.changed);
  }

  /** An answer about changes. A server that was started anew knows of none: any run may have grown. */
  take(answer) {
    this.load({ ...answer, changed: answer.changed ?? answer.runs.id });
  }

  /** Be told which runs were written since. */
  onGrowth(heard) {
    this.growers.push(heard);
  }

  /** Whether any run is still being written. */
  get isRunning() {
    return this.compared.runs.status.includes("running");
  }

  change(changes, options) {
    if ("use" in changes) this.compared.use = changes.use;
    return super.change(changes, options);
  }

  // What follows from the state -------------------------------------------------------------

  /** All runs in the order of the strip. */
  get ordered() {
    return this.once("ordered", () => {
      const { places, all } = this.compared;
      const wanted = this.state.runs.length ? this.state.runs : this.state.order;
      const first = wanted.map((id) => places.get(id)).filter((at) => at !== undefined);
      const named = new Set(first);
      return [...first, ...all.filter((run) => !named.has(run))];
    });
  }

  get hidden() {
    return this.once("hidden", () => new Set(this.state.hide));
  }

  /** Runs whose eye is open. */
  get visible() {
    return this.once("visible", () => this.ordered.filter((run) => !this.hidden.has(this.idOf(run))));
  }

  /** Visible runs that pass all brushes: what scatter, bars, curves and tables show. */
  get selected() {
    return this.once("selected", () => brushed(this.compared, this.visible, this.state.brush));
  }

  get hasBrush() {
    return Object.keys(this.state.brush).length > 0;
  }

  /** The run that others are measured against: the one chosen, else the first that is visible. */
  get baseline() {
    const chosen = this.compared.places.get(this.state.base);
    return chosen ?? this.visible[0] ?? this.ordered[0];
  }

  /** The column that rows are sorted by, and whether it falls: of many runs the objective, best first. */
  get sort() {
    const { sort } = this.state;
    if (sort) return { key: sort.replace(/^-/, ""), falls: sort.startsWith("-") };
    if (this.selected.length <= MANY || !this.objective) return null;
    return { key: this.objective, falls: this.direction !== "minimize" };
  }

  /** The runs of the tables: the baseline, then the selected ones as they are sorted. */
  get rows() {
    return this.once("rows", () => {
      const { baseline, sort } = this;
      if (baseline === undefined) return [];
      const others = this.selected.filter((run) => run !== baseline);
      if (sort) others.sort((a, b) => inOrder(this.compared.value(sort.key, a), this.compared.value(sort.key, b), sort.falls));
      return [baseline, ...others];
    });
  }

  idOf(run) {
    return this.compared.ids[run];
  }

  nameOf(run) {
    return this.compared.runs.name[run] || this.idOf(run);
  }

  /** The column that the panels explain: the one chosen, else what the runs are judged by; null without metrics. */
  get objective() {
    const { metrics, objective } = this.compared;
    const name = metrics[this.state.obj] ? this.state.obj : objective;
    return metrics[name] ? `metrics.${name}` : null;
  }

  /** "minimize" or "maximize"; undefined where the name does not say. */
  get direction() {
    return this.objective ? this.compared.directions[this.objective.slice(8)] ?? undefined : undefined;
  }

  /** Which parameter mattered among the selected runs. */
  get importance() {
    return this.once("importance", () => this.importanceOf(this.selected));
  }

  importanceOf(runs) {
    if (this.objective) return importance(this.compared, runs, this.objective);
    return { found: [], runs: 0, reason: "These runs have no metric to explain." };
  }

  /** The axis of a column over the visible runs. */
  axis(key, scale = "auto") {
    return this.once(`axis ${scale} ${key}`, () => dimension(key, this.compared.values(key, this.visible), scale));
  }

  /** Every column that could be an axis. */
  get columns() {
    return this.once("columns", () => [
      ...Object.keys(this.compared.params).map((name) => `params.${name}`),
      ...Object.keys(this.compared.metrics).map((name) => `metrics.${name}`),
    ]);
  }

  /** The axes of the parallel coordinates: those chosen, else the ones that tell most. */
  get axes() {
    return this.once("axes", () => {
      const known = new Set(this.columns);
      const chosen = this.state.axes.filter((key) => known.has(key));
      return chosen.length ? chosen : this.defaultAxes();
    });
  }

  defaultAxes() {
    const tells = (key) => !this.axis(key).constant && !this.axis(key).crowded;
    let params = this.columns.filter((key) => key.startsWith("params.") && tells(key));
    if (params.length > MOST_AXES - 1) {
      const { found } = this.importanceOf(this.visible); // not of the brushed: axes must not jump
      const best = new Set(found.slice(0, MOST_AXES - 1).map(({ key }) => key));
      params = params.filter((key) => best.has(key));
    }
    return this.objective ? [...params, this.objective] : params;
  }

  // Colours ---------------------------------------------------------------------------------

  /** Whether runs have colours of their own here; past ten they are coloured by value. */
  get isColored() {
    return this.visible.length <= COLORED;
  }

  get styles() {
    return this.once("styles", () => this.palette.forRuns(this.ordered.map((run) => this.idOf(run)), this.state.colors));
  }

  /** {color, dash} of a run. */
  styleOf(run) {
    return this.styles.get(this.idOf(run));
  }

  /** A Map from texts to {color, dash}, for groups of runs. */
  stylesFor(labels) {
    return this.palette.forRuns(labels);
  }

  /** Run → colour, by its place among the values of a column; null where it has none. */
  colorBy(key) {
    const axis = this.axis(key);
    return (run) => {
      const share = position(axis, this.compared.value(key, run));
      return share === null ? null : this.palette.shade(share);
    };
  }

  /** Run → colour: its own where there are few, else by the objective, the better the brighter. */
  colorOfRun() {
    const { shade, color } = this.shading();
    return (run) => {
      const share = shade(run);
      return share === null ? null : color(share);
    };
  }

  /** What lines are coloured by: `shade` of a run (a share, a text, or null), `color` of a shade. */
  shading() {
    if (this.isColored) return { shade: (run) => this.idOf(run), color: (id) => this.styles.get(id).color };
    const axis = this.objective && this.axis(this.objective);
    const share = (run) => axis && position(axis, this.compared.value(this.objective, run));
    const isLow = this.direction === "minimize";
    const shade = (run) => (share(run) === null || !isLow ? share(run) : 1 - share(run));
    return { shade, color: (value) => this.palette.shade(value) };
  }
}

/** Numbers by size, then texts; what is missing or no number comes last either way. */
function inOrder(a, b, falls) {
  const lacks = (value) => value === undefined || Number.isNaN(value);
  if (lacks(a) || lacks(b)) return lacks(a) - lacks(b);
  const isNumber = typeof a === "number" && typeof b === "number";
  const order = isNumber ? a - b : textOf(a).localeCompare(textOf(b), "en", { numeric: true });
  return falls ? -order : order;
}
