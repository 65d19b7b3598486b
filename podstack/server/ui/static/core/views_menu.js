/** The menu of saved views, and the dialogs behind it. */
import { get, send } from "./api.js";
import { dialog } from "./dialog.js";
import { el } from "./dom.js";
import { ago, moment } from "./format.js";
import { openMenu } from "./menu.js";
import { mayEdit } from "./page.js";
import { writeState } from "./state.js";
import { toast } from "./toast.js";
import { viewIn } from "./views.js";

const MOST = 12; // views of a menu; the dialog has all

/** @typedef {{id: string, name: string, page: string, query: string, user: string, created: number}} View */
/** @typedef {{of: string, leave: string[], told: (name: string) => void}} Place */

/** Open the menu below its button. @param {HTMLElement} button @param {Place} place */
export async function openViews(button, place) {
  if (button.ariaBusy) return; // pressed twice
  button.ariaBusy = "true";
  try {
    openMenu(button, itemsOf(await viewsOf(place), place));
  } catch (error) {
    toast(`The views could not be read: ${error.message}`);
  }
  button.ariaBusy = null;
}

/** Have the button say which view the address names. @param {Place} place */
export async function tellName(place) {
  const views = await viewsOf(place).catch(() => []);
  const current = currentOf(views);
  if (current) place.told(current.name); // one that was saved meanwhile is not among them
}

const viewsOf = async ({ of }) => (await get("/views", { page: of })).views;
const currentOf = (views) => views.find(({ id }) => id === viewIn(location.search));

/** Where a view is seen. @param {View} view */
export function hrefOf(view, path = location.pathname) {
  const pairs = new URLSearchParams(view.query);
  pairs.set("view", view.id);
  return `${path}?${pairs}`;
}

function itemsOf(views, place) {
  const current = currentOf(views);
  const now = keptOf(location.search, place.leave);
  const isMoved = current && current.query !== now;
  const edits = !mayEdit() ? [] : [
    isMoved && { text: `Save changes to “${current.name}”`, run: () => renewed(current, now, place) },
    { text: "Save view as…", run: () => askName(views, place) },
  ].filter(Boolean);
  const links = views.slice(0, MOST).map((view) => ({ text: view.name, href: hrefOf(view), checked: view === current }));
  const none = views.length ? [] : [{ text: "No view is saved yet", kind: "is-note" }];
  const rest = views.length ? [null, { text: views.length > MOST ? `All ${views.length} views…` : "Manage views…", run: () => openAll(views, place) }] : [];
  const back = current || now ? [{ text: "Usual view", href: location.pathname }] : [];
  return [...edits, edits.length ? null : undefined, ...none, ...links, ...back, ...rest].filter((item) => item !== undefined);
}

async function renewed(view, query, place) {
  try {
    await kept(view.name, query, place);
    toast(`“${view.name}” is saved`, { action: "Undo", seconds: 10, onAction: () => kept(view.name, view.query, place).catch((error) => toast(error.message)) });
  } catch (error) {
    toast(`Not saved: ${error.message}`);
  }
}

async function kept(name, query, place) {
  const view = await send("POST", "/views", { name, page: place.of, query });
  writeState({ view: view.id });
  place.told(view.name);
  return view;
}

function askName(views, place) {
  const field = el("input", { id: "view-name", autocomplete: "off", maxlength: "200", required: true });
  let agreed = "";
  const run = async () => {
    const name = field.value.trim();
    if (!name) throw new Error("Give the view a name.");
    if (name !== agreed && views.some((view) => view.name === name)) {
      agreed = name;
      throw new Error(`There is a view “${name}”. Save once more to replace it.`);
    }
    await kept(name, keptOf(location.search, place.leave), place);
    toast(`“${name}” is saved for everybody of this project`);
  };
  const body = [el("p", { class: "muted" }, "What this page shows now, under a name in its menu."), el("div", { class: "form-row" }, el("label", { for: "view-name" }, "Name"), field)];
  dialog({ title: "Save view", body, actions: [{ text: "Cancel", kind: "plain" }, { text: "Save", run }] });
  field.focus();
}

function openAll(views, place) {
  const list = el("ul", { class: "plain-list views-list" });
  const draw = (shown) => list.replaceChildren(...(shown.length ? shown.map((view) => row(view, () => gone(view))) : [el("li", { class: "muted" }, "No view is left.")]));
  const gone = async (view) => {
    try {
      await send("DELETE", `/views/${encodeURIComponent(view.id)}`);
    } catch (error) {
      return void toast(`Not deleted: ${error.message}`);
    }
    left(view, place);
    draw(views = views.filter((other) => other !== view));
    toast(`“${view.name}” is deleted`, { action: "Undo", seconds: 10, onAction: () => send("POST", "/views", { name: view.name, page: view.page, query: view.query }).then(() => draw(views = [...views, view]), (error) => toast(error.message)) });
    return undefined;
  };
  draw(views);
  dialog({ title: "Views", body: list });
}

/** The page goes on as it is; it only has that name no more. */
function left(view, place) {
  if (viewIn(location.search) !== view.id) return;
  writeState({ view: null });
  place.told("");
}

function row(view, onDelete) {
  const who = `${view.user ? `${view.user}, ` : ""}${ago(view.created)}`;
  const remove = el("button", { type: "button", class: "button quiet-danger", "aria-label": `Delete ${view.name}`, onclick: onDelete }, "Delete");
  return el("li", {}, el("a", { class: "cut", href: hrefOf(view), title: view.name }, view.name), el("span", { class: "muted small", title: moment(view.created) }, who), mayEdit() ? remove : null);
}

/** What a view keeps of a query, in one order, so that equal views are equal texts. */
export function keptOf(search, leave = []) {
  const pairs = new URLSearchParams(search);
  for (const name of ["view", ...leave]) pairs.delete(name);
  pairs.sort();
  return pairs.toString();
}
