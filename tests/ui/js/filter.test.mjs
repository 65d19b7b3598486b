/** The filter language over columns, by the cases that the Python index is held to as well. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { compiled } from "../../../podstack/server/ui/static/table/evaluate.js";
import { parseStrict, textOf } from "../../../podstack/server/ui/static/table/filter.js";
import { parseLoose } from "../../../podstack/server/ui/static/table/loose.js";
import { parseOrder, sorted } from "../../../podstack/server/ui/static/table/order.js";
import { Table, columnsOf, usualColumns } from "../../../podstack/server/ui/static/table/table.js";

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

