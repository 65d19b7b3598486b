/** A part of a page that asks the server: it waits, shows, is empty, or says what failed, alone. */
import { clear, el } from "./dom.js";

/**
 * load: draws into the host; returns false, or a text, or {title, text}, where there is nothing to show.
 * @param {HTMLElement} host @param {(host: HTMLElement, signal: AbortSignal) => Promise<any>} load
 * @returns {{reload: () => Promise<void>}}
 */
export function panel(host, load) {
  let current = null;
  const reload = async () => {
    current?.abort();
    const mine = (current = new AbortController());
    const wasReady = host.dataset.state === "ready";
    host.dataset.state = "loading";
    const timer = setTimeout(() => { if (wasReady) host.classList.add("is-stale"); else skeleton(host); }, 150);
    try {
      const told = await load(host, mine.signal);
      if (current !== mine) return;
      settle(host, told);
    } catch (error) {
      if (current === mine && error.name !== "AbortError") failed(host, error, reload);
    } finally {
      clearTimeout(timer);
      if (current === mine) host.classList.remove("is-stale");
    }
  };
  reload();
  return { reload };
}

function skeleton(host) {
  if (!host.childElementCount) host.append(el("div", { class: "skeleton", "aria-hidden": "true" }, el("i"), el("i"), el("i")));
}

function settle(host, told) {
  host.querySelector(":scope > .skeleton")?.remove();
  const isEmpty = told === false || typeof told === "string" || Boolean(told?.title);
  host.dataset.state = isEmpty ? "empty" : "ready";
  if (!isEmpty || told === false) return;
  const { title, text = "" } = typeof told === "string" ? { title: told } : told;
  clear(host).append(el("div", { class: "empty" }, el("p", { class: "empty-title" }, title), text ? el("p", { class: "muted" }, text) : null));
}

function failed(host, error, again) {
  host.dataset.state = "error";
  clear(host).append(el("div", { class: "empty", role: "alert" }, el("p", { class: "empty-title" }, "This could not be read"),
    el("p", { class: "muted" }, error.message), el("button", { type: "button", class: "button", onclick: again }, "Try again")));
}
