/** The form that makes a sweep: it is checked by the server while one types. */

import { send } from "../core/api.js";
import { $, $$, el } from "../core/dom.js";
import { projectUrl } from "../core/page.js";
import { toast } from "../core/toast.js";
import { gridSize, sweepOf } from "../sweeps/form.js";
import { asPython, asYaml } from "../sweeps/snippets.js";

const KINDS = ["uniform", "log_uniform", "int", "int_log_uniform", "categorical", "constant"];
const FIELDS = ["strategy", "experiment", "objective_metric", "direction", "max_trials", "target", "patience", "max_time"];
const PAUSE = 250; // milliseconds after the last key
let asked = 0;

function addRow() {
  const field = (name, label) => el("label", { "data-field": name }, `${label} `, el("input", { name: `p-${name}` }));
  const kind = el("select", { name: "p-kind" }, ...KINDS.map((text) => el("option", {}, text)));
  const remove = el("button", { type: "button", class: "button", "aria-label": "Remove this parameter" }, "Remove");
  const row = el("div", { class: "sweep-row", "data-kind": KINDS[0] }, field("name", "Name"), el("label", {}, "Distribution ", kind),
    field("min", "Min"), field("max", "Max"), field("count", "Grid points"), field("values", "Values"), remove, el("p", { class: "sweep-error", role: "alert" }));
  kind.addEventListener("change", () => { row.dataset.kind = kind.value; });
  remove.addEventListener("click", () => { row.remove(); changed(); });
  $("#sweep-rows").append(row);
}

const textOf = (row, name) => row.querySelector(`[name="p-${name}"]`).value;
const rowOf = (row) => Object.fromEntries(["name", "kind", "min", "max", "count", "values"].map((name) => [name, textOf(row, name)]));

function sweep() {
  const given = new FormData($("#sweep-form"));
  return sweepOf(Object.fromEntries(FIELDS.map((name) => [name, given.get(name) ?? ""])), $$(".sweep-row").map(rowOf));
}

function changed() {
  const made = sweep();
  $("#sweep-python").textContent = asPython(made);
  $("#sweep-yaml").textContent = asYaml(made);
  count(made, gridSize(made.parameters));
  clearTimeout(asked);
  asked = setTimeout(() => check(made), PAUSE);
}

function count(made, trials) {
  if (made.strategy !== "grid") $("#sweep-count").textContent = made.max_trials ? `${made.max_trials} trials at most` : "";
  else $("#sweep-count").textContent = trials === null ? "A range needs a number of grid points." : `${trials.toLocaleString("en")} combinations`;
}

async function check(made) {
  try {
    const found = await send("POST", "/sweeps/check", made);
    if (found.trials !== null && made.strategy === "grid") count(made, Number(found.trials));
    errors(found.errors);
  } catch (error) {
    errors({ "": error.message });
  }
}

function errors(found) {
  for (const row of $$(".sweep-row")) {
    const name = textOf(row, "name").trim();
    row.querySelector(".sweep-error").textContent = name && Object.hasOwn(found, name) ? found[name] : "";
  }
  const names = $$(".sweep-row").map((row) => textOf(row, "name").trim()).filter(Boolean);
  const others = Object.entries(found).filter(([name]) => !names.includes(name)).map(([, text]) => text);
  $("#sweep-error").textContent = others.join(" ");
  $("#sweep-error").hidden = !others.length;
}

async function create(event) {
  event.preventDefault();
  try {
    const { id } = await send("POST", "/sweeps", sweep());
    location.href = projectUrl(`/sweeps/${encodeURIComponent(id)}`);
  } catch (error) {
    errors({ "": error.message });
  }
}

async function copy({ target }) {
  const id = target.dataset?.copy;
  if (!id) return;
  await navigator.clipboard.writeText($(`#${id}`).textContent);
  toast("Copied");
}

addRow();
$("#sweep-add").addEventListener("click", addRow);
$("#sweep-form").addEventListener("input", changed);
$("#sweep-form").addEventListener("submit", create);
document.addEventListener("click", copy);
changed();
