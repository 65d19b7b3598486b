/** Alerts: tried on what was logged while one types, made, and removed. */
import { send } from "../core/api.js";
import { confirm } from "../core/dialog.js";
import { $, on } from "../core/dom.js";
import { integer } from "../core/format.js";
import { page } from "../core/page.js";
import { toast } from "../core/toast.js";

const PATH = `/runs/${encodeURIComponent(page.data.run.id)}/alerts`;
const PAUSE = 350;
const form = $("#alert-form");
let asked = 0;

function tell(text, isProblem = false) {
  const line = $("#alert-tried");
  line.textContent = text;
  line.classList.toggle("problem", isProblem);
}

async function tried(condition) {
  try {
    const { firings } = await send("POST", `${PATH}/test`, { condition });
    if (condition === form.condition.value.trim()) tell(worded(firings));
  } catch (error) {
    if (condition === form.condition.value.trim()) tell(error.message, true);
  }
}

function worded(firings) {
  if (!firings.length) return "It would not have fired so far.";
  const steps = firings.slice(0, 5).map((firing) => integer(firing.step)).join(", ");
  return `It would have fired ${firings.length === 1 ? "once" : `${integer(firings.length)} times`}: at step ${steps}${firings.length > 5 ? " …" : ""}.`;
}

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
