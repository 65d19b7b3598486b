/** The answer of …/table as columns that filters, orders and cells read. */
import {now} from '../core/page.js';
import {named, nameText} from './tokens.js';

const ODD = {NaN, Infinity, '-Infinity': -Infinity};
const numeric = (value) => (Object.hasOwn(ODD, value) ? ODD[value] : value);

/** Rows of runs. A row is a number; what a run lacks is undefined, a logged none is null. */
export class Table {
  /** @param {object} answer of GET …/table @param {number} [at] epoch seconds */
  constructor(answer, at = now()) {
    this.data = answer;
    this.now = at;
    this.rowOf = new Map(answer.ids.map((id, row) => [id, row]));
    this.rows = answer.ids.map((_, row) => row);
    this.getters = new Map();
    for (const figures of Object.values(answer.metrics)) {
      for (const column of Object.values(figures)) column.forEach((value, row) => { if (typeof value === 'string') column[row] = numeric(value); });
    }
  }

  get size() { return this.data.ids.length; }

  /** What a name is in a row. @returns {(row: number) => any} */
  column(name) {
    const key = nameText(name);
    if (!this.getters.has(key)) this.getters.set(key, this.made(name));
    return this.getters.get(key);
  }

  /** Whether a name's numbers may be told by their digits, as texts, for no number here holds them. */
  isInDigits({kind, name}) { return (kind === 'params' || kind === 'any') && Boolean(this.data.digits?.includes(name)); }

  /** Whether the answer has what a name asks for; the server knows more than pages are told. */
  has({kind, name, part}) {
    if (this.isInDigits({kind, name})) return false;
    const figures = this.data.metrics[name];
    if (kind === 'attribute') return name !== 'notes' || Boolean(this.data.notes);
    return kind === 'params' || !(kind === 'metrics' || part) || !figures || part === '' || part in figures;
  }

  made({kind, name, part}) {
    const {data} = this;
    if (kind === 'metrics') return reading(data.metrics[name]?.[part || 'last']);
    if (kind === 'params') return this.param(data.params[name]);
    if (kind === 'tags') return (row) => data.tags[row].includes(name) || undefined;
    return this.attribute(name);
  }

  param(column) {
    if (!column) return () => undefined;
    return (row) => {
      const value = column[row];
      return value === null ? undefined : Array.isArray(value) ? null : value;
    };
  }

  attribute(name) {
    const {data} = this;
    if (name === 'experiment') return (row) => [data.experiment[row], data.experiments[data.experiment[row]] ?? ''];
    if (name === 'duration') return (row) => Math.max(0, (data.ended[row] ?? data.lost_since?.[row] ?? this.now) - data.created[row]);
    return reading(data[{name: 'names', id: 'ids'}[name] ?? name]);
  }
}

const reading = (column) => (column ? (row) => column[row] ?? undefined : () => undefined);

/** The columns that a table can show, in their usual order: [{key, title, kind, name, direction}]. */
export function columnsOf(table, {withExperiment = false} = {}) {
  const {params, metrics, directions} = table.data;
  const facts = [['status', 'Status'], ['created', 'Started'], ['duration', 'Duration'], ['user', 'User'], ['tags', 'Tags']];
  if (withExperiment) facts.splice(1, 0, ['experiment', 'Experiment']);
  const ofMetric = (name, part) => ({
    key: nameText(named('metrics', name, part)), title: part === 'last' ? name : `${name} ${part}`, kind: 'metrics',
    name: named('metrics', name, part), isNumber: true, direction: part === 'steps' ? undefined : directions[name], part,
  });
  return [
    ...facts.map(([name, title]) => ({key: name, title, kind: 'attribute', name: named('attribute', name), isNumber: name === 'duration'})),
    ...Object.keys(metrics).flatMap((name) => Object.keys(metrics[name]).map((part) => ofMetric(name, part))),
    ...Object.keys(params).map((name) => ({key: nameText(named('params', name)), title: name, kind: 'params', name: named('params', name), isNumber: isNumeric(params[name])})),
  ];
}

const isNumeric = (column) => column.every((value) => value === null || typeof value === 'number') && column.some((value) => value !== null);

/** Whether runs differ in a column. */
export function isDiffering(table, column) {
  const get = table.column(column.name);
  const first = get(0);
  for (let row = 1; row < table.size; row += 1) if (!Object.is(get(row), first)) return true;
  return false;
}

const MOST = 12;

/** The columns shown where nobody chose: facts, metrics, and parameters that differ; common ones first. */
export function usualColumns(table, all) {
  const common = (columns) => columns.map((column) => [known(table, column), column]).sort((a, b) => b[0] - a[0]).map(([, column]) => column);
  const metrics = common(all.filter((column) => column.kind === 'metrics' && column.part === 'last' && !column.name.name.startsWith('system/')));
  const ranked = [...metrics.filter((column) => column.direction), ...metrics.filter((column) => !column.direction)].slice(0, MOST / 2);
  const params = common(all.filter((column) => column.kind === 'params' && isDiffering(table, column))).slice(0, MOST - ranked.length);
  return [...all.filter((column) => column.kind === 'attribute'), ...ranked, ...params].map((column) => column.key);
}

function known(table, column) {
  const get = table.column(column.name);
  let count = 0;
  for (let row = 0; row < table.size; row += 1) if (get(row) !== undefined) count += 1;
  return count;
}

/** The best last value of each column that has a direction, where runs differ in it. */
export function bestOf(table, columns, rows) {
  const best = new Map();
  for (const {key, name, direction} of columns) {
    const found = direction && bestIn(rows, table.column(name), direction === 'minimize');
    if (found?.isOneOfMany) best.set(key, found.value);
  }
  return best;
}

/** One loop and no arrays: this is done for six columns of all rows while somebody types. */
function bestIn(rows, get, isLow) {
  let best;
  let isOneOfMany = false;
  for (const row of rows) {
    const value = get(row);
    if (!Number.isFinite(value) || value === best) continue;
    isOneOfMany = best !== undefined;
    if (best === undefined || (isLow ? value < best : value > best)) best = value;
  }
  return {value: best, isOneOfMany};
}
