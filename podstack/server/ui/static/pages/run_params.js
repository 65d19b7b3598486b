/** Searching among parameters, and the run that they are compared with. */
import { copy } from "../core/copy.js";
import { $, $$ } from "../core/dom.js";
import { page } from "../core/page.js";

const search = $("#params-search");
const different = $("#params-different");

function narrow() {
  const wanted = search.value.toLowerCase();
  let shown = 0;
  for (const row of $$("#params tr[data-name]")) {
    row.hidden = !row.textContent.toLowerCase().includes(wanted) && !row.dataset.name.toLowerCase().includes(wanted);
    if (different?.checked && row.dataset.state === "same") row.hidden = true;
    shown += row.hidden ? 0 : 1;
  }
  for (const group of $$("#params tbody")) group.hidden = !group.querySelector("tr[data-name]:not([hidden])");
  const none = $("#params-none");
  if (none) none.hidden = shown > 0;
}

search.addEventListener("input", narrow);
different?.addEventListener("change", narrow);
search.form.addEventListener("submit", (event) => event.preventDefault());
$("#params-than").addEventListener("change", (event) => {
  location.search = `?than=${encodeURIComponent(event.target.value)}`;
});
$("#params-copy").addEventListener("click", () => copy(page.data.params));
