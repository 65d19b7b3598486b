/** What the panels of the monitor share. */

import { clear, el } from "../core/dom.js";
import { number } from "../core/format.js";
import { page, projectUrl } from "../core/page.js";
import { valueOf } from "./trials.js";

/** Say that there is nothing to show; a chart that stood there is gone. */
export function empty(host, title, text = "") {
  host.dataset.state = "empty";
  clear(host).append(el("div", { class: "empty" }, el("p", { class: "empty-title" }, title), text ? el("p", { class: "muted" }, text) : null));
}

/** Children anew where they are other ones: what is the same stays, and with it what is selected or pressed there. */
export function renew(host, ...wanted) {
  wanted.forEach((child, at) => {
    const old = host.children[at];
    if (!old) host.append(child);
    else if (!old.isEqualNode(child)) old.replaceWith(child);
  });
  while (host.children.length > wanted.length) host.lastElementChild.remove();
}

export const NO_VALUE = ["No trial has completed yet", "It fills with the first value of the objective."];
export const AT = { address: page.data?.address, project: page.project };

export const shown = (value) => (typeof value === "number" ? number(value) : value === null ? "None" : String(value));

export const runUrl = (run) => projectUrl(`/runs/${encodeURIComponent(run)}`);

/** The lines of a tooltip; long names and values are cut, many are not all told. */
export function tipOf(sweep, at) {
  const trial = sweep.trials.find((one) => one.number === at);
  if (!trial) return [`Trial ${at}`];
  const short = (text) => (text.length > 40 ? `${text.slice(0, 39)}…` : text);
  const params = Object.entries(trial.params).map(([name, value]) => `${short(name)} = ${short(shown(value))}`);
  const more = params.length > 12 ? [`and ${params.length - 12} more`] : [];
  return [`Trial ${at}${trial.pruned ? ", pruned" : ""}: ${number(valueOf(trial))}`, ...params.slice(0, 12), ...more];
}

/** A select with a label of its own. @param {[string, string][]} choices value, word */
export function choice(label, choices, value, chosen) {
  const made = el("select", { "aria-label": label }, ...choices.map(([key, word]) => el("option", { value: key, selected: key === value }, word)));
  made.addEventListener("change", () => chosen(made.value));
  return el("label", { class: "field small" }, el("span", { "aria-hidden": "true" }, label), made);
}
