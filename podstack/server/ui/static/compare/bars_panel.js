/** The figure of one metric in each selected run, the best first. */

import { BarsChart } from "../charts/bars.js";
import { clear, el } from "../core/dom.js";
import { number } from "../core/format.js";
import { dimension, position } from "./dimensions.js";
import { ChartPanel, counted, labelOf, select, setTools } from "./parts.js";

const PARTS = ["bar", "obj", "use", "brush", "hide", "runs", "base", "colors", "columns"];

export const open = (...place) => new BarsPanel(...place, PARTS);

class BarsPanel extends ChartPanel {
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
      this.chart = new BarsChart(host, this.calls());
    }
    this.chart.setData(this.data(key, items));
    this.ready("points", items.length);
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
