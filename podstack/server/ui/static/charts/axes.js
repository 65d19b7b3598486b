/** What the charts of runs share: axes of numbers, of powers and of categories. */

import { textOf } from "../compare/data.js";
import { placeAt, position } from "../compare/dimensions.js";
import { axisTicks } from "./axis_ticks.js";
import { fitted } from "./layers.js";

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
