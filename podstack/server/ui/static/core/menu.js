/** A small menu below a button, with the keyboard of one. */
import { el } from "./dom.js";

/**
 * @param {HTMLElement} button
 * @param {({text: string, href?: string, run?: () => void, kind?: string, checked?: boolean} | null)[]} items null draws a line
 */
export function openMenu(button, items) {
  document.dispatchEvent(new Event("podstack-menu")); // one that is open goes
  const menu = el("div", { class: "menu", role: "menu", "aria-label": button.getAttribute("aria-label") ?? button.textContent.trim() }, items.map(row));
  const close = (back = true) => {
    menu.remove();
    button.setAttribute("aria-expanded", "false");
    over.abort();
    if (back) button.focus();
  };
  const over = new AbortController();
  const { signal } = over;
  // Before the item runs: what it opens gives the focus back to the button, and what it moves keeps it.
  menu.addEventListener("click", (event) => { if (event.target.closest("[role^=menuitem]")) close(!event.target.closest("a")); }, { capture: true });
  menu.addEventListener("keydown", (event) => moved(event, menu, close));
  document.addEventListener("pointerdown", (event) => { if (!menu.contains(event.target)) close(false); }, { capture: true, signal });
  document.addEventListener("podstack-menu", () => close(false), { signal });
  (button.closest("dialog") ?? document.body).append(menu);
  button.setAttribute("aria-expanded", "true");
  place(menu, button);
  entries(menu)[0]?.focus();
  return close;
}

const entries = (menu) => [...menu.querySelectorAll("[role^=menuitem]")];

function row(item) {
  if (!item) return el("hr", { role: "separator" });
  const role = item.checked === undefined ? "menuitem" : "menuitemradio";
  const props = { role, tabindex: "-1", class: item.kind ?? "", ...(item.checked === undefined ? {} : { "aria-checked": String(item.checked) }) };
  return item.href ? el("a", { ...props, href: item.href }, item.text) : el("button", { ...props, type: "button", onclick: item.run ?? (() => {}) }, item.text);
}

function place(menu, button) {
  const spot = button.getBoundingClientRect();
  const left = Math.min(spot.left, innerWidth - menu.offsetWidth - 8);
  const fits = spot.bottom + menu.offsetHeight + 8 < innerHeight;
  menu.style.left = `${Math.max(8, left)}px`;
  menu.style.top = `${fits ? spot.bottom + 4 : Math.max(8, spot.top - menu.offsetHeight - 4)}px`;
}

function moved(event, menu, close) {
  const all = entries(menu);
  const here = all.indexOf(document.activeElement);
  const steps = { ArrowDown: here + 1, ArrowUp: here - 1 + all.length, Home: 0, End: all.length - 1 };
  if (event.key === "Escape" || event.key === "Tab") { event.stopPropagation(); event.preventDefault(); close(); }
  else if (event.key in steps) { event.preventDefault(); all[steps[event.key] % all.length]?.focus(); }
  else if (event.key.length === 1) all.find((entry) => entry.textContent.trim().toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
}
