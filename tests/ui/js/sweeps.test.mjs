import assert from "node:assert/strict";
import { test } from "node:test";
import { lanes, spanOf } from "../../../podstack/server/ui/static/sweeps/lanes.js";
import { asPython, asYaml, python } from "../../../podstack/server/ui/static/sweeps/snippets.js";
import { gridSize, sweepOf } from "../../../podstack/server/ui/static/sweeps/form.js";

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

test("a snippet is Python: None, True and quoted texts", () => {
  assert.equal(python([null, true, 'a"b', 1e-5]), '[None, True, "a\\"b", 0.00001]');
  const made = asPython({ strategy: "grid", max_trials: null, parameters: { lr: { min: 0, max: 1 } } });
  assert.ok(made.includes('"lr": {"min": 0, "max": 1},'));
  assert.ok(!made.includes("max_trials"));
});

test("YAML keeps each argument on a line of its own", () => {
  assert.equal(asYaml({ strategy: "grid", seed: 3, pruner: "" }), 'strategy: "grid"\nseed: 3');
});

test("a form's texts become the arguments that the SDK takes", () => {
  const row = { name: " lr ", kind: "log_uniform", min: "1e-5", max: ".1", count: "", values: "" };
  const list = { name: "opt", kind: "categorical", values: "adam, sgd, 3, None", min: "", max: "", count: "" };
  assert.deepEqual(sweepOf({ strategy: "grid", target: "", max_trials: "20" }, [row, list, { ...row, name: "" }]), {
    strategy: "grid", max_trials: 20,
    parameters: { lr: { distribution: "log_uniform", min: 1e-5, max: 0.1 }, opt: { values: ["adam", "sgd", 3, null] } },
  });
});

test("a grid counts its lists, whole numbers and counted ranges, and no endless range", () => {
  const list = { values: [1, 2, 3] };
  assert.equal(gridSize({ a: list, b: { distribution: "int", min: 1, max: 4 }, c: { value: 7 } }), 12);
  assert.equal(gridSize({ a: list, b: { distribution: "uniform", min: 0, max: 1, count: 5 } }), 15);
  assert.equal(gridSize({ a: { distribution: "uniform", min: 0, max: 1 } }), null);
});
