/**
 * The objective over two parameters: cells of a grid that the server computed, trials as points.
 *
 * The pointer tells the value of a cell, or the trial that is near. By keyboard arrows move from
 * cell to cell, Shift with them five at a time, Home goes to the best cell, Enter opens the nearest
 * trial; what is there is told to screen readers.
 */

import { shadeOf } from "../compare/shades.js";
import { el } from "../core/dom.js";
import { number } from "../core/format.js";
import { fitted, Layer, tipAt } from "./layers.js";

const HEIGHT = 300;
const MARGIN = { left: 64, right: 12, top: 10, bottom: 38 };
const NEAR = 12; // pixels from a point that still mean it
const CROWDED = 100; // points past which they are smaller
const LEAP = 5; // cells, with Shift
const MOVES = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** From 0, the worst, to 1, the best; a grid of one value is all best. */
export function shareOf(value, low, high, isMinimized) {
  const up = high > low ? (value - low) / (high - low) : 1;
  return high > low && isMinimized ? 1 - up : up;
}

/** The lowest and highest of all cells and points that are there. */
export function spanOf(rows, spots) {
  const values = [...rows.flat(), ...spots.map((spot) => spot[2])].filter(Number.isFinite);
  return values.length ? [Math.min(...values), Math.max(...values)] : [0, 0];
}

/** The rectangle of a cell, whole pixels, so that no seam shows between two of them. */
export function cellAt(column, row, columns, rows, inner) {
  const left = Math.round(inner.left + (column / columns) * inner.width);
  const right = Math.round(inner.left + ((column + 1) / columns) * inner.width);
  const top = Math.round(inner.top + (1 - (row + 1) / rows) * inner.height);
  const bottom = Math.round(inner.top + (1 - row / rows) * inner.height);
  return { left, top, width: right - left, height: bottom - top };
}

/** The cell [column, row] with the best value; the first one where no cell has any. */
export function bestCell(rows, isMinimized) {
  let best = [0, 0];
  const isBetter = (value) => {
    const than = rows[best[1]]?.[best[0]] ?? null;
    return value !== null && (than === null || (isMinimized ? value < than : value > than));
  };
  rows.forEach((row, at) => row.forEach((value, column) => { if (isBetter(value)) best = [column, at]; }));
  return best;
}

/** The nearest of some spots to a place, both in the unit square. */
export function nearestSpot(spots, x, y) {
  const away = ([left, up]) => Math.hypot(left - x, up - y);
  return spots.reduce((best, spot) => (!best || away(spot) < away(best) ? spot : best), null);
}

export class Heatmap {
  /** @param calls {onOpen(number), onLift(number | null)} a trial was chosen, or pointed at */
  constructor(host, calls) {
    Object.assign(this, { host, calls, data: null, at: null, lifted: null });
    this.layer = new Layer(host, { height: HEIGHT, draw: (...all) => this.draw(...all) });
    this.said = el("p", { class: "visually-hidden", "aria-live": "polite" });
    this.ramp = el("div", { class: "ramp" });
    host.append(this.said, this.ramp);
    const { canvas } = this.layer;
    canvas.tabIndex = 0;
    canvas.addEventListener("pointermove", (event) => this.point(event));
    canvas.addEventListener("pointerleave", () => this.leave());
    canvas.addEventListener("blur", () => this.leave());
    canvas.addEventListener("click", (event) => this.open(this.near(event)));
    canvas.addEventListener("keydown", (event) => this.pressed(event));
  }

  /** @param data {x, y, rows, columns, spots, axes: [across, up] of {cells, marks}, metric, isMinimized, tip(number), label} */
  setData(data) {
    this.data = data;
    this.span = spanOf(data.rows, data.spots);
    this.at = null;
    this.host.dataset.points = String(data.spots.length);
    this.layer.label(data.label);
    this.layer.redraw();
    this.legend();
  }

  lift(number_) {
    this.lifted = number_;
    this.layer.redraw();
  }

  inner() {
    const { width, height } = this.layer;
    return {
      left: MARGIN.left, top: MARGIN.top,
      width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom,
    };
  }

  // Drawing -----------------------------------------------------------------------------------

  draw(ctx, colors) {
    if (!this.data) return;
    const inner = this.inner();
    this.data.rows.forEach((row, at) => row.forEach((value, column) => {
      if (value !== null) this.cell(ctx, cellAt(column, at, row.length, this.data.rows.length, inner), value);
    }));
    Object.assign(ctx, { strokeStyle: colors.line, lineWidth: 1 });
    ctx.strokeRect(inner.left - 0.5, inner.top - 0.5, inner.width + 1, inner.height + 1);
    for (const spot of this.data.spots) this.spot(ctx, colors, inner, spot);
    if (this.at) this.mark(ctx, colors, inner);
    this.across(ctx, colors, inner);
    this.up(ctx, colors, inner);
    this.shadeRamp();
  }

  cell(ctx, { left, top, width, height }, value) {
    ctx.fillStyle = this.shade(shareOf(value, ...this.span, this.data.isMinimized));
    ctx.fillRect(left, top, width, height);
  }

  shade(share) {
    return shadeOf(share, document.documentElement.dataset.theme === "dark");
  }

  spot(ctx, colors, inner, spot) {
    const { left, top } = this.place(inner, spot);
    const isLifted = spot[3] === this.lifted;
    const isCrowded = this.data.spots.length > CROWDED;
    ctx.beginPath();
    ctx.arc(left, top, isLifted ? 6 : isCrowded ? 2.2 : 3.5, 0, 2 * Math.PI);
    Object.assign(ctx, { fillStyle: this.shade(shareOf(spot[2], ...this.span, this.data.isMinimized)), strokeStyle: "#fff", lineWidth: isLifted ? 3 : 2 });
    ctx.fill();
    if (isLifted || !isCrowded) ctx.stroke();
    Object.assign(ctx, { strokeStyle: "#1b2430", lineWidth: isCrowded ? 0.8 : 1 });
    ctx.stroke();
  }

  mark(ctx, colors, inner) {
    const { left, top, width, height } = cellAt(...this.at, this.data.columns, this.data.rows.length, inner);
    Object.assign(ctx, { strokeStyle: "#fff", lineWidth: 3 });
    ctx.strokeRect(left, top, width, height);
    Object.assign(ctx, { strokeStyle: "#1b2430", lineWidth: 1 });
    ctx.strokeRect(left, top, width, height);
  }

  place(inner, [x, y]) {
    return { left: inner.left + x * inner.width, top: inner.top + (1 - y) * inner.height };
  }

  across(ctx, colors, inner) {
    const { x, axes } = this.data;
    const bottom = inner.top + inner.height;
    Object.assign(ctx, { fillStyle: colors.muted, strokeStyle: colors.muted, textAlign: "center", textBaseline: "top", lineWidth: 1 });
    const room = inner.width / Math.max(1, axes[0].marks.length);
    for (const [place, value] of axes[0].marks) {
      const left = inner.left + place * inner.width;
      line(ctx, left, bottom, left, bottom + 4);
      ctx.fillText(fitted(ctx, words(value), room - 4), left, bottom + 6);
    }
    ctx.fillStyle = colors.text;
    ctx.fillText(fitted(ctx, x, inner.width), inner.left + inner.width / 2, bottom + 22);
  }

  up(ctx, colors, inner) {
    const { y, axes } = this.data;
    Object.assign(ctx, { fillStyle: colors.muted, textAlign: "right", textBaseline: "middle" });
    for (const [place, value] of axes[1].marks) {
      const top = inner.top + (1 - place) * inner.height;
      line(ctx, inner.left - 4, top, inner.left, top);
      ctx.fillText(fitted(ctx, words(value), 40), inner.left - 6, top);
    }
    Object.assign(ctx, { fillStyle: colors.text, textAlign: "center" });
    ctx.save();
    ctx.translate(8, inner.top + inner.height / 2);
    ctx.rotate(-Math.PI / 2);
    ctx.fillText(fitted(ctx, y, inner.height), 0, 0);
    ctx.restore();
  }

  legend() {
    const [low, high] = this.span;
    const [worst, best] = this.data.isMinimized ? [high, low] : [low, high];
    this.strip = el("canvas", { width: 140, height: 8, "aria-hidden": "true" });
    this.ramp.replaceChildren(el("span", {}, `${this.data.metric ?? ""} ${number(worst)}`), this.strip, el("span", {}, `${number(best)}, best`));
  }

  /** Drawn with the rest, for its colours are the theme's too. */
  shadeRamp() {
    const ctx = this.strip.getContext("2d");
    for (let at = 0; at < this.strip.width; at += 1) {
      ctx.fillStyle = this.shade(at / (this.strip.width - 1));
      ctx.fillRect(at, 0, 1, this.strip.height);
    }
  }

  // Pointer and keyboard ----------------------------------------------------------------------

  near({ offsetX, offsetY }) {
    const away = (spot) => {
      const { left, top } = this.place(this.inner(), spot);
      return Math.hypot(left - offsetX, top - offsetY);
    };
    return this.data?.spots.filter((spot) => away(spot) <= NEAR).sort((a, b) => away(a) - away(b))[0];
  }

  point(event) {
    if (!this.data) return;
    const spot = this.near(event);
    this.layer.canvas.style.cursor = spot ? "pointer" : "crosshair";
    this.calls.onLift?.(spot ? spot[3] : null);
    const cell = this.cellUnder(event);
    tipAt(this.host, spot ? this.data.tip(spot[3]) : cell && this.told(...cell), event.offsetX, event.offsetY);
  }

  cellUnder({ offsetX, offsetY }) {
    const { left, top, width, height } = this.inner();
    const [x, y] = [(offsetX - left) / width, 1 - (offsetY - top) / height];
    if (!(x >= 0 && x < 1 && y >= 0 && y < 1)) return null;
    return [Math.floor(x * this.data.columns), Math.floor(y * this.data.rows.length)];
  }

  /** What a cell says, in lines. */
  told(column, row) {
    const { rows, axes, x, y, metric = "value" } = this.data;
    const value = rows[row]?.[column] ?? null;
    const head = value === null ? "No trial is near" : `${metric} about ${number(value)}`;
    return [head, `${x} = ${words(axes[0].cells[column])}`, `${y} = ${words(axes[1].cells[row])}`];
  }

  pressed(event) {
    if (!this.data?.rows.length) return;
    if (event.key === "Enter" && this.at) return this.open(this.nearest());
    if (event.key === "Escape") return this.leave();
    const move = MOVES[event.key];
    if (!move && event.key !== "Home") return;
    event.preventDefault();
    this.go(move, event.shiftKey ? LEAP : 1);
  }

  go(move, cells) {
    const { rows, columns, isMinimized } = this.data;
    const within = (at, count) => Math.max(0, Math.min(count - 1, at));
    this.at = !move || !this.at ? bestCell(rows, isMinimized)
      : [within(this.at[0] + move[0] * cells, columns), within(this.at[1] + move[1] * cells, rows.length)];
    const lines = this.told(...this.at);
    const { left, top, width } = cellAt(...this.at, columns, rows.length, this.inner());
    tipAt(this.host, lines, left + width, top);
    this.said.textContent = lines.join(", ");
    this.layer.redraw();
  }

  nearest() {
    const [column, row] = this.at;
    return nearestSpot(this.data.spots, (column + 0.5) / this.data.columns, (row + 0.5) / this.data.rows.length);
  }

  leave() {
    this.at = null;
    tipAt(this.host, null);
    this.calls.onLift?.(null);
    this.layer.redraw();
  }

  open(spot) {
    if (spot) this.calls.onOpen(spot[3]);
  }

  /** What pictures of it are made of (pictures.js). */
  get layers() { return [this.layer]; }

  destroy() {
    this.layer.destroy();
    this.said.remove();
    this.ramp.remove();
  }
}

const words = (value) => (typeof value === "number" ? number(value) : value === null ? "None" : String(value));

function line(ctx, x0, y0, x1, y1) {
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}
