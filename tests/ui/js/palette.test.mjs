import assert from "node:assert/strict";
import test from "node:test";

import { rowsOf } from "../../../podstack/server/ui/static/core/palette.js";

const NONE = { experiments: [], runs: [], named: 0, params: [], metrics: [], tags: [] };

test("pages are found by their names, and all of them by nothing", () => {
  assert.deepEqual(rowsOf(NONE, "swee").map(({ text }) => text), ["Sweeps", "New sweep"]);
  assert.equal(rowsOf(NONE, "").length, 8);
});

test("an id or a name cannot leave its place in an address", () => {
  const [row] = rowsOf({ ...NONE, runs: [{ id: "a/../b?c", name: "x", status: "failed" }] }, "zzz");
  assert.equal(row.href, "/runs/a%2F..%2Fb%3Fc");
  assert.equal(row.more, "failed");
});

test("a name becomes a filter that the grammar reads", () => {
  const filterOf = (found) => new URLSearchParams(rowsOf({ ...NONE, ...found }, "zzz")[0].href.split("?")[1]).get("q");
  assert.equal(filterOf({ params: ["lr"] }), "params.lr is not missing");
  assert.equal(filterOf({ metrics: ["val acc`s"] }), "metrics.`val acc``s` is not missing");
  assert.equal(filterOf({ metrics: ["in"] }), "metrics.`in` is not missing");
  assert.equal(filterOf({ tags: ["it's"] }), "tags contains 'it\\'s'");
});

test("where more runs are named so than are listed, the table shows all", () => {
  const runs = [{ id: "1", name: "it's 1", status: "completed" }];
  const rows = rowsOf({ ...NONE, runs, named: 1200 }, " it's ");
  assert.deepEqual(rows.map(({ text }) => text), ["it's 1", "All 1,200 with this in their name"]);
  assert.equal(new URLSearchParams(rows[1].href.split("?")[1]).get("q"), "name contains 'it\\'s'");
  assert.equal(rowsOf({ ...NONE, runs, named: 1 }, "it's").length, 1);
});
