/** The parameters of a space as it is stored, where they may stand in groups. */

const isSpec = (value) => ["distribution", "values", "value"].some((key) => key in value && (typeof value[key] !== "object" || Array.isArray(value[key]) || value[key] === null));

/** Parameters by whole name. @returns {[string, object][]} */
export function leaves(parameters, above = "") {
  return Object.entries(parameters).flatMap(([name, inner]) => (isSpec(inner) ? [[above + name, inner]] : leaves(inner, `${above}${name}/`)));
}
