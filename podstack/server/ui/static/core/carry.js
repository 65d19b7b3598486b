/** Items of a list that a pointer carries to another place: a mouse by any part, a finger by the grip. */

const FAR = 6; // pixels from which on a press is no click
const EDGE = 28; // pixels from an edge of the list where it scrolls
const MARKS = ["is-drop-before", "is-drop-after"];

/**
 * @param {HTMLElement} list which stays while its items may be drawn anew
 * @param {{items: string, grip: string, isColumn?: boolean, onMove: (item: HTMLElement, gap: number) => void}} how
 *   `items` and `grip` are selectors; gap 0 is before the first item, the carried one counts too
 */
export function carries(list, how) {
  list.addEventListener("dragstart", (event) => event.preventDefault()); // of a link or a picture
  list.addEventListener("pointerdown", (event) => {
    const item = event.target.closest(how.items);
    const isHeld = event.pointerType === "mouse" ? event.button === 0 : event.target.closest(how.grip);
    if (item && isHeld && event.isPrimary) follow(event, item, list, how);
  });
}

function follow(event, item, list, how) {
  const over = new AbortController();
  const { signal } = over;
  let gap = -1;
  const move = (now) => {
    if (now.pointerId !== event.pointerId) return;
    if (gap < 0 && Math.hypot(now.clientX - event.clientX, now.clientY - event.clientY) < FAR) return;
    if (gap < 0) begun(list, item, event);
    scrolled(list, now.clientY);
    gap = gapAt(list, how, now);
    mark(list, how, gap);
  };
  const end = (isDone) => {
    over.abort();
    if (gap < 0) return;
    item.classList.remove("is-carried");
    mark(list, how, -1);
    swallowClick();
    if (isDone && item.isConnected) how.onMove(item, gap);
  };
  addEventListener("pointermove", move, { signal });
  addEventListener("pointerup", () => end(true), { signal });
  addEventListener("pointercancel", () => end(false), { signal });
  addEventListener("keydown", (key) => {
    if (key.key !== "Escape" || gap < 0) return;
    key.preventDefault(); // else a dialog would close
    key.stopPropagation();
    end(false);
  }, { signal, capture: true });
}

function begun(list, item, { pointerId }) {
  item.classList.add("is-carried");
  list.setPointerCapture(pointerId);
  getSelection().removeAllRanges();
}

/** What was carried is not pressed; whether a click follows is the browser's choice. */
function swallowClick() {
  const over = new AbortController();
  addEventListener("click", (click) => { click.preventDefault(); click.stopPropagation(); }, { capture: true, signal: over.signal });
  setTimeout(() => over.abort());
}

/** The gap between items that a pointer is nearest to; in lines that wrap, or in a column. */
function gapAt(list, { items, isColumn }, { clientX, clientY }) {
  const all = [...list.querySelectorAll(items)];
  const found = all.findIndex((one) => isBefore(one.getBoundingClientRect(), clientX, clientY, isColumn));
  return found < 0 ? all.length : found;
}

function isBefore({ left, top, width, height }, x, y, isColumn) {
  if (isColumn) return y < top + height / 2;
  return y < top || (y <= top + height && x < left + width / 2);
}

function mark(list, { items }, gap) {
  const all = [...list.querySelectorAll(items)];
  for (const one of all) one.classList.remove(...MARKS);
  if (gap >= 0) (all[gap] ?? all.at(-1)).classList.add(MARKS[Number(gap === all.length)]);
}

function scrolled(list, y) {
  const { top, bottom } = list.getBoundingClientRect();
  if (y > bottom - EDGE) list.scrollTop += 8;
  else if (y < top + EDGE) list.scrollTop -= 8;
}
