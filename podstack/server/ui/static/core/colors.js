/** Colours of runs, and of the theme, for styles and canvases. */

const HUES = ["#3355ee", "#dd6699", "#776600", "#3399ee", "#bb2288", "#999900"];
const DASHES = [[], [5, 3], [2, 2]];
/** The looks that a run may have, by slot: six colours, then those dashed, then dotted. */
export const LOOKS = DASHES.flatMap((dash) => HUES.map((color) => ({ color, dash })));

function hash(text) {
  let value = 2166136261;
  for (let place = 0; place < text.length; place += 1) value = Math.imul(value ^ text.charCodeAt(place), 16777619);
  return (value ^ (value >>> 15)) >>> 0;
}

/**
 * A colour for each run: the one chosen for it, else its own by its id, and the next free one where
 * another in view has that.
 * @param {string[]} ids @param {Record<string, number>} chosen slots (LOOKS) by id
 * @returns {Map<string, {color: string, dash: number[]}>} at most 18 differ
 */
export function runColors(ids, chosen = {}) {
  const own = (id) => (Object.hasOwn(chosen, id) && LOOKS[chosen[id]] ? chosen[id] : undefined);
  const taken = new Set(ids.map(own).filter((slot) => slot !== undefined));
  return new Map(ids.map((id) => {
    const slot = own(id) ?? free(hash(id) % HUES.length, taken);
    taken.add(slot);
    if (taken.size === LOOKS.length) taken.clear();
    return [id, LOOKS[slot]];
  }));
}

function free(wanted, taken) {
  for (let round = 0; round < LOOKS.length; round += HUES.length) {
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
