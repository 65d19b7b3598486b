/** Notes: shown as they will be, kept by themselves, and never over somebody else's. */
import { send } from "../core/api.js";
import { dialog } from "../core/dialog.js";
import { $, el } from "../core/dom.js";
import { folded, lineDiff } from "../compare/line_diff.js";
import { page } from "../core/page.js";

const PATH = `/runs/${encodeURIComponent(page.data.run.id)}/notes`;
const PAUSE = 800;
const TEMPLATE = "## Question\n\n\n## What was changed\n\n\n## What came of it\n\n\n## What to try next\n\n- [ ] \n";
const text = $("#notes-text");
let version = page.data.version;
let kept = asTyped(page.data.text);
let timer = 0;
let isBusy = false;

/** As a field of a form has it. */
function asTyped(words) {
  return words.replace(/\r\n?/g, "\n");
}

if (text && text.value === text.defaultValue) text.value = kept; // of which HTML drops an empty first line

const say = (words) => { $("#notes-state").textContent = words; };

async function preview() {
  const wanted = text.value;
  const { html } = await send("POST", "/markdown", { text: wanted });
  if (wanted !== text.value) return; // another one is to come
  const drawn = new DOMParser().parseFromString(html, "text/html"); // what the server cleaned; scripts do not run
  $("#notes-preview").replaceChildren(...drawn.body.childNodes);
}

async function keep() {
  if (isBusy || text.value === kept) return;
  isBusy = true;
  const wanted = text.value;
  say("Saving …");
  try {
    const told = await send("PUT", PATH, { text: wanted, version });
    version = told.version;
    kept = wanted;
    say(text.value === wanted ? "Saved" : "Changed");
  } catch (error) {
    if (error.status === 409) return conflict(error.answer);
    say(`Not saved: ${error.message}`);
  }
  isBusy = false;
  if (text.value !== wanted) later();
}

/** Somebody else was quicker: what differs, and whose words stay. Nothing is written until one chooses. */
async function conflict(theirs) {
  say(`Not saved: ${theirs.by || "somebody"} changed the notes`);
  const mine = text.value;
  const take = (words) => { version = theirs.version; kept = asTyped(theirs.text); text.value = words; };
  const { closed } = dialog({
    title: `${theirs.by || "Somebody"} changed these notes`,
    body: [el("p", { class: "muted" }, "− is only in theirs, + is only in yours."), lines(theirs.text, mine)],
    actions: [
      { text: "Take theirs", kind: "plain", run: () => take(theirs.text) },
      { text: "Keep both", kind: "plain", run: () => take(theirs.text.trim() ? `${theirs.text}\n\n${mine}` : mine) },
      { text: "Keep mine", run: () => take(mine) },
    ],
  });
  const isChosen = await closed;
  isBusy = false;
  if (isChosen) changed();
}

function lines(theirs, mine) {
  const rows = folded(lineDiff(theirs, mine)).map((line) => {
    if (line.kind === "…") return el("tr", { class: "is-fold" }, el("td", {}), el("td", {}, `${line.lines} equal line${line.lines === 1 ? "" : "s"}`));
    const [style, word, mark] = { "-": ["is-theirs", "theirs: ", "−"], "+": ["is-mine", "yours: ", "+"] }[line.kind] ?? ["", "", ""];
    return el("tr", { class: style }, el("td", { "aria-hidden": "true" }, mark), el("td", {}, word ? el("span", { class: "visually-hidden" }, word) : null, line.text || " "));
  });
  return el("div", { class: "scroll run-conflict-lines", tabindex: "0", role: "group", "aria-label": "What differs, line by line" },
    el("table", { class: "run-diff-table" }, el("tbody", {}, rows)));
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(shown, PAUSE);
}

/** As it will be read, and kept. */
function shown() {
  preview().catch(({ message }) => $("#notes-preview").replaceChildren(el("p", { class: "problem" }, message)));
  keep();
}

function changed() {
  $("#notes-template").hidden = text.value !== "";
  if (text.value === kept) say("Saved");
  shown();
}

function typed() {
  say("Changed");
  $("#notes-template").hidden = text.value !== "";
  later();
}

text?.addEventListener("input", typed);
if (text && text.value !== kept) typed(); // before this script came
$("#notes-template")?.addEventListener("click", () => {
  text.value = TEMPLATE;
  text.focus();
  text.setSelectionRange(TEMPLATE.indexOf("\n") + 1, TEMPLATE.indexOf("\n") + 1);
  typed();
});
addEventListener("beforeunload", (event) => { if (text && text.value !== kept) event.preventDefault(); });
