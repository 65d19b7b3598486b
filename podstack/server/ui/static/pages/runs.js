/** The runs table: filter, order, columns, groups, selection, and what is new. */
import { get } from "../core/api.js";
import { runColors } from "../core/colors.js";
import { $, clear, el, on } from "../core/dom.js";
import { integer } from "../core/format.js";
import { now, page, projectUrl } from "../core/page.js";
import { panel } from "../core/panel.js";
import { poll } from "../core/poll.js";
import { readState, writeState } from "../core/state.js";
import { viewsButton } from "../core/views.js";
import { barsOf } from "../table/bars.js";
import { Columns } from "../table/columns.js";
import { namesOf } from "../table/completion.js";
import { FilterBox } from "../table/filter_box.js";
import { Grid } from "../table/grid.js";
import { bindTableKeys } from "../table/keys.js";
import { compareUrl, restored, tellSelected, told } from "../table/kept_selection.js";
import { News } from "../table/news.js";
import { Selection } from "../table/selection.js";
import { Table, bestOf, columnsOf, usualColumns } from "../table/table.js";
import { filtered, grouped, nextOrder, orderOf, shownOrder, sortedRows } from "../table/view.js";

const state = readState({ q: "", sort: "", cols: [], pins: [], bars: [], group: "", runs: [], sel: "" });
const { experiment } = page.data;
const host = $("#runs");
const phone = matchMedia("(width < 640px)");
const selection = new Selection(state.runs, () => { draw(); kept(); });
const news = new News($("#fresh"));
const runUrl = (id) => projectUrl(`/runs/${encodeURIComponent(id)}`);
const columns = new Columns(state, {
  changed: () => compute(false), order: () => shownOrder(orderOf(state.sort)), sort: sorted, grid: () => grid, groupBy, canGroup: isGroup,
  filterBy: (name) => replaced(`${state.q.trim()}${state.q.trim() ? " and " : ""}${name} `), say: (text) => { $("#said").textContent = text; },
});
let table = null;
let names = new Map();
let colors = new Map();
let grid = null;
let view = null;
let at = -1;
let asked = ""; // the filter that the server answered, where the page cannot
const folded = new Set();

const box = new FilterBox($("#filter"), { onChange: typed, known: () => table && { names, table } });
box.input.value = state.q;

// Reading ------------------------------------------------------------------------------------

const list = panel(host, async (place, signal) => {
  const answer = await asking({ signal });
  taken(answer);
  if (state.sel) await reselected();
  if (!answer.total && !asked && !answer.indexing) return void (await nothing()).firstRuns(place);
  grid = new Grid(clear(place), columns.acts);
  compute();
  return undefined;
});

function asking(options) {
  return get("/table", { experiment: experiment?.id, partial: true, filter: asked, order_by: asked ? undefined : "-created" }, options);
}

function taken(answer) {
  table = new Table(answer);
  const all = columnsOf(table, { withExperiment: !experiment });
  columns.take(all, usualColumns(table, all));
  names = namesOf(table);
  colors = runColors(answer.ids);
  news.clear();
  groups();
  following(answer);
}

/** While the server indexes: what it has by now, again and again. */
async function following({ indexing }) {
  if (indexing) (await import("../core/indexing.js")).follow(indexing, grown);
}

async function grown() {
  const before = [asked, table];
  const answer = await asking();
  if (before[0] !== asked || before[1] !== table || !grid) return;
  const id = at >= 0 && shownIds()[at];
  taken(answer);
  compute(false);
  if (!id) return;
  at = shownIds().indexOf(id);
  draw();
}

poll(async () => {
  if (!table) return undefined;
  const { data } = table;
  const answer = await get("/table", { experiment: experiment?.id, since: data.generation, partial: true });
  table.now = now();
  if (!answer) return undefined;
  const { patch } = await import("../table/patch.js");
  if (data !== table.data) return undefined;
  if (answer.indexing) return void following(answer);
  table.data.generation = answer.generation;
  news.take(patch(table, answer));
  refreshed();
  return true;
}, { seconds: 4, most: 15 });

/** New values in the rows that are there, which stay in their places. */
function refreshed() {
  // the first runs of all
  if (!view) return void list.reload();
  const rows = sortedRows(table, found(false).rows, view.keys);
  news.isMoved = rows.length !== view.rows.length || rows.some((row, place) => row !== view.rows[place]);
  news.tell((fresh, id) => filtered(fresh, state.q).rows.includes(fresh.rowOf.get(id)));
  Object.assign(view, figures(view.rows));
  draw();
}

// The view -----------------------------------------------------------------------------------

let idle = 0;
function typed(text) {
  state.q = text;
  compute(true, true);
  clearTimeout(idle);
  idle = setTimeout(settled, 600);
}

/** What was typed counts once one pauses, or leaves the box. */
function settled() {
  if (idle) compute();
  clearTimeout(idle);
  idle = 0;
}

const found = (isTyping) => filtered(table, state.q, { isTyping, isName: (word) => [...names.keys()].some((name) => name.startsWith(word)) });

function compute(isNew = true, isTyping = false) {
  if (!grid) return;
  const fitting = found(isTyping);
  const isPartial = Boolean(table.data.next);
  if (!isTyping && asked !== (fitting.needsServer || isPartial || asked ? fitting.text : "")) return ask(fitting.text);
  const keys = orderOf(state.sort);
  const rows = sortedRows(table, fitting.rows, keys);
  const column = columns.known.get(state.group);
  view = { rows, keys, text: fitting.text, parts: fitting.parts, entries: column ? grouped(table, rows, column, folded) : rows, ...figures(rows) };
  news.isMoved = false;
  if (isNew) grid.scroll.scrollTop = 0;
  marked(fitting.marks, isTyping);
  if (!isTyping) writeState({ q: state.q.trim() });
  draw();
}

/** What follows from the columns and the rows shown. */
function figures(rows) {
  const shown = phone.matches ? columns.narrow : columns.shown;
  return {
    table, columns: shown, best: bestOf(table, shown, rows), bars: barsOf(table, shown, rows, state.bars), isNarrow: phone.matches,
    widths: phone.matches ? new Map() : columns.widths, pins: phone.matches ? 0 : columns.layout.pins.length,
  };
}

function marked(marks, isTyping) {
  box.mark(marks.filter(({ to }) => !isTyping || to < state.q.length));
  $("#filter-note").textContent = isTyping || !marks.length ? "" : `Looked for as words: ${marks.map(({ from, to, message }) => `“${state.q.slice(from, to)}” (${message})`).join(", ")}`;
}

function ask(text) {
  asked = text;
  list.reload();
}

function draw() {
  // nothing yet, or what failed is told
  if (!view || !host.contains(grid.scroll)) return;
  for (const button of [$("#columns"), $("#export")]) button.disabled = false;
  const { entries, rows } = view;
  at = Math.min(at, entries.length - 1);
  host.dataset.rows = String(rows.length);
  counted();
  host.querySelector(":scope > .empty")?.remove();
  grid.scroll.hidden = !rows.length;
  if (!rows.length) return table.size ? void noneFits() : undefined;
  grid.show({ ...view, colors, selected: selection.ids, sort: shownOrder(view.keys), at, href: runUrl });
}

const nothing = () => import("../table/nothing.js");

async function noneFits() {
  const { noMatch } = await nothing();
  if (!view.rows.length) noMatch(host, { table, names, parts: view.parts, text: state.q, replace: replaced });
}

function replaced(text) {
  box.input.value = text;
  state.q = text;
  compute();
  box.input.focus();
}

function counted() {
  const { rows } = view;
  const total = Math.max(table.data.total, table.size);
  $("#count").textContent = rows.length === total ? `${integer(total)} ${total === 1 ? "run" : "runs"}` : `${integer(rows.length)} of ${integer(total)} runs`;
  tellSelected(selection, state.sel, selectedUrl());
}

// The selection ------------------------------------------------------------------------------

let turn = 0;
async function kept() {
  if (!table) return;
  const mine = (turn += 1);
  const says = await told(selection.ids, table, view?.text ?? "");
  // another selection came meanwhile
  if (mine !== turn) return;
  state.sel = says.sel ?? "";
  writeState(says);
  tellSelected(selection, state.sel, selectedUrl());
}

const selectedUrl = () => compareUrl(selection.ids, state.sel, experiment?.id);

async function reselected() {
  const ids = await restored(state.sel, table, !table.data.next && !asked, experiment?.id);
  for (const id of ids) selection.ids.add(id);
  if (!ids.length) state.sel = "";
}

const shownIds = () => view.entries.map((entry) => (typeof entry === "number" ? table.data.ids[entry] : ""));

on(host, "click", "td.pick", (event, cell) => {
  const { run } = cell.closest("tr").dataset;
  const ids = shownIds();
  at = ids.indexOf(run);
  selection.toggle(ids, at, event.shiftKey);
});
on(host, "mousedown", "td.pick", (event) => { if (event.shiftKey) event.preventDefault(); });
on(host, "change", ".select-all", (_, input) => everything(input.checked));
const everything = (isOn) => selection.set(view.rows.map((row) => table.data.ids[row]), isOn);

// What is clicked ----------------------------------------------------------------------------

/** @param {boolean} [descending] as it is asked for; else the other way round, or the usual one */
function sorted(key, descending) {
  const column = columns.known.get(key) ?? { key, kind: "attribute" };
  state.sort = descending === undefined ? nextOrder(column, shownOrder(orderOf(state.sort))) : `${descending ? "-" : ""}${key}`;
  writeState({ sort: state.sort });
  compute();
}

on(host, "click", ".fold", (_, button) => {
  if (!folded.delete(button.dataset.key)) folded.add(button.dataset.key);
  compute(false);
});
on(host, "click", "tr[data-run] > :not(.pick)", async (event, cell) => {
  if (!phone.matches || event.target.closest("a")) return;
  const { run } = cell.closest("tr").dataset;
  const { openSheet } = await import("../table/sheet.js");
  openSheet({ table, row: table.rowOf.get(run), columns, href: runUrl(run), isPicked: selection.has(run), onPick: () => selection.set([run], !selection.has(run)) });
});

function isGroup({ key, kind }) { return kind === "params" || ["status", "user", "tags", "experiment"].includes(key); }

function groups() {
  const kinds = columns.all.filter(isGroup).slice(0, 200);
  $("#group").replaceChildren(el("option", { value: "" }, "none"), ...kinds.map(({ key, title }) => el("option", { value: key, selected: key === state.group }, title)));
}

function groupBy(key) {
  state.group = key;
  $("#group").value = key;
  folded.clear();
  writeState({ group: key });
  compute();
}

async function chooseColumns() {
  if (!table) return;
  const { openColumns } = await import("../table/columns_dialog.js");
  openColumns(columns, table);
}

async function exportMenu({ currentTarget }) {
  const { openExport } = await import("../table/export.js");
  const rows = selection.size ? view.rows.filter((row) => selection.has(table.data.ids[row])) : view.rows;
  openExport(currentTarget, { table, columns: columns.shown, rows, isSelection: selection.size > 0, name: experiment?.name ?? "runs" });
}

const edits = () => import("../table/edits.js");
async function removeSelected() {
  const ids = [...selection.ids];
  (await edits()).remove(ids, () => { selection.set(ids, false); list.reload(); });
}
viewsButton({ button: $("#views"), of: experiment ? `experiments/${experiment.id}` : "runs", leave: ["runs", "sel"] });
$("#group").addEventListener("change", (event) => groupBy(event.target.value));
$("#columns").addEventListener("click", chooseColumns);
$("#export").addEventListener("click", exportMenu);
$("#fresh").addEventListener("click", () => { if (news.isElsewhere) list.reload(); else { news.clear(); compute(false); } });
box.input.addEventListener("blur", settled);
$("#deselect").addEventListener("click", () => selection.clear());
$("#tag")?.addEventListener("click", async () => (await edits()).addTags([...selection.ids], () => list.reload()));
$("#delete")?.addEventListener("click", removeSelected);
phone.addEventListener("change", () => compute(false));

// Keys ---------------------------------------------------------------------------------------

function moved(by) {
  if (!view?.entries.length) return;
  at = Math.max(0, Math.min(view.entries.length - 1, at + by));
  if (typeof view.entries[at] !== "number" && by) at = Math.max(0, Math.min(view.entries.length - 1, at + Math.sign(by)));
  grid.reveal(at);
  draw();
}

bindTableKeys({
  moved, chooseColumns, filter: () => { box.input.focus(); box.input.select(); },
  here: () => (at >= 0 && view ? shownIds()[at] : ""), href: runUrl,
  toggle: () => selection.toggle(shownIds(), at, false),
  all: () => { if (view) everything(view.rows.some((row) => !selection.has(table.data.ids[row]))); },
  compare: () => { if (selection.size) location.assign(selectedUrl()); },
  remove: () => { if (selection.size) removeSelected(); },
});
