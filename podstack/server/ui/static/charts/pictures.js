/**
 * A chart as a file: its layers as they stand, its title above, and below what its colours mean.
 * Loaded when a picture is asked for. A chart has `layers` (layers.js), back to front, and may have
 * `heads` ({left, text}[], written above) and `legend` ({label, color, dash}[], written below).
 */

import { themeColors } from "../core/colors.js";
import { fitted } from "./layers.js";
import { SvgContext } from "./svg.js";

const SIDE = 12;
const TITLE = 24; // pixels for each line of texts
const LEGEND_ROW = 18;
const MARK = 18;
const MOST_LABEL = 220;
const MOST_NAMED = 24; // series that a legend names
const LIGHT = { bg: "#f6f7f9", card: "#ffffff", text: "#1b2430", muted: "#5b6676", line: "#dfe3e8", accent: "#2f5fd0", danger: "#b3261e", warning: "#8a5a00", good: "#1a7f45" };

/** @returns {Promise<Blob>} as on the screen: its theme, its density of pixels */
export function pngOf(chart, title) {
  const ratio = Math.max(2, window.devicePixelRatio || 1);
  const { width, height } = sizeOf(chart);
  const canvas = Object.assign(document.createElement("canvas"), { width: width * ratio, height: height * ratio });
  const ctx = canvas.getContext("2d");
  ctx.scale(ratio, ratio);
  const colors = themeColors();
  ctx.fillStyle = colors.card;
  ctx.fillRect(0, 0, width, height);
  compose(ctx, chart, colors, title, width);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/** @returns {string} on white, in the light theme, as for paper */
export function svgOf(chart, title) {
  const { width, height } = sizeOf(chart);
  const ctx = new SvgContext(width, height);
  compose(ctx, chart, LIGHT, title, width);
  return ctx.text(title);
}

function sizeOf(chart) {
  const { width, height } = chart.layers[0];
  const rows = rowsOf(chart.legend ?? [], width).rows;
  return { width, height: height + TITLE + (chart.heads ? TITLE : 0) + rows * LEGEND_ROW + (rows ? 8 : 0) };
}

function compose(ctx, chart, colors, title, width) {
  const [layer] = chart.layers;
  const top = TITLE + (chart.heads ? TITLE : 0);
  Object.assign(ctx, { font: "600 13px system-ui, sans-serif", fillStyle: colors.text, textAlign: "left", textBaseline: "middle" });
  ctx.fillText(fitted(ctx, title, width - 2 * SIDE), SIDE, TITLE / 2 + 2);
  ctx.font = "600 11px system-ui, sans-serif";
  ctx.textAlign = "center";
  for (const { left, text } of chart.heads ?? []) ctx.fillText(text, Math.max(SIDE * 2, left), TITLE * 1.5);
  ctx.save();
  ctx.translate(0, top);
  for (const one of chart.layers) {
    ctx.font = "11px system-ui, sans-serif";
    one.paint(ctx, colors, one.width, one.height);
  }
  ctx.restore();
  legend(ctx, chart.legend ?? [], colors, width, top + layer.height + 4);
}

/** Where each name of a legend stands: {placed: {left, row}[], rows}. Pure. */
export function rowsOf(entries, width) {
  const shown = entries.slice(0, MOST_NAMED);
  let [left, row] = [SIDE, 0];
  const placed = shown.map(({ label }) => {
    const wide = MARK + Math.min(MOST_LABEL, label.length * 6.4) + SIDE;
    if (left > SIDE && left + wide > width - SIDE) [left, row] = [SIDE, row + 1];
    left += wide;
    return { left: left - wide, row };
  });
  return { placed, rows: shown.length ? row + 1 : 0 };
}

function legend(ctx, entries, colors, width, top) {
  Object.assign(ctx, { font: "11px system-ui, sans-serif", textAlign: "left", textBaseline: "middle", globalAlpha: 1, lineWidth: 2.5 });
  rowsOf(entries, width).placed.forEach(({ left, row }, at) => {
    const middle = top + row * LEGEND_ROW + LEGEND_ROW / 2;
    const { label, color, dash } = entries[at];
    ctx.strokeStyle = color;
    ctx.setLineDash(dash ?? []);
    ctx.beginPath();
    ctx.moveTo(left, middle);
    ctx.lineTo(left + MARK - 5, middle);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.fillStyle = colors.text;
    ctx.fillText(fitted(ctx, label, MOST_LABEL), left + MARK, middle);
  });
}
