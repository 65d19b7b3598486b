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
  const plan = (after) => { clearTimeout(timer); if (!ended && !document.hidden) timer = setTimeout(turn, after * 1000); };
  const turn = async () => {
    if (busy) return;
    busy = true;
    let told;
    try { told = await task(); } catch { told = undefined; }
    busy = false;
    if (told === false) return stop();
    pause = told === true ? seconds : Math.min(most, pause * 1.3);
    return plan(pause);
  };
  const looked = () => { if (document.hidden) clearTimeout(timer); else { pause = seconds; plan(0); } };
  const stop = () => { ended = true; clearTimeout(timer); document.removeEventListener("visibilitychange", looked); };
  document.addEventListener("visibilitychange", looked);
  plan(pause);
  return { stop, soon: () => { pause = seconds; plan(0); } };
}
