"""What `podstack doctor` looks at: this installation, and the store as seen from here."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from podstack import clock, config
from podstack.backend import LocalStore
from podstack.cli.paper import Paper
from podstack.cli.session import Session
from podstack.console import readable_bytes
from podstack.errors import PodstackError
from podstack.store import Store

OK, WARNING, BAD = "ok", "warning", "bad"

_LITTLE = 1_000_000_000  # bytes of free space that one is warned of
_SKEW = 2.0  # seconds between this clock and the filesystem's
_EXTRAS = {  # what each extra brings
    "numpy": ("numpy",),
    "cli": ("typer", "rich"),
    "notify": ("apprise",),
    "system": ("psutil", "nvidia-ml-py"),
    "parquet": ("pyarrow",),
}
_SECRET = ("PODSTACK_API_TOKEN", "PODSTACK_NOTIFY")


class Sign(NamedTuple):
    """One thing that was looked at: ok, warning or bad; what it is; what to do."""

    state: str
    what: str
    is_so: str
    advice: str = ""


def examine(session: Session) -> list[Sign]:
    """Everything; what cannot be looked at is a sign itself."""
    store = session.unchecked_client._store
    signs = list(_installation())
    for look in (_settings, _store, _projects, _rights, _space, _index, _spool):
        try:
            signs += look(session, store)
        except (PodstackError, OSError) as error:
            signs.append(Sign(BAD, look.__name__.strip("_"), str(error)))
    return signs


def is_ill(signs: list[Sign]) -> bool:
    return any(sign.state == BAD for sign in signs)


def draw(paper: Paper, signs: list[Sign]) -> None:
    width = max(len(sign.what) for sign in signs)
    styles = {OK: "", WARNING: "yellow", BAD: "bold red"}
    marks = {OK: " ", WARNING: "!", BAD: "✗"}
    for sign in signs:
        paper.line(f"{marks[sign.state]} {sign.what:<{width}}  {sign.is_so}", styles[sign.state])
        if sign.advice:
            paper.line(f"  {'':<{width}}  → {sign.advice}")


# This installation -----------------------------------------------------------------------------


def _installation() -> Iterator[Sign]:
    from podstack import __version__

    yield Sign(OK, "podstack", f"{__version__} in {Path(__file__).parents[1]}")
    yield Sign(OK, "python", f"{platform.python_version()} {sys.executable}")
    yield Sign(OK, "platform", platform.platform())
    for extra, packages in _EXTRAS.items():
        versions = {package: _version(package) for package in packages}
        known = ", ".join(
            f"{package} {version or 'not installed'}" for package, version in versions.items()
        )
        advice = (
            "" if all(versions.values()) else f"pip install 'podstack[{extra}]', if you want it"
        )
        yield Sign(OK, f"extra {extra}", known, advice)


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _settings(session: Session, store: Store) -> Iterator[Sign]:
    from podstack.secrets import without_user

    for name, value in config.given().items():
        shown = "(set, not shown)" if name in _SECRET else without_user(value)
        yield Sign(OK, name, shown)
    yield Sign(OK, "user", config.user())


# The store -------------------------------------------------------------------------------------


def _store(session: Session, store: Store) -> Iterator[Sign]:
    there = store.is_there()
    if there:
        yield Sign(OK, "store", store.url)
    elif session.projects():
        yield Sign(WARNING, "store", f"{store.url} has no podstack.json", "Fine for a copied part.")
    else:
        advice = "Name one with --store or PODSTACK_URI, or log a run to make it."
        yield Sign(BAD, "store", f"there is none at {store.url}", advice)


def _projects(session: Session, store: Store) -> Iterator[Sign]:
    known = session.projects()
    if known:
        yield Sign(OK, "projects", ", ".join(known))
    if known and store.settings.project not in known:
        advice = "Name one with --project or PODSTACK_PROJECT."
        yield Sign(WARNING, "project", f"{store.settings.project} has nothing yet", advice)


def _rights(session: Session, store: Store) -> Iterator[Sign]:
    """Tried where a store is there, with a file that no reader looks at and that goes at once."""
    folder = _folder_of(store)
    if folder is None:
        yield Sign(OK, "rights", "not tried: the store is no folder of this machine")
    elif not folder.is_dir():
        near = next(parent for parent in folder.parents if parent.exists())
        can = os.access(near, os.W_OK)
        yield Sign(OK if can else BAD, "rights", f"{near} can {'' if can else 'not '}be written")
    else:
        yield from _tried(folder)


def _tried(folder: Path) -> Iterator[Sign]:
    probe = folder / f".podstack-{os.urandom(8).hex()}.tmp"
    before = clock.now()
    try:
        probe.write_bytes(b"podstack doctor\n")
        written = probe.stat().st_mtime
    except OSError as error:
        advice = "Runs cannot be logged here by this user; reading works."
        yield Sign(BAD, "rights", f"{folder}: {error.strerror}", advice)
        return
    finally:
        probe.unlink(missing_ok=True)
    yield Sign(OK, "rights", "can be read and written")
    skew = written - (before + clock.now()) / 2
    advice = "" if abs(skew) < _SKEW else "Set this machine's clock, or the file server's."
    yield Sign(WARNING if advice else OK, "clock", f"{abs(skew):.1f} s from the store's", advice)


def _space(session: Session, store: Store) -> Iterator[Sign]:
    folder = _folder_of(store)
    if folder is None:
        return
    near = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(near).free
    advice = "" if free >= _LITTLE else "Runs wait in memory when the disk is full: make room."
    yield Sign(WARNING if advice else OK, "free space", readable_bytes(free), advice)


def _folder_of(store: Store) -> Path | None:
    return Path(store.url) if isinstance(store.backend, LocalStore) else None


# What lies in the cache folder -----------------------------------------------------------------


def _index(session: Session, store: Store) -> Iterator[Sign]:
    from podstack.index import file as index_file  # sqlite3: 10 ms

    path = index_file.existing(store.url)
    if path is None:
        yield Sign(OK, "index", "none yet; the first question makes it")
        return
    facts = path.stat()
    when = clock.readable(facts.st_mtime)
    yield Sign(OK, "index", f"{path}, {readable_bytes(facts.st_size)}, last changed {when}")


def _spool(session: Session, store: Store) -> Iterator[Sign]:
    """What was logged and is not yet where it belongs."""
    from podstack import spools  # 20 ms

    for spool in spools.waiting():
        so_far = f"{readable_bytes(spool.bytes)} wait for {spool.uri} in {spool.folder}"
        if spool.owned:
            yield Sign(OK, "spool", f"{so_far}; a running process sends them")
        else:
            yield Sign(WARNING, "spool", so_far, "Send it: podstack sync")
