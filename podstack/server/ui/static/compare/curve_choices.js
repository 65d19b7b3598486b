/** What curves lie over, and what a band shows: choices of the workspace and of Compare. */

import { select } from "./parts.js";

const AXES = [["step", "Step"], ["relative", "Time since start"], ["wall", "Wall time"]];

/** What curves lie over: steps, times, or another metric. */
export const axisSelect = (metrics, value, onChange) =>
  select("X", [...AXES, ...metrics.map((name) => [name, name])], value, onChange);

/** What the band around the line of a group shows. */
export const bandSelect = (value, onChange) =>
  select("Band", [["minmax", "Min–max"], ["std", "± 1 std"], ["half", "Median, middle half"]], value, onChange);
