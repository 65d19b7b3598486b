/** Which parameter mattered, as the server computed it: bars of shares. */

import { el } from "../core/dom.js";

const percent = (share) => (share >= 0.0995 ? `${Math.round(100 * share)} %` : share > 0 && share < 0.001 ? "< 0.1 %" : `${Number((100 * share).toFixed(1))} %`);

/** @returns where there is nothing: what `panel` says instead */
export function importancePanel(host, found) {
  if (!found.shares.length) return { title: "Nothing can be said yet", text: found.reason ?? "" };
  const rows = found.shares.flatMap(([name, share]) => bar(name, share, found.unvaried?.[name]));
  host.replaceChildren(el("dl", { class: "sweep-shares" }, ...rows), el("p", { class: "muted small" }, ...words(found)));
  return undefined;
}

function bar(name, share, why) {
  const filled = el("i");
  filled.style.width = `${100 * share}%`;
  return [el("dt", { class: "cut", title: name }, name), el("dd", { class: "share", "aria-hidden": "true" }, why ? null : filled), el("dd", {}, why ?? percent(share))];
}

function words(found) {
  const from = `By ${found.evaluator === "fanova" ? "fANOVA" : "PED-ANOVA"}, from ${found.trials.toLocaleString("en")} trials.`;
  if (!found.low_confidence) return [from];
  return [el("strong", { class: "warning" }, "Low confidence: "), `${found.trials} trials; from 20 on it tells more. `, from];
}
