/** The keys of a page, as `?` shows them. */
import { dialog } from "./dialog.js";
import { $$, el } from "./dom.js";
import { KEYS, rowsOf } from "./key_table.js";
import { bindings } from "./keys.js";

/** Rows of the table as a list for each group. */
export function keyLists(all) {
  const groups = Map.groupBy ? Map.groupBy(all, ({ group }) => group) : grouped(all);
  return [...groups].map(([group, rows]) => el("section", { class: "key-group" }, el("h3", {}, group),
    el("dl", { class: "keys" }, rows.map(({ key, label }) => el("div", {}, el("dt", {}, shown(key)), el("dd", {}, label))))));
}

function grouped(all) {
  const groups = new Map();
  for (const row of all) groups.set(row.group, [...(groups.get(row.group) ?? []), row]);
  return groups;
}

const shown = (key) => (key.length === 1 ? [key] : key.split(/[ +]/)).map((part) => el("kbd", {}, part.length === 1 && key.includes("+") ? part.toUpperCase() : part));

/** The keys of this page, and of what on it has keys while it has the focus. */
function here() {
  const within = new Set($$("[data-keys]").map((one) => one.dataset.keys));
  return [...bindings(), ...[...within].flatMap((name) => rowsOf(KEYS[name]))];
}

export const showKeys = () => dialog({ title: "Keys", body: keyLists(here()) });
