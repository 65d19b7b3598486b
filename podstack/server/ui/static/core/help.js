/** The keys of a page, as `?` shows them. */
import { dialog } from "./dialog.js";
import { el } from "./dom.js";
import { bindings } from "./keys.js";

/** Every group of keys as a list. */
export function keyLists(all = bindings()) {
  const groups = Map.groupBy ? Map.groupBy(all, ({ group }) => group) : grouped(all);
  return [...groups].map(([group, rows]) => el("section", { class: "key-group" }, el("h3", {}, group),
    el("dl", { class: "keys" }, rows.map(({ key, label }) => el("div", {}, el("dt", {}, shown(key)), el("dd", {}, label))))));
}

function grouped(all) {
  const groups = new Map();
  for (const row of all) groups.set(row.group, [...(groups.get(row.group) ?? []), row]);
  return groups;
}

const shown = (key) => key.split(/[ +]/).map((part) => el("kbd", {}, part.length === 1 && key.includes("+") ? part.toUpperCase() : part));

export const showKeys = () => dialog({ title: "Keys", body: keyLists() });
