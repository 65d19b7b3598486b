/** Parallel coordinates of the visible runs: what is brushed here filters the whole page. */

import { ParallelChart } from "../charts/parallel.js";
import { clear, el } from "../core/dom.js";
import { number } from "../core/format.js";
import { textOf, words } from "./data.js";
import { ChartPanel, counted, labelOf, legendOf, select, setTools, tipOf } from "./parts.js";

const PARTS = ["axes", "inv", "brush", "hide", "runs", "order", "obj", "use", "colors", "columns"];

export const open = (...place) => new ParallelPanel(...place, PARTS);

class ParallelPanel extends ChartPanel {
  draw() {
    const { view } = this;
    setTools(this.tools, ...this.controls());
    const problem = this.problem();
    if (problem) return this.empty(...problem);
    if (!this.chart) {
      clear(this.body);
      this.chips = el("div", { class: "chips" });
      const host = el("div", { class: "scroll", tabindex: "-1" });
      this.body.append(host, this.chips);
      this.chart = new ParallelChart(host, this.calls());
    }
    this.chart.setData(this.data());
    this.drawChips();
    this.ready("selected", view.selected.length);
  }

  problem() {
    const { view } = this;
    if (view.visible.length < 2) return ["Select at least two runs", "Each of them is a line over its parameters."];
    if (view.axes.length < 2) return ["No parameter differs", "Axes are the parameters that are not the same in all runs."];
    return null;
  }

  calls() {
    const { view } = this;
    return {
      ...super.calls(),
      onBrush: (key, brush) => view.change({ brush: withBrush(view.state.brush, key, brush) }),
      onOrder: (axes) => view.change({ axes }),
      onInvert: (key) => view.change({ inv: toggled(view.state.inv, key) }),
    };
  }

  data() {
    const { view } = this;
    const axes = view.axes.map((key) => ({
      ...view.axis(key), title: labelOf(key), isInverted: view.state.inv.includes(key),
      words: view.state.brush[key] ? `Brushed: ${words(view.state.brush[key], number, textOf)}.` : "",
    }));
    return {
      axes,
      runs: view.visible,
      selected: new Set(view.selected),
      value: (key, run) => view.compared.value(key, run),
      name: (run) => view.nameOf(run),
      brushes: view.state.brush,
      ...view.shading(),
      legend: legendOf(view),
      tip: (run) => tipOf(view, run, view.axes),
      label: `${counted(view.visible.length, "run")} over ${axes.map(({ title }) => title).join(", ")}; ${view.selected.length.toLocaleString("en")} selected`,
    };
  }

  controls() {
    const { view } = this;
    const shown = new Set(view.axes);
    const left = view.columns.filter((key) => !shown.has(key) && !view.axis(key).constant);
    return [
      left.length > 0 && select("Add axis", [["", "…"], ...left.map((key) => [key, labelOf(key)])], "",
        (key) => key && view.change({ axes: [...view.axes.slice(0, -1), key, ...view.axes.slice(-1)] })),
      view.axes.length > 2 && select("Drop axis", [["", "…"], ...view.axes.map((key) => [key, labelOf(key)])], "",
        (key) => key && view.change({ axes: view.axes.filter((other) => other !== key), brush: withBrush(view.state.brush, key, null) })),
    ];
  }

  /** Each brush in words, to take away; the runs that are left, as a filter of the runs table. */
  drawChips() {
    const { view } = this;
    const chips = Object.entries(view.state.brush).map(([key, brush]) => {
      const text = `${labelOf(key)}: ${words(brush, number, textOf)}`;
      const chip = el("button", { type: "button", class: "brush-chip", "aria-label": `Take away the brush ${text}` }, text, el("span", { "aria-hidden": "true" }, " ×"));
      chip.addEventListener("click", () => view.change({ brush: withBrush(view.state.brush, key, null) }));
      return chip;
    });
    const hint = el("span", { class: "muted small" }, "Drag on an axis to filter, drag a title to move it, click a title to turn it over.");
    clear(this.chips).append(...(chips.length ? chips : [hint]));
  }
}

function withBrush(brushes, key, brush) {
  const { [key]: _, ...rest } = brushes;
  return brush ? { ...rest, [key]: brush } : rest;
}

const toggled = (keys, key) => (keys.includes(key) ? keys.filter((other) => other !== key) : [...keys, key]);
