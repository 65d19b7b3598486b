/** /settings: the theme, and the tokens of the project. */
import { get, send } from "../core/api.js";
import { setTheme } from "../core/colors.js";
import { copy } from "../core/copy.js";
import { confirm, dialog } from "../core/dialog.js";
import { $, $$, clear, el } from "../core/dom.js";
import { ago, moment } from "../core/format.js";
import { panel } from "../core/panel.js";
import { now, page } from "../core/page.js";

/** What is chosen, which may be to follow the system. */
function themeChoice() {
  try { return localStorage.getItem("podstack-theme") ?? "system"; } catch { return "system"; }
}

for (const choice of $$("#theme input")) {
  choice.checked = choice.value === themeChoice();
  choice.addEventListener("change", () => setTheme(choice.value));
}

const HEADS = ["Id", "User", "Role", "Created", "Until", ""];
const host = $("#tokens");
const tokens = host && page.data?.admin ? panel(host, draw) : null;
$("#new-token")?.addEventListener("click", create);

async function draw(place, signal) {
  const told = await get("/tokens", {}, { signal });
  if (!told.tokens.length) return { title: "No token of this project yet", text: "Make one for each person or machine that logs runs here." };
  clear(place).append(el("div", { class: "scroll" }, el("table", { class: "table tokens" }, el("thead", {}, el("tr", {}, HEADS.map((head) => el("th", { scope: "col" }, head || el("span", { class: "visually-hidden" }, "Revoke"))))),
    el("tbody", {}, told.tokens.map(row)))));
  return true;
}

function row(token) {
  const isOver = token.revoked || (token.expires && token.expires < now());
  const until = token.revoked ? "revoked" : !token.expires ? "for good" : isOver ? "expired" : moment(token.expires);
  const end = isOver ? null : el("button", { type: "button", class: "button", onclick: () => revoke(token) }, "Revoke");
  return el("tr", { class: isOver ? "muted" : "" }, el("td", {}, el("code", {}, token.id), token.yours ? el("span", { class: "tag" }, "yours") : null), el("td", {}, token.user), el("td", {}, token.project === "*" ? `${token.role} of every project` : token.role),
    el("td", { title: moment(token.created) }, ago(token.created)), el("td", {}, until), el("td", {}, end));
}

async function revoke(token) {
  const isSure = await confirm({ title: "Revoke this token?", text: token.yours ? "You are logged in with it, and will be logged out." : `${token.user} loses access with it from the next request on. This cannot be undone.`, action: "Revoke" });
  if (!isSure) return;
  await send("DELETE", `/tokens/${encodeURIComponent(token.id)}`);
  tokens.reload();
}

function create() {
  const user = el("input", { id: "token-user", required: true, maxlength: "100", autocomplete: "off" });
  const role = el("select", { id: "token-role" }, ["viewer", "editor", "admin"].map((name) => el("option", { value: name, selected: name === "editor" }, name)));
  const until = el("select", { id: "token-until" }, [["30", "30 days"], ["90", "90 days"], ["365", "a year"], ["", "for good"]].map(([days, word]) => el("option", { value: days, selected: days === "90" }, word)));
  const body = [["User", user], ["Role", role], ["Good for", until]].map(([word, field]) => el("div", { class: "form-row" }, el("label", { for: field.id }, word), field));
  dialog({ title: `New token for ${page.project}`, body, actions: [{ text: "Cancel", kind: "plain" }, { text: "Create", run: async () => {
    if (!user.value.trim()) throw new Error("Say whose token it is.");
    const expires = until.value ? Number(until.value) * 86400 : null;
    shown(await send("POST", "/tokens", { user: user.value.trim(), role: role.value, expires_in: expires }));
    tokens.reload();
  } }] });
}

function shown(told) {
  dialog({ title: "The new token", body: [el("p", {}, "Keep it now: it is shown this once."), el("p", { class: "secret" }, el("code", {}, told.token))],
    actions: [{ text: "Done", kind: "plain" }, { text: "Copy", run: async () => { await copy(told.token); return false; } }] });
}
