/**
 * The Compare page: asks once for the runs as columns, and gives them to its panels. The whole view
 * stands in the link, so that whoever opens it sees the same.
 */

import { menuButton } from "../charts/card_button.js";
import { get } from "../core/api.js";
import { onTheme, runColors } from "../core/colors.js";
import { $, el } from "../core/dom.js";
import { bindKeys } from "../core/keys.js";
import { page, projectUrl } from "../core/page.js";
import { poll, released } from "../core/poll.js";
import { readState, writeState } from "../core/state.js";
import { viewsButton } from "../core/views.js";
import { counted, emptyBox, select, segmented, setTools } from "../compare/parts.js";
import { colorsFor } from "../compare/run_palette.js";
import { shadeOf } from "../compare/shades.js";
import { adder, strip } from "../compare/strip.js";
import { verdict } from "../compare/verdict.js";
import { DEFAULTS, MANY, View } from "../compare/view.js";

/** Each panel is a module of its own, asked for when it comes into sight. */
const PANELS = {
  params: () => import("../compare/params_panel.js"),
  metrics: () => import("../compare/metrics_panel.js"),
  curves: () => import("../compare/curves_panel.js"),
  parallel: () => import("../compare/parallel_panel.js"),
  importance: () => import("../compare/importance_panel.js"),
  scatter: () => import("../compare/scatter_panel.js"),
  bars: () => import("../compare/bars_panel.js"),
  texts: () => import("../compare/texts_panel.js"),
};

const MARGIN = "300px"; // below and above the window

const palette = {
  forRuns: runColors,
  shade: (share) => shadeOf(share, isDark()),
};

const isDark = () => document.documentElement.dataset.theme === "dark";

function asked({ runs, experiment, q }) {
  if (runs.length) return { runs };
  return { experiment: experiment || page.data.experiment?.id, filter: q };
}

/** What came with the page, once: later the runs are asked for. */
function carried() {
  const { columns } = page.data;
  page.data.columns = null;
  return columns;
}

let turn = 0; // of the latest question

async function load(view) {
  const { state } = view;
  const mine = (turn += 1);
  view.polled?.stop();
  if (!state.runs.length && !state.experiment) return nothing(view);
  try {
    const told = carried() ?? await get("/compare/columns", asked(state));
    if (mine !== turn) return undefined; // others were asked for meanwhile
    view.load(told);
  } catch (error) {
    return mine === turn ? failed(view, error) : undefined;
  }
  if (!view.compared.count) return nothing(view);
  $("#main").classList.remove("nothing");
  view.state.colors = colorsFor(view.compared.ids, view.state.colors);
  title(view);
  if (view.isDrawn) view.redraw();
  else drawAll(view);
  return follow(view);
}

/** Ask what is new while runs are written, of many not so often: one request, and one more for curves in sight. */
function follow(view) {
  view.polled = poll(async () => {
    if (view.state.runs.length && !view.isRunning) return false;
    const wanted = asked(view.state);
    const told = await get("/compare/columns", { ...wanted, since: view.generation });
    await released();
    if (!told || JSON.stringify(asked(view.state)) !== JSON.stringify(wanted)) return undefined;
    view.take(told);
    title(view);
    view.redraw(["columns"]);
    return view.isRunning;
  }, { seconds: view.compared.count > MANY ? 10 : 2 });
}

function drawAll(view) {
  view.isDrawn = true;
  strip(view, $("#strip"));
  headTools(view);
  $(".compare-header").append(viewsButton());
  view.on(["brush", "hide", "runs", "columns"], async () => {
    if (view.hasBrush || $("#brush-line").hasChildNodes()) (await import("../compare/brush_line.js")).brushLine(view, $("#brush-line"));
  });
  verdictLine(view, $("#verdict"));
  keys(view);
  watch(view);
}

/** Panels are drawn once they are near the window, and all of them for paper. */
function watch(view) {
  const bodies = [...document.querySelectorAll(".card-body")];
  const observer = new IntersectionObserver(
    (entries) => entries.forEach(({ target, isIntersecting }) => see(view, target, isIntersecting)),
    { rootMargin: MARGIN },
  );
  bodies.forEach((body) => observer.observe(body));
  window.addEventListener("beforeprint", () => bodies.forEach((body) => see(view, body, true)));
}

const opened = new Set();

/** A panel came into sight or went. One that fails says so in its own place, and leaves the others. */
async function see(view, body, isSeen) {
  const { id } = body.closest("section");
  try {
    view.see(body, isSeen);
    if (!isSeen || opened.has(id)) return;
    opened.add(id);
    const panel = await PANELS[id]();
    const card = panel.open(view, body, $(`#${id}-tools`));
    if (card) addMenu(id, body, card);
  } catch (error) {
    opened.delete(id);
    emptyBox(body, "This panel could not be drawn", error.message);
    body.dataset.state = "error";
  }
}

/** The menu of a chart or a table: its values, its files, a link to it. */
function addMenu(id, body, card) {
  const section = body.closest("section");
  const heading = section.querySelector("h2").textContent;
  Object.assign(card, { figure: section, host: body, link: () => `#${id}` });
  section.querySelector(".card-head").append(menuButton(heading, card));
}

/** What mattered, in a sentence on top that leads to its panel. */
function verdictLine(view, host) {
  view.on(["obj", "use", "hide", "brush", "runs", "columns"], () => {
    const found = verdict(view);
    host.replaceChildren(...(found ? [
      el("span", { class: "muted" }, "What mattered: "), el("a", { href: "#importance" }, found.text),
      found.doubt ? el("span", { class: "warning" }, ` · ${found.doubt}`) : ""] : wholeLink(view)));
  });
}

/** A few runs cannot tell what mattered; all runs of their experiment may. */
function wholeLink(view) {
  const { runs } = view.compared;
  const [id] = runs.experiment_id;
  if (!id || !view.state.runs.length || new Set(runs.experiment_id).size > 1) return [];
  return [el("span", { class: "muted" }, `What mattered: ${counted(view.selected.length, "run")} cannot tell. `),
    el("a", { href: projectUrl(`/compare?${new URLSearchParams({ experiment: id })}`) }, `Compare all runs of ${runs.experiment[0]}`)];
}

function headTools(view) {
  view.on(["obj", "use", "runs", "columns"], () => {
    const names = Object.keys(view.compared.metrics);
    setTools($("#compare-tools"),
      names.length > 0 && select("Objective", names.map((name) => [name, name]), view.objective.slice(8), (obj) => view.change({ obj })),
      names.length > 0 && segmented("Figure of the objective", [["best", "Best"], ["last", "Last"]], view.state.use, (use) => view.change({ use })),
      el("button", { type: "button", class: "button", title: "A link to this view", onclick: copyLink }, "Copy link"));
  });
}

const copyLink = async () => (await import("../core/copy.js")).copy(location.href, "Link copied");

function keys(view) {
  bindKeys("compare", {
    "/": () => (view.state.runs.length ? $(".add-run").focus() : false),
    0: () => view.change({ brush: {} }),
    y: copyLink,
  });
}

function title(view) {
  const whole = page.data.experiment?.name;
  const { count } = view.compared;
  const over = view.total > count ? `first ${count.toLocaleString("en")} of ${counted(view.total, "run")}` : counted(count, "run");
  const text = whole && !view.state.runs.length ? `${over} of ${whole}` : over;
  $("#compare-title").textContent = `Compare ${text}`;
}

function nothing(view) {
  if (view.state.experiment) return message("No run matches", "No run of this experiment matches the filter of this link.");
  message("No runs to compare", "Search for the first one, or select runs in a runs table and press Compare.", adder(view));
}

function failed(view, error) {
  const again = el("button", { type: "button", class: "button", onclick: () => load(view) }, "Try again");
  message("The runs could not be read", error.message, again, "error");
}

/** Instead of the whole page. */
function message(head, text, extra = "", state = "empty") {
  const host = $("#strip");
  emptyBox(host, head, text);
  host.firstElementChild.append(extra);
  host.dataset.state = state;
  $("#main").classList.add("nothing");
  for (const body of document.querySelectorAll(".card-body")) body.dataset.state = state;
}

/** Into the link goes what differs from the defaults. */
function write(changes, options) {
  const isDefault = (name, value) => JSON.stringify(value) === JSON.stringify(DEFAULTS[name]);
  const told = Object.entries(changes).map(([name, value]) => [name, isDefault(name, value) ? "" : value]);
  writeState(Object.fromEntries(told), options);
}

function start() {
  const view = new View(readState(DEFAULTS), write, palette);
  view.reload = () => load(view);
  onTheme(() => view.isDrawn && view.redraw());
  window.addEventListener("popstate", () => {
    Object.assign(view.state, readState(DEFAULTS));
    load(view);
  });
  load(view);
}

start();
