/** The selection in the address and, where a link cannot hold it exactly, in this tab. */
import {filterOf} from './chosen.js';

const MOST_NAMED = 100; // runs that a link names one by one
const KEPT = 'podstack-selection';
const ONLY_HERE = 'tab'; // what the address says of a selection that no link can hold

/** What the address says of a selection: {runs} or {sel}. */
export function told(ids, table, filter) {
  if (ids.size <= MOST_NAMED) return {runs: ids.size ? [...ids] : null, sel: null};
  const sel = filterOf(table, ids, filter) || ONLY_HERE;
  remember(sel, [...ids]);
  return {runs: null, sel};
}

export const isOnlyHere = (sel) => sel === ONLY_HERE;

function remember(sel, ids) {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify({path: location.pathname, sel, ids}));
  } catch { /* a full storage: the link still says what it can */ }
}

/** The ids that this tab selected where its address said `sel`; null where it did not. */
export function remembered(sel) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? 'null');
    return kept?.path === location.pathname && kept.sel === sel ? kept.ids : null;
  } catch {
    return null;
  }
}
