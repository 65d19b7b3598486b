"""The curves of runs, drawn with matplotlib: imported by `plotted.py` when a figure is asked for.

An axis for each metric. A line is the mean of each bucket, or that smoothed over a ghost of it, and
behind it the range from the lowest to the highest value: a spike of one step stays visible.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from podstack.clock import local_zone
from podstack.curves import Look
from podstack.figure import GREY, PLAIN, Picture, label_of, nothing, plain
from podstack.plotted import Line, Plot

_BAND = 0.16
_GHOST = {"linewidth": 0.8, "alpha": 0.35}
_WORDS = {"step": "step", "relative": "time since its start", "wall": "time"}
_LONGEST = 40  # characters of a name in the legend
_ACROSS = 3  # axes beside one another


def picture(plot: Plot) -> Picture:
    """A figure of all its metrics; where there is none, it says so."""
    if not plot.metrics:
        return nothing("No metric was logged yet.")
    count = len(plot.metrics)
    across = 1 if count == 1 else min(count, _ACROSS if count > 4 else 2)
    down = ceil(count / across)
    made = Picture(7.0 if across == 1 else 4.3 * across, 4.0 if count == 1 else 2.8 * down)
    grid = list(made.subplots(down, across, squeeze=False).flat)
    for axes, (name, lines) in zip(grid, plot.metrics.items(), strict=False):
        _chart(axes, name, lines, plot.axis)
    for axes in grid[count:]:
        axes.remove()
    _legend(made, [one for lines in plot.metrics.values() for one in lines])
    if plot.notes:
        made.supxlabel(" · ".join(plot.notes), fontsize="small", color=GREY)
    return made


def _chart(axes: Any, name: str, lines: Sequence[Line], axis: str) -> None:
    for one in lines:
        _draw(axes, one, _places(one.x, axis))
    span = _span(lines)
    if span is not None:
        axes.set_ylim(*span)
    plain(axes)
    axes.set_title(label_of(name, _LONGEST), fontsize="medium", loc="left", **PLAIN)
    _x_axis(axes, axis)
    odd = sum(one.odd for one in lines)
    if odd:
        text = f"{odd:,} NaN or infinite"
        axes.text(1, 1.01, text, transform=axes.transAxes, ha="right", fontsize="small", color=GREY)


def _draw(axes: Any, one: Line, places: Any) -> None:
    style: dict[str, Any] = {"color": one.look.colour, "linestyle": _dash(one.look)}
    axes.fill_between(places, one.low, one.high, color=one.look.colour, alpha=_BAND, linewidth=0)
    if one.line is not one.mean:
        axes.plot(places, one.mean, **style, **_GHOST)
    is_point = sum(np.isfinite(one.line)) == 1
    axes.plot(places, one.line, linewidth=1.6, marker="o" if is_point else "", **style)


def _dash(look: Look) -> Any:
    """Solid, or on and off in widths of the line."""
    return (0, tuple(float(part) / 1.5 for part in look.dash.split())) if look.dash else "-"


def _places(x: Sequence[float], axis: str) -> Any:
    """Epoch seconds as times; steps and seconds as they are."""
    places = np.asarray(x, float)
    return (places * 1e6).astype("datetime64[us]") if axis == "wall" else places


def _x_axis(axes: Any, axis: str) -> None:
    axes.set_xlabel(_WORDS[axis])
    if axis == "wall":
        locator = AutoDateLocator(tz=local_zone())
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=local_zone()))
    elif axis == "relative":
        axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: _duration(seconds)))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def _duration(seconds: float) -> str:
    """`0.5s`, `40s`, `3m`, `1h 20m`: short enough for an axis."""
    if seconds < 60:
        return f"{seconds:.3g}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s" if rest else f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m" if minutes else f"{hours}h"


def _span(lines: Iterable[Line]) -> tuple[float, float] | None:
    """As on the pages: all of the lines, and of the bands all but the outer hundredths."""
    drawn = [one.line for one in lines]
    bands = [column for one in lines for column in (one.low, one.high)]
    inner = np.sort(_finite(bands))
    cut = ceil(len(inner) / 100)
    known = np.concatenate([_finite(drawn), inner[cut : len(inner) - cut]])
    if not len(known):
        return None
    low, high = float(known.min()), float(known.max())
    room = 0.05 * (high - low) if high > low else 0.05 * abs(low) or 1.0
    return (low - room, high + room) if np.isfinite(room) else None


def _finite(columns: Iterable[Sequence[float]]) -> Any:
    joined = np.concatenate([np.asarray(column, float) for column in columns])
    return joined[np.isfinite(joined)]


def _legend(made: Picture, lines: Iterable[Line]) -> None:
    """Each run once. A label that begins with `_` would be left out."""
    found = {(one.label, one.look): one for one in lines}.values()
    marks = [Line2D([], [], color=one.look.colour, linestyle=_dash(one.look)) for one in found]
    labels = [label_of(one.label, _LONGEST) for one in found]
    shown = [f"\u200b{label}" if label.startswith("_") else label for label in labels]
    legend = made.legend(
        marks, shown, loc="outside upper left", frameon=False, fontsize="small", ncols=3
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
        text.set_usetex(False)
