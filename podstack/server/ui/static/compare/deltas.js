/** How a metric of a run stands to the baseline's: the difference, in figures and in a word. */

/**
 * @param {number|null} value @param {number|null} base
 * @param {"minimize"|"maximize"|null} direction which way is better
 * @returns {{delta, percent, word}|null} null where there is no difference to tell of;
 *   word is "better", "worse", "same", or "" where no direction is known
 */
export function deltaOf(value, base, direction) {
  const delta = value === null || base === null ? NaN : value - base;
  if (!Number.isFinite(delta)) return null;
  const percent = base === 0 ? null : (delta / Math.abs(base)) * 100;
  return { delta, percent, word: wordFor(delta, direction) };
}

function wordFor(delta, direction) {
  if (delta === 0) return "same";
  if (!direction) return "";
  return delta > 0 === (direction === "maximize") ? "better" : "worse";
}

/** `+0.0089 (+1.0 %) better`. @param signed writes a number with its sign */
export function deltaText({ delta, percent, word }, signed) {
  if (word === "same") return "same";
  const share = percent === null || Math.abs(percent) >= 9999.5 ? "" : ` (${signedPercent(percent)})`;
  return `${signed(delta)}${share}${word && ` ${word}`}`;
}

function signedPercent(percent) {
  const size = Math.abs(percent);
  const digits = size >= 99.95 ? 0 : size >= 0.995 ? 1 : 2;
  return `${percent < 0 ? "−" : "+"}${size.toFixed(digits)} %`;
}

/** The places of the best value; none where no direction is known or all are alike. */
export function bestOf(values, direction) {
  const known = values.filter((value) => value !== null && !Number.isNaN(value));
  if (!direction || new Set(known).size < 2) return new Set();
  const pick = direction === "minimize" ? (a, b) => (b < a ? b : a) : (a, b) => (b > a ? b : a);
  const best = known.reduce(pick);
  return new Set(values.flatMap((value, at) => (value === best ? [at] : [])));
}
