/** What the table shows where there are no rows. */
import {copy} from '../core/copy.js';
import {clear, el} from '../core/dom.js';
import {page} from '../core/page.js';
import {excluding, nearest} from './excluding.js';

/** No run at all: how the first one is made. */
export function firstRuns(host) {
  const home = page.data.experiment ? `experiment_id="${page.data.experiment.id}", ` : '';
  const snippet = `from podstack import MLOpsClient

client = MLOpsClient("${page.data.address}", project="${page.project}")
with client.start_run(${home}params={"lr": 1e-3}) as run:
    for step in range(100):
        run.log_metrics({"loss": 1 / (step + 1)}, step=step)`;
  clear(host).append(el('div', {class: 'empty first-runs'}, el('p', {class: 'empty-title'}, 'No runs yet'), el('p', {class: 'muted'}, 'Start one from Python; it appears here while it trains.'),
    el('pre', {class: 'snippet', id: 'snippet', tabindex: '0'}, el('code', {}, snippet)), el('button', {type: 'button', class: 'button', onclick: () => copy(snippet, 'Copied: run it in Python')}, 'Copy')));
}

/**
 * Nothing fits: the parts of the filter that leave all out, each with a way to take it away.
 *
 * @param {object} now {table, parts, names, text: of the filter, replace: (text) => void}
 */
export function noMatch(host, {table, parts, names, text, replace}) {
  host.querySelector(':scope > .empty')?.remove();
  const chips = excluding(table, parts).slice(0, 12).map((part) => el('button', {type: 'button', class: 'chip', onclick: () => replace(without(text, part))}, `${text.slice(part.from, part.to)} ×`));
  const all = parts.length > 1 ? el('button', {type: 'button', class: 'chip', onclick: () => replace('')}, 'Everything ×') : null;
  host.append(el('div', {class: 'empty'}, el('p', {class: 'empty-title'}, 'No run fits this filter'), el('p', {class: 'muted'}, chips.length > 1 ? 'Each of these leaves out every run. Take one away:' : 'Take a part of it away:'),
    el('p', {class: 'chips centred'}, chips, all), unknown(parts, names, text, replace)));
}

/** A text without one of its parts, and without the word that joined it. */
export function without(text, {from, to}) {
  const rest = `${text.slice(0, from).trimEnd()} ${text.slice(to).trimStart()}`.trim();
  return rest.replace(/^(?:and|or)\s+|\s+(?:and|or)$/gi, '').replace(/\b(and|or)\s+(?:and|or)\b/gi, '$1').trim();
}

/** Names that no run has, with those that were perhaps meant. */
function unknown(parts, names, text, replace) {
  return nearest(parts, names).map(({name, part, like}) => el('p', {class: 'muted'}, `No run has `, el('code', {}, name), like.length ? '. Did you mean ' : '.',
    like.map((word, at) => [at ? ' or ' : '', el('button', {type: 'button', class: 'link', onclick: () => replace(text.slice(0, part.from) + text.slice(part.from, part.to).replace(name, () => word) + text.slice(part.to))}, word)]), like.length ? '?' : ''));
}
