/** What the server gave this page: {base, project, user, role, csrf, now, data}. */
const holder = globalThis.document?.getElementById("page");
export const page = holder ? JSON.parse(holder.textContent)
  : { base: "", project: "", user: "", role: "", csrf: "", now: 0, data: null };

const MOST = 5; // seconds that an answer may take on its way
const ahead = holder ? page.now - Date.now() / 1000 : 0;

/** Epoch seconds by the server's clock, where this machine's is wrong. */
export const now = () => Date.now() / 1000 + (Math.abs(ahead) > MOST ? ahead : 0);

/** The address of a path of this server, below the prefix it is shown at. */
export const url = (path) => page.base + path;

/** The address of a path of this project. */
export const projectUrl = (path) => url(page.project ? `/projects/${page.project}${path}` : path);

export const mayEdit = () => page.role === "editor" || page.role === "admin";
