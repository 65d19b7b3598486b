/** Dialogs that make and change experiments, and changes that can be taken back for ten seconds. */

import { sendRoot } from "../core/api.js";
import { dialog } from "../core/dialog.js";
import { el } from "../core/dom.js";
import { page, url } from "../core/page.js";
import { toast } from "../core/toast.js";
import { tagsIn } from "../table/tags.js";

const UNDO = 10; // seconds

const below = (project, id = "") => `/projects/${encodeURIComponent(project)}/experiments${id && `/${encodeURIComponent(id)}`}`;

/** Ask for a new experiment; its page opens. */
export function create(projects) {
  const form = fields({ name: "", description: "", tags: [] });
  const project = el("select", { id: "x-project" }, projects.map((name) => el("option", { value: name, selected: name === page.project }, name)));
  const rows = [...form.rows, projects.length > 1 ? row("Project", project) : null];
  const run = async () => {
    const where = projects.length > 1 ? project.value : page.project;
    const made = await sendRoot("POST", below(where), form.told());
    location.assign(url(`/projects/${where}/experiments/${encodeURIComponent(made.id)}`));
  };
  const shown = dialog({ title: "New experiment", body: rows, actions: [{ text: "Cancel", kind: "plain" }, { text: "Create", run }] });
  form.focus();
  return shown;
}

/** Ask for other words; `done` gets the row as it is then. */
export function edit(experiment, done) {
  const form = fields(experiment);
  const run = async () => done(await sendRoot("PATCH", below(page.project, experiment.id), form.told()));
  dialog({ title: "Edit experiment", body: form.rows, actions: [{ text: "Cancel", kind: "plain" }, { text: "Save", run }] });
  form.focus();
}

function fields({ name, description, tags }) {
  const named = el("input", { id: "x-name", type: "text", required: true, maxlength: "1000", autocomplete: "off", value: name });
  const told = el("textarea", { id: "x-description", rows: "3", maxlength: "10000", value: description });
  const tagged = el("input", { id: "x-tags", type: "text", autocomplete: "off", placeholder: "baseline, vision", value: tags.join(", ") });
  return {
    rows: [row("Name", named), row("Description", told), row("Tags", tagged)],
    focus: () => named.focus(),
    told: () => {
      if (!named.value.trim()) throw new Error("Give it a name.");
      return { name: named.value.trim(), description: told.value, tags: tagsIn(tagged.value) };
    },
  };
}

const row = (word, field) => el("div", { class: "form-row" }, el("label", { for: field.id }, word), field);

/**
 * Change some experiments alike, offer to take it back, and say which could not be changed.
 *
 * @param {object[]} rows
 * @param {(row: object) => object} changes what to change of each
 * @param {string} told such as "archived"
 * @param {(row: object) => void} done gets each row as it is then
 */
export async function change(rows, changes, told, done) {
  try {
    await changed(rows, changes, told, done);
  } catch ({ message }) {
    toast(message);
  }
}

async function changed(rows, changes, told, done) {
  const before = rows.map(({ id, archived, deleted, tags }) => ({ id, archived, deleted, tags: [...tags] }));
  const found = await Promise.allSettled(rows.map((row) => write(row.id, changes(row), done)));
  const there = before.filter((_, at) => found[at].status === "fulfilled");
  const failed = rows.filter((_, at) => found[at].status === "rejected");
  const back = () => Promise.all(there.map((row) => write(row.id, undone(row, changes(row)), done))).catch((error) => toast(error.message));
  const what = there.length === 1 ? rows[before.indexOf(there[0])].name : `${there.length} experiments`;
  if (there.length) toast(`${what} ${told}`, { action: "Undo", onAction: back, seconds: UNDO });
  if (failed.length) throw new Error(`Not ${told}: ${failed.map(({ name }) => name).join(", ")}. ${found.find(({ reason }) => reason).reason.message}`);
}

const write = async (id, changes, done) => done(await sendRoot("PATCH", below(page.project, id), changes));
const undone = (row, changes) => Object.fromEntries(Object.keys(changes).map((name) => [name, row[name]]));

/** Ask for tags to add to the chosen ones. */
export function askTags(rows, done) {
  const field = el("input", { id: "x-tags", type: "text", autocomplete: "off", placeholder: "baseline, vision" });
  const run = () => {
    const wanted = tagsIn(field.value);
    if (!wanted.length) throw new Error("Write at least one tag.");
    return changed(rows, ({ tags }) => ({ tags: [...new Set([...tags, ...wanted])] }), "tagged", done);
  };
  dialog({ title: "Add tags", body: row("Tags", field), actions: [{ text: "Cancel", kind: "plain" }, { text: "Add", run }] });
  field.focus();
}
