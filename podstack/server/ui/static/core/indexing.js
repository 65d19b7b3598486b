/** While the server looks at runs that it does not know yet: how far it is, and what there is by now. */
import { get } from "./api.js";
import { $, el } from "./dom.js";
import { integer } from "./format.js";
import { page } from "./page.js";
import { poll } from "./poll.js";

let isShown = false;

/**
 * A strip in the top bar until all runs are known.
 *
 * @param {{done: number, total: number | null}} first how far it was when the page asked
 * @param {() => any} more draws what there is by now: whenever that is twice as much, and at the end
 */
export function follow(first, more) {
  if (isShown) return;
  isShown = true;
  const strip = made(first);
  let drawn = first.done;
  poll(async () => {
    const { indexing, trouble } = await asked();
    if (!indexing && !trouble) return ended(strip, more);
    tell(strip, indexing, trouble);
    if (indexing && !trouble && indexing.done >= 2 * drawn) {
      drawn = Math.max(1, indexing.done);
      await more();
    }
    return !trouble || undefined;
  }, { seconds: 1, most: 5 });
}

/** A server that does not answer is asked again; until then the strip says why. */
const asked = () => get("/indexing").catch(({ message }) => ({ indexing: null, trouble: message }));

async function ended(strip, more) {
  strip.remove();
  isShown = false;
  say("All runs are indexed");
  await more();
  return false;
}

function made(first) {
  const strip = el("div", { class: "indexing" }, el("span", { class: "cut" }), el("progress", { "aria-label": "Indexing" }));
  $(".top").insertBefore(strip, $(".top-tools"));
  tell(strip, first, "");
  say(words(first));
  return strip;
}

function tell(strip, indexing, trouble) {
  const [text, bar] = strip.children;
  text.textContent = text.title = trouble ? `Indexing stopped, and is tried again: ${trouble}` : words(indexing);
  strip.classList.toggle("is-troubled", Boolean(trouble));
  if (!indexing?.total) return bar.removeAttribute("value");
  return Object.assign(bar, { max: indexing.total, value: indexing.done });
}

/** What the strip says. */
export const words = ({ done, total }) => (total ? `Indexing ${integer(done)} of ${integer(total)} runs` : "Looking at the store");

/** Once at the beginning and once at the end, not at each step. */
function say(text) {
  $("#toasts").querySelector(".said")?.remove();
  $("#toasts").append(el("span", { class: "said visually-hidden" }, text));
}

/** What this page would be told if it were opened now. */
export async function pageData() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  return answer.ok ? JSON.parse(fresh.getElementById("page").textContent).data : page.data;
}
