/** The list of experiments: search while typing, create, archive, delete with undo. */
import { send } from "../core/api.js";
import { copy } from "../core/copy.js";
import { dialog } from "../core/dialog.js";
import { $, $$, el, on } from "../core/dom.js";
import { bind } from "../core/keys.js";
import { openMenu } from "../core/menu.js";
import { mayEdit, page, projectUrl } from "../core/page.js";
import { writeState } from "../core/state.js";
import { toast } from "../core/toast.js";
import { tagsIn } from "../table/tags.js";

const find = $("#find");
const rows = $$("#experiments tbody tr");
const place = (id) => projectUrl(`/experiments/${encodeURIComponent(id)}`);

function search() {
  const wanted = find.value.trim().toLowerCase();
  for (const row of rows) row.hidden = !row.dataset.text.includes(wanted);
  const note = $("#none-left");
  if (note) note.hidden = rows.some((row) => !row.hidden);
  writeState({ q: find.value.trim() });
}

// Rows that an earlier search left out are with the server: only a narrower one is answered here.
const came = find?.value.trim().toLowerCase() ?? "";
find?.addEventListener("input", () => {
  if (find.value.trim().toLowerCase().includes(came)) search();
  else if (!find.value) find.form.requestSubmit();
});

function create() {
  const name = el("input", { id: "new-name", required: true, maxlength: "200", autocomplete: "off", autofocus: true });
  const description = el("textarea", { id: "new-description", rows: "3" });
  const tags = el("input", { id: "new-tags", placeholder: "baseline, paper", autocomplete: "off" });
  const body = [["Name", name], ["Description", description], ["Tags", tags]].map(([word, field]) => el("div", { class: "form-row" }, el("label", { for: field.id }, word), field));
  dialog({ title: "New experiment", body, actions: [{ text: "Cancel", kind: "plain" }, { text: "Create", run: async () => {
    if (!name.value.trim()) throw new Error("Give it a name.");
    const made = await send("POST", "/experiments", { name: name.value.trim(), description: description.value, tags: tagsIn(tags.value) });
    location.assign(place(made.id));
  } }] });
  name.focus();
}

async function change(id, changes, told, undo) {
  try {
    await send("PATCH", `/experiments/${encodeURIComponent(id)}`, changes);
  } catch (error) {
    toast(error.message);
    return;
  }
  const row = rows.find((each) => each.dataset.id === id);
  row.classList.add("is-gone");
  toast(told, { seconds: 10, action: "Undo", onAction: async () => {
    await send("PATCH", `/experiments/${encodeURIComponent(id)}`, undo);
    row.classList.remove("is-gone");
  } });
}

function menu(button) {
  const { id } = button.closest("tr").dataset;
  const { name, archived } = page.data.experiments[id];
  openMenu(button, [
    { text: "Open", href: place(id) },
    { text: "Charts", href: `${place(id)}/charts` },
    { text: "Settings", href: `${place(id)}/settings` },
    null,
    { text: archived ? "Restore" : "Archive", run: () => change(id, { archived: !archived }, `${name} is ${archived ? "restored" : "archived"}`, { archived }) },
    { text: "Delete", kind: "danger", run: () => change(id, { deleted: true }, `${name} is deleted`, { deleted: false }) },
  ]);
}

let at = -1;
function move(by) {
  const seen = rows.filter((row) => !row.hidden && !row.classList.contains("is-gone"));
  at = Math.max(0, Math.min(seen.length - 1, at + by));
  $("a", seen[at])?.focus();
}

on(document, "click", ".row-menu", (_, button) => menu(button));
$("#new-experiment")?.addEventListener("click", create);
$("#copy-snippet")?.addEventListener("click", () => copy($("#snippet").textContent, "Copied: run it in Python"));
if (mayEdit()) bind("c", create, "New experiment");
bind("/", () => find?.focus(), "Search experiments");
bind("j", () => move(1), "Next experiment");
bind("k", () => move(-1), "Previous experiment");
