/** When each worker had which trial: a lane for each, and more where trials of one overlap. */

import { el } from "../core/dom.js";
import { duration } from "../core/format.js";
import { lanes, spanOf } from "./lanes.js";
import { empty } from "./parts.js";
import { statusOf } from "./trials.js";

const LEGEND = ["completed", "pruned", "failed", "killed", "running"];
const NARROWEST = 0.3; // percent of the width

export function timelinePanel(host, { sweep, now, open }) {
  const found = lanes(sweep.trials, now);
  if (!found.length) return empty(host, "No trial has begun", "Each worker gets a lane of its own here.");
  const [from, to] = spanOf(found);
  const drawn = found.flatMap(({ rows }, worker) => rows.flatMap((bars, at) => [
    el("span", { class: "lane-name cut", title: bars[0].trial.host }, at ? "" : nameOf(bars[0].trial, worker)), lane(bars, from, to - from, open)]));
  const words = `${found.length} ${found.length === 1 ? "worker" : "workers"} in ${duration(to - from)}`;
  const used = LEGEND.filter((word) => sweep.trials.some((trial) => statusOf(trial) === word));
  const legend = used.map((word) => el("span", {}, el("i", { class: `swatch is-${word}`, "aria-hidden": "true" }), word));
  const top = host.querySelector(".sweep-lanes")?.scrollTop ?? 0;
  const body = el("div", { class: "sweep-lanes", tabindex: "0", role: "img", "aria-label": `${words}; the table of trials has each start and duration`, "data-lanes": String(drawn.length / 2) }, ...drawn, axis(to - from));
  host.dataset.state = "ready";
  host.replaceChildren(body, el("p", { class: "legend" }, el("span", {}, words), ...legend));
  body.scrollTop = top;
  return undefined;
}

const nameOf = ({ host }, at) => (host ? `${host} · ${at + 1}` : `worker ${at + 1}`);

function lane(bars, from, span, open) {
  return el("div", { class: "sweep-lane" }, ...bars.map(({ trial, from: begin, to }) => {
    const bar = el("span", { class: `sweep-bar is-${statusOf(trial)}`, title: `Trial ${trial.number}, ${statusOf(trial)}, ${duration(to - begin)}`, onclick: () => open(trial.number) });
    bar.style.left = `${(100 * (begin - from)) / span}%`;
    bar.style.width = `${Math.max(NARROWEST, (100 * (to - begin)) / span)}%`;
    return bar;
  }));
}

function axis(span) {
  const marks = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const mark = el("span", {}, share ? duration(share * span) : "start");
    mark.style.left = `${100 * share}%`;
    return mark;
  });
  return el("div", { class: "lane-axis", "aria-hidden": "true" }, ...marks);
}
