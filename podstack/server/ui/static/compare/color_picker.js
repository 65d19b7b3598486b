/** The palette of a run: eighteen looks, by pointer or arrows, and the way back to its own. */

import { LOOKS } from "../core/colors.js";
import { el } from "../core/dom.js";
import { KEY, keptColors } from "./run_palette.js";

const WORDS = ["Blue", "Pink", "Brown", "Sky blue", "Purple", "Olive"];
const LINES = ["", ", dashed", ", dotted"];

/**
 * The colours to choose from, below a button.
 * @param view {state: {colors}, change}, @param {string} id of a run
 */
export function openColors(button, view, id, name) {
  const choose = (slot) => {
    close();
    view.change({ colors: keepColor(view.state.colors, id, slot) });
  };
  const chosen = view.state.colors[id];
  const swatches = LOOKS.map((look, slot) => swatch(look, slot, slot === chosen, choose));
  const automatic = el("button", { type: "button", class: "button", onclick: () => choose(null) }, "Automatic");
  const box = el("div", { class: "run-colors", role: "group", "aria-label": `Colour of ${name}` }, ...swatches, automatic);
  const close = shownBelow(box, button);
  (swatches[chosen] ?? swatches[0]).focus();
}

function swatch({ color }, slot, isChosen, choose) {
  const line = Math.floor(slot / WORDS.length);
  const mark = el("span", { class: `swatch swatch-${line}`, "aria-hidden": "true", style: { "--run": color } });
  const word = WORDS[slot % WORDS.length] + LINES[line];
  return el("button", { type: "button", "aria-label": word, title: word, "aria-pressed": String(isChosen), onclick: () => choose(slot) }, mark);
}

/** A box by its button until Escape, a choice, or a press elsewhere; returns what closes it. */
function shownBelow(box, button) {
  const close = () => {
    box.remove();
    document.removeEventListener("pointerdown", outside, true);
    if (button.isConnected) button.focus();
  };
  const outside = (event) => { if (!box.contains(event.target)) close(); };
  document.addEventListener("pointerdown", outside, true);
  box.addEventListener("keydown", (event) => moved(event, box, close));
  document.body.append(box);
  const spot = button.getBoundingClientRect();
  box.style.left = `${Math.max(8, Math.min(spot.left, innerWidth - box.offsetWidth - 8))}px`;
  box.style.top = `${Math.max(8, Math.min(spot.bottom + 4, innerHeight - box.offsetHeight - 8))}px`;
  return close;
}

function moved(event, box, close) {
  const all = [...box.querySelectorAll("button")];
  const here = all.indexOf(document.activeElement);
  const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: WORDS.length, ArrowUp: -WORDS.length }[event.key];
  if (event.key === "Escape") close();
  else if (by) all[Math.max(0, Math.min(all.length - 1, here + by))].focus();
  else return;
  event.preventDefault();
  event.stopPropagation();
}

/** Another colour for a run, or none of its own (null). */
export function keepColor(colors, id, slot) {
  const changed = (all) => {
    const { [id]: _, ...rest } = all;
    return slot === null ? rest : { ...rest, [id]: slot };
  };
  try {
    localStorage.setItem(KEY, JSON.stringify(changed(keptColors())));
  } catch { /* a browser that stores nothing forgets it with the page */ }
  return changed(colors);
}
