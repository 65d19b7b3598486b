"""Ray's trials in our words: why one failed, why it was stopped, its checkpoint. Not for users."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from podstack.extending import numbers_in
from podstack.integrations.recording import Recording

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_FAILURE = re.compile(r"^Failure # \d+ \(occurred at .*\)$", re.MULTILINE)


def error_of(trial: Any) -> str:
    """The traceback of its last failure, from the file that Ray keeps on the driver."""
    try:
        with open(trial.error_file or "", encoding="utf-8", errors="replace") as file:
            text = _COLOURS.sub("", file.read())
    except OSError:
        return "the trial failed"
    return _FAILURE.split(text)[-1].strip()


def meets_criterion(trial: Any, result: Mapping[str, Any]) -> bool:
    """Whether a result meets `RunConfig(stop={...})`: such a trial ended as it was to end."""
    flat = numbers_in(result)[0]
    return any(
        name in flat and flat[name] >= bound for name, bound in trial.stopping_criterion.items()
    )


def keep_checkpoint(checkpoint: Any, recording: Recording) -> None:
    """Copy it into the run's artifacts, wherever it is: `checkpoints/checkpoint_000003/…`.

    Raises:
        OSError, UsageError: it is gone, as where Ray keeps the best only, or cannot be read.
    """
    name = os.path.basename(str(checkpoint.path).rstrip("/"))
    with checkpoint.as_directory() as folder:
        recording.run.log_artifacts(folder, f"checkpoints/{name}")
