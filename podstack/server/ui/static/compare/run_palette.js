/**
 * Colours that a person chose for runs: kept by this browser for the project, and carried by links.
 * A colour is a slot of LOOKS (core/colors.js), so that it reads on both themes and to every eye.
 */

import { LOOKS } from "../core/colors.js";
import { page } from "../core/page.js";

/** Where this browser keeps them. */
export const KEY = `podstack-colors-${page.project}`;

/** The slots that this browser keeps, by run. */
export function keptColors() {
  try {
    return slots(JSON.parse(localStorage.getItem(KEY) ?? "{}"));
  } catch {
    return {};
  }
}

/** What of an object is slots by run; a link may hold anything. */
export function slots(told) {
  if (typeof told !== "object" || !told) return {};
  return Object.fromEntries(Object.entries(told).filter(([, slot]) => Number.isInteger(slot) && slot in LOOKS));
}

/** The colours of a view: the kept ones of its runs, and above them those of its link. */
export function colorsFor(ids, linked) {
  const kept = keptColors();
  const own = Object.fromEntries(ids.filter((id) => Object.hasOwn(kept, id)).map((id) => [id, kept[id]]));
  return { ...own, ...slots(linked) };
}

/** Offer the colours below a button; the palette comes with its first use. */
export async function openColors(...call) {
  (await import("./color_picker.js")).openColors(...call);
}
