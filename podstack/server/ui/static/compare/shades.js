/**
 * Colours of values: viridis, cut at 92 %, where its yellow is still seen on a white card.
 * Source: viridis by S. van der Walt and N. Smith (matplotlib 2.0), ten of its 256 colours.
 */

const STOPS = ["#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];
const LAST = 0.92;
const RGB = STOPS.map((text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16)));

/** The colour of a share 0 … 1. @param {boolean} isDark begins higher, for a dark card */
export function shadeOf(share, isDark = false) {
  const low = isDark ? 0.3 : 0;
  const place = (low + (LAST - low) * Math.min(1, Math.max(0, share))) * (RGB.length - 1);
  const at = Math.min(RGB.length - 2, Math.floor(place));
  const mixed = RGB[at].map((from, part) => Math.round(from + (RGB[at + 1][part] - from) * (place - at)));
  return `rgb(${mixed.join(", ")})`;
}
