/** The runs of a workspace: an eye and a colour for each, a search, and how many are drawn. */

import { openColors } from "../compare/run_palette.js";
import { clear, el, icon } from "../core/dom.js";
import { projectUrl } from "../core/page.js";
import { MOST_DRAWN } from "./choices.js";

const PARTS = ["q", "runs", "group", "columns", "colors"];
const LISTED = 100; // rows before one asks for more

export function rail(view, host) {
  let most = LISTED;
  const count = el("span", { class: "muted small", role: "status" });
  const list = el("ul", { class: "rail-runs" });
  const more = el("button", { type: "button", class: "link", onclick: () => { most += LISTED; draw(); } });
  const field = search(view, () => { most = LISTED; });
  const folded = el("button", { type: "button", class: "button rail-fold", "aria-expanded": "false", onclick: () => fold(host, folded) }, "Runs");
  clear(host).append(el("header", { class: "rail-head" }, el("h2", {}, "Runs"), count, folded), el("div", { class: "rail-body" }, field, choices(view), list, more));
  const draw = () => {
    const places = view.listed;
    const shown = inOrder(view, places).slice(0, most);
    const { activeElement } = document;
    const focused = activeElement?.closest?.("[data-run]")?.dataset.run;
    const act = activeElement?.dataset?.act ?? "eye";
    const colors = view.colors;
    clear(list).append(...shown.map((at) => row(view, at, colors)));
    if (focused) list.querySelector(`[data-run="${CSS.escape(focused)}"] [data-act="${act}"]`)?.focus();
    count.textContent = `${view.drawn.length} of ${view.total.toLocaleString("en")} drawn`;
    more.hidden = places.length <= most;
    more.textContent = `Show ${Math.min(LISTED, places.length - most)} more`;
    host.dataset.state = places.length ? "ready" : "empty";
    host.dataset.drawn = String(view.drawn.length);
    if (!places.length) list.append(el("li", { class: "muted rail-none" }, "No run matches."));
  };
  view.on(PARTS, draw);
  view.onLift((id) => { for (const item of list.children) item.classList.toggle("is-lifted", item.dataset.run === id); });
  draw();
}

/** Drawn runs first, each part in the order of the answer. */
function inOrder(view, places) {
  const drawn = new Set(view.drawn);
  const isDrawn = (at) => drawn.has(view.compared.ids[at]);
  return [...places.filter(isDrawn), ...places.filter((at) => !isDrawn(at))];
}

function fold(host, button) {
  const isOpen = host.classList.toggle("is-open");
  button.setAttribute("aria-expanded", String(isOpen));
}

function search(view, typed) {
  const field = el("input", { type: "search", class: "rail-search", placeholder: "Search runs", "aria-label": "Search runs by name, status or user", value: view.state.q });
  field.addEventListener("input", () => { typed(); view.change({ q: field.value }); });
  return field;
}

function choices(view) {
  const button = (text, title, run) => el("button", { type: "button", class: "link", title, onclick: run }, text);
  return el("div", { class: "rail-choices" },
    button("Draw listed", `Draw the runs listed below, ${MOST_DRAWN} at most`, () => view.draw(view.listed)),
    button("None", "Draw no run", () => view.change({ runs: [] })),
    button("Newest 10", "Draw the ten newest runs", () => view.change({ runs: null })));
}

function row(view, at, colors) {
  const id = view.compared.ids[at];
  const name = view.runs.name[at];
  const style = colors.get(id);
  const status = view.runs.status[at];
  const item = el("li", { dataset: { run: id }, class: style ? "is-drawn" : "" }, eye(view, id, name, style), color(view, id, name, style),
    el("a", { class: "cut", href: projectUrl(`/runs/${encodeURIComponent(id)}`), title: name }, name),
    el("span", { class: `status status-${status}`, title: status }, el("span", { class: "status-mark", "aria-hidden": "true" }), el("span", { class: "visually-hidden" }, status)));
  item.addEventListener("pointerenter", () => view.lift(style ? id : null));
  item.addEventListener("pointerleave", () => view.lift(null));
  item.addEventListener("focusin", () => view.lift(style ? id : null));
  item.addEventListener("focusout", () => view.lift(null));
  return item;
}

const eye = (view, id, name, style) => el("button", {
  type: "button", class: "rail-eye", dataset: { act: "eye" }, "aria-pressed": String(Boolean(style)), "aria-label": `Draw ${name}`,
  title: style ? "Hide" : "Draw", onclick: () => view.toggle(id),
}, icon("eye"));

/** The colour of a drawn run, to be chosen; groups have colours of their own. */
function color(view, id, name, style) {
  if (!style || view.isGrouped) return el("span", {});
  const dot = el("span", { class: `rail-dot swatch-${style.dash[0] === 5 ? 1 : style.dash.length ? 2 : 0}`, "aria-hidden": "true", style: { "--run": style.color } });
  return el("button", {
    type: "button", class: "rail-eye", dataset: { act: "color" }, "aria-haspopup": "true", "aria-label": `Colour of ${name}`,
    title: "Choose its colour", onclick: ({ currentTarget }) => openColors(currentTarget, view, id, name),
  }, dot);
}
