/** Notes: shown as they will be, kept by themselves, and never over somebody else's. */
import { send } from "../core/api.js";
import { dialog } from "../core/dialog.js";
import { $, el } from "../core/dom.js";
import { page } from "../core/page.js";

const PATH = `/runs/${encodeURIComponent(page.data.run.id)}/notes`;
const PAUSE = 800;
const text = $("#notes-text");
let version = page.data.version;
let kept = page.data.text;
let timer = 0;
let isBusy = false;

const say = (words) => { $("#notes-state").textContent = words; };

async function preview() {
  const { html } = await send("POST", "/markdown", { text: text.value });
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
    say("Saved");
  } catch (error) {
    if (error.status === 409) conflict(error.answer);
    else say(`Not saved: ${error.message}`);
  } finally {
    isBusy = false;
  }
  if (text.value !== wanted) later();
}

function conflict(theirs) {
  say(`Not saved: ${theirs.by} changed the notes`);
  const mine = text.value;
  const take = (words) => { version = theirs.version; kept = theirs.text; text.value = words; preview(); keep(); };
  dialog({
    title: `${theirs.by || "Somebody"} changed these notes`,
    body: el("div", { class: "run-conflict" },
      el("section", {}, el("h3", {}, "Theirs"), el("pre", { tabindex: "0" }, theirs.text)),
      el("section", {}, el("h3", {}, "Yours"), el("pre", { tabindex: "0" }, mine))),
    actions: [
      { text: "Take theirs", kind: "plain", run: () => take(theirs.text) },
      { text: "Keep both", kind: "plain", run: () => take(`${theirs.text}\n\n${mine}`) },
      { text: "Keep mine", run: () => take(mine) },
    ],
  });
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(() => { preview().catch((error) => say(error.message)); keep(); }, PAUSE);
}

text?.addEventListener("input", () => { say("Changed"); later(); });
addEventListener("beforeunload", (event) => { if (text && text.value !== kept) event.preventDefault(); });
