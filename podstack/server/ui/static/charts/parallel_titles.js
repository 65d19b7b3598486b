/** The titles of the axes of parallel coordinates: buttons that move, turn over and brush by keyboard. */

import { el } from "../core/dom.js";
import { moved, nudged } from "./parallel_layout.js";

const STEP = 0.05; // of an axis, for an arrow key

export class AxisTitles {
  /** @param chart {data, xs, calls, stretchesOf(axis), brush(axis, from, to)} */
  constructor(host, chart) {
    this.chart = chart;
    this.row = el("div", { class: "axis-titles" });
    host.append(this.row);
  }

  draw() {
    const focused = document.activeElement?.dataset?.axis;
    const titles = this.chart.data.axes.map((axis) => this.title(axis));
    this.row.replaceChildren(...titles);
    titles.find((title) => title.dataset.axis === focused)?.focus({ preventScroll: true });
  }

  place() {
    [...this.row.children].forEach((title, at) => (title.style.left = `${this.chart.xs[at]}px`));
  }

  title(axis) {
    const turned = axis.isInverted ? ", turned over" : "";
    const title = el("button", {
      type: "button", class: "axis-title", "data-axis": axis.key, title: `${axis.title}: click turns it over, drag moves it`,
      "aria-label": `Axis ${axis.title}${turned}. ${axis.words ?? ""} Arrows left and right move it, up and down brush it.`,
    }, `${axis.title}${axis.isInverted ? " ↓" : ""}`);
    title.addEventListener("keydown", (event) => this.pressed(event, axis));
    title.addEventListener("pointerdown", (event) => this.grab(event, axis, title));
    title.addEventListener("click", (event) => event.detail === 0 && this.chart.calls.onInvert(axis.key));
    return title;
  }

  pressed(event, axis) {
    const keys = this.chart.data.axes.map(({ key }) => key);
    const sideways = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const upward = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (!sideways && !upward && event.key !== "Escape") return;
    event.preventDefault();
    if (event.key === "Escape") return this.chart.calls.onBrush(axis.key, null);
    if (upward) return this.brushByKey(axis, upward, event.shiftKey);
    const at = keys.indexOf(axis.key);
    const to = Math.min(keys.length - 1, Math.max(0, at + sideways));
    keys.splice(at, 1);
    keys.splice(to, 0, axis.key);
    this.chart.calls.onOrder(keys);
  }

  brushByKey(axis, upward, isWider) {
    const own = this.chart.stretchesOf(axis);
    const step = axis.kind === "category" ? 1 / Math.max(1, axis.categories.length - 1) : STEP;
    const start = axis.kind === "category" ? (upward > 0 ? [0, 0] : [1, 1]) : upward > 0 ? [0.5, 1] : [0, 0.5];
    const whole = own.length ? snapped(axis, [Math.min(...own.flat()), Math.max(...own.flat())]) : null;
    this.chart.brush(axis, ...(whole ? nudged(whole, upward, isWider, step) : start));
  }

  grab(event, axis, title) {
    if (event.button !== 0) return;
    const from = event.clientX;
    title.setPointerCapture(event.pointerId);
    const left = this.chart.xs[this.chart.data.axes.indexOf(axis)];
    title.onpointermove = (move) => {
      if (Math.abs(move.clientX - from) > 4) title.classList.add("is-dragged");
      if (title.classList.contains("is-dragged")) title.style.left = `${left + move.clientX - from}px`;
    };
    title.onpointerup = (up) => {
      title.onpointermove = title.onpointerup = null;
      if (!title.classList.contains("is-dragged")) return this.chart.calls.onInvert(axis.key);
      title.classList.remove("is-dragged");
      this.chart.calls.onOrder(moved(this.chart.data.axes.map(({ key }) => key), axis.key, this.chart.xs, left + up.clientX - from));
    };
  }
}

/** Ends of a stretch of categories at their places: what is drawn is wider. */
function snapped(axis, ends) {
  if (axis.kind !== "category") return ends;
  const last = Math.max(1, axis.categories.length - 1);
  return ends.map((end) => Math.round(end * last) / last);
}
