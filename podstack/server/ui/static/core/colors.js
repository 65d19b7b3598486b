/** Colours of runs, and of the theme, for styles and canvases. */

const HUES = ["#3355ee", "#dd6699", "#776600", "#3399ee", "#bb2288", "#999900"];
const DASHES = [[], [5, 3], [2, 2]];

function hash(text) {
  let value = 2166136261;
  for (let place = 0; place < text.length; place += 1) value = Math.imul(value ^ text.charCodeAt(place), 16777619);
  return (value ^ (value >>> 15)) >>> 0;
}

/**
 * A colour for each run: its own by its id, the next free one where another in view has that.
 * @param {string[]} ids @returns {Map<string, {color: string, dash: number[]}>} at most 18 differ
 */
export function runColors(ids) {
  const slots = HUES.length * DASHES.length;
  const taken = new Set();
  const found = new Map();
  for (const id of ids) {
    const slot = free(hash(id) % HUES.length, taken, slots);
    taken.add(slot);
    if (taken.size === slots) taken.clear();
    found.set(id, { color: HUES[slot % HUES.length], dash: DASHES[Math.floor(slot / HUES.length)] });
  }
  return found;
}

function free(wanted, taken, slots) {
  for (let round = 0; round < slots; round += HUES.length) {
    for (let step = 0; step < HUES.length; step += 1) {
      const slot = round + ((wanted + step) % HUES.length);
      if (!taken.has(slot)) return slot;
    }
  }
  return wanted;
}

/** The colours of the theme, for canvases. */
export function themeColors() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(`--${name}`).trim();
  const names = ["bg", "card", "text", "muted", "line", "accent", "danger", "warning", "good"];
  return Object.fromEntries(names.map((name) => [name, read(name)]));
}

/** Be called when the theme changes; returns what ends it. */
export function onTheme(callback) {
  document.addEventListener("podstack-theme", callback);
  return () => document.removeEventListener("podstack-theme", callback);
}

/** @param {"light"|"dark"|"system"} choice */
export function setTheme(choice) {
  try {
    if (choice === "system") localStorage.removeItem("podstack-theme");
    else localStorage.setItem("podstack-theme", choice);
  } catch { /* a browser that stores nothing forgets it with the page */ }
  document.dispatchEvent(new Event("podstack-theme-choice"));
}

export function themeChoice() {
  try { return localStorage.getItem("podstack-theme") ?? "system"; } catch { return "system"; }
}
