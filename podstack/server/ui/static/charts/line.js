/**
 * Curves over x: a line of bucket means with a band from the lowest to the highest, zoom, a cursor.
 * Callbacks: onZoom(range or null), onCursor(x or null), onPick(x), onTable().
 * Flags of the view are {step, time, text}: each on its place of any x axis, for one run.
 */

import { el } from "../core/dom.js";
import { duration, integer, moment, number } from "../core/format.js";
import { extent, flagPlaces, nearest, placed, smoothed, tableOf, windowOf, yRange } from "./curve.js";
import { Layer } from "./layers.js";
import { listen } from "./line_input.js";
import { cursor, cutsOf, flags, frameOf, paint } from "./line_paint.js";

const LISTED = 14; // series that a tooltip names
const NEAR = 5; // pixels from a flag that are at it
const USUAL = { x: "step", smooth: 0, logX: false, logY: false, range: null, fitAll: false, dim: false, hover: null, flags: [] };
const NOTHING = () => {};

export class LineChart {
  /**
   * @param {HTMLElement} host its place
   * @param {{title?: string, height?: number, Flags?: typeof import('./flags.js').Flags}} options
   *   Flags: what makes flags things to point at, where the view has any
   */
  constructor(host, { title = "", height = 220, Flags = null } = {}) {
    Object.assign(this, { host, title, view: { ...USUAL }, series: [], all: [], at: null, drag: null });
    Object.assign(this, { onZoom: NOTHING, onCursor: NOTHING, onPick: NOTHING, onTable: NOTHING });
    host.classList.add("line-chart");
    this.layer = new Layer(host, { height, draw: (...sizes) => this.draw(...sizes) });
    this.tip = el("div", { class: "chart-tip line-tip", "aria-hidden": "true", hidden: true });
    this.note = el("span", { class: "chart-window", hidden: true });
    this.said = el("span", { class: "visually-hidden", role: "status" });
    host.append(this.tip, this.note, this.said);
    this.flags = Flags && new Flags(host);
    listen(this, this.layer.canvas);
  }

  /** @param {object[]} series {id, label, color, dash, x, time, mean, min, max, last, count, odd} */
  setData(series) {
    this.series = series.filter(({ x }) => x.length);
    this.reckon();
  }

  setView(changes) {
    const isSame = Object.entries(changes).every(([name, value]) => JSON.stringify(this.view[name]) === JSON.stringify(value));
    if (isSame) return;
    Object.assign(this.view, changes);
    if (Object.keys(changes).some((name) => name !== "hover" && name !== "dim")) this.reckon();
    else this.layer.redraw();
  }

  /** Show a place of x, as the pointer on another chart does; null hides it. */
  setCursor(x) {
    this.at = x;
    if (x === null) delete this.host.dataset.cursor;
    else this.host.dataset.cursor = String(Number(x.toPrecision(14)));
    this.layer.redraw();
  }

  reckon() {
    const { x, smooth, range, logX } = this.view;
    this.all = this.series.map((one) => placed(one, x));
    for (const one of this.all) one.line = smoothed(one.mean, one.count, smooth);
    this.full = extent(this.all, logX) ?? [0, 1];
    this.range = range ?? this.full;
    const y = yRange(this.all, this.range, { isLog: this.view.logY, fitAll: this.view.fitAll, withBands: this.all.length <= 6 });
    this.y = y ?? (this.view.logY ? [0.1, 1] : [0, 1]);
    this.flagged = flagPlaces(this.view.flags, this.all[0], x);
    this.tell();
    this.layer.redraw();
  }

  /** What the element says of its drawing, for people who do not see it and for tests. */
  tell() {
    const { dataset } = this.host;
    dataset.points = String(this.all.reduce((sum, { at }) => sum + at.length, 0));
    dataset.range = this.range.map((value) => Number(value.toPrecision(14))).join(":");
    dataset.state = this.all.length ? "ready" : "empty";
    const words = this.all.slice(0, 3).map((one) => `${one.label}: last ${number(one.line.at(-1))}, min ${number(least(one.min))}, max ${number(most(one.max))}`);
    const cuts = this.all.reduce((sum, one) => sum + cutsOf(one, this.range, this.y), 0);
    dataset.cut = String(cuts);
    dataset.flags = String(this.flagged.length);
    if (cuts) words.push(`its band is cut at ${integer(cuts)} place${cuts === 1 ? "" : "s"}, Fit all shows it whole`);
    if (this.flagged.length) words.push(`alerts: ${this.flagged.slice(0, 3).map(({ text }) => text).join(", ")}`);
    const rest = this.all.length > 3 ? `; and ${this.all.length - 3} more` : "";
    this.layer.label(`${this.title}. ${words.join("; ") || "no points"}${rest}`);
    const first = this.all.find((one) => one.line !== one.mean);
    this.note.hidden = !first;
    if (first) this.note.textContent = this.windowText(first);
  }

  windowText(one) {
    const { smooth, x } = this.view;
    const span = windowOf(smooth, one);
    return `smoothed ${smooth.toFixed(2)} ≈ ${x === "relative" || x === "wall" ? duration(span) : x === "step" ? `${integer(span)} step${span === 1 ? "" : "s"}` : `${number(span)} of ${x}`}`;
  }

  draw(ctx, colors, width, height) {
    const frame = (this.frame = frameOf(width, height, { ...this.view, x: this.range, y: this.y }));
    paint(ctx, colors, frame, this.all, this.view);
    flags(ctx, colors, frame, this.flagged);
    this.flags?.place(frame, this.flagged);
    if (!this.all.length) this.sayNothing(ctx, colors, width, height);
    if (this.at !== null) cursor(ctx, colors, frame, this.at, this.hits().map(({ left, top, color }) => ({ left, top, color })));
    if (this.drag) this.shade(ctx, colors, frame);
  }

  sayNothing(ctx, colors, width, height) {
    Object.assign(ctx, { fillStyle: colors.muted, textAlign: "center", textBaseline: "middle" });
    ctx.fillText(this.view.range ? "No points in this range" : "No points", width / 2, height / 2);
  }

  shade(ctx, colors, frame) {
    Object.assign(ctx, { fillStyle: colors.accent, globalAlpha: 0.15 });
    ctx.fillRect(Math.min(...this.drag), 12, Math.abs(this.drag[1] - this.drag[0]), frame.high);
    ctx.globalAlpha = 1;
  }

  /** Each series at the cursor: where it is drawn and what it is there. */
  hits() {
    const { frame } = this;
    return this.valuesAt(this.at).map((hit) => ({ ...hit, color: hit.one.color, left: frame.left(hit.x), top: frame.top(hit.value) }));
  }

  /** The point of each series nearest to a place of x: {one, place, value, x}. */
  valuesAt(x) {
    const room = (this.range[1] - this.range[0]) / 20;
    const found = this.all.map((one) => {
      const place = nearest(one.at, x);
      return { one, place, value: one.line[place], x: one.at[place] };
    });
    return found.filter((hit) => hit.place >= 0 && (found.length === 1 || Math.abs(hit.x - x) <= room));
  }

  /** Move the cursor by the pointer or a key, and say what is there. */
  point(x) {
    this.setCursor(x);
    this.tip.hidden = x === null || !this.all.length;
    if (!this.tip.hidden && this.frame) this.fillTip(x);
    this.onCursor(x);
  }

  /** What is at the cursor, for who does not see it: keys tell it, the pointer does not. */
  speak() {
    const hits = this.at === null ? [] : this.valuesAt(this.at);
    const alerts = this.flagsNear(this.at ?? NaN).map(({ text }) => `, alert: ${text}`);
    const values = hits.slice(0, 4).map(({ one, value }) => (hits.length > 1 ? `${one.label} ${number(value)}` : number(value)));
    this.said.textContent = hits.length ? `${this.xText(hits[0].x)}: ${values.join(", ")}${alerts.join("")}` : "";
  }

  flagsNear(x) {
    const { frame } = this;
    return frame ? this.flagged.filter((flag) => Math.abs(frame.left(flag.x) - frame.left(x)) <= NEAR) : [];
  }

  fillTip(x) {
    const hits = this.hits().sort((a, b) => (b.value > a.value ? 1 : -1));
    const rows = hits.slice(0, LISTED).map(({ one, color, value, place }) => el("div", { class: one.id === this.view.hover ? "is-lifted" : "" },
      el("i", { style: { background: color } }), el("span", { class: "cut" }, one.label), el("b", {}, number(value)),
      one.odd[place] ? el("em", {}, `${one.odd[place]} NaN or ∞`) : null));
    rows.push(...this.flagsNear(x).slice(0, 3).map(({ text }) => el("div", { class: "tip-flag" }, text)));
    const over = hits.length - Math.min(hits.length, LISTED);
    this.tip.replaceChildren(el("strong", {}, this.xText(hits[0]?.x ?? x)), ...rows, ...(over > 0 ? [el("div", { class: "muted" }, `and ${over} more`)] : []));
    const left = this.frame.left(x);
    const isRight = left + this.tip.offsetWidth + 24 > this.host.clientWidth && left > this.tip.offsetWidth + 14;
    this.tip.style.left = `${isRight ? left - this.tip.offsetWidth - 12 : left + 14}px`;
    this.tip.style.top = "14px";
  }

  xText(x) {
    if (this.view.x === "wall") return moment(x);
    if (this.view.x === "relative") return duration(x);
    return `${this.view.x} ${number(x)}`;
  }

  /** Zoom, and say so; null shows all again. */
  zoom(range) {
    this.setView({ range });
    this.onZoom(range);
  }

  /** What pictures of it are made of (pictures.js). */
  get layers() { return [this.layer]; }
  get legend() { return this.all.length > 1 ? this.all : []; }

  /** @returns {{head: string[], rows: (number|null)[][]}} a row for each x */
  toTable() {
    return tableOf(this.all, this.view.x);
  }

  destroy() {
    this.layer.destroy();
    this.tip.remove();
    this.note.remove();
    this.said.remove();
    this.flags?.destroy();
  }
}

const least = (values) => values.reduce((low, value) => (value < low ? value : low), Infinity);
const most = (values) => values.reduce((high, value) => (value > high ? value : high), -Infinity);
