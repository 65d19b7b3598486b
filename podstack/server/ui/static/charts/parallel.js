/**
 * Parallel coordinates: an axis for each column, a line for each run.
 *
 * Drag on an axis to keep a stretch of it, drag a title to move its axis, click a title to turn it
 * over. By keyboard a title takes ← → to move, Enter to turn, ↑ ↓ to brush, Shift with ↑ ↓ to widen
 * the brush, Escape to clear it. Lines are on one canvas, what follows the pointer is on another.
 */

import { el } from "../core/dom.js";
import { brushOf, position, stretches } from "../compare/dimensions.js";
import { axisAt, BOTTOM, heightOf, nearest, neededWidth, places, positionOf, TOP } from "./parallel_layout.js";
import { AxisTitles } from "./parallel_titles.js";
import { marks } from "./axes.js";
import { fitted, Layer, tipAt } from "./layers.js";

const HEIGHT = 330;
const REACH = 24; // pixels beside an axis that a finger still means
const SHADES = 24; // colours of lines, each drawn in one stroke

export class ParallelChart {
  /** @param calls {onBrush(key, brush), onOrder(keys), onInvert(key), onLift(run), onOpen(run)} */
  constructor(host, calls) {
    Object.assign(this, { host, calls, data: null, lifted: null, drag: null });
    this.inner = el("div", { class: "parallel" });
    this.titles = new AxisTitles(this.inner, this);
    this.stage = el("div", { class: "axis-stage" });
    this.inner.append(this.stage);
    host.append(this.inner);
    this.lines = new Layer(this.stage, { height: HEIGHT, draw: (...all) => this.drawLines(...all) });
    this.lines.canvas.removeAttribute("role"); // the canvas in front speaks for both
    this.lines.canvas.setAttribute("aria-hidden", "true");
    this.front = new Layer(this.stage, { height: HEIGHT, draw: (...all) => this.drawFront(...all), onResize: () => this.layout() });
    this.listen();
  }

  /**
   * @param {object} data
   * @param {{key, title, isInverted, ...dimension}[]} data.axes
   * @param {number[]} data.runs @param {Set<number>} data.selected
   * @param {(key, run) => any} data.value @param {object} data.brushes by key
   * @param {(run) => number} data.shade 0 … 1; @param {(share) => string} data.color
   * @param {(run) => string[]} data.tip lines of text; @param {string} data.label
   */
  setData(data) {
    this.data = data;
    this.inner.style.minWidth = `${neededWidth(data.axes.length)}px`;
    this.titles.draw();
    this.layout();
    this.host.dataset.state = "ready";
    this.host.dataset.points = String(data.selected.size);
    this.front.label(data.label);
  }

  lift(run) {
    this.lifted = run;
    this.front.redraw();
  }

  layout() {
    if (!this.data) return;
    const { axes, runs, value } = this.data;
    const { width, height } = this.front;
    this.xs = places(axes.length, width);
    const heights = (run) => axes.map((axis) => heightOf(this.placeOf(axis, value(axis.key, run)), height));
    this.heights = runs.map(heights);
    this.titles.place();
    this.lines.redraw();
    this.front.redraw();
  }

  placeOf(axis, value) {
    const found = position(axis, value);
    return found === null || !axis.isInverted ? found : 1 - found;
  }

  // Drawing -----------------------------------------------------------------------------------

  drawLines(ctx, colors) {
    if (!this.data) return;
    const { runs, selected, shade, color } = this.data;
    const rest = [];
    const shades = new Map();
    runs.forEach((run, at) => {
      if (!selected.has(run)) return rest.push(at);
      const share = shade(run);
      const step = share === null ? null : typeof share === "string" ? share : Math.round(share * SHADES) / SHADES;
      shades.set(step, [...(shades.get(step) ?? []), at]);
    });
    this.stroke(ctx, rest, colors.line, hairline(), 0.7);
    const alpha = selected.size > 100 ? 0.65 : 0.9;
    const width = selected.size > 30 ? hairline() : 1.8;
    const ordered = [...shades].sort(([a], [b]) => (a > b) - (a < b));
    for (const [share, lines] of ordered) this.stroke(ctx, lines, share === null ? colors.muted : color(share), width, alpha);
  }

  stroke(ctx, lines, color, width, alpha) {
    Object.assign(ctx, { strokeStyle: color, lineWidth: width, globalAlpha: alpha });
    for (const line of lines) {
      ctx.beginPath();
      this.path(ctx, this.heights[line]);
      ctx.stroke();
    }
    ctx.globalAlpha = 1;
  }

  path(ctx, heights) {
    const { xs } = this;
    ctx.moveTo(xs[0], heights[0]);
    for (let at = 1; at < xs.length; at += 1) {
      const third = (xs[at] - xs[at - 1]) / 3;
      ctx.bezierCurveTo(xs[at - 1] + third, heights[at - 1], xs[at] - third, heights[at], xs[at], heights[at]);
    }
  }

  drawFront(ctx, colors, width, height) {
    if (!this.data) return;
    const { axes, runs } = this.data;
    const lifted = runs.indexOf(this.lifted);
    if (lifted >= 0) {
      this.stroke(ctx, [lifted], colors.card, 6, 0.9);
      this.stroke(ctx, [lifted], colors.text, 2.5, 1);
    }
    axes.forEach((axis, at) => this.drawAxis(ctx, colors, axis, at, height));
  }

  drawAxis(ctx, colors, axis, at, height) {
    const x = this.xs[at];
    Object.assign(ctx, { strokeStyle: colors.muted, lineWidth: 1 });
    ctx.beginPath();
    ctx.moveTo(x, TOP);
    ctx.lineTo(x, height - BOTTOM);
    ctx.stroke();
    this.drawBrush(ctx, colors, axis, x, height);
    const isLast = at === this.xs.length - 1;
    const room = this.xs.length > 1 ? this.xs[1] - this.xs[0] - 14 : 200;
    for (const { place, text } of marks(axis, (height - TOP - BOTTOM) / 46)) this.tick(ctx, colors, x, heightOf(axis.isInverted ? 1 - place : place, height), text, isLast ? Math.min(room, 46) : room);
    if (this.data.runs.some((run) => position(axis, this.data.value(axis.key, run)) === null)) this.tick(ctx, colors, x, heightOf(null, height), "none", room);
  }

  tick(ctx, colors, x, y, text, room) {
    const shown = fitted(ctx, text, room);
    Object.assign(ctx, { strokeStyle: colors.card, lineWidth: 3, fillStyle: colors.text, textBaseline: "middle", textAlign: "left", lineJoin: "round" });
    ctx.strokeText(shown, x + 6, y);
    ctx.fillText(shown, x + 6, y);
    Object.assign(ctx, { strokeStyle: colors.muted, lineWidth: 1 });
    ctx.beginPath();
    ctx.moveTo(x - 3, y);
    ctx.lineTo(x + 3, y);
    ctx.stroke();
  }

  drawBrush(ctx, colors, axis, x, height) {
    const isDragged = this.drag?.kind === "brush" && this.drag.key === axis.key;
    const parts = isDragged ? [[this.drag.from, this.drag.to]] : this.stretchesOf(axis);
    for (const [from, to] of parts) {
      const [top, bottom] = [heightOf(Math.max(from, to), height), heightOf(Math.min(from, to), height)];
      ctx.globalAlpha = 0.35;
      ctx.fillStyle = colors.accent;
      ctx.fillRect(x - 7, top, 14, Math.max(2, bottom - top));
      ctx.globalAlpha = 1;
      ctx.strokeStyle = colors.accent;
      ctx.strokeRect(x - 6.5, top + 0.5, 13, Math.max(2, bottom - top - 1));
    }
  }

  /** What is brushed of an axis, as it stands on the screen. */
  stretchesOf(axis) {
    const found = stretches(axis, this.data.brushes[axis.key]);
    return axis.isInverted ? found.map(([from, to]) => [1 - to, 1 - from]) : found;
  }

  /** A stretch of the screen as a brush of the axis. */
  brush(axis, from, to) {
    const [low, high] = axis.isInverted ? [1 - to, 1 - from] : [from, to];
    const brush = brushOf(axis, low, high);
    this.calls.onBrush(axis.key, brush.in?.length === 0 ? null : brush);
  }

  // The pointer -------------------------------------------------------------------------------

  listen() {
    const { canvas } = this.front;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", () => this.drop());
    canvas.addEventListener("touchstart", (event) => this.touched(event), { passive: false });
    canvas.addEventListener("pointerleave", ({ pointerType }) => !this.drag && pointerType !== "touch" && this.point(-1));
    canvas.addEventListener("dblclick", (event) => {
      const axis = this.data?.axes[axisAt(this.xs, event.offsetX)];
      if (axis) this.calls.onBrush(axis.key, null);
    });
  }

  /** A finger on an axis brushes it; elsewhere it scrolls the page, or the axes sideways. */
  touched(event) {
    const left = event.touches[0].clientX - this.front.canvas.getBoundingClientRect().left;
    if (event.touches.length === 1 && this.data && axisAt(this.xs, left, REACH) >= 0) event.preventDefault();
  }

  down(event) {
    const axis = this.data?.axes[axisAt(this.xs, event.offsetX, event.pointerType === "touch" ? REACH : undefined)];
    if (!axis || event.button !== 0) return;
    this.front.canvas.setPointerCapture(event.pointerId);
    const at = positionOf(event.offsetY, this.front.height);
    this.drag = { kind: "brush", key: axis.key, axis, from: at, to: at };
  }

  move(event) {
    if (!this.data) return;
    const { offsetX: x, offsetY: y } = event;
    if (this.drag) {
      this.drag.to = positionOf(y, this.front.height);
      return this.front.redraw();
    }
    this.front.canvas.style.cursor = axisAt(this.xs, x) >= 0 ? "ns-resize" : "default";
    if (event.pointerType !== "touch") this.hover(x, y);
  }

  hover(x, y) {
    const chosen = this.data.runs.map((run, at) => [run, at]).filter(([run]) => this.data.selected.has(run));
    const hit = nearest(chosen.map(([, at]) => this.heights[at]), this.xs, x, y);
    this.point(hit < 0 ? -1 : chosen[hit][0], x, y);
  }

  point(run, x = 0, y = 0) {
    this.calls.onLift(run < 0 ? null : run);
    tipAt(this.stage, run < 0 ? null : this.data.tip(run), x, y);
  }

  up(event) {
    const { drag } = this;
    this.drop();
    if (!drag && event.pointerType === "touch") return this.tapped(event);
    if (!drag) return this.lifted !== null && this.calls.onOpen?.(this.lifted);
    const [from, to] = drag.from < drag.to ? [drag.from, drag.to] : [drag.to, drag.from];
    if (to - from < 0.008) return this.clicked(drag.axis, from);
    this.brush(drag.axis, from, to);
  }

  /** A touch lifts the line under it; the next one opens its run. */
  tapped({ offsetX, offsetY }) {
    const before = this.lifted;
    this.hover(offsetX, offsetY);
    if (this.lifted !== null && this.lifted === before) this.calls.onOpen?.(before);
  }

  /** A click on an axis takes its brush away; on a category without one it takes that category. */
  clicked(axis, at) {
    const isBrushed = axis.key in this.data.brushes;
    if (isBrushed || axis.kind !== "category") return this.calls.onBrush(axis.key, null);
    const half = 0.5 / Math.max(1, axis.categories.length - 1);
    this.brush(axis, at - half, at + half);
  }

  drop() {
    this.drag = null;
    this.front.redraw();
  }

  // Out ---------------------------------------------------------------------------------------

  /** What pictures of it are made of (pictures.js). */
  get layers() { return [this.lines, this.front]; }
  get heads() { return this.data.axes.map(({ title, isInverted }, at) => ({ left: this.xs[at], text: `${title}${isInverted ? " ↓" : ""}` })); }
  get legend() { return this.data.legend; }

  toTable() {
    const { axes, runs, selected, value, name } = this.data;
    const chosen = runs.filter((run) => selected.has(run));
    return { head: ["run", ...axes.map(({ title }) => title)], rows: chosen.map((run) => [name(run), ...axes.map(({ key }) => value(key, run))]) };
  }

  destroy() {
    this.lines.destroy();
    this.front.destroy();
    this.inner.remove();
  }
}

/**
 * One pixel of the screen. Without a GPU such a line takes a tenth of the time of a wider one, and
 * lines one by one a third of the same lines as one path: 500 lines of 8 axes 24 ms against 430.
 */
const hairline = () => 1 / (window.devicePixelRatio || 1);
