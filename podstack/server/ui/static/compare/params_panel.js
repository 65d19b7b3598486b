/** The parameters of the selected runs: those that differ, with changes against the baseline. */

import { el } from "../core/dom.js";
import { number } from "../core/format.js";
import { same, textOf } from "./data.js";
import { counted, emptyBox, segmented, setTools, toggle } from "./parts.js";
import { comparisonTable, inGroups, replaced, runLabel, runsAreRows, scrolled } from "./table.js";

const PARTS = ["sort", "all", "flip", "base", "hide", "brush", "runs", "order", "colors", "columns"];
const LONGEST = 80; // characters of a value in a cell

export function open(view, body, tools) {
  view.on(PARTS, () => draw(view, body, tools), body);
  return { toTable: () => fileOf(view) };
}

/** Every value as it is, a row for each run. */
function fileOf(view) {
  const { differing, equal } = divided(view, view.rows);
  const names = view.state.all ? [...differing, ...equal] : differing;
  const value = (run) => (name) => view.compared.value(`params.${name}`, run);
  return { head: ["run", "id", ...names], rows: view.rows.map((run) => [view.nameOf(run), view.idOf(run), ...names.map(value(run))]) };
}

function draw(view, body, tools) {
  const runs = view.rows;
  const { differing, equal } = divided(view, runs);
  const asRows = runsAreRows(view.state.flip, runs.length);
  setTools(tools, ...controls(view, equal, asRows));
  if (runs.length < 2) {
    return emptyBox(body, "Select at least two runs", "Add a run above to see what differs.");
  }
  const names = view.state.all ? [...differing, ...equal] : differing;
  if (!names.length) return emptyBox(body, "Nothing differs", equalWords(equal));
  replaced(body, scrolled("Parameters", tableOf(view, runs, names, asRows)));
  const { params } = view.compared.more;
  if (params) body.append(el("p", { class: "muted" }, `${counted(params, "rarer parameter")} left out.`));
  body.dataset.state = "ready";
}

const equalWords = (equal) => (equal.length
  ? `${counted(equal.length, "parameter")} ${equal.length === 1 ? "is" : "are"} equal in these runs.`
  : "These runs have no parameters.");

/** The names that differ among these runs, and those that do not. */
function divided({ compared }, runs) {
  const names = Object.keys(compared.params);
  const differs = (name) => {
    const first = compared.value(`params.${name}`, runs[0]);
    return runs.some((run) => !same(compared.value(`params.${name}`, run), first));
  };
  const has = (name) => runs.some((run) => compared.value(`params.${name}`, run) !== undefined);
  const differing = names.filter(differs);
  const known = new Set(differing);
  const equal = [...names.filter((name) => !known.has(name) && has(name)), ...Object.keys(compared.equal)];
  return { differing, equal };
}

function controls(view, equal, asRows) {
  const hint = view.state.all ? null
    : equal.length > 0 && el("span", { class: "muted" }, `${equal.length.toLocaleString("en")} equal hidden`);
  return [
    hint,
    toggle("Show equal", view.state.all, (all) => view.change({ all })),
    segmented("Runs as", [["columns", "Columns"], ["rows", "Rows"]], asRows ? "rows" : "columns",
      (flip) => view.change({ flip })),
  ];
}

function tableOf(view, runs, names, asRows) {
  const lines = inGroups(names).map((line) => ({ ...line, key: `params.${line.full}` }));
  return comparisonTable({
    lines,
    heads: runs.map((run) => ({ run, label: runLabel(view, run), isBase: run === view.baseline })),
    cell: (line, head) => cellOf(view, lines[line].key, runs[head]),
    caption: `Parameters of ${counted(runs.length, "run")} against ${view.nameOf(view.baseline)}`,
    asRows,
    sort: view.sort,
    onSort: (sort) => view.change({ sort }),
  });
}

function cellOf(view, key, run) {
  const value = view.compared.value(key, run);
  const base = view.compared.value(key, view.baseline);
  const changed = run !== view.baseline && !same(value, base);
  return {
    text: shown(value),
    kind: changed ? "changed" : value === undefined ? "absent" : "",
    title: changed ? `changed; baseline: ${cut(textOf(base), 300)}` : cut(textOf(value), 300),
    isNumber: typeof value === "number",
  };
}

const shown = (value) => (typeof value === "number" ? number(value) : cut(textOf(value), LONGEST));

const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
