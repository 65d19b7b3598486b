import assert from "node:assert/strict";
import { test } from "node:test";
import { axisTicks } from "../../../podstack/server/ui/static/charts/axis_ticks.js";
import { bestCell, nearestSpot } from "../../../podstack/server/ui/static/charts/heatmap.js";
import { axisOf } from "../../../podstack/server/ui/static/sweeps/axes.js";
import { gridSize, listOf, nested, oddNumbers, rowOf, sweepOf, textOf, twins, parameterOf } from "../../../podstack/server/ui/static/sweeps/form.js";
import { lanes, spanOf } from "../../../podstack/server/ui/static/sweeps/lanes.js";
import { shapeOf } from "../../../podstack/server/ui/static/sweeps/preview.js";
import { asPython, asYaml, python, shell } from "../../../podstack/server/ui/static/sweeps/snippets.js";
import { leaves } from "../../../podstack/server/ui/static/sweeps/leaves.js";
import { likeOf } from "../../../podstack/server/ui/static/sweeps/like.js";
import { merged, parts, seconds, sorted, specOf, statusOf } from "../../../podstack/server/ui/static/sweeps/trials.js";

const AT = { address: "http://here", project: "default" };
const trial = (number, worker, started, ended) => ({ number, worker, started, ended });

test("trials of one worker that overlap stand in two rows", () => {
  const [only] = lanes([trial(1, "a", 0, 5), trial(2, "a", 3, 6), trial(3, "a", 5, 9)], 10);
  assert.deepEqual(only.rows.map((row) => row.map((one) => one.trial.number)), [[1, 3], [2]]);
});

test("a trial that runs reaches until now, and one that never began is not drawn", () => {
  const found = lanes([trial(1, "a", 2, null), trial(2, "b", null, null)], 10);
  assert.equal(found.length, 1);
  assert.deepEqual(spanOf(found), [2, 10]);
  assert.deepEqual(spanOf([]), [0, 1]);
});

test("a snippet is Python: None, True, quoted texts and short numbers", () => {
  assert.equal(python([null, true, 'a"b', 1e-5, 0.25]), '[None, True, "a\\"b", 1e-5, 0.25]');
  const made = asPython({ strategy: "grid", max_trials: null, objective_metric: "loss", parameters: { lr: { min: 0, max: 1 }, m: { d: { value: 1 } } } }, AT);
  assert.ok(made.includes('"lr": {"min": 0, "max": 1},'));
  assert.ok(made.includes('"m": {\n            "d": {"value": 1},\n        },'));
  assert.ok(!made.includes("max_trials"));
});

test("YAML has a line for each argument, a block for groups, and quotes what is no plain word", () => {
  const sweep = { strategy: "grid", seed: 3, pruner: "", objective_metric: "loss", direction: "minimize", parameters: { lr: { min: 1e-5, max: 1 }, model: { act: { values: ["no", "a: b", null] } } } };
  assert.equal(asYaml(sweep), "strategy: grid\nseed: 3\nobjective: {metric: loss, direction: minimize}\nparameters:\n"
    + '  lr: {min: 1e-5, max: 1}\n  model:\n    act: {values: ["no", "a: b", null]}\n');
  assert.ok(asYaml({ name: "a\u2028b\x9f", parameters: {} }).includes('"a\\u2028b\\u009f"'));
});

test("a word of a command is quoted where a shell would read it otherwise", () => {
  assert.equal(shell("http://a:1"), "http://a:1");
  assert.equal(shell("it's $HOME"), `'it'"'"'s $HOME'`);
});

test("a form's texts become the arguments that the SDK takes", () => {
  const row = { name: " lr ", kind: "log_uniform", min: "1e-5", max: ".1", count: "" };
  const list = { name: "model/opt", kind: "categorical", values: 'adam, "a, b", 3, "4", None', when: "arch", is: "cnn, mlp" };
  assert.deepEqual(sweepOf({ strategy: "grid", target: "", max_trials: "20", seed: "x" }, [row, list, { ...row, name: "" }]), {
    strategy: "grid", max_trials: 20,
    parameters: {
      lr: { distribution: "log_uniform", min: 1e-5, max: 0.1 },
      model: { opt: { values: ["adam", "a, b", 3, "4", null], when: { arch: ["cnn", "mlp"] } } },
    },
  });
  assert.deepEqual(oddNumbers({ seed: "x", target: "1e-3" }), { seed: "x is no number." });
});

test("names are names: __proto__ is a parameter, and below a parameter nothing is merged", () => {
  const made = nested([["__proto__", { value: 1 }], ["a", { value: 2 }], ["a/b", { value: 3 }]]);
  assert.deepEqual(Object.keys(made), ["__proto__", "a", "a/b"]);
  assert.deepEqual(made.a, { value: 2 });
  assert.equal({}.value, undefined);
});

test("a parameter becomes the texts that say the same", () => {
  for (const spec of [
    { distribution: "log_uniform", min: 1e-5, max: 0.1, count: 5 }, { values: ["a", "b,c", "7", 7, true, null] }, { value: "x" },
    { distribution: "normal", mu: 0, sigma: 2.5 }, { distribution: "int", min: 1, max: 8, when: { arch: ["cnn"] } },
  ]) assert.deepEqual(parameterOf(rowOf("p", spec)), spec);
  assert.deepEqual(listOf("1e-4, 'a', b c,"), [1e-4, "a", "b c"]);
  assert.equal(textOf("None"), '"None"');
});

test("a grid counts its lists, whole numbers and counted ranges exactly, and no endless range", () => {
  const list = { name: "a", kind: "categorical", values: "1, 2, 2, 3" };
  const range = { name: "b", kind: "uniform", min: "0", max: "1" };
  assert.equal(gridSize([list, { name: "n", kind: "int", min: "1", max: "4" }, { name: "c", kind: "constant", value: "7" }, { name: "", kind: "uniform" }]), 12n);
  assert.equal(gridSize([list, { ...range, count: "5" }]), 15n);
  assert.equal(gridSize([range]), null);
  assert.equal(gridSize([{ ...list, when: "x", is: "1" }]), null);
  assert.equal(gridSize(Array.from({ length: 60 }, (_, at) => ({ name: `p${at}`, kind: "categorical", values: "a,b,c" }))), 3n ** 60n);
});

test("a second parameter of a name is told, at its own row", () => {
  assert.deepEqual(twins([{ name: "lr" }, { name: " lr" }, { name: "" }, { name: "" }]), { 1: "lr is there already." });
});

test("a preview says what is drawn: bars of few values, marks of decades, nothing of nonsense", () => {
  assert.equal(shapeOf({ distribution: "int", min: 1, max: 8 }).heights.length, 8);
  assert.deepEqual(shapeOf({ values: ["a", "b"], probabilities: [0.25, 0.75] }).heights, [1 / 3, 1]);
  const log = shapeOf({ distribution: "log_uniform", min: 1e-4, max: 1 });
  assert.match(log.words, /half of the draws below 0\.01/);
  assert.ok(log.marks.some(({ text }) => text === "0.01"));
  assert.ok(shapeOf({ distribution: "normal", mu: 1, sigma: 2 }).heights.length > 20);
  for (const odd of [{ distribution: "log_uniform", min: 0, max: 1 }, { distribution: "uniform", min: 2, max: 1 }, { values: [] }, { distribution: "uniform", min: "a", max: 1 }]) assert.equal(shapeOf(odd), null);
});

test("trials are sorted by any column, what is missing last, in either order", () => {
  const make = (number, value, params = {}) => ({ number, value, params, status: value === null ? "failed" : "completed", pruned: false, started: 0, ended: number });
  const all = [make(1, 0.5, { o: "sgd" }), make(2, null), make(3, "NaN"), make(4, 0.1, { o: "adam" }), make(5, "Infinity")];
  assert.deepEqual(sorted(all, "value", 9).map(({ number }) => number), [4, 1, 5, 2, 3]);
  assert.deepEqual(sorted(all, "-value", 9).map(({ number }) => number), [5, 1, 4, 3, 2]);
  assert.deepEqual(sorted(all, "p:o", 9).map(({ number }) => number), [4, 1, 2, 3, 5]);
  assert.equal(seconds({ started: 3, ended: null }, 10), 7);
});

test("a sweep's trials are counted by what became of them, each once", () => {
  const counts = { completed: 5, pruned: 2, failed: 1, killed: 0, running: 1, total: 10 };
  assert.deepEqual(Object.fromEntries(parts(counts)), { completed: 3, pruned: 2, failed: 1, killed: 0, running: 1, left: 3 });
  assert.equal(Object.fromEntries(parts({ ...counts, total: null })).left, 0);
});

test("a parameter is found by its whole name, in groups or with a slash of its own", () => {
  const space = { "a/b": { value: 1 }, m: { depth: { distribution: "int", min: 1, max: 2 }, min: { value: 3 } } };
  assert.deepEqual(specOf(space, "a/b"), { value: 1 });
  assert.deepEqual(specOf(space, "m/min"), { value: 3 });
  assert.equal(specOf(space, "m/nothing"), null);
  assert.deepEqual(leaves(space).map(([name]) => name), ["a/b", "m/depth", "m/min"]);
});

test("the keyboard finds the best cell, and the trial that is nearest to it", () => {
  const rows = [[null, 1, 3], [2, 5, null]];
  assert.deepEqual(bestCell(rows, false), [1, 1]);
  assert.deepEqual(bestCell(rows, true), [1, 0]);
  assert.deepEqual(nearestSpot([[0, 0, 1, 7], [1, 1, 2, 8]], 0.9, 0.6), [1, 1, 2, 8]);
  assert.equal(nearestSpot([], 0, 0), null);
});

test("a list is an axis of categories in its own order, however few trials there are", () => {
  const sweep = { parameters: { n: { distribution: "categorical", values: [1, 2, "1"] }, lr: { distribution: "log_uniform", min: 1e-4, max: 1 } } };
  assert.deepEqual(axisOf(sweep, "n", ["1", undefined, 1]).categories, [1, "1"]);
  assert.equal(axisOf(sweep, "lr", [0.1, 0.2]).kind, "log");
});

test("what is new of a sweep is merged into what is known, in the order of numbers", () => {
  const known = { whole: true, cursor: "a", status: "running", parameters: { x: {} }, trials: [{ number: 1, value: 1 }, { number: 3, value: null }] };
  const now = merged(known, { whole: false, cursor: "b", status: "stopped", trials: [{ number: 3, value: 2 }, { number: 2, value: 5 }] });
  assert.deepEqual(now.trials.map(({ number, value }) => [number, value]), [[1, 1], [2, 5], [3, 2]]);
  assert.deepEqual([now.cursor, now.status, now.parameters], ["b", "stopped", { x: {} }]);
  assert.equal(merged(known, null), known);
  assert.deepEqual(merged(known, { whole: true, trials: [] }).trials, []);
});

const LIKE = { strategy: "random", objective: { metric: "loss", direction: "minimize" }, max_trials: 40, stopping: { target: 1e-4, patience: null, max_time: 3600 }, pruner: "median", seed: 3, options: {}, warm: 0, floats: [] };

test("a sweep fills the form with what makes the same one", () => {
  const parameters = { lr: { distribution: "log_uniform", min: 1e-5, max: 0.1 }, model: { act: { distribution: "categorical", values: ["relu", "a, b", null, true] } },
    momentum: { distribution: "uniform", min: 0, max: 0.9, count: 4, when: { "model/act": ["relu"] } }, epochs: { distribution: "constant", value: 5 } };
  const { fields, rows, lost } = likeOf({ ...LIKE, parameters });
  const { parameters: made, ...rest } = sweepOf({ name: "", seed: "", ...fields }, rows.map((row) => ({ when: "", is: "", ...row })));
  assert.deepEqual(rest, { strategy: "random", objective_metric: "loss", direction: "minimize", pruner: "median", max_trials: 40, max_time: 3600, target: 1e-4 });
  assert.deepEqual(made.lr, parameters.lr);
  assert.deepEqual(made.model.act.values, ["relu", "a, b", null, true]);
  assert.deepEqual(made.momentum, parameters.momentum);
  assert.equal(made.epochs.value, 5);
  assert.deepEqual(lost, ["The seed is left open; with its own, 3, the same trials would be drawn again."]);
});

test("what the form cannot say of a sweep is said", () => {
  const parameters = { a: { distribution: "categorical", values: ["it's, \"x\"", "b"] }, b: { distribution: "uniform", min: 0, max: 1 } };
  const { lost } = likeOf({ ...LIKE, parameters, strategy: "bayesian", options: { sampler: "gp" }, warm: 12, floats: ["c"], stopping: { target: "Infinity" } });
  assert.equal(lost.length, 6);
  assert.match(lost.join("\n"), /sampler gp[^]*12 earlier results[^]*Infinity[^]*c: whole numbers[^]*seed is left open[^]*a: values cannot be written/);
});

test("a trial that nobody has any more waits: it takes no time and is on no worker's lane", () => {
  const left = { number: 2, status: "running", worker: "", started: 3, ended: null };
  const [one] = [{ number: 1, status: "running", worker: "w", started: 3, ended: null }];
  assert.deepEqual([statusOf(left), statusOf(one)], ["waiting", "running"]);
  assert.deepEqual([seconds(left, 9), seconds(one, 9)], [null, 6]);
  assert.equal(lanes([left, one], 9).length, 1);
  assert.equal(lanes([{ ...left, ended: 5 }], 9).length, 1);
});

test("an axis of whole numbers is marked at whole numbers", () => {
  assert.deepEqual(axisTicks({ kind: "linear", lo: 1, hi: 3, isWhole: true }, 5).map(({ text }) => text), ["1", "2", "3"]);
  assert.equal(axisTicks({ kind: "linear", lo: 1, hi: 3 }, 5).length, 5);
  const sweep = { parameters: { depth: { distribution: "int", min: 1, max: 8 }, lr: { distribution: "uniform", min: 0, max: 1 } } };
  assert.deepEqual(["depth", "lr"].map((name) => axisOf(sweep, name, [1, 2]).isWhole), [true, false]);
});
