/**
 * Curves of the selected runs, a chart for each chosen metric. Above ten runs they can be grouped
 * by a parameter: the mean of each group, and a band around it. Only what lacks is fetched.
 */

import { LineChart } from "../charts/line.js";
import { get } from "../core/api.js";
import { clear, el } from "../core/dom.js";
import { real } from "./data.js";
import { grouped, groupsOf } from "./grouping.js";
import { columnSelect, counted, emptyBox, labelOf, select, setTools, toggle } from "./parts.js";
import { COLORED } from "./view.js";

const PARTS = ["curves", "x", "smooth", "log", "group", "band", "hide", "brush", "runs", "order", "obj"];
const MOST_RUNS = 60; // curves of one chart
const BATCH = 6; // metrics of one request
const DEFAULT_METRICS = 3;
const BUCKETS = 300;
const NO_GROUP = "none";

export const open = (...parts) => new CurvesPanel(...parts);

class CurvesPanel {
  constructor(view, body, tools) {
    Object.assign(this, { view, body, tools });
    this.cards = new Map(); // metric → {card, host, chart}
    this.known = new Map(); // metric → run id → its buckets
    view.onLift((run) => this.lift(run));
    view.on(PARTS, () => this.draw(), body);
  }

  get metrics() {
    const { compared, objective, state } = this.view;
    const chosen = state.curves.filter((name) => compared.metrics[name]);
    if (chosen.length) return chosen;
    const first = objective ? [objective.slice(8)] : [];
    const told = Object.keys(compared.metrics).filter((name) => compared.directions[name]);
    return [...new Set([...first, ...told, ...Object.keys(compared.metrics)])].slice(0, DEFAULT_METRICS);
  }

  get runs() {
    return this.view.selected.slice(0, MOST_RUNS);
  }

  /** The parameter that runs are grouped by; empty for a curve each. */
  get group() {
    const { group } = this.view.state;
    if (group) return group === NO_GROUP ? "" : group;
    if (this.view.selected.length <= COLORED) return "";
    const fits = ({ key }) => groupsOf(this.view, key, this.runs).size <= 6;
    return this.view.importance.found.find(fits)?.key ?? "";
  }

  draw() {
    const { metrics, view } = this;
    setTools(this.tools, ...this.controls());
    if (!metrics.length) return this.empty("No numeric metric yet", "Curves come with the first logged point.");
    if (!this.runs.length) return this.empty("No run is left", "Open an eye in the strip, or clear a brush.");
    if (this.body.dataset.state !== "ready") clear(this.body).append(el("div", { class: "legend" }), el("div", { class: "curve-grid" }), el("p", { class: "muted small" }));
    this.body.dataset.state = "ready";
    this.place(metrics);
    this.body.firstElementChild.replaceChildren(...(this.group ? this.legend() : []));
    const over = view.selected.length - this.runs.length;
    this.body.lastElementChild.textContent = over > 0 ? `The first ${MOST_RUNS} of ${counted(view.selected.length, "run")}.` : "";
    this.load(metrics);
  }

  /** What each group is, in its colour; runs have the strip. */
  legend() {
    const groups = [...groupsOf(this.view, this.group, this.runs)];
    const styles = this.view.stylesFor(groups.map(([label]) => label));
    return groups.map(([label, runs]) => {
      const mark = el("span", { class: "dot", "aria-hidden": "true", style: { background: styles.get(label).color } });
      return el("span", {}, mark, `${labelOf(this.group)} ${label}`, el("span", { class: "muted" }, ` (${counted(runs.length, "run")})`));
    });
  }

  empty(title, text) {
    for (const { chart } of this.cards.values()) chart?.destroy();
    this.cards.clear();
    emptyBox(this.body, title, text);
  }

  controls() {
    const { view, metrics } = this;
    const { state } = view;
    const left = Object.keys(view.compared.metrics).filter((name) => !metrics.includes(name));
    return [
      left.length > 0 && select("Add", [["", "a metric…"], ...left.map((name) => [name, name])], "",
        (name) => name && view.change({ curves: [...metrics, name] })),
      select("X", [["step", "Step"], ["relative", "Time since start"], ["wall", "Wall time"]], state.x, (x) => view.change({ x })),
      this.smoothing(),
      toggle("Log y", state.log, (log) => view.change({ log })),
      view.selected.length > 2 && columnSelectOfParams(view, this.group, (group) => view.change({ group: group || NO_GROUP })),
      this.group && select("Band", [["minmax", "Min–max"], ["std", "± 1 std"]], state.band, (band) => view.change({ band })),
    ];
  }

  smoothing() {
    const field = el("input", { type: "range", min: "0", max: "0.99", step: "0.01", "aria-label": "Smoothing" });
    field.value = String(this.view.state.smooth);
    field.addEventListener("change", () => this.view.change({ smooth: Number(field.value) }));
    return el("label", { class: "field" }, el("span", {}, "Smooth"), field);
  }

  /** A card for each metric, in order; charts that stay keep their zoom. */
  place(metrics) {
    const grid = this.body.querySelector(".curve-grid");
    for (const [name, { card, chart }] of this.cards) {
      if (metrics.includes(name)) continue;
      chart?.destroy();
      card.remove();
      this.cards.delete(name);
    }
    for (const name of metrics) {
      if (!this.cards.has(name)) this.cards.set(name, this.newCard(name));
      grid.append(this.cards.get(name).card);
    }
  }

  newCard(name) {
    const host = el("div", { class: "curve", "data-state": "loading" });
    const drop = el("button", { type: "button", class: "icon-button", "aria-label": `Leave out ${name}`, title: "Leave out" }, "×");
    drop.addEventListener("click", () => this.view.change({ curves: this.metrics.filter((other) => other !== name) }));
    const card = el("figure", { class: "curve-card", "data-metric": name },
      el("figcaption", {}, el("span", { class: "cut", title: name }, name), drop), host);
    return { card, host, chart: null };
  }

  async load(metrics) {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const ids = this.runs.map((run) => this.view.idOf(run));
    for (let start = 0; start < metrics.length; start += BATCH) {
      const names = metrics.slice(start, start + BATCH);
      names.forEach((name) => this.show(name, ids));
      try {
        await this.fetch(names, ids);
      } catch (error) {
        if (turn === this.turn) names.forEach((name) => this.fail(name, error));
        continue;
      }
      if (turn !== this.turn) return;
      names.forEach((name) => this.show(name, ids));
    }
  }

  async fetch(names, ids) {
    const lacks = (id) => names.some((name) => !this.known.get(name)?.has(id));
    const wanted = ids.filter(lacks);
    if (!wanted.length) return;
    const { series } = await get("/series", { runs: wanted, names, buckets: BUCKETS });
    for (const id of wanted) {
      for (const name of names) {
        if (!this.known.has(name)) this.known.set(name, new Map());
        this.known.get(name).set(id, series[id]?.[name] ?? null);
      }
    }
  }

  show(name, ids) {
    const known = this.known.get(name);
    const card = this.cards.get(name);
    if (!known || !card) return;
    card.host.nextElementSibling?.remove();
    const { state } = this.view;
    const drawn = this.group ? this.groupSeries(known, ids) : this.runSeries(known, ids);
    card.chart ??= new LineChart(card.host, { title: name, height: 220 });
    card.chart.setData(drawn);
    card.chart.setView({ x: state.x, smooth: state.smooth, logY: state.log });
  }

  fail(name, error) {
    const { card, host } = this.cards.get(name) ?? {};
    if (!card) return;
    host.nextElementSibling?.remove();
    const again = el("button", { type: "button", class: "link" }, "Try again");
    again.addEventListener("click", () => this.draw());
    card.append(el("p", { class: "warning" }, `${error.message} `, again));
  }

  runSeries(known, ids) {
    return ids.filter((id) => known.get(id)).map((id) => {
      const run = this.view.compared.places.get(id);
      return { id, label: this.view.nameOf(run), ...this.view.styleOf(run), ...known.get(id) };
    });
  }

  /** One curve a group: all of its runs on shared steps. */
  groupSeries(known, ids) {
    const { view } = this;
    const axis = this.view.state.x === "step" ? "x" : "time";
    const groups = [...groupsOf(view, this.group, ids.map((id) => view.compared.places.get(id)))];
    const styles = view.stylesFor(groups.map(([label]) => label));
    return groups.map(([label, runs]) => {
      const curves = runs.map((run) => known.get(view.idOf(run))).filter(Boolean);
      const columns = grouped(curves.map((one) => ({ x: stepsOf(one, axis, view.state.x), mean: one.mean.map(real) })), view.state.band);
      return { id: label, label: `${label} (${runs.length})`, ...styles.get(label), ...columns, time: columns.x, odd: columns.x.map(() => 0) };
    }).filter(({ x }) => x.length);
  }

  lift(run) {
    if (this.group) return;
    const hover = run === null ? null : this.view.idOf(run);
    for (const { chart } of this.cards.values()) chart?.setView({ hover, dim: hover !== null });
  }
}

function stepsOf(one, axis, x) {
  if (axis === "x") return one.x;
  return x === "relative" ? one.time.map((time) => time - one.time[0]) : one.time;
}

function columnSelectOfParams(view, value, onChange) {
  const field = columnSelect(view, "Group by", value, onChange, "nothing");
  field.querySelector('optgroup[label="Metrics"]')?.remove();
  return field;
}
