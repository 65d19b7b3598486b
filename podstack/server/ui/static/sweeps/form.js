/** What the form's texts mean as create_sweep's arguments, and how many points a grid has. */

/** A text as the JSON it spells, else as the text it is. */
export function valueOf(text) {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  if (/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(trimmed)) return Number(trimmed);
  const words = { true: true, True: true, false: false, False: false, none: null, None: null, null: null };
  return trimmed in words ? words[trimmed] : trimmed.replace(/^(["'])(.*)\1$/, "$2");
}

/** One parameter as the SDK takes it. @param row texts {kind, min, max, values, count} */
export function parameterOf({ kind, min, max, values, count }) {
  if (kind === "constant") return { value: valueOf(values) };
  if (kind === "categorical") return { values: values.split(",").filter((one) => one.trim()).map(valueOf) };
  const range = { distribution: kind, min: valueOf(min), max: valueOf(max) };
  return count?.trim() ? { ...range, count: valueOf(count) } : range;
}

/** All of create_sweep's arguments; what was left empty is left out. */
export function sweepOf(fields, rows) {
  const numbers = ["max_trials", "target", "patience", "max_time"];
  const given = Object.entries(fields).filter(([, text]) => text.trim() !== "")
    .map(([name, text]) => [name, numbers.includes(name) ? valueOf(text) : text]);
  const named = rows.filter(({ name }) => name.trim());
  return { ...Object.fromEntries(given), parameters: Object.fromEntries(named.map((row) => [row.name.trim(), parameterOf(row)])) };
}

/** Points of a grid; null where a range says no count, as a guess before the server's answer. */
export function gridSize(parameters) {
  return Object.values(parameters).reduce((size, one) => (size === null ? null : times(size, one)), 1);
}

function times(size, { distribution, min, max, values, count }) {
  if (count) return size * count;
  if (values) return size * values.length;
  if (distribution === "int" && max >= min) return size * (max - min + 1);
  return distribution ? null : size;
}
