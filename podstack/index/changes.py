"""Which runs of a project may have changed since this process last looked, found cheaply.

Three signs are followed: `live/`, in which every writer leaves a hint at its start, while it
records and at its end, and every edit one of its own; folders of runs that came or went; and the
runs that are running, which are looked at directly. A store whose folders tell their own changes is
asked for those as well when a reader starts, so that it sees what came without a hint. What all of
these miss, the listing of every object finds, once an hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import orjson

from podstack import clock
from podstack.backend import BlobInfo, LocalFolder, StampedFolders
from podstack.clock import monotonic, now
from podstack.errors import BackendError
from podstack.names import RUNNING, is_id
from podstack.store import Store

LISTING_EVERY = 3600.0  # seconds between two listings of every object
HINTS_LAST = 7200.0  # seconds that the hint of an ended writer stays: longer than a listing is due
FOLDERS_EVERY = 30.0  # seconds between two listings of the runs of a store elsewhere

_UNSETTLED = (RUNNING, "")  # looked at each time: statuses that end, and what is no run yet

Listing = tuple[list[BlobInfo], list[BlobInfo]]  # a run's objects of facts and of points


class Watched(NamedTuple):
    """A run as this process last saw it: its stored status, and the stamp of its folder."""

    word: str
    folder: str


class Changes(NamedTuple):
    """look: runs to look at, with their objects where those were listed. gone: runs to forget.

    runs: how many there are in all.
    """

    look: dict[str, Listing | None]
    gone: set[str]
    hints: dict[str, str]
    listed: bool
    runs: int


class ChangeFinder:
    """Follows one project. What it found counts only once `done` was told of it."""

    def __init__(
        self, store: Store, known: dict[str, Watched], hints: dict[str, str], listed: float
    ) -> None:
        self._store, self._known, self._hints = store, known, hints
        self._watched = {run for run, seen in known.items() if seen.word in _UNSETTLED}
        self._folders = store.backend if isinstance(store.backend, StampedFolders) else None
        self._is_here = isinstance(store.backend, LocalFolder)
        since = now() - listed
        self._listing_due = monotonic() + (
            LISTING_EVERY - since if 0 <= since < LISTING_EVERY else 0
        )
        self._names_due = 0.0
        self._started = False
        self._is_settled = False  # whether all runs that were listed are known, and no others
        self._stamps: dict[str, str] = {}
        self._runs: set[str] = set()
        self._alive: set[str] = set()
        self._tombs: set[str] = set()
        self._buried: set[str] = set()  # tombs that were heeded
        self._hints_now: dict[str, str] = {}

    def find(self, *, full: bool) -> Changes:
        """What has to be looked at.

        Args:
            full: list every object of every run.
        """
        full = full or monotonic() >= self._listing_due
        stamps, keys = self._folder_stamps(), self._store.keys
        runs, tombs = self._runs, self._tombs
        unchanged = set() if full or not self._started else self._unchanged(stamps)
        if keys.live not in unchanged:
            self._hints_now = {info.key: info.tag for info in self._store.backend.list(keys.live)}
        if keys.tombs not in unchanged:
            self._tombs = self._store.reader.purged()
        hinted = set(self._hinted())
        listings = self._list(full, keys.runs in unchanged, hinted)
        self._stamps = stamps  # only now: had a listing failed, it would have to be made again
        if runs is not self._runs or tombs != self._tombs:
            self._is_settled = False
            self._alive = self._runs - self._tombs
        look = set(self._alive) if full else self._suspects(hinted)
        return Changes(
            {run: listings.get(run) for run in sorted(look)},
            self._gone(),
            self._hints_now,
            full,
            len(self._alive),
        )

    def folder_of(self, run: str) -> str:
        """The stamp of a run's folder as it was at the last look."""
        return self._known[run].folder if run in self._known else ""

    def unknown(self, runs: Iterable[str]) -> int:
        """How many of the runs were never looked at."""
        return sum(run not in self._known for run in runs)

    def saw(self, run: str, seen: Watched) -> None:
        """A run has been looked at."""
        self._known[run] = seen
        if seen.word in _UNSETTLED:
            self._watched.add(run)
        else:
            self._watched.discard(run)

    def done(self, changes: Changes) -> None:
        """All that was found has been looked at."""
        for run in changes.gone:
            self._known.pop(run, None)
            self._watched.discard(run)
        self._is_settled = True
        self._buried = self._tombs
        self._hints = changes.hints
        self._started = True
        if changes.listed:
            self._listing_due = monotonic() + LISTING_EVERY

    def hint_changes(self, changes: Changes) -> tuple[list[str], list[tuple[str, str]]]:
        """Hints that are gone, and (key, tag) of those that are new."""
        before, after = self._hints, changes.hints
        if before is after:
            return [], []
        return (
            [key for key in before if key not in after],
            [(key, tag) for key, tag in after.items() if before.get(key) != tag],
        )

    def stamps(self, runs: Sequence[str]) -> Sequence[str]:
        """The stamps of the runs' folders of facts, to be taken before a look."""
        if self._folders is None:
            return [""] * len(runs)
        return self._folders.folder_stamps(self._store.keys.meta(run).rstrip("/") for run in runs)

    def _folder_stamps(self) -> dict[str, str]:
        """Of the folders that are listed at each refresh; to be taken before they are."""
        if self._folders is None:
            return {}
        keys = self._store.keys
        folders = [keys.live, keys.tombs, keys.runs]
        stamps = self._folders.folder_stamps(folder.rstrip("/") for folder in folders)
        return dict(zip(folders, stamps, strict=True))

    def _unchanged(self, stamps: dict[str, str]) -> set[str]:
        return {f for f, stamp in stamps.items() if stamp and stamp == self._stamps.get(f)}

    def _gone(self) -> set[str]:
        if self._is_settled:
            return set()
        return (self._known.keys() | (self._tombs - self._buried)) - self._alive

    def _hinted(self) -> Iterator[str]:
        """The runs whose hints are new or changed."""
        for key, tag in self._hints_now.items():
            if self._hints.get(key) != tag:
                yield self._store.keys.hinted(key)[0]

    def _list(self, full: bool, unchanged: bool, hinted: set[str]) -> dict[str, Listing]:
        """Bring the set of runs up to date; the objects of each, where one listing gives all."""
        keys, backend = self._store.keys, self._store.backend
        listings: dict[str, Listing] = {}
        if self._folders is not None:
            if not unchanged:
                self._runs = set(filter(is_id, self._folders.folder_names(keys.runs)))
        elif full:
            listings = _listings(backend.list(keys.runs), keys.runs)
            self._runs = set(listings)
        elif self._is_here or monotonic() >= self._names_due:
            self._runs = set(filter(is_id, backend.list_dirs(keys.runs)))
            self._names_due = monotonic() + FOLDERS_EVERY
        if self._folders is None and not hinted <= self._runs:
            self._runs = self._runs | set(filter(is_id, hinted))
        return listings

    def _suspects(self, hinted: set[str]) -> set[str]:
        known, alive = self._known.keys(), self._alive
        touched = set() if self._started else self._touched(sorted(alive & known))
        new = set() if self._is_settled else alive - known
        return new | (alive & (hinted | self._watched | touched))

    def _touched(self, runs: list[str]) -> set[str]:
        """Runs whose folder of facts is not known to be as it was."""
        if self._folders is None:
            return set()
        stamps = self.stamps(runs)
        return {
            run
            for run, stamp in zip(runs, stamps, strict=True)
            if not stamp or stamp != self._known[run].folder
        }

    def sweep(self) -> None:
        """Delete hints of writers that ended long ago. What cannot be deleted stays."""
        oldest = clock.utc_digits(now() - HINTS_LAST)
        for key in list(self._hints_now):
            _, writer = self._store.keys.hinted(key)
            if writer < oldest and self._ended_long_ago(key):
                try:
                    self._store.backend.delete(key)
                except BackendError:
                    return  # no right to, perhaps
                del self._hints_now[key]

    def _ended_long_ago(self, key: str) -> bool:
        try:
            hint = orjson.loads(self._store.backend.get(key))
            return bool(hint["ended"] is True and now() - float(hint["t"]) > HINTS_LAST)
        except (BackendError, ValueError, KeyError, TypeError):
            return False


def _listings(objects: Iterator[BlobInfo], prefix: str) -> dict[str, Listing]:
    found: dict[str, Listing] = {}
    for info in objects:
        run, _, rest = info.key[len(prefix) :].partition("/")
        if is_id(run):
            meta, metrics = found.setdefault(run, ([], []))
            if rest.startswith("meta/"):
                meta.append(info)
            elif rest.startswith("metrics/"):
                metrics.append(info)
    return found
