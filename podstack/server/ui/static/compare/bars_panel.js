/** The figure of one metric in each selected run, the best first. */

import { BarsChart } from "../charts/bars.js";
import { refreshTable } from "../charts/card_button.js";
import { clear, el } from "../core/dom.js";
import { number } from "../core/format.js";
import { dimension, position } from "./dimensions.js";
import { counted, emptyBox, labelOf, runUrl, select, setTools } from "./parts.js";

const PARTS = ["bar", "obj", "use", "brush", "hide", "runs", "base", "colors", "columns"];

export const open = (...parts) => new BarsPanel(...parts);

class BarsPanel {
  constructor(view, body, tools) {
    Object.assign(this, { view, body, tools, chart: null, table: null });
    view.onLift((run) => this.chart?.lift(run));
    view.on(PARTS, () => this.draw(), body);
  }

  /** The metric's column: the one chosen, else the objective. */
  get key() {
    const { bar } = this.view.state;
    return this.view.compared.metrics[bar] ? `metrics.${bar}` : this.view.objective;
  }

  draw() {
    const { view, key } = this;
    const names = Object.keys(view.compared.metrics);
    setTools(this.tools, names.length > 1 && select("Metric", names.map((name) => [name, name]), key?.slice(8), (bar) => view.change({ bar })));
    if (!key) return this.empty("No numeric metric yet", "Bars show the best or last value of a metric.");
    const items = this.items(key);
    if (!items.length) return this.empty("No value", `No selected run has ${labelOf(key)}.`);
    if (!this.chart) {
      clear(this.body);
      const host = el("div", { class: "chart-host" });
      this.body.append(host);
      this.chart = new BarsChart(host, { onLift: (run) => view.lift(run), onOpen: (run) => location.assign(runUrl(view, run)) });
    }
    this.chart.setData(this.data(key, items));
    refreshTable(this);
    this.body.dataset.state = "ready";
    this.body.dataset.points = String(items.length);
  }

  empty(title, text) {
    this.chart?.destroy();
    this.chart = this.table = null;
    emptyBox(this.body, title, text);
  }

  items(key) {
    const { view } = this;
    const colorOf = view.colorOfRun();
    const sign = view.compared.directions[labelOf(key)] === "minimize" ? 1 : -1;
    return view.selected.map((run) => ({ run, name: view.nameOf(run), value: view.compared.value(key, run), color: colorOf(run) }))
      .filter(({ value }) => value !== undefined)
      .sort((a, b) => Number.isNaN(a.value) - Number.isNaN(b.value) || sign * (a.value - b.value));
  }

  data(key, items) {
    const { view } = this;
    const axis = { ...dimension(key, items.map(({ value }) => value)), title: labelOf(key) };
    const [first, last] = [items[0], items.at(-1)];
    return {
      items, axis, position, text: number,
      base: view.compared.value(key, view.baseline) ?? null,
      label: `${labelOf(key)} of ${counted(items.length, "run")}: from ${number(first.value)} (${first.name}) to ${number(last.value)} (${last.name})`,
    };
  }
}
