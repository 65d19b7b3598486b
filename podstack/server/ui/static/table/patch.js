/** What an answer about changes alone does to a table; it comes with the first one. */
import {Table} from './table.js';

/**
 * Take over what an answer tells of runs that the table has.
 *
 * @returns {{strange: string[], gone: string[], left: string[], hasColumns: boolean, table: Table}}
 *   runs that it has not; those that it has and the store no more; all that the store has no
 *   more; whether a run that it has got what it has no column for; the answer as a table
 */
export function patch(table, answer) {
  const fresh = new Table(answer);
  const strange = [];
  const missing = newColumns(table.data, answer);
  let hasColumns = false;
  answer.ids.forEach((id, from) => {
    const row = table.rowOf.get(id);
    if (row === undefined) return void strange.push(id);
    copied(table.data, fresh.data, row, from);
    hasColumns ||= missing.some((column) => (column[from] ?? null) !== null);
  });
  Object.assign(table.data.experiments, answer.experiments);
  table.data.digits = [...new Set([...table.data.digits ?? [], ...answer.digits ?? []])];
  const all = answer.next ? [] : [...table.rowOf.keys()]; // told by a server that began anew
  const left = (answer.changed ?? all).filter((id) => !fresh.rowOf.has(id));
  return {strange, gone: left.filter((id) => table.rowOf.has(id)), left, hasColumns, table: fresh};
}

/** The columns of an answer that a table neither has nor left out. */
function newColumns(data, answer) {
  const others = (kind) => Object.keys(answer[kind])
    .filter((name) => !(name in data[kind]) && !data.omitted?.[kind].includes(name))
    .map((name) => answer[kind][name]);
  return [...others('params'), ...others('metrics').map((figures) => Object.values(figures)[0])];
}

const PATCHED = [
  'names', 'status', 'lost_since', 'ended', 'tags', 'deleted', 'experiment', 'notes',
];

function copied(data, fresh, row, from) {
  for (const name of PATCHED) if (data[name] && fresh[name]) data[name][row] = fresh[name][from];
  for (const name of Object.keys(data.params)) if (fresh.params[name]) data.params[name][row] = fresh.params[name][from];
  for (const [name, figures] of Object.entries(data.metrics)) {
    for (const part of Object.keys(figures)) if (fresh.metrics[name]) figures[part][row] = fresh.metrics[name][part][from];
  }
}
