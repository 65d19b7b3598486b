/** Which experiments are shown, in which order: pure, so that Node can test it. */

export const STATUSES = ["active", "completed", "archived"];

/** What an experiment is listed as: its status, or that it was deleted. */
export const shelf = (row) => (row.deleted ? "deleted" : row.status);

/**
 * @param {object[]} rows
 * @param {{q: string, status: string, tags: string[], sort: string}} view status: "" for all but archived and deleted
 */
export function shown(rows, view) {
  const words = view.q.toLowerCase().split(/\s+/).filter(Boolean);
  const found = rows.filter((row) => onShelf(row, view.status) && hasTags(row, view.tags) && matches(row, words));
  return sorted(found, view.sort);
}

const onShelf = (row, status) => (status ? shelf(row) === status : !row.archived && !row.deleted);
const hasTags = (row, tags) => tags.every((tag) => row.tags.includes(tag));

function matches(row, words) {
  const text = `${row.name}\n${row.description}\n${row.tags.join("\n")}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

/** Equal ones by name. */
function sorted(rows, sort) {
  const field = sort.replace(/^-/, "");
  const way = sort.startsWith("-") ? -1 : 1;
  const compare = (a, b) => (a < b ? -1 : Number(a > b));
  return [...rows].sort((a, b) => way * compare(a[field], b[field]) || compare(a.name, b.name));
}

/** Rows where they stood before; new ones last. @param {string[]} ids in their order */
export function inPlace(rows, ids) {
  const places = new Map(ids.map((id, place) => [id, place]));
  const placed = (row) => places.get(row.id) ?? ids.length;
  return [...rows].sort((a, b) => placed(a) - placed(b));
}

/** How many are on each shelf. */
export function counts(rows) {
  const found = { "": 0, active: 0, completed: 0, archived: 0, deleted: 0 };
  for (const row of rows) {
    found[shelf(row)] += 1;
    if (onShelf(row, "")) found[""] += 1;
  }
  return found;
}

/** The tags in use on the shelf that is shown, the most frequent first: [[tag, count]]. */
export function tagCounts(rows, status) {
  const found = new Map();
  for (const row of rows) if (onShelf(row, status)) for (const tag of row.tags) found.set(tag, (found.get(tag) ?? 0) + 1);
  return [...found].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
}

/** The few lines that make a first run. */
export function snippet(address, project, experiment = "first-try") {
  const where = project === "default" ? "" : `, project=${JSON.stringify(project)}`;
  return [
    "from podstack import MLOpsClient",
    "",
    `client = MLOpsClient(${JSON.stringify(address)}${where})`,
    `with client.start_run(experiment=${JSON.stringify(experiment)}, params={"lr": 0.001}) as run:`,
    "    for step in range(100):",
    "        run.log_metrics({\"loss\": 1 / (step + 1)}, step=step)",
  ].join("\n");
}
