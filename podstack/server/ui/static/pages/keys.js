/** /help/keys: the keys that work everywhere, and those of the pages that have their own. */
import { $ } from "../core/dom.js";
import { keyLists } from "../core/help.js";
import { bindings } from "../core/keys.js";

const PAGES = [
  ["Runs table", [["/", "Filter"], ["j", "Next row"], ["k", "Row before"], ["x", "Select"], ["Enter", "Open"], ["c", "Compare the selected"], ["a", "Archive"]]],
  ["Experiments", [["c", "New experiment"], ["/", "Search"]]],
  ["Charts", [["0", "Whole range"], ["ArrowLeft", "Cursor left"], ["ArrowRight", "Cursor right"]]],
];
const rows = PAGES.flatMap(([group, keys]) => keys.map(([key, label]) => ({ key, label, group })));
$("#keys").append(...keyLists([...bindings(), ...rows]));
