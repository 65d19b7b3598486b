/** Questions to the server, and what is written there. */
import { page, url } from "./page.js";

export class ApiError extends Error {
  /** @param {number} status 0 where no answer came @param {any} [answer] the body, where it is JSON */
  constructor(status, code, message, answer = null) {
    super(message);
    Object.assign(this, { status, code, answer });
  }
}

const API = "/api/v1";
const below = (path) => `${API}/projects/${encodeURIComponent(page.project)}${path}`;

/** @param {Record<string, any>} params lists and objects travel as JSON; undefined, null and "" stay away */
export const query = (params) => {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value === undefined || value === null || value === "") continue;
    pairs.set(name, typeof value === "object" ? JSON.stringify(value) : String(value));
  }
  const text = pairs.toString();
  return text ? `?${text}` : "";
};

export const get = (path, params = {}, options = {}) => ask("GET", below(path) + query(params), undefined, options);
export const getRoot = (path, params = {}, options = {}) => ask("GET", API + path + query(params), undefined, options);
export const send = (method, path, body, options = {}) => ask(method, below(path), body, options);
export const sendRoot = (method, path, body, options = {}) => ask(method, API + path, body, options);

async function ask(method, path, body, { signal } = {}) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && page.csrf) headers["X-CSRF-Token"] = page.csrf;
  const answer = await reach(url(path), { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  const told = await read(answer);
  if (answer.ok) return told;
  if (answer.status === 401 && page.user) location.assign(`${url("/login")}?next=${encodeURIComponent(location.pathname + location.search)}`);
  const error = told?.error ?? {};
  throw new ApiError(answer.status, error.code ?? "unknown", error.message ?? `The server answered ${answer.status}.`, told);
}

async function reach(address, request) {
  try {
    return await fetch(address, { credentials: "same-origin", ...request });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "offline", "The server does not answer. Is it still running?");
  }
}

async function read(answer) {
  if (answer.status === 204 || answer.status === 304) return null;
  const text = await answer.text();
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}
