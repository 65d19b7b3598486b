/** The menus of the top bar: they come with the first click on one. */
import { getRoot, sendRoot } from "./api.js";
import { openMenu } from "./menu.js";
import { page, url } from "./page.js";

/** Every project, the one of the page marked. */
export async function projectMenu(button) {
  // pressed twice: a menu that comes late would open over what one does by then
  if (button.ariaBusy) return;
  button.ariaBusy = "true";
  const { projects } = await getRoot("/projects").finally(() => { button.ariaBusy = null; });
  const items = projects.map((name) => ({ text: name, href: url(`/projects/${name}/experiments`), checked: name === page.project }));
  openMenu(button, items.length ? items : [{ text: "No project yet" }]);
}

/** Settings, keys, and the way out where there is one. */
export function userMenu(button) {
  const out = page.csrf ? [null, { text: "Log out", run: logOut }] : [];
  openMenu(button, [{ text: "Settings", href: url("/settings") }, { text: "Keys", href: url("/help/keys") }, ...out]);
}

async function logOut() {
  await sendRoot("DELETE", "/session");
  location.assign(url("/login"));
}
