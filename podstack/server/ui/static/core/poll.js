/** Asking again and again, only while somebody looks. */

/**
 * task: returns true where something was new, false to stop for good; anything else slows down.
 * @returns {{stop: () => void, soon: () => void}}
 */
export function poll(task, { seconds = 2, most = 15 } = {}) {
  let pause = seconds;
  let timer = 0;
  let ended = false;
  let busy = false;
  // it was asked for while it asked: that answer may be from before
  let isAgain = false;
  const plan = (after) => { clearTimeout(timer); if (!ended && !document.hidden) timer = setTimeout(turn, after * 1000); };
  const turn = async () => {
    if (busy) { isAgain = true; return; }
    busy = true;
    isAgain = false;
    let told;
    try { told = await task(); } catch { told = undefined; }
    busy = false;
    if (told === false) return stop();
    pause = told === true ? seconds : Math.min(most, pause * 1.3);
    return plan(isAgain ? 0 : pause);
  };
  const looked = () => { if (document.hidden) clearTimeout(timer); else { pause = seconds; plan(0); } };
  const stop = () => { ended = true; clearTimeout(timer); document.removeEventListener("visibilitychange", looked); };
  document.addEventListener("visibilitychange", looked);
  plan(pause);
  return { stop, soon: () => { pause = seconds; plan(0); } };
}

// a promise that the pointer is up again, where it is down
let up = null;

/** Until nothing is pressed: what is drawn anew below a press gets no click. For whoever draws what was not asked for just now. */
export const released = () => up;

function down({ isPrimary, button }) {
  if (!isPrimary || button) return;
  const over = new AbortController();
  up = new Promise((resolve) => {
    // after the click
    const end = ({ buttons }) => { if (!buttons) { over.abort(); setTimeout(resolve); } };
    for (const name of ["pointerup", "pointercancel", "pointermove"]) addEventListener(name, end, { capture: true, signal: over.signal });
  });
}

globalThis.addEventListener?.("pointerdown", down, { capture: true });
