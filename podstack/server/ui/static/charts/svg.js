/** A context that records what is drawn as an SVG: as much of a canvas' as our charts use. */

const escaped = (text) => String(text).replace(/[&<>"]/g, (mark) => `&#${mark.charCodeAt(0)};`);
const short = (value) => Number(value.toFixed(2));
const CHARACTER = 6.1; // pixels of an average letter at 11 px, where no font can be asked

export class SvgContext {
  constructor(width, height) {
    Object.assign(this, { width, height, parts: [], places: "", dash: [], globalAlpha: 1, lineWidth: 1, strokeStyle: "#000", fillStyle: "#000", textAlign: "left", textBaseline: "top", font: "", clips: 0, open: [0] });
  }

  beginPath() { this.places = ""; }
  moveTo(left, top) { this.places += `M${short(left)} ${short(top)}`; }
  lineTo(left, top) { this.places += `L${short(left)} ${short(top)}`; }
  bezierCurveTo(...ends) { this.places += `C${ends.map(short).join(" ")}`; }
  rect(left, top, wide, high) { this.places += `M${short(left)} ${short(top)}h${short(wide)}v${short(high)}h${short(-wide)}z`; }
  arc(left, top, radius) { this.places += `M${short(left - radius)} ${short(top)}a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 ${-2 * radius} 0`; }
  setLineDash(dash) { this.dash = dash; }
  measureText(text) { return { width: text.length * CHARACTER }; }

  save() { this.open.push(0); }
  restore() { this.parts.push("</g>".repeat(this.open.length > 1 ? this.open.pop() : 0)); }
  translate(left, top) { this.group(`transform="translate(${short(left)} ${short(top)})"`); }
  rotate(angle) { this.group(`transform="rotate(${short((angle * 180) / Math.PI)})"`); }

  group(attribute) {
    this.open[this.open.length - 1] += 1;
    this.parts.push(`<g ${attribute}>`);
  }

  clip() {
    this.clips += 1;
    this.parts.push(`<clipPath id="c${this.clips}"><path d="${this.places}"/></clipPath>`);
    this.group(`clip-path="url(#c${this.clips})"`);
  }

  stroke() {
    if (this.places) this.parts.push(`<path d="${this.places}" fill="none" ${this.pen()}/>`);
  }

  pen() {
    const dash = this.dash.length ? ` stroke-dasharray="${this.dash.join(" ")}"` : "";
    return `stroke="${escaped(this.strokeStyle)}" stroke-width="${this.lineWidth}" stroke-opacity="${short(this.globalAlpha)}"${dash}`;
  }

  fill() {
    if (this.places) this.parts.push(`<path d="${this.places}" ${this.ink()}/>`);
  }

  ink() { return `fill="${escaped(this.fillStyle)}" fill-opacity="${short(this.globalAlpha)}"`; }

  fillRect(left, top, wide, high) {
    this.parts.push(`<rect x="${short(left)}" y="${short(top)}" width="${short(wide)}" height="${short(high)}" ${this.ink()}/>`);
  }

  strokeRect(left, top, wide, high) {
    this.parts.push(`<rect x="${short(left)}" y="${short(top)}" width="${short(wide)}" height="${short(high)}" fill="none" ${this.pen()}/>`);
  }

  fillText(text, left, top) { this.write(text, left, top, `fill="${escaped(this.fillStyle)}"`); }
  strokeText(text, left, top) { this.write(text, left, top, `fill="none" stroke-linejoin="round" ${this.pen()}`); }

  write(text, left, top, look) {
    const anchor = { right: "end", center: "middle" }[this.textAlign] ?? "start";
    const down = this.textBaseline === "middle" ? 4 : 10;
    const bold = this.font.startsWith("600") ? ' font-weight="600"' : "";
    this.parts.push(`<text x="${short(left)}" y="${short(top + down)}" text-anchor="${anchor}"${bold} ${look}>${escaped(text)}</text>`);
  }

  /** The whole, as a file. */
  text(title) {
    const size = `width="${this.width}" height="${this.height}" viewBox="0 0 ${this.width} ${this.height}"`;
    return `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="system-ui, sans-serif" font-size="11"><title>${escaped(title)}</title><rect width="100%" height="100%" fill="#fff"/>${this.parts.join("")}</svg>`;
  }
}
