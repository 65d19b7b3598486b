"""For whoever writes an integration: what the SDK's own calls do not offer.

An integration translates. It gets its run through `podstack.integrations.recording.Recording`, or
takes one from its caller, and needs besides only what stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podstack.config import Defaults, defaults, hand_down, handed_down, take_back
from podstack.endings import endings, verdict_of
from podstack.errors import UsageError
from podstack.names import check_name, experiment_id, new_run_id
from podstack.scalars import scalar

__all__ = [
    "Defaults",
    "defaults",
    "experiment_id",
    "hand_down",
    "handed_down",
    "leave_sigterm",
    "new_run_id",
    "numbers_in",
    "take_back",
    "verdict_of",
]

_DEEPEST = 32

leave_sigterm = endings.leave_sigterm


def numbers_in(values: Mapping[Any, Any]) -> tuple[dict[str, float], list[str]]:
    """The part of `values` that `log_metrics` takes, flattened with `/`, and the names of the rest.

    A framework's own logs hold texts, lists and None beside numbers; those are no mistake of the
    user's, and cost only themselves. `values` is not changed.
    """
    numbers: dict[str, float] = {}
    skipped: list[str] = []
    _sort(values, "", numbers, skipped, _DEEPEST)
    return numbers, skipped


def _sort(
    values: Mapping[Any, Any], prefix: str, numbers: dict[str, float], skipped: list[str], left: int
) -> None:
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and left:
            _sort(value, f"{name}/", numbers, skipped, left - 1)
            continue
        try:
            numbers[check_name("metric", name)] = scalar(name, value)
        except UsageError:
            skipped.append(name)
