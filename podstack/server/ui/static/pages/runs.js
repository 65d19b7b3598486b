/** The runs table: filter, order, columns, groups, selection, and what is new. */
import { get } from "../core/api.js";
import { runColors } from "../core/colors.js";
import { copy } from "../core/copy.js";
import { $, clear, el, on } from "../core/dom.js";
import { integer } from "../core/format.js";
import { bindKeys } from "../core/keys.js";
import { openMenu } from "../core/menu.js";
import { mayEdit, page, projectUrl } from "../core/page.js";
import { panel } from "../core/panel.js";
import { poll } from "../core/poll.js";
import { readState, writeState } from "../core/state.js";
import { namesOf } from "../table/completion.js";
import { addTags, remove } from "../table/edits.js";
import { FilterBox } from "../table/filter_box.js";
import { Grid } from "../table/grid.js";
import { firstRuns, noMatch } from "../table/nothing.js";
import { Selection } from "../table/selection.js";
import { Table, bestOf, columnsOf, patch, usualColumns } from "../table/table.js";
import { filtered, grouped, nextOrder, orderOf, shownOrder, sortedRows } from "../table/view.js";

const state = readState({ q: "", sort: "", cols: [], pins: [], group: "", runs: [] });
const { experiment } = page.data;
const host = $("#runs");
const phone = matchMedia("(width < 900px)");
const selection = new Selection(state.runs, () => { remembered(); draw(); });
const runUrl = (id) => projectUrl(`/runs/${encodeURIComponent(id)}`);
let table = null;
let all = [];
let usual = []; // keys of the columns that are shown where nobody chose
let names = new Map();
let colors = new Map();
let grid = null;
let view = null;
let at = -1;
let strange = new Set();
let asked = ""; // the filter that the server answered, where the page cannot
const folded = new Set();

const box = new FilterBox($("#filter"), { onChange: typed, known: () => table && { names, table } });
box.input.value = state.q;

// Reading ------------------------------------------------------------------------------------

const list = panel(host, async (place, signal) => {
  const answer = await get("/table", { experiment: experiment?.id, filter: asked, order_by: asked ? undefined : "-created" }, { signal });
  table = new Table(answer);
  all = columnsOf(table, { withExperiment: !experiment });
  usual = usualColumns(table, all);
  names = namesOf(table);
  colors = runColors(answer.ids);
  strange = new Set();
  $("#fresh").hidden = true;
  groups();
  if (!answer.total && !asked) return void firstRuns(place, () => copy($("#snippet").textContent, "Copied: run it in Python"));
  grid = new Grid(clear(place), sorted);
  compute();
  return undefined;
});

poll(async () => {
  if (!table) return undefined;
  const answer = await get("/table", { experiment: experiment?.id, since: table.data.generation });
  table.now = Date.now() / 1000;
  if (!answer) return undefined;
  table.data.generation = answer.generation;
  for (const id of patch(table, answer)) strange.add(id);
  told();
  compute(false);
  return true;
}, { seconds: 4, most: 15 });

/** New runs wait until they are asked for: nothing moves below the pointer. */
function told() {
  const button = $("#fresh");
  button.hidden = !strange.size;
  button.textContent = `${integer(strange.size)} new ${strange.size === 1 ? "run" : "runs"} – show`;
}

// The view -----------------------------------------------------------------------------------

let idle = 0;
function typed(text) {
  state.q = text;
  compute(true, true);
  clearTimeout(idle);
  idle = setTimeout(() => compute(), 600);
}

function compute(isNew = true, isTyping = false) {
  if (!grid) return;
  const found = filtered(table, state.q, { isTyping, isName: (word) => [...names.keys()].some((name) => name.startsWith(word)) });
  const isPartial = Boolean(table.data.next);
  if (!isTyping && asked !== (found.needsServer || isPartial || asked ? found.text : "")) return ask(found.text);
  const keys = orderOf(state.sort);
  const rows = sortedRows(table, found.rows, keys);
  const columns = shownColumns();
  const column = all.find(({ key }) => key === state.group);
  view = { table, rows, columns, keys, parts: found.parts, entries: column ? grouped(table, rows, column, folded) : rows, best: bestOf(table, columns, rows) };
  if (isNew) grid.scroll.scrollTop = 0;
  box.mark(found.marks.filter(({ to }) => !isTyping || to < state.q.length));
  $("#filter-note").textContent = isTyping || !found.marks.length ? "" : `Looked for as words: ${found.marks.map(({ from, to, message }) => `“${state.q.slice(from, to)}” (${message})`).join(", ")}`;
  if (!isTyping) writeState({ q: state.q.trim() });
  draw();
}

function ask(text) {
  asked = text;
  list.reload();
}

function shownColumns() {
  const byKey = new Map(all.map((column) => [column.key, column]));
  const found = (keys) => keys.map((key) => byKey.get(key)).filter(Boolean);
  const pinned = found(state.pins);
  const rest = found(state.cols.length ? state.cols : usual).filter((column) => !pinned.includes(column));
  const columns = [...pinned, ...rest];
  if (!phone.matches) return columns;
  return [columns.find(({ key }) => key === "status"), pinned[0] ?? columns.find(({ kind }) => kind === "metrics")].filter(Boolean);
}

function draw() {
  if (!view) return;
  const { entries, rows } = view;
  at = Math.min(at, entries.length - 1);
  host.dataset.rows = String(rows.length);
  counted();
  host.querySelector(":scope > .empty")?.remove();
  grid.scroll.hidden = !rows.length;
  if (!rows.length) return void noMatch(host, table, view.parts, state.q, replaced);
  grid.show({ ...view, colors, selected: selection.ids, sort: shownOrder(view.keys), at, href: runUrl });
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
  $("#selected").hidden = !selection.size;
  $("#selected-count").textContent = `${integer(selection.size)} selected`;
  $("#compare-word").textContent = selection.size ? `Compare (${selection.size})` : "Compare";
  const link = $("#compare");
  if (selection.size) link.href = compareUrl();
  else link.removeAttribute("href");
  link.setAttribute("aria-disabled", String(!selection.size));
}

const compareUrl = () => projectUrl(`/compare?runs=${encodeURIComponent(JSON.stringify([...selection.ids].slice(0, 500)))}`);
const MOST_KEPT = 100; // selected runs that a link can hold
const remembered = () => writeState({ runs: selection.size && selection.size <= MOST_KEPT ? [...selection.ids] : null });

// What is clicked ----------------------------------------------------------------------------

function sorted(key) {
  const column = all.find((each) => each.key === key) ?? { key, kind: "attribute" };
  state.sort = nextOrder(column, shownOrder(orderOf(state.sort)));
  writeState({ sort: state.sort });
  compute();
  $(`th[data-key="${CSS.escape(key)}"] button`, host)?.focus();
}

const shownIds = () => view.entries.map((entry) => (typeof entry === "number" ? table.data.ids[entry] : ""));

on(host, "click", "td.pick", (event, cell) => {
  const { run } = cell.closest("tr").dataset;
  const ids = shownIds();
  at = ids.indexOf(run);
  selection.toggle(ids, at, event.shiftKey);
});
on(host, "mousedown", "td.pick", (event) => { if (event.shiftKey) event.preventDefault(); });
on(host, "change", ".select-all", (_, input) => selection.set(view.rows.map((row) => table.data.ids[row]), input.checked));
on(host, "click", ".fold", (_, button) => {
  if (!folded.delete(button.dataset.key)) folded.add(button.dataset.key);
  compute(false);
});

function groups() {
  const kinds = all.filter(({ key, kind }) => kind === "params" || ["status", "user", "tags", "experiment"].includes(key)).slice(0, 200);
  $("#group").replaceChildren(el("option", { value: "" }, "none"), ...kinds.map(({ key, title }) => el("option", { value: key, selected: key === state.group }, title)));
}

$("#group").addEventListener("change", (event) => {
  state.group = event.target.value;
  folded.clear();
  writeState({ group: state.group });
  compute();
});

async function columns() {
  if (!table) return;
  const { openColumns } = await import("../table/columns_dialog.js");
  const change = (cols, pins) => { Object.assign(state, { cols, pins }); writeState({ cols: cols.length ? cols : null, pins: pins.length ? pins : null }); compute(false); };
  openColumns({ all, table, shown: shownColumns().map(({ key }) => key), pins: state.pins }, change, () => change([], []));
}

async function exported(kind) {
  const { csvOf, jsonOf, save } = await import("../table/export.js");
  const rows = selection.size ? view.rows.filter((row) => selection.has(table.data.ids[row])) : view.rows;
  const name = `${(experiment?.name ?? "runs").replace(/[^\w.-]+/g, "_")}.${kind}`;
  if (kind === "csv") save(csvOf(table, view.columns, rows), name, "text/csv");
  else save(jsonOf(table, view.columns, rows), name, "application/json");
}

const again = () => { selection.clear(); list.reload(); };
$("#columns").addEventListener("click", columns);
$("#export").addEventListener("click", (event) => { if (view) openMenu(event.currentTarget, [{ text: "CSV of the rows shown", run: () => exported("csv") }, { text: "JSON of the rows shown", run: () => exported("json") }]); });
$("#fresh").addEventListener("click", () => list.reload());
$("#deselect").addEventListener("click", () => selection.clear());
$("#tag")?.addEventListener("click", () => addTags([...selection.ids], () => list.reload()));
$("#delete")?.addEventListener("click", () => remove([...selection.ids], again));
phone.addEventListener("change", () => compute(false));

// Keys ---------------------------------------------------------------------------------------

function moved(by) {
  if (!view?.entries.length) return;
  at = Math.max(0, Math.min(view.entries.length - 1, at + by));
  if (typeof view.entries[at] !== "number" && by) at = Math.max(0, Math.min(view.entries.length - 1, at + Math.sign(by)));
  grid.reveal(at);
  draw();
}

function opened(event) {
  const id = at >= 0 && view ? shownIds()[at] : "";
  if (!id || /^(A|BUTTON)$/.test(event.target.tagName)) return false;
  location.assign(runUrl(id));
  return true;
}

bindKeys("runs", {
  "/": () => { box.input.focus(); box.input.select(); },
  j: () => moved(1), k: () => moved(-1), Enter: opened,
  x: () => { if (at >= 0 && view) selection.toggle(shownIds(), at, false); },
  c: () => { if (selection.size) location.assign(compareUrl()); },
  o: () => { columns(); },
});
if (mayEdit()) bindKeys("runs", { Delete: () => { if (selection.size) remove([...selection.ids], again); } });
