/** A table as a file, and any file onto the reader's disk. */

import { el } from "../core/dom.js";

export function download(content, name) {
  const address = URL.createObjectURL(content);
  const link = el("a", { href: address, download: name, hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** A table as CSV. A text that a spreadsheet would take for a formula is made plain. */
export function csvOf({ head, rows }) {
  return `${[head, ...rows].map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}

function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const told = typeof value === "string" ? value : JSON.stringify(value);
  const text = /^[=+\-@\t\r]/.test(told) ? `'${told}` : told;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
