/** The keys of the runs table. */
import { bindKeys } from "../core/keys.js";
import { mayEdit } from "../core/page.js";

/**
 * @param {object} hands {moved(by), chooseColumns(), filter(), here() → the id of the current run or "",
 *   href(id), toggle(), all(), compare(), remove()}
 */
export function bindTableKeys({ moved, chooseColumns, filter, here, href, toggle, all, compare, remove }) {
  const open = (event) => {
    if (!here() || /^(A|BUTTON)$/.test(event.target.tagName)) return false;
    location.assign(href(here()));
    return true;
  };
  bindKeys("runs", {
    "/": filter, j: () => moved(1), k: () => moved(-1), Enter: open,
    x: () => { if (here()) toggle(); }, a: all, c: compare, o: () => { chooseColumns(); },
  });
  if (mayEdit()) bindKeys("runs", { Delete: remove });
}
