/** What every tab of a run can do: rename, tag, stop, delete, and a duration that goes on. */
import { send, get, ApiError } from "../core/api.js";
import { copy } from "../core/copy.js";
import { confirm, dialog } from "../core/dialog.js";
import { $, clear, el } from "../core/dom.js";
import { duration, number } from "../core/format.js";
import { openMenu } from "../core/menu.js";
import { page, projectUrl } from "../core/page.js";
import { poll, released } from "../core/poll.js";
import { toast } from "../core/toast.js";

const run = page.data.run;
const PATH = `/runs/${encodeURIComponent(run.id)}`;
const opened = Date.now();

const on = (id, act) => $(id)?.addEventListener("click", act);

function field(label, value, hint = "") {
  const input = el("input", { name: "value", value, autocomplete: "off" });
  return { input, row: el("label", { class: "run-field" }, label, input, hint ? el("span", { class: "muted small" }, hint) : null) };
}

on("#edit-name", () => {
  const { input, row } = field("Name", run.name);
  dialog({ title: "Rename this run", body: row, actions: [{ text: "Cancel", kind: "plain" }, { text: "Rename", run: () => rename(input.value) }] });
});

async function rename(name) {
  const told = await send("PATCH", PATH, { name });
  run.name = told.name;
  $("#run-name").textContent = told.name;
}

on("#edit-tags", () => {
  const { input, row } = field("Tags", run.tags.join(", "), "Between commas.");
  dialog({ title: "Tags", body: row, actions: [{ text: "Cancel", kind: "plain" }, { text: "Save", run: () => retag(input.value) }] });
});

async function retag(text) {
  const tags = text.split(",").map((one) => one.trim()).filter(Boolean);
  const told = await send("PATCH", PATH, { tags });
  run.tags = told.tags;
  const button = $("#edit-tags");
  clear($("#run-tags")).append(...told.tags.map((tag) => el("span", { class: "tag" }, tag)), button);
  button.textContent = told.tags.length ? "Edit tags" : "Add tags";
}

on("#run-stop", async () => {
  const text = "Its program hears of it within seconds and ends by itself, with everything saved. A program that does not ask should_stop goes on.";
  if (!(await confirm({ title: `Stop ${run.name}?`, text, action: "Stop the run" }))) return;
  try {
    await send("POST", `${PATH}/stop`);
    toast("Asked to stop. The status changes when the program has ended.");
  } catch (error) {
    toast(error.message);
  }
});

on("#run-delete", () => hide(true));
on("#run-restore", () => hide(false));

async function hide(deleted) {
  try {
    await send("PATCH", PATH, { deleted });
  } catch (error) {
    toast(error.message);
    return;
  }
  $("#run-deleted").hidden = !deleted;
  if (deleted) toast(`${run.name} is deleted.`, { action: "Undo", onAction: () => hide(false), seconds: 10 });
}

on("#run-clone", async () => {
  try {
    copy(await codeOf(), "Copied: a script with these parameters");
  } catch (error) {
    toast(error.message);
  }
});

/** A script that begins a run with the same parameters, in Python. */
async function codeOf() {
  const [{ params, experiment }, { python }] = await Promise.all([get(PATH), import("../sweeps/snippets.js")]);
  const where = experiment ? `experiment=${python(experiment)}, ` : "";
  return `from podstack import MLOpsClient\n\nparams = ${python(params)}\nwith MLOpsClient().start_run(${where}params=params) as run:\n    ...\n`;
}

on("#run-compare", async (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a tab of its own, with this run alone
  event.preventDefault();
  const button = event.currentTarget;
  if (button.ariaBusy) return; // pressed twice
  button.ariaBusy = "true";
  const others = await beside().catch(() => []);
  button.ariaBusy = null;
  openMenu(button, [...others, ...(others.length ? [null] : []), { text: "Choose others …", href: button.href }]);
});

/** The runs that one likely compares with: the best, the parent, the latest ones. */
async function beside() {
  const { experiment, id, parent } = run;
  const [best, latest, above] = await Promise.all([
    page.data.best_order ? get("/runs", { experiment, order_by: page.data.best_order, limit: 1 }) : { runs: [] },
    get("/runs", { experiment, order_by: "-created", limit: 6 }),
    parent ? get(`/runs/${encodeURIComponent(parent)}`).then((told) => ({ runs: [told] }), () => ({ runs: [] })) : { runs: [] },
  ]);
  const seen = new Set([id]);
  const item = (word) => (one) => ({ text: `${word}${one.name}`, href: projectUrl(`/compare?runs=${encodeURIComponent(JSON.stringify([id, one.id]))}`) });
  const fresh = ({ runs }) => runs.filter((one) => !seen.has(one.id) && seen.add(one.id));
  return [...fresh(best).map(item("Best run: ")), ...fresh(above).map(item("Parent: ")), ...fresh(latest).slice(0, 5).map(item(""))];
}

/** The overview is drawn anew; on other tabs somebody may be writing, so only the header changes. Throws where that fails. */
async function ended() {
  if (page.data.tab === "overview") return location.reload();
  const answer = await fetch(location.href, { credentials: "same-origin" });
  if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
  const told = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of ["run-status", "run-place", "run-duration-label", "run-duration"]) {
    $(`#${id}`).replaceWith(document.importNode(told.getElementById(id), true));
  }
  $("#run-stop")?.setAttribute("hidden", "");
  run.status = JSON.parse(told.getElementById("page").textContent).data.run.status;
  return undefined;
}

function tick() {
  if (run.status !== "running") return;
  $("#run-duration").textContent = duration(run.duration + (Date.now() - opened) / 1000);
}

/** Where it stands among the runs of its experiment by now. */
function standing(told) {
  if (!told) return;
  const link = $("#run-place");
  const parts = { value: number(told.value), place: told.words, metric: told.metric };
  for (const [part, text] of Object.entries(parts)) $(`[data-part="${part}"]`, link).textContent = text;
  link.hidden = !told.words;
  page.data.best_order = told.order;
}

const PAUSE = 4; // seconds between two questions
let heard = 0; // when the page was last told how the run is

/** Only while it runs: the status, and a page that is told to draw anew. */
function follow() {
  setInterval(tick, 1000);
  const asking = poll(async () => {
    if (Date.now() - heard < PAUSE * 1000) return true; // another question of the page tells it
    const told = await get(`${PATH}/changes`, { names: "[]", standing: true }).catch((error) => {
      if (error instanceof ApiError && error.status === 404) return { status: run.status };
      throw error;
    });
    standing(told.standing);
    document.dispatchEvent(new CustomEvent("run:tick", { detail: told }));
    return goesOn(told.status);
  }, { seconds: PAUSE });
  document.addEventListener("run:standing", ({ detail }) => standing(detail));
  document.addEventListener("run:status", async ({ detail }) => {
    heard = Date.now();
    if (detail && !(await goesOn(detail).catch(() => true))) asking.stop(); // it is told again
  });
}

/** Whether it is what it was; where not, the page shows what it is now, once no dialog is open. */
async function goesOn(status) {
  if (status === run.status) return true;
  await released(); // which may open one
  if ($("dialog[open]")) return true;
  await ended();
  return false;
}

if (run.status === "running") follow();
