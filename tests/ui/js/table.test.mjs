import assert from "node:assert/strict";
import test from "node:test";

import { shareOf } from "../../../podstack/server/ui/static/table/bars.js";
import { filterOf, idsOf } from "../../../podstack/server/ui/static/table/chosen.js";
import { excluding, nearest } from "../../../podstack/server/ui/static/table/excluding.js";
import { exchanged, holding, keyWith, layoutOf, moved, stateOf, stepped, turned, without } from "../../../podstack/server/ui/static/table/layout.js";
import { without as withoutPart } from "../../../podstack/server/ui/static/table/nothing.js";
import { parseLoose } from "../../../podstack/server/ui/static/table/loose.js";
import { namesOf } from "../../../podstack/server/ui/static/table/completion.js";
import { News } from "../../../podstack/server/ui/static/table/news.js";
import { patch } from "../../../podstack/server/ui/static/table/patch.js";
import { Table, bestOf, columnsOf } from "../../../podstack/server/ui/static/table/table.js";

const LAYOUT = { pins: ["a", "b"], rest: ["c", "d", "e"] };

test("a column that is carried among the pinned ones is pinned, and free where it leaves them", () => {
  assert.deepEqual(moved(LAYOUT, "e", 1), { pins: ["a", "e", "b"], rest: ["c", "d"] });
  assert.deepEqual(moved(LAYOUT, "a", 4), { pins: ["b"], rest: ["c", "d", "a", "e"] });
});

test("a gap between the two parts belongs to the part that the column comes from", () => {
  assert.deepEqual(moved(LAYOUT, "a", 2), { pins: ["b", "a"], rest: ["c", "d", "e"] });
  assert.deepEqual(moved(LAYOUT, "e", 2), { pins: ["a", "b"], rest: ["e", "c", "d"] });
});

test("a column carried to where it stands changes nothing", () => {
  for (const [key, at] of [["a", 0], ["b", 1], ["c", 2], ["d", 3], ["e", 4]]) {
    assert.deepEqual(moved(LAYOUT, key, at), LAYOUT);
    assert.deepEqual(moved(LAYOUT, key, at + 1), LAYOUT);
  }
});

test("a step by a key stays within its part", () => {
  assert.deepEqual(stepped(LAYOUT, "b", -1), { pins: ["b", "a"], rest: ["c", "d", "e"] });
  assert.equal(stepped(LAYOUT, "b", 1), LAYOUT);
  assert.equal(stepped(LAYOUT, "c", -1), LAYOUT);
  assert.deepEqual(stepped(LAYOUT, "c", 1).rest, ["d", "c", "e"]);
});

test("the usual layout is not in the link, a chosen one comes back from it as it was", () => {
  const usual = ["c", "d", "e"];
  const known = new Set(["a", "b", "c", "d", "e", "f"]);
  assert.deepEqual(stateOf({ pins: [], rest: usual }, usual), { pins: [], cols: [] });
  assert.deepEqual(stateOf({ pins: ["d"], rest: ["c", "e"] }, usual), { pins: ["d"], cols: [] });
  for (const layout of [LAYOUT, { pins: ["d"], rest: ["e", "c"] }, { pins: ["a"], rest: [] }, { pins: [], rest: [] }]) {
    assert.deepEqual(layoutOf(stateOf(layout, usual), usual, known), layout);
  }
  assert.deepEqual(layoutOf({ cols: ["gone", "c", "c"], pins: ["never"] }, usual, known), { pins: [], rest: ["c"] });
});

test("chosen columns keep their places, new ones come last", () => {
  assert.deepEqual(holding(LAYOUT, ["f", "e", "a"]), { pins: ["a"], rest: ["e", "f"] });
  assert.deepEqual(turned(LAYOUT, "d"), { pins: ["a", "b", "d"], rest: ["c", "e"] });
  assert.deepEqual(turned(LAYOUT, "b"), { pins: ["a"], rest: ["b", "c", "d", "e"] });
  assert.deepEqual(without(LAYOUT, "a"), { pins: ["b"], rest: ["c", "d", "e"] });
});

test("another figure takes the place of the one that was there, once", () => {
  assert.deepEqual(exchanged(LAYOUT, new Map([["c", "x"], ["a", "e"]])), { pins: ["e", "b"], rest: ["x", "d"] });
});

test("bars run from the lowest to the highest, over wide ranges by orders of magnitude", () => {
  const share = shareOf([1, 2, 3, NaN, undefined, Infinity]);
  assert.equal(share(3), 1);
  assert.ok(Math.abs(share(2) - 0.515) < 1e-9);
  assert.ok(share(1) > 0);
  assert.equal(share(NaN), null);
  assert.ok(Math.abs(shareOf([1e-4, 1e-3, 1e-1])(1e-3) - (0.03 + 0.97 / 3)) < 1e-9);
  assert.equal(shareOf([7, 7])(7), 1);
  assert.equal(shareOf([])(7), 1);
});

test("the best of a column is its highest or lowest finite value, where runs differ in it", () => {
  const values = { high: [2, NaN, 5, null, "Infinity", 5], low: [2, 1, 4, 1, 3, 9], same: [7, null, 7, 7, NaN, 7], few: [null, null, 3, null, null, null] };
  const ids = ["a", "b", "c", "d", "e", "f"];
  const metrics = Object.fromEntries(Object.entries(values).map(([name, last]) => [name, { last }]));
  const table = new Table({ ids, tags: ids.map(() => []), params: {}, metrics, directions: { high: "maximize", low: "minimize", same: "maximize", few: "maximize" } });
  const best = bestOf(table, columnsOf(table), table.rows);
  assert.deepEqual([...best.values()], [5, 1]);
  assert.deepEqual([...bestOf(table, columnsOf(table), [0, 2]).values()], [5, 2]);
  assert.equal(bestOf(table, columnsOf(table), [0]).size, 0);
});

const COUNT = 3000;
const range = (count) => Array.from({ length: count }, (_, at) => at);
const answer = () => ({
  ids: range(COUNT).map((at) => `r${at}`), names: range(COUNT).map((at) => `run ${at}`), status: range(COUNT).map((at) => (at % 3 ? "completed" : "failed")),
  created: range(COUNT).map((at) => 1.8e9 - at * 1.7), ended: range(COUNT).map(() => null), user: range(COUNT).map(() => "ann"), tags: range(COUNT).map(() => []),
  experiment: range(COUNT).map(() => "e"), experiments: { e: "digits" },
  params: { optimizer: range(COUNT).map((at) => (at % 2 ? "adam" : "sgd")) },
  metrics: { "val/accuracy": { last: range(COUNT).map((at) => (at % 100) / 100), max: range(COUNT).map((at) => (at % 100) / 100 + 0.1) } },
  directions: { "val/accuracy": "maximize" },
});
const TABLE = new Table(answer());
const idsWhere = (test) => new Set(TABLE.data.ids.filter((_, row) => test(row)));

function comesBack(ids, filter) {
  const text = filterOf(TABLE, ids, filter);
  assert.ok(text && text.length <= 4000, `${text.length}`);
  assert.deepEqual(new Set(idsOf(TABLE, text)), ids);
  return text;
}

test("all that a filter fits is selected by it in a link, with the few that were taken out or added", () => {
  const ids = idsWhere((row) => row % 2 === 1);
  comesBack(ids, "optimizer = 'adam'");
  ids.delete("r1");
  ids.add("r0");
  const text = comesBack(ids, "optimizer = 'adam'");
  assert.match(text, /created <= 1800000000/); // no later run is selected by the link
});

test("runs that began one after the other are selected by their times", () => {
  comesBack(idsWhere((row) => (row > 100 && row < 900) || row === 1500), "");
});

test("what no short filter fits is not written as one", () => {
  assert.equal(filterOf(TABLE, idsWhere((row) => (row * 7919) % 11 < 4), ""), "");
  assert.equal(filterOf(TABLE, new Set(["r1", "of another table"]), ""), "");
  assert.deepEqual(idsOf(TABLE, "created <= "), []); // a link that somebody cut
});

test("the parts that leave out everything are named alone, and a name that no run has is found", () => {
  const { parts } = parseLoose("optimizer = adam and val_acc > 0.9 and status = killed");
  const text = (part) => "optimizer = adam and val_acc > 0.9 and status = killed".slice(part.from, part.to);
  assert.deepEqual(excluding(TABLE, parts).map(text), ["val_acc > 0.9", "status = killed"]);
  assert.deepEqual(nearest(parts, namesOf(TABLE)).map(({ name, like }) => [name, like]), [["val_acc", ["val/accuracy"]]]);
});

test("a part is taken away with the word that joined it", () => {
  const cut = (text, part) => withoutPart(text, { from: text.indexOf(part), to: text.indexOf(part) + part.length });
  assert.equal(cut("a = 1 and b = 2 and c = 3", "b = 2"), "a = 1 and c = 3");
  assert.equal(cut("a = 1 and b = 2", "a = 1"), "b = 2");
  assert.equal(cut("a = 1 or b = 2", "b = 2"), "a = 1");
  assert.equal(cut("word", "word"), "");
});

test("every figure of a metric has a column, whose key the switch can make", () => {
  const columns = columnsOf(TABLE).filter(({ kind }) => kind === "metrics");
  assert.deepEqual(columns.map(({ key }) => key), ["metrics.val/accuracy", "metrics.val/accuracy.max"]);
  assert.equal(keyWith(columns[0], "max"), columns[1].key);
  assert.equal(keyWith(columns[1], "last"), columns[0].key);
});

/** One run of the answer, as a server tells of what changed. */
function changed(id, more = {}) {
  const next = answer();
  const few = Object.fromEntries(Object.entries(next).map(([name, column]) => [name, Array.isArray(column) ? column.slice(0, 1) : column]));
  return { ...few, ids: [id], params: {}, metrics: {}, changed: [id], ...more };
}

test("a run that got its first metric is told as a new column, once somebody looks", () => {
  const news = new News({});
  const table = new Table(answer());
  news.take(patch(table, changed("r0", { metrics: { val_f1: { last: [0.5] } } })));
  news.tell(() => false);
  assert.deepEqual([news.button.hidden, news.button.textContent, news.isElsewhere], [false, "New columns – update", true]);
  const other = new Table({ ...answer(), omitted: { params: [], metrics: ["val_f1"] } });
  assert.equal(patch(other, changed("r0", { metrics: { val_f1: { last: [0.5] } } })).hasColumns, false);
  assert.equal(patch(table, changed("strange", { metrics: { val_f1: { last: [0.5] } } })).hasColumns, false);
});

test("a run that is brought back is no deleted one, and one that went before it was shown is no new one", () => {
  const news = new News({});
  const table = new Table(answer());
  const empty = { ids: [], names: [], experiments: {} };
  news.take(patch(table, changed("r0", { ...empty, changed: ["r0"] })));
  news.take(patch(table, changed("strange")));
  assert.deepEqual([[...news.gone], [...news.fresh.keys()]], [["r0"], ["strange"]]);
  news.take(patch(table, changed("r0")));
  news.take(patch(table, changed("x", { ...empty, changed: ["strange"] })));
  assert.deepEqual([news.gone.size, news.fresh.size, news.isElsewhere], [0, 0, false]);
});

test("a server that was started anew tells of all runs, and so of those that went meanwhile", () => {
  const table = new Table(answer());
  const others = table.data.ids.filter((id) => id !== "r0");
  assert.deepEqual(patch(table, changed("r0", { changed: null, next: null })).gone, others);
  assert.deepEqual(patch(table, changed("r0", { changed: null, next: "t1.1" })).gone, []);
});

test("an experiment that was renamed is called so in the rows that are there", () => {
  const table = new Table(answer());
  const [id] = table.data.experiment;
  patch(table, changed(table.data.ids[0], { experiments: { [id]: "renamed" } }));
  assert.deepEqual(table.column({ kind: "attribute", name: "experiment" })(0), [id, "renamed"]);
});

test("what came and what went is told apart from what changed", () => {
  const table = new Table({ ...answer(), generation: "1" });
  const next = answer();
  const few = Object.fromEntries(Object.entries(next).map(([name, column]) => [name, Array.isArray(column) ? column.slice(0, 1) : column]));
  const told = { ...few, names: ["other"], params: { optimizer: ["lion"] }, metrics: {}, changed: ["r0", "r7", "unknown"] };
  const found = patch(table, told);
  assert.equal(table.data.names[0], "other");
  assert.equal(table.data.params.optimizer[0], "lion");
  assert.deepEqual(found.gone, ["r7"]);
  assert.deepEqual(found.strange, []);
});
