/** The list of experiments: search, chips, sort, selection, and what can be done to them. */

import { get } from "../core/api.js";
import { copy } from "../core/copy.js";
import { $, $$, clear, el, on } from "../core/dom.js";
import { bindKeys } from "../core/keys.js";
import { openMenu } from "../core/menu.js";
import { mayEdit, page, projectUrl } from "../core/page.js";
import { poll, released } from "../core/poll.js";
import { readState, writeState } from "../core/state.js";
import { askTags, change, create, edit } from "../experiments/edit.js";
import { counts, inPlace, shown, snippet, STATUSES, tagCounts } from "../experiments/rows.js";
import { table } from "../experiments/table.js";

const rows = new Map(page.data.experiments.map((row) => [row.id, row]));
const view = readState({ q: "", status: "", tags: [], sort: "-last_activity" });
const chosen = new Set();
const host = $("#experiments");
const all = () => [...rows.values()];
let last = null; // the row that a range of a shift-click begins at
let edits = 0; // that were answered
let isStale = false; // what is drawn, while a menu or a dialog is open

/** isLive: nobody asked for it, so rows stay in their places while somebody points at them. */
function draw(isLive = false) {
  isStale = false;
  const alive = all().filter((row) => !row.deleted);
  const isHeld = isLive && host.matches(":hover, :focus-within");
  const found = isHeld ? inPlace(shown(all(), view), $$("tbody tr", host).map((tr) => tr.dataset.id)) : shown(all(), view);
  $("#tools").hidden = rows.size === 0;
  for (const id of chosen) if (!found.some((row) => row.id === id)) chosen.delete(id);
  if (!alive.length && view.status !== "deleted") return teach();
  drawChips();
  drawSelection();
  if (!found.length) return noMatch();
  const focused = document.activeElement?.closest?.("tr")?.dataset.id;
  clear(host).append(table(found, chosen, mayEdit()));
  host.dataset.state = "ready";
  if (focused) rowOf(focused)?.focus({ preventScroll: true });
  return undefined;
}

const rowOf = (id) => $$("tbody tr", host).find((tr) => tr.dataset.id === id);

function drawChips() {
  const number = counts(all());
  const shelves = ["", ...STATUSES, ...(number.deleted ? ["deleted"] : [])];
  clear($("#statuses")).append(...shelves.map((name) => chip(name || "all", number[name], view.status === name, { status: name })));
  const tags = tagCounts(all(), view.status).slice(0, 20);
  const gone = view.tags.filter((tag) => !tags.some(([known]) => known === tag)).map((tag) => [tag, 0]);
  clear($("#tags")).append(...[...gone, ...tags].map(([tag, count]) => chip(tag, count, view.tags.includes(tag), { tag })));
  $("#tags").hidden = !tags.length && !gone.length;
}

function chip(word, count, isOn, dataset) {
  return el("button", { type: "button", class: "chip", "aria-pressed": String(isOn), dataset }, el("span", { class: "cut" }, word), el("b", {}, String(count)));
}

function drawSelection() {
  const bar = $("#selection");
  bar.hidden = chosen.size === 0;
  if (bar.hidden) return;
  const picked = all().filter((row) => chosen.has(row.id));
  const act = (text, run) => el("button", { type: "button", class: "button", onclick: run }, text);
  clear(bar).append(
    el("strong", {}, `${chosen.size} selected`), ...actions(picked).map(({ text, run }) => act(text, run)),
    act("Clear", () => { chosen.clear(); draw(); }),
  );
}

/** What fits the chosen ones. */
function actions(picked) {
  const set = (changes, told) => () => change(picked, () => changes, told, put);
  const some = (test) => picked.some(test);
  return [
    some((row) => !row.archived && !row.deleted) && { text: "Archive", run: set({ archived: true }, "archived") },
    some((row) => row.archived) && { text: "Restore", run: set({ archived: false }, "restored") },
    { text: "Add tags", run: () => askTags(picked, put) },
    some((row) => !row.deleted) ? { text: "Delete", kind: "danger", run: set({ deleted: true }, "deleted") }
      : { text: "Bring back", run: set({ deleted: false }, "brought back") },
  ].filter(Boolean);
}

/** A row as an edit left it; what only the page knows stays. */
function put(row) {
  edits += 1;
  rows.set(row.id, { starts: [], best: null, ...rows.get(row.id), ...row });
  draw();
}

function noMatch() {
  host.dataset.state = "empty";
  const reset = el("button", { type: "button", class: "button", onclick: () => { $("#search").value = ""; show({ q: "", status: "", tags: [] }); } }, "Show all");
  clear(host).append(el("div", { class: "empty" }, el("p", { class: "empty-title" }, "No experiment matches"), el("p", { class: "muted" }, asked()), reset));
}

function asked() {
  const parts = [view.q && `“${view.q}”`, view.status && `status ${view.status}`, ...view.tags.map((tag) => `tag ${tag}`)].filter(Boolean);
  return parts.length ? `Nothing has ${parts.join(" and ")}.` : "All of them are archived or deleted.";
}

function teach() {
  host.dataset.state = "empty";
  $("#selection").hidden = true;
  $("#tags").hidden = true;
  drawStatuses();
  const code = snippet(page.data.address, page.project);
  const button = el("button", { type: "button", class: "button", onclick: () => copy(code, "Copied: run it, and this page shows the run") }, "Copy");
  clear(host).append(el("div", { class: "teach" },
    el("h2", {}, "Nothing here yet: log your first run"),
    el("p", {}, "Run these lines where you train. The experiment appears here by itself, and its curves move while it runs."),
    el("pre", { class: "snippet", tabindex: "0", "aria-label": "Python code" }, el("code", {}, code)),
    el("div", { class: "snippet-head" }, button)));
}

/** Deleted ones can be looked at even when nothing else is there. */
function drawStatuses() {
  if (rows.size) clear($("#statuses")).append(chip("deleted", counts(all()).deleted, false, { status: "deleted" }));
}

function show(changes) {
  Object.assign(view, changes);
  writeState({ q: view.q, status: view.status, tags: view.tags.length ? view.tags : null, sort: view.sort === "-last_activity" ? null : view.sort });
  draw();
}

function pick(id, isOn, isRange) {
  const ids = $$("tbody tr", host).map((tr) => tr.dataset.id);
  const [from, to] = [ids.indexOf(last), ids.indexOf(id)].sort((a, b) => a - b);
  const range = isRange && from >= 0 ? ids.slice(from, to + 1) : [id];
  for (const one of range) if (isOn) chosen.add(one); else chosen.delete(one);
  last = id;
  draw();
  rowOf(id)?.focus({ preventScroll: true });
}

function move(by) {
  const trs = $$("tbody tr", host);
  const here = trs.indexOf(document.activeElement?.closest?.("tr"));
  trs[Math.max(0, Math.min(trs.length - 1, here + by))]?.focus();
}

const focused = () => rows.get(document.activeElement?.closest?.("tr")?.dataset.id);

function toggle() {
  const row = focused();
  if (!row || !mayEdit()) return false;
  pick(row.id, !chosen.has(row.id), false);
  return undefined;
}

function enter() {
  const row = document.activeElement?.matches?.("tbody tr") && focused();
  if (!row) return false;
  location.assign(projectUrl(`/experiments/${encodeURIComponent(row.id)}`));
  return undefined;
}

function archive() {
  const picked = chosen.size ? all().filter((row) => chosen.has(row.id)) : [focused()].filter(Boolean);
  if (picked.length && mayEdit()) change(picked, () => ({ archived: true }), "archived", put);
}

function listen() {
  on(document, "click", "[data-status]", (_, button) => show({ status: button.dataset.status }));
  on(document, "click", "[data-tag]", (_, { dataset }) => show({ tags: view.tags.includes(dataset.tag) ? view.tags.filter((tag) => tag !== dataset.tag) : [...view.tags, dataset.tag] }));
  on(host, "click", ".choose", (event, box) => pick(box.closest("tr").dataset.id, box.checked, event.shiftKey));
  on(host, "change", "#choose-all", (_, box) => { for (const row of shown(all(), view)) if (box.checked) chosen.add(row.id); else chosen.delete(row.id); draw(); });
  on(host, "click", ".more", (_, button) => {
    const row = rows.get(button.closest("tr").dataset.id);
    openMenu(button, [{ text: "Edit…", run: () => edit(row, put) }, ...actions([row])]);
  });
  $("#search").value = view.q;
  $("#search").addEventListener("input", (event) => show({ q: event.target.value }));
  $("#sort").value = view.sort;
  $("#sort").addEventListener("change", (event) => show({ sort: event.target.value }));
  $("#new-experiment")?.addEventListener("click", () => create(page.data.projects));
}

function keys() {
  bindKeys("experiments", { "/": () => $("#search").focus(), j: () => move(1), k: () => move(-1), Enter: enter });
  if (mayEdit()) bindKeys("experiments", { x: toggle, a: archive, c: () => { create(page.data.projects); } });
}

/** Counts move while runs run; a new experiment joins the list. */
async function look() {
  const before = edits;
  const { experiments, indexing } = await get("/experiments", { deleted: true, partial: true });
  await released();
  if (edits !== before) return true; // this may be how it was before them
  following(indexing);
  const news = experiments.filter((row) => JSON.stringify(facts(row, row)) !== JSON.stringify(facts(rows.get(row.id), row)));
  for (const row of news) rows.set(row.id, { starts: [], best: null, ...rows.get(row.id), ...row });
  isStale ||= news.length > 0;
  if (isStale && !document.querySelector(".menu, dialog[open]")) draw(true);
  return news.length > 0;
}

/** What a new drawing would show; of what runs, the last activity is always now. */
const facts = (row, like) => row && Object.keys(like).filter((name) => name !== "last_activity" || !like.running).map((name) => row[name]);

/** While the server indexes: what it has by now, with when the runs began and their best value. */
async function following(indexing) {
  if (!indexing) return;
  const { follow, pageData } = await import("../core/indexing.js");
  follow(indexing, async () => {
    const told = await pageData();
    await released();
    for (const row of told.experiments) rows.set(row.id, row);
    draw(true);
  });
}

listen();
keys();
draw();
following(page.data.indexing);
poll(look, { seconds: 5, most: 30 });
