/**
 * The filter language of podstack.expressions: names, tokens and how they are written.
 *
 * The same text means the same here and on the server; tests/ui/filter_cases.json holds both to it.
 */

export const PARTS = ['last', 'min', 'max', 'last_step', 'min_step', 'max_step', 'steps'];
export const TEXTS = ['status', 'name', 'id', 'user', 'experiment', 'parent', 'notes'];
export const TIMES = ['created', 'ended'];
export const ATTRIBUTES = [...TEXTS, ...TIMES, 'duration', 'tags'];
export const STATUSES = ['running', 'completed', 'failed', 'killed'];
export const COMPARISONS = ['=', '!=', '<', '<=', '>', '>='];

const WORDS = new Set(['and', 'or', 'not', 'in', 'contains', 'is']);
const KEYWORDS = new Set([...WORDS, 'true', 'false', 'none', 'null', 'nan', 'missing', 'inf',
  'infinity']);
const QUALIFIERS = ['metrics', 'params', 'tags'];
const SPACE = '[\\s\\x1c-\\x1f\\x85]*';
const W = '[\\p{L}\\p{N}_]';
const FIRST = '[\\p{L}\\p{Nl}\\p{No}_]';
const TOKEN = new RegExp(
  `${SPACE}(?:(?<quoted>'(?:[^'\\\\]|\\\\.|'')*'|"(?:[^"\\\\]|\\\\.|"")*")` +
  `|(?<named>(?<sign>[+\\-]?)(?:(?<prefix>${W}+)\\.)?` +
  `\`(?<inner>(?:[^\`]|\`\`)+)\`(?:\\.(?<part>${W}+))?)` +
  `|(?<word>[+\\-]?\\.?${W}+(?:[.\\/\\-+:@%]+${W}+)*(?:(?<=[0-9])\\.(?!${W}|\`))?)` +
  '|(?<mark>==|!=|<>|<=|>=|[=<>()\\[\\],])|(?<end>$))', 'suy');
const NUMBER = /^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;
const INFINITY = /^[+-]?inf(?:inity)?$/i;
const LETTER = new RegExp(`^${FIRST}`, 'u');
const PLAIN = new RegExp(`^${FIRST}(?:${W}|[/\\-+:@%])*$`, 'u');

/** A text that is no expression, with the place of what is wrong. */
export class FilterError extends Error {
  constructor(message, position) {
    super(message);
    this.position = position;
  }
}

/** @typedef {{kind: string, name: string, part: string}} Name */

/** @returns {Name} */
export function named(kind, name, part = '') {
  return {kind, name, part: part || (kind === 'metrics' ? 'last' : '')};
}

export const ALL_TAGS = named('attribute', 'tags');

export function isTags(name) {
  return name.kind === 'attribute' && name.name === 'tags';
}

/**
 * A text as tokens {kind: word | quoted | named | mark | end, text, word, from, to, name, sign}.
 *
 * @throws {FilterError} some character begins no token.
 */
export function tokensOf(text) {
  const tokens = [];
  for (let position = 0; ;) {
    const token = tokenAt(text, position);
    tokens.push(token);
    if (token.kind === 'end') return tokens;
    position = token.to;
  }
}

function tokenAt(text, position) {
  TOKEN.lastIndex = position;
  const match = TOKEN.exec(text);
  if (!match) throw new FilterError(oddity(text, position), skipped(text, position));
  const groups = match.groups;
  const kind = ['quoted', 'named', 'word', 'mark', 'end'].find((k) => groups[k] !== undefined);
  const raw = groups[kind];
  const to = match.index + match[0].length;
  const token = {kind, text: raw, word: '', from: to - raw.length, to, name: null, sign: ''};
  if (kind === 'word') token.word = raw.toLowerCase();
  if (kind === 'quoted') token.text = unquoted(raw);
  if (kind === 'named') Object.assign(token, {sign: groups.sign, name: backticked(groups, token)});
  return token;
}

function skipped(text, position) {
  return position + text.slice(position).search(/\S|$/);
}

function oddity(text, position) {
  const letter = text[skipped(text, position)] ?? '';
  return '\'"`'.includes(letter) ? `this ${letter} is never closed` : `${letter} means nothing here`;
}

function backticked({prefix, inner, part}, token) {
  if (prefix && !QUALIFIERS.includes(prefix)) {
    throw new FilterError('write metrics., params. or tags.', token.from);
  }
  if (part && (!PARTS.includes(part) || prefix === 'params' || prefix === 'tags')) {
    throw new FilterError(`there is no .${part}`, token.from);
  }
  return named(prefix || 'any', inner.replaceAll('``', '`'), part);
}

function unquoted(raw) {
  const quote = raw[0];
  const pattern = new RegExp(`\\\\([\\\\'"])|${quote}${quote}`, 'gs');
  return raw.slice(1, -1).replace(pattern, (_, escaped) => escaped ?? quote);
}

/** The number that a token is, or null. */
export function numberIn(token) {
  if (token.kind !== 'word') return null;
  if (NUMBER.test(token.text)) return Number(token.text);
  if (!INFINITY.test(token.text)) return null;
  return token.text[0] === '-' ? -Infinity : Infinity;
}

/**
 * The name that a token is.
 *
 * @throws {FilterError} it is none.
 * @returns {Name}
 */
export function nameOf(token, text = token.text) {
  if (token.kind === 'named') return token.name;
  const fail = (message) => { throw new FilterError(message, token.from); };
  if (token.kind !== 'word') fail('expected a name');
  if (!LETTER.test(text)) fail(`a name that starts so goes in backticks: \`${text}\``);
  const dot = text.indexOf('.');
  const prefix = dot < 0 ? text : text.slice(0, dot);
  const rest = dot < 0 ? '' : text.slice(dot + 1);
  if (prefix === 'metrics' && rest) return metricOf(rest, fail);
  if (QUALIFIERS.includes(prefix) && rest) return named(prefix, rest);
  if (dot >= 0) return partOf(prefix, rest, fail);
  if (WORDS.has(text.toLowerCase())) fail('expected a name or a value');
  if (text.startsWith('__')) fail(`a name that starts so goes in backticks: \`${text}\``);
  return named(ATTRIBUTES.includes(text) ? 'attribute' : 'any', text);
}

function metricOf(rest, fail) {
  const dot = rest.indexOf('.');
  if (dot < 0) return named('metrics', rest);
  const part = rest.slice(dot + 1);
  if (!PARTS.includes(part)) fail(`of a metric there are .${PARTS.join(' .')}`);
  return named('metrics', rest.slice(0, dot), part);
}

function partOf(prefix, rest, fail) {
  const isPart = PARTS.includes(rest) && !ATTRIBUTES.includes(prefix) && !prefix.startsWith('__');
  if (!isPart) fail(`write metrics.NAME or params.NAME; a dot in a name needs backticks`);
  return named('any', prefix, rest);
}

/** A name as the language writes it; `right`: on the right of a comparison. */
export function nameText(name, right = false) {
  if (name.kind === 'attribute') return name.name;
  const prefix = name.kind === 'any' ? '' : `${name.kind}.`;
  const isDefault = name.part === (name.kind === 'metrics' ? 'last' : '');
  const quoted = right && name.kind === 'any' ? ticked(name.name) : quotedName(name.name);
  return `${prefix}${quoted}${isDefault ? '' : `.${name.part}`}`;
}

function quotedName(text) {
  const isPlain = PLAIN.test(text) && !'/-+:@%'.includes(text.at(-1)) && !text.startsWith('__') &&
    !KEYWORDS.has(text.toLowerCase()) && !ATTRIBUTES.includes(text);
  return isPlain ? text : ticked(text);
}

function ticked(text) {
  return `\`${text.replaceAll('`', '``')}\``;
}

/** A value as the language writes it. */
export function literal(value) {
  if (value === null) return 'none';
  if (value === Infinity || value === -Infinity) return value > 0 ? 'inf' : '-inf';
  if (typeof value !== 'string') return String(value);
  return `'${value.replaceAll('\\', '\\\\').replaceAll('\'', '\\\'')}'`;
}
