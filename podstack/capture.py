"""Recording a run's surroundings: its code, packages and machine, what it prints, how it fares.

Nothing here raises into training or is waited for, but for two seconds at most at a script's end.
Only the process that starts or resumes a run does this, not one that it forks.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from podstack import config
from podstack.forks import none_meanwhile
from podstack.journal import Journal
from podstack.keeper import keeper

if TYPE_CHECKING:
    from podstack.run import Run


def begin(run: Run, parts: frozenset[str]) -> None:
    """Start to record those parts of the surroundings; the work is the background's."""
    journal = run._journal
    if journal is None:
        return
    if parts & {"code", "packages", "host"}:
        keeper.submit(_described(run, journal, parts, start()))
    if "system" in parts:
        from podstack.system import sampler

        sampler.opened(journal, lambda: run.created, run._store.folder.url)
        run._captors.append(sampler)
    if "console" in parts:
        from podstack.output import recorder

        recorder.opened(journal)
        run._captors.append(recorder)


def _described(run: Run, journal: Journal, parts: frozenset[str], start: Start) -> Iterator[None]:
    """A job: what it needs is imported here, for that takes some milliseconds."""
    try:
        with none_meanwhile():
            from podstack import gathering
    except (OSError, ImportError):  # no descriptor is left to load it with
        return
    yield from gathering.recorded(run, journal, parts, start)


class Start(NamedTuple):
    """What may change while a script runs, taken at the moment that a run starts."""

    arguments: tuple[str, ...]
    folder: str | None
    script: str | None
    notebook: str | None


def start() -> Start:
    """The command as it was typed, and where. Costs microseconds."""
    try:
        folder = os.getcwd()
    except OSError:  # it was deleted
        folder = None
    main = sys.modules.get("__main__")
    script = getattr(main, "__file__", None)
    notebook = config.notebook() or getattr(main, "__vsc_ipynb_file__", None)
    return Start(
        arguments=tuple(_arguments()),
        folder=folder,
        script=os.path.join(folder or "", script) if isinstance(script, str) else None,
        notebook=notebook if isinstance(notebook, str) else None,
    )


def _arguments() -> list[str]:
    """With `-m` and `-c`, which sys.argv lacks; of a process of multiprocessing, its parent's."""
    whole = sys.orig_argv
    is_helper = any(argument.startswith("from multiprocessing.") for argument in whole[:8])
    return [sys.executable, *sys.argv] if is_helper else whole
