/** What a sweep searches: each parameter, what it may be, and when it is there. */

import { el } from "../core/dom.js";
import { figure, KINDS, textOf } from "./form.js";
import { leaves } from "./leaves.js";
import { drawPreview, shapeOf } from "./preview.js";

const WORDS = { min: "from", max: "to", q: "step", mu: "mean", sigma: "deviation", count: "grid points" };

export class SpacePanel {
  constructor(host) {
    Object.assign(this, { host, drawn: false });
  }

  /** It never changes, so it is drawn once. */
  update({ sweep }) {
    if (this.drawn) return;
    this.drawn = true;
    const heads = ["Parameter", "Distribution", "Values", "Only if", ""].map((text) => el("th", { scope: "col", class: text === "Only if" ? "is-minor" : "" }, text || el("span", { class: "visually-hidden" }, "Preview")));
    const rows = leaves(sweep.parameters).map(([name, spec]) => row(name, spec));
    this.host.replaceChildren(el("div", { class: "sweep-scroll", tabindex: "0", role: "group", "aria-label": "Parameters searched" },
      el("table", { class: "sweep-table" }, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...rows))));
    this.host.dataset.state = "ready";
  }
}

function row(name, spec) {
  const preview = el("td", { class: "sweep-preview space-preview" });
  drawPreview(preview, shapeOf(spec));
  const [on, values] = Object.entries(spec.when ?? {})[0] ?? [];
  return el("tr", {}, el("td", { class: "sweep-value", title: name }, name), el("td", { class: "muted" }, KINDS[kindOf(spec)][0]), el("td", { class: "sweep-value", title: told(spec) }, told(spec)),
    el("td", { class: "is-minor muted" }, on === undefined ? "" : `${on} is ${[values].flat().map(textOf).join(" or ")}`), preview);
}

export const kindOf = (spec) => spec.distribution ?? ("values" in spec ? "categorical" : "constant");

function told(spec) {
  if (spec.values) return spec.values.map(textOf).join(", ");
  if ("value" in spec) return textOf(spec.value);
  return Object.entries(WORDS).filter(([key]) => spec[key] !== undefined && spec[key] !== null).map(([key, word]) => `${word} ${figure(spec[key])}`).join(" ");
}
