import assert from "node:assert/strict";
import test from "node:test";

import * as lineInput from "../../../podstack/server/ui/static/charts/line_input.js";
import { KEYS, rowsOf } from "../../../podstack/server/ui/static/core/key_table.js";
import { bindKeys, bindings } from "../../../podstack/server/ui/static/core/keys.js";

test("the keys of a chart are those that it listens to", () => {
  const heard = Object.keys(lineInput.KEYS).filter((key) => key !== "=");
  assert.deepEqual(heard.sort(), Object.keys(KEYS.chart.keys).sort());
});

test("no key of a page means something else everywhere", () => {
  const everywhere = Object.keys(KEYS.everywhere.keys);
  for (const name of ["experiments", "runs", "compare"]) {
    assert.deepEqual(Object.keys(KEYS[name].keys).filter((key) => everywhere.includes(key)), []);
  }
});

test("only keys of the table can be bound, and are told in its order", () => {
  globalThis.document = { addEventListener() {} };
  assert.throws(() => bindKeys("runs", { q: () => {} }), /q of runs is not in key_table\.js/);
  bindKeys("runs", { k: () => {}, j: () => {} });
  delete globalThis.document;
  assert.deepEqual(bindings(), rowsOf(KEYS.runs).filter(({ key }) => "jk".includes(key)));
});
