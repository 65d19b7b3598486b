/** What the charts of runs share: a canvas that keeps its size and theme, axes, a tooltip. */

import { onTheme, themeColors } from "../core/colors.js";
import { el } from "../core/dom.js";
import { placeAt, position, textOf } from "../compare/dimensions.js";
import { axisTicks } from "./axis_ticks.js";

/** One canvas over its host. `draw(ctx, colors, width, height)` is called at most once a frame. */
export class Layer {
  constructor(host, { height, draw, onResize = () => {} }) {
    Object.assign(this, { host, height, paint: draw, onResize: () => {}, width: 0, asked: 0 });
    this.canvas = el("canvas", { role: "img" });
    host.append(this.canvas);
    this.watch = new ResizeObserver(() => this.fit());
    this.watch.observe(host);
    this.forget = onTheme(() => this.redraw());
    this.fit();
    this.onResize = onResize; // what is drawn is not there yet
  }

  resize(height) {
    this.height = height;
    this.fit();
  }

  fit() {
    const width = this.host.clientWidth;
    const ratio = window.devicePixelRatio || 1;
    const [wide, high] = [Math.round(width * ratio), Math.round(this.height * ratio)];
    if (!width || (this.canvas.width === wide && this.canvas.height === high)) return;
    Object.assign(this, { width, ratio });
    Object.assign(this.canvas, { width: wide, height: high });
    Object.assign(this.canvas.style, { width: `${width}px`, height: `${this.height}px` });
    this.host.style.minHeight = `${this.height}px`;
    this.onResize();
    this.redraw();
  }

  redraw() {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = 0;
      this.draw();
    });
  }

  draw() {
    if (!this.width) return;
    const ctx = this.canvas.getContext("2d");
    ctx.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    ctx.clearRect(0, 0, this.width, this.height);
    ctx.font = "11px system-ui, sans-serif";
    this.paint(ctx, themeColors(), this.width, this.height);
  }

  label(text) {
    this.canvas.setAttribute("aria-label", text);
  }

  destroy() {
    cancelAnimationFrame(this.asked);
    this.watch.disconnect();
    this.forget?.();
    this.canvas.remove();
  }
}

/** Lines of text beside a place of the host, the first one a heading; none without lines. */
export function tipAt(host, lines, x, y) {
  let tip = host.querySelector(":scope > .chart-tip");
  if (!lines) return tip?.remove();
  if (!tip) host.append((tip = el("div", { class: "chart-tip", "aria-hidden": "true" })));
  tip.replaceChildren(...lines.map((line, at) => el(at ? "div" : "strong", {}, line)));
  const isRight = x + tip.offsetWidth + 20 > host.clientWidth && x > tip.offsetWidth + 14;
  tip.style.left = `${isRight ? x - tip.offsetWidth - 12 : x + 14}px`;
  tip.style.top = `${Math.max(0, Math.min(y + 12, host.clientHeight - tip.offsetHeight))}px`;
}

/** A text as long as there is room for. */
export function fitted(ctx, text, room) {
  if (ctx.measureText(text).width <= room) return text;
  let keep = text.length;
  while (keep > 1 && ctx.measureText(`${text.slice(0, keep)}…`).width > room) keep -= 1;
  return `${text.slice(0, keep)}…`;
}

/** Marks of an axis of any kind: {place, text}. */
export function marks(axis, count) {
  if (axis.kind !== "category") {
    return axisTicks(axis, count).map(({ value, text }) => ({ place: position(axis, value), text }));
  }
  const every = Math.ceil(axis.categories.length / Math.max(1, count * 2));
  return axis.categories.map((value, at) => ({ place: placeAt(axis, at), text: textOf(value) }))
    .filter((_, at) => at % every === 0);
}

/** The grid, the marks and the titles of two axes. @param pad share of the room left free on each side */
export function drawAxes(ctx, colors, { width, height, margin, x, y, pad }) {
  const [wide, high] = [width - margin.left - margin.right, height - margin.top - margin.bottom];
  const padded = (share) => pad + (1 - 2 * pad) * share;
  Object.assign(ctx, { strokeStyle: colors.line, fillStyle: colors.muted, lineWidth: 1, textBaseline: "middle", textAlign: "right" });
  for (const { place, text } of marks(y, high / 44)) {
    const top = Math.round(margin.top + (1 - padded(place)) * high) + 0.5;
    line(ctx, margin.left, top, width - margin.right, top);
    ctx.fillText(fitted(ctx, text, margin.left - 10), margin.left - 6, top);
  }
  Object.assign(ctx, { textAlign: "center", textBaseline: "top" });
  const across = marks(x, wide / 90);
  for (const { place, text } of across) {
    const left = margin.left + padded(place) * wide;
    line(ctx, left, height - margin.bottom, left, height - margin.bottom + 4);
    ctx.fillText(fitted(ctx, text, wide / across.length), left, height - margin.bottom + 6);
  }
  ctx.fillStyle = colors.text;
  ctx.fillText(fitted(ctx, titleOf(x), wide), margin.left + wide / 2, height - 15);
}

const titleOf = ({ title, kind }) => (kind === "log" ? `${title} (log)` : title ?? "");

function line(ctx, x0, y0, x1, y1) {
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}
