/** A search field that adds a run to the comparison: a combo box over the runs of the project. */

import { get } from "../core/api.js";
import { clear, el } from "../core/dom.js";
import { ago } from "../core/format.js";
import { literal } from "../table/tokens.js";

const PAUSE = 150; // milliseconds after a key
const MOST = 8;

/** Give a search field its list: called when it is first used. @param box what holds the field */
export function attach(view, box, field) {
  const list = el("ul", { class: "choices", role: "listbox", id: "add-run-choices", "aria-label": "Runs found" });
  list.hidden = true;
  box.append(list);
  const state = { at: 0, found: [], asked: null, answered: null, isChosen: false };
  const choose = ({ id }) => {
    state.isChosen = false;
    field.value = "";
    if (!view.state.runs.includes(id)) view.change({ runs: [...view.state.runs, id] }, { reload: true });
  };
  const ask = () => search(view, state, field, list, choose);
  field.addEventListener("input", () => wait(state, ask));
  field.addEventListener("focus", ask);
  field.addEventListener("blur", () => show(field, list, false));
  field.addEventListener("keydown", (event) => pressed(event, state, field, list, choose));
  ask();
}

function wait(state, then) {
  clearTimeout(state.timer);
  state.isChosen = false;
  state.timer = setTimeout(then, PAUSE);
}

async function search(view, state, field, list, choose) {
  state.asked?.abort();
  state.asked = new AbortController();
  const { signal } = state.asked;
  const text = field.value.trim();
  try {
    const { runs } = await get("/runs", asked(view, text), { signal });
    state.answered = text;
    const known = new Set(view.state.runs);
    state.found = runs.filter((run) => !known.has(run.id)).slice(0, MOST);
    state.at = 0;
    fill(state, field, list, choose);
    if (state.isChosen && state.found.length) choose(state.found[0]);
  } catch (error) {
    if (signal.aborted) return;
    clear(list).append(el("li", { class: "muted" }, error.message));
    show(field, list, true);
  }
}

/** Without a text, the latest of the experiment of the first run. */
function asked(view, text) {
  const many = { limit: MOST + view.state.runs.length, count: "false" };
  const words = literal(text);
  if (text) return { ...many, filter: `name contains ${words} or id contains ${words}` };
  const experiment = view.compared?.runs.experiment_id[0];
  return experiment ? { ...many, experiment } : many;
}

function fill(state, field, list, choose) {
  clear(list);
  if (!state.found.length) list.append(el("li", { class: "muted" }, "No other run found"));
  state.found.forEach((run, at) => {
    const item = el("li", { role: "option", id: `add-run-${at}`, "aria-selected": String(at === state.at) },
      el("span", { class: "cut" }, run.name), el("small", { class: "muted" }, `${run.experiment}, ${ago(run.created)}`));
    item.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      choose(run);
    });
    list.append(item);
  });
  show(field, list, document.activeElement === field);
  mark(state, field, list);
}

function show(field, list, isShown) {
  list.hidden = !isShown;
  field.setAttribute("aria-expanded", String(isShown));
}

function mark(state, field, list) {
  [...list.querySelectorAll("[role=option]")].forEach((item, at) => item.setAttribute("aria-selected", String(at === state.at)));
  if (state.found.length) field.setAttribute("aria-activedescendant", `add-run-${state.at}`);
}

function pressed(event, state, field, list, choose) {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (by && state.found.length) {
    event.preventDefault();
    state.at = (state.at + by + state.found.length) % state.found.length;
    mark(state, field, list);
  }
  if (event.key === "Enter") enter(state, field, choose);
  if (event.key === "Escape") show(field, list, false);
}

/** Choose the run that is marked; of a text whose answer is not there yet, the first one found. */
function enter(state, field, choose) {
  if (state.answered !== field.value.trim()) state.isChosen = true;
  else if (state.found[state.at]) choose(state.found[state.at]);
}
