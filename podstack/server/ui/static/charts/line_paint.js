/** How a line chart is painted, on a canvas or on what records an SVG. */

import { numberText, ticks } from "./ticks.js";
import { shareOf } from "./curve.js";

export const MARGIN = { left: 52, right: 12, top: 12, bottom: 22 };
const MOST_BANDS = 6; // series past which bands only hide one another

/** Pixels of values, for a frame of a size. */
export function frameOf(width, height, { x, y, logX, logY }) {
  const [wide, high] = [width - MARGIN.left - MARGIN.right, height - MARGIN.top - MARGIN.bottom];
  return {
    width, height, wide, high, x, y,
    left: (value) => MARGIN.left + shareOf(value, x, logX) * wide,
    top: (value) => MARGIN.top + (1 - shareOf(value, y, logY)) * high,
  };
}

export function paint(ctx, colors, frame, all, view) {
  axes(ctx, colors, frame, view);
  const lifted = (one) => view.hover === one.id;
  const order = [...all].sort((a, b) => lifted(a) - lifted(b));
  ctx.save();
  ctx.beginPath();
  ctx.rect(MARGIN.left, MARGIN.top - 2, frame.wide, frame.high + 4);
  ctx.clip();
  for (const one of order) curve(ctx, frame, one, { isFaint: Boolean(view.dim) && !lifted(one), isLifted: lifted(one), withBand: all.length <= MOST_BANDS || lifted(one) });
  ctx.restore();
  for (const one of order) marks(ctx, colors, frame, one, all.length <= MOST_BANDS);
  oddCount(ctx, colors, frame, all);
}

function axes(ctx, colors, frame, view) {
  Object.assign(ctx, { strokeStyle: colors.line, fillStyle: colors.muted, lineWidth: 1, textBaseline: "middle", textAlign: "right" });
  for (const { value, text } of ticks(frame.y, frame.high / 34, "number", view.logY)) {
    const top = Math.round(frame.top(value)) + 0.5;
    stroke(ctx, [[MARGIN.left, top], [frame.width - MARGIN.right, top]]);
    ctx.fillText(text, MARGIN.left - 6, top);
  }
  Object.assign(ctx, { textAlign: "center", textBaseline: "top" });
  const kind = view.x === "relative" || view.x === "wall" ? view.x : "number";
  for (const { value, text } of ticks(frame.x, frame.wide / 80, kind, view.logX)) {
    ctx.fillText(text, Math.min(frame.left(value), frame.width - MARGIN.right - 8), frame.height - MARGIN.bottom + 6);
  }
}

function curve(ctx, frame, one, { isFaint, isLifted, withBand }) {
  const alpha = isFaint ? 0.18 : 1;
  if (withBand) band(ctx, frame, one, 0.14 * alpha);
  Object.assign(ctx, { strokeStyle: one.color, lineJoin: "round" });
  if (one.line !== one.mean) path(ctx, frame, one.at, one.mean, 1, 0.28 * alpha);
  ctx.setLineDash(one.dash ?? []);
  path(ctx, frame, one.at, one.line, isLifted ? 2.5 : 1.5, alpha);
  ctx.setLineDash([]);
}

function path(ctx, frame, at, values, width, alpha) {
  const parts = runsOf(at.map((x, place) => [frame.left(x), frame.top(values[place])]));
  Object.assign(ctx, { lineWidth: width, globalAlpha: alpha, fillStyle: ctx.strokeStyle });
  ctx.beginPath();
  for (const part of parts) {
    part.forEach(([left, top], place) => ctx[place ? "lineTo" : "moveTo"](left, top));
  }
  ctx.stroke();
  for (const part of parts.filter(({ length }) => length === 1)) dot(ctx, ...part[0], 2.5);
  ctx.globalAlpha = 1;
}

/** Stretches without a gap. */
function runsOf(places) {
  const found = [[]];
  for (const place of places) {
    if (Number.isFinite(place[0]) && Number.isFinite(place[1])) found.at(-1).push(place);
    else if (found.at(-1).length) found.push([]);
  }
  return found.filter(({ length }) => length);
}

function band(ctx, frame, { at, min, max, color }, alpha) {
  const kept = at.map((_, place) => place).filter((place) => Number.isFinite(min[place]) && Number.isFinite(max[place]));
  if (kept.length < 2 || kept.every((place) => min[place] === max[place])) return;
  const edge = (value) => { const top = frame.top(value); return Number.isFinite(top) ? top : frame.height; };
  Object.assign(ctx, { fillStyle: color, globalAlpha: alpha });
  ctx.beginPath();
  kept.forEach((place, turn) => ctx[turn ? "lineTo" : "moveTo"](frame.left(at[place]), edge(max[place])));
  for (const place of kept.reverse()) ctx.lineTo(frame.left(at[place]), edge(min[place]));
  ctx.fill();
  ctx.globalAlpha = 1;
}

/** Ticks at the edges where a band is cut, and on top where a value was no number. */
function marks(ctx, colors, frame, one, withBand) {
  const [lo, hi] = frame.y;
  one.at.forEach((x, place) => {
    const left = frame.left(x);
    if (!(left >= MARGIN.left - 1 && left <= frame.width - MARGIN.right + 1)) return;
    ctx.fillStyle = one.color;
    if (withBand && one.max[place] > hi) arrow(ctx, left, MARGIN.top - 5, 5);
    if (withBand && one.min[place] < lo) arrow(ctx, left, frame.height - MARGIN.bottom + 5, -5);
    ctx.fillStyle = colors.danger;
    if (one.odd[place] > 0) ctx.fillRect(left - 1, MARGIN.top - 8, 2, 7);
  });
}

/** A small arrow with its tip at a place: what goes on beyond the edge. */
function arrow(ctx, left, tip, high) {
  ctx.beginPath();
  [[left, tip], [left + 3, tip + high], [left - 3, tip + high]].forEach(([a, b], at) => ctx[at ? "lineTo" : "moveTo"](a, b));
  ctx.fill();
}

/** At how many places within a range of x the band of a series goes on beyond y. */
export function cutsOf({ at, min, max }, [from, to], [lo, hi]) {
  return at.reduce((sum, x, place) => sum + (x >= from && x <= to && (max[place] > hi || min[place] < lo)), 0);
}

function oddCount(ctx, colors, frame, all) {
  const count = all.reduce((sum, { odd }) => sum + odd.reduce((part, one) => part + one, 0), 0);
  if (!count) return;
  Object.assign(ctx, { fillStyle: colors.danger, textAlign: "right", textBaseline: "top" });
  ctx.fillText(`${count.toLocaleString("en")} NaN or ∞`, frame.width - MARGIN.right, MARGIN.top + 2);
}

/** The line under the pointer, and a dot on each series. @param dots {left, top, color}[] */
export function cursor(ctx, colors, frame, x, dots) {
  const left = Math.round(frame.left(x)) + 0.5;
  if (!(left >= MARGIN.left && left <= frame.width - MARGIN.right + 1)) return;
  Object.assign(ctx, { strokeStyle: colors.muted, lineWidth: 1 });
  ctx.setLineDash([3, 3]);
  stroke(ctx, [[left, MARGIN.top], [left, frame.height - MARGIN.bottom]]);
  ctx.setLineDash([]);
  for (const { left: at, top, color } of dots) {
    ctx.fillStyle = color;
    dot(ctx, at, top, 3);
  }
}

/** Flags at places of x. @param flags {x, text}[] */
export function flags(ctx, colors, frame, all) {
  for (const { x } of all) {
    const left = Math.round(frame.left(x)) + 0.5;
    if (!(left >= MARGIN.left && left <= frame.width - MARGIN.right)) continue;
    Object.assign(ctx, { strokeStyle: colors.warning, fillStyle: colors.warning, lineWidth: 1 });
    stroke(ctx, [[left, MARGIN.top - 6], [left, frame.height - MARGIN.bottom]]);
    ctx.beginPath();
    [[left, MARGIN.top - 8], [left + 8, MARGIN.top - 4], [left, MARGIN.top]].forEach(([a, b], at) => ctx[at ? "lineTo" : "moveTo"](a, b));
    ctx.fill();
  }
}

export const label = (value) => (Number.isFinite(value) ? numberText(value, 10 ** Math.floor(Math.log10(Math.abs(value) || 1) - 3)) : String(value));

function dot(ctx, left, top, radius) {
  ctx.beginPath();
  ctx.arc(left, top, radius, 0, 2 * Math.PI);
  ctx.fill();
}

function stroke(ctx, places) {
  ctx.beginPath();
  places.forEach(([left, top], at) => ctx[at ? "lineTo" : "moveTo"](left, top));
  ctx.stroke();
}
