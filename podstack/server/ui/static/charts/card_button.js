/** The button of a card's menu; what the menu does comes with its first use. */

import { el, icon } from "../core/dom.js";

const menu = () => import("./card_menu.js");

/**
 * @param {object} card {figure, host, chart} of a chart, or {figure, toTable()} of what is a table
 *   already; `link()` is its address, where that is not the page's
 * @param pins {has(name), toggle(name)}, or null where nothing is pinned
 */
export function menuButton(name, card, pins = null) {
  const button = el("button", { type: "button", class: "icon-button card-more", "aria-haspopup": "menu", "aria-label": `More of ${name}`, title: "Table, full screen, export" }, icon("more"));
  button.addEventListener("click", async () => (card.chart || card.toTable) && (await menu()).openCardMenu(button, name, card, pins));
  return button;
}

/** The values instead of the picture, and back. */
export const toggleTable = async (card) => (await menu()).toggleTable(card);

/** The values as they are now, where they are shown. */
export const refreshTable = async (card) => card.table && (await menu()).refreshTable(card);
