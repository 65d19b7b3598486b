/** The output of a run, followed while it runs. */
import { get } from "../core/api.js";
import { $ } from "../core/dom.js";
import { page } from "../core/page.js";

const box = $("#console");
box.scrollTop = box.scrollHeight;

document.addEventListener("run:tick", async () => {
  const { text } = await get(`/runs/${encodeURIComponent(page.data.run.id)}/console`, { tail: 200 });
  if (text === box.textContent) return;
  const atEnd = box.scrollTop + box.clientHeight > box.scrollHeight - 20;
  box.textContent = text;
  box.hidden = false;
  $("#console-empty").hidden = true;
  if (atEnd) box.scrollTop = box.scrollHeight;
});
