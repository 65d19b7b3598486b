/** An experiment's Settings tab. */
import { send } from "../core/api.js";
import { $ } from "../core/dom.js";
import { page } from "../core/page.js";
import { toast } from "../core/toast.js";
import { tagsIn } from "../table/tags.js";

const { id, archived, deleted, name } = page.data.experiment;
const problem = $("#problem");
const change = (changes) => send("PATCH", `/experiments/${encodeURIComponent(id)}`, changes);

async function tried(task) {
  problem.hidden = true;
  try {
    await task();
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
  }
}

$("#settings").addEventListener("submit", (event) => {
  event.preventDefault();
  tried(async () => {
    if (!$("#name").value.trim()) throw new Error("Give it a name.");
    const told = await change({ name: $("#name").value.trim(), description: $("#description").value, tags: tagsIn($("#tags").value) });
    for (const place of [$("h1"), $(".crumbs [aria-current]")]) place.textContent = told.name;
    const about = $(".experiment-head p");
    if (about) about.textContent = told.description;
    toast("Saved");
  });
});

$("#archive")?.addEventListener("click", () => tried(async () => {
  await change({ archived: !archived });
  location.reload();
}));

$("#delete")?.addEventListener("click", () => tried(async () => {
  await change({ deleted: !deleted });
  if (deleted) return location.reload();
  $("#delete").disabled = true;
  return toast(`${name} is deleted`, { seconds: 10, action: "Undo", onAction: () => tried(async () => { await change({ deleted: false }); $("#delete").disabled = false; }) });
}));
