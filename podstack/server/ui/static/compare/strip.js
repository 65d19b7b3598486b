/**
 * The runs on top of the page: colour, name, eye, order, baseline, and a way out and in. It is the
 * legend of every chart below: a run that the pointer is on is lifted in all of them.
 */

import { carries } from "../core/carry.js";
import { clear, el, icon } from "../core/dom.js";
import { counted, dot, runUrl } from "./parts.js";
import { openColors } from "./run_palette.js";
import { MANY } from "./view.js";

const PARTS = ["runs", "order", "hide", "base", "brush", "obj", "use", "colors", "columns"];

export function strip(view, host) {
  let isOpen = false;
  let drawn = "";
  const add = adder(view); // it stays, with what somebody types there
  const draw = () => {
    const wanted = factsOf(view, isOpen);
    if (wanted === drawn && host.querySelector(".strip-foot")) return;
    drawn = wanted;
    const focused = focusOf(host);
    clear(host).append(listOf(view, isOpen), footOf(view, isOpen, add, () => {
      isOpen = !isOpen;
      draw();
    }));
    host.dataset.state = "ready";
    host.dataset.runs = String(view.visible.length);
    restore(host, focused);
  };
  view.on(PARTS, draw);
  view.onLift((run) => lift(host, view, run));
}

/** All that it shows: while that is the same, what somebody holds or is about to press stays. */
function factsOf(view, isOpen) {
  const { compared: { runs, ids }, state: { hide }, missing, baseline, isColored, styles, ordered } = view;
  return JSON.stringify([isOpen, ids, runs.name, runs.status, hide, missing, baseline, isColored, [...styles], ordered, view.state.runs]);
}

/** Whatever had the focus, by what it was for, since drawing makes new elements. */
function focusOf(host) {
  const active = document.activeElement;
  if (!host.contains(active)) return null;
  return { run: active.closest("[data-run]")?.dataset.run, act: active.dataset.act };
}

function restore(host, focused) {
  if (!focused?.act) return;
  const same = [...host.querySelectorAll(`[data-act="${focused.act}"]`)];
  const own = same.find((one) => one.closest("[data-run]")?.dataset.run === focused.run);
  (own ?? same[0])?.focus();
}

function listOf(view, isOpen) {
  const shown = isOpen ? view.ordered : view.ordered.slice(0, MANY);
  const list = el("ol", { class: "strip-runs" }, ...shown.map((run) => chip(view, run)));
  dragging(view, list);
  return list;
}

function chip(view, run) {
  const id = view.idOf(run);
  const isHidden = view.hidden.has(id);
  const isBase = run === view.baseline;
  const kind = ["chip", isHidden && "is-hidden", isBase && "is-base"].filter(Boolean).join(" ");
  const item = el("li", { class: kind, "data-run": id },
    el("span", { class: "grip", "aria-hidden": "true" }), color(view, run), el("a", { class: "cut", href: runUrl(view, run), title: view.nameOf(run), "data-act": "open" }, view.nameOf(run)),
    status(view, run), button("eye", isHidden ? "Show" : "Hide", view, run, () => toggleEye(view, id), icon("eye")),
    button("base", isBase ? "Baseline is" : "Make the baseline", view, run, () => view.change({ base: id }), "Δ"));
  if (view.state.runs.length) {
    item.append(button("remove", "Remove", view, run, () => remove(view, id), "×"));
  }
  item.querySelector("[data-act=eye]").setAttribute("aria-pressed", String(!isHidden));
  item.querySelector("[data-act=base]").setAttribute("aria-pressed", String(isBase));
  item.addEventListener("pointerenter", () => view.lift(run));
  item.addEventListener("pointerleave", () => view.lift(null));
  item.addEventListener("focusin", () => view.lift(run));
  item.addEventListener("keydown", (event) => step(view, event, id));
  return item;
}

/** Its colour, to be chosen; many runs are coloured by their values. */
function color(view, run) {
  if (!view.isColored) return el("span", { class: "chip-color" }, dot(view, run));
  const made = button("color", "Colour", view, run, () => openColors(made, view, view.idOf(run), view.nameOf(run)), dot(view, run));
  made.setAttribute("aria-haspopup", "true");
  return made;
}

/** How a run ended, where it did not end well, or has not ended. */
function status(view, run) {
  const word = view.compared.runs.status[run];
  if (word === "completed") return null;
  return el("span", { class: `status status-${word}`, title: word }, el("span", { class: "status-mark", "aria-hidden": "true" }), el("span", { class: "visually-hidden" }, word));
}

function button(act, words, view, run, onClick, face) {
  const label = `${words}: ${view.nameOf(run)}`;
  return el("button", { type: "button", class: `chip-${act}`, "data-act": act, "aria-label": label, title: words, onclick: onClick }, face);
}

function toggleEye(view, id) {
  const { hide } = view.state;
  view.change({ hide: hide.includes(id) ? hide.filter((other) => other !== id) : [...hide, id] });
}

function remove(view, id) {
  const without = (ids) => ids.filter((other) => other !== id);
  const { runs, hide, base } = view.state;
  view.change({ runs: without(runs), hide: without(hide), base: base === id ? "" : base }, { reload: true });
}

/** The order of the strip goes where the link keeps it. */
function reorder(view, ids) {
  view.change(view.state.runs.length ? { runs: ids } : { order: ids });
}

function moveTo(view, id, target) {
  const ids = view.ordered.map((run) => view.idOf(run)).filter((other) => other !== id);
  ids.splice(Math.max(0, Math.min(ids.length, target)), 0, id);
  reorder(view, ids);
}

/** Alt with an arrow moves a run. */
function step(view, event, id) {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!by || !event.altKey) return;
  event.preventDefault();
  moveTo(view, id, view.ordered.map((run) => view.idOf(run)).indexOf(id) + by);
}

function dragging(view, list) {
  carries(list, {
    items: "[data-run]", grip: ".grip, .chip-color", // a browser gives a finger beside a button to the button
    onMove: ({ dataset: { run } }, gap) => {
      const from = view.ordered.findIndex((one) => view.idOf(one) === run);
      if (gap !== from && gap !== from + 1) moveTo(view, run, gap > from ? gap - 1 : gap);
    },
  });
}

function footOf(view, isOpen, add, toggle) {
  const foot = el("div", { class: "strip-foot" });
  const over = view.ordered.length - MANY;
  if (over > 0) {
    foot.append(el("button", { type: "button", class: "link", "data-act": "more", onclick: toggle },
      isOpen ? "Show fewer" : `Show ${counted(over, "more run")}`));
  }
  if (view.state.hide.length) foot.append(showAll(view));
  if (view.missing.length) foot.append(el("span", { class: "warning" }, `${counted(view.missing.length, "run")} of this link ${view.missing.length === 1 ? "is" : "are"} not there.`));
  if (view.state.runs.length) foot.append(add);
  return foot;
}

/** A field that adds a run; what searches for it comes with the first use. */
export function adder(view) {
  const field = el("input", {
    type: "search", class: "add-run", placeholder: "Add a run…", "aria-label": "Add a run by its name or id",
    role: "combobox", "aria-expanded": "false", "aria-controls": "add-run-choices", autocomplete: "off", "data-act": "add",
  });
  const box = el("div", { class: "adder" }, field);
  const attach = async () => (await import("./add_run.js")).attach(view, box, field);
  field.addEventListener("focus", attach, { once: true });
  return box;
}

function showAll(view) {
  return el("button", { type: "button", class: "link", "data-act": "show-all", onclick: () => view.change({ hide: [] }) }, `Show ${counted(view.state.hide.length, "hidden run")}`);
}

function lift(host, view, run) {
  const id = run === null ? null : view.idOf(run);
  for (const item of host.querySelectorAll("[data-run]")) item.classList.toggle("is-lifted", item.dataset.run === id);
}
