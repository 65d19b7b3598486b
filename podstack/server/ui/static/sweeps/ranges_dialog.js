/** Choose parameters of an experiment's runs; each becomes a row with the range that was seen. */

import { dialog } from "../core/dialog.js";
import { el } from "../core/dom.js";
import { integer, number } from "../core/format.js";
import { KINDS } from "./form.js";

const WORDS = (spec) => {
  if (spec.values) return `${spec.values.length} choices: ${spec.values.slice(0, 5).join(", ")}${spec.values.length > 5 ? " …" : ""}`;
  if ("value" in spec) return `always ${spec.value}`;
  return `${KINDS[spec.distribution][0]}, ${number(spec.min)} … ${number(spec.max)}`;
};

/** @param {{runs, parameters: {name, runs, spec}[]}} known @returns those that were chosen */
export async function chooseRanges(known, taken) {
  if (!known.parameters.length) {
    await dialog({ title: "Ranges from runs", body: el("p", {}, "This experiment has no runs with parameters yet.") }).closed;
    return [];
  }
  const boxes = known.parameters.map(({ name, spec }) => el("input", { type: "checkbox", checked: !("value" in spec) && !taken.has(name), "aria-label": name }));
  const row = ({ name, runs, spec }, at) => el("tr", {}, el("td", {}, boxes[at]), el("td", {}, el("label", { onclick: () => boxes[at].click() }, name)),
    el("td", { class: "muted" }, WORDS(spec)), el("td", { class: "number muted" }, integer(runs)));
  const heads = ["", "Parameter", "Seen", "Runs"].map((text, at) => el("th", { scope: "col", class: at === 3 ? "number" : "" }, text || el("span", { class: "visually-hidden" }, "Take")));
  const table = el("table", { class: "table" }, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...known.parameters.map(row)));
  const body = [el("p", { class: "muted" }, `From the latest ${integer(known.runs)} runs. A range is logarithmic where it spans more than a factor of 100.`),
    el("div", { class: "scroll ranges-list", tabindex: "0", role: "group", "aria-label": "Parameters of the runs" }, table)];
  const { element, closed } = dialog({ title: "Ranges from runs", body, actions: [{ text: "Cancel" }, { text: "Take them" }] });
  element.classList.add("ranges-dialog");
  return (await closed) === "Take them" ? known.parameters.filter((_, at) => boxes[at].checked) : [];
}
