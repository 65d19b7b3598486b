/** All parameters of all trials at once, the objective last; brushes leave trials of the table. */

import { ParallelChart } from "../charts/parallel.js";
import { shareOf } from "../charts/heatmap.js";
import { passes, textOf, words } from "../compare/data.js";
import { dimension } from "../compare/dimensions.js";
import { shadeOf } from "../compare/shades.js";
import { el } from "../core/dom.js";
import { number } from "../core/format.js";
import { axisOf } from "./axes.js";
import { empty, NO_VALUE, tipOf } from "./parts.js";
import { isRanked, namesOf, valueOf } from "./trials.js";

const VALUE = "\0value"; // no parameter's name
const MOST = 10; // axes of parameters

/** By name, where `__proto__` is one like any other. */
const bare = (pairs) => Object.assign(Object.create(null), pairs);

export class ParallelPanel {
  /** @param calls {onLift, onOpen, onSelect(Set<number> | null)} */
  constructor(host, calls) {
    Object.assign(this, { host, calls, chart: null, order: null, inverted: new Set(), brushes: bare({}) });
  }

  update(seen) {
    this.seen = seen;
    const trials = seen.sweep.trials.filter(isRanked);
    const axes = trials.length < 2 ? [] : this.axes(trials);
    if (axes.length < 2) return this.clear(trials.length);
    this.trials = new Map(trials.map((trial) => [trial.number, trial]));
    if (!this.chart) this.frame();
    this.chart.setData(this.data(axes));
    this.drawChips(axes);
    this.host.dataset.state = "ready";
    return undefined;
  }

  frame() {
    const scroll = el("div", { class: "scroll", tabindex: "-1" });
    this.chips = el("div", { class: "chips" });
    this.host.replaceChildren(scroll, this.chips);
    this.chart = new ParallelChart(scroll, {
      onLift: this.calls.onLift,
      onOpen: this.calls.onOpen,
      onBrush: (key, brush) => this.brush(key, brush),
      onOrder: (keys) => { this.order = keys; this.update(this.seen); },
      onInvert: (key) => { if (!this.inverted.delete(key)) this.inverted.add(key); this.update(this.seen); },
    });
  }

  axes(trials) {
    const { sweep, order } = this.seen;
    const names = namesOf(trials);
    const ranked = [...order.filter((name) => names.includes(name)), ...names.filter((name) => !order.includes(name))];
    const made = ranked.map((name) => axisOf(sweep, name, trials.map((trial) => valueAt(trial, name)))).filter(({ constant, crowded }) => !constant && !crowded).slice(0, MOST);
    made.push({ ...dimension("metrics.value", trials.map(valueOf), "linear"), key: VALUE, title: sweep.objective.metric });
    const wanted = this.order ?? [];
    const place = ({ key }) => (wanted.includes(key) ? wanted.indexOf(key) : key === VALUE ? wanted.length + 1 : wanted.length);
    return made.sort((a, b) => place(a) - place(b));
  }

  data(axes) {
    const { sweep } = this.seen;
    const value = (key, at) => valueAt(this.trials.get(at), key);
    const runs = [...this.trials.keys()];
    const values = runs.map((at) => value(VALUE, at));
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const isMinimized = sweep.objective.direction === "minimize";
    const isDark = document.documentElement.dataset.theme === "dark";
    const selected = this.selected();
    return {
      axes: axes.map((axis) => ({ ...axis, isInverted: this.inverted.has(axis.key), words: this.brushes[axis.key] ? `Brushed: ${words(this.brushes[axis.key], number, textOf)}.` : "" })),
      runs, selected, value, brushes: this.brushes, name: (at) => `trial ${at}`,
      shade: (at) => (this.trials.get(at).pruned ? null : shareOf(value(VALUE, at), low, high, isMinimized)),
      color: (share) => shadeOf(share, isDark), tip: (at) => tipOf(sweep, at),
      label: `${runs.length} trials over ${axes.map(({ title }) => title).join(", ")}; ${selected.size} selected`,
    };
  }

  selected() {
    const all = Object.entries(this.brushes);
    return new Set([...this.trials.values()].filter((trial) => all.every(([key, brush]) => passes(brush, valueAt(trial, key)))).map(({ number: at }) => at));
  }

  brush(key, brush) {
    const { [key]: _, ...rest } = this.brushes;
    this.brushes = bare(brush ? { ...rest, [key]: brush } : rest);
    this.update(this.seen);
    this.calls.onSelect(Object.keys(this.brushes).length ? this.selected() : null);
  }

  clearBrushes() {
    this.brushes = bare({});
    this.update(this.seen);
    this.calls.onSelect(null);
  }

  drawChips(axes) {
    const chips = Object.entries(this.brushes).map(([key, brush]) => {
      const text = `${axes.find((axis) => axis.key === key)?.title ?? key}: ${words(brush, number, textOf)}`;
      return el("button", { type: "button", class: "brush-chip", "aria-label": `Take away the brush ${text}`, onclick: () => this.brush(key, null) }, text, el("span", { "aria-hidden": "true" }, " ×"));
    });
    const hint = el("span", { class: "muted small" }, "Drag on an axis to keep a stretch of it, drag a title to move it, click a title to turn it over.");
    this.chips.replaceChildren(...(chips.length ? chips : [hint]));
  }

  clear(count) {
    this.chart?.destroy();
    this.chart = null;
    if (count) empty(this.host, "It takes two trials whose parameters differ", "Each of them becomes a line over its parameters.");
    else empty(this.host, ...NO_VALUE);
  }

  lift(number_) {
    this.chart?.lift(number_);
  }
}

const valueAt = (trial, key) => (key === VALUE ? valueOf(trial) : Object.hasOwn(trial.params, key) ? trial.params[key] : undefined);
