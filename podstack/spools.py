"""What waits on this machine to be sent, and sending it: the spools of processes that are gone.

    <spool folder>/<12 hex digits>/uri          the URL of the store that it is meant for
    <spool folder>/<12 hex digits>/offline/     a store: what was recorded with mode="offline"
    <spool folder>/<12 hex digits>/<writer>/    a store: what one process has not sent yet

A process holds a lock on `.lock` in its folder for as long as it lives, and sends what is in it.
One whose lock is free belongs to nobody: it is taken, sent, compared with the store, and only then
removed. `offline/` has no lock, for several processes write there: it is sent and kept.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from podstack import config, keys, locks, names
from podstack.backend import Backend, LocalStore, open_backend
from podstack.differences import Comparison, Item, is_plain_key, unit_of
from podstack.errors import BlobMissing
from podstack.names import RUNNING
from podstack.packed import plain_length
from podstack.reader import OpLogs
from podstack.sync import Progress, SyncReport, sync
from podstack.transfer import is_log, read_log
from podstack.witnesses import Witnesses

OFFLINE = "offline"
LOCK = ".lock"
_GONE = ".gone-"


class WaitingSpool(NamedTuple):
    """One folder that waits. owned: a process records into it, and sends what is there itself."""

    uri: str
    folder: Path
    bytes: int
    owned: bool

    @property
    def is_offline(self) -> bool:
        return self.folder.name == OFFLINE


class Sent(NamedTuple):
    """What became of one: what was copied, and whether its folder is gone."""

    spool: WaitingSpool
    report: SyncReport
    removed: bool


def waiting(uri: str | None = None) -> list[WaitingSpool]:
    """Everything that waits, or what waits for one store. Empty folders are left out."""
    found = []
    for home in _folders(config.spool_folder()):
        meant_for = _meant_for(home)
        if meant_for and uri in (None, meant_for):
            found += [_waiting(meant_for, folder) for folder in _folders(home)]
    return [spool for spool in found if spool.bytes]


def send(
    spool: WaitingSpool,
    target: Backend,
    *,
    dry_run: bool = False,
    clean: bool = False,
    progress: Callable[[Progress], None] | None = None,
    patience: float = 60.0,
    in_flight: int = 8,
) -> Sent | None:
    """Send what waits in a spool; None where a process owns it by now.

    Args:
        clean: remove from `offline/` the runs that have ended and are wholly in the target.
        patience: seconds without any answer after which the target is given up.
        in_flight: objects that are copied at once.

    Raises:
        BackendError: the target refuses or does not answer.
    """
    with _owning(spool) as owned:
        if not owned:
            return None
        source = _store(spool.folder)
        report = sync(
            source,
            target,
            dry_run=dry_run,
            progress=progress,
            patience=patience,
            in_flight=in_flight,
        )
        if dry_run or not report.is_complete:
            return Sent(spool, report, removed=False)
        if spool.is_offline:
            removed = clean and _clean(source, target)
            return Sent(spool, report, removed=removed)
        removed = _has_all(source, target)
        if removed:
            _discard(spool.folder)
        return Sent(spool, report, removed=removed)


def tidy(home: Path) -> None:
    """Remove the folders of dead processes in which nothing waits."""
    for folder in _folders(home):
        if folder.name == OFFLINE or not (folder / LOCK).exists():
            continue
        with _owning(WaitingSpool("", folder, 0, owned=False)) as owned:
            if owned and not any(not _is_of_the_spool(i.key) for i in _store(folder).list()):
                _discard(folder)
    for folder in home.glob(f"{_GONE}*"):  # of a process that was killed meanwhile
        shutil.rmtree(folder, ignore_errors=True)


def _discard(folder: Path) -> None:
    """Remove a spool that this process owns, under a name that nobody looks into.

    Else somebody who comes when its lock is gone and its files are not makes it a new lock.
    """
    gone = folder.with_name(_GONE + folder.name)
    folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _waiting(uri: str, folder: Path) -> WaitingSpool:
    sizes = [info.size for info in _store(folder).list() if not _is_of_the_spool(info.key)]
    owned = folder.name != OFFLINE and locks.is_taken(folder / LOCK)
    return WaitingSpool(uri, folder, sum(sizes), owned)


def _is_of_the_spool(key: str) -> bool:
    return key.startswith(".") or key == keys.STORE


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            found = [
                Path(entry.path)
                for entry in entries
                if entry.is_dir(follow_symlinks=False) and names.is_id(entry.name)
            ]
    except OSError:
        return []
    return sorted(found)


def _meant_for(home: Path) -> str:
    try:
        return (home / "uri").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _store(folder: Path) -> LocalStore:
    store = open_backend(str(folder))
    assert isinstance(store, LocalStore), "a bare path is served by a folder"
    return store


# Locks --------------------------------------------------------------------------------------


@contextmanager
def _owning(spool: WaitingSpool) -> Iterator[bool]:
    """Hold the lock of a spool, if it is free; that of `offline/` always is."""
    if spool.is_offline:
        yield True
        return
    descriptor = locks.opened(spool.folder / LOCK)
    if descriptor is None:
        yield False
        return
    try:
        yield locks.take(descriptor) and (spool.folder / LOCK).exists()
    finally:
        os.close(descriptor)  # which frees it


# What the store has -------------------------------------------------------------------------


def _has_all(source: Backend, target: Backend, prefix: str = "") -> bool:
    """Whether a listing of the target shows all that the source has, but for torn lines."""
    comparison = Comparison(source, target, Witnesses())  # asks, and trusts no memory
    buried = _tombs(source) | _tombs(target)
    here = [
        info
        for info in source.list(prefix)
        if (unit := unit_of(info.key)) is not None
        and is_plain_key(info.key)
        and (unit.project, unit.run) not in buried
    ]
    there = list(target.list(prefix))
    try:
        return all(_is_torn(source, target, item) for item in comparison.lacking(here, there))
    except BlobMissing:
        return False


def _is_torn(source: Backend, target: Backend, item: Item) -> bool:
    """Whether all that an object lacks in the target is a line that was never finished."""
    if not is_log(item.info.key):
        return False
    length = len(read_log(source, item.info.key))
    return length <= (plain_length(target, item.there) if item.there else 0)


def _tombs(store: Backend) -> set[tuple[str, str]]:
    found = set()
    for name in filter(names.is_id, store.list_dirs("projects/")):
        prefix = keys.Project(name).tombs
        runs = (info.key[len(prefix) :].removesuffix(".json") for info in store.list(prefix))
        found |= {(name, run) for run in runs}
    return found


def _clean(source: LocalStore, target: Backend) -> bool:
    """Remove the runs that have ended and are wholly in the target; whether there were any."""
    removed = False
    for name in filter(names.is_id, source.list_dirs("projects/")):
        project = keys.Project(name)
        for run in filter(names.is_id, source.list_dirs(project.runs)):
            if _has_ended(source, project, run):
                removed |= _remove(source, target, project, run)
    return removed


def _remove(source: LocalStore, target: Backend, project: keys.Project, run: str) -> bool:
    """Remove what was there before the comparison and has not changed since."""
    hints = [i for i in source.list(project.live_of(run)) if project.hinted(i.key)[0] == run]
    before = [*hints, *source.list(project.run(run))]
    if not _has_all(source, target, project.run(run)):
        return False
    now = {info.key: info.tag for info in source.list(project.run(run))}
    for info in before:
        if now.get(info.key, info.tag) == info.tag:
            source.delete(info.key)
    return True


def _has_ended(source: Backend, project: keys.Project, run: str) -> bool:
    fold = OpLogs(source, project.meta(run)).fold()
    return fold.get("status") not in (None, RUNNING)
