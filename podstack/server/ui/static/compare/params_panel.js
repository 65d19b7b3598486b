/** The parameters of the selected runs, those that differ first; changes against the baseline. */

import { el } from "../core/dom.js";
import { number } from "../core/format.js";
import { same } from "./data.js";
import { textOf } from "./dimensions.js";
import { comparisonTable, nested, runsAreRows } from "./table.js";
import { emptyBox, runLabel, segmented, toggle, withBaseline } from "./parts.js";

const PARTS = ["all", "flip", "base", "hide", "brush", "runs", "order"];

export function paramsPanel(view, body, tools) {
  view.on(PARTS, () => draw(view, body, tools));
}

function draw(view, body, tools) {
  const runs = withBaseline(view);
  const names = shownNames(view, runs);
  const asRows = runsAreRows(view.state.flip, runs.length);
  drawTools(view, tools, names, asRows);
  if (runs.length < 2) return emptyBox(body, "Select at least two runs", "Add a run above to see what differs.");
  if (!names.shown.length) return emptyBox(body, "All parameters are equal", equalWords(names.equal.length));
  body.replaceChildren(el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Parameters, table" },
    comparisonTable({
      lines: inGroups(names.shown),
      heads: runs.map((run) => ({ run, label: runLabel(view, run), isBase: run === view.baseline })),
      cell: (line, head) => cellOf(view, inGroups(names.shown)[line].full, runs[head]),
      caption: `Parameters of ${runs.length} runs. The baseline is ${view.nameOf(view.baseline)}.`,
      asRows,
    })));
  body.dataset.state = "ready";
}
