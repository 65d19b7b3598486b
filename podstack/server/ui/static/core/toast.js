/** Short notices in a corner, with at most one thing to do about them. */
import { el } from "./dom.js";

/** @returns {() => void} what takes it away */
export function toast(text, { action = "", onAction = () => {}, seconds = 5 } = {}) {
  const made = el("div", { class: "toast" }, el("span", {}, text));
  let timer = 0;
  const away = () => { clearTimeout(timer); made.remove(); };
  const wait = () => { timer = setTimeout(away, seconds * 1000); };
  if (action) made.append(el("button", { type: "button", class: "link", onclick: () => { away(); onAction(); } }, action));
  made.append(el("button", { type: "button", class: "icon-button", "aria-label": "Dismiss", onclick: away }, "×"));
  made.addEventListener("pointerenter", () => clearTimeout(timer));
  made.addEventListener("pointerleave", wait);
  (document.querySelector("dialog[open]") ?? document.getElementById("toasts")).append(made);
  wait();
  return away;
}
