/** The monitor of a sweep: a poll asks what is new of it, and only that comes and is drawn. */

import { get, send } from "../core/api.js";
import { onTheme } from "../core/colors.js";
import { dialog } from "../core/dialog.js";
import { $, el } from "../core/dom.js";
import { page } from "../core/page.js";
import { panel } from "../core/panel.js";
import { poll, released } from "../core/poll.js";
import { bestPanel } from "../sweeps/best_panel.js";
import { importancePanel } from "../sweeps/importance_panel.js";
import { renew, runUrl } from "../sweeps/parts.js";
import { compareBest, drawHead, workerDialog } from "../sweeps/progress.js";
import { timelinePanel } from "../sweeps/timeline_panel.js";
import { counts, merged, sorted } from "../sweeps/trials.js";
import { TrialsPanel } from "../sweeps/trials_panel.js";

const PATH = `/sweeps/${encodeURIComponent(page.data.sweep)}`;
const AHEAD = "300px"; // below the window where a chart is made before it is seen
const DEAR = 10_000; // milliseconds between two askings for what takes time to compute, while trials run

const seen = { sweep: null, outlook: null, at: 0, now: 0, order: [], chosen: null };
const charts = new Map(); // by name: those that are in sight, or were
const dear = { ended: -1, at: 0 };

// What the panels share --------------------------------------------------------------------------

function open(at) {
  const run = seen.sweep.trials.find((trial) => trial.number === at)?.run;
  if (run) location.assign(runUrl(run));
}

function lift(at) {
  for (const chart of charts.values()) chart.lift?.(at);
  trials.lifted(at);
}

function select(chosen) {
  seen.chosen = chosen;
  trials.update(seen);
}

const calls = { onLift: lift, onOpen: open, onSelect: select };
const trials = new TrialsPanel($("#trials"), { onLift: lift, onShowAll: () => charts.get("parallel")?.clearBrushes() });

/** Charts come with their scripts once they are near the window. */
const LATER = {
  history: () => import("../sweeps/history_panel.js").then(({ HistoryPanel }) => new HistoryPanel($("#history"), calls)),
  slices: () => import("../sweeps/slices_panel.js").then(({ SlicesPanel }) => new SlicesPanel($("#slices"), calls, $("#slices-tools"))),
  parallel: () => import("../sweeps/parallel_panel.js").then(({ ParallelPanel }) => new ParallelPanel($("#parallel"), calls)),
  space: () => import("../sweeps/space_panel.js").then(({ SpacePanel }) => new SpacePanel($("#space"))),
};

function watch(name, then) {
  const sight = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    sight.disconnect();
    then();
  }, { rootMargin: AHEAD });
  sight.observe($(`#${name}`));
}

async function bring(name) {
  try {
    charts.set(name, await LATER[name]());
    update(name);
  } catch (error) {
    failed(name, error);
  }
}

/** What one chart cannot draw costs that chart alone. */
function update(name) {
  try {
    charts.get(name)?.update(seen);
  } catch (error) {
    charts.delete(name);
    failed(name, error);
  }
}

function failed(name, error) {
  const host = $(`#${name}`);
  host.dataset.state = "error";
  host.replaceChildren(el("div", { class: "empty", role: "alert" }, el("p", { class: "empty-title" }, "This chart could not be drawn"), el("p", { class: "muted" }, `${error.message} Reload the page to try again.`)));
}

// What the server computes -----------------------------------------------------------------------

const dearPanels = {};
const judged = {};
judged.first = new Promise((resolve) => { judged.done = resolve; });

/** What it says orders the other panels too; the contour waits for its first answer, whatever that is. */
async function loadImportance(host, signal) {
  const found = await get(`${PATH}/importance`, {}, { signal }).finally(judged.done);
  const order = found.shares.filter(([, share]) => share > 0).map(([name]) => name);
  const isNew = JSON.stringify(order) !== JSON.stringify(seen.order);
  seen.order = order;
  if (isNew) ["slices", "parallel"].forEach(update);
  if (dearPanels.contour) dearPanels.contour.reload();
  return importancePanel(host, found);
}

async function bringContour() {
  const { ContourPanel } = await import("../sweeps/contour_panel.js");
  const contour = new ContourPanel($("#contour"), { ...calls, onChoose: () => dearPanels.contour.reload() }, $("#contour-tools"), PATH);
  dearPanels.contour = panel($("#contour"), (_, signal) => judged.first.then(() => contour.load(seen, signal)));
}

/** Anew for more ended trials, but not with each of them while they come fast. */
function askDear() {
  const ended = seen.sweep.trials.filter((trial) => trial.ended !== null).length;
  const isOver = seen.sweep.status !== "running";
  if (ended === dear.ended || (!isOver && Date.now() - dear.at < DEAR && dear.ended > 0)) return;
  Object.assign(dear, { ended, at: Date.now() });
  if (dearPanels.importance) dearPanels.importance.reload();
  else {
    dearPanels.importance = panel($("#importance"), loadImportance);
    watch("contour", () => bringContour().catch((error) => failed("contour", error)));
  }
}

// The poll ---------------------------------------------------------------------------------------

async function look() {
  const told = await get(PATH, { since: seen.sweep?.cursor });
  const sweep = merged(seen.sweep, told);
  if (told) Object.assign(seen, { sweep, outlook: await get(`${PATH}/outlook`, { brief: true }), at: performance.now() });
  await released();
  const since = (performance.now() - seen.at) / 1000; // while nothing is new, the server is not asked for the time
  seen.now = seen.outlook.now + since;
  drawHead({ ...seen, since }, stop);
  if (told) draw();
  askDear();
  return sweep.status === "running" || sweep.counts.running ? Boolean(told) || undefined : false;
}

function draw() {
  const { sweep } = seen;
  $(".sweep-grid").classList.toggle("is-new", !sweep.trials.length);
  bestPanel($("#best"), seen);
  timelinePanel($("#timeline"), { ...seen, open });
  trials.update(seen);
  [...charts.keys()].forEach(update);
  const ranked = sorted(sweep.trials.filter(counts), sweep.objective.direction === "maximize" ? "-value" : "value", seen.now);
  renew($("#trials-tools"), ...[compareBest(sweep, ranked)].filter(Boolean));
}

function stop() {
  const running = seen.sweep?.counts.running;
  const now = running === undefined ? "" : running ? `${running === 1 ? "One trial runs" : `${running} trials run`} now: ${running === 1 ? "it goes" : "they go"} on to the end, and still ${running === 1 ? "counts" : "count"}.` : "No trial runs now.";
  const text = `No more trials are given out, so workers end after the one they have. ${now} A stopped sweep does not go on.`;
  const body = el("p", {}, text);
  dialog({ title: "Stop this sweep?", body, actions: [{ text: "Go on" }, { text: "Stop", kind: "danger", run: stopped }] });
}

async function stopped() {
  await send("POST", `${PATH}/stop`, { reason: "stopped on the page" });
  asking?.soon();
}

let asking = null;

async function begin(host = $("#sweep-progress")) {
  try {
    const isOver = (await look()) === false;
    for (const name of Object.keys(LATER)) watch(name, () => bring(name));
    if (!isOver) asking = poll(look, { seconds: 2, most: 15 });
  } catch (error) {
    host.dataset.state = "error";
    host.replaceChildren(el("div", { role: "alert" }, el("p", {}, error.message), el("button", { type: "button", class: "button", onclick: () => begin() }, "Try again")));
    for (const part of document.querySelectorAll(".card-body[data-state=loading]")) part.dataset.state = "empty";
  }
}

$("#sweep-stop")?.addEventListener("click", stop);
$("#sweep-worker").addEventListener("click", () => workerDialog(page.data.sweep));
onTheme(() => seen.sweep && [...charts.keys()].forEach(update));
begin();
