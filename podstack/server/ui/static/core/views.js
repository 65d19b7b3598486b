/**
 * Saved views of a page: a button whose menu opens, saves, renews and deletes them.
 *
 *     host.append(viewsButton());                       // a new button
 *     viewsButton({ button: $("#views") });             // one of the template, which moves nothing
 *
 * A view is the query of the page, kept on the server for everybody of the project. Whoever opens
 * one has `view=<id>` beside it in the address: the button then has its name.
 */
import { el, icon } from "./dom.js";
import { page, projectUrl } from "./page.js";

/**
 * @param {object} [options]
 * @param {HTMLButtonElement} [options.button] one that is there; its `.views-name` gets the name
 * @param {string} [options.of] the page that the views belong to; else its path below the project's
 * @param {string[]} [options.leave] parts of the query that are no part of a view, such as a selection
 * @returns {HTMLButtonElement}
 */
export function viewsButton({ button = made(), of = pageOf(location.pathname), leave = [] } = {}) {
  const word = button.querySelector(".views-name") ?? button;
  const place = { of, leave, told: (name) => { word.textContent = name || "Views"; } };
  const menu = () => import("./views_menu.js");
  button.addEventListener("click", async () => (await menu()).openViews(button, place));
  if (page.project && viewIn(location.search)) menu().then(({ tellName }) => tellName(place));
  return button;
}

const made = () => el("button", { type: "button", class: "button", "aria-haspopup": "menu" }, icon("bookmark"), el("span", { class: "views-name" }, "Views"));

/** The path of a page below its project's: `experiments/digits`. */
export function pageOf(path) {
  const home = projectUrl("/");
  return path.startsWith(home) ? path.slice(home.length) : path.replace(/^\//, "");
}

/** The id of the view that an address names. */
export const viewIn = (search) => new URLSearchParams(search).get("view") ?? "";
