"""For whoever writes an integration: what the SDK's own calls do not offer.

An integration translates. It gets its run through `podstack.integrations.recording.Recording`, or
takes one from its caller, and needs besides only what stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podstack.client import MLOpsClient
from podstack.config import (
    Defaults,
    Settings,
    capture,
    defaults,
    hand_down,
    handed_down,
    take_back,
)
from podstack.console import say
from podstack.endings import endings, verdict_of
from podstack.errors import UsageError
from podstack.names import check_name, experiment_id, new_run_id
from podstack.run import Run, attached_run
from podstack.scalars import scalar
from podstack.sweeps.sweep import Sweep
from podstack.sweeps.trial import Trial

__all__ = [
    "Defaults",
    "Settings",
    "Sweep",
    "Trial",
    "attached",
    "captured",
    "client_of",
    "defaults",
    "experiment_id",
    "hand_down",
    "handed_down",
    "is_a_folder_here",
    "leave_sigterm",
    "new_run_id",
    "numbers_in",
    "say",
    "settings_of",
    "take_back",
    "verdict_of",
]

_DEEPEST = 32

leave_sigterm = endings.leave_sigterm


def settings_of(what: MLOpsClient | Sweep) -> Settings:
    """What opens its store in another process, token and all. A folder is absolute."""
    return what._ledger.settings if isinstance(what, Sweep) else what._store.portable_settings


def client_of(settings: Settings) -> MLOpsClient:
    """A client as these settings say."""
    return MLOpsClient(
        settings.uri,
        api_token=settings.api_token,
        project=settings.project,
        mode=settings.mode,
        storage_options=dict(settings.storage_options),
    )


def is_a_folder_here(client: MLOpsClient) -> bool:
    """Whether the store is a folder on a disk of this machine, which no other machine sees."""
    store = client._store
    return store.delivery is None and not store.disabled


def attached(client: MLOpsClient, run_id: str) -> Run:
    """A run to log into beside the process that started it, and that ends it.

    One for each process, however often it is asked for. The run need not have begun yet.
    """
    return attached_run(client._store, run_id)


def captured(*parts: str) -> tuple[str, ...]:
    """Those of `parts` that the environment does not turn off, for `start_run(capture=...)`."""
    return tuple(part for part in parts if part in capture(None))


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
