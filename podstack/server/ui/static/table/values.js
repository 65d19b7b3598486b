/** The literals of a filter, typed by the name that they are compared with. */

import {FilterError, STATUSES, TEXTS, TIMES, isTags, numberIn} from './tokens.js';

const SPAN = /([0-9]+(?:\.[0-9]+)?)(ms|d|h|m|s)/g;
const SECONDS = {d: 86400, h: 3600, m: 60, s: 1, ms: 0.001};
const MOMENT = new RegExp('^(\\d{4})-(\\d\\d)-(\\d\\d)' +
  '(?:[T ](\\d\\d):(\\d\\d)(?::(\\d\\d)(\\.\\d{1,6})?)?(Z|z|[+-]\\d\\d:\\d\\d)?)?$');
const LITERALS = {true: true, false: false, none: null, null: null};

/**
 * The value that a token means beside `name`.
 *
 * @throws {FilterError} it is of a kind that could never match.
 */
export function valueFor(name, operator, token) {
  const fail = (message) => { throw new FilterError(message, token.from); };
  if (name.kind === 'attribute') return attributeValue(name, operator, token, fail);
  const number = numberIn(token);
  if (name.kind === 'metrics') return number ?? fail(`${name.name} is a number`);
  if (token.kind === 'quoted') return token.text;
  if (number !== null) return number;
  if (token.word === 'nan' || token.word === 'missing') fail(`write: is ${token.word}`);
  if ('<>'.includes(operator[0])) fail(`expected a number or a name after ${operator}`);
  return Object.hasOwn(LITERALS, token.word) ? LITERALS[token.word] : token.text;
}

function attributeValue(name, operator, token, fail) {
  if (name.name === 'status' && !STATUSES.includes(token.text)) {
    fail(`status is one of ${STATUSES.join(', ')}`);
  }
  if (TEXTS.includes(name.name) || isTags(name)) return token.text;
  if (TIMES.includes(name.name)) return moment(operator, token, fail);
  return duration(token) ?? fail('expected seconds, or a time such as 90s, 5m, 1h30m or 2d');
}

function moment(operator, token, fail) {
  const number = numberIn(token);
  if (number !== null) return number;
  const seconds = secondsOf(token.text);
  if (seconds === null) fail('expected a date such as 2026-11-01 or \'2026-11-01 18:30\'');
  if (!'<>'.includes(operator[0])) fail('ask for a range: created >= DAY and created < NEXT');
  return seconds;
}

/** Epoch seconds; of this browser's time zone unless the text names one. */
function secondsOf(text) {
  const match = MOMENT.exec(text);
  if (!match) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((n) => Number(n ?? 0));
  const fields = [year, month - 1, day, hour, minute, second];
  const utc = new Date(Date.UTC(...fields));
  const isReal = utc.getUTCMonth() === month - 1 && utc.getUTCDate() === day &&
    hour < 24 && minute < 60 && second < 60;
  if (!isReal) return null;
  const base = match[8] ? utc.getTime() - offset(match[8]) : new Date(...fields).getTime();
  return base / 1000 + Number(match[7] ?? 0);
}

function offset(zone) {
  if (zone === 'Z' || zone === 'z') return 0;
  const [hours, minutes] = zone.slice(1).split(':').map(Number);
  return (zone[0] === '-' ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}

function duration(token) {
  const number = numberIn(token);
  if (number !== null) return number;
  const parts = [...token.text.matchAll(SPAN)];
  if (!parts.length || parts.map((part) => part[0]).join('') !== token.text) return null;
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * SECONDS[unit], 0);
}
