/** The objective over each parameter alone, the most important ones first; darker is earlier. */

import { ScatterChart } from "../charts/scatter.js";
import { dimension } from "../compare/dimensions.js";
import { shadeOf } from "../compare/shades.js";
import { el } from "../core/dom.js";
import { axisOf } from "./axes.js";
import { empty, NO_VALUE, renew, tipOf } from "./parts.js";
import { counts, namesOf, valueOf } from "./trials.js";

const FIRST = 4; // parameters that are shown before one asks for all

export class SlicesPanel {
  constructor(host, calls, tools) {
    Object.assign(this, { host, calls, tools, charts: new Map(), isWhole: false });
  }

  /** @param {{sweep, order: string[]}} seen order: of importance, as far as it is known */
  update(seen) {
    this.seen = seen;
    const having = seen.sweep.trials.filter(counts);
    if (!having.length) return this.clear();
    if (!this.charts.size) this.host.replaceChildren();
    const names = ordered(namesOf(having).filter((name) => varies(having, name)), seen.order);
    const wanted = this.isWhole ? names : names.slice(0, FIRST);
    this.drop(wanted);
    wanted.forEach((name, at) => this.draw(name, at, having));
    this.tool(names.length);
    if (!wanted.length) return empty(this.host, "No parameter has two values yet");
    Object.assign(this.host.dataset, { state: "ready", slices: String(wanted.length) });
    return undefined;
  }

  drop(wanted) {
    for (const [name, { host, chart }] of this.charts) {
      if (wanted.includes(name)) continue;
      chart.destroy();
      host.remove();
      this.charts.delete(name);
    }
  }

  draw(name, at, having) {
    if (!this.charts.has(name)) {
      const host = el("div", { class: "sweep-slice" });
      this.host.append(host);
      this.charts.set(name, { host, chart: new ScatterChart(host, this.calls) });
    }
    const { host, chart } = this.charts.get(name);
    if (this.host.children[at] !== host) this.host.insertBefore(host, this.host.children[at] ?? null);
    chart.setData(dataOf(this.seen.sweep, name, having.filter(({ params }) => Object.hasOwn(params, name))));
  }

  tool(count) {
    const words = this.isWhole ? `Show ${FIRST}` : `Show all ${count}`;
    const turn = () => { this.isWhole = !this.isWhole; this.update(this.seen); };
    renew(this.tools, ...(count > FIRST ? [el("button", { type: "button", class: "link small", onclick: turn }, words)] : []));
  }

  clear() {
    this.drop([]);
    empty(this.host, ...NO_VALUE);
  }

  lift(number) {
    for (const { chart } of this.charts.values()) chart.lift(number);
  }
}

const varies = (trials, name) => new Set(trials.map(({ params }) => JSON.stringify(params[name]))).size > 1;
const ordered = (names, order) => [...order.filter((name) => names.includes(name)), ...names.filter((name) => !order.includes(name))];

function dataOf(sweep, name, trials) {
  const { metric } = sweep.objective;
  const isDark = document.documentElement.dataset.theme === "dark";
  const last = Math.max(1, ...trials.map(({ number }) => number));
  const points = trials.map((trial) => ({ run: trial.number, x: trial.params[name], y: valueOf(trial), color: shadeOf(trial.number / last, isDark) }));
  return {
    x: axisOf(sweep, name, points.map(({ x }) => x)),
    y: { ...dimension("metrics.value", points.map(({ y }) => y), "linear"), title: metric },
    points, line: [], tip: (at) => tipOf(sweep, at), name: (at) => `trial ${at}`,
    label: `${metric} over ${name}, ${points.length} trials. Arrows walk from trial to trial, Enter opens the run.`,
  };
}
