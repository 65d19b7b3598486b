/** The metrics of one run: tools, a chart for each, and what is new while it runs. */

import { get } from "../core/api.js";
import { $ } from "../core/dom.js";
import { page } from "../core/page.js";
import { poll } from "../core/poll.js";
import { Curves } from "../workspace/curves.js";
import { Sections } from "../workspace/sections.js";
import { tableLater, tools } from "../workspace/tools.js";
import { View } from "../workspace/view.js";

const MOST_ASKED = 60; // metrics of one look at what is new
const LOOK = 5; // turns between two looks at which metrics there are, and what fired

const { columns, metrics } = page.data;
let { flags } = page.data;
const path = `/runs/${encodeURIComponent(page.data.run.id)}`;

/** A workspace of one run, which knows more metrics than the table of all runs does. */
class RunView extends View {
  get names() { return metrics; }
  get drawn() { return this.compared.ids; }
  get isGrouped() { return false; }
  has() { return true; }
  flagsOf(name) { return flags[name] ?? []; }
}

const view = new RunView(columns);
const curves = new Curves(view);
tools(view, $("#tools"));
const sections = new Sections(view, curves, $("#sections"));
tableLater(view, sections, $("#cursor-table"));

let turn = 0;
// One question a turn, for all charts in sight; its answer tells the header too whether the run goes on.
if (page.data.run.status === "running") poll(async () => {
  turn += 1;
  if (!metrics.length || turn % LOOK === 0) await look();
  const names = sections.inSight.slice(0, MOST_ASKED);
  const isNew = names.length > 0 && (await redraw(names));
  if (names.length) document.dispatchEvent(new CustomEvent("run:status", { detail: curves.status[page.data.run.id] }));
  return page.data.run.status === "running" ? isNew || undefined : last(names);
});

/** It has ended: what is in sight is whole, and what is not is asked for when it comes into sight. */
async function last(names) {
  await look();
  for (const name of curves.known.keys()) if (!names.includes(name)) curves.known.delete(name);
  sections.refresh();
  return false;
}

/** Which metrics there are now, what fired on them, and where the run stands. */
async function look() {
  const told = await get(`${path}/charts`);
  flags = told.flags;
  document.dispatchEvent(new CustomEvent("run:standing", { detail: told.standing }));
  const fresh = told.metrics.filter((name) => !metrics.includes(name));
  metrics.push(...fresh);
  if (fresh.length) view.tell(["columns"]);
}

/** The buckets of some metrics anew, so that no chart holds more than it can show; whether any changed. */
async function redraw(names) {
  curves.settle();
  const isNew = await curves.fetch(names, view.drawn);
  if (isNew) names.forEach((name) => sections.show(name));
  return isNew;
}
