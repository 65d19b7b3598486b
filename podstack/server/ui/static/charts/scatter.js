/**
 * A scatter of runs: x, y, colour and size are columns of theirs. The Pareto line joins the runs
 * that no other beats; arrows walk from run to run by x, Enter opens one.
 */

import { position } from "../compare/dimensions.js";
import { drawAxes } from "./axes.js";
import { Layer, tipAt } from "./layers.js";

const HEIGHT = 320;
const NEAR = 14; // pixels from a point that still mean it
const MARGIN = { left: 60, right: 16, top: 12, bottom: 40 };

export class ScatterChart {
  /** @param calls {onLift(run), onOpen(run)} */
  constructor(host, calls) {
    Object.assign(this, { host, calls, data: null, lifted: null });
    this.layer = new Layer(host, { height: HEIGHT, draw: (...all) => this.draw(...all), onResize: () => this.place() });
    this.listen();
  }

  /**
   * @param {object} data
   * @param {object} data.x @param {object} data.y axes (dimensions.js) with a title
   * @param {{run, x, y, color, size}[]} data.points values, a colour, a size 0 … 1
   * @param {number[]} data.line runs of the Pareto line, in order of x
   * @param {(run) => string[]} data.tip @param {string} data.label
   */
  setData(data) {
    this.data = data;
    this.host.dataset.points = String(data.points.length);
    this.layer.label(data.label);
    this.place();
  }

  lift(run) {
    this.lifted = run;
    this.layer.redraw();
  }

  place() {
    if (!this.data) return;
    const { width, height } = this.layer;
    const inner = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
    const padded = (share) => 0.03 + 0.94 * share;
    this.placed = this.data.points.map((point) => ({
      ...point,
      left: MARGIN.left + padded(position(this.data.x, point.x)) * inner.width,
      top: MARGIN.top + (1 - padded(position(this.data.y, point.y))) * inner.height,
      radius: 3.5 + 6 * (point.size ?? 0),
    }));
    this.layer.redraw();
  }

  draw(ctx, colors, width, height) {
    if (!this.data) return;
    drawAxes(ctx, colors, { width, height, margin: MARGIN, x: this.data.x, y: this.data.y, pad: 0.03 });
    this.drawLine(ctx, colors);
    for (const point of this.placed) this.dot(ctx, colors, point, point.run === this.lifted);
    const lifted = this.placed.find(({ run }) => run === this.lifted);
    if (lifted) this.dot(ctx, colors, lifted, true);
  }

  drawLine(ctx, colors) {
    const byRun = new Map(this.placed.map((point) => [point.run, point]));
    const corners = this.data.line.map((run) => byRun.get(run)).filter(Boolean);
    if (corners.length < 2) return;
    Object.assign(ctx, { strokeStyle: colors.text, lineWidth: 1.2 });
    ctx.setLineDash([5, 3]);
    ctx.beginPath();
    corners.forEach(({ left, top }, at) => {
      if (at) ctx.lineTo(left, corners[at - 1].top);
      ctx[at ? "lineTo" : "moveTo"](left, top);
    });
    ctx.stroke();
    ctx.setLineDash([]);
  }

  dot(ctx, colors, { left, top, radius, color }, isLifted) {
    ctx.beginPath();
    ctx.arc(left, top, isLifted ? radius + 2 : radius, 0, 2 * Math.PI);
    Object.assign(ctx, { fillStyle: color ?? colors.muted, globalAlpha: isLifted ? 1 : 0.8 });
    ctx.fill();
    ctx.globalAlpha = 1;
    Object.assign(ctx, { strokeStyle: isLifted ? colors.text : colors.card, lineWidth: isLifted ? 2 : 1 });
    ctx.stroke();
  }

  listen() {
    const { canvas } = this.layer;
    canvas.tabIndex = 0;
    canvas.addEventListener("pointermove", ({ offsetX, offsetY }) => this.point(this.near(offsetX, offsetY)));
    canvas.addEventListener("pointerleave", ({ pointerType }) => pointerType !== "touch" && this.point(null));
    canvas.addEventListener("blur", () => this.point(null));
    canvas.addEventListener("click", ({ offsetX, offsetY, pointerType }) => {
      const hit = this.near(offsetX, offsetY);
      if (pointerType === "touch" && hit?.run !== this.lifted) return this.point(hit); // the next touch opens it
      if (hit) this.calls.onOpen(hit.run);
    });
    canvas.addEventListener("keydown", (event) => this.pressed(event));
  }

  near(x, y) {
    const away = ({ left, top }) => Math.hypot(left - x, top - y);
    const found = this.placed?.reduce((best, point) => (!best || away(point) < away(best) ? point : best), null);
    return found && away(found) <= NEAR ? found : null;
  }

  point(found) {
    this.calls.onLift(found?.run ?? null);
    this.layer.canvas.style.cursor = found ? "pointer" : "default";
    tipAt(this.host, found ? this.data.tip(found.run) : null, found?.left ?? 0, found?.top ?? 0);
  }

  pressed(event) {
    const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (event.key === "Enter" && this.lifted !== null) return this.calls.onOpen(this.lifted);
    if (!by || !this.placed?.length) return;
    event.preventDefault();
    const order = [...this.placed].sort((a, b) => a.left - b.left);
    const at = order.findIndex(({ run }) => run === this.lifted);
    this.point(order[(at + by + order.length + (at < 0 && by < 0 ? 1 : 0)) % order.length]);
  }

  /** What pictures of it are made of (pictures.js). */
  get layers() { return [this.layer]; }
  get legend() { return this.data.legend; }

  toTable() {
    const { x, y, points, name } = this.data;
    return { head: ["run", x.title, y.title], rows: points.map((point) => [name(point.run), point.x, point.y]) };
  }

  destroy() {
    this.layer.destroy();
  }
}
