/** Runs as files. */
import {openMenu} from '../core/menu.js';

/**
 * Ask for the kind of file below a button.
 *
 * @param {HTMLElement} button
 * @param {{table: object, columns: object[], rows: number[], isSelection: boolean, name: string}} what
 */
export function openExport(button, {table, columns, rows, isSelection, name}) {
  const words = isSelection ? 'selected rows' : 'rows shown';
  const file = name.replace(/[^\w.-]+/g, '_');
  openMenu(button, [
    {text: `CSV of the ${words}`, run: () => save(csvOf(table, columns, rows), `${file}.csv`, 'text/csv')},
    {text: `JSON of the ${words}`, run: () => save(jsonOf(table, columns, rows), `${file}.json`, 'application/json')},
  ]);
}

/** A cell of CSV; what a spreadsheet would take for a formula gets a ' before it. */
export function csvCell(value) {
  if (value === undefined || value === null) return '';
  if (typeof value === 'number') return String(value);
  const text = Array.isArray(value) ? value.join(', ') : String(value);
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

const valueOf = (table, column, row) => {
  const value = table.column(column.name)(row);
  return column.key === 'experiment' ? value[1] : value;
};

/** @param {object[]} columns after id and name @param {number[]} rows */
export function csvOf(table, columns, rows) {
  const head = ['id', 'name', ...columns.map((column) => column.key)];
  const lines = rows.map((row) => [table.data.ids[row], table.data.names[row], ...columns.map((column) => valueOf(table, column, row))]);
  return [head, ...lines].map((line) => `${line.map(csvCell).join(',')}\r\n`).join('');
}

/** NaN and infinities are texts, as in the answers of the server. */
export function jsonOf(table, columns, rows) {
  const told = (value) => (typeof value === 'number' && !Number.isFinite(value) ? String(value) : value ?? null);
  const made = rows.map((row) => ({id: table.data.ids[row], name: table.data.names[row], ...Object.fromEntries(columns.map((column) => [column.key, told(valueOf(table, column, row))]))}));
  return JSON.stringify(made, null, 1);
}

/** Have the browser keep a text as a file. */
export function save(text, name, type) {
  const address = URL.createObjectURL(new Blob([text], {type}));
  const link = document.createElement('a');
  Object.assign(link, {href: address, download: name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
