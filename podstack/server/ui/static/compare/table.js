/**
 * A table of runs beside one another, either way round: few runs are columns, many are rows.
 *
 * Lines are what is compared (parameters, or figures of metrics). A cell is {text, note, kind,
 * title}: kind is "changed", "best", or empty; note stands below the text, with a word of its own.
 */

import { clear, el } from "../core/dom.js";
import { dot, runUrl } from "./parts.js";

const STEP = 100; // runs of a long table that come at once
export const SIDE_BY_SIDE = 6; // runs that are columns; more are rows

/** Whether runs are rows: as the reader chose, else from how many there are. */
export function runsAreRows(flip, count) {
  if (flip === "rows" || flip === "columns") return flip === "rows";
  return count > SIDE_BY_SIDE;
}

/**
 * @param {object} content
 * @param {{name, prefix, hint}[]} content.lines
 * @param {{run, label: Node, isBase}[]} content.heads
 * @param {(line: number, head: number) => object} content.cell
 * @param {string} content.caption for who cannot see the heading
 * @param {boolean} content.asRows whether runs are rows
 * @param {{key, falls}|null} content.sort by which rows are sorted; @param content.onSort
 */
export function comparisonTable({ lines, heads, cell, caption, asRows, sort, onSort }) {
  const table = el("table", { class: asRows ? "compared runs-as-rows" : "compared" });
  table.append(el("caption", { class: "visually-hidden" }, caption));
  if (asRows) rowsOfRuns(table, lines, heads, cell, { sort, onSort });
  else columnsOfRuns(table, lines, heads, cell);
  return table;
}

function columnsOfRuns(table, lines, heads, cell) {
  const head = el("tr", {}, el("th", { scope: "col" }, "Name"), ...heads.map((one) => headCell(one, "col")));
  const body = el("tbody", {});
  let group = "";
  lines.forEach((line, at) => {
    if (line.prefix && line.prefix !== group) body.append(groupRow(line.prefix, heads.length + 1));
    group = line.prefix ?? "";
    body.append(el("tr", {}, lineHead(line, "row"), ...heads.map((one, place) => bodyCell(cell(at, place), one))));
  });
  table.append(el("thead", {}, head), body);
}

function rowsOfRuns(table, lines, heads, cell, { sort, onSort }) {
  const head = el("tr", {}, el("th", { scope: "col" }, "Run"), ...lines.map((line) => sortHead(line, sort, onSort)));
  const body = el("tbody", {});
  const row = (one, place) => el("tr", one.isBase ? { class: "is-base" } : {}, headCell(one, "row"),
    ...lines.map((_, at) => bodyCell(cell(at, place), one)));
  const add = (start) => {
    body.append(...heads.slice(start, start + STEP).map((one, at) => row(one, start + at)));
    if (heads.length > start + STEP) body.append(moreRow(body, heads.length - start - STEP, lines.length + 1, () => add(start + STEP)));
  };
  add(0);
  table.append(el("thead", {}, head), body);
}

function moreRow(body, left, width, more) {
  const button = el("button", { type: "button", class: "link" }, `Show ${Math.min(STEP, left)} more of ${left}`);
  const row = el("tr", { class: "more" }, el("td", { colspan: String(width) }, button));
  button.addEventListener("click", () => {
    row.remove();
    more();
  });
  return row;
}

function groupRow(prefix, width) {
  return el("tr", { class: "group" }, el("th", { scope: "rowgroup", colspan: String(width) }, prefix));
}

function headCell({ label, isBase }, scope) {
  return el("th", { scope, class: isBase ? "run-head is-base" : "run-head" }, label);
}

function lineHead(line, scope) {
  const name = scope === "col" && line.prefix ? line.prefix + line.name : line.name;
  return el("th", { scope, class: "line-head", title: `${line.prefix ?? ""}${line.name}` }, name,
    line.hint ? el("small", {}, line.hint) : "");
}

/** The head of a column that sorts the rows, and back again. */
function sortHead(line, sort, onSort) {
  const head = lineHead(line, "col");
  const isSorted = sort?.key === line.key;
  const button = el("button", { type: "button", class: "sort", "data-act": `sort ${line.key}` }, head.firstChild,
    isSorted ? el("span", { "aria-hidden": "true" }, sort.falls ? " ↓" : " ↑") : "");
  button.addEventListener("click", () => onSort(isSorted && !sort.falls ? `-${line.key}` : line.key));
  if (isSorted) head.setAttribute("aria-sort", sort.falls ? "descending" : "ascending");
  head.prepend(button);
  return head;
}

function bodyCell({ text, note, noteKind, kind, title, isNumber }, { isBase }) {
  const classes = [kind, isBase && "is-base", isNumber && "number"].filter(Boolean).join(" ");
  const cell = el("td", { class: classes }, el("span", { class: "value" }, text));
  if (title) cell.title = title;
  if (note) cell.append(el("small", { class: noteKind ?? "" }, note));
  return cell;
}

/**
 * Names as {full, prefix, name}: those that share all before their last slash or dot stand together
 * below it; one that is alone keeps its whole name.
 */
export function inGroups(names) {
  const cut = (name) => Math.max(name.lastIndexOf("/"), name.lastIndexOf(".")) + 1;
  const prefixOf = (name) => (cut(name) < name.length ? name.slice(0, cut(name)) : "");
  const groups = new Map();
  for (const name of names) groups.set(prefixOf(name), [...(groups.get(prefixOf(name)) ?? []), name]);
  const isGroup = (prefix) => prefix && groups.get(prefix).length > 1;
  const alone = names.filter((name) => !isGroup(prefixOf(name)));
  const grouped = [...groups].filter(([prefix]) => isGroup(prefix));
  return [
    ...alone.map((full) => ({ full, prefix: "", name: full })),
    ...grouped.flatMap(([prefix, all]) => all.map((full) => ({ full, prefix, name: full.slice(prefix.length) }))),
  ];
}

/** Something else in a panel: a table in it stays where it was scrolled to, and the focus on its button. */
export function replaced(body, ...parts) {
  const before = body.querySelector(".scroll");
  const act = body.contains(document.activeElement) ? document.activeElement.dataset.act : null;
  const [left, top] = [before?.scrollLeft, before?.scrollTop];
  clear(body).append(...parts);
  if (before) body.querySelector(".scroll")?.scrollTo({ left, top, behavior: "instant" });
  if (act) body.querySelector(`[data-act="${CSS.escape(act)}"]`)?.focus({ preventScroll: true });
}

/** A table that scrolls by itself, also by keyboard. */
export function scrolled(label, table) {
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${label}, table` }, table);
}

/** A run as its colour and its name, which leads to it. */
export function runLabel(view, run) {
  const label = el("a", { class: "run-label", href: runUrl(view, run), title: view.nameOf(run) },
    dot(view, run), el("span", { class: "cut" }, view.nameOf(run)));
  if (run === view.baseline) label.append(el("small", { class: "base-word" }, "baseline"));
  return label;
}
