/** Which parameter mattered for the objective, among the selected runs; a click plots it. */

import { clear, el } from "../core/dom.js";
import { ENOUGH } from "./importance.js";
import { counted, emptyBox, labelOf } from "./parts.js";
import { verdict } from "./verdict.js";

const PARTS = ["obj", "use", "hide", "brush", "runs", "columns"];
const MOST = 10; // parameters
const WEAK = 0.2; // |r| below it is no direction

export function open(view, body) {
  view.on(PARTS, () => draw(view, body), body);
  return { toTable: () => tableOf(view.importance.found) };
}

const tableOf = (found) => ({
  head: ["parameter", "explained", "spearman_r", "runs"],
  rows: found.map(({ key, share, r, runs }) => [labelOf(key), share, r, runs]),
});

function draw(view, body) {
  const { found, runs, reason } = view.importance;
  if (reason && !found.length) return emptyBox(body, "Nothing to say yet", reason);
  const widest = Math.max(...found.map(({ share }) => share), 0.01);
  const rows = found.slice(0, MOST).map((one) => row(view, one, widest));
  clear(body).append(headOf(view, runs), el("ol", { class: "importance" }, ...rows), noteOf(found));
  body.dataset.state = "ready";
}

/** What was found, in words, and what the figures below are. */
function headOf(view, runs) {
  const { text, doubt } = verdict(view);
  return el("div", { class: "importance-head" },
    el("p", {}, el("strong", {}, text), doubt && el("span", { class: "warning" }, ` · ${doubt}${runs < ENOUGH ? ` of the ${ENOUGH} it takes` : ""}`)),
    el("p", { class: "muted" }, `How much of ${labelOf(view.objective)} each explains by itself, over ${counted(runs, "run")}`));
}

function row(view, { key, share, r }, widest) {
  const bar = el("span", { class: "bar" });
  bar.style.width = `${(share / widest) * 100}%`;
  const plot = el("button", { type: "button", class: "link cut", title: `Plot ${labelOf(key)} against ${labelOf(view.objective)}` }, labelOf(key));
  plot.addEventListener("click", () => {
    view.change({ sx: key, sy: view.objective });
    document.getElementById("scatter").scrollIntoView({ block: "nearest" });
  });
  return el("li", {}, plot, el("span", { class: "bar-track", "aria-hidden": "true" }, bar),
    el("span", { class: "number" }, `${Math.round(share * 100)} %`),
    el("small", { class: "muted" }, directionWords(r)));
}

/** `r −0.62, falls`: of a number only. */
function directionWords(r) {
  if (r === null) return "";
  const way = Math.abs(r) < WEAK ? "no trend" : r > 0 ? "rises" : "falls";
  return `r ${r.toFixed(2).replace("-", "−")}, ${way}`;
}

function noteOf(found) {
  const over = found.length - MOST;
  return el("p", { class: "muted small" }, over > 0 ? `${counted(over, "more parameter")}. ` : "",
    "Each alone, by ranks: effects of two together do not show.");
}
