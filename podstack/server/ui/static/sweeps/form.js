/** What the form's texts mean as create_sweep's arguments, and how many points a grid has. */

/** Each kind of parameter: what it is called, and which texts say what it is. */
export const KINDS = {
  uniform: ["uniform", "min", "max", "count"],
  log_uniform: ["log uniform", "min", "max", "count"],
  int: ["integer", "min", "max", "count"],
  int_log_uniform: ["integer, log", "min", "max", "count"],
  q_uniform: ["stepped", "min", "max", "q", "count"],
  normal: ["normal", "mu", "sigma", "q", "count"],
  log_normal: ["log normal", "mu", "sigma", "q", "count"],
  categorical: ["choices", "values", "probabilities"],
  constant: ["constant", "value"],
};
export const NUMBERS = ["max_trials", "target", "patience", "max_time", "seed"];
const LISTS = ["values", "probabilities"];
const WORDS = new Map(Object.entries({ true: true, True: true, false: false, False: false, none: null, None: null, null: null }));
const isNumber = (text) => /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text);

/** A text as the JSON it spells, else as the text it is. */
export function valueOf(text) {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  if (isNumber(trimmed)) return Number(trimmed);
  if (WORDS.has(trimmed)) return WORDS.get(trimmed);
  return /^(".*"|'.*')$/s.test(trimmed) ? trimmed.slice(1, -1) : trimmed;
}

/** `adam, "a, b", 3`: the values between commas; quotes keep a comma, or make a text of a number. */
export function listOf(text) {
  const parts = text.match(/\s*("[^"]*"|'[^']*')\s*(?=,|$)|[^,]+/g) ?? [];
  return parts.filter((one) => one.trim()).map(valueOf);
}

/** The text that `valueOf` reads as this value. */
export function textOf(value) {
  if (typeof value !== "string") return value === null ? "None" : figure(value);
  const isPlain = valueOf(value) === value && !/[,"']/.test(value);
  return isPlain ? value : value.includes('"') ? `'${value}'` : `"${value}"`;
}

/** A number as short as it is exact. */
export function figure(value) {
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  return value !== 0 && (size < 1e-3 || size >= 1e7) ? value.toExponential().replace("e+", "e") : String(value);
}

/** One parameter as the SDK takes it. @param row texts by field, with a kind, `when` and `is` */
export function parameterOf(row) {
  const fields = KINDS[row.kind].slice(1);
  const said = fields.filter((name) => row[name]?.trim()).map((name) => [name, LISTS.includes(name) ? listOf(row[name]) : valueOf(row[name])]);
  const isPlain = row.kind === "categorical" || row.kind === "constant";
  const spec = { ...(isPlain ? {} : { distribution: row.kind }), ...Object.fromEntries(said) };
  if (row.kind === "constant" && !("value" in spec)) spec.value = "";
  if (row.kind === "categorical") spec.values ??= [];
  return row.when?.trim() ? { ...spec, when: { [row.when.trim()]: listOf(row.is ?? "") } } : spec;
}

/** The texts of a row that say the same as a parameter of the SDK. */
export function rowOf(name, spec) {
  const kind = spec.distribution ?? ("values" in spec ? "categorical" : "constant");
  const texts = Object.entries(spec).filter(([field]) => KINDS[kind].includes(field))
    .map(([field, value]) => [field, Array.isArray(value) ? value.map(textOf).join(", ") : textOf(value)]);
  const [when, is] = Object.entries(spec.when ?? {})[0] ?? ["", []];
  return { name, kind, ...Object.fromEntries(texts), when, is: [is].flat().map(textOf).join(", ") };
}

/** Parameters by whole name as groups: `model/depth` becomes {model: {depth: …}}. */
export function nested(pairs) {
  const made = {};
  const groups = new Set([made]);
  for (const [name, spec] of pairs) {
    const path = name.split("/");
    const inner = path.slice(0, -1).reduce((group, part) => group && groupIn(group, part, groups), made);
    if (inner) set(inner, path.at(-1), spec);
    else set(made, name, spec); // below a parameter: the server says what is wrong with that
  }
  return made;
}

function groupIn(group, part, groups) {
  if (!Object.hasOwn(group, part)) {
    set(group, part, {});
    groups.add(group[part]);
  }
  return groups.has(group[part]) ? group[part] : null;
}

/** `__proto__` is a name like any other. */
const set = (group, name, value) => Object.defineProperty(group, name, { value, enumerable: true, writable: true, configurable: true });

/** All of create_sweep's arguments; what was left empty, or is no number, is left out. */
export function sweepOf(fields, rows) {
  const given = Object.entries(fields).filter(([name, text]) => text.trim() !== "" && !(name in oddNumbers(fields)))
    .map(([name, text]) => [name, NUMBERS.includes(name) ? valueOf(text) : text.trim()]);
  const named = rows.filter(({ name }) => name.trim());
  return { ...Object.fromEntries(given), parameters: nested(named.map((row) => [row.name.trim(), parameterOf(row)])) };
}

/** What is no number where a number belongs: field → why. */
export function oddNumbers(fields) {
  const odd = NUMBERS.filter((name) => fields[name]?.trim() && !isNumber(fields[name].trim()));
  return Object.fromEntries(odd.map((name) => [name, `${fields[name].trim()} is no number.`]));
}

/** Rows that another one has the name of: index → why. */
export function twins(rows) {
  const names = rows.map(({ name }) => name.trim());
  return Object.fromEntries(names.flatMap((name, at) => (name && names.indexOf(name) < at ? [[at, `${name} is there already.`]] : [])));
}

/** Points of a grid as a BigInt; null where only the server knows: an endless range, a condition. */
export function gridSize(rows) {
  const known = rows.filter(({ name }) => name.trim());
  return known.reduce((size, row) => {
    const points = pointsOf(row);
    return size === null || points === null ? null : size * points;
  }, 1n);
}

function pointsOf(row) {
  const { values, min, max, count, when, distribution, value } = parameterOf(row);
  const whole = (number) => Number.isSafeInteger(number) && number > 0;
  if (when) return null;
  if (value !== undefined) return 1n;
  if (values) return BigInt(new Set(values.map((one) => JSON.stringify(one))).size);
  if (distribution === "int" && count === undefined && whole(max - min + 1)) return BigInt(max - min + 1);
  return ["uniform", "log_uniform"].includes(distribution) && whole(count) && max > min ? BigInt(count) : null;
}
