/** The monitor of a sweep: one poll asks for the trials and how it goes; what changed is drawn. */

import { get, send } from "../core/api.js";
import { confirm } from "../core/dialog.js";
import { $, el } from "../core/dom.js";
import { duration } from "../core/format.js";
import { page, projectUrl } from "../core/page.js";
import { poll } from "../core/poll.js";
import { toast } from "../core/toast.js";
import { bestPanel, emptyText, importancePanel, timelinePanel, trialsPanel } from "../sweeps/panels.js";
import { contourPanel, historyPanel, slicesPanel } from "../sweeps/chart_panels.js";

const PATH = `/sweeps/${encodeURIComponent(page.data.sweep)}`;
const openTrial = (sweep) => (at) => {
  const run = sweep.trials.find((trial) => trial.number === at)?.run;
  if (run) location.href = projectUrl(`/runs/${encodeURIComponent(run)}`);
};

const seen = { ended: -1, text: "" };

async function look() {
  const [sweep, outlook] = await Promise.all([get(PATH), get(`${PATH}/outlook`)]);
  const text = JSON.stringify([sweep.status, sweep.trials, outlook.plateau]);
  head(sweep, outlook);
  if (text !== seen.text) drawCheap(sweep, outlook);
  const isNew = text !== seen.text;
  seen.text = text;
  await drawDear(sweep);
  return sweep.status === "running" ? isNew || undefined : false;
}

function head(sweep, outlook) {
  const { counts } = sweep;
  const over = counts.completed + counts.failed + counts.killed;
  const left = outlook.seconds_left ? `, about ${duration(outlook.seconds_left)} left` : "";
  const facts = `${over} of ${counts.total ?? "any number of"} trials over, ${counts.running} running, `
    + `${counts.failed} failed, ${counts.pruned} pruned${left}`;
  const bar = counts.total ? el("progress", { max: String(counts.total), value: String(over), "aria-label": "Progress" }) : "";
  $("#sweep-progress").replaceChildren(bar, el("span", {}, facts), ...howToWork(sweep, over));
  $("#sweep-progress").dataset.state = "ready";
  const hint = $("#sweep-hint");
  hint.hidden = !outlook.plateau || sweep.status !== "running";
  hint.textContent = outlook.plateau?.text ?? "";
  const stop = $("#sweep-stop");
  if (stop) stop.hidden = sweep.status !== "running";
}

function howToWork(sweep, over) {
  if (over || sweep.counts.running) return [];
  return [el("p", {}, "No trial has begun. Start a worker: "), el("pre", {}, `podstack sweep agent ${sweep.id} -- python train.py`)];
}

function drawCheap(sweep, outlook) {
  const open = openTrial(sweep);
  bestPanel($("#best"), sweep, outlook.best);
  historyPanel($("#history"), sweep, outlook.history, open);
  slicesPanel($("#slices"), sweep, open);
  timelinePanel($("#timeline"), sweep);
  trialsPanel($("#trials"), sweep);
}

async function drawDear(sweep) {
  const ended = sweep.trials.filter((trial) => trial.ended !== null).length;
  if (ended === seen.ended) return;
  seen.ended = ended;
  const found = await get(`${PATH}/importance`);
  importancePanel($("#importance"), found);
  const known = Object.keys(sweep.trials[0]?.params ?? {});
  const [x, y] = found.shares.length > 1 ? found.shares.map(([name]) => name) : known;
  if (!y) return emptyText($("#contour"), "It takes two parameters.");
  const grid = await get(`${PATH}/contour`, { x, y });
  contourPanel($("#contour"), sweep, { ...grid, x, y }, openTrial(sweep));
}

async function stop() {
  const text = "No more trials are handed out. Those that run now go on to their end, and still count.";
  if (!(await confirm({ title: "Stop this sweep?", text, action: "Stop" }))) return;
  try {
    await send("POST", `${PATH}/stop`, { reason: "stopped on the page" });
    await look();
  } catch (error) {
    toast(error.message);
  }
}

for (const id of ["#importance", "#contour"]) $(id).replaceChildren(el("p", { class: "muted" }, "Computing …"));
$("#sweep-stop")?.addEventListener("click", stop);
async function begin() {
  try {
    if ((await look()) !== false) poll(look, { seconds: 2, most: 15 });
  } catch (error) {
    $("#sweep-progress").replaceChildren(el("p", { role: "alert" }, `${error.message} Reload the page to try again.`));
    $("#sweep-progress").dataset.state = "error";
  }
}

begin();
