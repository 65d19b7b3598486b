/** How the curves of a workspace are drawn: which metrics, x, smoothing, axes, groups. */

import { ALL } from "../compare/data.js";
import { axisSelect, bandSelect } from "../compare/curve_choices.js";
import { select, setTools, toggle } from "../compare/parts.js";
import { copy } from "../core/copy.js";
import { el } from "../core/dom.js";

const PARTS = ["x", "log", "logx", "fit", "table", "group", "band", "zoom", "columns"];

export function tools(view, host) {
  const filter = el("input", { type: "search", class: "metric-filter", placeholder: "Filter metrics (regex)", "aria-label": "Filter metrics by a regular expression", value: view.state.metrics });
  filter.addEventListener("input", () => view.change({ metrics: filter.value }));
  const slider = smoothing(view);
  const rest = el("div", { class: "tools-rest" });
  host.append(filter, slider, rest);
  const draw = () => setTools(rest, ...controls(view));
  view.on(PARTS, draw);
  draw();
}

/** The values at the cursor below the charts; its script comes when it is asked for. */
export function tableLater(view, sections, host) {
  let isAsked = false;
  const look = async () => {
    if (isAsked || !view.state.table) return;
    isAsked = true;
    (await import("./cursor_table.js")).cursorTable(view, sections, host);
  };
  view.on(["table"], look);
  look();
}

function smoothing(view) {
  const range = el("input", { type: "range", min: "0", max: "0.99", step: "0.01", value: String(view.state.smooth), "aria-label": "Smoothing" });
  const told = el("output", { class: "smooth-value" }, view.state.smooth.toFixed(2));
  range.addEventListener("input", () => {
    told.textContent = Number(range.value).toFixed(2);
    view.change({ smooth: Number(range.value) });
  });
  return el("label", { class: "field" }, el("span", {}, "Smooth"), range, told);
}

function controls(view) {
  const { state } = view;
  const params = Object.keys(view.compared.params);
  const known = state.group === ALL || params.includes(state.group) ? state.group : "";
  return [
    axisSelect(view.names, state.x, (x) => view.change({ x, zoom: [], at: [] })),
    state.x !== "wall" && toggle("Log x", state.logx, (logx) => view.change({ logx, zoom: [] })),
    toggle("Log y", state.log, (log) => view.change({ log })),
    toggle("Fit all", state.fit, (fit) => view.change({ fit })),
    toggle("Values at cursor", state.table, (table) => view.change({ table, at: [] })),
    view.runs.id.length > 1 && select("Group by", [["", "nothing"], [ALL, "all runs together"], ...params.map((name) => [name, name])], known, (group) => view.change({ group })),
    state.group && bandSelect(state.band, (band) => view.change({ band })),
    state.zoom.length > 0 && el("button", { type: "button", class: "button", onclick: () => view.change({ zoom: [] }) }, "Reset zoom"),
    el("button", { type: "button", class: "button", onclick: () => copy(location.href) }, "Copy link"),
  ];
}
