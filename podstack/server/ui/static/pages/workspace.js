/** The charts of an experiment: rail, tools, sections, and what is new while runs run. */

import { get } from "../core/api.js";
import { $ } from "../core/dom.js";
import { page } from "../core/page.js";
import { poll } from "../core/poll.js";
import { Curves } from "../workspace/curves.js";
import { rail } from "../workspace/rail.js";
import { Sections } from "../workspace/sections.js";
import { tableLater, tools } from "../workspace/tools.js";
import { View } from "../workspace/view.js";

const LOOK = 5; // turns between two looks at which runs there are

const { experiment, columns } = page.data;
const view = new View(columns);
const curves = new Curves(view);
rail(view, $("#rail"));
tools(view, $("#tools"));
const sections = new Sections(view, curves, $("#sections"));
tableLater(view, sections, $("#cursor-table"));

let turn = 0;
poll(async () => {
  turn += 1;
  const isNew = view.running.length > 0 && sections.inSight.length > 0 && (await grow());
  if (turn % LOOK === 0 || view.running.length === 0) await look();
  return view.runs.status.includes("running") ? isNew : undefined;
});

/** The drawn runs that run are asked for again, where their charts are in sight. */
async function grow() {
  curves.settle();
  const names = sections.inSight.slice(0, 30);
  const isNew = await curves.fetch(names, view.running);
  if (isNew) names.forEach((name) => sections.show(name));
  return isNew;
}

/** Which runs and metrics there are now. */
async function look() {
  const before = JSON.stringify([view.runs.id, view.runs.status, view.names]);
  view.take(await get("/compare/columns", { experiment: experiment.id }));
  if (JSON.stringify([view.runs.id, view.runs.status, view.names]) !== before) view.tell(["columns", "runs"]);
}
