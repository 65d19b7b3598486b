/** The selection in the address and, where a link cannot hold it exactly, in this tab. */
import {get} from '../core/api.js';
import {$} from '../core/dom.js';
import {integer} from '../core/format.js';
import {projectUrl} from '../core/page.js';

const chosen = () => import('./chosen.js'); // what thousands of runs as one filter take

const MOST_COMPARED = 500;
const MOST_NAMED = 100; // runs that a link names one by one
const KEPT = 'podstack-selection';
const ONLY_HERE = 'tab'; // what the address says of a selection that no link can hold

/** What the address says of a selection: {runs} or {sel}. */
export async function told(ids, table, filter) {
  if (ids.size <= MOST_NAMED) return {runs: ids.size ? [...ids] : null, sel: null};
  const {filterOf} = await chosen();
  const sel = filterOf(table, ids, filter) || ONLY_HERE;
  remember(sel, [...ids]);
  return {runs: null, sel};
}

const isOnlyHere = (sel) => sel === ONLY_HERE;

/**
 * What the address selects by a filter, as this tab remembers it, or as the runs say.
 *
 * @param {object} table @param {boolean} isWhole whether it has every run
 * @param {string | undefined} experiment its id
 * @returns {Promise<string[]>} ids
 */
export async function restored(sel, table, isWhole, experiment) {
  const known = remembered(sel);
  if (known || isOnlyHere(sel)) return known ?? [];
  return isWhole ? (await chosen()).idsOf(table, sel) : (await get('/table', {experiment, filter: sel, columns: ['name']})).ids;
}

/** Where the selected runs are compared: by their filter, or one by one. */
export function compareUrl(ids, sel, experiment) {
  if (sel && !isOnlyHere(sel) && experiment) return projectUrl(`/compare?${new URLSearchParams({experiment, q: sel})}`);
  return projectUrl(`/compare?runs=${encodeURIComponent(JSON.stringify([...ids].slice(0, MOST_COMPARED)))}`);
}

/** Say how many are selected, and lead to their comparison. */
export function tellSelected({size}, sel, href) {
  $('#selected').hidden = !size;
  $('#selected-count').textContent = `${integer(size)} selected${isOnlyHere(sel) ? ' (in this tab only: too scattered for a link)' : ''}`;
  $('#compare-word').textContent = size ? `Compare (${integer(size)})` : 'Compare';
  const link = $('#compare');
  if (size) link.href = href;
  else link.removeAttribute('href');
  link.title = size > MOST_COMPARED ? `The newest ${MOST_COMPARED} of them` : '';
  link.setAttribute('aria-disabled', String(!size));
}

function remember(sel, ids) {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify({path: location.pathname, sel, ids}));
  } catch { /* a full storage: the link still says what it can */ }
}

/** The ids that this tab selected where its address said `sel`; null where it did not. */
function remembered(sel) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? 'null');
    return kept?.path === location.pathname && kept.sel === sel ? kept.ids : null;
  } catch {
    return null;
  }
}
