/** The charts of an experiment: rail, tools, sections, and what is new while runs run. */

import { get } from "../core/api.js";
import { $ } from "../core/dom.js";
import { page } from "../core/page.js";
import { poll, released } from "../core/poll.js";
import { viewsButton } from "../core/views.js";
import { Curves } from "../workspace/curves.js";
import { rail } from "../workspace/rail.js";
import { Sections } from "../workspace/sections.js";
import { tableLater, tools } from "../workspace/tools.js";
import { View } from "../workspace/view.js";

const { experiment, columns } = page.data;
const view = new View(columns);
const curves = new Curves(view);
rail(view, $("#rail"));
tools(view, $("#tools"));
const sections = new Sections(view, curves, $("#sections"));
tableLater(view, sections, $("#cursor-table"));

$("#tools").append(viewsButton());

const LOOK = 5; // turns between two looks at all runs

let turn = 0;
poll(async () => {
  turn += 1;
  return turn % LOOK === 0 || !view.running.length ? look() : grow();
});

/** Which runs and metrics there are now. */
async function look() {
  const told = await get("/compare/columns", { experiment: experiment.id, since: view.generation });
  await released();
  if (!told) return undefined;
  view.take(told);
  taken(told.changed);
  view.tell(["columns", "runs"]);
  return view.running.length > 0;
}

/** The drawn runs that were written since: their charts in sight then ask for what they lack. */
async function grow() {
  const told = await get("/compare/columns", { runs: view.drawn, since: view.grown });
  await released();
  if (!told) return undefined;
  view.grown = told.generation;
  view.keepStatus(told.runs);
  taken(told.changed);
  view.tell(["points"]);
  return true;
}

function taken(changed) {
  curves.forget(changed ?? view.drawn);
  sections.isGrowing = true;
}
