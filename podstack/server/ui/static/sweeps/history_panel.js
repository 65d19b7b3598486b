/** Each trial's value in the order of their numbers, and the best one until then as a line. */

import { ScatterChart } from "../charts/scatter.js";
import { dimension } from "../compare/dimensions.js";
import { empty, NO_VALUE, tipOf } from "./parts.js";
import { isRanked, valueOf } from "./trials.js";

const COLOR = "#3355ee"; // of a completed trial; a pruned one is grey

export class HistoryPanel {
  constructor(host, calls) {
    Object.assign(this, { host, calls, chart: null });
  }

  update({ sweep, outlook }) {
    const known = sweep.trials.filter(isRanked);
    if (!known.length) return this.clear();
    if (!this.chart) {
      this.host.replaceChildren();
      this.chart = new ScatterChart(this.host, this.calls);
    }
    const { metric } = sweep.objective;
    const [xs, ys] = [known.map(({ number }) => number), known.map(valueOf)];
    this.chart.setData({
      x: { ...dimension("metrics.trial", xs, "linear"), title: "trial", isWhole: true },
      y: { ...dimension("metrics.value", ys, "linear"), title: metric },
      points: known.map((trial) => ({ run: trial.number, x: trial.number, y: valueOf(trial), color: trial.pruned ? undefined : COLOR })),
      line: outlook.bests, tip: (at) => tipOf(sweep, at), name: (at) => `trial ${at}`,
      label: `${metric} of ${known.length} trials, the best so far ${outlook.best?.value ?? "none"}. Arrows walk from trial to trial, Enter opens the run.`,
    });
    this.host.dataset.state = "ready";
    return undefined;
  }

  clear() {
    this.chart?.destroy();
    this.chart = null;
    empty(this.host, ...NO_VALUE);
  }

  lift(number) {
    this.chart?.lift(number);
  }
}
