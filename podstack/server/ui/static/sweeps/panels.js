/** Panels of the monitor that are words and bars: best, importance, timeline, trials. */

import { el } from "../core/dom.js";
import { duration, number } from "../core/format.js";
import { projectUrl } from "../core/page.js";
import { toast } from "../core/toast.js";
import { lanes, spanOf } from "./lanes.js";

export function emptyText(host, text) {
  host.dataset.state = "empty";
  host.replaceChildren(el("p", { class: "muted" }, text));
}

function fill(host, ...children) {
  host.dataset.state = "ready";
  host.replaceChildren(...children);
}

function runLink(run, text) {
  return run ? el("a", { href: projectUrl(`/runs/${encodeURIComponent(run)}`) }, text) : text;
}

async function copy(text) {
  await navigator.clipboard.writeText(text);
  toast("Copied");
}

export function bestPanel(host, sweep, best) {
  if (!best) return emptyText(host, "No trial has completed with a value yet.");
  const buttons = Object.entries(best.as).map(([form, text]) => {
    const button = el("button", { type: "button", class: "button" }, `Copy as ${form}`);
    button.addEventListener("click", () => copy(text));
    return button;
  });
  const title = `Trial ${best.number}: ${sweep.objective.metric} = ${number(Number(best.value))}`;
  fill(host, el("p", {}, runLink(best.run, title)), el("pre", {}, best.as.yaml), ...buttons);
}

export function importancePanel(host, found) {
  if (!found.shares.length) return emptyText(host, found.reason ?? "Nothing is known yet.");
  const rows = found.shares.map(([name, share]) =>
    el("div", { class: "sweep-share" }, el("span", {}, name),
      el("meter", { max: "1", value: String(share), "aria-label": name }), el("span", {}, number(share))));
  const few = found.low_confidence ? [el("p", { class: "muted" }, `Low confidence: ${found.trials} trials; from 20 on it tells more.`)] : [];
  fill(host, ...rows, ...few);
}

export function timelinePanel(host, sweep) {
  const found = lanes(sweep.trials, Date.now() / 1000);
  if (!found.length) return emptyText(host, "No trial has begun.");
  const [from, to] = spanOf(found);
  const rows = found.flatMap(({ rows: own }) => own.map((bars) => laneOf(bars, from, to - from)));
  fill(host, el("div", { class: "sweep-lanes", "data-lanes": String(rows.length) }, ...rows),
    el("p", { class: "muted" }, `${found.length} workers, ${duration(to - from)}`));
}

function laneOf(bars, from, span) {
  return el("div", { class: "sweep-lane" }, ...bars.map(({ trial, from: begin, to }) => {
    const bar = el("span", { class: `sweep-bar is-${trial.status}`, title: `Trial ${trial.number}, ${trial.status}, ${duration(to - begin)}` });
    bar.style.left = `${(100 * (begin - from)) / span}%`;
    bar.style.width = `${Math.max(0.4, (100 * (to - begin)) / span)}%`;
    return bar;
  }));
}

export function trialsPanel(host, sweep) {
  if (!sweep.trials.length) return emptyText(host, "No trial has begun.");
  const names = Object.keys(sweep.trials.reduce((all, { params }) => ({ ...all, ...params }), {}));
  const heads = ["Trial", "Status", sweep.objective.metric, ...names];
  const head = el("tr", {}, ...heads.map((text) => el("th", { scope: "col" }, text)));
  const rows = sweep.trials.map((trial) => el("tr", {}, ...cells(trial, names).map((cell) => el("td", {}, cell))));
  fill(host, el("div", { class: "sweep-scroll" }, el("table", { class: "sweep-table" }, el("thead", {}, head), el("tbody", {}, ...rows))));
}

function cells(trial, names) {
  const status = trial.pruned ? "pruned" : trial.error ? `${trial.status}: ${trial.error}` : trial.status;
  const value = trial.value === null ? "–" : number(Number(trial.value));
  const own = names.map((name) => (name in trial.params ? shown(trial.params[name]) : "–"));
  return [runLink(trial.run, String(trial.number)), status, value, ...own];
}

const shown = (value) => (typeof value === "number" ? number(value) : String(value));
