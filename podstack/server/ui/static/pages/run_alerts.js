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

function tell(text, isProblem = false) {
  const line = $("#alert-tried");
  line.textContent = text;
  line.classList.toggle("problem", isProblem);
}

async function tried(condition) {
  const isCurrent = () => condition === form.condition.value.trim();
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
  const { series } = await get("/series", { runs: [page.data.run.id], names: [name], buckets: BUCKETS });
  const one = series[page.data.run.id]?.[name];
  if (!isCurrent() || !one?.x.length) return;
  const { LineChart } = await import("../charts/line.js");
  figure.hidden = false;
  chart ??= new LineChart($("#alert-chart-host"), { title: name, height: 160 });
  chart.title = name;
  $("#alert-chart-name").textContent = name;
  chart.setData([{ id: page.data.run.id, label: page.data.run.name, ...runColors([page.data.run.id]).get(page.data.run.id), ...one }]);
  chart.setView({ flags: firings.filter(({ metric }) => metric === name).map(({ step, time, value }) => ({ step, time, text: `would have fired at step ${integer(step)} (${number(value)})` })) });
}

/** The longest metric whose name stands in the condition. */
const named = (condition) => page.data.metrics.filter((name) => condition.includes(name)).sort((a, b) => b.length - a.length)[0];

form?.condition.addEventListener("input", () => {
  clearTimeout(asked);
  const condition = form.condition.value.trim();
  if (condition) asked = setTimeout(() => tried(condition), PAUSE);
});

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await send("POST", PATH, { condition: form.condition.value.trim(), message: form.message.value.trim() });
    location.reload();
  } catch (error) {
    tell(error.message, true);
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
