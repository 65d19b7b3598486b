"""Pictures of a sweep: which there are, and what they show. `pictures.py` draws them.

matplotlib draws, where the extra `plot` is installed, and nothing of it is loaded before: a figure
is a picture inside the notebook, with no script, nothing from elsewhere, and no browser to open a
`.png` or `.svg` of it. No global state of matplotlib's is touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from podstack.errors import MissingExtraError, UsageError, WrongTypeError
from podstack.names import short
from podstack.sweeps.definition import Definition
from podstack.sweeps.records import TrialRecord
from podstack.sweeps.scales import Scale, scale_of, varied

if TYPE_CHECKING:
    from podstack.sweeps.sweep import Sweep

KINDS = ("history", "importance", "slice", "contour", "parallel")
MOST = 12  # parameters in one picture
_LARGEST = 1e300  # beyond, the span of an axis is no float64


class Scene(NamedTuple):
    """What a picture shows.

    scales: of the parameters, in the order in which they are drawn.
    hidden: how many parameters found no room.
    """

    definition: Definition
    records: Sequence[TrialRecord]
    scales: Sequence[Scale] = ()
    hidden: int = 0

    @property
    def drawn(self) -> list[TrialRecord]:
        """The completed trials with a value that an axis can show."""
        return [one for one in self.records if one.counts and is_drawable(one.value)]


def is_drawable(value: float | None) -> bool:
    return value is not None and isfinite(value) and abs(value) < _LARGEST


def plot(sweep: Sweep, kind: str, params: Sequence[str] | None = None) -> Any:
    """A matplotlib figure of a sweep as it is now.

    Args:
        kind: `history` (value of each trial and the best so far), `importance`, `slice` (value
            over each parameter), `contour` (value over two) or `parallel` (a line per trial).
        params: names of the parameters for slice, contour and parallel. Default: those that were
            tried with several values, at most 12; for contour the two that matter most.

    Raises:
        UsageError: there is no such kind or parameter; contour takes two.
        MissingExtraError: matplotlib is not installed; for importance, or Optuna is not.
    """
    return figure(sweep.definition, sweep.records(), kind, params)


def figure(
    definition: Definition,
    records: Iterable[TrialRecord],
    kind: str,
    params: Sequence[str] | None = None,
) -> Any:
    """The same from records."""
    if kind not in KINDS:
        raise UsageError(f"A sweep is plotted as {', '.join(KINDS)}, not {short(kind)}.")
    chosen = None if params is None else _checked(definition, kind, params)
    pictures = _pictures()
    scene = Scene(definition, list(records))
    if kind == "importance":
        from podstack.sweeps.importance import importance

        return pictures.importance(importance(definition, scene.records))
    if kind == "history":
        return pictures.history(scene)
    names = _telling(scene) if chosen is None else list(chosen)
    if kind == "contour" and chosen is None:
        names = _most_important(scene, names)
    draw = {"slice": pictures.slices, "contour": pictures.contour, "parallel": pictures.parallel}
    return draw[kind](_with(scene, names))


def _with(scene: Scene, names: Sequence[str]) -> Scene:
    distributions = scene.definition.space.distributions
    scales = [
        scale_of(
            name,
            distributions[name],
            (one.params[name] for one in scene.drawn if name in one.params),
        )
        for name in names[:MOST]
    ]
    return scene._replace(scales=scales, hidden=max(0, len(names) - MOST))


def _telling(scene: Scene) -> list[str]:
    reasons = varied(scene.definition.space.distributions, scene.drawn)
    return [name for name in scene.definition.space.names if not reasons[name]]


def _most_important(scene: Scene, names: Sequence[str]) -> list[str]:
    """The two that matter most; without Optuna, the first two."""
    if len(names) <= 2:
        return list(names)
    from podstack.sweeps.importance import importance

    try:
        found = importance(scene.definition, scene.records)
    except MissingExtraError:
        return list(names[:2])
    return sorted(names, key=lambda name: -found[name])[:2]


def _checked(definition: Definition, kind: str, params: object) -> list[str]:
    if kind not in ("slice", "contour", "parallel"):
        raise UsageError(f"params are for slice, contour and parallel; {kind} takes none.")
    if isinstance(params, str) or not isinstance(params, (list, tuple)) or not params:
        raise WrongTypeError(
            f"params is a list of names such as ['lr', 'depth'], not {short(params)}."
        )
    for name in params:
        if name not in definition.space.names:
            known = ", ".join(definition.space.names[:MOST])
            raise UsageError(f"The sweep has no parameter {short(name)}; it has {known}.")
    if kind == "contour" and len(set(params)) != 2:
        raise UsageError(f"contour shows two parameters, not {len(set(params))}.")
    return list(dict.fromkeys(params))


def _pictures() -> Any:
    try:
        from podstack.sweeps import pictures  # loads matplotlib
    except ModuleNotFoundError as cause:
        raise MissingExtraError.for_(cause, extra="plot", also=("matplotlib", "numpy")) from cause
    return pictures
