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

let cursor = "";
let asked = "";
poll(async () => {
  if (view.runs.status[0] !== "running") return false;
  await newNames();
  const names = sections.inSight.slice(0, MOST_ASKED);
  if (!names.length) return undefined;
  if (asked !== names.join("\n")) cursor = "";
  asked = names.join("\n");
  const told = await get(`${path}/changes`, { names, cursor: cursor || names.map(() => "0").join(".") });
  const isNew = told.reset || Object.keys(told.points).length > 0;
  cursor = told.cursor;
  if (isNew) await redraw(names);
  view.runs.status[0] = told.status;
  return told.status === "running" ? isNew : false;
});

async function newNames() {
  const found = Object.keys((await get(`${path}/metrics`)).metrics);
  const fresh = found.filter((name) => !metrics.includes(name));
  metrics.push(...fresh);
  if (fresh.length) view.tell(["columns"]);
}

/** The buckets of some metrics anew: a chart then never holds more of them than it can show. */
async function redraw(names) {
  curves.settle();
  ({ flags } = await get(`${path}/flags`));
  if (await curves.fetch(names, view.drawn)) names.forEach((name) => sections.show(name));
}
