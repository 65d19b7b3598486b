/**
 * One number of each run, sorted: bars with names up to twenty runs, past that a dot for each.
 * Bars begin at zero where that leaves their differences visible; else a broken edge says so.
 */

import { drawAxes } from "./axes.js";
import { fitted, Layer, tipAt } from "./layers.js";

const ROW = 24;
const MOST_BARS = 20;
const DOTS_HEIGHT = 300;
const BAR_MARGIN = { left: 150, right: 84, top: 6, bottom: 6 };
const DOT_MARGIN = { left: 60, right: 16, top: 12, bottom: 36 };

/** Where the bars begin: zero, unless all values are so far from it that they look alike. */
export function barStart(values) {
  const [lo, hi] = [Math.min(...values), Math.max(...values)];
  if (lo <= 0 || hi - lo > hi * 0.15 || hi === lo) return Math.min(0, lo);
  return lo - (hi - lo) * 0.25;
}

export class BarsChart {
  /** @param calls {onLift(run), onOpen(run)} */
  constructor(host, calls) {
    Object.assign(this, { host, calls, data: null, lifted: null });
    this.layer = new Layer(host, { height: ROW, draw: (...all) => this.draw(...all), onResize: () => this.layer.redraw() });
    this.listen();
  }

  /**
   * @param {object} data
   * @param {{run, name, value, color}[]} data.items the best first
   * @param {object} data.axis of the values, with a title; @param {(value) => string} data.text
   * @param {number|null} data.base the baseline's value; @param {string} data.label
   */
  setData(data) {
    this.data = data;
    this.isBars = data.items.length <= MOST_BARS;
    this.layer.resize(this.isBars ? data.items.length * ROW + BAR_MARGIN.top + BAR_MARGIN.bottom : DOTS_HEIGHT);
    this.layer.label(data.label);
    this.host.dataset.points = String(data.items.length);
    this.layer.redraw();
  }

  lift(run) {
    this.lifted = run;
    this.layer.redraw();
  }

  draw(ctx, colors, width, height) {
    if (!this.data) return;
    this.size = { width, height };
    if (this.isBars) this.drawBars(ctx, colors, width);
    else this.drawDots(ctx, colors, width, height);
  }

  /** Names on the left; less room for them on a narrow screen. */
  get nameRoom() {
    return Math.min(BAR_MARGIN.left, this.size.width * 0.32);
  }

  drawBars(ctx, colors, width) {
    const { items, text, base } = this.data;
    const finite = items.map(({ value }) => value).filter(Number.isFinite);
    const [start, end] = [barStart(finite), Math.max(0, ...finite)];
    const left = this.nameRoom;
    const at = (value) => left + ((value - start) / (end - start || 1)) * (width - left - BAR_MARGIN.right);
    items.forEach((item, row) => this.drawBar(ctx, colors, item, BAR_MARGIN.top + row * ROW, at, text, start));
    if (Number.isFinite(base)) this.drawBase(ctx, colors, at(base), items.length);
  }

  drawBar(ctx, colors, { run, name, value, color }, top, at, text, start) {
    const isLifted = run === this.lifted;
    const left = this.nameRoom;
    const zero = start > 0 ? left : at(0);
    const end = Number.isFinite(value) ? at(value) : zero;
    Object.assign(ctx, { fillStyle: color ?? colors.muted, globalAlpha: this.lifted === null || isLifted ? 1 : 0.35 });
    ctx.fillRect(Math.min(zero, end), top + 4, Math.max(2, Math.abs(end - zero)), ROW - 8);
    ctx.globalAlpha = 1;
    if (start > 0) this.drawBreak(ctx, colors, left + 6, top);
    Object.assign(ctx, { fillStyle: colors.text, textBaseline: "middle", textAlign: "right" });
    ctx.fillText(fitted(ctx, name, left - 14), left - 8, top + ROW / 2);
    ctx.textAlign = "left";
    ctx.fillText(text(value), Math.max(zero, end) + 6, top + ROW / 2);
  }

  /** Two slanted gaps: this bar does not begin at zero. */
  drawBreak(ctx, colors, x, top) {
    Object.assign(ctx, { strokeStyle: colors.card, lineWidth: 2 });
    ctx.beginPath();
    for (const shift of [0, 5]) {
      ctx.moveTo(x + shift, top + ROW - 3);
      ctx.lineTo(x + shift + 4, top + 3);
    }
    ctx.stroke();
  }

  drawBase(ctx, colors, x, rows) {
    Object.assign(ctx, { strokeStyle: colors.text, lineWidth: 1 });
    ctx.setLineDash([2, 2]);
    ctx.beginPath();
    ctx.moveTo(x, BAR_MARGIN.top);
    ctx.lineTo(x, BAR_MARGIN.top + rows * ROW);
    ctx.stroke();
    ctx.setLineDash([]);
  }

  drawDots(ctx, colors, width, height) {
    const { items, axis } = this.data;
    const rank = { kind: "linear", lo: 1, hi: items.length, title: "rank" };
    drawAxes(ctx, colors, { width, height, margin: DOT_MARGIN, x: rank, y: axis, pad: 0.02 });
    items.forEach((item, at) => {
      const { left, top } = this.dotPlace(at, item.value);
      ctx.beginPath();
      ctx.arc(left, top, item.run === this.lifted ? 6 : 3, 0, 2 * Math.PI);
      Object.assign(ctx, { fillStyle: item.color ?? colors.muted, globalAlpha: item.run === this.lifted ? 1 : 0.85 });
      ctx.fill();
    });
    ctx.globalAlpha = 1;
  }

  dotPlace(at, value) {
    const { width, height } = this.size;
    const { axis, items, position } = this.data;
    const padded = (share) => 0.02 + 0.96 * share;
    return {
      left: DOT_MARGIN.left + padded(at / Math.max(1, items.length - 1)) * (width - DOT_MARGIN.left - DOT_MARGIN.right),
      top: DOT_MARGIN.top + (1 - padded(position(axis, value) ?? 0)) * (height - DOT_MARGIN.top - DOT_MARGIN.bottom),
    };
  }

  listen() {
    const { canvas } = this.layer;
    canvas.tabIndex = 0;
    canvas.addEventListener("pointermove", ({ offsetX, offsetY }) => this.point(this.itemAt(offsetX, offsetY)));
    canvas.addEventListener("pointerleave", ({ pointerType }) => pointerType !== "touch" && this.point(-1));
    canvas.addEventListener("blur", () => this.point(-1));
    canvas.addEventListener("click", ({ offsetX, offsetY, pointerType }) => {
      const at = this.itemAt(offsetX, offsetY);
      if (pointerType === "touch" && this.data.items[at]?.run !== this.lifted) return this.point(at); // the next touch opens it
      if (at >= 0) this.calls.onOpen(this.data.items[at].run);
    });
    canvas.addEventListener("keydown", (event) => this.pressed(event));
  }

  itemAt(x, y) {
    const { items } = this.data ?? { items: [] };
    const inner = this.layer.width - DOT_MARGIN.left - DOT_MARGIN.right;
    const share = ((x - DOT_MARGIN.left) / inner - 0.02) / 0.96;
    const at = this.isBars ? Math.floor((y - BAR_MARGIN.top) / ROW) : Math.round(share * (items.length - 1));
    return at >= 0 && at < items.length ? at : -1;
  }

  point(at) {
    const item = this.data?.items[at];
    this.calls.onLift(item?.run ?? null);
    const place = item && (this.isBars ? { left: this.nameRoom + 30, top: at * ROW + ROW } : this.dotPlace(at, item.value));
    tipAt(this.host, item ? [item.name, `${at + 1} of ${this.data.items.length}: ${this.data.text(item.value)}`] : null, place?.left ?? 0, place?.top ?? 0);
  }

  pressed(event) {
    const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (event.key === "Enter" && this.lifted !== null) return this.calls.onOpen(this.lifted);
    if (!by || !this.data) return;
    event.preventDefault();
    const { items } = this.data;
    const at = items.findIndex(({ run }) => run === this.lifted);
    this.point((at + by + items.length + (at < 0 && by < 0 ? 1 : 0)) % items.length);
  }

  /** What pictures of it are made of (pictures.js). */
  get layers() { return [this.layer]; }
  /** As tall as its runs: a larger window changes nothing. */
  get isTall() { return this.isBars; }

  toTable() {
    return { head: ["run", this.data.axis.title], rows: this.data.items.map(({ name, value }) => [name, value]) };
  }

  destroy() {
    this.layer.destroy();
  }
}
