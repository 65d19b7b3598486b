/** The menu of one column: which figure of a metric, bars, its place, and what to do with its values. */
import {openMenu} from '../core/menu.js';
import {bestPart, keyWith} from './layout.js';

const WORDS = {last: 'Last value', min: 'Lowest', max: 'Highest'};

/**
 * @param {HTMLElement} button
 * @param {{column: object, isPinned: boolean, hasBars: boolean, isFirst: boolean, isLast: boolean, canGroup: boolean}} now
 * @param {object} acts {sort(descending), figure(key), figures(part), bars(), pin(), step(by), filter(), group(), fit(), hide()}
 */
export function openColumn(button, now, acts) {
  const {column} = now;
  const lists = [figures(column, acts), sorting(column, acts), place(now, acts), others(now, acts)];
  return openMenu(button, lists.filter((list) => list.length).flatMap((list, at) => (at ? [null, ...list] : list)));
}

function figures(column, {figure, figures: all}) {
  if (column.kind !== 'metrics' || !(column.part in WORDS)) return [];
  const best = bestPart(column);
  const word = (part) => (part === best ? `Best (${WORDS[part].toLowerCase()})` : WORDS[part]);
  const radios = Object.keys(WORDS).map((part) => ({text: word(part), checked: column.part === part, run: () => figure(keyWith(column, part))}));
  return [...radios, {text: column.part === best ? 'Best of all metrics' : `${WORDS[column.part]} of all metrics`, run: () => all(column.part === best ? 'best' : column.part)}];
}

const sorting = ({isNumber}, {sort}) => [
  {text: isNumber ? 'Sort: highest first' : 'Sort: Z to A', run: () => sort(true)},
  {text: isNumber ? 'Sort: lowest first' : 'Sort: A to Z', run: () => sort(false)},
];

const place = ({isPinned, isFirst, isLast}, {pin, step}) => [
  {text: isPinned ? 'Unpin' : 'Pin', run: pin},
  !isFirst && {text: 'Move left', run: () => step(-1)},
  !isLast && {text: 'Move right', run: () => step(1)},
].filter(Boolean);

const others = ({column, hasBars, canGroup}, acts) => [
  column.isNumber && {text: 'Bars', checked: hasBars, run: acts.bars},
  {text: 'Filter by it', run: acts.filter},
  canGroup && {text: 'Group by it', run: acts.group},
  {text: 'Fit the width', run: acts.fit},
  {text: 'Hide', run: acts.hide},
].filter(Boolean);
