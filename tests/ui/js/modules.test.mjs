import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import test from "node:test";
import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL("../../../podstack/server/ui/static/", import.meta.url));
const NAMES = readdirSync(FOLDER, { recursive: true }).filter((name) => name.endsWith(".js"));

// A module that is read and not run: it may speak of a document.
const READ = `
  const { readFileSync } = require("node:fs"), { SourceTextModule } = require("node:vm");
  const [folder, names] = process.argv.slice(1);
  for (const name of JSON.parse(names)) {
    try { new SourceTextModule(readFileSync(folder + name, "utf8")); }
    catch (error) { console.log(name + ": " + error.message); }
  }`;

test("every module can be read: a merge left no name declared twice", () => {
  const words = ["--experimental-vm-modules", "--no-warnings", "-e", READ, FOLDER, JSON.stringify(NAMES)];
  const done = spawnSync(process.execPath, words, { encoding: "utf8" });

  assert.ok(NAMES.length > 50);
  assert.deepEqual([done.status, done.stdout, done.stderr], [0, "", ""]);
});
