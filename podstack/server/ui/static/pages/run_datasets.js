/** Which other runs used the same data, by its hash: asked for one after the other. */
import { get } from "../core/api.js";
import { $$, el } from "../core/dom.js";
import { page, projectUrl } from "../core/page.js";
import { panel } from "../core/panel.js";

const LISTED = 8; // runs that are named

async function fill(host, signal) {
  const { runs, looked_at: read, total } = await get(`/datasets/${encodeURIComponent(host.dataset.digest)}/runs`, {}, { signal });
  const others = runs.filter(({ id }) => id !== page.data.run.id);
  const part = read < total ? `of the latest ${read.toLocaleString("en")} runs` : "";
  host.replaceChildren(...(others.length ? [...others.slice(0, LISTED).map(link), more(others)] : [el("span", { class: "muted" }, `none ${part}`)]).filter(Boolean));
}

const link = ({ id, name, status }) => el("a", { class: "dataset-run", href: projectUrl(`/runs/${encodeURIComponent(id)}/datasets`) },
  el("span", { class: `status status-${status}`, title: status }, el("span", { class: "status-mark", "aria-hidden": "true" }), el("span", { class: "visually-hidden" }, `${status}: `)), name);

/** What is not named, and a page that lays all of them side by side. */
function more(others) {
  const ids = [page.data.run.id, ...others.map(({ id }) => id)].slice(0, 100);
  const over = others.length - LISTED;
  return el("span", { class: "muted" }, over > 0 ? `and ${over} more. ` : "", el("a", { href: projectUrl(`/compare?runs=${encodeURIComponent(JSON.stringify(ids))}`) }, "Compare them"));
}

async function all() {
  for (const host of $$("[data-digest]")) await new Promise((resolve) => { panel(host, (...asked) => fill(...asked).finally(resolve)); });
}

all();
