/** How far a sweep is: a bar by status, figures in words, and what to do where nobody works on it. */

import { copy } from "../core/copy.js";
import { dialog } from "../core/dialog.js";
import { $, el } from "../core/dom.js";
import { ago, duration, integer } from "../core/format.js";
import { page, projectUrl } from "../core/page.js";
import { bar } from "./bar.js";
import { AT, renew } from "./parts.js";
import { asWorker } from "./snippets.js";
import { over, parts } from "./trials.js";

const SILENT = 60; // seconds without news, and nothing running, after which a worker seems to be missing

/** @param {{since: number}} seen since: seconds for which the outlook is known */
export function drawHead({ sweep, outlook, now, since }, stop) {
  const { counts } = sweep;
  const host = $("#sweep-progress");
  host.dataset.state = "ready";
  renew(host, bar(counts), el("div", { class: "sweep-facts" }, ...facts(sweep, outlook, now, since)), ...idle(sweep, outlook, now));
  const word = el("span", { class: `status status-${sweep.status}` }, el("span", { class: "status-mark", "aria-hidden": "true" }), sweep.status);
  if ($("#sweep-status").textContent.trim() !== sweep.status) $("#sweep-status").replaceChildren(word);
  hint(sweep, outlook, stop);
  $("#sweep-worker").hidden = sweep.status !== "running";
  if ($("#sweep-stop")) $("#sweep-stop").hidden = sweep.status !== "running";
}

function facts(sweep, outlook, now, since) {
  const { counts } = sweep;
  const done = over(counts);
  const total = counts.total === null ? `${integer(done)} trials over` : `${integer(done)} of ${integer(Number(counts.total))} trials over`;
  const others = parts(counts).filter(([word, count]) => count && !["completed", "left"].includes(word))
    .map(([word, count]) => el("span", {}, el("i", { class: `swatch is-${word}`, "aria-hidden": "true" }), `${integer(count)} ${word}`));
  const seconds = Math.max(0, outlook.seconds_left - since);
  const left = sweep.status === "running" && seconds && counts.running ? [el("span", {}, `about ${duration(seconds)} left`)] : [];
  const { metric, direction } = sweep.objective;
  return [el("strong", {}, total), ...others, ...left, el("span", { class: "muted" }, `last activity ${ago(outlook.last, now)}`),
    el("span", { class: "muted sweep-aside" }, `${direction} ${metric} · ${sweep.strategy}${sweep.pruner ? ` · ${sweep.pruner.replaceAll("_", " ")} ends bad trials` : ""} · by ${sweep.user}${ended(sweep)}`)];
}

const ended = (sweep) => (sweep.status === "stopped" && sweep.stop_reason ? ` · ${sweep.stop_reason}` : "");

function idle(sweep, outlook, now) {
  if (sweep.status !== "running" || sweep.counts.running) return [];
  const isNew = !over(sweep.counts);
  if (!isNew && now - outlook.last < SILENT) return [];
  const text = isNew ? "No trial has begun. Start a worker:" : "Nobody works on it now. Start a worker:";
  return [el("div", { class: "sweep-dialog" }, el("p", {}, text), el("pre", { tabindex: "0", "aria-label": "The line that starts a worker" }, asWorker(sweep.id, AT)))];
}

function hint(sweep, outlook, stop) {
  const host = $("#sweep-hint");
  const text = sweep.status === "running" ? outlook.plateau?.text ?? "" : "";
  host.hidden = !text;
  if (host.dataset.text === text) return;
  host.dataset.text = text;
  host.replaceChildren(el("span", {}, text), ...(page.data.may_edit ? [el("button", { type: "button", class: "button", onclick: stop }, "Stop the sweep")] : []));
}

/** How another process comes to work on the sweep: a command, and the same in Python. */
export function workerDialog(sweep) {
  const project = AT.project === "default" ? "" : `, project=${JSON.stringify(AT.project)}`;
  const python = `from podstack import MLOpsClient

client = MLOpsClient(${JSON.stringify(AT.address)}${project})
while trial := client.suggest_sweep_params(sweep_id=${JSON.stringify(sweep)}):
    with client.start_run(sweep_trial=trial) as run:
        run.log_metrics(train(trial.params))`;
  const code = (title, text) => [el("h3", {}, title), el("pre", { tabindex: "0", "aria-label": title }, text), el("p", {}, el("button", { type: "button", class: "button", onclick: () => copy(text) }, "Copy"))];
  const note = "Start as many as you like, on any machines that reach this server.";
  const { element } = dialog({ title: "Add a worker", body: [el("p", { class: "muted" }, note), ...code("A program for each trial", asWorker(sweep, AT)), ...code("Or a loop in Python", python)] });
  element.classList.add("sweep-dialog");
}

/** The runs of the best trials side by side; null where fewer than two have one. */
export function compareBest(sweep, ranked, most = 10) {
  const runs = ranked.filter(({ run }) => run).slice(0, most).map(({ run }) => run);
  return runs.length < 2 ? null : el("a", { class: "small", href: `${projectUrl("/compare")}?runs=${encodeURIComponent(JSON.stringify(runs))}` }, `Compare the best ${runs.length} runs`);
}
