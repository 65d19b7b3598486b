/** The objective over two parameters: cells of a grid that the server computed, trials as points. */

import { shadeOf } from "../compare/shades.js";
import { Layer, tipAt } from "./layers.js";

const HEIGHT = 300;
const MARGIN = { left: 60, right: 12, top: 10, bottom: 34 };
const NEAR = 12; // pixels from a point that still mean it

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

export class Heatmap {
  /** @param calls {onOpen(number)} a trial was chosen */
  constructor(host, calls) {
    Object.assign(this, { host, calls, data: null });
    this.layer = new Layer(host, { height: HEIGHT, draw: (...all) => this.draw(...all) });
    const { canvas } = this.layer;
    canvas.addEventListener("pointermove", (event) => this.point(event));
    canvas.addEventListener("pointerleave", () => tipAt(host, null));
    canvas.addEventListener("click", (event) => this.open(event));
  }

  /** @param data {x, y, rows, columns, spots, isMinimized, tip(number), label} */
  setData(data) {
    this.data = data;
    this.span = spanOf(data.rows, data.spots);
    this.host.dataset.points = String(data.spots.length);
    this.layer.label(data.label);
    this.layer.redraw();
  }

  inner() {
    const { width, height } = this.layer;
    return {
      left: MARGIN.left, top: MARGIN.top,
      width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom,
    };
  }

  draw(ctx, colors) {
    if (!this.data) return;
    const inner = this.inner();
    this.data.rows.forEach((row, at) => row.forEach((value, column) => {
      if (value !== null) this.cell(ctx, cellAt(column, at, row.length, this.data.rows.length, inner), value);
    }));
    Object.assign(ctx, { strokeStyle: colors.line, lineWidth: 1 });
    ctx.strokeRect(inner.left - 0.5, inner.top - 0.5, inner.width + 1, inner.height + 1);
    for (const spot of this.data.spots) this.spot(ctx, colors, inner, spot);
    this.titles(ctx, colors, inner);
  }

  cell(ctx, { left, top, width, height }, value) {
    ctx.fillStyle = this.shade(value);
    ctx.fillRect(left, top, width, height);
  }

  shade(value) {
    const isDark = document.documentElement.dataset.theme === "dark";
    return shadeOf(shareOf(value, ...this.span, this.data.isMinimized), isDark);
  }

  spot(ctx, colors, inner, spot) {
    const { left, top } = this.place(inner, spot);
    ctx.beginPath();
    ctx.arc(left, top, 3.5, 0, 2 * Math.PI);
    Object.assign(ctx, { fillStyle: this.shade(spot[2]), strokeStyle: colors.text, lineWidth: 1 });
    ctx.fill();
    ctx.stroke();
  }

  place(inner, [x, y]) {
    return { left: inner.left + x * inner.width, top: inner.top + (1 - y) * inner.height };
  }

  titles(ctx, colors, inner) {
    Object.assign(ctx, { fillStyle: colors.muted, textAlign: "center" });
    ctx.fillText(this.data.x, inner.left + inner.width / 2, inner.top + inner.height + 24);
    ctx.save();
    ctx.translate(16, inner.top + inner.height / 2);
    ctx.rotate(-Math.PI / 2);
    ctx.fillText(this.data.y, 0, 0);
    ctx.restore();
  }

  near({ offsetX, offsetY }) {
    const away = (spot) => {
      const { left, top } = this.place(this.inner(), spot);
      return Math.hypot(left - offsetX, top - offsetY);
    };
    return this.data?.spots.filter((spot) => away(spot) <= NEAR).sort((a, b) => away(a) - away(b))[0];
  }

  point(event) {
    const spot = this.near(event);
    this.layer.canvas.style.cursor = spot ? "pointer" : "default";
    tipAt(this.host, spot ? this.data.tip(spot[3]) : null, event.offsetX, event.offsetY);
  }

  open(event) {
    const spot = this.near(event);
    if (spot) this.calls.onOpen(spot[3]);
  }

  /** What pictures of it are made of (pictures.js). */
  get layers() { return [this.layer]; }

  destroy() {
    this.layer.destroy();
  }
}
