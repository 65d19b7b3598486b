/** The charts of a workspace by the prefix of their metric: asked for and drawn once they come into sight. */

import { menuButton, refreshTable, toggleTable } from "../charts/card_button.js";
import { Flags } from "../charts/flags.js";
import { LineChart } from "../charts/line.js";
import { clear, el } from "../core/dom.js";
import { number } from "../core/format.js";
import { TIMES } from "./curves.js";
import { batches, linkTo, sectionsOf } from "./choices.js";
import { pins } from "./pins.js";

const SHAPE = ["metrics", "shut", "columns", "runs", "pins"]; // what changes which cards there are
const DRAWN = ["runs", "x", "smooth", "log", "logx", "fit", "group", "band", "zoom", "colors", "points"];
const BATCH = 6; // metrics of one request
const HEIGHT = 220; // of a chart, in pixels
const MARGIN = "300px";

export class Sections {
  constructor(view, curves, host) {
    Object.assign(this, { view, curves, host, onCursor: () => {} });
    this.answered = new Set(); // metrics that are drawn in the next frame, and dimmed until then
    this.pins = pins(() => this.place());
    this.cards = new Map(); // metric → {figure, host, note, chart, isSeen, isAsked}
    this.watch = new IntersectionObserver((entries) => this.seen(entries), { rootMargin: MARGIN });
    view.on(SHAPE, () => this.place());
    view.on(DRAWN, () => this.refresh());
    view.on(["at"], () => this.cursor("", null));
    view.onLift((id) => this.lift(id));
    this.place();
  }

  /** The metrics whose charts are in sight. */
  get inSight() {
    return [...this.cards].filter(([, card]) => card.isSeen && card.figure.isConnected).map(([name]) => name);
  }

  place() {
    const names = this.view.names.filter((name) => this.view.has(name));
    const found = sectionsOf(names, this.view.state.metrics, this.pins.names);
    const shape = JSON.stringify([...found, this.view.state.shut]);
    if (shape === this.shape) return;
    this.shape = shape;
    clear(this.host).append(...[...found].map(([title, names]) => this.section(title, names)));
    this.host.dataset.state = found.size ? "ready" : "empty";
    if (!found.size) this.host.append(this.nothing());
  }

  nothing() {
    const [title, text] = this.view.names.length ? ["No metric matches", "Change or clear the filter above."]
      : ["No metrics yet", "Charts come with the first logged point."];
    return el("div", { class: "empty card" }, el("p", { class: "empty-title" }, title), el("p", { class: "muted" }, text));
  }

  section(title, names) {
    const isShut = this.view.state.shut.includes(title);
    const toggle = el("button", { type: "button", class: "section-toggle", "aria-expanded": String(!isShut), onclick: () => this.fold(title, isShut) },
      el("span", { class: "section-mark", "aria-hidden": "true" }), title, el("span", { class: "muted" }, String(names.length)));
    return el("section", { class: "chart-section", dataset: { section: title } }, el("h2", {}, toggle),
      isShut ? null : el("div", { class: "chart-grid" }, names.map((name) => this.card(name).figure)));
  }

  fold(title, isShut) {
    const { shut } = this.view.state;
    this.view.change({ shut: isShut ? shut.filter((other) => other !== title) : [...shut, title] });
    this.host.querySelector(`[data-section="${CSS.escape(title)}"] .section-toggle`)?.focus();
  }

  card(name) {
    if (!this.cards.has(name)) this.cards.set(name, this.newCard(name));
    return this.cards.get(name);
  }

  newCard(name) {
    const host = el("div", { class: "chart-host", dataset: { state: "loading" } });
    const note = el("p", { class: "chart-note", role: "alert", hidden: true });
    const facts = el("span", { class: "card-facts muted" });
    const busy = el("span", { class: "chart-busy", "aria-hidden": "true" }, "Loading finer data …");
    const card = { host, note, facts, chart: null, table: null, isSeen: false, isAsked: false, link: () => linkTo(name) };
    const caption = el("figcaption", {}, el("span", { class: "cut", title: name }, name), facts, menuButton(name, card, this.pins));
    const figure = (card.figure = el("figure", { class: "chart-card card", dataset: { metric: name } }, caption, host, busy, note));
    this.watch.observe(figure);
    return card;
  }

  seen(entries) {
    for (const { target, isIntersecting } of entries) this.cards.get(target.dataset.metric).isSeen = isIntersecting;
    if (entries.some(({ isIntersecting }) => isIntersecting)) this.refresh();
  }

  /** Draw what is in sight from what is known, and ask for the rest; at once for all who call together. */
  refresh() {
    this.planned ??= requestAnimationFrame(() => {
      this.planned = null;
      this.curves.settle();
      const names = this.inSight;
      names.filter((name) => this.curves.has(name)).forEach((name) => this.show(name));
      this.answered.forEach((name) => this.mark(name, false));
      this.answered.clear();
      const lacking = names.filter((name) => !this.curves.has(name) && !this.cards.get(name).isAsked);
      lacking.forEach((name) => { this.mark(name, true); this.preview(this.cards.get(name).chart); });
      this.isGrowing = false;
      batches(lacking, BATCH).forEach((part) => this.load(part));
    });
  }

  /** What is known already, at the zoom that is asked for, until the finer data are there. */
  preview(chart) {
    const { x, zoom } = this.view.state;
    if (chart?.view.x === x && chart.view.logX === this.view.isLogX) chart.setView({ range: zoom.length ? zoom : null });
  }

  /** A chart that is asked for is dimmed, unless it only grows, and is not asked for again meanwhile. */
  mark(name, isAsked) {
    const card = this.cards.get(name);
    card.isAsked = isAsked;
    card.figure.classList.toggle("is-stale", isAsked && card.chart !== null && !this.isGrowing);
    card.figure.setAttribute("aria-busy", String(isAsked));
  }

  async load(names) {
    let failure = null;
    try {
      await this.curves.fetch(names);
    } catch (error) {
      failure = error;
    }
    if (failure) return names.forEach((name) => this.fail(name, failure));
    for (const name of names) {
      this.cards.get(name).isAsked = false;
      this.answered.add(name);
    }
    if (this.curves.late.size) names.filter((name) => this.curves.has(name)).forEach((name) => this.show(name));
    this.curves.forgetLate();
    return this.refresh(); // the runs may be others by now
  }

  show(name) {
    const card = this.cards.get(name);
    const { x, smooth, log, fit, zoom } = this.view.state;
    card.chart ??= this.chart(name, card.host);
    card.note.hidden = true;
    card.chart.setData(this.curves.of(name));
    card.chart.setView({ x, smooth, logX: this.view.isLogX, logY: log, fitAll: fit, range: zoom.length ? zoom : null, flags: this.view.flagsOf(name) });
    refreshTable(card);
    if (this.pinned !== null) card.chart.setCursor(this.pinned);
    this.onCursor(null);
    const isWhole = !zoom.length && (TIMES.has(x) || x === "step"); // else they would be of a part
    if (isWhole) card.facts.textContent = factsOf(card.chart.all, this.view.compared.directions[name]);
    else if (!card.facts.textContent) card.facts.textContent = this.knownFacts(name);
  }

  /** The facts of a single run as the page was given them. */
  knownFacts(name) {
    const { metrics, directions } = this.view.compared;
    const at = this.view.drawn.map((id) => this.view.compared.places.get(id));
    if (at.length !== 1 || !metrics[name]) return "";
    const figures = Object.fromEntries(["last", "min", "max"].map((part) => [part, [metrics[name][part][at[0]]]]));
    return factsOf([figures], directions[name]);
  }

  chart(name, host) {
    const chart = new LineChart(host, { title: name, height: HEIGHT, Flags });
    chart.onTable = () => toggleTable(this.cards.get(name));
    chart.onZoom = (range) => this.view.change({ zoom: range ?? [] });
    chart.onCursor = (x) => this.cursor(name, x);
    chart.onPick = (x) => this.view.state.table && this.view.change({ at: this.view.state.at.length ? [] : [Number(x.toPrecision(12))] });
    return chart;
  }

  /** The place of x that stays marked, or null. */
  get pinned() { return this.view.state.at[0] ?? null; }

  /** The pointer is at x on one chart: all others in sight show the same place, else the pinned one. */
  cursor(from, x) {
    const place = x ?? this.pinned;
    for (const name of this.inSight) if (name !== from || x === null) this.cards.get(name).chart?.setCursor(place);
    this.onCursor(x);
  }

  fail(name, error) {
    this.mark(name, false);
    const { note } = this.cards.get(name);
    note.hidden = false;
    clear(note).append(`${error.message} `, el("button", { type: "button", class: "link", onclick: () => this.refresh() }, "Try again"));
  }

  lift(id) {
    if (this.view.isGrouped) return;
    for (const name of this.inSight) this.cards.get(name).chart?.setView({ hover: id, dim: id !== null });
  }
}

/** The last value of a single curve, and its best where the name says which way is better. */
function factsOf(all, direction) {
  if (all.length !== 1) return "";
  const [series] = all;
  const last = number(series.last?.at(-1) ?? series.mean?.at(-1));
  if (!direction) return last;
  const known = series[direction === "minimize" ? "min" : "max"].filter(Number.isFinite);
  return known.length ? `${last} · best ${number(known.reduce((a, b) => ((direction === "minimize") === (b < a) ? b : a)))}` : last;
}
