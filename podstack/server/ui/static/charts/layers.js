/** What all charts share: a canvas that keeps its size and theme, a tooltip. */

import { onTheme, themeColors } from "../core/colors.js";
import { el } from "../core/dom.js";

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
