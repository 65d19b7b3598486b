/** The list of sweeps of a project or an experiment. */

import { get } from "../core/api.js";
import { $, el } from "../core/dom.js";
import { ago, integer, number } from "../core/format.js";
import { page, projectUrl } from "../core/page.js";
import { panel } from "../core/panel.js";

const HEADS = ["Name", "Strategy", "Objective", "Progress", "Best", "Status", "Created"];

/** Share of the trials that are over; null where nobody knows how many there will be. */
export function shareDone({ completed, failed, killed, total }) {
  return total ? Math.min(1, (completed + failed + killed) / Number(total)) : null;
}

function progress({ counts }) {
  const done = counts.completed + counts.failed + counts.killed;
  const share = shareDone(counts);
  const text = counts.total === null ? `${integer(done)} trials` : `${integer(done)} of ${counts.total}`;
  const bar = share === null ? [] : [el("progress", { max: "1", value: String(share), "aria-label": text })];
  return el("span", { class: "sweep-progress" }, ...bar, text);
}

function row(sweep) {
  const link = el("a", { href: projectUrl(`/sweeps/${encodeURIComponent(sweep.id)}`) }, sweep.name || sweep.id);
  const { metric, direction } = sweep.objective;
  const cells = [
    link, sweep.strategy, `${metric}, ${direction}`, progress(sweep),
    sweep.best === null ? "–" : number(Number(sweep.best_value)), sweep.status, ago(sweep.created),
  ];
  return el("tr", {}, ...cells.map((cell) => el("td", {}, cell)));
}

function table(sweeps) {
  const head = el("tr", {}, ...HEADS.map((text) => el("th", { scope: "col" }, text)));
  const newest = [...sweeps].sort((a, b) => b.created - a.created);
  return el("table", { class: "sweep-table" }, el("thead", {}, head), el("tbody", {}, ...newest.map(row)));
}

async function load(host) {
  const { sweeps } = await get("/sweeps", { experiment: page.data.experiment?.id });
  if (!sweeps.length) {
    return { title: "No sweeps yet", text: "A sweep looks for the best parameters: New sweep, or client.create_sweep(…) in Python." };
  }
  host.replaceChildren(el("div", { class: "sweep-scroll" }, table(sweeps)));
  return undefined;
}

if (globalThis.document) panel($("#sweeps"), load);
