/** What one can do with a chart: table, full screen, files of it, a pin. */

import { clear, el, icon } from "../core/dom.js";
import { number } from "../core/format.js";
import { openMenu } from "../core/menu.js";
import { copy } from "../core/copy.js";

const ROWS = 1000; // of a table on the page; the file holds all

/** @param card {figure, host, chart} @param pins {has(name), toggle(name)} */
export function menuButton(name, card, pins) {
  const button = el("button", { type: "button", class: "icon-button card-more", "aria-haspopup": "menu", "aria-label": `More of ${name}`, title: "Table, full screen, export" }, icon("more"));
  button.addEventListener("click", () => card.chart && openMenu(button, items(name, card, pins)));
  return button;
}

function items(name, card, pins) {
  const { chart, figure } = card;
  const file = name.replace(/[^A-Za-z0-9._-]+/g, "-");
  return [
    { text: card.table ? "Show the chart" : "Show as a table", run: () => toggleTable(card) },
    { text: document.fullscreenElement ? "Leave full screen" : "Full screen", run: () => fullScreen(figure, chart) },
    { text: pins.has(name) ? "Unpin" : "Pin on top", run: () => pins.toggle(name) },
    { text: "Copy link to it", run: () => copy(linkTo(name)) },
    null,
    { text: "CSV", run: () => download(new Blob([csvOf(chart.toTable())], { type: "text/csv" }), `${file}.csv`) },
    { text: "PNG", run: async () => download(await chart.toPNG(), `${file}.png`) },
    { text: "SVG", run: () => download(new Blob([chart.toSVG()], { type: "image/svg+xml" }), `${file}.svg`) },
  ];
}

/** The address of this view with one chart alone. */
export function linkTo(name, here = location.href) {
  const address = new URL(here);
  address.searchParams.set("metrics", `^${name.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")}$`);
  return address.href;
}

/** The values instead of the picture, and back. */
export function toggleTable(card) {
  if (card.table) {
    card.table.remove();
    card.table = null;
  } else {
    const { head, rows } = card.chart.toTable();
    card.table = el("div", { class: "chart-table scroll", tabindex: "0", role: "region", "aria-label": "Values" }, el("table", { class: "table" },
      el("thead", {}, el("tr", {}, head.map((text) => el("th", { class: "number", scope: "col" }, text)))),
      el("tbody", {}, rows.slice(0, ROWS).map((row) => el("tr", {}, row.map((value) => el("td", { class: "number" }, number(value))))))));
    card.host.append(card.table);
  }
  card.chart.layer.canvas.style.visibility = card.table ? "hidden" : "visible";
  (card.table ?? card.chart.layer.canvas).focus();
}

function fullScreen(figure, chart) {
  if (document.fullscreenElement) return document.exitFullscreen();
  const usual = chart.layer.height;
  const fit = () => {
    const isFull = document.fullscreenElement === figure;
    chart.layer.resize(isFull ? innerHeight - 80 : usual);
    if (!isFull) document.removeEventListener("fullscreenchange", fit);
  };
  document.addEventListener("fullscreenchange", fit);
  return figure.requestFullscreen();
}

function download(content, name) {
  const address = URL.createObjectURL(content);
  const link = el("a", { href: address, download: name, hidden: true });
  document.body.append(link);
  link.click();
  clear(link).remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** A table as CSV. A text that a spreadsheet would take for a formula is made plain. */
export function csvOf({ head, rows }) {
  const cell = (value) => {
    if (value === null) return "";
    if (typeof value === "number") return String(value);
    const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return `${[head, ...rows].map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}
