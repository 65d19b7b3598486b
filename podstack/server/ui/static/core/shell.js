/** What every page has: the top bar, times in the reader's zone, keys that work everywhere. */
import { ApiError } from "./api.js";
import { setTheme } from "./colors.js";
import { $, $$ } from "./dom.js";
import { ago, moment } from "./format.js";
import { bindKeys } from "./keys.js";
import { page, projectUrl } from "./page.js";

function localTimes() {
  for (const time of $$("time[data-time]")) {
    const at = Number(time.dataset.time);
    time.title = moment(at);
    time.textContent = time.dataset.as === "ago" ? ago(at) : moment(at);
  }
}

const switchTheme = () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
const menus = () => import("./top_menus.js");
const palette = async () => (await import("./palette.js")).openPalette();
const help = async () => (await import("./help.js")).showKeys();

const goTo = (path) => () => location.assign(projectUrl(path));

$("#open-project")?.addEventListener("click", async ({ currentTarget: button }) => (await menus()).projectMenu(button));
$("#open-user")?.addEventListener("click", async ({ currentTarget: button }) => (await menus()).userMenu(button));
$("#switch-theme")?.addEventListener("click", switchTheme);
$("#open-palette")?.addEventListener("click", palette);
if (page.project) document.cookie = `podstack_project=${page.project}; path=${page.base || "/"}; max-age=31536000; samesite=lax`;
bindKeys("everywhere", {
  "Ctrl+k": () => { palette(); }, "?": () => { help(); }, t: switchTheme,
  "g e": goTo("/experiments"), "g r": goTo("/runs"), "g s": goTo("/sweeps"), "g a": goTo("/alerts"),
});
/** What the server refused, where whatever asked for it says nothing itself. */
addEventListener("unhandledrejection", async (event) => {
  if (!(event.reason instanceof ApiError)) return;
  event.preventDefault();
  (await import("./toast.js")).toast(event.reason.message);
});
localTimes();
setInterval(() => { if (!document.hidden) localTimes(); }, 30_000);
