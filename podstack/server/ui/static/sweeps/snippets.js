/**
 * What the form says as Python, as YAML for `podstack sweep create`, and as the commands of workers.
 * Texts are quoted as JSON, which Python and YAML read alike.
 */

import { figure } from "./form.js";

const PLAIN = /^[A-Za-z_][A-Za-z0-9_./-]*$/;
const YAML_WORDS = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
const PYTHON_WORDS = new Map([[null, "None"], [true, "True"], [false, "False"]]);

/** A text in quotes; what YAML takes for the end of a line, or refuses, is escaped. */
function quoted(text) {
  return JSON.stringify(text).replace(/[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const isDict = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
/** A dict that holds dicts is a group, each member of it on a line of its own. */
const isGroup = (value) => isDict(value) && Object.values(value).some(isDict) && !("when" in value);
const given = (sweep) => Object.entries(sweep).filter(([, value]) => value !== null && value !== undefined && value !== "");

/** A value as Python writes it. */
export function python(value, indent = "") {
  if (PYTHON_WORDS.has(value)) return PYTHON_WORDS.get(value);
  if (typeof value === "number") return figure(value);
  if (Array.isArray(value)) return `[${value.map((one) => python(one)).join(", ")}]`;
  if (!isDict(value)) return quoted(value);
  const pairs = Object.entries(value);
  if (!pairs.length) return "{}";
  if (!isGroup(value)) return `{${pairs.map(([name, one]) => `${quoted(name)}: ${python(one)}`).join(", ")}}`;
  const inner = `${indent}    `;
  return `{\n${pairs.map(([name, one]) => `${inner}${quoted(name)}: ${python(one, inner)},\n`).join("")}${indent}}`;
}

/**
 * A program that makes the sweep and works on it, where a `train` is.
 * @param sweep create_sweep's arguments by name @param {{address, project}} at the server
 */
export function asPython(sweep, { address, project }) {
  const { experiment = "default", ...rest } = sweep;
  const lines = given(rest).map(([name, value]) => `    ${name}=${python(value, "    ")},`);
  const metric = quoted(sweep.objective_metric ?? "loss");
  return `from podstack import MLOpsClient

client = MLOpsClient(${quoted(address)}${project === "default" ? "" : `, project=${quoted(project)}`})
sweep = client.create_sweep(
    experiment=client.create_experiment(${quoted(experiment)}),
${lines.join("\n")}
)
while trial := client.suggest_sweep_params(sweep_id=sweep.id):
    client.complete_sweep_trial(sweep.id, trial.id, {${metric}: train(trial.params)})
`;
}

/** The file that `podstack sweep create` takes. */
export function asYaml(sweep) {
  const { objective_metric: metric, direction, parameters, ...rest } = sweep;
  const objective = metric === undefined ? {} : { objective: direction ? { metric, direction } : { metric } };
  const lines = given({ ...rest, ...objective }).map(([name, value]) => `${name}: ${flow(value)}`);
  const space = Object.keys(parameters).length ? ["parameters:", ...block(parameters, "  ")] : ["parameters: {}"];
  return `${[...lines, ...space].join("\n")}\n`;
}

function block(group, indent) {
  return Object.entries(group).flatMap(([name, value]) =>
    isGroup(value) ? [`${indent}${key(name)}:`, ...block(value, `${indent}  `)] : [`${indent}${key(name)}: ${flow(value)}`]);
}

const key = (text) => (PLAIN.test(text) && !YAML_WORDS.includes(text.toLowerCase()) ? text : quoted(text));

function flow(value) {
  if (typeof value === "number") return figure(value);
  if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`;
  if (isDict(value)) return `{${Object.entries(value).map(([name, one]) => `${key(name)}: ${flow(one)}`).join(", ")}}`;
  return typeof value === "string" ? key(value) : String(value);
}

/** A word of a command for a POSIX shell. */
export const shell = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`);

const options = ({ address, project }) => `--store ${shell(address)}${project === "default" ? "" : ` --project ${shell(project)}`}`;

/** What makes the sweep of `sweep.yaml`, and what works on it. */
export function asCommands(sweep, at) {
  return `podstack sweep create sweep.yaml ${options(at)}\n${asWorker("latest", at)}\n`;
}

/** The line that starts a worker. @param {string} sweep its id, or `latest` */
export const asWorker = (sweep, at) => `podstack sweep agent ${shell(sweep)} ${options(at)} -- python train.py`;
