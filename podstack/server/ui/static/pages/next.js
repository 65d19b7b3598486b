/** Where one goes after logging in: a page of this server, never another site. Pure. */
export function onward(next, origin, home) {
  if (!next || !/^\/(?![/\\])/.test(next)) return home;
  try {
    const place = new URL(next, origin);
    const isHere = place.origin === origin && (place.pathname + "/").startsWith(home);
    return isHere && !place.pathname.endsWith("/login") ? place.pathname + place.search + place.hash : home;
  } catch {
    return home;
  }
}
