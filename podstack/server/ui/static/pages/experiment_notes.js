/** An experiment's Notes tab: searched while one types, and drawn as one reads on. */
import { runColors } from "../core/colors.js";
import { $, $$ } from "../core/dom.js";
import { bindKeys } from "../core/keys.js";
import { page } from "../core/page.js";
import { writeState } from "../core/state.js";

const PAUSE = 250; // milliseconds without a key before it asks
const list = $("#notes");
const more = $("#notes-more");
const field = $("#q");
let next = page.data.next; // of the notes that match: how many are shown, null where all are
let asking = null;
let words = field?.value.trim() ?? ""; // that are searched for

const watch = new IntersectionObserver((entries) => entries.some((one) => one.isIntersecting) && further(), { rootMargin: "600px" });

/** Runs have the colours that they have in the runs table. */
function colored() {
  const notes = $$("[data-run]", list);
  const colors = runColors(notes.map((note) => note.dataset.run));
  for (const note of notes) $(".dot", note).style.background = colors.get(note.dataset.run).color;
  more.hidden = next === null;
  watch.unobserve(more);
  watch.observe(more); // it may be in sight still
}

/** The same page with other words, or further on; nothing where a newer question came meanwhile. */
async function asked(skip) {
  asking?.abort();
  const { signal } = (asking = new AbortController());
  const query = new URLSearchParams({ q: words, skip });
  const answer = await fetch(`${location.pathname}?${query}`, { credentials: "same-origin", signal });
  if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

async function shown(skip) {
  list.setAttribute("aria-busy", "true");
  try {
    const told = await asked(skip);
    const fresh = told.getElementById("notes");
    const children = [...fresh.children].map((child) => document.importNode(child, true));
    if (skip) list.append(...children);
    else list.replaceChildren(...children);
    Object.assign(list.dataset, { state: fresh.dataset.state, total: fresh.dataset.total });
    $("#notes-count").textContent = told.getElementById("notes-count").textContent;
    ({ next } = JSON.parse(told.getElementById("page").textContent).data);
    colored();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!skip) nothing(error);
    more.hidden = false; // pressing it tries again
  }
  list.removeAttribute("aria-busy");
}

/** What other words found is no answer. */
function nothing({ message }) {
  list.replaceChildren();
  $("#notes-count").textContent = message;
}

let pause = 0;
function typed() {
  clearTimeout(pause);
  pause = setTimeout(() => {
    words = field.value.trim();
    next = 0;
    writeState({ q: words });
    shown(next);
  }, PAUSE);
}

const further = () => { if (next !== null && !list.hasAttribute("aria-busy")) shown(next); };
$("button", more).addEventListener("click", () => shown(next));
field?.addEventListener("input", typed);
$("#notes-search")?.addEventListener("submit", (event) => { event.preventDefault(); typed(); });
bindKeys("notes", { "/": () => (field ? field.focus() : false) });
colored();
