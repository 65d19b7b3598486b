/** The keys of the runs table. */
import {bind} from '../core/keys.js';
import {mayEdit} from '../core/page.js';

/**
 * @param {object} hands {moved(by), chooseColumns(), filter(), here() → the id of the current run or "",
 *   href(id), toggle(), all(), compare(), remove()}
 */
export function bindKeys({moved, chooseColumns, filter, here, href, toggle, all, compare, remove}) {
  bind('j', () => moved(1), 'Next run');
  bind('k', () => moved(-1), 'Previous run');
  bind('x', () => { if (here()) toggle(); }, 'Select the run');
  bind('a', () => all(), 'Select all runs shown, or none');
  bind('Enter', (event) => {
    if (!here() || /^(A|BUTTON)$/.test(event.target.tagName)) return false;
    location.assign(href(here()));
    return true;
  }, 'Open the run');
  bind('c', () => compare(), 'Compare the selected runs');
  bind('/', () => filter(), 'Filter');
  bind('o', () => { chooseColumns(); }, 'Choose columns');
  bind('Alt+ArrowRight', () => false, 'On the head of a column: move it, Left too; Down opens its menu'); // heads.js listens
  if (mayEdit()) bind('Delete', () => remove(), 'Delete the selected runs');
}
