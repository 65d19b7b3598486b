/** Alerts: tried on what was logged while one types, made, and removed. */
import { get, send } from "../core/api.js";
import { runColors } from "../core/colors.js";
import { confirm } from "../core/dialog.js";
import { $, on } from "../core/dom.js";
import { integer, number } from "../core/format.js";
import { page } from "../core/page.js";
import { toast } from "../core/toast.js";

const PATH = `/runs/${encodeURIComponent(page.data.run.id)}/alerts`;
const PAUSE = 350;
const FEW = 5; // steps that are named
const BUCKETS = 300;
const form = $("#alert-form");
let asked = 0;
let turn = 0; // of what is said of the words in the form

function tell(text, isProblem = false) {
  const line = $("#alert-tried");
  line.textContent = text;
  line.classList.toggle("problem", isProblem);
}

async function tried(condition) {
  const mine = turn;
  const isCurrent = () => mine === turn;
  try {
    const { firings } = await send("POST", `${PATH}/test`, { condition });
    if (!isCurrent()) return;
    tell(worded(firings));
    await draw(condition, firings, isCurrent);
  } catch (error) {
    if (!isCurrent()) return;
    tell(error.message, true);
    $("#alert-chart").hidden = true;
  }
}

/** `It would have fired at step 120 (2.41)`, or at several. */
function worded(firings) {
  if (!firings.length) return "It would not have fired so far.";
  const places = firings.slice(0, FEW).map(({ step, value }) => `${integer(step)} (${number(value)})`).join(", ");
  const often = firings.length === 1 ? "" : ` ${integer(firings.length)} times`;
  return `It would have fired${often} at step ${places}${firings.length > FEW ? " …" : ""}.`;
}

let chart = null;

/** The metric that the condition looks at, with a flag where it would have fired. */
async function draw(condition, firings, isCurrent) {
  const name = firings[0]?.metric ?? named(condition);
  const figure = $("#alert-chart");
  if (!name) { figure.hidden = true; return; }
  const [{ series }, { LineChart }, { Flags }] = await Promise.all([
    get("/series", { runs: [page.data.run.id], names: [name], buckets: BUCKETS }), import("../charts/line.js"), import("../charts/flags.js"),
  ]);
  const one = series[page.data.run.id]?.[name];
  if (!isCurrent()) return;
  figure.hidden = !one?.x.length;
  if (figure.hidden) return;
  chart ??= new LineChart($("#alert-chart-host"), { title: name, height: 160, Flags });
  chart.title = name;
  $("#alert-chart-name").textContent = name;
  chart.setData([{ id: page.data.run.id, label: page.data.run.name, ...runColors([page.data.run.id]).get(page.data.run.id), ...one }]);
  chart.setView({ flags: firings.filter(({ metric }) => metric === name).map(({ step, time, value }) => ({ step, time, text: `would have fired at step ${integer(step)} (${number(value)})` })) });
}

/** The longest metric whose name stands in the condition. */
const named = (condition) => page.data.metrics.filter((name) => condition.includes(name)).sort((a, b) => b.length - a.length)[0];

/** What is still to be said of the words is not: they are others by now, or are made an alert. */
function quiet() {
  clearTimeout(asked);
  turn += 1;
}

form?.condition.addEventListener("input", () => {
  quiet();
  const condition = form.condition.value.trim();
  tell(""); // what was said of another one
  if (condition) asked = setTimeout(() => tried(condition), PAUSE);
  else $("#alert-chart").hidden = true;
});

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = $("[type=submit]", form);
  button.disabled = true; // else it would be made twice
  quiet();
  try {
    await send("POST", PATH, { condition: form.condition.value.trim(), message: form.message.value.trim() });
    location.reload();
  } catch (error) {
    tell(error.message, true);
    button.disabled = false;
  }
});

on(document, "click", "[data-alert]", async (_, button) => {
  if (!(await confirm({ title: "Remove this alert?", text: "Its firings are kept, and no longer shown.", action: "Remove" }))) return;
  try {
    await send("DELETE", `${PATH}/${encodeURIComponent(button.dataset.alert)}`);
    location.reload();
  } catch (error) {
    toast(error.message);
  }
});
