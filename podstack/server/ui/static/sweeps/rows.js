/** The rows of the form: one parameter each, with its own words, preview and error. */

import { el } from "../core/dom.js";
import { KINDS, parameterOf } from "./form.js";
import { drawPreview, shapeOf } from "./preview.js";

const LABELS = {
  min: ["Min", "0.0001"], max: ["Max", "0.1"], count: ["Grid points", "all"], q: ["Step", "none"], mu: ["Mean", "0"], sigma: ["Deviation", "1"],
  values: ["Values", "adam, sgd"], probabilities: ["Probabilities", "equal"], value: ["Value", ""],
};
const TEXTS = ["name", ...Object.keys(LABELS), "when", "is"];
let made = 0;

export class ParameterRow {
  /** @param texts by field, as of `form.rowOf` @param {{onChange(), onRemove(row)}} calls */
  constructor(texts, calls) {
    this.id = `row-${(made += 1)}`;
    this.calls = calls;
    this.inputs = Object.fromEntries(TEXTS.map((name) => [name, el("input", { name: `p-${name}`, id: `${this.id}-${name}`, value: texts[name] ?? "" })]));
    this.kind = el("select", { name: "p-kind", id: `${this.id}-kind` }, ...Object.entries(KINDS).map(([kind, [word]]) => el("option", { value: kind, selected: kind === texts.kind }, word)));
    this.error = el("p", { class: "sweep-error", role: "alert", id: `${this.id}-error` });
    this.preview = el("div", { class: "sweep-preview" });
    this.element = this.build();
    this.show();
  }

  build() {
    this.inputs.name.setAttribute("list", "sweep-params");
    this.inputs.name.setAttribute("aria-describedby", this.error.id);
    const remove = el("button", { type: "button", class: "icon-button", title: "Remove this parameter", "aria-label": "Remove this parameter", onclick: () => this.calls.onRemove(this) }, "×");
    const more = el("button", { type: "button", class: "link", "aria-expanded": "false", onclick: () => this.condition(more) }, "Only if …");
    this.more = more;
    const row = el("div", { class: "sweep-row", role: "group", "aria-label": "Parameter" },
      this.field("name", "Name", "lr"), el("div", { class: "sweep-field" }, el("label", { for: this.kind.id }, "Distribution"), this.kind),
      ...Object.entries(LABELS).map(([name, [label, hint]]) => this.field(name, label, hint)), this.preview, el("div", { class: "row-end" }, more, remove),
      el("div", { class: "row-when", hidden: true }, this.field("when", "Only where", "optimizer"), this.field("is", "is one of", "sgd")), this.error);
    row.addEventListener("input", () => this.show());
    if (this.inputs.when.value) this.condition(more, row);
    return row;
  }

  field(name, label, hint) {
    this.inputs[name].placeholder = hint;
    return el("div", { class: "sweep-field", "data-field": name }, el("label", { for: this.inputs[name].id }, label), this.inputs[name]);
  }

  condition(button, row = this.element) {
    const part = row.querySelector(".row-when");
    part.hidden = !part.hidden;
    button.setAttribute("aria-expanded", String(!part.hidden));
    if (part.hidden) this.inputs.when.value = this.inputs.is.value = "";
    else if (row.isConnected) this.inputs.when.focus();
    if (row.isConnected) this.calls.onChange();
  }

  /** Only the fields of its kind are there; the strip is what they say. */
  show() {
    const shown = KINDS[this.kind.value];
    for (const part of this.element.querySelectorAll("[data-field]")) {
      part.hidden = part.dataset.field in LABELS && !shown.includes(part.dataset.field);
    }
    drawPreview(this.preview, shapeOf(parameterOf(this.texts)));
  }

  get texts() {
    const texts = Object.entries(this.inputs).map(([name, input]) => [name, input.value]);
    return { ...Object.fromEntries(texts), kind: this.kind.value };
  }

  get name() {
    return this.inputs.name.value.trim();
  }

  /** Nothing but a name, or not even that. */
  get isBlank() {
    return Object.entries(this.inputs).every(([name, input]) => name === "name" || !input.value.trim());
  }

  /** Take over other texts, but for the name. */
  fill(texts) {
    this.kind.value = texts.kind;
    for (const [name, input] of Object.entries(this.inputs)) if (name !== "name") input.value = texts[name] ?? "";
    this.show();
  }

  tell(text) {
    this.error.textContent = text;
    this.inputs.name.setAttribute("aria-invalid", String(Boolean(text)));
  }
}
