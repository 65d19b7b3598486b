import assert from "node:assert/strict";
import test from "node:test";

import { query } from "../../../podstack/server/ui/static/core/api.js";
import { runColors } from "../../../podstack/server/ui/static/core/colors.js";
import { ago, duration, number, signed } from "../../../podstack/server/ui/static/core/format.js";
import { words } from "../../../podstack/server/ui/static/core/indexing.js";
import { viewIn } from "../../../podstack/server/ui/static/core/views.js";
import { hrefOf, keptOf } from "../../../podstack/server/ui/static/core/views_menu.js";
import { readState } from "../../../podstack/server/ui/static/core/state.js";
import { poll } from "../../../podstack/server/ui/static/core/poll.js";
import { onward } from "../../../podstack/server/ui/static/pages/next.js";

test("a number has four significant digits", () => {
  const told = [0.93421, 12840, 0.0000474, 1234.5678, 0.1, 100, -0.5, NaN, Infinity, null, 0.00123456].map(number);
  assert.deepEqual(told, ["0.9342", "12,840", "4.74e-5", "1,235", "0.1", "100", "-0.5", "NaN", "∞", "–", "0.001235"]);
  assert.deepEqual([0.99999, -0.99999, 9.9999, 999.96, -0].map(number), ["1", "-1", "10", "1,000", "0"]);
});

test("a difference has its sign", () => {
  assert.deepEqual([0.5, -0.5, 0].map(signed), ["+0.5", "−0.5", "0"]);
});

test("times and sizes are words", () => {
  assert.deepEqual([0, 0.0081, 0.25, 2.41, 12, 200, 7500, 277200].map(duration), ["0 s", "8 ms", "250 ms", "2.4 s", "12 s", "3 min 20 s", "2 h 5 min", "3 d 5 h"]);
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

test("the strip tells how far the index is, or that it is not known yet", () => {
  assert.equal(words({ done: 3400, total: 10000 }), "Indexing 3,400 of 10,000 runs");
  assert.equal(words({ done: 0, total: null }), "Looking at the store");
});

test("whoever asks for a look while one is under way gets another at once", { timeout: 60_000 }, async () => {
  globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
  const answers = [];
  const asked = poll(() => new Promise((resolve) => { answers.push(resolve); }), { seconds: 3600, most: 3600 });
  const turns = async (count) => { while (answers.length < count) await new Promise((done) => { setTimeout(done); }); };
  asked.soon();
  await turns(1);
  asked.soon(); // what it says is over: this answer may be from before
  await new Promise((done) => { setTimeout(done, 5); });
  assert.equal(answers.length, 1);
  answers[0]();
  await turns(2);
  asked.stop();
  delete globalThis.document;
});
