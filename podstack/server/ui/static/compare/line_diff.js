/**
 * Two texts, line by line: what is equal, what went, what came. The shortest edit script.
 * Source: Myers, "An O(ND) Difference Algorithm and Its Variations", Algorithmica 1 (1986).
 */

const MOST_EDITS = 600; // past it the middle is shown as replaced: time grows with its square

/** @returns {{kind: "=" | "-" | "+", text: string, left: number?, right: number?}[]} */
export function lineDiff(left, right) {
  const [a, b] = [left.split("\n"), right.split("\n")];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  const middle = edits(a.slice(start, a.length - end), b.slice(start, b.length - end));
  const equal = (texts) => texts.map((text) => ({ kind: "=", text }));
  const script = [...equal(a.slice(0, start)), ...middle, ...equal(a.slice(a.length - end))];
  return numbered(script);
}

function numbered(script) {
  let [left, right] = [0, 0];
  return script.map(({ kind, text }) => ({
    kind,
    text,
    left: kind === "+" ? null : (left += 1),
    right: kind === "-" ? null : (right += 1),
  }));
}

function edits(a, b) {
  const trace = furthest(a, b);
  if (!trace) return [...mark("-", a), ...mark("+", b)];
  return walkedBack(trace, a, b);
}

const mark = (kind, texts) => texts.map((text) => ({ kind, text }));

/** How far each diagonal gets with 0, 1, 2 … edits; null where that takes too many. */
function furthest(a, b) {
  const trace = [];
  let reach = new Map([[1, 0]]);
  for (let d = 0; d <= Math.min(MOST_EDITS, a.length + b.length); d += 1) {
    trace.push(reach);
    const next = new Map(reach);
    for (let k = -d; k <= d; k += 2) {
      let x = goesDown(reach, k, d) ? reach.get(k + 1) : reach.get(k - 1) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x += 1;
      next.set(k, x);
      if (x >= a.length && x - k >= b.length) return trace;
    }
    reach = next;
  }
  return null;
}

const goesDown = (reach, k, d) =>
  k === -d || (k !== d && reach.get(k - 1) < reach.get(k + 1));

function walkedBack(trace, a, b) {
  const script = [];
  let [x, y] = [a.length, b.length];
  for (let d = trace.length - 1; d >= 0; d -= 1) {
    const reach = trace[d];
    const down = goesDown(reach, x - y, d);
    const k = down ? x - y + 1 : x - y - 1;
    const [fromX, fromY] = [reach.get(k), reach.get(k) - k];
    const [midX, midY] = d === 0 ? [0, 0] : down ? [fromX, fromY + 1] : [fromX + 1, fromY];
    for (; x > midX && y > midY; x -= 1, y -= 1) script.push({ kind: "=", text: a[x - 1] });
    if (d > 0) script.push(down ? { kind: "+", text: b[fromY] } : { kind: "-", text: a[fromX] });
    if (d > 0) [x, y] = [fromX, fromY];
  }
  return script.reverse();
}

/** The script with long equal stretches folded: `around` lines stay on each side of a change. */
export function folded(script, around = 3) {
  const near = script.map((_, at) => script.slice(Math.max(0, at - around), at + around + 1)
    .some(({ kind }) => kind !== "="));
  const found = [];
  script.forEach((line, at) => {
    if (near[at]) found.push(line);
    else if (found.at(-1)?.kind === "…") found.at(-1).lines += 1;
    else found.push({ kind: "…", lines: 1 });
  });
  return found;
}

/**
 * The lines side by side: what went beside what came in its place.
 * @returns {{left?: object, right?: object, isChanged?: boolean, fold?: number}[]} fold: so many equal lines
 */
export function paired(script) {
  const rows = [];
  let [gone, come] = [[], []];
  const flush = () => {
    for (let at = 0; at < Math.max(gone.length, come.length); at += 1) rows.push({ left: gone[at], right: come[at], isChanged: true });
    [gone, come] = [[], []];
  };
  for (const line of script) {
    if (line.kind === "-") gone.push(line);
    else if (line.kind === "+") come.push(line);
    else { flush(); rows.push(line.kind === "…" ? { fold: line.lines } : { left: line, right: line }); }
  }
  flush();
  return rows;
}
