/** The buckets of the drawn runs: fetched once for each metric and zoom, six metrics at a time. */

import { real } from "../compare/data.js";
import { get } from "../core/api.js";
import { runColors } from "../core/colors.js";

const BUCKETS = 300;
export const TIMES = new Set(["relative", "wall"]);

export class Curves {
  constructor(view) {
    this.view = view;
    this.known = new Map(); // metric → run id → its buckets, or null
    this.key = "";
    this.status = {}; // of the runs that were asked for last, by id
    this.asking = new Set(); // for each question: the ids that were not forgotten since
    this.late = new Set(); // ids that were forgotten while they were asked for
  }

  /** What the server is asked of the x axis: which, from where to where, and how it is divided. */
  get window() {
    const { x, zoom } = this.view.state;
    const edges = zoom.length && x === "step" ? [Math.floor(zoom[0]), Math.ceil(zoom[1])] : zoom;
    return {
      axis: TIMES.has(x) ? x : undefined, x: TIMES.has(x) || x === "step" ? undefined : x,
      start: edges[0], stop: edges[1], around: zoom.length > 0 || undefined, log: this.view.isLogX || undefined,
    };
  }

  /** Forget what another zoom or another x axis was asked for. */
  settle() {
    const key = JSON.stringify(this.window);
    if (key !== this.key) this.known.clear();
    this.key = key;
  }

  /** Some runs have more points by now: they are asked for again. */
  forget(ids) {
    for (const some of [...this.known.values(), ...this.asking]) for (const id of ids) some.delete(id);
  }

  /** What came late was drawn, which a slow server must not prevent; it is asked for again. */
  forgetLate() {
    this.forget(this.late);
    this.late.clear();
  }

  /** Whether a chart can be drawn. */
  has(name) {
    return (!this.view.isGrouped || this.grouping !== undefined) && this.view.drawn.every((id) => this.known.get(name)?.has(id));
  }

  /** What makes groups of runs comes with the first of them. */
  async learnGrouping() { this.grouping ??= await import("../compare/grouping.js"); }

  /** Ask for what lacks of some metrics; `ids` are asked for again, whatever is known. */
  async fetch(names, ids = []) {
    if (this.view.isGrouped) await this.learnGrouping();
    const lacks = (id) => names.some((name) => !this.known.get(name)?.has(id));
    const wanted = [...new Set([...this.view.drawn.filter(lacks), ...ids])];
    if (!wanted.length) return false;
    const { key } = this;
    const asked = new Set(wanted);
    this.asking.add(asked);
    const { series, status } = await get("/series", { runs: wanted, names, buckets: BUCKETS, ...this.window }).finally(() => this.asking.delete(asked));
    this.status = status;
    if (key !== this.key) return false;
    const late = wanted.filter((id) => !asked.has(id) && lacks(id)); // what is known of the others is newer
    for (const id of late) this.late.add(id);
    return this.keep(names, [...asked, ...late], series);
  }

  /** Whether anything is other than before. */
  keep(names, ids, series) {
    let isNew = false;
    for (const name of names) {
      if (!this.known.has(name)) this.known.set(name, new Map());
      for (const id of ids) {
        const told = series[id]?.[name] ? { ...series[id][name], axis: this.view.state.x } : null;
        isNew ||= JSON.stringify(this.known.get(name).get(id) ?? null) !== JSON.stringify(told);
        this.known.get(name).set(id, told);
      }
    }
    return isNew;
  }

  /** What a chart draws: a curve for each run, or for each group of runs. */
  of(name) {
    const known = this.known.get(name) ?? new Map();
    const ids = this.view.drawn.filter((id) => known.get(id)?.x.length);
    return this.view.isGrouped ? this.groups(known, ids) : this.single(known, ids);
  }

  single(known, ids) {
    const { colors } = this.view;
    return ids.map((id) => ({ id, label: this.view.nameOf(id), ...colors.get(id), ...known.get(id) }));
  }

  groups(known, ids) {
    const { compared, state } = this.view;
    const found = [...this.grouping.groupsOf(this.view, this.view.groupKey, ids.map((id) => compared.places.get(id)))];
    const colors = runColors(found.map(([label]) => label));
    const series = found.map(([label, runs]) => {
      const curves = runs.map((at) => known.get(compared.ids[at]));
      const columns = this.grouping.grouped(curves.map((one) => ({ x: one.x, mean: one.mean.map(real) })), state.band);
      return { id: label, label: `${label} (${runs.length})`, ...colors.get(label), ...columns, axis: state.x, time: columns.x, count: columns.x.map(() => 1), odd: null };
    });
    return series.filter(({ x }) => x.length);
  }
}
