/** Dialogs: the browser's own, which hold the focus and close on Escape. */
import { el } from "./dom.js";

let count = 0;

/**
 * @param {{title: string, body: any, actions?: {text: string, kind?: string, run?: () => any}[]}} what
 *   An action that returns false, or a promise of it, or throws, leaves the dialog open.
 * @returns {{element: HTMLDialogElement, close: () => void, closed: Promise<string>}} closed: the text of the action, "" for none
 */
export function dialog({ title, body, actions = [{ text: "Close" }] }) {
  const id = `dialog-${(count += 1)}`;
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const form = el("form", { class: "dialog-body", novalidate: true }, ...[body].flat(), problem, el("div", { class: "dialog-actions" },
    ...actions.map((action, place) => button(action, place === actions.length - 1))));
  const element = el("dialog", { class: "dialog", "aria-labelledby": id }, el("h2", { id }, title), form);
  const closed = new Promise((resolve) => element.addEventListener("close", () => { element.remove(); resolve(element.returnValue); }));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run(element, problem, actions.at(-1)); // Enter in a field too: only the last button submits
  });
  form.addEventListener("click", (event) => {
    const chosen = actions.slice(0, -1).find((action) => action.text === event.target.closest("button[type=button]")?.value);
    if (chosen) run(element, problem, chosen);
  });
  element.addEventListener("click", (event) => { if (event.target === element) element.close(""); });
  document.body.append(element);
  element.showModal();
  return { element, close: () => element.close(""), closed };
}

const button = ({ text, kind = "" }, isLast) => el("button", { type: isLast ? "submit" : "button", value: text, class: `button ${kind || (isLast ? "primary" : "")}` }, text);

async function run(element, problem, action) {
  try {
    if ((await action.run?.()) !== false) element.close(action.text);
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
  }
}

/** Ask once; true where the action was chosen. */
export async function confirm({ title, text, action, kind = "danger" }) {
  const { closed } = dialog({ title, body: el("p", {}, text), actions: [{ text: "Cancel", kind: "plain" }, { text: action, kind }] });
  return (await closed) === action;
}
