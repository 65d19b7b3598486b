/** What a distribution looks like, before anything is drawn from it: a strip under its row. */

import { axisTicks } from "../charts/axis_ticks.js";
import { number } from "../core/format.js";

const WIDTH = 200;
const HEIGHT = 26; // of the shape; its words stand below
const POINTS = 48;
const MOST_BARS = 24;
const SVG = "http://www.w3.org/2000/svg";
const isLog = (kind) => kind === "log_uniform" || kind === "int_log_uniform";

/**
 * @param spec one parameter as the SDK takes it
 * @returns {{heights: number[], isBars: boolean, marks: {place, text}[], words: string} | null}
 *   heights and places 0 … 1; null where it cannot be drawn yet
 */
export function shapeOf(spec) {
  if (spec.values) return ofChoices(spec.values, spec.probabilities);
  if ("value" in spec) return spec.value === "" ? null : bars([1], [shown(spec.value)], `always ${shown(spec.value)}`);
  if ("mu" in spec || "sigma" in spec) return ofBell(spec);
  return ofRange(spec);
}

const shown = (value) => (typeof value === "number" ? number(value) : String(value));

function ofChoices(values, probabilities) {
  if (!values.length) return null;
  const shares = values.map((_, at) => (probabilities ? Number(probabilities[at]) : 1 / values.length));
  if (shares.some((share) => !(share >= 0)) || !(Math.max(...shares) > 0)) return null;
  const percent = (share) => `${number(Math.round(1000 * share) / 10)} %`;
  const words = values.slice(0, 6).map((value, at) => `${shown(value)} ${percent(shares[at])}`);
  return bars(shares.map((share) => share / Math.max(...shares)), values.map(shown), words.join(", "));
}

function bars(heights, names, words) {
  const marks = names.length > MOST_BARS ? [] : names.map((text, at) => ({ place: (at + 0.5) / names.length, text }));
  return { heights, isBars: true, marks, words };
}

function ofBell({ mu, sigma, distribution }) {
  if (!Number.isFinite(mu) || !(sigma > 0)) return null;
  const at = (sides) => number(distribution === "log_normal" ? Math.exp(mu + sides * sigma) : mu + sides * sigma);
  const heights = Array.from({ length: POINTS }, (_, i) => Math.exp(-((6 * (i / (POINTS - 1)) - 3) ** 2) / 2));
  const marks = [-2, 0, 2].map((sides) => ({ place: (sides + 3) / 6, text: at(sides) }));
  return { heights, isBars: false, marks, words: `half of the draws below ${at(0)}, most from ${at(-2)} to ${at(2)}` };
}

function ofRange({ min, max, q, distribution }) {
  if (!Number.isFinite(min) || !Number.isFinite(max) || !(max > min)) return null;
  const log = isLog(distribution);
  if (log && !(min > 0)) return null;
  const step = distribution === "int" ? 1 : distribution === "q_uniform" ? q : 0;
  const count = step > 0 ? Math.round((max - min) / step) + 1 : Infinity;
  const middle = log ? Math.sqrt(min * max) : (min + max) / 2;
  const words = `half of the draws below ${number(middle)}`;
  if (count <= MOST_BARS) {
    return bars(Array(count).fill(1), Array.from({ length: count }, (_, at) => number(min + at * step)), words);
  }
  const place = (value) => (log ? Math.log(value / min) / Math.log(max / min) : (value - min) / (max - min));
  const inner = axisTicks({ kind: log ? "log" : "linear", lo: min, hi: max }, 4).map(({ value, text }) => ({ place: place(value), text }));
  return { heights: [1, 1], isBars: false, marks: withEnds(inner, number(min), number(max)), words };
}

const LETTER = 6 / WIDTH;

/** The two ends, and what stands far enough from both for all to be read. */
function withEnds(inner, low, high) {
  const half = (text) => (text.length * LETTER) / 2;
  const fits = ({ place, text }) => place - half(text) > (low.length + 1) * LETTER && place + half(text) < 1 - (high.length + 1) * LETTER;
  return [{ place: 0, text: low }, ...inner.filter(fits), { place: 1, text: high }];
}

/** Draw a shape into its host; nothing where there is none. */
export function drawPreview(host, shape) {
  host.replaceChildren();
  host.dataset.state = shape ? "ready" : "empty";
  if (!shape) return;
  const svg = part("svg", { viewBox: `-6 0 ${WIDTH + 12} ${HEIGHT + 16}`, role: "img", "aria-label": shape.words });
  svg.append(...(shape.isBars ? drawnBars(shape.heights) : [drawnCurve(shape.heights)]), part("line", { x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT, class: "preview-base" }));
  svg.append(...drawnMarks(shape.marks));
  host.append(svg);
}

function part(tag, props, text = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props)) made.setAttribute(name, String(value));
  made.textContent = text;
  return made;
}

function drawnBars(heights) {
  const room = WIDTH / heights.length;
  const gap = Math.min(3, room / 4);
  const high = (share) => Math.max(1, share * (HEIGHT - 2));
  return heights.map((share, at) => part("rect", { x: at * room + gap / 2, width: Math.max(0.5, room - gap), y: HEIGHT - high(share), height: high(share), class: "preview-shape" }));
}

function drawnCurve(heights) {
  const places = heights.map((share, at) => `${(at / (heights.length - 1)) * WIDTH},${HEIGHT - share * (HEIGHT - 2)}`);
  return part("path", { d: `M0,${HEIGHT} L${places.join(" L")} L${WIDTH},${HEIGHT} Z`, class: "preview-shape" });
}

function drawnMarks(marks) {
  const room = Math.floor(WIDTH / Math.max(1, marks.length) / 5.5);
  const cut = (text) => (text.length > Math.max(3, room) ? `${text.slice(0, Math.max(2, room - 1))}…` : text);
  const every = Math.ceil(marks.length / 8);
  const anchor = ({ place }) => (place < 0.04 ? "start" : place > 0.96 ? "end" : "middle");
  return marks.filter((_, at) => at % every === 0)
    .map((mark) => part("text", { x: mark.place * WIDTH, y: HEIGHT + 12, "text-anchor": anchor(mark) }, every > 1 ? mark.text : cut(mark.text)));
}
