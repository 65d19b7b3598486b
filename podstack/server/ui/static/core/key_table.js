/** Every key, by where it works: what the pages bind, what `?` shows, what /help/keys lists. */

export const KEYS = {
  everywhere: {
    title: "Everywhere",
    keys: {
      "Ctrl+k": "Search everything", "?": "Show the keys of this page", t: "Light or dark",
      "g e": "Go to experiments", "g r": "Go to runs", "g s": "Go to sweeps", "g a": "Go to alerts",
    },
  },
  experiments: {
    title: "Experiments",
    keys: { "/": "Search", j: "Next", k: "Previous", Enter: "Open", x: "Select", a: "Archive", c: "New experiment" },
  },
  runs: {
    title: "Runs table",
    keys: {
      "/": "Filter", j: "Next run", k: "Previous run", Enter: "Open the run", x: "Select the run",
      a: "Select all runs shown, or none", c: "Compare the selected runs", o: "Choose columns",
      Delete: "Delete the selected runs",
    },
  },
  notes: {
    title: "Notes of an experiment",
    keys: { "/": "Search" },
  },
  head: {
    title: "A column's heading that has the focus",
    keys: {
      "Alt+ArrowLeft": "Move it left", "Alt+ArrowRight": "Move it right", "Alt+ArrowDown": "Its menu",
      "Alt+Shift+ArrowLeft": "Narrower", "Alt+Shift+ArrowRight": "Wider",
    },
  },
  compare: {
    title: "Compare",
    keys: { "/": "Add a run", 0: "Clear all brushes", y: "Copy a link to this view" },
  },
  chart: {
    title: "A chart that has the focus",
    keys: {
      ArrowLeft: "Point before (Shift: ten)", ArrowRight: "Next point (Shift: ten)", Home: "First point", End: "Last point",
      "+": "Closer", "-": "Wider", 0: "Whole range",
      t: "Table of its values", Enter: "Table at the cursor: hold the place, or let go", Escape: "No cursor",
    },
  },
};

/** A group of the table as rows of a list: [{key, label, group}]. */
export const rowsOf = ({ title, keys }) => Object.entries(keys).map(([key, label]) => ({ key, label, group: title }));
