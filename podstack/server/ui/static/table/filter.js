/**
 * From the text of the filter box to a tree.
 *
 * `parseStrict` is the grammar of podstack.expressions. `parseLoose` never fails: parts without
 * `and` between them are joined by it, and what is no condition is looked for as text, word by
 * word, in name and tags.
 */

import {
  ALL_TAGS, COMPARISONS, FilterError, TIMES, isTags, literal, nameOf, nameText, named, numberIn,
  tokensOf,
} from './tokens.js';
import {valueFor} from './values.js';

const MAX_LENGTH = 8000;
const MAX_DEPTH = 20;
const MAX_CONDITIONS = 200;
const MAX_LIST = 500;
const SAME = {'==': '=', '<>': '!='};
const FLIPPED = {'<': '>', '<=': '>=', '>': '<', '>=': '<='};

/**
 * @throws {FilterError} it is no expression.
 */
export function parseStrict(text) {
  checkText(text);
  const parser = new Parser(text, tokensOf(text));
  const tree = parser.disjunction(0);
  if (parser.token.kind !== 'end') parser.fail('expected and, or, or the end');
  return tree;
}

function checkText(text) {
  if (text.length > MAX_LENGTH) throw new FilterError('too long', MAX_LENGTH);
  const odd = text.search(/\0|\p{Surrogate}/u);
  if (odd >= 0) throw new FilterError('this is no character', odd);
  if (!text.trim()) throw new FilterError('empty', 0);
}

/** The strict grammar over tokens; `loose.js` extends it. */
export class Parser {
  constructor(text, tokens) {
    this.text = text;
    this.tokens = tokens;
    this.next = 0;
    this.conditions = 0;
  }

  get token() { return this.tokens[this.next]; }

  fail(message, token = this.token) { throw new FilterError(message, token.from); }

  at(...words) {
    const {kind, text, word} = this.token;
    return words.includes(word) || (kind === 'mark' && words.includes(text));
  }

  take(...words) {
    const found = this.at(...words);
    if (found) this.next += 1;
    return found;
  }

  advance() { return this.tokens[this.token.kind === 'end' ? this.next : this.next++]; }

  disjunction(depth) { return this.joined('or', () => this.conjunction(depth)); }

  conjunction(depth) { return this.joined('and', () => this.negation(depth)); }

  joined(word, part) {
    const parts = [part()];
    while (this.goesOn(word)) parts.push(part());
    return joined(word, parts);
  }

  goesOn(word) { return this.take(word); }

  negation(depth) {
    if (depth > MAX_DEPTH) this.fail(`more than ${MAX_DEPTH} levels`);
    if (this.take('not')) return negated(this.negation(depth + 1));
    if (this.take('(')) return this.parenthesis(depth + 1);
    return this.condition();
  }

  parenthesis(depth) {
    const node = this.disjunction(depth);
    if (!this.take(')')) this.fail('expected )');
    return node;
  }

  condition() {
    this.conditions += 1;
    if (this.conditions > MAX_CONDITIONS) this.fail(`more than ${MAX_CONDITIONS} conditions`);
    const isLiteral = this.token.kind === 'quoted' || numberIn(this.token) !== null;
    return isLiteral || this.isTagInTags() ? this.literalFirst() : this.nameFirst();
  }

  /** `baseline in tags`: the only place where a word on the left is a text. */
  isTagInTags() {
    const after = this.tokens[this.next + 1];
    if (!after || !['in', 'not'].includes(after.word)) return false;
    const rest = this.text.slice(after.from, after.from + 200);
    return /^(?:not\s+)?in\s+tags(?![\p{L}\p{N}_.`])/iu.test(rest) &&
      /^(?:not\s+)?in\s+tags/i.exec(rest)[0].endsWith('tags');
  }

  literalFirst() {
    const token = this.advance();
    const wanted = !this.take('not');
    if (this.take('in')) {
      if (this.at('(', '[')) this.fail('the left side of in must be a name', token);
      return this.contains(this.name(), token, wanted);
    }
    const operator = wanted ? this.comparison() : null;
    if (!operator) this.fail('expected in or a comparison');
    if (this.token.kind === 'quoted' || numberIn(this.token) !== null) {
      this.fail('one side of a comparison must be a name');
    }
    return this.unchained(this.compare(this.name(), FLIPPED[operator] ?? operator, token));
  }

  nameFirst() {
    const name = this.name();
    if (name.kind === 'tags') return {type: 'contains', name: ALL_TAGS, text: name.name, wanted: true};
    if (this.take('is')) return this.is(name);
    const wanted = !this.take('not');
    if (this.take('in')) return this.member(name, wanted);
    if (this.take('contains')) {
      if (!['word', 'quoted'].includes(this.token.kind)) this.fail('expected a text');
      return this.contains(name, this.advance(), wanted);
    }
    const operator = wanted ? this.comparison() : null;
    if (!operator) this.fail('expected an operator such as = > in contains is');
    return this.unchained(this.compare(name, operator, null));
  }

  name() {
    const name = nameOf(this.token);
    if (this.token.sign) this.fail('a name has no sign');
    this.next += 1;
    return name;
  }

  comparison() {
    const operator = SAME[this.token.text] ?? this.token.text;
    if (this.token.kind !== 'mark' || !COMPARISONS.includes(operator)) return null;
    this.next += 1;
    return operator;
  }

  unchained(node) {
    const {kind, text} = this.token;
    if (kind === 'mark' && COMPARISONS.includes(SAME[text] ?? text)) {
      this.fail('comparisons do not chain; write: 0 < x and x < 1');
    }
    return node;
  }

  compare(name, operator, literalToken) {
    if (isTags(name)) this.fail('write tags contains \'baseline\', or tags.baseline');
    const right = literalToken ? null : this.nameOnTheRight();
    if (right) return {type: 'compare', name, operator, value: right};
    const token = literalToken ?? this.literal('a number, a text or a name');
    return {type: 'compare', name, operator, value: valueFor(name, operator, token)};
  }

  nameOnTheRight() {
    const {kind, text} = this.token;
    if (kind !== 'named' && !(kind === 'word' && /^(?:metrics|params)\./.test(text))) return null;
    const name = this.name();
    if (name.kind === 'tags') this.fail('a tag stands alone');
    return name;
  }

  literal(expected) {
    if (!['word', 'quoted'].includes(this.token.kind)) this.fail(`expected ${expected}`);
    return this.advance();
  }

  member(name, wanted) {
    if (!this.take('(', '[')) this.fail('expected a list such as (1, 2)');
    const values = [];
    while (!values.length || this.take(',')) {
      if (values.length === MAX_LIST) this.fail(`more than ${MAX_LIST} values`);
      values.push(valueFor(name, 'in', this.literal('a number or a text')));
    }
    if (!this.take(')', ']')) this.fail('expected , or )');
    return {type: 'member', name, values, wanted};
  }

  contains(name, token, wanted) {
    const isNumber = name.kind === 'metrics' ||
      (name.kind === 'attribute' && [...TIMES, 'duration'].includes(name.name));
    if (isNumber) this.fail(`${name.name} is a number and contains nothing`, token);
    if (!token.text) this.fail('write a text to look for', token);
    return {type: 'contains', name, text: token.text, wanted};
  }

  is(name) {
    const wanted = !this.take('not');
    const state = this.token.word === 'null' ? 'none' : this.token.word;
    if (!['nan', 'none', 'missing'].includes(state)) this.fail('expected nan, none or missing');
    const isOdd = (state === 'nan' && name.kind === 'attribute') ||
      (state === 'none' && name.kind === 'metrics');
    if (isOdd) this.fail(`${name.name} is never ${state}; ask for missing`);
    this.next += 1;
    const node = {type: 'is', name, state};
    return wanted ? node : negated(node);
  }
}

/** A word looked for as text. */
export function wordNode(text) {
  return joined('or', [
    {type: 'contains', name: named('attribute', 'name'), text, wanted: true},
    {type: 'contains', name: ALL_TAGS, text, wanted: true},
  ]);
}

export function negated(part) {
  return part.type === 'not' ? part.part : {type: 'not', part};
}

/** Parts joined by a word; (a and b) and c is a and b and c. */
export function joined(word, parts) {
  if (parts.length === 1) return parts[0];
  const flat = parts.flatMap((p) => (p.type === 'junction' && p.word === word ? p.parts : [p]));
  return {type: 'junction', word, parts: flat};
}

/** A tree as the one text that both sides read the same. */
export function textOf(node) {
  if (node.type === 'junction') return node.parts.map(bracketed).join(` ${node.word} `);
  if (node.type === 'not') return `not ${bracketed(node.part)}`;
  const name = nameText(node.name);
  const not = node.wanted === false ? 'not ' : '';
  if (node.type === 'is') return `${name} is ${node.state}`;
  if (node.type === 'contains') return `${name} ${not}contains ${literal(node.text)}`;
  if (node.type === 'member') return `${name} ${not}in (${node.values.map(literal).join(', ')})`;
  const right = node.value?.kind ? nameText(node.value, true) : literal(node.value);
  return `${name} ${node.operator} ${right}`;
}

function bracketed(node) {
  return node.type === 'junction' ? `(${textOf(node)})` : textOf(node);
}

/** Every name that a tree asks about, each once. */
export function namesIn(node, found = new Map()) {
  for (const part of node.parts ?? (node.part ? [node.part] : [])) namesIn(part, found);
  for (const name of [node.name, node.value]) if (name?.kind) found.set(nameText(name), name);
  return [...found.values()];
}
