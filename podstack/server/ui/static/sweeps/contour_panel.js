/** The objective over two parameters; the two most important ones, unless others are chosen. */

import { get } from "../core/api.js";
import { el } from "../core/dom.js";
import { number } from "../core/format.js";
import { Heatmap } from "../charts/heatmap.js";
import { choice, tipOf } from "./parts.js";
import { counts } from "./trials.js";

export class ContourPanel {
  constructor(host, calls, tools, path) {
    Object.assign(this, { host, calls, tools, path, chart: null, chosen: [null, null], told: "" });
  }

  /** What `panel` loads. @param {{sweep, order: string[]}} seen order: names, the most important first */
  async load({ sweep, order }, signal) {
    const names = order.length > 1 ? order : [...new Set([...order, ...sweep.trials.flatMap(({ params }) => Object.keys(params))])];
    if (!sweep.trials.some(counts)) return this.none("No trial has completed yet", "It takes a few trials over two parameters.");
    if (names.length < 2) return this.none("It takes two parameters", "This sweep varies one; its slice shows all there is.");
    const [x, y] = this.pair(names);
    const grid = await get(`${this.path}/contour`, { x, y }, { signal });
    if (!grid.spots.length) return this.none("No completed trial has both parameters", `${x} and ${y}`, names);
    this.draw(sweep, { ...grid, x, y }, names);
    return undefined;
  }

  pair(names) {
    const x = names.includes(this.chosen[0]) ? this.chosen[0] : names[0];
    const y = names.includes(this.chosen[1]) && this.chosen[1] !== x ? this.chosen[1] : names.find((name) => name !== x);
    return [x, y];
  }

  none(title, text, names = []) {
    this.chart?.destroy();
    this.chart = null;
    this.pick(names);
    return { title, text };
  }

  draw(sweep, grid, names) {
    if (!this.chart?.host.isConnected) {
      this.chart?.destroy();
      const frame = el("div", { class: "heatmap" });
      this.host.replaceChildren(frame);
      this.chart = new Heatmap(frame, this.calls);
    }
    const isMinimized = sweep.objective.direction === "minimize";
    const label = `${sweep.objective.metric} over ${grid.x} and ${grid.y}, ${grid.spots.length} trials. Arrows move over it and tell the value there, Enter opens the nearest trial's run.`;
    this.chart.setData({ ...grid, metric: sweep.objective.metric, isMinimized, label, tip: (at) => tipOf(sweep, at), number });
    Object.assign(this.host.dataset, { points: String(grid.spots.length), x: grid.x, y: grid.y });
    this.pick(names);
  }

  /** The selects stay where they are: somebody may be in one of them when an answer comes. */
  pick(names) {
    const told = names.length < 3 ? "" : JSON.stringify(names);
    if (told !== this.told) this.tools.replaceChildren(...(told ? this.choices(names) : []));
    this.told = told;
    const [x, y] = this.pair(names);
    const [across, up] = this.tools.querySelectorAll("select");
    if (told) [across.value, up.value] = [x, y];
  }

  choices(names) {
    const pairs = names.map((name) => [name, name]);
    const chosen = (at, name) => { // the parameter of the other axis changes places with it
      const pair = this.pair(names);
      const other = pair[1 - at] === name ? pair[at] : pair[1 - at];
      return at ? this.choose(other, name) : this.choose(name, other);
    };
    return ["x", "y"].map((axis, at) => choice(axis, pairs, null, (name) => chosen(at, name)));
  }

  choose(x, y) {
    this.chosen = [x, y];
    this.calls.onChoose();
  }
}
