/** The filter language over columns, by the cases that the Python index is held to as well. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { compiled } from "../../../podstack/server/ui/static/table/evaluate.js";
import { parseStrict, textOf } from "../../../podstack/server/ui/static/table/filter.js";
import { parseLoose } from "../../../podstack/server/ui/static/table/loose.js";
import { parseOrder, sorted } from "../../../podstack/server/ui/static/table/order.js";
import { completions, namesOf } from "../../../podstack/server/ui/static/table/completion.js";
import { csvCell } from "../../../podstack/server/ui/static/table/export.js";
import { patch } from "../../../podstack/server/ui/static/table/patch.js";
import { Table, bestOf, columnsOf, usualColumns } from "../../../podstack/server/ui/static/table/table.js";
import { shown } from "../../../podstack/server/ui/static/table/cells.js";
import { filtered, grouped } from "../../../podstack/server/ui/static/table/view.js";

const { runs, cases, orders, wrong } = JSON.parse(readFileSync(new URL("../filter_cases.json", import.meta.url)));

/** The runs as GET …/table answers them. */
function answered() {
  const column = (read) => runs.map((run) => read(run) ?? null);
  const names = (kind) => [...new Set(runs.flatMap((run) => Object.keys(run[kind])))];
  const logged = (run, name) => (name in run.params ? run.params[name] ?? [] : null);
  const figure = (part) => (values) => {
    const finite = values?.map(Number);
    if (!values) return null;
    if (part === "steps") return values.length;
    return part === "last" ? values.at(-1) : Math[part](...finite);
  };
  const figures = (name) => Object.fromEntries(["last", "min", "max", "steps"].map((part) => [part, column((run) => figure(part)(run.metrics[name]))]));
  return {
    ids: column((run) => `id-${run.name}`), names: column((run) => run.name), status: column((run) => run.status), tags: column((run) => run.tags),
    created: column(() => 1.7e9), ended: column(() => 1.7e9 + 5), user: column(() => "ann"), parent: column(() => null),
    experiment: column(() => "e1"), experiments: { e1: "cases" }, directions: { loss: "minimize", val_acc: "maximize" },
    params: Object.fromEntries(names("params").map((name) => [name, column((run) => logged(run, name))])),
    metrics: Object.fromEntries(names("metrics").map((name) => [name, figures(name)])),
  };
}

const table = new Table(answered());
const all = runs.map((_, row) => row);
const named = (rows) => rows.map((row) => runs[row].name);

for (const [text, expected] of cases) {
  test(`${text} finds the runs it should`, () => assert.deepEqual(named(all.filter(compiled(parseStrict(text), table))), expected));
  test(`${text} means the same as it is written back`, () => assert.deepEqual(named(all.filter(compiled(parseStrict(textOf(parseStrict(text))), table))), expected));
  test(`${text} reads the same in the filter box, without a mark`, () => {
    const { tree, marks } = parseLoose(text);
    assert.deepEqual(marks, []);
    assert.deepEqual(named(all.filter(compiled(tree, table))), expected);
  });
}

for (const [text, expected] of orders) test(`order by ${text}`, () => assert.deepEqual(named(sorted(all, parseOrder(text), table)), expected));

for (const text of wrong) {
  test(`${text || "nothing"} is no expression, and no error in the filter box`, () => {
    assert.throws(() => parseStrict(text));
    const { tree } = parseLoose(text);
    if (tree) all.filter(compiled(tree, table));
  });
}

test("bare words look in name and tags", () => {
  assert.deepEqual(named(all.filter(compiled(parseLoose("alph").tree, table))), ["alpha"]);
  assert.deepEqual(named(all.filter(compiled(parseLoose("v1 gamma").tree, table))), ["gamma"]);
});

test("a condition gone wrong is marked where it stands", () => {
  const { marks } = parseLoose("status = completed and lr >");
  assert.equal(marks.length, 1);
  assert.equal("status = completed and lr >".slice(marks[0].from, marks[0].to), "lr >");
});

test("the columns that most runs have are shown first, and constant parameters are not", () => {
  const shown = usualColumns(table, columnsOf(table));
  assert.ok(shown.indexOf("metrics.loss") < shown.indexOf("metrics.`train/loss`") || !shown.includes("metrics.`train/loss`"));
  assert.ok(shown.includes("params.lr") && !shown.includes("experiment"));
});

test("the best of a column is the smallest loss and the largest score", () => {
  const columns = columnsOf(table).filter(({ part }) => part === "last");
  const best = bestOf(table, columns, all);
  assert.equal(best.get("metrics.loss"), 0.5);
  assert.equal(best.has("metrics.val_acc"), true);
});

test("a cell that a spreadsheet would run as a formula is text in CSV", () => {
  assert.deepEqual(["=1+1", "+1", "-1", "@x", "\tx", "plain", 'a,"b"', -1, undefined, ["a", "b"]].map(csvCell),
    ["'=1+1", "'+1", "'-1", "'@x", "'\tx", "plain", '"a,""b"""', "-1", "", '"a, b"']);
});

test("completion offers names, then operators, then values", () => {
  const names = namesOf(table);
  assert.deepEqual(completions("opt", names, table).words, ["optimizer"]);
  assert.ok(completions("optimizer ", names, table).words.includes("="));
  assert.deepEqual(completions("optimizer = a", names, table).words, ["adamw", "AdamW"]);
  assert.deepEqual(completions("lr > 1 an", names, table).words, ["and"]);
  assert.deepEqual(completions("status = fa", names, table).words, ["failed"]);
});

test("integers that no number here holds are shown by their digits, and the server filters them", () => {
  const told = answered();
  const seeds = ["9007199254740993", 9, "12345678901234567891", "-9007199254740993"];
  const rows = seeds.map((_, row) => row);
  told.params.seed = told.ids.map((_, row) => seeds[row] ?? null);
  told.digits = ["seed"];
  const seen = new Table(told);
  const name = { kind: "params", name: "seed", part: "" };
  const column = columnsOf(seen).find(({ key }) => key === "params.seed");
  assert.deepEqual(rows.map((row) => shown(column, seen.column(name)(row))), [seeds[0], "9", seeds[2], seeds[3]]);
  assert.deepEqual(sorted(rows, parseOrder("seed"), seen), [3, 1, 0, 2]);
  assert.equal(filtered(seen, "params.seed = 9007199254740993").needsServer, true);
  assert.equal(filtered(seen, "seed > 5").needsServer, true);
  assert.equal(filtered(seen, "lr > 0").needsServer, false);
  assert.ok(completions("seed = 1", namesOf(seen), seen).words.includes("12345678901234567891"));
  const before = new Table(answered());
  before.data.params.seed = told.ids.map(() => 9);
  patch(before, told);
  assert.equal(filtered(before, "seed > 5").needsServer, true);
});

test("what changed is taken over in place, and new runs are told", () => {
  const seen = new Table(answered());
  const change = answered();
  change.ids[1] = "id-new";
  change.status[0] = "failed";
  assert.deepEqual(patch(seen, change).strange, ["id-new"]);
  assert.equal(seen.column({ kind: "attribute", name: "status", part: "" })(0), "failed");
});

test("groups come with their counts, the largest first, and fold", () => {
  const column = columnsOf(table).find(({ key }) => key === "status");
  const entries = grouped(table, all, column, new Set(["failed"]));
  assert.deepEqual(entries.filter((entry) => typeof entry === "object").map(({ key, count }) => [key, count]), [["completed", 3], ["failed", 1], ["killed", 1]]);
  assert.equal(entries.length, 3 + 4);
});
