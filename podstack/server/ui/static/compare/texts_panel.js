/** Two runs' texts beside one another, with the lines that differ marked: parameters or a file. */

import { get } from "../core/api.js";
import { clear, el } from "../core/dom.js";
import { integer } from "../core/format.js";
import { page, url } from "../core/page.js";
import { counted, emptyBox, select, setTools } from "./parts.js";
import { runLabel } from "./table.js";

const PARTS = ["text", "with", "base", "runs", "hide"];
const LARGEST = 1_000_000; // bytes of a file
const MOST_ROWS = 3000; // of a diff that are shown
const TEXT = /\.(txt|md|log|json|jsonl|ya?ml|toml|ini|cfg|conf|py|sh|js|ts|c|cc|cpp|h|rs|go|java|sql|csv|tsv|diff|patch|xml|html?|rst|r|jl|lua|gitignore)$|(^|\/)(Dockerfile|Makefile|requirements[^/]*)$/i;

export function open(view, body, tools) {
  const files = new Map(); // run id → its files
  let latest = 0;
  const draw = async () => {
    const turn = (latest += 1);
    const pair = pairOf(view);
    if (!pair) {
      setTools(tools);
      return emptyBox(body, "Select at least two runs", "Two runs' texts stand here side by side.");
    }
    try {
      await Promise.all(pair.map((run) => listed(files, view.idOf(run))));
      if (turn !== latest) return;
      setTools(tools, ...controls(view, pair, files));
      const [diff, ...texts] = await Promise.all([import("./line_diff.js"), ...pair.map((run) => textOf(view, run, files))]);
      if (turn === latest) show(view, body, pair, texts, diff);
    } catch (error) {
      if (turn === latest) failed(body, error, draw);
    }
  };
  view.on(PARTS, draw, body);
}

/** The baseline, and the run beside it: the one chosen, else the next one. */
function pairOf(view) {
  const others = view.visible.filter((run) => run !== view.baseline);
  const chosen = view.compared.places.get(view.state.with);
  const right = others.includes(chosen) ? chosen : others[0];
  return right === undefined ? null : [view.baseline, right];
}

async function listed(files, id) {
  if (!files.has(id)) files.set(id, (await get(`/runs/${encodeURIComponent(id)}/artifacts`)).artifacts);
}

function controls(view, pair, files) {
  const others = view.visible.filter((run) => run !== view.baseline);
  const paths = new Set(pair.flatMap((run) => files.get(view.idOf(run)))
    .filter(({ path, size }) => TEXT.test(path) && size <= LARGEST).map(({ path }) => path));
  const chosen = [...paths].sort();
  const known = paths.has(view.state.text) ? view.state.text : "";
  return [
    select("Text", [["", "All parameters"], ...chosen.map((path) => [path, path])], known, (text) => view.change({ text })),
    others.length > 1 && select("Beside the baseline", others.map((run) => [view.idOf(run), view.nameOf(run)]),
      view.idOf(pair[1]), (other) => view.change({ with: other })),
  ];
}

/** A text; null where this run has no such file. */
async function textOf(view, run, files) {
  const path = view.state.text;
  const isKnown = [...files.values()].flat().some((file) => file.path === path);
  if (!path || !isKnown) return paramsText(view, run);
  const file = files.get(view.idOf(run)).find((one) => one.path === path);
  if (!file) return null;
  const key = file.key.split("/").map(encodeURIComponent).join("/");
  const answer = await fetch(url(`/api/v1/projects/${encodeURIComponent(page.project)}/objects/${key}`));
  if (!answer.ok) throw new Error(`The file could not be read (${answer.status}).`);
  return answer.text();
}

function paramsText({ compared }, run) {
  const names = [...new Set([...Object.keys(compared.params), ...Object.keys(compared.equal)])].sort();
  const line = (name) => [name, compared.value(`params.${name}`, run)];
  return names.map(line).filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${JSON.stringify(value, null, 2)}`).join("\n");
}

function show(view, body, pair, texts, { folded, lineDiff, paired }) {
  const absent = pair.filter((_, at) => texts[at] === null);
  const rows = paired(folded(lineDiff(texts[0] ?? "", texts[1] ?? "")));
  const changes = rows.filter(({ isChanged }) => isChanged).length;
  const words = absent.length ? `${absent.map((run) => view.nameOf(run)).join(" and ")} lacks this file` : differing(changes);
  const rest = rows.length > MOST_ROWS ? `, of which the first ${integer(MOST_ROWS)} rows are shown` : "";
  const table = el("table", { class: "diff" }, el("caption", { class: "visually-hidden" }, "Differences, line by line"),
    el("thead", {}, el("tr", {}, ...pair.flatMap((run) => [el("th", { class: "line-number", scope: "col", "aria-label": "Line" }), el("th", { scope: "col" }, runLabel(view, run))]))),
    el("tbody", {}, ...rows.slice(0, MOST_ROWS).map((row) => (row.fold ? foldRow(row.fold) : diffRow(row)))));
  clear(body).append(el("p", { class: "muted", role: "status" }, words + rest),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Texts side by side" }, table));
  body.dataset.state = "ready";
  body.dataset.changes = String(changes);
}

const differing = (lines) => (lines ? `${counted(lines, "line")} ${lines === 1 ? "differs" : "differ"}` : "Both are the same");

const foldRow = (lines) => el("tr", { class: "fold" }, el("td", { colspan: "4" }, `${counted(lines, "equal line")}`));

function diffRow({ left, right }) {
  return el("tr", {}, ...side(left, left?.left, "-", "removed"), ...side(right, right?.right, "+", "added"));
}

function side(line, place, mark, word) {
  if (!line) return [el("td", { class: "line-number" }), el("td", { class: "blank" })];
  const isMarked = line.kind === mark;
  const text = el("td", { class: isMarked ? word : "" }, isMarked ? el("span", { class: "visually-hidden" }, `${word}: `) : "", line.text);
  return [el("td", { class: "line-number" }, String(place)), text];
}

function failed(body, error, retry) {
  const again = el("button", { type: "button", class: "button" }, "Try again");
  again.addEventListener("click", retry);
  clear(body).append(el("div", { class: "empty" }, el("p", { class: "empty-title" }, "The texts could not be read"), el("p", { class: "muted" }, error.message), again));
  body.dataset.state = "error";
}
