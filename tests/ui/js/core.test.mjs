import assert from "node:assert/strict";
import test from "node:test";

import { query } from "../../../podstack/server/ui/static/core/api.js";
import { runColors } from "../../../podstack/server/ui/static/core/colors.js";
import { ago, bytes, duration, number, signed } from "../../../podstack/server/ui/static/core/format.js";
import { keptOf, viewIn } from "../../../podstack/server/ui/static/core/views.js";
import { hrefOf } from "../../../podstack/server/ui/static/core/views_menu.js";
import { readState } from "../../../podstack/server/ui/static/core/state.js";
import { onward } from "../../../podstack/server/ui/static/pages/next.js";

test("a number has four significant digits", () => {
  const told = [0.93421, 12840, 0.0000474, 1234.5678, 0.1, 100, -0.5, NaN, Infinity, null, 0.00123456].map(number);
  assert.deepEqual(told, ["0.9342", "12,840", "4.74e-5", "1,235", "0.1", "100", "-0.5", "NaN", "∞", "–", "0.001235"]);
});

test("a difference has its sign", () => {
  assert.deepEqual([0.5, -0.5, 0].map(signed), ["+0.5", "−0.5", "0"]);
});

test("times and sizes are words", () => {
  assert.deepEqual([0.4, 12, 200, 7500, 277200].map(duration), ["0.4 s", "12 s", "3 min 20 s", "2 h 5 min", "3 d 5 h"]);
  assert.deepEqual([812, 1400, 3.2e9].map(bytes), ["812 B", "1.4 kB", "3.2 GB"]);
  assert.deepEqual([1, 90, 7200].map((past) => ago(1000 - past, 1000)), ["just now", "1 min ago", "2 h ago"]);
});

test("eighteen runs look different, and a run alone always the same", () => {
  const ids = Array.from({ length: 18 }, (_, place) => `run-${place}`);
  const looks = [...runColors(ids).values()].map(({ color, dash }) => `${color} ${dash}`);
  assert.equal(new Set(looks).size, 18);
  assert.deepEqual(runColors(["a"]).get("a"), runColors(["a", "b"]).get("a"));
});

test("a view is read in the types of its defaults", () => {
  const read = readState({ q: "", smooth: 0, runs: [], log: false, x: "step" }, "?q=a&smooth=0.6&runs=%5B%22r%22%5D&log=1");
  assert.deepEqual(read, { q: "a", smooth: 0.6, runs: ["r"], log: true, x: "step" });
  assert.deepEqual(readState({ runs: [], smooth: 1 }, "?runs=7&smooth=x"), { runs: [], smooth: 1 });
});

test("what is empty stays out of a question", () => {
  assert.equal(query({ a: null, b: "", c: undefined, d: ["x"], e: 0 }), "?d=%5B%22x%22%5D&e=0");
});

test("nobody is led to another site", () => {
  const origin = "http://127.0.0.1:8321";
  for (const next of [null, "", "http://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "/login", "/\t/evil.example"]) {
    assert.equal(onward(next, origin, "/"), "/", String(next));
  }
  assert.equal(onward("/projects/a/runs?q=x", origin, "/"), "/projects/a/runs?q=x");
  assert.equal(onward("/projects/a", origin, "/team/"), "/team/");
});

test("a saved view keeps the query in one order, without its own name and what is left out", () => {
  assert.equal(keptOf("?view=12ab&sort=-loss&q=lr+%3E+1&runs=%5B%22a%22%5D", ["runs"]), "q=lr+%3E+1&sort=-loss");
  assert.equal(keptOf("?q=lr+%3E+1&sort=-loss"), keptOf("?sort=-loss&q=lr%20%3E%201"));
});

test("a view's link is its query and its id", () => {
  assert.equal(viewIn("?view=12ab&q=x"), "12ab");
  assert.equal(hrefOf({ id: "12ab", query: "q=a+b&runs=%5B%5D" }, "/x"), "/x?q=a+b&runs=%5B%5D&view=12ab");
});

test("a chosen look is the run's, and no other run in view has it", () => {
  const ids = ["a", "b", "c", "d"];
  const chosen = runColors(ids, { d: 4, b: 99 });
  assert.deepEqual(chosen.get("d"), { color: "#bb2288", dash: [] });
  assert.equal(new Set([...chosen.values()].map(({ color, dash }) => `${color} ${dash}`)).size, 4);
});
