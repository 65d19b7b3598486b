/** What can be said of two columns of numbers: ranks, correlation, effect, the Pareto line. */

/** Ranks from 1; equal values share the mean of theirs. */
export function ranks(values) {
  const order = values.map((_, at) => at).sort((a, b) => values[a] - values[b]);
  const found = new Array(values.length);
  for (let start = 0; start < order.length;) {
    let stop = start + 1;
    while (stop < order.length && values[order[stop]] === values[order[start]]) stop += 1;
    for (let at = start; at < stop; at += 1) found[order[at]] = (start + stop + 1) / 2;
    start = stop;
  }
  return found;
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Pearson's r; null where one side does not vary. */
export function pearson(xs, ys) {
  const [mx, my] = [mean(xs), mean(ys)];
  let [xy, xx, yy] = [0, 0, 0];
  xs.forEach((x, at) => {
    xy += (x - mx) * (ys[at] - my);
    xx += (x - mx) ** 2;
    yy += (ys[at] - my) ** 2;
  });
  return xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : null;
}

/** Spearman's rank correlation of the pairs that are both finite; null of fewer than three. */
export function spearman(xs, ys) {
  const both = xs.map((_, at) => at).filter((at) => isReal(xs[at]) && isReal(ys[at]));
  if (both.length < 3) return null;
  return pearson(ranks(both.map((at) => xs[at])), ranks(both.map((at) => ys[at])));
}

export const isReal = (value) => typeof value === "number" && Number.isFinite(value);

/**
 * The share of the variance of the objective's ranks that groups explain, less what chance would:
 * ω² of a one-way analysis on ranks, 0 … 1. Ranks, so that one bad run cannot decide; groups, so
 * that an effect that rises and falls again counts too.
 * Source: Kruskal and Wallis, JASA 47 (1952); the correction of Kelley (1935), ε².
 * @param groups one label a run, @param ys the objective
 */
export function explained(groups, ys) {
  const rank = ranks(ys);
  const n = ys.length;
  const members = new Map();
  groups.forEach((group, at) => members.set(group, [...(members.get(group) ?? []), rank[at]]));
  const k = members.size;
  const middle = (n + 1) / 2;
  const total = rank.reduce((sum, value) => sum + (value - middle) ** 2, 0);
  if (k < 2 || k >= n || total === 0) return 0;
  let between = 0;
  for (const own of members.values()) between += own.length * (mean(own) - middle) ** 2;
  const share = between / total;
  return Math.max(0, 1 - ((1 - share) * (n - 1)) / (n - k));
}

/** Numbers as labels of up to `most` groups of about one size; equal numbers stay together. */
export function quantileGroups(values, most) {
  const rank = ranks(values);
  return rank.map((place) => Math.min(most - 1, Math.floor(((place - 0.5) / values.length) * most)));
}

/**
 * The points that no other beats in both directions, in order of x.
 * @param points {x, y}[]; @param wants {x, y}: "minimize" or "maximize" each
 * @returns {number[]} their places
 */
export function pareto(points, wants) {
  const sign = (want) => (want === "minimize" ? 1 : -1);
  const [sx, sy] = [sign(wants.x), sign(wants.y)];
  const order = points.map((_, at) => at).filter((at) => isReal(points[at].x) && isReal(points[at].y));
  order.sort((a, b) => sx * (points[a].x - points[b].x) || sy * (points[a].y - points[b].y));
  let best = Infinity;
  const line = order.filter((at) => {
    if (sy * points[at].y >= best) return false;
    best = sy * points[at].y;
    return true;
  });
  return line.sort((a, b) => points[a].x - points[b].x);
}
