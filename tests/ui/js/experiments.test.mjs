import assert from "node:assert/strict";
import { test } from "node:test";

import { counts, inPlace, shelf, shown, snippet, tagCounts } from "../../../podstack/server/ui/static/experiments/rows.js";

const row = (name, more = {}) => ({ name, description: "", tags: [], status: "active", archived: false, deleted: false, runs: 0, created: 1, last_activity: 1, ...more });
const ROWS = [
  row("beta", { tags: ["nlp"], runs: 3, last_activity: 5 }),
  row("alpha", { description: "ResNet on cats", tags: ["vision", "nlp"], status: "completed", runs: 3, last_activity: 9 }),
  row("old", { status: "archived", archived: true, tags: ["vision"] }),
  row("gone", { deleted: true }),
];
const view = (more) => ({ q: "", status: "", tags: [], sort: "-last_activity", ...more });
const names = (more) => shown(ROWS, view(more)).map(({ name }) => name);

test("archived and deleted experiments are shown only where asked for", () => {
  assert.deepEqual(names({}), ["alpha", "beta"]);
  assert.deepEqual(names({ status: "archived" }), ["old"]);
  assert.deepEqual(names({ status: "deleted" }), ["gone"]);
});

test("every word is looked for in name, description and tags, in either case", () => {
  assert.deepEqual(names({ q: "RESNET nlp" }), ["alpha"]);
  assert.deepEqual(names({ q: "resnet beta" }), []);
});

test("all chosen tags are wanted", () => {
  assert.deepEqual(names({ tags: ["nlp"] }), ["alpha", "beta"]);
  assert.deepEqual(names({ tags: ["nlp", "vision"] }), ["alpha"]);
});

test("equal ones are in the order of their names, whichever way it goes", () => {
  assert.deepEqual(names({ sort: "-runs" }), ["alpha", "beta"]);
  assert.deepEqual(names({ sort: "name" }), ["alpha", "beta"]);
});

test("a chip counts what it would show", () => {
  assert.deepEqual(counts(ROWS), { "": 2, active: 1, completed: 1, archived: 1, deleted: 1 });
  assert.deepEqual(tagCounts(ROWS, ""), [["nlp", 2], ["vision", 1]]);
});

test("what was deleted is nothing else", () => {
  assert.equal(shelf(row("x", { status: "archived", archived: true, deleted: true })), "deleted");
});

test("the snippet quotes what it is given", () => {
  assert.match(snippet("http://x:1/a\"b", "team"), /MLOpsClient\("http:\/\/x:1\/a\\"b", project="team"\)/);
  assert.equal(snippet("http://x", "default").split("\n").length, 6);
});

test("rows that somebody points at stay where they are, new ones come last", () => {
  const rows = ["new", "b", "a"].map((id) => ({ id }));
  assert.deepEqual(inPlace(rows, ["a", "gone", "b"]).map(({ id }) => id), ["a", "b", "new"]);
});
