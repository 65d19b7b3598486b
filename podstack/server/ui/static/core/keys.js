/** Keys of a page. `bind` tells their meaning too, which `?` shows. */
const bound = new Map();
let listening = false;

/**
 * @param {string} key as in KeyboardEvent.key; "Ctrl+k" for either Control or Command; "g e" for two in turn
 * @returns {() => void} what unbinds it
 */
export function bind(key, handler, label = "", group = "This page") {
  bound.set(key, { handler, label, group });
  if (!listening) { listening = true; document.addEventListener("keydown", pressed); }
  return () => bound.delete(key);
}

/** What is bound, for help: [{key, label, group}]. */
export const bindings = () => [...bound].filter(([, { label }]) => label).map(([key, { label, group }]) => ({ key, label, group }));

let first = "";
let pressedAt = 0;

function pressed(event) {
  if (event.defaultPrevented || event.altKey) return;
  const held = event.ctrlKey || event.metaKey;
  if (!held && (isTyping(event.target) || document.querySelector("dialog[open]"))) return;
  const key = held ? `Ctrl+${event.key.toLowerCase()}` : event.key;
  const sequence = event.timeStamp - pressedAt < 1000 ? `${first} ${key}` : "";
  const found = bound.get(sequence) ?? bound.get(key);
  [first, pressedAt] = [key, event.timeStamp];
  if (!found) return;
  if (found.handler(event) !== false) event.preventDefault();
}

const isTyping = (target) => target.isContentEditable || /^(TEXTAREA|SELECT)$/.test(target.tagName) ||
  (target.tagName === "INPUT" && !/^(checkbox|radio|button|range)$/.test(target.type));
