/** What one can do with a chart or a table: values, full screen, files of it, a link, a pin. */

import { copy } from "../core/copy.js";
import { clear, el } from "../core/dom.js";
import { number } from "../core/format.js";
import { openMenu } from "../core/menu.js";

const ROWS = 1000; // of a table on the page; the file holds all

/** The menu of a card (card_button.js), below its button. */
export const openCardMenu = (button, name, card, pins) => openMenu(button, items(name, card, pins));

function items(name, card, pins) {
  const file = name.replace(/[^A-Za-z0-9._-]+/g, "-");
  const address = new URL(card.link?.() ?? location.href, location.href).href;
  return [
    ...(card.chart ? shapes(name, card, pins) : []),
    { text: "CSV", run: () => save(`${file}.csv`, "text/csv", ({ csvOf }) => csvOf((card.chart ?? card).toTable())) },
    ...(card.chart ? pictures(name, file, card.chart) : []),
    null,
    { text: "Copy link to it", run: () => copy(address, "Link copied") },
  ];
}

function shapes(name, card, pins) {
  return [
    { text: card.table ? "Show the chart" : "Show as a table", run: () => toggleTable(card) },
    { text: document.fullscreenElement ? "Leave full screen" : "Full screen", run: () => fullScreen(card) },
    ...(pins ? [{ text: pins.has(name) ? "Unpin" : "Pin on top", run: () => pins.toggle(name) }] : []),
    null,
  ];
}

const drawn = () => import("./pictures.js");

function pictures(name, file, chart) {
  return [
    { text: "PNG", run: () => save(`${file}.png`, "image/png", async () => (await drawn()).pngOf(chart, name)) },
    { text: "SVG", run: () => save(`${file}.svg`, "image/svg+xml", async () => (await drawn()).svgOf(chart, name)) },
  ];
}

async function save(name, type, make) {
  const files = await import("./table_file.js");
  files.download(new Blob([await make(files)], { type }), name);
}

/** The values instead of the picture, and back. */
export function toggleTable(card) {
  if (card.table) {
    card.table.remove();
    card.table = null;
  } else {
    card.table = el("div", { class: "chart-table scroll", tabindex: "0", role: "region", "aria-label": "Values" });
    card.host.append(card.table);
    refreshTable(card);
  }
  const { canvas } = card.chart.layers.at(-1);
  for (const layer of card.chart.layers) layer.canvas.style.visibility = card.table ? "hidden" : "visible";
  (card.table ?? canvas).focus();
}

/** The values as they are now, where they are shown. */
export function refreshTable(card) {
  if (!card.table) return;
  const { head, rows } = card.chart.toTable();
  const cell = (value) => el("td", { class: typeof value === "string" ? "" : "number" }, shown(value));
  clear(card.table).append(el("table", { class: "table" },
    el("thead", {}, el("tr", {}, head.map((text, at) => el("th", { class: typeof rows[0]?.[at] === "string" ? "" : "number", scope: "col" }, text)))),
    el("tbody", {}, rows.slice(0, ROWS).map((row) => el("tr", {}, row.map(cell))))));
}

const shown = (value) => (typeof value === "boolean" || (typeof value === "object" && value) ? JSON.stringify(value) : number(value));

function fullScreen({ figure, chart }) {
  if (document.fullscreenElement) return document.exitFullscreen();
  const usual = chart.layers[0].height;
  const fit = () => {
    const isFull = document.fullscreenElement === figure;
    if (!chart.isTall) for (const layer of chart.layers) layer.resize(isFull ? innerHeight - 120 : usual);
    if (!isFull) document.removeEventListener("fullscreenchange", fit);
  };
  document.addEventListener("fullscreenchange", fit);
  return figure.requestFullscreen();
}
