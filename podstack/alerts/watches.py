"""The alerts of a run while it is recorded: looked at with every call of `log_metrics`.

A firing is a fact of the run before the log call returns, so kill -9 keeps it; notices leave in
the background. Nothing that goes wrong here reaches training. `dry_run` takes the same way over
what was logged before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from operator import itemgetter
from types import NoneType
from typing import Any, NamedTuple

from podstack import alerts, names, points
from podstack.alerts import MAX_ALERTS, Firing, Firings, Wanted, notices
from podstack.alerts.notices import Mailbox
from podstack.alerts.receivers import Notice
from podstack.console import Warner, warn
from podstack.errors import NotFoundError, UsageError
from podstack.expressions.conditions import Condition, NoImprovement, parse_condition
from podstack.forks import renew_in_child
from podstack.journal import Journal
from podstack.names import short
from podstack.oplog import Fold
from podstack.series import Series

Test = Callable[[Mapping[str, float], int], bool]  # values of a call, step -> whether it is true


class Watch:
    """One alert and where it stands in this process.

    Whether it is armed is one element in a set: taking that out is atomic, so that of two threads,
    or a thread and a signal handler, one sees the edge.
    """

    def __init__(self, alert: Wanted, mailboxes: Sequence[Mailbox] = ()) -> None:
        condition = parse_condition(alert.condition)
        self.alert = alert
        self.mailboxes = mailboxes
        self.metric, *self._others = alerts.in_order(condition)
        self.seen: Wanted | None = None  # as the store last held it
        self.fired = 0
        self._fired_at = float("-inf")  # epoch seconds
        self._test = _test_of(condition)
        self._armed = {True}

    @property
    def names(self) -> list[str]:
        return [self.metric, *self._others]

    def rises(self, values: Mapping[str, float], step: int) -> bool:
        """Whether the condition turns true with a call; one that lacks a metric decides nothing."""
        if self.metric not in values:
            return False
        for name in self._others:
            if name not in values:
                return False
        if self._test(values, step):
            if self._armed:
                try:
                    self._armed.remove(True)
                except KeyError:
                    return False  # another thread saw this edge
                return True
        elif not self._armed:
            self._armed.add(True)
        return False

    def takes(self, time: float) -> bool:
        """Count a rising edge as a firing, unless it comes within the cooldown of the last one."""
        if 0 <= time - self._fired_at < self.alert.cooldown:
            return False
        self._fired_at = time
        self.fired += 1
        return True

    def catch_up(self, fired: Iterable[tuple[str, Any]]) -> None:
        """Go on from the firings that the run has: `alerts.fired_of`."""
        for n, fact in fired:
            count = n.partition("-")[0]
            time = alerts.number(fact.get("t")) if isinstance(fact, dict) else None
            self.fired = max(self.fired, int(count) if len(count) < 10 and count.isdecimal() else 0)
            self._fired_at = max(self._fired_at, self._fired_at if time is None else time)


def _test_of(condition: Condition | NoImprovement) -> Test:
    if isinstance(condition, NoImprovement):
        return Plateau(condition).holds
    holds = condition.holds
    return lambda values, step: holds(values)


class Plateau:
    """How long a metric has gone without a new best value."""

    def __init__(self, condition: NoImprovement) -> None:
        self._condition = condition
        self._best = float("nan")
        self._best_step = 0
        self._logs = 0  # since the best

    def holds(self, values: Mapping[str, float], step: int) -> bool:
        condition, value = self._condition, values[self._condition.metric]
        if condition.better(value, self._best):
            self._best, self._best_step, self._logs = value, step, 0
            return False
        self._logs += 1
        since = step - self._best_step if condition.unit == "steps" else self._logs
        return since >= condition.patience


class Subject(NamedTuple):
    """What notices say of the run."""

    id: str
    url: str
    name: str
    experiment: str


class Watches:
    """The alerts of a run that this process records.

    In a forked child they go on from where the parent's stood.
    """

    def __init__(self, journal: Journal, run_id: str, url: str) -> None:
        self._journal = journal
        self._subject = Subject(run_id, url, names.name_of_run(run_id), "")
        self._all: tuple[Watch, ...] = ()  # replaced, never changed: nobody locks to read it
        self._named: tuple[tuple[str, tuple[str, ...]], ...] = ()
        self._deleted: dict[str, Watch] = {}
        self._refused: set[str] = set()
        self._warner = Warner()
        self._lock = threading.RLock()
        renew_in_child(self)

    def renew_in_child(self) -> None:
        self._lock = threading.RLock()

    # In the log call -----------------------------------------------------------------------

    def look(self, metrics: Mapping[str, Any], step: int, line: bytes) -> None:
        """Fire what turns true with a call of `log_metrics`; never raises.

        Args:
            metrics: what was logged. Where all that is watched for stands there as plain numbers,
                it is taken from there.
            line: the same as it was written, from which all else is taken.
        """
        try:
            values = metrics if self._is_plain(metrics) else _logged(line)
            for watch in self._all:
                if watch.rises(values, step):
                    self._fire(watch, step, line)
        except Exception as error:  # noqa: BLE001  # training comes first: told, and it goes on
            self._warner.warn(f"alerts of run {self._subject.id}: {type(error).__name__}: {error}")

    def _is_plain(self, metrics: Mapping[str, Any]) -> bool:
        if type(metrics) is not dict:
            return False
        for name, above in self._named:
            kind = type(metrics.get(name))
            if kind is not float and kind is not int:
                if kind is not NoneType:  # which no metric can be: it is absent
                    return False
                for part in above:
                    if part in metrics:  # perhaps nested
                        return False
        return True

    def _fire(self, watch: Watch, step: int, line: bytes) -> None:
        now, alert, subject = self._journal.now(), watch.alert, self._subject
        if not watch.takes(now):
            return
        value = _logged(line)[watch.metric]
        fact = alerts.firing_fact(step, value, now)
        self._journal.set({f"fired/{alert.id}/{self._number(watch)}": fact})
        notice = Notice(
            run_id=subject.id,
            run_name=subject.name,
            experiment=subject.experiment,
            condition=alert.condition,
            message=alert.message,
            metric=watch.metric,
            value=value,
            step=step,
            time=now,
            url=subject.url,
        )
        for mailbox in watch.mailboxes:
            mailbox.put(notice)

    def _number(self, watch: Watch) -> str:
        """What tells this firing from all others of its alert, those of other processes too."""
        mark = f"-{self._journal.writer[-8:]}" if self._journal.is_child else ""
        return f"{watch.fired}{mark}"

    # Coming and going ----------------------------------------------------------------------

    @property
    def known(self) -> dict[str, Wanted]:
        return {watch.alert.id: watch.alert for watch in self._all}

    def add(self, alert: Wanted, mailboxes: Sequence[Mailbox]) -> None:
        """Watch for an alert from now on; one of the same condition goes on under the new words."""
        with self._lock:
            watch = next((w for w in self._all if w.alert.id == alert.id), None)
            if watch is None:
                watch = self._new(alert, mailboxes)
                self._replace([*self._all, watch])
            watch.alert, watch.mailboxes = alert, mailboxes

    def _new(self, alert: Wanted, mailboxes: Sequence[Mailbox]) -> Watch:
        watch = Watch(alert, mailboxes)
        before = self._deleted.pop(alert.id, None)
        watch.fired = before.fired if before is not None else 0
        return watch

    def drop(self, id: str) -> None:
        """Watch for an alert no longer."""
        with self._lock:
            for watch in self._all:
                if watch.alert.id == id:
                    self._deleted[id] = watch
            self._replace([watch for watch in self._all if watch.alert.id != id])

    def follow(self, fold: Fold) -> None:
        """Hear, in the background, of what others created, changed and deleted."""
        stored, fired = alerts.stored(fold), alerts.fired_of(fold)
        with self._lock:
            self._subject = self._subject._replace(
                name=str(fold.get("name") or self._subject.name),
                experiment=str(fold.get("experiment", "")),
            )
            self._replace([watch for watch in self._all if self._stays(watch, stored)])
            known = {*self.known, *self._deleted_in(stored)}
            for id, alert in islice(stored.items(), MAX_ALERTS):
                if id not in known:
                    self._hear_of(id, alert, fired.get(id, []))
            self._refuse(set(fold.below("alerts")) - set(stored))

    def _stays(self, watch: Watch, stored: Mapping[str, Wanted]) -> bool:
        """Take over what changed in the store since it was last read; False if it was deleted.

        What the store does not show yet, for it was written just now, stays.
        """
        found = stored.get(watch.alert.id)
        if found is None:
            return watch.seen is None
        if found != watch.seen:
            watch.alert = watch.seen = found
        return True

    def _deleted_in(self, stored: Mapping[str, Wanted]) -> list[str]:
        """What was deleted here and still shows in the store, unless it was made anew there."""
        return [id for id, watch in self._deleted.items() if stored.get(id) == watch.alert]

    def _hear_of(self, id: str, alert: Wanted, fired: Sequence[tuple[str, Any]]) -> None:
        try:
            watch = self._new(alert, notices.everyones_mailboxes())
        except UsageError:
            self._refuse({id})
            return
        watch.seen = alert
        watch.catch_up(fired)
        self._replace([*self._all, watch])

    def _refuse(self, ids: set[str]) -> None:
        for id in sorted(ids - self._refused):
            warn(f"alert {short(id)} of run {self._subject.id} cannot be read; it is passed over")
        self._refused |= ids

    def _replace(self, watches: Sequence[Watch]) -> None:
        metrics = dict.fromkeys(name for watch in watches for name in watch.names)
        self._named = tuple((name, _above(name)) for name in metrics)
        self._all = tuple(watches)

    def take_over(self, fold: Fold, metrics: Callable[[], Mapping[str, Series]]) -> None:
        """Go on with the alerts of a run that is resumed, from where they stood when it ended."""
        self.follow(fold)
        if self._all:
            logged = metrics()
            for watch in self._all:
                for _, step, values in calls(logged, watch.names):
                    watch.rises(values, step)


def _above(name: str) -> tuple[str, ...]:
    """The names under which a dict could hold it nested: `a` and `a/b` of `a/b/c`."""
    parts = name.split("/")
    return tuple("/".join(parts[:end]) for end in range(1, len(parts)))


def _logged(line: bytes) -> dict[str, float]:
    """The numbers of one line as they were stored."""
    batches, _ = points.decode(line)
    return {name: column[0] for batch in batches for name, column in batch.values.items()}


# Over what was logged before -----------------------------------------------------------------


def dry_run(alert: Wanted, metrics: Mapping[str, Series]) -> Firings:
    """Where an alert would have fired, had it been there from the start.

    Raises:
        NotFoundError: one of its metrics was never logged.
        UsageError: its metrics were never logged in one call, so that it can never fire.
    """
    watch = Watch(alert)
    for name in watch.names:
        if name not in metrics:
            raise NotFoundError.among("metric", name, metrics)
    logged = list(calls(metrics, watch.names))
    if all(len(values) < len(watch.names) for _, _, values in logged):
        raise UsageError(
            f"{', '.join(map(short, watch.names))} were never logged in one call of log_metrics, "
            "so that this alert can never fire. Log them together, or make an alert of each."
        )
    return Firings(
        Firing(alert.condition, watch.metric, step, values[watch.metric], time)
        for time, step, values in logged
        if watch.rises(values, step) and watch.takes(time)
    )


def calls(
    metrics: Mapping[str, Series], wanted: Sequence[str]
) -> Iterator[tuple[float, int, dict[str, float]]]:
    """(time, step, values) of every call that logged some of the metrics, in the order of time."""
    found = [
        (point.time, point.step, name, point.value)
        for name in wanted
        if name in metrics
        for point in metrics[name].raw
    ]
    for (time, step), call in groupby(sorted(found, key=itemgetter(0, 1)), key=itemgetter(0, 1)):
        yield time, step, {name: value for _, _, name, value in call}
