/** Ctrl-K: a few letters, and one is there. */
import { get } from "./api.js";
import { clear, el } from "./dom.js";
import { integer } from "./format.js";
import { page, projectUrl, url } from "./page.js";
import { literal, named, nameText } from "../table/tokens.js";

const PAGES = [["Experiments", "/experiments"], ["All runs", "/runs"], ["Compare", "/compare"], ["Sweeps", "/sweeps"], ["New sweep", "/sweeps/new"], ["Alerts", "/alerts"]];
const ROOT_PAGES = [["Settings", "/settings"], ["Keys", "/help/keys"]];
const filter = (text) => projectUrl(`/runs?q=${encodeURIComponent(text)}`);
const having = (kind, name) => filter(`${nameText(named(kind, name))} is not missing`);

/** Everything that matches, as rows of {group, text, more, href}. Pure. */
export function rowsOf(found, text) {
  const wanted = text.trim().toLowerCase();
  const pages = [...PAGES.map(([word, path]) => [word, projectUrl(path)]), ...ROOT_PAGES.map(([word, path]) => [word, url(path)])];
  return [
    ...found.experiments.map(({ id, name }) => ({ group: "Experiments", text: name, more: "", href: projectUrl(`/experiments/${encodeURIComponent(id)}`) })),
    ...found.runs.map((run) => ({ group: "Runs", text: run.name, more: [run.experiment, run.status].filter(Boolean).join(" · "), href: projectUrl(`/runs/${encodeURIComponent(run.id)}`) })),
    ...(found.named > found.runs.length ? [{ group: "Runs", text: `All ${integer(found.named)} with this in their name`, more: "in the table of runs", href: filter(`name contains ${literal(text.trim())}`) }] : []),
    ...found.params.map((name) => ({ group: "Parameters", text: name, more: "runs that have it", href: having("params", name) })),
    ...found.metrics.map((name) => ({ group: "Metrics", text: name, more: "runs that have it", href: having("metrics", name) })),
    ...found.tags.map((name) => ({ group: "Tags", text: name, more: "runs with it", href: filter(`tags contains ${literal(name)}`) })),
    ...pages.filter(([word]) => word.toLowerCase().includes(wanted)).map(([word, href]) => ({ group: "Pages", text: word, more: "", href })),
  ];
}

const PAUSE = 120; // milliseconds after the last key
const NONE = { experiments: [], runs: [], named: 0, params: [], metrics: [], tags: [] };

export function openPalette() {
  if (document.querySelector("dialog.palette")) return;
  const list = el("ul", { class: "palette-list", role: "listbox", id: "palette-list", "aria-label": "Found" });
  const input = el("input", { type: "text", enterkeyhint: "go", class: "palette-input", placeholder: "Experiments, runs, parameters, metrics, tags, pages", role: "combobox",
    "aria-label": "Search everything", "aria-controls": "palette-list", "aria-expanded": "true", autocomplete: "off", spellcheck: "false", maxlength: "200" });
  const note = el("p", { class: "palette-note muted", role: "status" });
  const box = el("dialog", { class: "palette", "aria-label": "Search" }, input, list, note);
  const view = { box, input, list, note, at: 0, rows: [], text: null, asked: null, timer: 0 };
  box.addEventListener("close", () => { view.asked?.abort(); box.remove(); });
  box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
  input.addEventListener("input", () => { clearTimeout(view.timer); view.timer = setTimeout(() => look(view), PAUSE); });
  input.addEventListener("keydown", (event) => key(view, event));
  document.body.append(box);
  box.showModal();
  look(view);
}

async function look(view) {
  view.asked?.abort();
  view.asked = new AbortController();
  const text = view.input.value;
  try {
    const found = text.trim() && page.project ? await get("/search", { q: text }, { signal: view.asked.signal }) : NONE;
    show(view, rowsOf(found, text), text);
  } catch (error) {
    if (error.name === "AbortError") return;
    show(view, rowsOf(NONE, text), text);
    view.note.textContent = error.message;
  }
}

/** @param {string} text what these were found for */
function show(view, rows, text) {
  Object.assign(view, { rows, text, at: 0 });
  let group = "";
  const made = rows.map((row, place) => {
    const head = row.group === group ? null : el("li", { class: "palette-group", role: "presentation" }, row.group);
    group = row.group;
    const entry = el("li", { role: "option", id: `palette-${place}` }, el("a", { href: row.href, tabindex: "-1" }, el("span", { class: "cut" }, row.text), row.more ? el("small", { class: "muted" }, row.more) : null));
    return [head, entry];
  });
  clear(view.list).append(...made.flat().filter(Boolean));
  view.note.textContent = rows.length ? "" : "Nothing has this in its name.";
  mark(view);
}

function mark(view) {
  for (const entry of view.list.querySelectorAll("[role=option]")) entry.setAttribute("aria-selected", String(entry.id === `palette-${view.at}`));
  view.input.setAttribute("aria-activedescendant", view.rows.length ? `palette-${view.at}` : "");
  view.list.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
}

function key(view, event) {
  const steps = { ArrowDown: 1, ArrowUp: -1 };
  if (event.key in steps && view.rows.length) {
    event.preventDefault();
    view.at = (view.at + steps[event.key] + view.rows.length) % view.rows.length;
    mark(view);
  } else if (event.key === "Enter") {
    event.preventDefault();
    open(view, event.ctrlKey || event.metaKey);
  }
}

/** What is marked, once it was found for what stands there by now. */
async function open(view, isAside) {
  clearTimeout(view.timer);
  if (view.text !== view.input.value) await look(view);
  const found = view.text === view.input.value && view.rows[view.at];
  if (!found) return;
  if (isAside) window.open(found.href, "_blank", "noopener");
  else location.assign(found.href);
}
