/** What the server gave this page: {base, project, user, role, csrf, data}. */
const holder = globalThis.document?.getElementById("page");
export const page = holder ? JSON.parse(holder.textContent)
  : { base: "", project: "", user: "", role: "", csrf: "", data: null };

/** The address of a path of this server, below the prefix it is shown at. */
export const url = (path) => page.base + path;

/** The address of a path of this project. */
export const projectUrl = (path) => url(page.project ? `/projects/${page.project}${path}` : path);

export const mayEdit = () => page.role === "editor" || page.role === "admin";
