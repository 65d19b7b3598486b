"""What the pictures of a sweep share: its axes, labels and colours, on a figure of `figure.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import MaxNLocator

from podstack.directions import MINIMIZE
from podstack.figure import GREY, PLAIN, Picture, label_of
from podstack.sweeps.plots import Scene
from podstack.sweeps.records import JsonValue, Objective, TrialRecord
from podstack.sweeps.scales import Scale

TRIAL, BEST, LOST = "#3355ee", "#bb2288", "#776600"
MOST_LABELS = 12  # of a list of values on an axis
_SPREAD = 1_000.0  # largest over smallest value: from there on the axis is logarithmic
DENSE = 150  # trials from which on points and lines are thinner


# Axes and colours ----------------------------------------------------------------------------


def place_of(scale: Scale, params: Mapping[str, JsonValue]) -> float | None:
    return scale.place(params[scale.name]) if scale.name in params else None


def places_of(scale: Scale, trials: Sequence[TrialRecord]) -> Any:
    return np.array([p for one in trials if (p := place_of(scale, one.params)) is not None], float)


def span_of(scale: Scale, places: Any) -> tuple[float, float]:
    """The ends of an axis: all places, with some room around them."""
    if scale.labels:
        return -0.3, len(scale.labels) - 0.7
    if not len(places):
        return 1.0, 10.0
    low, high = float(places.min()), float(places.max())
    if scale.is_log:
        room = max(1.05, (high / low) ** 0.04)
        return low / room, high * room
    room = 0.04 * (high - low) or 0.05 * abs(low) or 1.0
    return low - room, high + room


def unit_of(scale: Scale, span: tuple[float, float], places: Any) -> Any:
    low, high = span
    if scale.is_log:
        low, high, places = np.log(low), np.log(high), np.log(places)
    return (places - low) / (high - low)


def from_unit(scale: Scale, span: tuple[float, float], units: Any) -> Any:
    low, high = span
    if scale.is_log:
        return np.exp(np.log(low) + units * (np.log(high) - np.log(low)))
    return low + units * (high - low)


def parameter_axis(axis: Any, set_scale: Any, scale: Scale) -> None:
    axis.set_label_text(label_of(scale.name), **PLAIN)
    if scale.labels:
        every = -(-len(scale.labels) // MOST_LABELS)
        places = list(range(0, len(scale.labels), every))
        texts = [label_of(scale.labels[place], 16) for place in places]
        tilted = axis.axis_name == "x" and sum(map(len, texts)) > 18
        tilt = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if tilted else {}
        axis.set_ticks(places, texts, fontsize="small", **tilt, **PLAIN)
        axis.set_view_interval(-0.5, len(scale.labels) - 0.5, ignore=False)
    elif scale.is_log:
        set_scale("log")


def is_wide(values: Any) -> bool:
    known = np.asarray(values, float)
    return bool(len(known) and known.min() > 0 and known.max() > _SPREAD * known.min())


def value_axis(axis: Any, set_scale: Any, values: Sequence[Any]) -> None:
    if is_wide(values):
        set_scale("log")


def value_colours(values: Any) -> Any:
    """From the 2nd to the 98th percentile, so that one outlier does not take all colours."""
    ends = (2, 98) if len(values) > 20 else (0, 100)
    low, high = (float(each) for each in np.percentile(values, ends))
    kind = LogNorm if is_wide(values) else Normalize
    return kind(low, high if high > low else low + (abs(low) * 0.01 or 1.0), clip=True)


def colormap_of(objective: Objective) -> str:
    """The better, the darker."""
    return "viridis" if objective.direction == MINIMIZE else "viridis_r"


def colour_bar(
    made: Picture, axes: list[Any], norm: Any, colormap: str, label: str, *, whole: bool = False
) -> None:
    """
    Args:
        whole: only whole numbers are marked.
    """
    ticks = MaxNLocator(integer=True) if whole else None
    bar = made.colorbar(ScalarMappable(norm, colormap), ax=axes, pad=0.015, aspect=30, ticks=ticks)
    bar.set_label(label_of(label), **PLAIN)
    bar.outline.set_visible(False)


def note_hidden(made: Picture, scene: Scene) -> None:
    if scene.hidden:
        text = f"{scene.hidden} more parameters: plot(…, params=[…])"
        made.supxlabel(text, fontsize="small", color=GREY)


def why_not(scene: Scene) -> str:
    if not scene.drawn:
        return "No trial is completed with a finite value yet."
    few = "Fewer than two parameters were" if scene.scales else "No parameter was"
    return f"{few} tried with more than one value."


def size_of(count: int) -> float:
    """Of a point, in square points."""
    return 28.0 if count <= DENSE else 12.0
