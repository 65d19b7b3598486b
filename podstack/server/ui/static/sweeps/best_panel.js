/** The best trial so far: its value, its parameters, and the same to copy. */

import { copy } from "../core/copy.js";
import { el } from "../core/dom.js";
import { number } from "../core/format.js";
import { empty, NO_VALUE, runUrl, shown } from "./parts.js";

const WORDS = { python: "Python", yaml: "YAML", command: "command line" };

export function bestPanel(host, { sweep, outlook: { best } }) {
  if (!best) return empty(host, ...NO_VALUE);
  const { params } = sweep.trials.find((trial) => trial.number === best.number) ?? { params: {} };
  const text = JSON.stringify([best, params]);
  if (host.dataset.shown === text) return undefined;
  Object.assign(host.dataset, { state: "ready", shown: text, trial: String(best.number) });
  const trial = `trial ${best.number}`;
  const title = el("p", { class: "best-value" }, el("strong", {}, number(best.value)), el("span", { class: "muted" }, `${sweep.objective.metric}, `,
    best.run ? el("a", { href: runUrl(best.run) }, trial) : trial));
  const list = Object.entries(params).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, shown(value))]);
  const buttons = Object.entries(best.as).map(([form, said]) =>
    el("button", { type: "button", class: "button", "data-form": form, onclick: () => copy(said) }, `Copy as ${WORDS[form] ?? form}`));
  return host.replaceChildren(title, el("dl", { class: "best-params", tabindex: "0", "aria-label": "Its parameters" }, ...list), el("div", { class: "best-copies" }, ...buttons));
}
