/**
 * Curves of the selected runs, a chart for each chosen metric. Above ten runs they are grouped by a
 * parameter, or all together: a line for each group, and a band around it. Only what lacks is fetched.
 */

import { menuButton, refreshTable, toggleTable } from "../charts/card_button.js";
import { LineChart } from "../charts/line.js";
import { clear, el } from "../core/dom.js";
import { Curves } from "../workspace/curves.js";
import { axisSelect, bandSelect } from "./curve_choices.js";
import { ALL } from "./data.js";
import { columnSelect, counted, emptyBox, labelOf, select, setTools, toggle } from "./parts.js";
import { COLORED } from "./view.js";

const PARTS = ["curves", "x", "smooth", "log", "group", "band", "zoom", "hide", "brush", "runs", "order", "obj", "colors", "columns"];
const MOST_RUNS = 60; // curves of one chart
const BATCH = 6; // metrics of one request
const DEFAULT_METRICS = 3;
const NO_GROUP = "none";
const HEIGHT = 220;

export const open = (...parts) => void new CurvesPanel(...parts); // each of its charts has a menu

class CurvesPanel {
  constructor(view, body, tools) {
    Object.assign(this, { view, body, tools });
    this.cards = new Map(); // metric → {figure, host, chart, table}
    this.curves = new Curves(this);
    view.onLift((run) => this.lift(run));
    view.onGrowth((ids) => this.curves.forget(ids));
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

  /** The parameter that runs are grouped by, or ALL; empty for a curve each. */
  get group() {
    const { group } = this.view.state;
    if (group) return group === NO_GROUP ? "" : group;
    if (this.view.selected.length <= COLORED) return "";
    if (!this.curves.grouping) return ALL; // by what, is seen when they are drawn
    const fits = ({ key }) => this.groupsOf(key).size <= 6;
    return this.view.importance.found.find(fits)?.key ?? ALL;
  }

  // What the buckets are asked by (workspace/curves.js) ---------------------------------------

  get state() { return this.view.state; }
  get compared() { return this.view.compared; }
  get drawn() { return this.runs.map((run) => this.view.idOf(run)); }
  get colors() { return this.view.styles; }
  get isLogX() { return false; }
  get isGrouped() { return this.group !== ""; }
  nameOf(id) { return this.view.nameOf(this.compared.places.get(id)); }
  get groupKey() { return this.group; }

  /** Label → runs. What makes groups is there by then (`draw`). */
  groupsOf(key) {
    return this.curves.grouping.groupsOf(this.view, key, this.runs);
  }

  /** Whether runs may be drawn as groups: what makes them comes when they first may. */
  get mayGroup() {
    return this.view.state.group !== "" || this.view.selected.length > COLORED;
  }

  draw() {
    if (this.mayGroup && !this.curves.grouping) return this.learn();
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

  async learn() {
    try {
      await this.curves.learnGrouping();
      this.draw();
    } catch (error) {
      this.empty("The curves could not be drawn", error.message);
      this.body.dataset.state = "error";
    }
  }

  /** What each group is, in its colour; runs have the strip. */
  legend() {
    const groups = [...this.groupsOf(this.group)];
    const styles = this.view.stylesFor(groups.map(([label]) => label));
    const word = this.group === ALL ? "" : `${labelOf(this.group)} `;
    return groups.map(([label, runs]) => {
      const mark = el("span", { class: "dot", "aria-hidden": "true", style: { background: styles.get(label).color } });
      return el("span", {}, mark, `${word}${label}`, el("span", { class: "muted" }, ` (${counted(runs.length, "run")})`));
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
    const names = Object.keys(view.compared.metrics);
    const left = names.filter((name) => !metrics.includes(name));
    return [
      left.length > 0 && select("Add", [["", "a metric…"], ...left.map((name) => [name, name])], "",
        (name) => name && view.change({ curves: [...metrics, name] })),
      axisSelect(names, state.x, (x) => view.change({ x, zoom: [] })),
      this.smoothing(),
      toggle("Log y", state.log, (log) => view.change({ log })),
      view.selected.length > 2 && this.groupSelect(),
      this.group && bandSelect(state.band, (band) => view.change({ band })),
      state.zoom.length > 0 && el("button", { type: "button", class: "button", onclick: () => view.change({ zoom: [] }) }, "Reset zoom"),
    ];
  }

  groupSelect() {
    const field = columnSelect(this.view, "Group by", "", (group) => this.view.change({ group: group || NO_GROUP }), "nothing");
    const choice = field.querySelector("select");
    choice.querySelector('optgroup[label="Metrics"]')?.remove();
    choice.options[0].after(el("option", { value: ALL }, "all runs together"));
    choice.value = this.group;
    return field;
  }

  smoothing() {
    const field = el("input", { type: "range", min: "0", max: "0.99", step: "0.01", "aria-label": "Smoothing" });
    field.value = String(this.view.state.smooth);
    field.addEventListener("change", () => this.view.change({ smooth: Number(field.value) }));
    return el("label", { class: "field" }, el("span", {}, "Smooth"), field);
  }

  /** A card for each metric, in order; charts that stay keep what they show. */
  place(metrics) {
    const grid = this.body.querySelector(".curve-grid");
    for (const [name, { figure, chart }] of this.cards) {
      if (metrics.includes(name)) continue;
      chart?.destroy();
      figure.remove();
      this.cards.delete(name);
    }
    for (const name of metrics) {
      if (!this.cards.has(name)) this.cards.set(name, this.newCard(name));
      const { figure } = this.cards.get(name);
      if (figure.parentElement !== grid || grid.children[metrics.indexOf(name)] !== figure) grid.append(figure);
    }
  }

  newCard(name) {
    const card = { host: el("div", { class: "curve", "data-state": "loading" }), chart: null, table: null, link: () => "#curves" };
    const drop = el("button", { type: "button", class: "icon-button", "aria-label": `Leave out ${name}`, title: "Leave out" }, "×");
    drop.addEventListener("click", () => this.view.change({ curves: this.metrics.filter((other) => other !== name) }));
    card.figure = el("figure", { class: "curve-card", "data-metric": name },
      el("figcaption", {}, el("span", { class: "cut", title: name }, name), menuButton(name, card), drop), card.host);
    return card;
  }

  async load(metrics) {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    this.curves.settle();
    for (let start = 0; start < metrics.length; start += BATCH) {
      const names = metrics.slice(start, start + BATCH);
      names.filter((name) => this.curves.has(name)).forEach((name) => this.show(name));
      try {
        await this.curves.fetch(names);
      } catch (error) {
        if (turn === this.turn) names.forEach((name) => this.fail(name, error));
        continue;
      }
      if (turn !== this.turn) return;
      names.forEach((name) => this.show(name));
      this.curves.forgetLate();
    }
  }

  show(name) {
    const card = this.cards.get(name);
    if (!card) return;
    card.host.nextElementSibling?.remove();
    const { x, smooth, log, zoom } = this.state;
    card.chart ??= this.chart(name, card);
    card.chart.setData(this.curves.of(name));
    card.chart.setView({ x, smooth, logY: log, range: zoom.length ? zoom : null });
    refreshTable(card);
  }

  chart(name, card) {
    const chart = new LineChart(card.host, { title: name, height: HEIGHT });
    chart.onTable = () => toggleTable(card);
    chart.onZoom = (range) => this.view.change({ zoom: range ?? [] });
    chart.onCursor = (x) => this.cards.forEach((other) => other !== card && other.chart?.setCursor(x));
    return chart;
  }

  fail(name, error) {
    const { figure, host } = this.cards.get(name) ?? {};
    if (!figure) return;
    host.nextElementSibling?.remove();
    const again = el("button", { type: "button", class: "link" }, "Try again");
    again.addEventListener("click", () => this.draw());
    figure.append(el("p", { class: "warning" }, `${error.message} `, again));
  }

  lift(run) {
    if (this.group) return;
    const hover = run === null ? null : this.view.idOf(run);
    for (const { chart } of this.cards.values()) chart?.setView({ hover, dim: hover !== null });
  }
}
