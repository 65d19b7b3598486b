/** The metrics that a person has pinned, kept by this browser for the project. */

import { page } from "../core/page.js";

const KEY = `podstack-pins-${page.project}`;

/** @param changed is called after a pin came or went */
export function pins(changed) {
  const names = read();
  return {
    names,
    has: (name) => names.includes(name),
    toggle(name) {
      if (names.includes(name)) names.splice(names.indexOf(name), 1);
      else names.push(name);
      keep(names);
      changed();
    },
  };
}

function read() {
  try {
    const told = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(told) ? told.filter((name) => typeof name === "string") : [];
  } catch {
    return [];
  }
}

function keep(names) {
  try { localStorage.setItem(KEY, JSON.stringify(names)); } catch { /* a browser that stores nothing forgets them */ }
}
