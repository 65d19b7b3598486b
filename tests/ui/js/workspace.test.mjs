import assert from "node:assert/strict";
import { test } from "node:test";

import { batches, changesOf, chosenOf, drawnOf, DRAWN, matching, MOST_DRAWN, sectionsOf } from "../../../podstack/server/ui/static/workspace/choices.js";
import { Curves } from "../../../podstack/server/ui/static/workspace/curves.js";

const IDS = Array.from({ length: 80 }, (_, at) => `run-${at}`);
const RUNS = { id: ["a1", "b2", "c3"], name: ["Swift fox", "slow fox", "<b>"], status: ["running", "failed", "completed"], user: ["ann", null, "bob"] };

test("before one chooses the first ten runs are drawn, and none where one chose none", () => {
  assert.deepEqual(drawnOf(IDS, null), IDS.slice(0, DRAWN));
  assert.deepEqual(drawnOf(IDS, []), []);
});

test("chosen runs are drawn in the order of the rail, without those that are gone, and not too many", () => {
  assert.deepEqual(drawnOf(IDS, ["run-7", "gone", "run-2"]), ["run-2", "run-7"]);
  assert.equal(drawnOf(IDS, IDS).length, MOST_DRAWN);
});

test("a choice that cannot be read is no choice", () => {
  assert.deepEqual(chosenOf('["a"]'), ["a"]);
  assert.deepEqual(chosenOf("[]"), []);
  for (const text of [null, "", "[", "3", "[1]", "{}"]) assert.equal(chosenOf(text), null);
});

test("a search finds runs that hold every word in their name, id, status or user", () => {
  assert.deepEqual(matching(RUNS, "FOX"), [0, 1]);
  assert.deepEqual(matching(RUNS, "fox ann"), [0]);
  assert.deepEqual(matching(RUNS, "c3"), [2]);
  assert.deepEqual(matching(RUNS, ""), [0, 1, 2]);
});

test("sections follow the prefix, loose names come first, and a filter may be half an expression", () => {
  const names = ["train/loss", "lr", "val/loss", "train/acc", "/odd"];
  assert.deepEqual([...sectionsOf(names)], [["Metrics", ["lr", "/odd"]], ["train", ["train/loss", "train/acc"]], ["val", ["val/loss"]]]);
  assert.deepEqual([...sectionsOf(names, "^(train|val)/LOSS$").keys()], ["train", "val"]);
  assert.deepEqual([...sectionsOf(names, "(").keys()], []);
  assert.deepEqual([...sectionsOf(names, "loss", ["val/loss", "gone"])], [["Pinned", ["val/loss"]], ["train", ["train/loss"]]]);
});

test("batches hold all and none twice", () => {
  assert.deepEqual(batches([1, 2, 3, 4, 5], 2), [[1, 2], [3, 4], [5]]);
  assert.deepEqual(batches([], 2), []);
});

test("only what differs from the usual goes into the address", () => {
  assert.deepEqual(changesOf({ x: "wall", zoom: [], runs: [] }, { x: "step", zoom: [], runs: null }), { x: "wall", zoom: null, runs: [] });
});

const buckets = (x, mean, count = x.map(() => 1)) => ({ x, time: x, mean, min: mean, max: mean, last: mean, count, odd: x.map(() => 0) });

function viewOf(group) {
  const values = { "params.opt": ["adam", "adam", "sgd"] };
  return {
    groupKey: `params.${group}`,
    drawn: ["a", "b", "c"], isGrouped: Boolean(group), colors: new Map([["a", { color: "#111111", dash: [] }]]),
    state: { x: "step", group, band: "minmax", zoom: [] }, nameOf: (id) => `name of ${id}`,
    compared: { ids: ["a", "b", "c"], places: new Map([["a", 0], ["b", 1], ["c", 2]]), values: (key, runs) => runs.map((at) => values[key][at]) },
  };
}

test("what was kept is new only where it has more points, or others in their place", () => {
  const curves = new Curves(viewOf(""));
  const answer = { a: { loss: buckets([0, 1], [3, 2]) } };
  assert.equal(curves.keep(["loss"], ["a"], answer), true);
  assert.equal(curves.keep(["loss"], ["a"], answer), false);
  assert.equal(curves.keep(["loss"], ["a"], { a: { loss: buckets([0, 1], [3, 1], [1, 2]) } }), true);
  assert.equal(curves.keep(["loss"], ["a"], { a: { loss: buckets([0, 1], [3, 0.5], [1, 2]) } }), true);
  assert.equal(curves.keep(["loss"], ["a"], {}), true);
  assert.equal(curves.keep(["loss"], ["a"], {}), false);
});

test("a curve has the name and colour of its run, and a run without the metric has none", () => {
  const curves = new Curves(viewOf(""));
  curves.keep(["loss"], ["a", "b", "c"], { a: { loss: buckets([0, 1], [3, 2]) } });
  assert.equal(curves.has("loss"), true);
  const [only, ...others] = curves.of("loss");
  assert.deepEqual([only.id, only.label, only.color, others.length], ["a", "name of a", "#111111", 0]);
});

test("groups are the mean of their runs with a band from the lowest to the highest", async () => {
  const curves = new Curves(viewOf("opt"));
  await curves.learnGrouping();
  curves.keep(["loss"], ["a", "b", "c"], { a: { loss: buckets([0, 1], [2, 4]) }, b: { loss: buckets([0, 1], [4, 8]) }, c: { loss: buckets([0, 1], [1, 1]) } });
  const [first, second] = curves.of("loss");
  assert.deepEqual([first.label, first.mean, first.min, first.max], ["adam (2)", [3, 6], [2, 4], [4, 8]]);
  assert.equal(second.label, "sgd (1)");
});

test("runs that were written since are asked for again, and only they", () => {
  const curves = new Curves(viewOf(""));
  curves.keep(["loss"], ["a", "b", "c"], { a: { loss: buckets([0, 1], [3, 2]) } });
  curves.forget(["b"]);
  assert.deepEqual([...curves.known.get("loss").keys()], ["a", "c"]);
  assert.equal(curves.has("loss"), false);
});

test("another zoom or joined axis forgets what is known, smoothing does not", () => {
  const view = viewOf("");
  const curves = new Curves(view);
  curves.settle();
  curves.keep(["loss"], ["a"], { a: { loss: buckets([0], [1]) } });
  view.state.smooth = 0.9;
  curves.settle();
  assert.equal(curves.known.size, 1);
  view.state.zoom = [1, 2];
  curves.settle();
  assert.equal(curves.known.size, 0);
});
