/** What a line chart reckons of a series before it draws: places, smoothing, ranges. Pure. */

const WORDS = { NaN: NaN, Infinity: Infinity, "-Infinity": -Infinity };
const real = (value) => (typeof value === "string" ? WORDS[value] : value ?? NaN);

/** A series with numbers where the answer has texts, and its places on the x axis. */
export function placed(series, x) {
  const column = (name) => (series[name] ?? series.mean).map(real);
  const found = { ...series, mean: column("mean"), min: column("min"), max: column("max") };
  const count = series.count ?? series.x.map(() => 1);
  return { ...found, count, odd: series.odd ?? count.map(() => 0), at: placesOf(series, x) };
}

/**
 * A series whose x is in the units of the axis already says so by `axis`; others hold steps. When its
 * run began only the server knows: the first point of a metric may have come hours later.
 */
const placesOf = ({ x: places, time, axis }, x) => (axis !== x && x === "wall" && time ? time : places);

/**
 * An exponential mean without the bias to its start, that a bucket of n points moves as n points of
 * its mean would: so it hardly depends on how a series was thinned. Kingma and Ba 2015, section 3.
 * Constants and one or two points stay as they are, and so do gaps.
 * @param {number[]} values NaN is a gap @param {number[]} counts points of each @param {number} weight 0 … 1
 */
export function smoothed(values, counts, weight) {
  const known = values.filter(Number.isFinite);
  if (!(weight > 0) || known.length <= 2 || known.every((value) => value === known[0])) return values;
  let [mean, share] = [0, 0];
  return values.map((value, at) => {
    if (!Number.isFinite(value)) return value;
    const kept = weight ** Math.max(1, counts[at]);
    mean = mean * kept + value * (1 - kept);
    share = share * kept + (1 - kept);
    return mean / share;
  });
}

/** Over how many steps a weight averages: the points of its mean age, as steps of this series. */
export function windowOf(weight, { at, count }) {
  const points = count.reduce((sum, one) => sum + one, 0);
  const span = points > 1 ? (at.at(-1) - at[0]) / (points - 1) : 1;
  return Math.max(1, Math.round(span / (1 - weight)));
}

/** From the first to the last place of all series; null without any. */
export function extent(all, isLog = false) {
  let [lo, hi] = [Infinity, -Infinity];
  for (const { at } of all) {
    for (const x of at) if (Number.isFinite(x) && !(isLog && x <= 0)) [lo, hi] = [Math.min(lo, x), Math.max(hi, x)];
  }
  return lo <= hi ? widened(lo, hi, isLog, 0) : null;
}

/**
 * The range of y: all of the drawn lines, and of their bands all but the lowest and highest
 * hundredth, so that one spike does not flatten the rest. fitAll: all of the bands.
 */
export function yRange(all, [from, to], { isLog = false, fitAll = false, withBands = true } = {}) {
  const lines = [];
  const bands = [];
  for (const { at, line, min, max } of all) {
    at.forEach((x, place) => {
      if (x < from || x > to) return;
      lines.push(line[place]);
      if (withBands) bands.push(min[place], max[place]);
    });
  }
  const fits = (value) => Number.isFinite(value) && (!isLog || value > 0);
  const sorted = bands.filter(fits).sort((a, b) => a - b);
  const cut = fitAll ? 0 : Math.ceil(sorted.length / 100);
  const known = [...lines.filter(fits), ...sorted.slice(cut, sorted.length - cut)];
  if (!known.length) return null;
  const [lo, hi] = known.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
  return widened(lo, hi, isLog, 0.05);
}

function widened(lo, hi, isLog, share) {
  if (isLog) {
    const room = lo === hi ? 0.3 : share * Math.log10(hi / lo);
    return [lo * 10 ** -room, hi * 10 ** room];
  }
  if (lo === hi) {
    const room = Math.abs(lo) * 0.05 || 1;
    return [lo - room, hi + room];
  }
  const room = share * (hi - lo);
  return Number.isFinite(room) ? [lo - room, hi + room] : [lo, hi];
}

/** Where a value stands between two others, 0 … 1 and beyond. */
export function shareOf(value, [lo, hi], isLog) {
  if (isLog) return value > 0 ? Math.log(value / lo) / Math.log(hi / lo) : NaN;
  return (value / 2 - lo / 2) / (hi / 2 - lo / 2); // halves, for the difference may overflow
}

/** The value at a share: the way back. */
export const valueAt = (share, [lo, hi], isLog) => (isLog ? lo * (hi / lo) ** share : lo + (hi - lo) * share);

/**
 * Where flags stand on the axis of a series: those of one run. What has no place there is left out.
 * @param flags {step, time, text}[] @param {object} one placed @param {string} x
 */
export function flagPlaces(flags, one, x) {
  const place = ({ step, time }) => {
    if (x === "step") return step;
    if (x === "wall") return time;
    if (x === "relative") return one?.time ? time - (one.time[0] - one.at[0]) : NaN;
    return one?.at[nearest(one.step ?? [], step)];
  };
  return flags.map((flag) => ({ ...flag, x: place(flag) })).filter((flag) => Number.isFinite(flag.x));
}

/** Flags whose places are closer than `room` pixels as one: {left, flags}[]. */
export function flagGroups(flags, left, room) {
  const found = [];
  for (const flag of [...flags].sort((a, b) => a.x - b.x)) {
    const at = left(flag.x);
    if (found.length && at - found.at(-1).left < room) found.at(-1).flags.push(flag);
    else found.push({ left: at, flags: [flag] });
  }
  return found;
}

/** The place of the point nearest to x; -1 without points. */
export function nearest(at, x) {
  let best = -1;
  for (let place = 0; place < at.length; place += 1) {
    if (best < 0 || Math.abs(at[place] - x) < Math.abs(at[best] - x)) best = place;
  }
  return best;
}

/** All series in one table by x: {head, rows}. */
export function tableOf(all, title = "x") {
  const rows = new Map();
  all.forEach(({ at, mean }, column) => at.forEach((x, place) => {
    if (!rows.has(x)) rows.set(x, [x, ...all.map(() => null)]);
    rows.get(x)[column + 1] = mean[place];
  }));
  return { head: [title, ...all.map(({ label }) => label)], rows: [...rows.values()].sort((a, b) => a[0] - b[0]) };
}
