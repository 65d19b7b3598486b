/** Panels of the monitor that are charts: history, slices, contour. A chart is made once. */

import { Heatmap } from "../charts/heatmap.js";
import { ScatterChart } from "../charts/scatter.js";
import { dimension } from "../compare/dimensions.js";
import { el } from "../core/dom.js";
import { number } from "../core/format.js";
import { emptyText } from "./panels.js";

const SLICES = 6; // parameters, the first ones
const charts = new WeakMap();

function chartOf(host, make) {
  if (charts.has(host)) return charts.get(host);
  host.replaceChildren();
  charts.set(host, make());
  host.dataset.state = "ready";
  return charts.get(host);
}

function scatter(host, open) {
  const chart = chartOf(host, () => new ScatterChart(host, { onLift: (at) => chart.lift(at), onOpen: open }));
  return chart;
}

const tipOf = (sweep) => (at) => {
  const trial = sweep.trials.find((one) => one.number === at);
  const params = Object.entries(trial?.params ?? {}).map(([name, value]) => `${name} = ${value}`);
  return [`Trial ${at}: ${number(Number(trial?.value))}`, ...params];
};

/** `history` holds [number, value, best so far]; the dashed line is the best. */
export function historyPanel(host, sweep, history, open) {
  const known = history.filter(([, value]) => Number.isFinite(value));
  if (!known.length) return emptyText(host, "No trial has completed with a value yet.");
  const line = known.filter(([, value, best]) => value === best).map(([at]) => at);
  draw(scatter(host, open), sweep, "trial", known.map(([at, value]) => [at, at, value]), line);
}

/** One scatter for each parameter. */
export function slicesPanel(host, sweep, open) {
  const having = sweep.trials.filter((trial) => trial.status === "completed" && Number.isFinite(trial.value));
  if (!having.length) return emptyText(host, "No trial has completed with a value yet.");
  const names = [...new Set(having.flatMap(({ params }) => Object.keys(params)))].slice(0, SLICES);
  const hosts = chartOf(host, () => new Map());
  for (const name of names) {
    if (!hosts.has(name)) hosts.set(name, host.appendChild(el("div", { class: "sweep-slice" })));
    const points = having.filter(({ params }) => name in params).map((one) => [one.number, one.params[name], one.value]);
    draw(scatter(hosts.get(name), open), sweep, name, points, []);
  }
}

function draw(chart, sweep, title, points, line) {
  const { metric } = sweep.objective;
  chart.setData({
    x: { ...dimension(title, points.map(([, x]) => x)), title },
    y: { ...dimension(metric, points.map(([, , y]) => y)), title: metric },
    points: points.map(([run, x, y]) => ({ run, x, y })), line, tip: tipOf(sweep),
    label: `${metric} over ${title}, ${points.length} trials`,
  });
}

export function contourPanel(host, sweep, grid, open) {
  if (!grid.spots.length) return emptyText(host, "No completed trial has both parameters.");
  const isMinimized = sweep.objective.direction === "minimize";
  const label = `${sweep.objective.metric} over ${grid.x} and ${grid.y}, ${grid.spots.length} trials`;
  chartOf(host, () => new Heatmap(host, { onOpen: open })).setData({ ...grid, isMinimized, label, tip: tipOf(sweep) });
}
