/** Flags of a chart as what one may point at, and reach by Tab: each says what its alert said. */

import { el } from "../core/dom.js";
import { flagGroups } from "./curve.js";
import { MARGIN } from "./line_paint.js";

const ROOM = 12; // pixels between two that are apart
const MOST = 40; // on one chart

export class Flags {
  /** @param {HTMLElement} host of the chart */
  constructor(host) {
    this.box = el("div", { class: "chart-flags" });
    this.tip = el("div", { class: "chart-tip flag-tip", "aria-hidden": "true", hidden: true });
    this.shape = "";
    host.append(this.box, this.tip);
  }

  /** Put them where a frame has them; those that stay keep the focus. */
  place(frame, flags) {
    const isIn = ({ left }) => left >= MARGIN.left - 1 && left <= frame.width - MARGIN.right + 1;
    const groups = flagGroups(flags, frame.left, ROOM).filter(isIn).slice(0, MOST);
    const shape = JSON.stringify(groups);
    if (shape === this.shape) return;
    this.shape = shape;
    const focused = [...this.box.children].indexOf(document.activeElement);
    this.box.replaceChildren(...groups.map((group) => this.flag(group, frame)));
    this.tip.hidden = true;
    if (focused >= 0) this.box.children[Math.min(focused, groups.length - 1)]?.focus();
  }

  flag({ left, flags }, frame) {
    const lines = flags.map(({ text }) => text);
    const button = el("button", { type: "button", class: "chart-flag", "aria-label": `Alert: ${lines.join("; ")}`, style: { left: `${Math.round(left) - 5}px` } });
    const show = () => {
      this.tip.replaceChildren(...lines.slice(0, 6).map((text) => el("div", {}, text)), ...(lines.length > 6 ? [el("div", { class: "muted" }, `and ${lines.length - 6} more`)] : []));
      this.tip.hidden = false;
      const isRight = left + this.tip.offsetWidth + 16 > frame.width;
      this.tip.style.left = `${Math.max(0, isRight ? left - this.tip.offsetWidth - 8 : left + 12)}px`;
    };
    const hide = () => { this.tip.hidden = true; };
    for (const [name, act] of [["pointerenter", show], ["focus", show], ["pointerleave", hide], ["blur", hide]]) button.addEventListener(name, act);
    return button;
  }

  destroy() {
    this.box.remove();
    this.tip.remove();
  }
}
