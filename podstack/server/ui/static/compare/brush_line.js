/** How many runs the brushes leave, and the way to them as a filter of the runs table. */

import { clear, el } from "../core/dom.js";
import { projectUrl } from "../core/page.js";
import { filterText } from "./filter_text.js";
import { counted } from "./parts.js";

/** The line that says how many runs are brushed, and leads to them. */
export function brushLine(view, host) {
  clear(host);
  if (!view.hasBrush) return;
  const all = el("button", { type: "button", class: "link", onclick: () => view.change({ brush: {} }) }, "clear");
  host.append(el("strong", {}, `${view.selected.length.toLocaleString("en")} of ${counted(view.visible.length, "run")}`), " – ",
    el("a", { href: filterUrl(view), "data-act": "open-filter" }, "open as filter"), " · ", all);
}

/** The runs table with the brushes as its filter: of the experiment, if all runs are of one. */
export function filterUrl(view) {
  const { experiment_id: experiments } = view.compared.runs;
  const isOne = new Set(experiments).size === 1 && experiments[0];
  const query = new URLSearchParams({ q: filterText(view.compared, view.state.brush, view.state.q) });
  const path = isOne ? `/experiments/${encodeURIComponent(experiments[0])}` : "/runs";
  return `${projectUrl(path)}?${query}`;
}
