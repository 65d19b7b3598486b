/** Keys of a page, by the one table of them. They do nothing while somebody types, nor in a menu or a dialog. */
import { KEYS, rowsOf } from "./key_table.js";

const bound = new Map();
let listening = false;

/**
 * @param {keyof typeof KEYS} group of the table
 * @param {Record<string, (event: KeyboardEvent) => any>} handlers by key as in KeyboardEvent.key; "Ctrl+k" for either
 *   Control or Command; "g e" for two in turn. One that returns false leaves the key to the browser.
 */
export function bindKeys(group, handlers) {
  for (const [key, handler] of Object.entries(handlers)) {
    if (!Object.hasOwn(KEYS[group].keys, key)) throw new Error(`${key} of ${group} is not in key_table.js`);
    bound.set(key, { handler, group });
  }
  if (!listening) { listening = true; document.addEventListener("keydown", pressed); }
}

/** What is bound, in the order of the table: [{key, label, group}]. */
export const bindings = () => Object.entries(KEYS).flatMap(([name, group]) =>
  rowsOf(group).filter(({ key }) => bound.get(key)?.group === name));

let first = "";
let pressedAt = 0;

function pressed(event) {
  if (event.defaultPrevented || event.altKey) return;
  const held = event.ctrlKey || event.metaKey;
  if (!held && (isTaken(event.target) || document.querySelector("dialog[open]"))) return;
  const key = held ? `Ctrl+${event.key.toLowerCase()}` : event.key;
  const sequence = event.timeStamp - pressedAt < 1000 ? `${first} ${key}` : "";
  const found = bound.get(sequence) ?? bound.get(key);
  [first, pressedAt] = [key, event.timeStamp];
  if (!found) return;
  if (found.handler(event) !== false) event.preventDefault();
}

const isTaken = (target) => isTyping(target) || target.closest("[role=menu], [role=listbox]") !== null;

const isTyping = (target) => target.isContentEditable || /^(TEXTAREA|SELECT)$/.test(target.tagName) ||
  (target.tagName === "INPUT" && !/^(checkbox|radio|button|range)$/.test(target.type));
