/**
 * The filter box's reading of a text: never an error, always rows.
 *
 * Conditions need no `and` between them. What is no condition is text, looked for word by word in
 * name and tags; where it looks like a condition gone wrong it is marked, with what was expected.
 */

import {Parser, joined, negated, textOf, wordNode} from './filter.js';
import {FilterError, tokensOf} from './tokens.js';

const MOST = 4000; // characters that are read as conditions

/**
 * @typedef {{from: number, to: number, message: string}} Mark
 * @typedef {{from: number, to: number, tree: object}} Part
 * @param {string} text
 * @param {{isTyping?: boolean, isName?: (word: string) => boolean}} [options]
 *   isTyping: leave out a last part that is not complete yet.
 * @returns {{tree: object|null, parts: Part[], marks: Mark[], text: string}}
 *   parts: what all rows must meet; text: the same for the server, in the strict language.
 */
export function parseLoose(text, options = {}) {
  const readable = text.slice(0, MOST);
  const parser = new LooseParser(readable, looseTokens(readable), options);
  const parts = parser.all();
  const trees = parts.map((part) => part.tree);
  const tree = trees.length ? joined('and', trees) : null;
  return {tree, parts, marks: parser.marks, text: tree ? textOf(tree) : ''};
}

function looseTokens(text) {
  const clean = text.replace(/\p{Surrogate}|\0/gu, '?');
  const tokens = [];
  for (let rest = 0; ;) {
    try {
      tokens.push(...moved(tokensOf(clean.slice(rest)), rest));
      return tokens;
    } catch (error) {
      const from = rest + error.position;
      const found = from > rest ? moved(tokensOf(clean.slice(rest, from)), rest).slice(0, -1) : [];
      const to = '\'"`'.includes(clean[from]) ? clean.length : from + oddLength(clean, from);
      const raw = clean.slice(from, to);
      tokens.push(...found, {kind: 'odd', text: raw, word: '', from, to, message: error.message});
      rest = to;
    }
  }
}

function oddLength(text, from) {
  return Math.max(1, /^[^\s()]*/.exec(text.slice(from))[0].length);
}

function moved(tokens, by) {
  return tokens.map((token) => ({...token, from: token.from + by, to: token.to + by}));
}

class LooseParser extends Parser {
  constructor(text, tokens, {isTyping = false, isName = () => false}) {
    super(text, tokens);
    this.isTyping = isTyping;
    this.isName = isName;
    this.marks = [];
  }

  /** The parts that are joined by `and` at the top, each with its place. */
  all() {
    const parts = this.conjuncts();
    while (!this.isAtEnd) { // an `or`, or a parenthesis too many
      if (!this.take('or')) {
        this.mark(this.token, 'nothing was opened here');
        this.next += 1;
        parts.push(...this.conjuncts());
        continue;
      }
      const others = this.conjuncts();
      if (others.length) parts.splice(0, parts.length, this.either(parts, others));
    }
    return parts;
  }

  get isAtEnd() { return this.token.kind === 'end'; }

  either(parts, others) {
    if (!parts.length) return this.whole(others);
    const sides = [parts, others].map((side) => joined('and', side.map((part) => part.tree)));
    return {from: parts[0].from, to: others.at(-1).to, tree: joined('or', sides)};
  }

  whole(parts) {
    const tree = joined('and', parts.map((part) => part.tree));
    return {from: parts[0].from, to: parts.at(-1).to, tree};
  }

  conjuncts() {
    const parts = [];
    for (;;) {
      while (this.take('and'));
      if (this.isAtEnd || this.at('or', ')')) return parts;
      const from = this.token.from;
      const tree = this.negation(0);
      const to = this.tokens[Math.max(0, this.next - 1)].to;
      if (tree) parts.push({from, to, tree});
    }
  }

  negation(depth) {
    if (depth > 20) return this.text_(this.next, this.next + 1, 'too many levels');
    if (this.at('not')) {
      const start = this.next++;
      if (this.isAtEnd || this.at('and', 'or', ')')) return this.text_(start, this.next, '');
      const part = this.negation(depth + 1);
      return part && negated(part);
    }
    if (this.at('(')) return this.parenthesis(depth + 1);
    return this.condition();
  }

  parenthesis(depth) {
    const open = this.token;
    this.next += 1;
    const sides = [this.conjuncts()];
    while (this.take('or')) sides.push(this.conjuncts());
    if (!this.take(')') && depth) this.mark(open, 'this is never closed');
    const trees = sides.filter((side) => side.length).map((side) => this.whole(side).tree);
    return trees.length ? joined('or', trees) : null;
  }

  condition() {
    const start = this.next;
    try {
      const tree = super.condition();
      if (this.token.kind !== 'odd' && !this.at(',', ']', '[')) return tree;
      this.next = start;
      return this.afterError(start, this.tokens.indexOf(this.tokens[start]) + 1, null);
    } catch (error) {
      if (!(error instanceof FilterError)) throw error;
      return this.afterError(start, this.next, error);
    }
  }

  /** What could not be read from token `start` on, up to where that was noticed. */
  afterError(start, noticed, error) {
    const token = this.tokens[start];
    const failed = this.tokens.findIndex((t) => t.from >= (error?.position ?? token.to));
    const isWord = failed <= start + 1 && ['word', 'quoted', 'named'].includes(token.kind) &&
      !this.isOperator(start + 1);
    if (isWord) return this.bare(start);
    let stop = Math.max(start + 1, noticed, this.isJoint(failed) ? failed : failed + 1);
    stop = Math.min(stop, this.tokens.length - 1);
    const message = token.message ?? error?.message ?? 'no condition';
    return this.text_(start, Math.max(stop, start + 1), message);
  }

  isOperator(index) {
    const {kind, word, text} = this.tokens[index] ?? {};
    return (kind === 'mark' && !'()'.includes(text)) || ['in', 'contains', 'is'].includes(word) ||
      kind === 'odd';
  }

  isJoint(index) {
    const {kind, word, text} = this.tokens[index] ?? {kind: 'end'};
    return kind === 'end' || word === 'and' || word === 'or' || text === ')' || text === '(';
  }

  bare(start) {
    const token = this.tokens[start];
    this.next = start + 1;
    const isBegun = this.isTyping && this.isAtEnd && this.isName(token.text);
    return isBegun ? null : wordNode(token.text);
  }

  /** Tokens as words that are looked for; marked, unless that is what a person meant. */
  text_(start, stop, message) {
    this.next = stop;
    const from = this.tokens[start].from;
    const to = this.tokens[stop - 1].to;
    if (message) this.marks.push({from, to, message});
    if (this.isTyping && this.isAtEnd) return null;
    const words = this.text.slice(from, to).split(/\s+/u).filter(Boolean);
    return words.length ? joined('and', words.map(wordNode)) : null;
  }

  mark(token, message) { this.marks.push({from: token.from, to: token.to, message}); }
}
