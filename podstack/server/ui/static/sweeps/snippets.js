/** What the form says as Python and as YAML for `podstack sweep`. Texts are quoted as JSON. */

/** A value as Python writes it. */
export function python(value, indent = "") {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map((one) => python(one, indent)).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  const inner = `${indent}    `;
  const lines = Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${flat(one)}`);
  return lines.length ? `{\n${lines.map((line) => `${inner}${line},\n`).join("")}${indent}}` : "{}";
}

function flat(value) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return python(value);
  const parts = Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${flat(one)}`);
  return `{${parts.join(", ")}}`;
}

/** The call of the SDK that makes the same sweep. @param sweep create_sweep's arguments by name */
export function asPython(sweep) {
  const lines = Object.entries(sweep)
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => `    ${name}=${python(value, "    ")},`);
  return `sweep = client.create_sweep(\n${lines.join("\n")}\n)`;
}

/** The same as YAML: JSON is YAML, so each value stands as JSON below its name. */
export function asYaml(sweep) {
  return Object.entries(sweep)
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => `${name}: ${JSON.stringify(value)}`)
    .join("\n");
}
