/** The list of sweeps of a project or an experiment. */

import { copy } from "../core/copy.js";
import { get } from "../core/api.js";
import { $, el } from "../core/dom.js";
import { ago, integer, moment, number } from "../core/format.js";
import { openMenu } from "../core/menu.js";
import { page, projectUrl } from "../core/page.js";
import { panel } from "../core/panel.js";
import { bar } from "../sweeps/bar.js";
import { over } from "../sweeps/trials.js";

const NEW = 'sweep = client.create_sweep("experiment", "random", {"lr": {"min": 1e-4, "max": 0.1}}, "val_loss", 20)';

const heads = () => ["Name", ...(page.data.experiment ? [] : ["Experiment"]), "Status", "Progress", "Objective", "Best", "Strategy", "User", "Created", ""];
const MINOR = ["Experiment", "Objective", "Strategy", "User", "Created"]; // not on a phone

function menu(sweep) {
  const items = [{ text: "New sweep like this one", href: `${projectUrl("/sweeps/new")}?like=${encodeURIComponent(sweep.id)}` }, { text: "Copy its id", run: () => copy(sweep.id) }];
  return el("button", { type: "button", class: "icon-button", "aria-haspopup": "menu", "aria-label": `Actions on ${sweep.name || sweep.id}`,
    onclick: ({ currentTarget }) => openMenu(currentTarget, page.data.may_edit ? items : items.slice(1)) }, "⋯");
}

function progress({ counts }) {
  const text = counts.total === null ? `${integer(over(counts))} trials` : `${integer(over(counts))} of ${integer(Number(counts.total))}`;
  return el("span", { class: "meter" }, bar(counts), el("span", {}, text), counts.running ? el("span", { class: "muted is-minor" }, `${counts.running} running`) : null);
}

function row(sweep) {
  const link = el("a", { href: projectUrl(`/sweeps/${encodeURIComponent(sweep.id)}`), title: sweep.name || sweep.id }, sweep.name || sweep.id);
  const { metric, direction } = sweep.objective;
  const status = el("span", { class: `status status-${sweep.status}` }, el("span", { class: "status-mark", "aria-hidden": "true" }), sweep.status);
  const home = el("a", { href: projectUrl(`/experiments/${encodeURIComponent(sweep.experiment)}/sweeps`) }, page.data.names[sweep.experiment] ?? sweep.experiment);
  return el("tr", {}, el("td", { class: "sweep-name" }, link), page.data.experiment ? null : el("td", { class: "sweep-value is-minor" }, home), el("td", {}, status), el("td", {}, progress(sweep)),
    el("td", { class: "sweep-value is-minor" }, `${direction === "minimize" ? "↓" : "↑"} ${metric}`), el("td", { class: "number" }, sweep.best === null ? "–" : number(sweep.best_value)),
    el("td", { class: "is-minor" }, sweep.strategy), el("td", { class: "sweep-value is-minor" }, sweep.user), el("td", { class: "muted is-minor", title: moment(sweep.created) }, ago(sweep.created)), el("td", { class: "sweep-more-cell" }, menu(sweep)));
}

function table(sweeps) {
  const head = el("tr", {}, ...heads().map((text) => el("th", { scope: "col", class: text === "Best" ? "number" : MINOR.includes(text) ? "is-minor" : "" }, text || el("span", { class: "visually-hidden" }, "Actions"))));
  const newest = [...sweeps].sort((a, b) => b.created - a.created);
  return el("table", { class: "sweep-table" }, el("thead", {}, head), el("tbody", {}, ...newest.map(row)));
}

async function load(host) {
  const { sweeps } = await get("/sweeps", { experiment: page.data.experiment?.id });
  if (!sweeps.length) {
    host.replaceChildren(el("div", { class: "empty" }, el("p", { class: "empty-title" }, "No sweeps yet"),
      el("p", { class: "muted" }, "A sweep looks for the best parameters. Make one by New sweep, or in Python:"), el("p", {}, el("code", {}, NEW))));
    return false;
  }
  host.replaceChildren(el("div", { class: "sweep-scroll", tabindex: "0", role: "group", "aria-label": "Sweeps" }, table(sweeps)));
  return undefined;
}

panel($("#sweeps"), load);
