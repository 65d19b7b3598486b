/** A scatter of the selected runs over any two columns, coloured and sized by any others. */

import { ScatterChart } from "../charts/scatter.js";
import { clear, el } from "../core/dom.js";
import { dimension, position } from "./dimensions.js";
import { ChartPanel, columnSelect, counted, labelOf, legendOf, setTools, tipOf, toggle } from "./parts.js";
import { pareto, spearman } from "./statistics.js";

const PARTS = ["sx", "sy", "sc", "ss", "logx", "logy", "brush", "hide", "runs", "obj", "use", "colors", "columns"];

export const open = (...place) => new ScatterPanel(...place, PARTS);

class ScatterPanel extends ChartPanel {
  /** The columns of x, y, colour and size: those chosen, else the most telling one and the objective. */
  get keys() {
    const { view } = this;
    const { sx, sy, sc, ss } = view.state;
    const known = (key) => view.columns.includes(key);
    const first = view.importance.found[0]?.key ?? view.columns.find((key) => key !== view.objective);
    return {
      x: known(sx) ? sx : first,
      y: known(sy) ? sy : view.objective ?? view.columns[1],
      color: known(sc) ? sc : null,
      size: known(ss) ? ss : null,
    };
  }

  draw() {
    const { x, y } = this.keys;
    if (!x || !y) return this.empty("No two columns to plot", "Runs with parameters and a metric are points here.");
    setTools(this.tools, ...this.controls());
    const axes = this.axes();
    const points = this.points(axes);
    if (!points.length) return this.empty("No point", `No selected run has both ${labelOf(x)} and ${labelOf(y)}.`);
    if (!this.chart) {
      clear(this.body);
      const host = el("div", { class: "chart-host" });
      this.line = el("p", { class: "muted small", role: "status" });
      this.body.append(host, this.line);
      this.chart = new ScatterChart(host, this.calls());
    }
    this.show(axes, points);
  }

  show(axes, points) {
    const { view } = this;
    const line = this.paretoLine(points);
    const facts = this.facts(points, line);
    this.chart.setData({
      ...axes, points, line,
      tip: (run) => tipOf(view, run, [...new Set(Object.values(this.keys).filter(Boolean))]),
      name: (run) => view.nameOf(run),
      legend: this.keys.color ? [] : legendOf(view),
      label: `Scatter of ${labelOf(this.keys.y)} over ${labelOf(this.keys.x)}: ${facts}`,
    });
    this.line.textContent = facts;
    this.ready("points", points.length);
  }

  axes() {
    const { view, keys } = this;
    const one = (key, scale) => ({ ...dimension(key, view.compared.values(key, view.visible), scale), title: labelOf(key) });
    return { x: one(keys.x, view.state.logx), y: one(keys.y, view.state.logy) };
  }

  points({ x, y }) {
    const { view, keys } = this;
    const size = keys.size && view.axis(keys.size);
    const colorOf = keys.color ? view.colorBy(keys.color) : view.colorOfRun();
    return view.selected.map((run) => ({
      run,
      x: view.compared.value(keys.x, run),
      y: view.compared.value(keys.y, run),
      color: colorOf(run),
      size: size ? position(size, view.compared.value(keys.size, run)) ?? 0 : 0,
    })).filter((point) => position(x, point.x) !== null && position(y, point.y) !== null);
  }

  /** Of two metrics that know which way is better; of one and a number, that one's record. */
  paretoLine(points) {
    const { directions } = this.view.compared;
    const want = (key) => (key.startsWith("metrics.") ? directions[labelOf(key)] : null);
    const wants = { x: want(this.keys.x), y: want(this.keys.y) };
    if (!wants.x || !wants.y || this.keys.x === this.keys.y) return [];
    return pareto(points, wants).map((at) => points[at].run);
  }

  facts(points, line) {
    const r = spearman(points.map(({ x }) => x), points.map(({ y }) => y));
    const parts = [counted(points.length, "run")];
    if (r !== null) parts.push(`Spearman r ${r.toFixed(2).replace("-", "−")}`);
    if (line.length) parts.push(`${counted(line.length, "run")} on the Pareto line`);
    return parts.join(" · ");
  }

  controls() {
    const { view, keys } = this;
    const { x, y } = this.axes();
    const log = (axis, part, word) => axis.kind !== "category" && axis.lo > 0 && toggle(`Log ${word}`, axis.kind === "log",
      (isLog) => view.change({ [part]: isLog ? "log" : "linear" }));
    return [
      columnSelect(view, "X", keys.x, (sx) => view.change({ sx, logx: "auto" })),
      columnSelect(view, "Y", keys.y, (sy) => view.change({ sy, logy: "auto" })),
      columnSelect(view, "Colour", keys.color ?? "", (sc) => view.change({ sc }), "run"),
      columnSelect(view, "Size", keys.size ?? "", (ss) => view.change({ ss }), "equal"),
      log(x, "logx", "x"),
      log(y, "logy", "y"),
    ];
  }
}
