"""Files of a training, such as checkpoints, of which a run keeps what is there when it is asked."""

from __future__ import annotations

import logging
import os
from typing import Any

from podstack.errors import UsageError
from podstack.extending import defaults
from podstack.integrations.recording import Recording

_WORDS = {  # as the environment says it, and as other trackers do
    **dict.fromkeys(("all", "checkpoint"), "all"),
    **dict.fromkeys(("true", "1", "end"), True),
    **dict.fromkeys(("false", "0", "none"), False),
}


def which_to_keep(log_model: Any) -> bool | str:
    """`log_model` as an integration was given it, else as PODSTACK_LOG_MODEL says.

    Raises:
        UsageError: it is neither True, False nor "all".
    """
    if log_model is None:
        log_model = defaults().log_model or False
    if isinstance(log_model, str):
        log_model = _WORDS.get(log_model.lower(), log_model)
    if log_model in (True, False, "all"):
        return log_model  # type: ignore[no-any-return]
    raise UsageError(f"log_model is True, False or 'all', not {log_model!r}.")


class KeptFiles:
    """Paths that were heard of, and which of their contents the run has.

    Pickles. A path that is gone, or that is none of this machine, is passed over without a word:
    a framework that keeps the best three removes the others.
    """

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}  # path: the folder of artifacts that it goes into
        self._has: dict[str, tuple[int, int]] = {}  # path: the time and size of what was kept

    def hear_of(self, path: str, folder: str) -> None:
        self._folders.setdefault(path, folder)

    def pass_over(self, path: str) -> None:
        """What is there now is not of this training; what comes to be there under its name is."""
        stat = os.stat(path)
        self._has[path] = (stat.st_mtime_ns, stat.st_size)

    def keep(self, recording: Recording) -> None:
        """Copy what is new or has changed. A folder is kept with all that is in it."""
        for path, folder in self._folders.items():
            try:
                stat = os.stat(path)
                if self._has.get(path) != (stat.st_mtime_ns, stat.st_size):
                    _copy(path, folder, recording)
                    self._has[path] = (stat.st_mtime_ns, stat.st_size)
            except OSError:
                continue
            except UsageError as error:
                logging.getLogger("podstack").warning("a checkpoint is not kept: %s", error)


def _copy(path: str, folder: str, recording: Recording) -> None:
    if os.path.isdir(path):
        recording.run.log_artifacts(path, f"{folder}/{os.path.basename(path)}")
    else:
        recording.run.log_artifact(path, folder)
