/** All trials as a table: any column sorts it, a row lifts its trial in the charts. */

import { el } from "../core/dom.js";
import { ago, duration, number } from "../core/format.js";
import { readState, writeState } from "../core/state.js";
import { empty, runUrl, shown } from "./parts.js";
import { namesOf, seconds, sorted, statusOf, valueOf } from "./trials.js";

const FIRST = 200; // rows that are drawn before one asks for all
const state = readState({ sort: "-number" });

export class TrialsPanel {
  /** @param calls {onLift(number), onShowAll()} */
  constructor(host, calls) {
    Object.assign(this, { host, calls, rows: new Map(), drawn: "", isWhole: false });
  }

  /** @param {{sweep, now, chosen: Set<number> | null}} seen chosen: the trials that brushes leave */
  update(seen) {
    this.seen = seen;
    const { sweep } = seen;
    if (!sweep.trials.length) return empty(this.host, "No trial has begun", "Start a worker; each of its trials becomes a row.");
    const names = namesOf(sweep.trials);
    if (this.drawn !== JSON.stringify(names)) this.frame(names);
    this.fill(names);
    this.host.dataset.state = "ready";
    return undefined;
  }

  frame(names) {
    this.drawn = JSON.stringify(names);
    this.rows.clear();
    const columns = [["number", "Trial"], ["status", "Status"], ["value", this.seen.sweep.objective.metric], ["time", "Duration"], ...names.map((name) => [`p:${name}`, name])];
    this.heads = columns.map(([key, word]) => this.head(key, word));
    this.body = el("tbody");
    this.more = el("div", { class: "sweep-more", hidden: true });
    const table = el("table", { class: "sweep-table" }, el("thead", {}, el("tr", {}, ...this.heads, el("th", { scope: "col" }, "Started"))), this.body);
    this.body.addEventListener("pointerover", (event) => this.lift(event.target.closest("tr")));
    this.body.addEventListener("pointerleave", () => this.lift(null));
    this.host.replaceChildren(el("div", { class: "sweep-scroll", tabindex: "0", role: "group", "aria-label": "Trials" }, table), this.more);
  }

  head(key, word) {
    const button = el("button", { type: "button", title: word, onclick: () => this.sort(key) }, el("span", {}, word), el("span", { class: "sort-mark", "aria-hidden": "true" }));
    return el("th", { scope: "col", "data-key": key, class: key === "value" || key === "time" ? "number" : "" }, button);
  }

  /** The objective begins with its best, everything else with its least; a second time turns it. */
  sort(key) {
    const first = key === "value" && this.seen.sweep.objective.direction === "maximize" ? "-value" : key;
    const other = first.startsWith("-") ? first.slice(1) : `-${first}`;
    state.sort = state.sort === first ? other : first;
    writeState({ sort: state.sort === "-number" ? null : state.sort });
    this.update(this.seen);
  }

  fill(names) {
    const { sweep, now, chosen } = this.seen;
    const all = sorted(chosen ? sweep.trials.filter((trial) => chosen.has(trial.number)) : sweep.trials, state.sort, now);
    const wanted = (this.isWhole ? all : all.slice(0, FIRST)).map((trial) => this.row(trial, names));
    wanted.forEach((row, at) => { if (this.body.children[at] !== row) this.body.insertBefore(row, this.body.children[at] ?? null); });
    while (this.body.children.length > wanted.length) this.body.lastChild.remove();
    this.mark();
    this.rest(all.length);
    this.host.dataset.rows = String(wanted.length);
  }

  mark() {
    const column = state.sort.replace(/^-/, "");
    for (const head of this.heads) {
      const isOn = head.dataset.key === column;
      const way = state.sort.startsWith("-") ? "descending" : "ascending";
      if (isOn) head.setAttribute("aria-sort", way);
      else head.removeAttribute("aria-sort");
      head.querySelector(".sort-mark").textContent = isOn ? (way === "ascending" ? "↑" : "↓") : "";
    }
  }

  rest(count) {
    const { sweep, chosen } = this.seen;
    const hidden = count > FIRST && !this.isWhole;
    this.more.hidden = !hidden && !chosen;
    const words = `${count.toLocaleString("en")} of ${sweep.trials.length.toLocaleString("en")} trials are within the brushes. `;
    const all = () => { this.isWhole = true; this.update(this.seen); };
    this.more.replaceChildren(chosen ? words : "", ...(chosen ? [el("button", { type: "button", class: "link", onclick: this.calls.onShowAll }, "Take the brushes away")] : []),
      ...(hidden ? [` ${FIRST} are shown. `, el("button", { type: "button", class: "link", onclick: all }, `Show all ${count.toLocaleString("en")}`)] : []));
  }

  /** The row of a trial, drawn anew only where something of it changed. */
  row(trial, names) {
    const { sweep, now } = this.seen;
    const isBest = trial.number === sweep.best;
    const told = JSON.stringify([trial, isBest, trial.ended === null && Math.floor(now)]);
    const known = this.rows.get(trial.number);
    if (known?.told === told) return known.row;
    const row = known?.row ?? el("tr", { "data-trial": String(trial.number) });
    const focused = row.contains(document.activeElement);
    row.classList.toggle("is-best", isBest);
    row.replaceChildren(...cells(trial, names, now, isBest));
    if (focused) row.querySelector("a")?.focus({ preventScroll: true });
    this.rows.set(trial.number, { told, row });
    return row;
  }

  lift(row) {
    this.calls.onLift(row ? Number(row.dataset.trial) : null);
  }

  lifted(number) {
    for (const row of this.body?.querySelectorAll(".is-lifted") ?? []) row.classList.remove("is-lifted");
    this.rows.get(number)?.row.classList.add("is-lifted");
  }
}

function cells(trial, names, now, isBest) {
  const time = seconds(trial, now);
  const name = String(trial.number);
  const value = trial.value === null ? "–" : number(valueOf(trial));
  return [
    el("td", {}, trial.run ? el("a", { href: runUrl(trial.run), title: "Open its run" }, name) : name),
    el("td", {}, status(trial)),
    el("td", { class: "number" }, isBest ? `★ ${value}` : value),
    el("td", { class: "number" }, time === null ? "–" : duration(time)),
    ...names.map((param) => (Object.hasOwn(trial.params, param) ? param_(trial.params[param]) : el("td", { class: "muted" }, "–"))),
    el("td", { class: "muted", title: trial.host }, ago(trial.started, now)),
  ];
}

function param_(value) {
  const text = shown(value);
  return el("td", { class: "sweep-value", title: text.length > 20 ? text : null }, text);
}

export function status(trial) {
  const word = statusOf(trial);
  const waits = word === "waiting" ? "Its worker gave it back or is gone; the next worker gets it" : null;
  const error = trial.error ? el("span", { class: "trial-error", title: trial.error }, trial.error.slice(0, 200)) : null;
  return el("span", { class: `status status-${word}`, title: waits }, el("span", { class: "status-mark", "aria-hidden": "true" }), word, error);
}
