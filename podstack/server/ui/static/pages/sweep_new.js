/** The form that makes a sweep: the server checks it while one types. */

import { get, send } from "../core/api.js";
import { copy } from "../core/copy.js";
import { $, $$, el, on } from "../core/dom.js";
import { page, projectUrl } from "../core/page.js";
import { toast } from "../core/toast.js";
import { gridSize, oddNumbers, rowOf, sweepOf, twins } from "../sweeps/form.js";
import { likeOf } from "../sweeps/like.js";
import { chooseRanges } from "../sweeps/ranges_dialog.js";
import { ParameterRow } from "../sweeps/rows.js";
import { asCommands, asPython, asYaml } from "../sweeps/snippets.js";

const FIELDS = ["name", "strategy", "objective_metric", "direction", "max_trials", "target", "patience", "max_time", "pruner", "seed"];
const PAUSE = 150; // milliseconds after the last key
const NEW = "+"; // no experiment's id
const NOTHING = { runs: 0, parameters: [], metrics: [] };
const AT = { address: page.data.address, project: page.project };

const rows = [];
const touched = new Set(); // fields and rows whose errors are shown
let learning; // a promise of what the runs of the experiment had; null where it cannot be told
let asked = 0;
let last = 0;

const form = $("#sweep-form");
const experiments = form.elements.experiment;

function experiment() {
  if (experiments.value === NEW) return form.elements.new_experiment.value.trim();
  const { name } = page.data.experiments.find(({ id }) => id === experiments.value) ?? page.data.experiment;
  return page.data.experiments.filter((one) => one.name === name).length > 1 ? experiments.value : name;
}

const fields = () => Object.fromEntries(FIELDS.map((name) => [name, form.elements[name].value]));
const sweep = () => sweepOf({ experiment: experiment(), ...fields() }, rows.map(({ texts }) => texts));

// What is shown while one types ------------------------------------------------------------------

function changed() {
  const made = sweep();
  $("#sweep-python").textContent = asPython(made, AT);
  $("#sweep-yaml").textContent = asYaml(made);
  $("#sweep-command").textContent = asCommands(made, AT);
  form.dataset.strategy = made.strategy;
  if (made.strategy === "grid") count(made, gridSize(rows.map(({ texts }) => texts)));
  clearTimeout(asked);
  asked = setTimeout(check, PAUSE);
}

const trials = (total) => `${BigInt(total).toLocaleString("en")} ${BigInt(total) === 1n ? "trial" : "trials"}`;

function count(made, points) {
  const most = Number.isSafeInteger(made.max_trials) ? BigInt(made.max_trials) : null;
  if (made.strategy !== "grid") $("#sweep-count").textContent = most ? trials(most) : "Until it is stopped";
  else if (points === null) $("#sweep-count").textContent = "Counting the grid …";
  else $("#sweep-count").textContent = most !== null && most < points ? `${trials(most)} of a grid of ${points.toLocaleString("en")}` : trials(points);
}

/** @returns whether nothing is wrong, as far as the latest question goes */
async function check() {
  const mine = (last += 1);
  const made = sweep();
  const { experiment: _, ...rest } = made;
  try {
    const found = await send("POST", "/sweeps/check", rest);
    if (mine !== last) return false;
    counted(made, found);
    guess(found.direction);
    return told(found.errors, { ...found.fields, ...oddNumbers(fields()), ...homeless() });
  } catch (error) {
    if (mine === last) $("#sweep-failed").textContent = error.message;
    return false;
  }
}

function counted(made, { trials: total, errors }) {
  $("#sweep-failed").textContent = "";
  if (made.strategy !== "grid") return count(made, null);
  const points = gridSize(rows.map(({ texts }) => texts));
  if (Object.keys(errors).length || total === null) $("#sweep-count").textContent = "The grid cannot be counted yet";
  else if (points) count(made, points); // what an earlier answer said of it stands there, perhaps
  else $("#sweep-count").textContent = trials(total);
}

const homeless = () => (experiment() ? {} : { experiment: "Give the new experiment a name." });

function guess(direction) {
  form.elements.direction.options[0].textContent = direction ? `${direction}, by its name` : "by its name";
}

function told(errors, byField) {
  const odd = twins(rows.map(({ texts }) => texts));
  rows.forEach((row, at) => row.tell(touched.has(row) ? odd[at] ?? (row.name ? errors[row.name] : nameless(row)) ?? "" : ""));
  const names = rows.map(({ name }) => name);
  const others = Object.entries(errors).filter(([name]) => !name || !names.includes(name)).map(([, text]) => text);
  $("#sweep-error").textContent = touched.has("all") || rows.some((row) => row.name && touched.has(row)) ? others.join(" ") : "";
  for (const place of $$("[id^=e-]")) tellField(place, place.id.slice(2), byField);
  return !Object.keys(errors).length && !Object.keys(byField).length && !Object.keys(odd).length && !rows.some((row) => nameless(row));
}

const nameless = (row) => (row.name || row.isBlank ? "" : "Give the parameter a name.");

function tellField(place, name, byField) {
  const text = touched.has(name) || touched.has("all") ? byField[name] ?? "" : "";
  place.textContent = text;
  form.querySelector(`#f-${name}`)?.setAttribute("aria-invalid", String(Boolean(text)));
}

// Rows -------------------------------------------------------------------------------------------

function addRow(texts = { kind: "uniform" }, { focus = false } = {}) {
  const row = new ParameterRow(texts, { onChange: changed, onRemove: remove });
  rows.push(row);
  row.element.addEventListener("focusout", () => row.isBlank || touched.add(row));
  row.inputs.name.addEventListener("change", () => suggest(row));
  $("#sweep-rows").append(row.element);
  if (focus) row.inputs.name.focus();
  changed();
}

function remove(row) {
  rows.splice(rows.indexOf(row), 1);
  row.element.remove();
  $("#sweep-add").focus();
  changed();
}

/** A name that the runs know brings their range, where nothing else was said by then. */
async function suggest(row) {
  const found = (await learning)?.parameters.find(({ name }) => name === row.name);
  if (!found || !row.isBlank) return;
  row.fill(rowOf(found.name, found.spec));
  changed();
}

async function takeRanges() {
  const told = (await learning) ?? (await learn());
  if (!told || $("dialog[open]")) return; // it was pressed twice
  const chosen = await chooseRanges(told, new Set(rows.map(({ name }) => name)));
  for (const { name, spec } of chosen) {
    const blank = rows.find((row) => row.name === name) ?? rows.find((row) => !row.name && row.isBlank);
    if (!blank) addRow(rowOf(name, spec));
    else { blank.inputs.name.value = name; blank.fill(rowOf(name, spec)); }
  }
  if (chosen.length) changed();
}

// The experiment ---------------------------------------------------------------------------------

function listExperiments() {
  const all = [...page.data.experiments];
  const { experiment: chosen } = page.data;
  if (chosen && !all.some(({ id }) => id === chosen.id)) all.unshift(chosen);
  experiments.replaceChildren(...all.map(({ id, name }) => el("option", { value: id, selected: id === chosen?.id }, name)), el("option", { value: NEW }, "New experiment …"));
}

function experimentChosen() {
  const isNew = experiments.value === NEW;
  form.elements.new_experiment.hidden = !isNew;
  $("#sweep-ranges").disabled = isNew;
  learn();
}

const learn = () => (learning = toldBy(experiments.value));

async function toldBy(wanted) {
  offer(NOTHING);
  try {
    const told = wanted === NEW ? NOTHING : await get(`/experiments/${encodeURIComponent(wanted)}/ranges`);
    if (wanted !== experiments.value) return learning; // of the one that is chosen by now
    offer(told);
    return told;
  } catch (error) {
    if (wanted !== experiments.value) return learning;
    toast(`Ranges and metrics of its runs are not known: ${error.message}`, { action: "Ask again", onAction: learn });
    return null;
  }
}

function offer({ parameters, metrics }) {
  $("#sweep-params").replaceChildren(...parameters.map(({ name }) => el("option", { value: name })));
  $("#sweep-metrics").replaceChildren(...metrics.map(({ name, direction }) => el("option", { value: name }, direction ?? "")));
}

// Making it --------------------------------------------------------------------------------------

async function create(event) {
  event.preventDefault();
  clearTimeout(asked);
  touched.add("all");
  rows.forEach((row) => touched.add(row));
  if (!(await check())) return void $("[aria-invalid=true]")?.focus();
  const button = $("#sweep-create");
  button.disabled = true;
  try {
    const made = sweep();
    const home = experiments.value === NEW ? (await newExperiment(made.experiment)).id : experiments.value;
    const { id } = await send("POST", "/sweeps", { ...made, experiment: home });
    location.assign(projectUrl(`/sweeps/${encodeURIComponent(id)}`));
  } catch (error) {
    $("#sweep-failed").textContent = error.message;
    button.disabled = false;
  }
}

/** One of that name that is there already will do. */
async function newExperiment(name) {
  try {
    return await send("POST", "/experiments", { name, description: "", tags: [] });
  } catch (error) {
    if (error.status !== 409) throw error;
    return { id: name };
  }
}

/** The form says what another sweep is, as far as it can; the rest is told. */
function fillLike(sweep) {
  const { fields, rows: texts, lost } = likeOf(sweep);
  for (const [name, text] of Object.entries(fields)) {
    form.elements[name].value = text;
    if (form.elements[name].value !== text) lost.unshift(`The form knows no ${name} ${text}.`);
  }
  texts.forEach((row) => addRow(row));
  if (!page.data.experiment) lost.unshift("Its experiment is not there: choose another one.");
  $("#sweep-lost").replaceChildren(...lost.map((text) => el("li", {}, text)));
}

listExperiments();
if (page.data.like) fillLike(page.data.like);
else addRow();
form.addEventListener("input", changed);
form.addEventListener("change", (event) => { if (event.target.name && !event.target.name.startsWith("p-")) touched.add(event.target.name); changed(); });
form.addEventListener("submit", create);
experiments.addEventListener("change", experimentChosen);
$("#sweep-add").addEventListener("click", () => addRow(undefined, { focus: true }));
$("#sweep-ranges").addEventListener("click", takeRanges);
on(document, "click", "[data-copy]", (_, button) => copy($(`#${button.dataset.copy}`).textContent));
experimentChosen();
