/** How far a sweep is, as a bar of its trials by status. */

import { el } from "../core/dom.js";
import { integer } from "../core/format.js";
import { over, parts } from "./trials.js";

/** A bar of the trials by status; @param counts of a sweep */
export function bar(counts) {
  const all = parts(counts);
  const total = Math.max(1, all.reduce((sum, [, count]) => sum + count, 0));
  const made = el("div", { class: "bar", role: "img", "aria-label": `${integer(over(counts))} of ${counts.total ?? "any number of"} trials over` });
  for (const [word, count] of all) {
    if (!count || word === "left") continue;
    const piece = el("i", { class: `is-${word}`, title: `${integer(count)} ${word}` });
    piece.style.width = `${(100 * count) / total}%`;
    made.append(piece);
  }
  return made;
}
