/** All that a phone's table has no room for: every column of one run, from below. */
import {dialog} from '../core/dialog.js';
import {el} from '../core/dom.js';
import {shown, status} from './cells.js';
import {bestPart} from './layout.js';

/**
 * @param {{table: object, row: number, columns: import('./columns.js').Columns, href: string,
 *   isPicked: boolean, onPick: () => void}} run
 */
export function openSheet({table, row, columns, href, isPicked, onPick}) {
  const isThere = (column) => ![undefined, ''].includes(table.column(column.name)(row));
  const first = columns.shown.filter(isThere);
  const others = columns.all.filter((column) => !first.includes(column) && isTold(column) && isThere(column));
  const open = el('a', {class: 'button primary', href}, 'Open run');
  const {element} = dialog({
    title: table.data.names[row] || table.data.ids[row],
    body: [facts(first, table, row), others.length ? el('details', {}, el('summary', {}, `${others.length} more`), facts(others, table, row)) : null].filter(Boolean),
    actions: [{text: 'Close', kind: 'plain'}, {text: isPicked ? 'Deselect' : 'Select', kind: 'plain', run: onPick}],
  });
  element.classList.add('sheet');
  element.querySelector('.dialog-actions').append(open);
  open.focus();
}

/** Of a metric the last and the best value are enough. */
const isTold = (column) => column.kind !== 'metrics' || column.part === 'last' || column.part === bestPart(column);

function facts(columns, table, row) {
  const told = (column) => {
    const value = table.column(column.name)(row);
    return column.key === 'status' ? status(value) : shown(column, value);
  };
  return el('dl', {class: 'sheet-facts'}, columns.map((column) => el('div', {}, el('dt', {class: 'cut'}, column.title), el('dd', {}, told(column)))));
}
