/** Dialogs: the browser's own, which hold the focus, close on Escape and give the focus back. */
import { el } from "./dom.js";
import { toast } from "./toast.js";

let count = 0;

/**
 * @param {{title: string, body: any, actions?: {text: string, kind?: string, run?: () => any}[]}} what
 *   An action that returns false, or a promise of it, or throws, leaves the dialog open. It is not run
 *   again before it has ended; where the dialog was closed meanwhile, a notice says what it threw.
 * @returns {{element: HTMLDialogElement, close: () => void, closed: Promise<string>}} closed: the text of the action, "" for none
 */
export function dialog({ title, body, actions = [{ text: "Close" }] }) {
  const id = `dialog-${(count += 1)}`;
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const form = el("form", { class: "dialog-body", novalidate: true }, ...[body].flat(), problem, el("div", { class: "dialog-actions" },
    ...actions.map((action, place) => button(action, place === actions.length - 1))));
  const element = el("dialog", { class: "dialog", "aria-labelledby": id }, el("h2", { id }, title), form);
  const opener = document.activeElement;
  const closed = new Promise((resolve) => element.addEventListener("close", () => { giveBack(element, opener); element.remove(); resolve(element.returnValue); }));
  const run = (action) => perform(action, element, problem, opener);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run(actions.at(-1)); // Enter in a field too: only the last button submits
  });
  form.addEventListener("click", (event) => {
    const chosen = actions.slice(0, -1).find((action) => action.text === event.target.closest("button[type=button]")?.value);
    if (chosen) run(chosen);
  });
  element.addEventListener("click", (event) => { if (event.target === element) element.close(""); });
  document.body.append(element);
  element.showModal();
  return { element, close: () => element.close(""), closed };
}

const button = ({ text, kind = "" }, isLast) => el("button", { type: isLast ? "submit" : "button", value: text, class: `button ${kind || (isLast ? "primary" : "")}` }, text);

async function perform(action, element, problem, opener) {
  if (action.run && element.ariaBusy) return;
  element.ariaBusy = "true";
  try {
    if ((await action.run?.()) !== false) {
      element.close(action.text);
      giveBack(element, opener);
    }
  } catch ({ message }) {
    if (element.open) Object.assign(problem, { textContent: message, hidden: false });
    else toast(message);
  }
  element.ariaBusy = null;
}

/**
 * The browser gives the focus back to what had it. Where the page drew that anew meanwhile, the focus would stay
 * in the closed dialog, and take the next key: it goes to what stands in its place, or to the row it stood in.
 */
function giveBack(element, opener) {
  const { activeElement, body } = document;
  if (activeElement !== body && !element.contains(activeElement)) return;
  activeElement.blur();
  const row = opener.closest("[data-id]");
  const there = (opener.id && document.getElementById(opener.id)) || (row && document.querySelector(`[data-id="${CSS.escape(row.dataset.id)}"]`));
  there?.focus({ preventScroll: true });
}

/** Ask once; true where the action was chosen. */
export async function confirm({ title, text, action, kind = "danger" }) {
  const { closed } = dialog({ title, body: el("p", {}, text), actions: [{ text: "Cancel", kind: "plain" }, { text: action, kind }] });
  return (await closed) === action;
}
