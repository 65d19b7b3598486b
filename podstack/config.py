"""Settings from the environment, read here and nowhere else.

PODSTACK_URI        where the store is: a folder, or a URL a backend serves   (./podstack-store)
PODSTACK_API_TOKEN  the token for a podstack server
PODSTACK_PROJECT    the project inside the store                              (default)
PODSTACK_MODE       online, offline or disabled                               (online)
PODSTACK_USER       who runs this                                             (the system's user)
PODSTACK_SPOOL      where runs wait that cannot be sent yet                   (the cache folder)
PODSTACK_CACHE      where readers keep their indexes                          (the cache folder)
PODSTACK_CAPTURE    what a run records of its surroundings: 1, 0, or a list   (1: everything)
PODSTACK_QUIET      1: say nothing at start and finish; warnings still show
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from podstack.errors import UsageError
from podstack.names import check_id, short

DEFAULT_STORE = "./podstack-store"
MODES = ("online", "offline", "disabled")


class Settings(NamedTuple):
    """What a client needs to know before it touches a store."""

    uri: str
    project: str
    mode: str
    api_token: str | None = None

    def __repr__(self) -> str:  # a token is never shown
        return f"Settings(uri={self.uri!r}, project={self.project!r}, mode={self.mode!r})"


def settings(
    uri: str | os.PathLike[str] | None, api_token: str | None, project: str | None, mode: str | None
) -> Settings:
    """What was passed, else the environment, else the default.

    Raises:
        UsageError: the mode or the project's name is not one.
    """
    mode = mode or os.environ.get("PODSTACK_MODE") or "online"
    if mode not in MODES:
        raise UsageError(f"mode is one of {', '.join(MODES)}, not {short(mode)}.")
    project = project or os.environ.get("PODSTACK_PROJECT") or "default"
    return Settings(
        uri=os.fspath(uri or os.environ.get("PODSTACK_URI") or DEFAULT_STORE),
        project=check_id("project", project),
        mode=mode,
        api_token=api_token or os.environ.get("PODSTACK_API_TOKEN"),
    )


def user() -> str:
    """Who runs this: PODSTACK_USER, else the system's user."""
    name = os.environ.get("PODSTACK_USER")
    if name:
        return name
    import getpass  # 3 ms

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run as a number that has no name
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


def spool_folder() -> Path:
    """Where runs wait that cannot be written to their store directly."""
    named = os.environ.get("PODSTACK_SPOOL")
    return Path(named) if named else cache_folder() / "spool"


def quiet() -> bool:
    """Whether the lines at start and finish are unwanted."""
    return os.environ.get("PODSTACK_QUIET", "") not in ("", "0")


def cache_folder() -> Path:
    """Where readers keep what they can build again: PODSTACK_CACHE, else the user's cache."""
    named = os.environ.get("PODSTACK_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "podstack"
