/** The results of a run with their curves, and its output, followed while it runs. */
import { spark } from "../charts/spark.js";
import { get } from "../core/api.js";
import { $, $$, el } from "../core/dom.js";
import { number, signed } from "../core/format.js";
import { page } from "../core/page.js";
import { released } from "../core/poll.js";

const PATH = `/runs/${encodeURIComponent(page.data.run.id)}`;
const BUCKETS = 60; // of a curve of 120 pixels
const BATCH = 50; // metrics of one request
const rows = () => $$("#results tbody tr");

/** The curves of some metrics, in the order of the table. */
async function curves(names) {
  const places = new Map(rows().map((row) => [row.dataset.name, $(".spark-cell", row)]));
  for (let at = 0; at < names.length; at += BATCH) {
    const { series } = await get("/series", { runs: [page.data.run.id], names: names.slice(at, at + BATCH), buckets: BUCKETS });
    for (const [name, one] of Object.entries(series[page.data.run.id] ?? {})) {
      if (one.x.length) places.get(name)?.replaceChildren(spark(name, one));
    }
  }
}

/** What the metrics came to by now; a metric that is new brings a new table. */
async function results() {
  const { metrics } = await get(`${PATH}/metrics`);
  const known = new Map(rows().map((row) => [row.dataset.name, row]));
  if (Object.keys(metrics).some((name) => !known.has(name))) return fresh();
  const moved = Object.entries(metrics).filter(([name, { steps }]) => number(steps) !== cell(known.get(name), "points").textContent);
  for (const [name, told] of moved) fill(known.get(name), told, page.data.directions[name]);
  return curves(moved.map(([name]) => name));
}

const cell = (row, part) => $(`[data-part="${part}"]`, row);

function fill(row, told, direction) {
  const side = direction === "minimize" ? "min" : "max";
  const parts = { last: told.last, points: told.steps, ...(direction ? { best: told[side], step: told[`${side}_step`] } : {}) };
  for (const [part, value] of Object.entries(parts)) cell(row, part).textContent = number(value);
}

/** How far each metric is from the other run's; another run to be held against brings a new table. */
async function beside({ other, deltas }) {
  if (deltas === undefined) return undefined;
  if (other !== page.data.other) return fresh();
  for (const row of other ? rows() : []) {
    const [delta, verdict] = deltas[row.dataset.name] ?? [null, ""];
    const place = cell(row, "delta");
    const text = delta === null ? "" : signed(delta);
    if (place.firstChild?.textContent.trim() === text) continue;
    place.className = `number delta ${verdict}`;
    place.replaceChildren(text, ["better", "worse"].includes(verdict) ? el("span", { class: "small" }, ` ${verdict}`) : "");
  }
  return undefined;
}

/** The table as the server draws it now. */
async function fresh() {
  const answer = await fetch(location.href, { credentials: "same-origin" });
  const told = new DOMParser().parseFromString(await answer.text(), "text/html");
  const body = told.getElementById("results-body");
  if (!answer.ok || !body) return;
  await released();
  const { directions, other } = JSON.parse(told.getElementById("page").textContent).data;
  Object.assign(page.data, { directions, other });
  $("#results-body").replaceWith(document.importNode(body, true));
  await curves(rows().map((row) => row.dataset.name));
}

const box = $("#console");

async function output() {
  const { text } = await get(`${PATH}/console`, { tail: 200 });
  if (text === box.textContent) return;
  const atEnd = box.scrollTop + box.clientHeight > box.scrollHeight - 20;
  box.textContent = text;
  box.hidden = false;
  $("#console-empty").hidden = true;
  if (atEnd) box.scrollTop = box.scrollHeight;
}

box.scrollTop = box.scrollHeight;

/** A task that is left where it is still at it, so that no older answer comes last; the next turn tries again. */
function quiet(task) {
  let isBusy = false;
  return async (told) => {
    if (isBusy) return;
    isBusy = true;
    await task(told).catch(() => {});
    isBusy = false;
  };
}

const follow = [output, async (told) => { await results(); await beside(told); }].map(quiet); // in turn: either may draw the table anew
quiet(() => curves(page.data.metrics))();
document.addEventListener("run:tick", ({ detail }) => follow.forEach((look) => look(detail)));
