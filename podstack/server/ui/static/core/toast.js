/** Short notices in a corner, with at most one thing to do about them. */
import { el } from "./dom.js";

/** One that a pointer or the focus is on stays. @returns {() => void} what takes it away */
export function toast(text, { action = "", onAction = () => {}, seconds = 5 } = {}) {
  const made = el("div", { class: "toast" }, el("span", {}, text));
  let timer = 0;
  const away = () => { made.remove(); stay(); };
  const stay = () => clearTimeout(timer);
  const wait = () => { stay(); timer = setTimeout(away, seconds * 1000); };
  if (action) made.append(el("button", { type: "button", class: "link", onclick: () => { away(); onAction(); } }, action));
  made.append(el("button", { type: "button", class: "icon-button", "aria-label": "Dismiss", onclick: away }, "×"));
  for (const event of ["pointerenter", "focusin"]) made.addEventListener(event, stay);
  for (const event of ["pointerleave", "focusout"]) made.addEventListener(event, wait);
  (document.querySelector("dialog[open]") ?? document.getElementById("toasts")).append(made);
  wait();
  return away;
}
