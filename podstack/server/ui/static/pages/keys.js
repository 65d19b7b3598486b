/** /help/keys: every key, by where it works. */
import { $ } from "../core/dom.js";
import { keyLists } from "../core/help.js";
import { KEYS, rowsOf } from "../core/key_table.js";

$("#keys").append(...keyLists(Object.values(KEYS).flatMap(rowsOf)));
