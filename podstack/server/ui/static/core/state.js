/** The view, kept in the address: a link is a view. */

/**
 * What the query says, in the types of the defaults.
 * @template T @param {T} defaults @returns {T}
 */
export function readState(defaults, search = location.search) {
  const pairs = new URLSearchParams(search);
  const state = {};
  for (const [name, usual] of Object.entries(defaults)) state[name] = pairs.has(name) ? parsed(pairs.get(name), usual) : usual;
  return state;
}

function parsed(text, usual) {
  if (typeof usual === "string" || usual === null) return text;
  if (typeof usual === "boolean") return text === "1" || text === "true";
  try {
    const value = JSON.parse(text);
    return typeof value === typeof usual && Array.isArray(value) === Array.isArray(usual) ? value : usual;
  } catch {
    return usual;
  }
}

/** Change parts of the query; null, "" and undefined take one out. push: a step that Back undoes. */
export function writeState(changes, { push = false } = {}) {
  const pairs = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "" || value === false) pairs.delete(name);
    else pairs.set(name, value === true ? "1" : typeof value === "object" ? JSON.stringify(value) : String(value));
  }
  const text = pairs.toString();
  const address = location.pathname + (text ? `?${text}` : "") + location.hash;
  if (address === location.pathname + location.search + location.hash) return;
  history[push ? "pushState" : "replaceState"](null, "", address);
}
