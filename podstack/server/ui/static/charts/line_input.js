/** Pointer, wheel and keys on a line chart: cursor, zoom, pan. */

import { nearest, valueAt, shareOf } from "./curve.js";
import { MARGIN } from "./line_paint.js";

const FEW = 4; // pixels of a drag that is none
const SETTLED = 250; // milliseconds after the last turn of the wheel

export function listen(chart, canvas) {
  canvas.tabIndex = 0;
  canvas.dataset.keys = "chart";
  canvas.setAttribute("aria-keyshortcuts", "ArrowLeft ArrowRight Home End + - 0 Enter t");
  canvas.addEventListener("pointerdown", (event) => pressed(chart, canvas, event));
  canvas.addEventListener("pointermove", (event) => moved(chart, event));
  canvas.addEventListener("pointerup", (event) => released(chart, event));
  canvas.addEventListener("pointercancel", () => { chart.drag = null; chart.pan = null; chart.layer.redraw(); });
  canvas.addEventListener("pointerleave", () => { if (!chart.drag) chart.point(null); });
  canvas.addEventListener("blur", () => chart.point(null));
  canvas.addEventListener("dblclick", () => chart.zoom(null));
  canvas.addEventListener("wheel", (event) => wheeled(chart, event), { passive: false });
  canvas.addEventListener("keydown", (event) => keyed(chart, event));
  if (navigator.maxTouchPoints > 0) import("./pinch.js").then(({ listenToPinches }) => listenToPinches(chart, canvas));
}

function xAt(chart, left, range = chart.range) {
  const share = (left - MARGIN.left) / (chart.frame?.wide || 1);
  return valueAt(Math.max(0, Math.min(1, share)), range, chart.view.logX);
}

function pressed(chart, canvas, event) {
  if (event.button || event.pointerType === "touch" || !chart.all.length) return;
  canvas.setPointerCapture(event.pointerId);
  if (event.shiftKey) chart.pan = { left: event.offsetX, range: chart.range };
  else chart.drag = [event.offsetX, event.offsetX];
}

function moved(chart, event) {
  if (!chart.frame || !chart.all.length || chart.isPinched) return;
  if (chart.pan) return panned(chart, event.offsetX);
  if (chart.drag) chart.drag[1] = Math.max(MARGIN.left, Math.min(event.offsetX, chart.frame.width - MARGIN.right));
  chart.point(xAt(chart, event.offsetX));
}

function panned(chart, left) {
  const share = (chart.pan.left - left) / chart.frame.wide;
  chart.setView({ range: [valueAt(share, chart.pan.range, chart.view.logX), valueAt(1 + share, chart.pan.range, chart.view.logX)] });
}

function released(chart) {
  if (chart.pan) chart.onZoom(chart.range);
  const drag = chart.drag?.toSorted((a, b) => a - b);
  chart.pan = chart.drag = null;
  if (drag && drag[1] - drag[0] > FEW) chart.zoom(drag.map((left) => xAt(chart, left)));
  else if (drag) chart.onPick(xAt(chart, drag[0]));
  chart.layer.redraw();
}

function wheeled(chart, event) {
  if (!event.ctrlKey || !chart.all.length) return;
  event.preventDefault();
  scaled(chart, Math.exp(event.deltaY / 300), xAt(chart, event.offsetX), false);
  const { range } = chart.view; // new points may be drawn at the old one meanwhile
  clearTimeout(chart.settling);
  chart.settling = setTimeout(() => chart.onZoom(range), SETTLED);
}

/** Wider (> 1) or closer about a place. */
function scaled(chart, factor, middle, isTold = true) {
  const { logX } = chart.view;
  const share = shareOf(middle, chart.range, logX);
  const range = [valueAt(share * (1 - factor), chart.range, logX), valueAt(share + (1 - share) * factor, chart.range, logX)];
  const isAll = range[0] <= chart.full[0] && range[1] >= chart.full[1];
  if (isTold) chart.zoom(isAll ? null : range);
  else chart.setView({ range: isAll ? null : range });
}

/** What `core/key_table.js: KEYS.chart` says; "=" is "+" without Shift. */
export const KEYS = {
  ArrowLeft: (chart, by) => step(chart, -by), ArrowRight: (chart, by) => step(chart, by),
  Home: (chart) => chart.point(chart.range[0]), End: (chart) => chart.point(chart.range[1]),
  "+": (chart) => scaled(chart, 0.5, chart.at ?? middleOf(chart)), "=": (chart) => scaled(chart, 0.5, chart.at ?? middleOf(chart)),
  "-": (chart) => scaled(chart, 2, chart.at ?? middleOf(chart)),
  0: (chart) => chart.zoom(null), t: (chart) => chart.onTable(), Enter: (chart) => chart.at !== null && chart.onPick(chart.at), Escape: (chart) => chart.point(null),
};

function keyed(chart, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(KEYS, event.key) || !chart.all.length) return;
  event.preventDefault();
  event.stopPropagation();
  KEYS[event.key](chart, event.shiftKey ? 10 : 1);
  chart.speak();
}

const middleOf = (chart) => valueAt(0.5, chart.range, chart.view.logX);

/** The cursor on the next point of the longest series. */
function step(chart, by) {
  const { at } = chart.all.reduce((best, one) => (one.at.length > best.at.length ? one : best));
  const here = nearest(at, chart.at ?? middleOf(chart));
  chart.point(at[Math.max(0, Math.min(at.length - 1, here + by))]);
}
