"""The pictures of a sweep, drawn with matplotlib: imported by `plots.py` when one is asked for.

Every picture is complete at any time: of no trial, of one, of values that are not finite, which
are counted at the edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.ticker import LogLocator, MaxNLocator

from podstack.directions import MINIMIZE
from podstack.figure import GREY, PLAIN, Picture, label_of, nothing, plain
from podstack.names import COMPLETED, FAILED, KILLED
from podstack.sweeps.canvas import (
    BEST,
    DENSE,
    LOST,
    MOST_LABELS,
    TRIAL,
    colormap_of,
    colour_bar,
    from_unit,
    is_wide,
    note_hidden,
    parameter_axis,
    place_of,
    places_of,
    size_of,
    span_of,
    unit_of,
    value_axis,
    value_colours,
    why_not,
)
from podstack.sweeps.importance import Importance
from podstack.sweeps.outlook import Entry
from podstack.sweeps.outlook import history as history_of
from podstack.sweeps.plots import Scene, is_drawable
from podstack.sweeps.records import Objective, TrialRecord
from podstack.sweeps.scales import Scale

_GRID = 80  # cells of a contour each way
_BARS = 30
_NOT_THERE = -0.09  # where a line goes that has no value of a parameter


# History and importance ----------------------------------------------------------------------


def history(scene: Scene) -> Picture:
    """The value of each trial, the best so far as a line, and at the edges what has no value."""
    entries = sorted(history_of(scene.definition.objective, scene.records))
    if not entries:
        return nothing("No trial is completed yet.")
    made = Picture()
    axes = made.subplots()
    plain(axes)
    known = [one for one in entries if is_drawable(one.value)]
    _points(axes, scene, known)
    _best_line(axes, scene)
    value_axis(axes.yaxis, axes.set_yscale, [one.value for one in known])
    _edges(axes, scene)
    axes.set_xlabel("trial")
    axes.set_ylabel(label_of(scene.definition.objective.metric), **PLAIN)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(0, max(2, *(one.number for one in scene.records)) + 1)
    if not known:
        axes.set_yticks([])
    axes.legend(fontsize="small", frameon=False, ncols=5, loc="lower left", bbox_to_anchor=(0, 1))
    return made


def _points(axes: Any, scene: Scene, known: Sequence[Entry]) -> None:
    pruned = {one.number for one in scene.records if one.pruned}
    for is_pruned, name, colour in ((False, "trial", TRIAL), (True, "pruned", "none")):
        chosen = [one for one in known if (one.number in pruned) is is_pruned]
        if chosen:
            axes.scatter(
                [one.number for one in chosen],
                [one.value for one in chosen],
                s=size_of(len(known)),
                c=colour,
                edgecolors=TRIAL,
                linewidths=0.7,
                label=name,
                alpha=0.75,
            )


def _best_line(axes: Any, scene: Scene) -> None:
    objective, best, steps = scene.definition.objective, None, []
    for one in sorted(scene.drawn, key=lambda one: one.number):
        if best is None or objective.is_better(one.value or 0.0, best):
            best = one.value
        steps.append((one.number, best))
    if not steps:
        return
    steps.append((max(one.number for one in scene.records), best))
    axes.step(*zip(*steps, strict=True), where="post", color=BEST, lw=1.6, label="best so far")


def _edges(axes: Any, scene: Scene) -> None:
    """Marks above for values that are not finite, below for trials that ended without one."""
    odd = [
        one.number
        for one in scene.records
        if one.status == COMPLETED and one.value is not None and not is_drawable(one.value)
    ]
    lost = [one.number for one in scene.records if one.status in (FAILED, KILLED)]
    for numbers, height, marker, name in (
        (odd, 0.985, "v", "not finite"),
        (lost, 0.015, "x", "failed or killed"),
    ):
        if numbers:
            axes.plot(
                numbers,
                [height] * len(numbers),
                marker,
                color=LOST,
                ms=5,
                label=f"{len(numbers):,} {name}",
                transform=axes.get_xaxis_transform(),
                clip_on=False,
            )


def importance(found: Importance) -> Picture:
    """A bar for each parameter, the largest on top; what never varied is named with it."""
    if found.reason is not None:
        return nothing(found.reason)
    names = list(found)[:_BARS]
    made = Picture(7.0, 1.2 + 0.32 * len(names))
    axes = made.subplots()
    places = range(len(names))
    bars = axes.barh(places, [found[name] for name in names], color=TRIAL, height=0.65)
    told = [found.unvaried.get(name) or f"{found[name]:.3f}" for name in names]
    axes.bar_label(bars, told, padding=4, fontsize="small")
    axes.set_yticks(places, list(map(label_of, names)), **PLAIN)
    axes.invert_yaxis()
    axes.set_xlim(0, max(0.05, 1.18 * max(found.values())))
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    few = ", low confidence" if found.low_confidence else ""
    hidden = f", {len(found) - _BARS} more" if len(found) > _BARS else ""
    axes.set_xlabel(
        f"importance for {label_of(found.metric)} ({found.evaluator}, {found.trials:,} trials{few}"
        f"{hidden})",
        **PLAIN,
    )
    return made


# Over parameters -----------------------------------------------------------------------------


def slices(scene: Scene) -> Picture:
    """The value over each parameter, later trials darker; the best is a star."""
    trials = scene.drawn
    if not trials or not scene.scales:
        return nothing(why_not(scene))
    rows = -(-len(scene.scales) // 4)
    columns = -(-len(scene.scales) // rows)
    made = Picture(max(4.0, 2.9 * columns + 0.8), 2.7 * rows + 0.4)
    grid = made.subplots(rows, columns, sharey=True, squeeze=False)
    order = Normalize(1, max(2, max(one.number for one in trials)))
    best = scene.definition.objective.best_trial(trials)
    for axes, scale in zip(grid.flat, scene.scales, strict=False):
        plain(axes)
        points = [(p, t) for t in trials if (p := place_of(scale, t.params)) is not None]
        xs, ys = [p for p, _ in points], [t.value for _, t in points]
        colours = [t.number for _, t in points]
        size = size_of(len(points))
        axes.scatter(xs, ys, size, c=colours, cmap="viridis_r", norm=order, alpha=0.8, linewidths=0)
        for place, one in points:
            if one is not best:
                continue
            axes.plot([place], [one.value], "*", color=BEST, ms=11, mec="white", mew=0.6)
        parameter_axis(axes.xaxis, axes.set_xscale, scale)
    value_axis(grid[0, 0].yaxis, grid[0, 0].set_yscale, [one.value for one in trials])
    for axes in grid[:, 0]:
        axes.set_ylabel(label_of(scene.definition.objective.metric), **PLAIN)
    for axes in grid.flat[len(scene.scales) :]:
        axes.set_axis_off()
    colour_bar(made, list(grid.flat), order, "viridis_r", "trial", whole=True)
    note_hidden(made, scene)
    return made


def contour(scene: Scene) -> Picture:
    """The value over two parameters: trials as points, and between them a smoothed surface.

    The surface is a kernel regression over the trials (Nadaraya 1964, Watson 1964) with Scott's
    bandwidth (1992) in the coordinates of the picture: what is far from every trial is left blank.
    """
    if len(scene.scales) < 2:
        return nothing(why_not(scene))
    across, up = scene.scales[:2]
    places = [(place_of(across, t.params), place_of(up, t.params), t) for t in scene.drawn]
    found = [(x, y, t) for x, y, t in places if x is not None and y is not None]
    if not found:
        return nothing("No completed trial has both parameters.")
    made = Picture(6.6, 4.8)
    axes = made.subplots()
    xs, ys, values = (
        np.array(each, float) for each in zip(*((x, y, t.value) for x, y, t in found), strict=True)
    )
    colours, colormap = value_colours(values), colormap_of(scene.definition.objective)
    spans = [span_of(scale, places) for scale, places in ((across, xs), (up, ys))]
    _surface(axes, (across, up), spans, (xs, ys, values), colours, colormap)
    axes.scatter(
        xs, ys, 1.3 * size_of(len(xs)), c=values, norm=colours, cmap=colormap, edgecolors="black",
        linewidths=0.5,
    )  # fmt: skip
    best = scene.definition.objective.best_trial(t for _, _, t in found)
    for x, y, trial in found:
        if trial is best:
            axes.plot([x], [y], "*", color=BEST, ms=14, mec="white", mew=0.8)
    parameter_axis(axes.xaxis, axes.set_xscale, across)
    parameter_axis(axes.yaxis, axes.set_yscale, up)
    axes.set_xlim(spans[0])
    axes.set_ylim(spans[1])
    colour_bar(made, [axes], colours, colormap, scene.definition.objective.metric)
    return made


def _surface(
    axes: Any,
    scales: tuple[Scale, Scale],
    spans: Sequence[tuple[float, float]],
    points: tuple[Any, Any, Any],
    colours: Any,
    colormap: str,
) -> None:
    xs, ys, values = points
    if len(values) < 4:
        return
    ticks = np.linspace(0.0, 1.0, _GRID)
    unit = [
        unit_of(scale, span, places)
        for scale, span, places in zip(scales, spans, (xs, ys), strict=True)
    ]
    wide = is_wide(values)
    heights, near = smoothed(unit[0], unit[1], np.log(values) if wide else values, ticks)
    heights = np.exp(heights) if wide else heights
    shown = np.ma.masked_where(near < 0.05, heights)
    edges = [from_unit(scale, span, ticks) for scale, span in zip(scales, spans, strict=True)]
    axes.pcolormesh(
        *edges, shown, norm=colours, cmap=colormap, alpha=0.75, shading="nearest", rasterized=True
    )


def smoothed(xs: Any, ys: Any, values: Any, ticks: Any) -> tuple[Any, Any]:
    """Kernel regression on a grid, and how near the closest trial is: 1 at a trial, 0 far away.

    Args:
        xs, ys: float64, shape (n,), 0 to 1.
        values: float64, shape (n,), finite.
        ticks: float64, shape (m,): the grid's coordinates each way.

    Returns:
        Two arrays of shape (m, m), rows along y.
    """
    width = max(0.03, 0.3 * len(values) ** (-1 / 6))
    along = np.exp(-(((ticks[:, None] - xs[None, :]) / width) ** 2) / 2)  # (m, n)
    above = np.exp(-(((ticks[:, None] - ys[None, :]) / width) ** 2) / 2)
    weight = above @ along.T
    middle = values.mean()  # keeps the sums small
    heights = (above * (values - middle)) @ along.T / np.maximum(weight, 1e-300) + middle
    return heights, np.max(above[:, None, :] * along[None, :, :], axis=2)


def parallel(scene: Scene) -> Picture:
    """A line per trial through its parameters to its value; below, what a trial does not have."""
    if not scene.drawn or not scene.scales:
        return nothing(why_not(scene))
    objective = scene.definition.objective
    trials = _worst_first(scene.drawn, objective)
    values = np.array([one.value for one in trials], float)
    value_scale = Scale(objective.metric, is_wide(values))
    scales = [*scene.scales, value_scale]
    spans = [span_of(scale, places_of(scale, trials)) for scale in scene.scales]
    spans.append(span_of(value_scale, values))
    heights = [_heights(one, scene.scales, spans) for one in trials]
    table = np.column_stack([np.array(heights), unit_of(value_scale, spans[-1], values)])
    made = Picture(max(5.0, 1.5 * len(scales) + 1.0), 4.2)
    axes = made.subplots()
    colours, colormap = value_colours(values), colormap_of(objective)
    across = np.arange(len(scales), dtype=float)
    lines = LineCollection(
        [np.column_stack([across, row]) for row in table],
        cmap=colormap,
        norm=colours,
        linewidths=0.8 if len(trials) > DENSE else 1.4,
        alpha=0.4 if len(trials) > DENSE else 0.7,
    )
    lines.set_array(values)
    axes.add_collection(lines)
    axes.plot(across, table[-1], color=BEST, lw=2.4, marker="*", ms=9, label="best")
    for x, scale, span in zip(across, scales, spans, strict=True):
        _upright(axes, x, scale, span)
    _frame_of_parallel(axes, scales, lacking=bool((table == _NOT_THERE).any()))
    colour_bar(made, [axes], colours, colormap, objective.metric)
    note_hidden(made, scene)
    return made


def _worst_first(trials: Sequence[TrialRecord], objective: Objective) -> list[TrialRecord]:
    """So that the good ones are drawn last, on top."""
    down = objective.direction == MINIMIZE
    return sorted(trials, key=lambda one: (one.value or 0.0, -one.number), reverse=down)


def _heights(
    trial: TrialRecord, scales: Sequence[Scale], spans: Sequence[tuple[float, float]]
) -> list[float]:
    """Where a trial's line crosses each axis: 0 to 1, or below."""
    places = [place_of(scale, trial.params) for scale in scales]
    return [
        _NOT_THERE if place is None else float(unit_of(scale, span, np.array([place]))[0])
        for scale, span, place in zip(scales, spans, places, strict=False)
    ]


def _frame_of_parallel(axes: Any, scales: Sequence[Scale], *, lacking: bool) -> None:
    axes.set_xlim(-0.35, len(scales) - 0.4)
    axes.set_ylim(_NOT_THERE - 0.03 if lacking else -0.04, 1.04)
    axes.set_yticks([_NOT_THERE] if lacking else [], ["not there"] if lacking else [])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    names = [label_of(scale.name, 20) for scale in scales]
    tilt = {"rotation": 25, "ha": "right"} if max(map(len, names)) > 12 else {}
    axes.set_xticks(range(len(scales)), names, **tilt, **PLAIN)
    axes.legend(fontsize="small", frameon=False, loc="lower left", bbox_to_anchor=(0, 1))


def _upright(axes: Any, x: float, scale: Scale, span: tuple[float, float]) -> None:
    """One axis of the parallel coordinates, with its own ticks."""
    axes.plot([x, x], [0, 1], color=GREY, lw=0.8, zorder=3)
    for place, text in _ticks(scale, span):
        height = float(unit_of(scale, span, np.array([place]))[0])
        axes.text(
            x + 0.03, height, text, fontsize=7, va="center", zorder=4,
            bbox={"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.65},
            color="#222222", **PLAIN,
        )  # fmt: skip


def _ticks(scale: Scale, span: tuple[float, float]) -> list[tuple[float, str]]:
    if scale.labels:
        every = -(-len(scale.labels) // MOST_LABELS)
        return [(float(i), label_of(t, 14)) for i, t in enumerate(scale.labels)][::every]
    locator = LogLocator(numticks=6) if scale.is_log else MaxNLocator(5)
    low, high = span
    inside = [float(v) for v in locator.tick_values(low, high) if low <= v <= high]
    return [(value, f"{value:.3g}") for value in (inside if len(inside) > 1 else [low, high])]
