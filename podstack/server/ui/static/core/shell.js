/** What every page has: the top bar, times in the reader's zone, keys that work everywhere. */
import { getRoot, sendRoot } from "./api.js";
import { setTheme } from "./colors.js";
import { $, $$ } from "./dom.js";
import { ago, moment } from "./format.js";
import { bindKeys } from "./keys.js";
import { openMenu } from "./menu.js";
import { page, projectUrl, url } from "./page.js";

function localTimes() {
  for (const time of $$("time[data-time]")) {
    const at = Number(time.dataset.time);
    time.title = moment(at);
    time.textContent = time.dataset.as === "ago" ? ago(at) : moment(at);
  }
}

async function projectMenu(event) {
  const button = event.currentTarget;
  const { projects } = await getRoot("/projects");
  const items = projects.map((name) => ({ text: name, href: url(`/projects/${name}/experiments`), checked: name === page.project }));
  openMenu(button, items.length ? items : [{ text: "No project yet" }]);
}

function userMenu(event) {
  const out = page.csrf ? [null, { text: "Log out", run: logOut }] : [];
  openMenu(event.currentTarget, [{ text: "Settings", href: url("/settings") }, { text: "Keys", href: url("/help/keys") }, ...out]);
}

async function logOut() {
  await sendRoot("DELETE", "/session");
  location.assign(url("/login"));
}

const switchTheme = () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
const palette = async () => (await import("./palette.js")).openPalette();
const help = async () => (await import("./help.js")).showKeys();

const goTo = (path) => () => location.assign(projectUrl(path));

$("#open-project")?.addEventListener("click", projectMenu);
$("#open-user")?.addEventListener("click", userMenu);
$("#switch-theme")?.addEventListener("click", switchTheme);
$("#open-palette")?.addEventListener("click", palette);
if (page.project) document.cookie = `podstack_project=${page.project}; path=${page.base || "/"}; max-age=31536000; samesite=lax`;
bindKeys("everywhere", {
  "Ctrl+k": () => { palette(); }, "?": () => { help(); }, t: switchTheme,
  "g e": goTo("/experiments"), "g r": goTo("/runs"), "g s": goTo("/sweeps"), "g a": goTo("/alerts"),
});
localTimes();
setInterval(() => { if (!document.hidden) localTimes(); }, 30_000);
