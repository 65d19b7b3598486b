/** What came of the selected runs: figures of each metric, and how far they are from the baseline. */

import { number, signed } from "../core/format.js";
import { partOf } from "./data.js";
import { bestOf, deltaOf, deltaText } from "./deltas.js";
import { counted, emptyBox, segmented, setTools } from "./parts.js";
import { comparisonTable, inGroups, replaced, runLabel, runsAreRows, scrolled } from "./table.js";

const PARTS = ["sort", "figure", "flip", "base", "hide", "brush", "runs", "order", "colors", "columns"];
const FIGURES = [["best", "Best"], ["last", "Last"], ["min", "Min"], ["max", "Max"], ["all", "All"]];
const WAYS = { minimize: "lower is better", maximize: "higher is better" };

export function open(view, body, tools) {
  view.on(PARTS, () => draw(view, body, tools), body);
  return { toTable: () => fileOf(view) };
}

const namesOf = ({ compared }, runs) => Object.keys(compared.metrics)
  .filter((name) => runs.some((run) => compared.figure(name, run, "last") !== null));

/** Every figure as it is, a row for each run. */
function fileOf(view) {
  const lines = linesOf(view, namesOf(view, view.rows));
  const figure = (run) => ({ full, part }) => view.compared.figure(full, run, part);
  return { head: ["run", "id", ...lines.map(({ full, part }) => `${full} ${part}`)], rows: view.rows.map((run) => [view.nameOf(run), view.idOf(run), ...lines.map(figure(run))]) };
}

function draw(view, body, tools) {
  const runs = view.rows;
  const names = namesOf(view, runs);
  setTools(tools, names.length > 0 && segmented("Figure", FIGURES, view.state.figure,
    (figure) => view.change({ figure })));
  if (!names.length) {
    return emptyBox(body, "No numeric metric yet", "Log one with run.log_metrics({\"loss\": 0.1}).");
  }
  replaced(body, scrolled("Metrics", tableOf(view, runs, linesOf(view, names))));
  body.dataset.state = "ready";
}

/** A line for each metric, or for each figure of each. */
function linesOf(view, names) {
  const { figure } = view.state;
  return inGroups(names).flatMap(({ full, prefix, name }) => {
    const direction = view.compared.directions[full];
    const parts = figure === "all" ? ["last", "min", "max"] : [figure === "best" ? partOf(direction) : figure];
    return parts.map((part) => ({ full, key: `metrics.${full}`, prefix, name, part, direction, hint: hintOf(part, direction) }));
  });
}

function hintOf(part, direction) {
  const isBest = direction && part === partOf(direction);
  return [isBest ? `best (${part})` : part, WAYS[direction]].filter(Boolean).join(", ");
}

function tableOf(view, runs, lines) {
  const asRows = runsAreRows(view.state.flip, runs.length);
  const values = lines.map(({ full, part }) => runs.map((run) => view.compared.figure(full, run, part)));
  const best = lines.map(({ direction }, at) => bestOf(values[at], direction));
  return comparisonTable({
    lines,
    heads: runs.map((run) => ({ run, label: runLabel(view, run), isBase: run === view.baseline })),
    cell: (line, head) => cellOf(lines[line], values[line], head, best[line].has(head)),
    caption: `Metrics of ${counted(runs.length, "run")} against ${view.nameOf(view.baseline)}`,
    asRows,
    sort: view.sort,
    onSort: (sort) => view.change({ sort }),
  });
}

/** The baseline is the first of the runs. */
function cellOf({ direction }, values, head, isBest) {
  const value = values[head];
  if (value === null) return { text: "—", kind: "absent" };
  const delta = head === 0 ? null : deltaOf(value, values[0], direction);
  return {
    text: `${isBest ? "★ " : ""}${number(value)}`,
    kind: isBest ? "best" : "",
    note: delta && deltaText(delta, signed),
    noteKind: delta?.word ?? "",
    title: isBest ? `${value}, the best` : String(value),
    isNumber: true,
  };
}
