/** Elements, made from text that stays text. */

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

const PROPERTIES = new Set(["value", "checked", "disabled", "selected", "hidden", "indeterminate", "textContent", "htmlFor", "className", "tabIndex", "open", "readOnly"]);

/**
 * An element. props: attributes; `class`; `on…` with a function listens; `style` and `dataset` are objects;
 * true stands alone, false and null are left out. children: elements, texts, lists of both; null is nothing.
 */
export function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) set(made, name, value);
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

function set(made, name, value) {
  if (value === null || value === undefined) return;
  if (typeof value === "function") made.addEventListener(name.replace(/^on/, "").toLowerCase(), value);
  else if (name === "style" && typeof value === "object") styled(made, value);
  else if (name === "dataset") Object.assign(made.dataset, value);
  else if (PROPERTIES.has(name)) made[name] = value;
  else if (name === "style") made.style.cssText = value;
  else if (value !== false) made.setAttribute(name, value === true ? "" : value);
}

function styled(made, rules) {
  for (const [name, value] of Object.entries(rules)) {
    if (name.startsWith("--")) made.style.setProperty(name, value);
    else made.style[name] = value;
  }
}

/** Take everything out of an element, and give it back. */
export function clear(host) {
  host.replaceChildren();
  return host;
}

/** Listen on a root for an event of whatever matches; returns what ends it. */
export function on(root, event, selector, handler) {
  const listen = (happened) => {
    const match = happened.target.closest?.(selector);
    if (match && root.contains(match)) handler(happened, match);
  };
  root.addEventListener(event, listen);
  return () => root.removeEventListener(event, listen);
}

const drawn = new Map();

/** One of our icons, from static/icons; drawn once it has come, and a button is one without it. */
export function icon(name) {
  const holder = el("span", { class: "icon-holder", "aria-hidden": "true" });
  if (!drawn.has(name)) drawn.set(name, fetch(new URL(`../icons/${name}.svg`, import.meta.url)).then((answer) => (answer.ok ? answer.text() : null), () => null));
  drawn.get(name).then((text) => text && holder.append(document.importNode(new DOMParser().parseFromString(text, "image/svg+xml").documentElement, true)));
  return holder;
}
