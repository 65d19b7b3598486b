/** What fired in the project, newest first. */
import { get } from "../core/api.js";
import { $, clear, el } from "../core/dom.js";
import { ago, integer, moment, number } from "../core/format.js";
import { projectUrl } from "../core/page.js";
import { panel } from "../core/panel.js";

const HEADS = ["When", "Run", "Condition", "Value", "Step", "Message"];

async function load(host, signal) {
  const told = await get("/alerts", { limit: 200 }, { signal });
  if (!told.alerts.length) return { title: "Nothing has fired", text: "An alert watches the metrics of a run. The Alerts tab of a run makes one, and says when it would have fired." };
  const table = el("table", { class: "table" },
    el("thead", {}, el("tr", {}, HEADS.map((head, place) => el("th", { scope: "col", class: place === 3 || place === 4 ? "number" : "" }, head)))),
    el("tbody", {}, told.alerts.map(row)));
  clear(host).append(el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Alerts that fired" }, table), left(told));
}

function row(fired) {
  const run = projectUrl(`/runs/${encodeURIComponent(fired.run)}/alerts`);
  return el("tr", {}, el("td", { title: moment(fired.time) }, ago(fired.time)),
    el("th", { scope: "row" }, el("a", { href: run }, fired.run_name)),
    el("td", {}, el("code", {}, fired.condition)),
    el("td", { class: "number" }, number(Number(fired.value))),
    el("td", { class: "number" }, integer(fired.step)),
    el("td", {}, fired.message));
}

const left = ({ looked_at: seen, runs }) => (seen < runs
  ? el("p", { class: "muted" }, `Of the ${integer(seen)} newest runs; there are ${integer(runs)}.`) : el("span", {}));

panel($("#alerts"), load);
