/** The table of experiments, as elements. */

import { el } from "../core/dom.js";
import { ago, integer, moment, number } from "../core/format.js";
import { projectUrl } from "../core/page.js";
import { shelf } from "./rows.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 20;
const STEP = 4;

/**
 * @param {object[]} rows
 * @param {Set<string>} chosen ids
 * @param {boolean} mayEdit
 */
export function table(rows, chosen, mayEdit) {
  const all = el("input", { type: "checkbox", id: "choose-all", "aria-label": "Select all", checked: rows.length > 0 && rows.every((row) => chosen.has(row.id)) });
  const heads = [
    mayEdit ? el("th", { class: "pick" }, all) : null,
    head("Name"), head("Status", "wide"), head("Runs", "number"), head("Started", "wide"), head("Best", "wide"), head("Last activity"),
    mayEdit ? el("th", { class: "more-cell" }, el("span", { class: "visually-hidden" }, "Actions")) : null,
  ];
  return el("table", { class: "table" }, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, rows.map((row) => tr(row, chosen, mayEdit))));
}

const head = (word, kind = "") => el("th", { scope: "col", class: kind }, word);

function tr(row, chosen, mayEdit) {
  const isChosen = chosen.has(row.id);
  const cells = [
    mayEdit ? el("td", { class: "pick" }, el("input", { type: "checkbox", class: "choose", "aria-label": `Select ${row.name}`, checked: isChosen })) : null,
    el("td", { class: "name-cell" }, name(row)),
    el("td", { class: "wide" }, status(row)),
    el("td", { class: "number" }, integer(row.runs), row.running ? el("span", { class: "running-count" }, `${integer(row.running)} running`) : null),
    el("td", { class: "wide" }, spark(row.starts)),
    el("td", { class: "wide" }, best(row.best)),
    el("td", {}, el("span", { title: moment(row.last_activity) }, row.running ? "now" : ago(row.last_activity))),
    mayEdit ? el("td", { class: "more-cell" }, el("button", { type: "button", class: "icon-button more", "aria-haspopup": "menu", "aria-label": `Actions on ${row.name}` }, "⋯")) : null,
  ];
  return el("tr", { class: row.deleted ? "is-gone" : "", tabindex: "-1", "aria-selected": mayEdit ? String(isChosen) : null, dataset: { id: row.id } }, cells);
}

function name(row) {
  const link = el("a", { href: projectUrl(`/experiments/${encodeURIComponent(row.id)}`), title: row.name }, row.name);
  const shownTags = row.tags.slice(0, 4).map((tag) => el("span", { class: "tag", title: tag }, tag));
  const more = row.tags.length > 4 ? el("span", { class: "muted small", title: row.tags.slice(4).join(", ") }, `+${row.tags.length - 4}`) : null;
  const about = row.description ? el("span", { class: "about", title: row.description }, row.description) : null;
  return [el("span", { class: "name-line" }, link, shownTags, more), about, el("span", { class: "brief" }, brief(row))];
}

/** On a phone, what the other columns say. */
function brief(row) {
  const runs = `${integer(row.runs)} ${row.runs === 1 ? "run" : "runs"}${row.running ? `, ${integer(row.running)} running` : ""}`;
  const found = row.best ? `${row.best.name} ${number(row.best.value)}` : "";
  return [shelf(row), runs, found, row.running ? "" : ago(row.last_activity)].filter(Boolean).join(" · ");
}

function status(row) {
  const word = shelf(row);
  const look = word === "deleted" ? "other" : word;
  return el("span", { class: `status status-${look}` }, el("span", { class: "status-mark", "aria-hidden": "true" }), word);
}

function best(found) {
  if (!found) return el("span", { class: "muted" }, "–");
  const way = found.direction === "maximize" ? "highest" : "lowest";
  return [el("span", {}, number(found.value)), el("span", { class: "best-name", title: `${way} ${found.name} of all runs` }, `${way} ${found.name}`)];
}

/** When runs began: bars from the first run until now. */
function spark(bars) {
  if (!bars.length) return el("span", { class: "muted" }, "–");
  const most = Math.max(...bars);
  const total = bars.reduce((sum, bar) => sum + bar, 0);
  const drawn = document.createElementNS(SVG, "svg");
  set(drawn, { class: "spark", viewBox: `0 0 ${bars.length * STEP} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `${total} runs since the first one` });
  drawn.append(part("line", { x1: 0, x2: bars.length * STEP, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5 }));
  bars.forEach((bar, place) => {
    const height = bar ? Math.max(2, (bar / most) * (HEIGHT - 1)) : 0;
    if (height) drawn.append(part("rect", { x: place * STEP, y: HEIGHT - height, width: STEP - 1, height }));
  });
  return drawn;
}

const part = (tag, attributes) => set(document.createElementNS(SVG, tag), attributes);

function set(element, attributes) {
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
