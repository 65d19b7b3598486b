/** What every chart in sight shows at the cursor, as a table that stays at the foot of the window. */

import { clear, el } from "../core/dom.js";
import { number } from "../core/format.js";

const MOST = 200; // rows

/** @param sections of charts, whose cursor it follows @param host an element below them */
export function cursorTable(view, sections, host) {
  let at = null; // where the pointer was last
  const draw = (x) => {
    at = view.state.at[0] ?? x ?? at;
    host.hidden = !view.state.table;
    if (!host.hidden) fill(view, sections, host, at);
  };
  sections.onCursor = draw;
  view.on(["x"], () => { at = null; });
  view.on(["table", "at", "x"], () => draw(null));
  draw(null);
}

function fill(view, sections, host, at) {
  const charts = sections.inSight.map((name) => [name, sections.cards.get(name).chart]).filter(([, chart]) => chart);
  const rows = at === null ? [] : charts.flatMap(([name, chart]) => chart.valuesAt(at).map((hit) => ({ name, chart, ...hit }))).slice(0, MOST);
  host.dataset.at = at === null ? "" : String(Number(at.toPrecision(14)));
  const scroll = host.querySelector(".scroll")?.scrollTop ?? 0;
  clear(host).append(head(view, rows, at), rows.length ? table(rows) : el("p", { class: "muted" }, "Point at a chart, or focus one and press an arrow."));
  if (rows.length) host.querySelector(".scroll").scrollTop = scroll;
}

function head(view, rows, at) {
  const isPinned = view.state.at.length > 0;
  const place = at === null || !rows.length ? "Values at cursor" : `At ${rows[0].chart.xText(at)}`;
  return el("header", { class: "card-head" }, el("h2", {}, place),
    isPinned ? el("button", { type: "button", class: "link", onclick: () => view.change({ at: [] }) }, "Unpin")
      : el("span", { class: "muted small" }, at === null ? "" : "a click on a chart, or Enter, pins it"),
    el("button", { type: "button", class: "button", onclick: () => view.change({ table: false, at: [] }) }, "Close"));
}

function table(rows) {
  const hasRuns = new Set(rows.map(({ one }) => one.id)).size > 1;
  const titles = ["Metric", ...(hasRuns ? ["Run"] : []), "Value", "Lowest", "Highest", "Place"];
  const figure = (value) => el("td", { class: "number" }, number(value));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Values at the cursor" }, el("table", { class: "table" },
    el("thead", {}, el("tr", {}, titles.map((text, place) => el("th", { scope: "col", class: place > Number(hasRuns) ? "number" : "" }, text)))),
    el("tbody", {}, rows.map(({ name, one, place, value, x, chart }) => el("tr", {}, el("th", { scope: "row" }, name), hasRuns ? el("td", {}, one.label) : null,
      figure(value), figure(one.min[place]), figure(one.max[place]), el("td", { class: "number" }, chart.xText(x)))))));
}
