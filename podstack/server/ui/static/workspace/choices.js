/** What a workspace shows, reckoned from its state: pure, so that Node tests it. */

export const DRAWN = 10; // runs that are drawn before one chooses
export const MOST_DRAWN = 60; // curves of one chart
export const PINNED = "Pinned"; // the section of what one has pinned
export const LOOSE = "Metrics"; // the section of names without a prefix

/** The runs that are drawn, in the order of the rail. chosen: null before one has chosen. */
export function drawnOf(ids, chosen) {
  if (chosen === null) return ids.slice(0, DRAWN);
  const wanted = new Set(chosen);
  return ids.filter((id) => wanted.has(id)).slice(0, MOST_DRAWN);
}

/** The list that the address holds, or null where it holds none that can be read. */
export function chosenOf(text) {
  if (text === null || text === "") return null;
  try {
    const told = JSON.parse(text);
    return Array.isArray(told) && told.every((id) => typeof id === "string") ? told : null;
  } catch {
    return null;
  }
}

/** Places of the runs whose name, status or user holds every word. */
export function matching(runs, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const line = (at) => `${runs.name[at]} ${runs.id[at]} ${runs.status[at]} ${runs.user[at] ?? ""}`.toLowerCase();
  return runs.id.map((_, at) => at).filter((at) => words.every((word) => line(at).includes(word)));
}

/** A test of metric names from what was typed; what is no expression yet is taken as plain text. */
export function metricTest(text) {
  if (!text) return () => true;
  try {
    const expression = new RegExp(text, "i");
    return (name) => expression.test(name);
  } catch {
    return (name) => name.toLowerCase().includes(text.toLowerCase());
  }
}

/** Metrics by their prefix, in the order of their first coming; pinned ones and names without one come first. */
export function sectionsOf(names, text = "", pinned = []) {
  const isWanted = metricTest(text);
  const onTop = pinned.filter((name) => names.includes(name) && isWanted(name));
  const sections = new Map([...(onTop.length ? [[PINNED, onTop]] : []), [LOOSE, []]]);
  for (const name of names.filter((one) => isWanted(one) && !onTop.includes(one))) {
    const at = name.indexOf("/");
    const prefix = at > 0 ? name.slice(0, at) : LOOSE;
    if (!sections.has(prefix)) sections.set(prefix, []);
    sections.get(prefix).push(name);
  }
  if (!sections.get(LOOSE).length) sections.delete(LOOSE);
  return sections;
}

/** Lists of at most `size`. */
export function batches(names, size) {
  return Array.from({ length: Math.ceil(names.length / size) }, (_, at) => names.slice(at * size, (at + 1) * size));
}

/** What of a state goes into the address: only what differs from the usual. */
export function changesOf(state, usual) {
  const text = (value) => JSON.stringify(value);
  return Object.fromEntries(Object.keys(usual).map((key) => [key, text(state[key]) === text(usual[key]) ? null : state[key]]));
}

/** The address of this view with one chart alone. */
export function linkTo(name, here = location.href) {
  const address = new URL(here);
  address.searchParams.set("metrics", `^${name.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")}$`);
  return address.href;
}
