/** What the table shows where there are no rows. */
import {clear, el} from '../core/dom.js';
import {page} from '../core/page.js';
import {excluding} from './view.js';

/** No run at all: how the first one is made. */
export function firstRuns(host, onCopy) {
  const home = page.data.experiment ? `experiment_id="${page.data.experiment.id}", ` : '';
  const snippet = `from podstack import MLOpsClient

client = MLOpsClient("${page.data.address}", project="${page.project}")
with client.start_run(${home}params={"lr": 1e-3}) as run:
    for step in range(100):
        run.log_metrics({"loss": 1 / (step + 1)}, step=step)`;
  clear(host).append(el('div', {class: 'empty first-runs'}, el('p', {class: 'empty-title'}, 'No runs yet'), el('p', {class: 'muted'}, 'Start one from Python; it appears here while it trains.'),
    el('pre', {class: 'snippet', id: 'snippet'}, el('code', {}, snippet)), el('button', {type: 'button', class: 'button', onclick: onCopy}, 'Copy')));
}

/** Nothing fits: the parts of the filter that leave all out, each with a way to take it away. */
export function noMatch(host, table, parts, text, onChange) {
  const without = ({from, to}) => `${text.slice(0, from)} ${text.slice(to)}`.replace(/^\s*(?:and|or)\s+|\s+(?:and|or)\s*$/gi, '').replace(/\b(and|or)\s+(?:and|or)\b/gi, '$1').trim();
  const chips = excluding(table, parts).slice(0, 12).map((part) => el('button', {type: 'button', class: 'chip', onclick: () => onChange(without(part))}, `${text.slice(part.from, part.to)} ×`));
  host.append(el('div', {class: 'empty'}, el('p', {class: 'empty-title'}, 'No run fits this filter'), el('p', {class: 'muted'}, 'Take a part of it away:'),
    el('p', {class: 'chips centred'}, chips, parts.length > 1 ? el('button', {type: 'button', class: 'chip', onclick: () => onChange('')}, 'Everything ×') : null)));
}
