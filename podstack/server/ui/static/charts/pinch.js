/**
 * Two fingers on a line chart: apart or together they zoom about their middle, and both aside move
 * what is seen. One finger reads values, and scrolls the page up and down (touch-action: pan-y).
 */

import { MARGIN } from "./line_paint.js";
import { valueAt } from "./curve.js";

const CLOSEST = 24; // pixels between two fingers: nearer ones would zoom without end

export function listenToPinches(chart, canvas) {
  const fingers = new Map(); // pointer → its place on the canvas
  let start = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch" || !chart.all.length) return;
    fingers.set(event.pointerId, event.offsetX);
    canvas.setPointerCapture(event.pointerId);
    start = fingers.size === 2 ? { range: chart.range, ends: endsOf(fingers) } : null;
    chart.isPinched = start !== null;
    if (start) chart.point(null);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    fingers.set(event.pointerId, event.offsetX);
    if (start) chart.setView({ range: pinched(start.range, start.ends, endsOf(fingers), chart.frame.wide, chart.view.logX) });
  });
  const away = ({ pointerId }) => {
    fingers.delete(pointerId);
    if (start) settle(chart);
    start = null;
    chart.isPinched = fingers.size > 0 && chart.isPinched; // the finger that stays reads no values
  };
  canvas.addEventListener("pointerup", away);
  canvas.addEventListener("pointercancel", away);
}

const endsOf = (fingers) => [...fingers.values()].sort((a, b) => a - b);

/** Tell of the zoom; of more than all there is, that all is shown again. */
function settle(chart) {
  const [from, to] = chart.range;
  chart.zoom(from <= chart.full[0] && to >= chart.full[1] ? null : [from, to]);
}

/**
 * The range in which what lay under both fingers still does.
 * @param {number[]} range before; @param {number[]} was the fingers then; @param {number[]} are now
 * @param {number} wide pixels of the axis
 */
export function pinched(range, was, are, wide, isLog = false) {
  const [a, b] = was.map((left) => (left - MARGIN.left) / wide);
  const [c, d] = are.map((left) => (left - MARGIN.left) / wide);
  const least = CLOSEST / wide;
  const scale = Math.max(least, b - a) / Math.max(least, d - c);
  const middle = (a + b) / 2;
  const from = middle - ((c + d) / 2) * scale;
  return [valueAt(from, range, isLog), valueAt(from + scale, range, isLog)];
}
