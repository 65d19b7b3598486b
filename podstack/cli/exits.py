"""How a command ends: one line to stderr instead of a traceback, and a code for scripts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from podstack.errors import (
    BackendError,
    DamagedError,
    MissingExtraError,
    NotFoundError,
    PodstackError,
    UsageError,
)
from podstack.names import printable

FINE, PROBLEM, USAGE, NO_STORE, BUG, INTERRUPTED, NO_READER = 0, 1, 2, 3, 70, 130, 141


class NoStoreError(PodstackError):
    """There is no store where one was asked for, or it does not answer."""


_CODES: list[tuple[type[Exception], int]] = [  # the first that fits
    (DamagedError, PROBLEM),
    (UsageError, USAGE),
    (NotFoundError, USAGE),
    (MissingExtraError, USAGE),
    (BackendError, NO_STORE),
    (NoStoreError, NO_STORE),
    (PodstackError, USAGE),
    (OSError, USAGE),
]


def complain(text: str) -> None:
    """The one line, harmless whatever names it holds; what an error draws below itself stays."""
    lines = [printable(line) for line in text.splitlines() or [""]]
    print("\n".join(["podstack: " + lines[0], *lines[1:]]), file=sys.stderr)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn what a command raises into its end."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _leave_stdout()
        raise typer.Exit(NO_READER) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except tuple(kind for kind, _ in _CODES) as error:
        complain(_said(error))
        raise typer.Exit(_code(error)) from None


def _code(error: Exception) -> int:
    code = next(code for kind, code in _CODES if isinstance(error, kind))
    is_of_no_store = isinstance(error, BackendError) and not error.url  # a file of the caller's
    return USAGE if code == NO_STORE and is_of_no_store else code


def _said(error: Exception) -> str:
    if isinstance(error, PodstackError) or not isinstance(error, OSError):
        return str(error)
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


def _leave_stdout() -> None:
    """Nobody reads any more: what is still buffered goes nowhere, also at interpreter exit."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # stdout is no file of this process
        return
