import assert from "node:assert/strict";
import { test } from "node:test";

import { csvOf } from "../../../podstack/server/ui/static/charts/table_file.js";
import { linkTo } from "../../../podstack/server/ui/static/workspace/choices.js";
import { extent, flagGroups, flagPlaces, nearest, placed, shareOf, smoothed, tableOf, valueAt, windowOf, yRange } from "../../../podstack/server/ui/static/charts/curve.js";
import { cutsOf } from "../../../podstack/server/ui/static/charts/line_paint.js";
import { sparkPath } from "../../../podstack/server/ui/static/charts/spark.js";
import { SvgContext } from "../../../podstack/server/ui/static/charts/svg.js";
import { numberText, ticks } from "../../../podstack/server/ui/static/charts/ticks.js";

const near = (found, wanted, room = 1e-9) => assert.ok(Math.abs(found - wanted) <= room, `${found} is not ${wanted}`);
const ones = (count) => Array.from({ length: count }, () => 1);

function pointwise(values, weight) {
  let [mean, share] = [0, 0];
  return values.map((value) => {
    mean = weight * mean + (1 - weight) * value;
    share = weight * share + (1 - weight);
    return mean / share;
  });
}

test("smoothing points one by one is the exponential mean without its bias", () => {
  const values = [3, 1, 4, 1, 5, 9, 2, 6];
  smoothed(values, ones(8), 0.8).forEach((value, at) => near(value, pointwise(values, 0.8)[at]));
});

test("buckets of equal points smooth to what the points would at their ends", () => {
  const points = [1, 1, 1, 1, 5, 5, 5, 5, 2, 2, 2, 2];
  const exact = pointwise(points, 0.9);
  smoothed([1, 5, 2], [4, 4, 4], 0.9).forEach((value, at) => near(value, exact[4 * at + 3]));
});

test("constants, one or two points and no weight are left alone, and a gap stays one", () => {
  for (const values of [[7, 7, 7, 7], [1, 2], [4], []]) assert.equal(smoothed(values, ones(values.length), 0.9), values);
  const values = [1, NaN, 3, 4];
  assert.equal(smoothed(values, ones(4), 0), values);
  const found = smoothed(values, ones(4), 0.5);
  assert.ok(Number.isNaN(found[1]) && found.filter(Number.isFinite).length === 3);
});

test("the window of a weight is told in steps", () => {
  assert.equal(windowOf(0.9, { at: [0, 10, 20], count: [1, 1, 1] }), 100);
  assert.equal(windowOf(0.9, { at: [0, 10], count: [10, 10] }), 5);
  assert.equal(windowOf(0.5, { at: [3], count: [1] }), 2);
});

const series = (extra) => ({ id: "a", label: "a", x: [0, 10, 20], time: [100, 160, 220], mean: [1, "NaN", 3], min: [0, "NaN", 2], max: [2, "NaN", "Infinity"], count: [1, 1, 1], odd: [0, 1, 0], ...extra });

test("a series is placed by step, by the time since its run's start, or by the time of day", () => {
  assert.deepEqual(placed(series(), "step").at, [0, 10, 20]);
  assert.deepEqual(placed(series({ axis: "relative", x: [3600, 3660, 3720] }), "relative").at, [3600, 3660, 3720]);
  assert.deepEqual(placed(series(), "wall").at, [100, 160, 220]);
  assert.deepEqual(placed(series(), "step").max, [2, NaN, Infinity]);
});

const flat = (extra) => {
  const at = Array.from({ length: 200 }, (_, place) => place);
  return { at, line: at.map(() => 1), min: at.map(() => 0.9), max: at.map(() => 1.1), ...extra };
};

test("one spike of a band does not flatten the line, and fit all shows it", () => {
  const one = flat();
  one.max = one.max.map((value, at) => (at === 50 ? 1e6 : value));
  assert.ok(yRange([one], [0, 199])[1] < 2);
  assert.ok(yRange([one], [0, 199], { fitAll: true })[1] >= 1e6);
  assert.ok(yRange([one], [60, 199], { fitAll: true })[1] < 2);
});

test("a range of nothing finite is none, a constant has room, a log axis leaves out what is not above zero", () => {
  assert.equal(yRange([flat({ line: [NaN], at: [0], min: [NaN], max: [NaN] })], [0, 1]), null);
  const [lo, hi] = yRange([flat({ line: [5, 5], at: [0, 1], min: [5, 5], max: [5, 5] })], [0, 1]);
  assert.ok(lo < 5 && hi > 5);
  const log = yRange([flat({ line: [-1, 0, 10, 100], at: [0, 1, 2, 3], min: [-1, 0, 10, 100], max: [-1, 0, 10, 100] })], [0, 3], { isLog: true });
  assert.ok(log[0] > 5 && log[1] < 200);
  assert.ok(yRange([flat({ line: [-1.7e308, 1.7e308], at: [0, 1], min: [0, 0], max: [0, 0] })], [0, 1]).every(Number.isFinite));
});

test("the extent of one point has room, and of none is none", () => {
  assert.equal(extent([]), null);
  const [lo, hi] = extent([{ at: [7] }]);
  assert.ok(lo < 7 && hi > 7);
});

test("a share is the way back from a value, also on a log axis and for the largest numbers", () => {
  for (const [range, isLog] of [[[-3, 9], false], [[1e-5, 1e3], true]]) near(shareOf(valueAt(0.3, range, isLog), range, isLog), 0.3);
  near(shareOf(0, [-1.7e308, 1.7e308], false), 0.5);
  assert.ok(Number.isNaN(shareOf(-1, [1, 10], true)));
});

test("the nearest point is found, and none among none", () => {
  assert.equal(nearest([0, 10, 20], 14), 1);
  assert.equal(nearest([], 3), -1);
});

test("ticks lie within their axis, differ in words, and are few", () => {
  for (const range of [[0, 1], [1e6, 1e6 + 3], [-5e-7, 2e-7], [0, 1e15], [99.999, 100.001], [-1e300, 1e300]]) {
    const found = ticks(range, 5);
    assert.ok(found.length >= 2 && found.length <= 12, `${range}: ${found.length}`);
    assert.ok(found.every(({ value }) => value >= range[0] - 1e-9 * Math.abs(range[0]) && value <= range[1] + 1e-9 * Math.abs(range[1])));
    assert.equal(new Set(found.map(({ text }) => text)).size, found.length, JSON.stringify(found));
  }
  assert.deepEqual(ticks([3, 3], 5), []);
});

test("a log axis is marked at powers, times in the units people use", () => {
  assert.deepEqual(ticks([0.5, 2000], 5, "number", true).map(({ text }) => text), ["1", "10", "100", "1000"]);
  assert.deepEqual(ticks([0, 7200], 4, "relative").map(({ text }) => text), ["0", "30 min", "60 min", "90 min", "120 min"]);
  assert.equal(numberText(250000, 50000, 300000), "250k");
});

test("a table has a row for each x, and an empty cell where a run has no point there", () => {
  const one = { label: "one", at: [0, 2], mean: [1, 2] };
  const two = { label: "=two", at: [1, 2], mean: [3, NaN] };
  const table = tableOf([one, two], "step");
  assert.deepEqual(table.rows, [[0, 1, null], [1, null, 3], [2, 2, NaN]]);
  assert.equal(csvOf(table), "step,one,'=two\r\n0,1,\r\n1,,3\r\n2,2,NaN\r\n");
});

test("a cell with commas, quotes and lines stays one cell", () => {
  assert.equal(csvOf({ head: ['a,"b"\nc'], rows: [] }), '"a,""b""\nc"\r\n');
});

test("an SVG is whole, and holds texts as texts", () => {
  const ctx = new SvgContext(100, 50);
  ctx.save();
  ctx.beginPath();
  ctx.rect(0, 0, 10, 10);
  ctx.clip();
  ctx.beginPath();
  ctx.moveTo(0, 0);
  ctx.lineTo(5, 5);
  ctx.stroke();
  ctx.restore();
  ctx.fillText("<script>&", 1, 2);
  const text = ctx.text('"</title><script>');
  assert.equal(text.split("<g ").length, text.split("</g>").length);
  assert.ok(!text.includes("<script>") && text.includes("&#60;script&#62;"));
  assert.match(text, /<path d="M0 0L5 5"/);
});

test("a series whose x is in the units of the axis is placed by it", () => {
  assert.deepEqual(placed(series({ axis: "relative", x: [5, 65, 125] }), "relative").at, [5, 65, 125]);
  assert.deepEqual(placed(series({ axis: "relative", x: [5, 65, 125] }), "wall").at, [100, 160, 220]);
});

test("a flag stands at its step, its time, or on the point of its step over another metric", () => {
  const flags = [{ step: 10, time: 150, text: "a" }];
  assert.equal(flagPlaces(flags, placed(series(), "step"), "step")[0].x, 10);
  assert.equal(flagPlaces(flags, placed(series(), "wall"), "wall")[0].x, 150);
  assert.equal(flagPlaces(flags, placed(series({ axis: "relative", x: [5, 65, 125] }), "relative"), "relative")[0].x, 55);
  const over = placed(series({ axis: "acc", x: [0.1, 0.5, 0.9], step: [20, 0, 10] }), "acc");
  assert.equal(flagPlaces(flags, over, "acc")[0].x, 0.9);
  assert.deepEqual(flagPlaces(flags, placed(series(), "acc"), "acc"), []);
  assert.deepEqual(flagPlaces(flags, undefined, "relative"), []);
});

test("flags that would hide one another are one", () => {
  const flags = [3, 1, 2, 50].map((x) => ({ x, text: String(x) }));
  const found = flagGroups(flags, (x) => x, 5);
  assert.deepEqual(found.map((group) => group.flags.length), [3, 1]);
  assert.deepEqual(found.map(({ left }) => left), [1, 50]);
});

test("places where a band goes on beyond the edge are counted within the range", () => {
  const one = { at: [0, 1, 2, 3], min: [0, -9, 0, 0], max: [1, 1, 9, 9] };
  assert.equal(cutsOf(one, [0, 2], [0, 2]), 2);
  assert.equal(cutsOf(one, [0, 3], [-10, 10]), 0);
});

test("a link to one chart matches its name alone", () => {
  const found = new URL(linkTo("a.b(c)/d", "http://host/x?smooth=0.5")).searchParams;
  assert.ok(new RegExp(found.get("metrics")).test("a.b(c)/d"));
  assert.ok(!new RegExp(found.get("metrics")).test("aXb(c)/d"));
  assert.equal(found.get("smooth"), "0.5");
});

test("a small curve goes from its lowest to its highest, has gaps, and is a dot where it is a point", () => {
  assert.equal(sparkPath([0, 1, 2], [0, 1, 0], 104, 24), "M2.0 22.0L52.0 2.0L102.0 22.0");
  assert.equal(sparkPath([0, 1, 2, 3], [1, "NaN", 2, 3], 104, 24).match(/M/g).length, 2);
  assert.equal(sparkPath([0], [5], 104, 24), "M52.0 12.0h.1");
  assert.equal(sparkPath([0, 1], ["NaN", "Infinity"], 104, 24), "");
  assert.ok(!sparkPath([0, 1], [-1.7e308, 1.7e308], 104, 24).includes("NaN"));
});

const { pinched } = await import("../../../podstack/server/ui/static/charts/pinch.js");

test("what lies under two fingers stays there", () => {
  const place = (share) => 52 + share * 400; // MARGIN.left, and an axis of 400 pixels
  const near = (found, wanted) => found.forEach((value, at) => assert.ok(Math.abs(value - wanted[at]) < 1e-9, `${found}`));
  near(pinched([0, 100], [0.4, 0.6].map(place), [0.3, 0.7].map(place), 400), [25, 75]);
  near(pinched([0, 100], [0.4, 0.6].map(place), [0.5, 0.7].map(place), 400), [-10, 90]);
});

const { rowsOf } = await import("../../../podstack/server/ui/static/charts/pictures.js");

test("a legend goes on in the next row where a name has no room", () => {
  const { placed, rows } = rowsOf([{ label: "a".repeat(30) }, { label: "b" }, { label: "c".repeat(30) }], 400);
  assert.deepEqual([placed.map(({ row }) => row), rows], [[0, 0, 1], 2]);
  assert.equal(rowsOf([], 400).rows, 0);
});
