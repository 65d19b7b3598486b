"""Telling a project's targets what fired: in the background, and each firing once.

Alerts are evaluated where a run logs; a firing reaches the server as a fact in the run's op log.
With each op log that is put through this server, its run is looked at, behind the answer: whatever
fired and was not claimed yet (claims.py) is claimed and sent to every target. What was written to
the store past every server is seen when a log of the same run next comes through one. Nothing is
told that fired before the target was made, or more than a day ago: neither a copy of old runs nor
a server that starts again repeats history.

Retries are the mailboxes' (alerts/notices.py): three tries with pauses of 1 and 4 s, at most 1000
notices waiting for each target. A firing whose server dies before it was sent is not sent.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import orjson

from podstack import clock, names
from podstack.backend import Backend
from podstack.console import Warner, warn
from podstack.errors import PodstackError
from podstack.keys import Project
from podstack.oplog import Fold
from podstack.reader import OpLogs
from podstack.server.claims import Claims
from podstack.server.targets import Target, Targets

if TYPE_CHECKING:
    from podstack.alerts import Firing
    from podstack.alerts.notices import Mailbox
    from podstack.alerts.receivers import Notice

OLDEST = 86_400.0  # seconds after which a firing is no news
MOST = 1000  # firings of a run that are told at once: whoever may write a log may write millions
AT_EXIT = 5.0  # seconds that the end of the server waits for receivers

_WAITING = 10_000  # runs that are to be looked at; beyond, the oldest are left to their next log
_AT_ONCE = 256  # runs whose firings are claimed together
_RUNS = 128  # runs whose logs are kept read
_TOLD = 100_000  # firings that are known to need nothing more
_SKEW = 60.0  # seconds that a run's clock may be behind the server's when a target is made
_TRIES = 3  # for a store that does not answer
_PAUSE = 2.0
_META = re.compile(r"runs/([^/]+)/meta/[^/]+\.jsonl(?:\.gz)?")


class Place(NamedTuple):
    """A run of a project."""

    project: str
    run: str


class News(NamedTuple):
    """A firing that was perhaps not told yet."""

    claim: str
    notice: Notice


class Herald:
    """One thread, which begins with the first log, and a mailbox for each target."""

    def __init__(self, backend: Backend, targets: Targets) -> None:
        self._backend, self._targets = backend, targets
        self._claims = Claims(backend)
        self._warner = Warner()
        self._waiting: OrderedDict[Place, int] = OrderedDict()  # with the tries so far
        self._changed = threading.Condition()
        self._is_ending = False
        self._thread: threading.Thread | None = None
        # From here on the thread's own
        self._logs: OrderedDict[Place, OpLogs] = OrderedDict()
        self._told: OrderedDict[str, None] = OrderedDict()
        self._known: dict[str, frozenset[Target]] = {}  # at the last look, by project
        self._boxes: dict[Target, Mailbox] = {}

    def heard(self, project: str, key: str) -> None:
        """An object of a project was put. Never waits for the store, and never raises."""
        shape = _META.fullmatch(key)
        if shape is not None:
            self._look_at(Place(project, shape[1]), 0)

    def close(self) -> None:
        """Finish what was heard of, for 5 s at most."""
        deadline = clock.monotonic() + AT_EXIT
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(AT_EXIT)
        boxes = list(self._boxes.values())
        for box in boxes:
            box.hurry()
        if not all(box.wait(deadline) for box in boxes):
            warn(f"some notices of alerts were not taken within {AT_EXIT:.0f} s")

    def _look_at(self, place: Place, tries: int) -> None:
        with self._changed:
            self._waiting.setdefault(place, tries)
            while len(self._waiting) > _WAITING:
                self._waiting.popitem(last=False)
            self._start()
            self._changed.notify()

    def _start(self) -> None:
        if self._thread is not None:
            return
        thread = threading.Thread(target=self._work, name="podstack-herald", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads: the next log tries again
            self._warner.warn(f"no thread for the notices of alerts ({error})")
            return
        self._thread = thread

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._is_ending:
                        return
                    self._changed.wait()
                some = min(len(self._waiting), _AT_ONCE)
                batch = [self._waiting.popitem(last=False) for _ in range(some)]
            self._tell(batch)

    def _tell(self, batch: Sequence[tuple[Place, int]]) -> None:
        """Tell of some runs; those whose store does not answer are tried again."""
        found: list[News] = []
        failed: list[tuple[Place, int]] = []
        for place, tries in batch:
            try:
                found += self._news_of(place)
            except PodstackError as error:
                self._warner.warn(f"alerts of run {place.run} cannot be told: {error}")
                failed.append((place, tries))
            except Exception as error:  # noqa: BLE001  # a thread's outermost frame: told
                self._warner.warn(f"alerts of run {place.run}: {type(error).__name__}")
        try:
            self._claim_and_send(found)
        except PodstackError as error:
            self._warner.warn(f"alerts cannot be told: {error}")
            failed = list(batch)
        except Exception as error:  # noqa: BLE001  # a thread's outermost frame: told
            self._warner.warn(f"alerts cannot be told: {type(error).__name__}")
        if failed:
            self._try_again(failed)

    def _try_again(self, failed: Sequence[tuple[Place, int]]) -> None:
        with self._changed:
            self._changed.wait(0 if self._is_ending else _PAUSE)
        for place, tries in failed:
            if tries + 1 < _TRIES:
                self._look_at(place, tries + 1)

    def _claim_and_send(self, found: Sequence[News]) -> None:
        won = self._claims.won([news.claim for news in found]) if found else set()
        told = [news.notice for news in found if news.claim in won]
        targets = {project: self._targets_of(project) for project in {n.url for n in told}}
        for notice in told:
            self._send(notice, targets[notice.url])
        self._remember(news.claim for news in found)

    # Looking at one run ----------------------------------------------------------------------

    def _news_of(self, place: Place) -> list[News]:
        """What may have to be told of a run."""
        targets = self._targets_of(place.project)
        if not targets:
            return []
        since = max(clock.now() - OLDEST, min(target.created for target in targets) - _SKEW)
        every = news_of(self._read(place), place)
        fresh = [n for n in every if n.notice.time >= since and n.claim not in self._told]
        if len(fresh) > MOST:
            self._warner.warn(f"{len(fresh) - MOST} alerts of run {place.run} are not told")
            self._remember(news.claim for news in fresh[MOST:])
        return fresh[:MOST]

    def _targets_of(self, project: str) -> list[Target]:
        found = list(self._targets.all(project))
        for gone in self._known.get(project, frozenset()) - frozenset(found):
            self._boxes.pop(gone, None)
        self._known[project] = frozenset(found)
        return found

    def _read(self, place: Place) -> Fold:
        logs = self._logs.pop(place, None) or OpLogs(
            self._backend, Project(place.project).meta(place.run)
        )
        self._logs[place] = logs
        while len(self._logs) > _RUNS:
            self._logs.popitem(last=False)
        return logs.fold()

    def _send(self, notice: Notice, targets: Sequence[Target]) -> None:
        for target in targets:
            if notice.time >= target.created - _SKEW:
                box = self._box(target)
                if box is not None:
                    box.put(notice)

    def _box(self, target: Target) -> Mailbox | None:
        from podstack.alerts.notices import Mailbox  # here and below: no page needs alerts

        try:
            if target not in self._boxes:
                self._boxes[target] = Mailbox(self._targets.receiver(target))
        except PodstackError as error:  # of another server's settings, or without apprise
            self._warner.warn(f"{target.name} is passed over: {error}")
            return None
        return self._boxes[target]

    def _remember(self, claims: Iterable[str]) -> None:
        self._told.update(dict.fromkeys(claims))
        while len(self._told) > _TOLD:
            self._told.popitem(last=False)


def news_of(fold: Fold, place: Place) -> Iterator[News]:
    """All firings of a run's alerts, oldest first."""
    from podstack import alerts

    fired = alerts.fired_of(fold)
    found = [
        News(_claim(place, id, n, fact), _notice(firing, alert.message, fold, place))
        for id, alert in alerts.stored(fold).items()
        for n, fact in fired.get(id, ())
        for firing in alerts.shown(alert, [(n, fact)]).fired
    ]
    return iter(sorted(found, key=lambda news: news.notice.time))


def _claim(place: Place, id: str, n: str, fact: object) -> str:
    """What a firing is claimed by: its key without the claimant."""
    whole = orjson.dumps([id, n, fact], option=orjson.OPT_SORT_KEYS)
    name = hashlib.sha256(whole).hexdigest()[:32]
    return f"server/projects/{place.project}/notices/{place.run}/{name}"


def _notice(firing: Firing, message: str, fold: Fold, place: Place) -> Notice:
    """A firing as its receivers get it; a server's notices name the project as their url."""
    from podstack.alerts.receivers import Notice

    return Notice(
        run_id=place.run,
        run_name=str(fold.get("name") or names.name_of_run(place.run)),
        experiment=str(fold.get("experiment", "")),
        condition=firing.condition,
        message=message,
        metric=firing.metric,
        value=firing.value,
        step=firing.step,
        time=firing.time,
        url=place.project,
    )
