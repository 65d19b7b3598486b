// What the Compare page reckons: axes, brushes, filters, ranks, importance, the diff of lines.
import assert from "node:assert/strict";
import { test } from "node:test";

const from = (name) => import(`../../../podstack/server/ui/static/compare/${name}.js`);
const { brushed, Compared, partOf, passes, same } = await from("data");
const { brushOf, dimension, position, stretches, valueAt } = await from("dimensions");
const { filterText } = await from("filter_text");
const { explained, pareto, ranks, spearman } = await from("statistics");
const { importance } = await from("importance");
const { folded, lineDiff, paired } = await from("line_diff");

function compared(columns = {}) {
  const count = columns.count ?? 4;
  const ids = Array.from({ length: count }, (_, at) => `run-${at}`);
  return new Compared({
    runs: { id: ids, name: ids, status: ids.map(() => "completed") },
    params: columns.params ?? { lr: [0.1, 0.2, 0.3, 0.4], opt: ["a", "b", "a", null] },
    absent: columns.absent ?? { opt: [1] },
    equal_params: columns.params ? {} : { seed: 1 },
    digits: columns.digits ?? [],
    metrics: columns.metrics ?? {
      loss: { last: [2, 3, "NaN", null], min: [1, 2, "NaN", null], max: [9, 9, "NaN", null] },
      speed: { last: [5, 5, 5, 5], min: [1, 1, 1, 1], max: [6, 6, 6, 6] },
    },
    directions: { loss: "minimize", speed: null },
    objective: columns.objective === undefined ? "loss" : columns.objective,
    more_params: 0, more_metrics: 0,
  });
}

test("a metric stands for its best value where its name says which way is better", () => {
  assert.deepEqual(compared().values("metrics.loss"), [1, 2, NaN, undefined]);
  assert.deepEqual(compared().values("metrics.speed"), [5, 5, 5, 5]);
  assert.equal(partOf("maximize", "last"), "last");
});

test("an absent parameter is not a null one, and an equal one has its value everywhere", () => {
  assert.deepEqual(compared().values("params.opt"), ["a", undefined, "a", null]);
  assert.deepEqual(compared().values("params.seed"), [1, 1, 1, 1]);
});

test("lists and dicts are the same by what is in them", () => {
  assert.ok(same({ a: 1, b: [2] }, { b: [2], a: 1 }));
  assert.ok(same(NaN, NaN));
  assert.ok(!same(true, 1));
});

test("an axis is logarithmic past a factor of 100, and only above zero", () => {
  assert.equal(dimension("params.lr", [1e-5, 1e-4, 1e-3, 1e-2]).kind, "log");
  assert.equal(dimension("params.lr", [1, 2, 100]).kind, "linear");
  assert.equal(dimension("params.lr", [0, 1e-3, 1]).kind, "linear");
  assert.equal(dimension("params.lr", [-1, 0, 1000]).kind, "linear");
});

test("few numbers in many runs are categories in the order of numbers", () => {
  const axis = dimension("params.batch", [16, 128, 32, 16, 128, 32, 16, 16, 16]);
  assert.equal(axis.kind, "category");
  assert.deepEqual(axis.categories, [16, 32, 128]);
  assert.equal(dimension("params.batch", [16, 128, 32]).kind, "linear");
});

test("a metric with few values stays an axis of numbers", () => {
  assert.equal(dimension("metrics.acc", Array(30).fill(0.5).concat([0.6])).kind, "linear");
});

test("one value is constant, and many texts are too crowded to read", () => {
  assert.ok(dimension("params.x", [3, 3, undefined]).constant);
  assert.ok(dimension("params.x", Array.from({ length: 31 }, (_, at) => `text ${at}`)).crowded);
});

test("positions and values are each other's opposite on a log axis", () => {
  const axis = dimension("params.lr", [1e-5, 1e-3, 1e-1]);
  assert.ok(Math.abs(position(axis, 1e-3) - 0.5) < 1e-12);
  assert.ok(Math.abs(valueAt(axis, 0.5) - 1e-3) < 1e-12);
  assert.equal(position(axis, undefined), null);
  assert.equal(position(axis, NaN), null);
});

test("a brush over categories holds those in it", () => {
  const axis = dimension("params.opt", ["sgd", "adam", "lion"]);
  assert.deepEqual(brushOf(axis, 1, 0.4), { in: ["lion", "sgd"] });
  assert.equal(stretches(axis, { in: ["lion", "gone"] }).length, 1);
});

test("runs pass all brushes or none; what lacks the column passes none", () => {
  const data = compared();
  assert.deepEqual(brushed(data, data.all, { "params.lr": [0.15, 0.4] }), [1, 2, 3]);
  assert.deepEqual(brushed(data, data.all, { "params.lr": [0.1, 0.4], "params.opt": { in: ["a"] } }), [0, 2]);
  assert.ok(!passes([0, 1], undefined));
  assert.ok(!passes([0, 1], NaN));
});

test("brushes read as a filter of the expression language", () => {
  const brushes = { "params.lr": [0.1, 0.3], "metrics.loss": [1, 2], "params.opt": { in: ["it's", null] } };
  assert.equal(
    filterText(compared(), brushes, "status = completed"),
    "(status = completed) and params.lr >= 0.1 and params.lr <= 0.3 and metrics.loss.min >= 1 "
      + "and metrics.loss.min <= 2 and (params.opt = 'it\\'s' or params.opt is none)",
  );
  assert.equal(filterText(compared(), {}), "");
});

test("digits that stand for a number are written as one", () => {
  const seeds = ["9007199254740993", 7, "x", "12345678901234567891"];
  const told = compared({ params: { seed: seeds, tag: seeds }, digits: ["seed"], absent: {} });
  const filter = (name) => filterText(told, { [name]: { in: seeds.slice(0, 3) } });
  assert.equal(filter("params.seed"), "params.seed in (9007199254740993, 7, 'x')");
  assert.equal(filter("params.tag"), "params.tag in ('9007199254740993', 7, 'x')");
  assert.ok(!same(...seeds.slice(0, 1), "9007199254740992"));
});

test("names and values are quoted so that they cannot become syntax", () => {
  const filter = (name, value) => filterText(compared(), { [name]: { in: [value] } });
  assert.equal(filter("params.a`b or 1", "a\\' or 1=1"), "params.`a``b or 1` = 'a\\\\\\' or 1=1'");
  assert.equal(filter("params.and", true), "params.`and` = true");
  assert.equal(filter("params.opt.lr", [1, 2]), "params.`opt.lr` = '[1,2]'");
});

test("equal values share their rank", () => {
  assert.deepEqual(ranks([3, 1, 3, 2]), [3.5, 1, 3.5, 2]);
});

test("spearman is one for what only rises, and nothing for what does not vary", () => {
  assert.ok(Math.abs(spearman([1, 2, 3, 4], [1, 10, 100, 1000]) - 1) < 1e-12);
  assert.equal(spearman([1, 1, 1], [1, 2, 3]), null);
  assert.equal(spearman([1, NaN, 3], [1, 2, 3]), null);
});

test("the Pareto line holds what nothing else beats", () => {
  const points = [{ x: 1, y: 1 }, { x: 2, y: 3 }, { x: 3, y: 2 }, { x: 2, y: 1 }, { x: NaN, y: 9 }];
  assert.deepEqual(pareto(points, { x: "minimize", y: "maximize" }), [0, 1]);
  assert.deepEqual(pareto(points, { x: "maximize", y: "maximize" }), [1, 2]);
});

test("groups explain all, something, or nothing beyond chance", () => {
  assert.ok(explained(["a", "a", "b", "b", "c", "c"], [1, 2, 11, 12, 21, 22]) > 0.8);
  assert.equal(explained(["a", "b", "a", "b"], [1, 1, 2, 2]), 0);
  assert.equal(explained(["a", "a"], [1, 2]), 0);
});

/** A reckoner of numbers that are the same in every run of the test. */
function draws(seed) {
  let state = seed;
  return () => (state = (state * 16807) % 2147483647) / 2147483647;
}

test("importance finds the parameter that rises and falls, and not the idle one", () => {
  const next = draws(7);
  const lr = Array.from({ length: 120 }, () => 10 ** (-5 + 4 * next()));
  const idle = lr.map(() => next());
  const acc = lr.map((value) => 0.9 - 0.1 * (Math.log10(value) + 3) ** 2 + 0.01 * next());
  const data = compared({ count: 120, params: { idle, lr }, absent: {}, metrics: { acc: { last: acc, min: acc, max: acc } } });
  const { found, reason } = importance(data, data.all, "metrics.acc");
  assert.equal(reason, null);
  assert.equal(found[0].key, "params.lr");
  assert.ok(found[0].share > 0.7 && found[1].share < 0.15);
  assert.ok(Math.abs(found[0].r) < 0.4);
});

test("importance says why it has nothing to say", () => {
  assert.match(importance(compared(), [0, 1], "metrics.loss").reason, /needs 4 runs/);
});

const shown = (script) => script.map(({ kind, text }) => kind + text).join(" ");

test("a diff keeps what is equal and marks what went and came", () => {
  assert.equal(shown(lineDiff("a\nb\nc\nd", "a\nc\nx\nd")), "=a -b =c +x =d");
  assert.equal(shown(lineDiff("a", "b")), "-a +b");
  assert.equal(shown(lineDiff("a\nb", "a\nb")), "=a =b");
  assert.deepEqual(lineDiff("a\nb", "b").map(({ left, right }) => [left, right]), [[1, null], [2, 1]]);
});

test("a diff rebuilds both texts, whatever they are", () => {
  const next = draws(3);
  for (let round = 0; round < 200; round += 1) {
    const text = () => Array.from({ length: Math.floor(next() * 12) }, () => "abc"[Math.floor(next() * 3)]).join("\n");
    const [left, right] = [text(), text()];
    const script = lineDiff(left, right);
    assert.equal(script.filter(({ kind }) => kind !== "+").map(({ text }) => text).join("\n"), left);
    assert.equal(script.filter(({ kind }) => kind !== "-").map(({ text }) => text).join("\n"), right);
  }
});

test("far from a change lines are folded", () => {
  const lines = Array.from({ length: 30 }, (_, at) => `line ${at}`);
  const script = folded(lineDiff(lines.join("\n"), [...lines, "new"].join("\n")));
  assert.deepEqual(script[0], { kind: "…", lines: 27 });
  assert.equal(script.at(-1).text, "new");
});

test("a line that was changed is one that differs, on both sides of one row", () => {
  const rows = paired(lineDiff("a\nb\nc", "a\nB\nc\nd"));
  assert.deepEqual(rows.map(({ left, right }) => [left?.text, right?.text]), [["a", "a"], ["b", "B"], ["c", "c"], [undefined, "d"]]);
  assert.equal(rows.filter(({ isChanged }) => isChanged).length, 2);
});

const { grouped } = await from("grouping");

test("a group is the mean of its runs, each from its first point to its last", () => {
  const found = grouped([{ x: [0, 2], mean: [0, 2] }, { x: [0, 1], mean: [4, 4] }]);
  assert.deepEqual(found.x, [0, 1, 2]);
  assert.deepEqual(found.mean, [2, 2.5, 2]);
  assert.deepEqual(found.min, [0, 1, 2]);
  assert.deepEqual(found.max, [4, 4, 2]);
  assert.deepEqual(found.count, [2, 2, 1]);
});

test("a band of standard deviations lies on both sides of the mean", () => {
  const found = grouped([{ x: [0], mean: [1] }, { x: [0], mean: [3] }], "std");
  assert.deepEqual([found.min[0], found.mean[0], found.max[0]], [1, 2, 3]);
});

test("what is no number is left out of a group, and no points are no curve", () => {
  assert.deepEqual(grouped([{ x: [0, 1], mean: [NaN, 3] }]).x, [1]);
  assert.deepEqual(grouped([{ x: [], mean: [] }]).x, []);
});

const { DEFAULTS, View } = await from("view");

const FIGURES = { last: [2, 3, 4, 5], min: [1, 2, 3, 4], max: [9, 9, 9, 9] };

function view(state = {}, columns = {}) {
  const written = [];
  const made = new View({ ...structuredClone(DEFAULTS), ...state }, (changes) => written.push(changes));
  const data = compared(columns);
  const answer = {
    runs: data.runs, params: columns.params ?? data.params, absent: columns.absent ?? { opt: [1] },
    equal_params: { seed: 1 }, directions: { loss: "minimize", speed: null }, missing: [],
    metrics: columns.metrics ?? { loss: FIGURES, speed: FIGURES }, objective: data.objective,
    more_params: 0, more_metrics: 0, total: 4,
  };
  made.load(answer);
  return { made, written, answer };
}

test("a hidden run is in no chart, and the strip keeps its order", () => {
  const { made } = view({ runs: ["run-2", "run-0", "run-1", "run-3"], hide: ["run-2"] });
  assert.deepEqual(made.ordered, [2, 0, 1, 3]);
  assert.deepEqual(made.visible, [0, 1, 3]);
  assert.equal(made.baseline, 0);
});

test("curves are told which runs have grown: all of them by a server that was started anew", () => {
  const { made, answer } = view();
  const told = [];
  made.onGrowth((ids) => told.push(ids));
  made.take({ ...answer, changed: ["run-1"] });
  made.take({ ...answer, changed: null });
  assert.deepEqual(told, [["run-1"], ["run-0", "run-1", "run-2", "run-3"]]);
});

test("a brush selects, tells who listens to it, and goes into the link", () => {
  const { made, written } = view();
  const drawn = [];
  made.on(["brush"], ({ selected }) => drawn.push(selected.length));
  made.on(["base"], () => drawn.push("base"));
  made.change({ brush: { "params.lr": [0.1, 0.2] } });
  assert.deepEqual(drawn, [4, "base", 2]);
  assert.deepEqual(written, [{ brush: { "params.lr": [0.1, 0.2] } }]);
});

test("the axes are what differs with the objective last, and do not move with a brush", () => {
  const { made } = view();
  assert.deepEqual(made.axes, ["params.lr", "params.opt", "metrics.loss"]);
  made.change({ brush: { "params.opt": { in: ["a"] } } });
  assert.deepEqual(made.axes, ["params.lr", "params.opt", "metrics.loss"]);
});

test("the objective is the one of the link, else the one that the server says", () => {
  assert.equal(view({ obj: "speed" }).made.objective, "metrics.speed");
  assert.equal(view({ obj: "gone" }).made.objective, "metrics.loss");
  assert.equal(view({}, { objective: "speed" }).made.objective, "metrics.speed");
  assert.equal(view({}, { objective: null }).made.objective, null);
  assert.equal(view({}, { metrics: {} }).made.objective, null);
});

const { bestOf, deltaOf, deltaText } = await from("deltas");
const plus = (value) => (value < 0 ? `−${-value}` : `+${value}`);

test("a delta says in a word whether it is good", () => {
  assert.equal(deltaOf(1, 2, "minimize").word, "better");
  assert.equal(deltaOf(1, 2, "maximize").word, "worse");
  assert.equal(deltaOf(2, 2, "maximize").word, "same");
  assert.equal(deltaOf(1, 2, null).word, "");
  assert.equal(deltaText(deltaOf(3, 2, "maximize"), plus), "+1 (+50.0 %) better");
  assert.equal(deltaText(deltaOf(3, 0, null), plus), "+3");
});

test("there is no delta to what is missing or no number", () => {
  assert.equal(deltaOf(null, 2, "minimize"), null);
  assert.equal(deltaOf(1, NaN, "minimize"), null);
  assert.equal(deltaOf(Infinity, 1, "minimize"), null);
});

test("the best are all that share it, and nobody where all are alike", () => {
  assert.deepEqual(bestOf([1, 3, null, 3, NaN], "maximize"), new Set([1, 3]));
  assert.deepEqual(bestOf([2, 2], "maximize"), new Set());
  assert.deepEqual(bestOf([1, 2], null), new Set());
});

test("one tiny value does not make an even axis logarithmic", () => {
  assert.equal(dimension("params.dropout", [0.001, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5]).kind, "linear");
});

test("rows are sorted by a column, the baseline first and what lacks it last", () => {
  const { made } = view({ sort: "-params.opt", base: "run-2" });
  assert.deepEqual(made.rows, [2, 3, 0, 1]);
  made.change({ sort: "metrics.loss" });
  assert.deepEqual(made.rows, [2, 0, 1, 3]);
});

test("a panel out of sight is drawn once it comes", () => {
  const { made } = view();
  const host = {};
  let drawn = 0;
  made.on(["base"], () => (drawn += 1), host);
  made.change({ base: "run-1" });
  assert.equal(drawn, 0);
  made.see(host, true);
  made.see(host, true);
  assert.equal(drawn, 1);
});


test("a brush up to the end of an axis holds the run at the end", () => {
  const axis = dimension("metrics.acc", [0.123456, 0.3, 0.57000000001]);
  const brush = brushOf(axis, 0, 1);
  assert.deepEqual(brush, [0.1234, 0.5701]);
  assert.ok(passes(brush, 0.57000000001) && passes(brush, 0.123456));
  assert.deepEqual(brushOf(dimension("params.x", [-5, -2, 0]), 0, 1), [-5, 0]);
  const sum = 0.5 + 0.07 + 0.004; // a little more than 0.574
  assert.ok(brushOf(dimension("metrics.acc", [0.5, 0.51, sum]), 0, 1)[1] >= sum);
});

const { groupsOf } = await from("grouping");

test("groups stand in the order of their values, and every run is in one", () => {
  const lr = [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2];
  const { made } = view({}, { count: 8, params: { lr }, absent: {}, metrics: {} });
  const groups = groupsOf(made, "params.lr", [7, 6, 5, 4, 3, 2, 1, 0]);
  assert.deepEqual([...groups.keys()], ["1e-5 – 1e-4", "1e-4 – 0.001", "0.001 – 0.01", "from 0.01"]);
  assert.deepEqual([...groups.values()], [[1, 0], [3, 2], [5, 4], [7, 6]]);
});

test("a run without the parameter is a group of its own", () => {
  const { made } = view();
  assert.deepEqual([...groupsOf(made, "params.opt", [0, 1, 2, 3])], [["a", [0, 2]], ["null", [3]], ["—", [1]]]);
});

const { bestGroup, middleOfBest, verdict } = await from("verdict");

function told(share, runs = 30, more = {}) {
  const values = { "params.lr": [1, 2, 3, 4, 5], "params.opt": ["a", "a", "b", "b", "b"], "metrics.acc": [0.1, 0.2, 0.9, 0.8, 0.7] };
  const compared = { value: (key, run) => values[key][run] };
  const found = [{ key: "params.lr", share, r: 0.4, kind: "linear", runs }];
  return { compared, importance: { found, runs }, objective: "metrics.acc", direction: "maximize", selected: [0, 1, 2, 3, 4], ...more };
}

test("what mattered is said in words, with where it is best and how sure that is", () => {
  assert.equal(verdict(told(0.8)).text, "lr explains most of acc (80 %), best near 3");
  assert.deepEqual([verdict(told(0.8)).doubt, verdict(told(0.8, 6)).doubt], ["", "low confidence: 6 runs"]);
  assert.match(verdict(told(0.3)).text, /explains much of/);
  assert.match(verdict(told(0.3, 30, { direction: undefined })).text, /highest near 3/);
});

test("where nothing explains the objective, no best place is told", () => {
  assert.equal(verdict(told(0.02)).text, "No parameter explains much of acc: lr most, 2 %");
  assert.match(verdict(told(0)).text, /^No parameter explains acc more than chance would$/);
  assert.equal(verdict(told(0.5, 30, { objective: null })), null);
});

test("the best of categories is the one whose runs rank best, the best of numbers the middle of the best fifth", () => {
  const { compared } = told(1);
  assert.equal(bestGroup(compared, [0, 1, 2, 3, 4], "params.opt", "metrics.acc", "maximize"), "b");
  assert.equal(bestGroup(compared, [0, 1, 2, 3, 4], "params.opt", "metrics.acc", "minimize"), "a");
  assert.equal(middleOfBest(compared, [0, 1, 2, 3, 4], "params.lr", "metrics.acc", "minimize"), 1);
});
