/** A pointer that draws a column wider, or carries it to another place. */
import {el} from '../core/dom.js';

const FAR = 6; // pixels from which on a press is no click
const EDGE = 40; // pixels from an edge of the table where it scrolls

/** What a press on a head begins. @param {PointerEvent} event @param {import('./heads.js').Heads} heads */
export function follow(event, heads) {
  if (event.button !== 0) return;
  const head = event.target.closest('th[data-key]');
  if (!head) return;
  if (event.target.closest('.head-grip')) drawWidth(event, head, heads.acts);
  else if (event.pointerType !== 'touch' && head.dataset.key !== 'name' && event.target.closest('.head-sort')) carry(event, head, heads);
}

function drawWidth(event, head, {onWidth}) {
  event.preventDefault();
  const {key} = head.dataset;
  const [from, width] = [event.clientX, head.offsetWidth];
  const at = (now) => width + now.clientX - from;
  held(event.target, event, (now) => onWidth(key, at(now), false), (now) => { if (now && now.clientX !== from) onWidth(key, at(now), true); });
}

function carry(event, head, heads) {
  const scroll = head.closest('.grid-scroll');
  const mark = el('div', {class: 'drop-mark'});
  let gap = -1;
  const move = (now) => {
    if (gap < 0 && Math.abs(now.clientX - event.clientX) < FAR) return;
    gap = gapAt(heads.row, now.clientX);
    head.classList.add('is-carried');
    scrolled(scroll, now.clientX);
    placed(mark, heads.row, gap, scroll);
  };
  const end = (now) => {
    mark.remove();
    head.classList.remove('is-carried');
    if (gap < 0) return;
    swallowClick();
    if (now) heads.acts.onMove(head.dataset.key, gap);
  };
  held(event.target.closest('.head-sort'), event, move, end);
}

/** A column that was carried is not sorted by; whether a click follows is the browser's choice. */
function swallowClick() {
  const over = new AbortController();
  addEventListener('click', (click) => click.stopPropagation(), {capture: true, signal: over.signal});
  setTimeout(() => over.abort());
}

/** Follow a pointer until it is let go; `end` gets nothing where Escape or the system ended it. */
function held(element, event, move, end) {
  const over = new AbortController();
  const {signal} = over;
  const done = (now) => { over.abort(); end(now); };
  element.setPointerCapture(event.pointerId);
  element.addEventListener('pointermove', move, {signal});
  element.addEventListener('pointerup', done, {signal});
  element.addEventListener('pointercancel', () => done(null), {signal});
  addEventListener('keydown', (key) => { if (key.key === 'Escape') { key.stopPropagation(); done(null); } }, {signal, capture: true});
}

const places = (row) => [...row.querySelectorAll('th[data-key]:not(.name)')].map((th) => th.getBoundingClientRect());

/** The gap between columns that a pointer is nearest to: 0 is before the first. */
function gapAt(row, x) {
  const boxes = places(row);
  const after = boxes.findIndex(({left, width}) => x < left + width / 2);
  return after < 0 ? boxes.length : after;
}

function placed(mark, row, gap, scroll) {
  const boxes = places(row);
  const box = scroll.getBoundingClientRect();
  const left = gap < boxes.length ? boxes[gap].left : boxes.at(-1).right;
  Object.assign(mark.style, {left: `${Math.max(box.left, Math.min(box.right, left)) - 1}px`, top: `${box.top}px`, height: `${box.height}px`});
  if (!mark.isConnected) document.body.append(mark);
}

function scrolled(scroll, x) {
  const {left, right} = scroll.getBoundingClientRect();
  if (x > right - EDGE) scroll.scrollLeft += 14;
  else if (x < left + EDGE + 200) scroll.scrollLeft -= 14;
}
