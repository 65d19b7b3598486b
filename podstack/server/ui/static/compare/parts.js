/** Small pieces that several panels of the Compare page are made of. */

import { refreshTable } from "../charts/card_button.js";
import { clear, el } from "../core/dom.js";
import { number } from "../core/format.js";
import { projectUrl } from "../core/page.js";
import { textOf } from "./data.js";

/** Where a run's own page is. */
export const runUrl = (view, run, tab = "") =>
  projectUrl(`/runs/${encodeURIComponent(view.idOf(run))}${tab}`);

/** The colour of a run; a ring where too many are shown for each to have one. */
export function dot(view, run) {
  const mark = el("span", { class: "dot", "aria-hidden": "true" });
  if (!view.isColored) mark.classList.add("plain");
  else {
    const { color, dash } = view.styleOf(run);
    mark.classList.add(`swatch-${dash[0] === 5 ? 1 : dash.length ? 2 : 0}`);
    mark.style.setProperty("--run", color);
  }
  return mark;
}

/** The selected runs by their colours, where runs have colours of their own: for a picture. */
export const legendOf = (view) => (view.isColored
  ? view.selected.map((run) => ({ label: view.nameOf(run), ...view.styleOf(run) })) : []);

/** What a panel says where it has nothing to draw. */
export function emptyBox(body, title, text) {
  clear(body).append(el("div", { class: "empty" }, el("p", { class: "empty-title" }, title),
    text ? el("p", { class: "muted" }, text) : ""));
  body.dataset.state = "empty";
}

/** A select with its label. @param options [value, text][] */
export function select(label, options, value, onChange) {
  const field = el("select", {}, ...options.map(([key, text]) => el("option", { value: key }, text)));
  field.value = value;
  field.addEventListener("change", () => onChange(field.value));
  return el("label", { class: "field" }, el("span", {}, label), field);
}

/** A check box with its label. */
export function toggle(label, checked, onChange) {
  const box = el("input", { type: "checkbox" });
  box.checked = checked;
  box.addEventListener("change", () => onChange(box.checked));
  return el("label", { class: "toggle" }, box, el("span", {}, label));
}

/** One of a few words, as radio buttons that look like one bar. @param options [value, text][] */
export function segmented(label, options, value, onChange) {
  const bar = el("div", { class: "segmented", role: "group", "aria-label": label });
  for (const [key, text] of options) {
    const button = el("button", { type: "button", "aria-pressed": String(key === value) }, text);
    button.addEventListener("click", () => onChange(key));
    bar.append(button);
  }
  return bar;
}

/**
 * Put tools in place without taking the focus from the one that was used. Those that look the same
 * as before stay, so that what somebody has just opened stays open while runs are written.
 */
export function setTools(host, ...tools) {
  const wanted = tools.filter(Boolean);
  if (areSame([...host.children], wanted)) return;
  const order = focusable(host);
  const at = order.indexOf(document.activeElement);
  clear(host).append(...wanted);
  if (at >= 0) focusable(host)[Math.min(at, focusable(host).length - 1)]?.focus();
}

function areSame(before, after) {
  const values = (tool) => [...tool.querySelectorAll("select, input")].map(({ value, checked }) => `${value} ${checked}`).join("\n");
  return before.length === after.length && before.every((tool, at) => tool.isEqualNode(after[at]) && values(tool) === values(after[at]));
}

const focusable = (host) => [...host.querySelectorAll("button, select, input, a[href]")];

/** `3 parameters`, `1 parameter`. */
export const counted = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;

/** A name of a column for people: parameters as they are, metrics too. */
export const labelOf = (key) => key.slice(key.indexOf(".") + 1);

/** The columns as options of a select, in groups. @param none the text of no choice at all */
export function columnSelect(view, label, value, onChange, none = null) {
  const field = el("select", {});
  if (none !== null) field.append(el("option", { value: "" }, none));
  for (const [kind, words] of [["params", "Parameters"], ["metrics", "Metrics"]]) {
    const keys = view.columns.filter((key) => key.startsWith(`${kind}.`));
    if (keys.length) field.append(el("optgroup", { label: words }, ...keys.map((key) => el("option", { value: key }, labelOf(key)))));
  }
  field.value = value;
  field.addEventListener("change", () => onChange(field.value));
  return el("label", { class: "field" }, el("span", {}, label), field);
}

/** What a tooltip says of a run: its name, and its value in each of some columns. */
export function tipOf(view, run, keys) {
  const shown = (value) => (typeof value === "number" ? number(value) : textOf(value).slice(0, 60));
  return [view.nameOf(run), ...keys.map((key) => `${labelOf(key)}: ${shown(view.compared.value(key, run))}`)];
}

/** What the panels of one chart share: it is drawn anew when a part of the view changes. */
export class ChartPanel {
  /** @param {string[]} parts of the view that `draw()` shows */
  constructor(view, body, tools, parts) {
    Object.assign(this, { view, body, tools, chart: null, table: null });
    view.onLift((run) => this.chart?.lift(run));
    view.on(parts, () => this.draw(), body);
  }

  /** What every chart of runs tells: the run under the pointer, and the one to open. */
  calls() {
    const { view } = this;
    return { onLift: (run) => view.lift(run), onOpen: (run) => location.assign(runUrl(view, run)) };
  }

  empty(title, text) {
    this.chart?.destroy();
    this.chart = this.table = null;
    emptyBox(this.body, title, text);
  }

  /** The chart shows so many of what `name` says. */
  ready(name, count) {
    refreshTable(this);
    this.body.dataset.state = "ready";
    this.body.dataset[name] = String(count);
  }
}
