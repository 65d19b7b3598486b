/** Where the axes of a line chart are marked, and how: figures, powers, durations, times of day. */

const STEPS = [1, 2, 5, 10];
const SPANS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];

/** @returns {{value: number, text: string}[]} at about `count` places between lo and hi */
export function ticks([lo, hi], count, kind = "number", isLog = false) {
  if (!(hi > lo)) return [];
  if (isLog && hi / lo >= 20) return powers(lo, hi, count);
  const step = stepOf((hi - lo) / Math.max(1, count), kind === "number" ? null : SPANS);
  if (!(step > 0) || !Number.isFinite(step)) return [];
  const shift = kind === "wall" && step > 60 ? new Date(lo * 1000).getTimezoneOffset() * 60 : 0;
  const first = Math.ceil((lo - shift) / step - 1e-9);
  const last = Math.floor((hi - shift) / step + 1e-9);
  const values = Array.from({ length: Math.min(50, last - first + 1) }, (_, at) => clean((first + at) * step) + shift);
  return values.map((value) => ({ value, text: textOf(value, step, kind, Math.max(Math.abs(lo), Math.abs(hi))) }));
}

const clean = (value) => Number(value.toPrecision(12));

function stepOf(rough, spans) {
  const fit = rough >= 1 && spans?.find((one) => one >= rough);
  if (fit) return fit;
  const size = 10 ** Math.floor(Math.log10(rough));
  return STEPS.find((one) => one * size >= rough * 0.999) * size;
}

function powers(lo, hi, count) {
  const [first, last] = [Math.ceil(Math.log10(lo) - 1e-9), Math.floor(Math.log10(hi) + 1e-9)];
  const every = Math.max(1, Math.ceil((last - first + 1) / (count + 1)));
  const found = [];
  for (let power = first; power <= last; power += every) found.push({ value: Number(`1e${power}`), text: Math.abs(power) < 4 ? String(Number(`1e${power}`)) : `1e${power}` });
  return found;
}

function textOf(value, step, kind, largest) {
  if (kind === "relative") return spanText(value, step);
  if (kind === "wall") return clockText(value, step);
  return numberText(value, step, largest);
}

const UNITS = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];

/** A figure with as many places as its neighbours need to differ. */
export function numberText(value, step, largest = Math.abs(value)) {
  if (value === 0) return "0";
  const places = -Math.floor(Math.log10(step) + 1e-9);
  if (largest >= 1e12 || largest < 1e-3) return value.toExponential(Math.max(0, Math.min(12, Math.floor(Math.log10(Math.abs(value))) + places))).replace("e+", "e");
  const [size, unit] = (largest >= 1e4 && UNITS.find(([one]) => largest >= one)) || [1, ""];
  return `${(value / size).toFixed(Math.max(0, Math.min(12, places + Math.round(Math.log10(size)))))}${unit}`;
}

function spanText(seconds, step) {
  const [size, unit] = step >= 86400 ? [86400, "d"] : step >= 3600 ? [3600, "h"] : step >= 60 ? [60, "min"] : [1, "s"];
  return seconds === 0 ? "0" : `${clean(seconds / size)} ${unit}`;
}

function clockText(time, step) {
  const at = new Date(time * 1000);
  const two = (part) => String(part).padStart(2, "0");
  const day = `${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  if (step >= 86400) return day;
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}`;
  if (step < 60) return `${clock}:${two(at.getSeconds())}`;
  return clock === "00:00" ? day : clock;
}
