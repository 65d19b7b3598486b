"""The ledger of a sweep: who has which trial, and what came of it.

One `Ledger` is all that a process needs of a sweep. It reads the op logs of all workers, takes
trials by `claims.py`, chooses parameters by the sweep's strategy, and writes what comes of them
into one log of its own. Everything but `take` and reading works while the store is down.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from podstack import clock, config, keys, names, oplog, processes
from podstack.clock import hybrid_clock, monotonic
from podstack.config import Settings
from podstack.console import say, warn
from podstack.endings import endings
from podstack.errors import (
    AccessDeniedError,
    BackendError,
    DamagedError,
    NotFoundError,
    UsageError,
)
from podstack.forks import renew_in_child
from podstack.names import COMPLETED, FAILED, RUNNING, short
from podstack.oplog import Fold, Op
from podstack.reader import OpLogs
from podstack.scalars import flat_scalars, scalar, whole_step
from podstack.store import Store
from podstack.sweeps.book import Book
from podstack.sweeps.claims import Board, Claim, Claims, writer_id
from podstack.sweeps.definition import Definition
from podstack.sweeps.records import JsonValue, TrialRecord, as_word
from podstack.sweeps.states import States
from podstack.sweeps.stopping import reason_to_stop
from podstack.sweeps.strategies import Strategy, make_strategy
from podstack.sweeps.trial import Trial

MOST_LOSSES = 5  # workers that a trial may be lost with, before it counts as failed
ALL_FAILED = 5  # trials that fail, before any other ends well, until one is told
_GLANCE, _GLANCE_ELSEWHERE = 0.5, 5.0  # seconds between two looks at others' reports
_RECOMPUTED = ("grid", "random")  # strategies that give a number the same parameters any time


class _Offer(NamedTuple):
    """A trial that may be claimed. lost: the claim that fell silent, if one did."""

    number: int
    generation: int
    lost: Claim | None = None


class Ledger:
    """One sweep, as this process reads it, works on it and ends it.

    May be shared between threads, each of which gets trials of its own. A forked child has none
    of its parent's trials, and may end them all the same.
    """

    def __init__(self, store: Store, sweep_id: str) -> None:
        self.id = sweep_id
        self._store = store
        self._logs = OpLogs(store.backend, store.keys.sweep_logs(sweep_id))
        self._read = 0  # lines of theirs that are in the states
        self._fold = Fold()
        self._states = States()
        self._strategy: Strategy | None = None
        self._definition: Definition | None = None
        self._claims = Claims(store, sweep_id)
        self._book = Book(store, sweep_id, lambda: self._claims.writer)
        self._runs: dict[int, Any] = {}  # number → the run of this process that ends it
        self._begin()
        renew_in_child(self)

    def _begin(self) -> None:
        self._taking = threading.RLock()
        self._lock = threading.RLock()  # guards what was read
        self._is_announced = False
        self._told_of_failures = False
        self._glance_due = 0.0

    def renew_in_child(self) -> None:
        self._begin()
        self._runs = {}

    # Reading -------------------------------------------------------------------------------

    def create(self, definition: Definition) -> None:
        """Put the definition into the store; the store has it when this returns.

        Raises:
            BackendError: it does not take it.
        """
        self._edit(definition.as_changes())

    def _edit(self, changes: Mapping[str, JsonValue]) -> None:
        """Set facts of the sweep as a writer of its own, in the store at once."""
        if not self._store.disabled:
            self._store.prepare()
        op = Op(hybrid_clock.next(), writer_id(), changes)
        key = self._store.keys.sweep_log(self.id, op.writer)
        self._store.backend.put(key, oplog.encode(op.stamp, changes))
        self._heard([op])

    def edit(self, changes: Mapping[str, JsonValue]) -> None:
        """The same, over all that there is so far."""
        self.refresh()
        self._edit(changes)

    def refresh(self) -> Ledger:
        """Read what is new in the store.

        Raises:
            BackendError: it does not answer.
        """
        with self._lock:
            self._logs.fold()
            ops = self._logs.ops_beyond(self._read)
            self._read += len(ops)
            self._heard(ops)
        return self

    def glance(self) -> None:
        """The same, but rarely: a look at others' reports may be a second old.

        Raises:
            BackendError: the store does not answer.
        """
        if monotonic() >= self._glance_due:
            pause = _GLANCE if self._store.delivery is None else _GLANCE_ELSEWHERE
            self._glance_due = monotonic() + pause
            self.refresh()

    def _heard(self, ops: list[Op]) -> None:
        with self._lock:
            for op in ops:
                self._fold.add(_without_trials(op))
            self._states.add(ops)

    @property
    def settings(self) -> Settings:
        """What another process opens the same store with."""
        return self._store.portable_settings

    @property
    def exists(self) -> bool:
        """Whether the store has ever heard of it."""
        return self._fold.get("strategy") is not None

    @property
    def definition(self) -> Definition:
        """What `create_sweep` fixed.

        Raises:
            NotFoundError: there is no such sweep.
        """
        with self._lock:
            if self._definition is None:
                if not self.exists:
                    self.refresh()
                if not self.exists:
                    raise NotFoundError(f"No sweep {self.id!r} in {self._store.url}.")
                self._definition = Definition.of(self.id, self._fold)
            return self._definition

    @property
    def fact(self) -> Mapping[str, JsonValue]:
        """Facts that may change: name, stop, deleted."""
        with self._lock:
            return {path: self._fold.get(path) for path in ("name", "stop", "deleted")}

    @property
    def strategy(self) -> Strategy:
        if self._strategy is None:
            d = self.definition
            self._strategy = make_strategy(
                d.strategy, d.space, d.objective, seed=d.seed, options=d.options
            )
        return self._strategy

    @property
    def size(self) -> int | None:
        """How many trials there will be at most; None where nothing limits them."""
        limits = [n for n in (self.definition.max_trials, self.strategy.size) if n is not None]
        return min(limits, default=None)

    def records(self) -> list[TrialRecord]:
        """All trials that were begun, by number, as far as was read."""
        with self._lock:
            return list(self._states.records)

    def record(self, number: int) -> TrialRecord | None:
        with self._lock:
            return self._states.get(number)

    def stop_reason(self) -> str | None:
        """Why it gives out no further trials though not all are over, as far as was read."""
        stop = self.fact["stop"]
        if isinstance(stop, dict):
            return str(stop.get("reason") or "It was stopped by hand.")
        if self.fact["deleted"]:
            return "It was deleted."
        if self.is_complete:
            return None
        with self._lock:
            return reason_to_stop(self.definition, self._states.records, clock.now())

    @property
    def is_complete(self) -> bool:
        """Whether all its trials are over, as far as was read."""
        size = self.size
        return size is not None and self._states.over_up_to >= size

    # Taking --------------------------------------------------------------------------------

    def take(self, wait: float = 0.0, *, label: str | None = None) -> Trial | None:
        """The next trial; None once there is none, or none within `wait` seconds.

        Raises:
            BackendError: the store did not answer for PODSTACK_SWEEP_TIMEOUT seconds, or refuses.
            NotFoundError: there is no such sweep.
        """
        deadline = monotonic() + wait
        outage = _Outage(self._store.url, self.id)
        pause = _Pause(0.02 if self._store.delivery is None else 0.5)
        while True:
            try:
                with self._taking:
                    trial, may_come = self._attempt(label)
                outage = _Outage(self._store.url, self.id)
            except BackendError as error:
                outage.outlast(error)
                continue
            if trial is not None or not may_come or monotonic() >= deadline:
                return trial
            pause.wait(deadline)

    def _attempt(self, label: str | None) -> tuple[Trial | None, bool]:
        """A trial, if there is one now; and whether there may be one later."""
        self.refresh()
        if label is not None and (known := self._labelled(label)) is not None:
            return self._again(known), False
        if self._stops():
            return None, False
        self._announce()
        while True:
            board = self._claims.board(self._states.over_up_to)
            offer = self._chosen(board)
            if offer is None:
                return None, not self.is_complete
            if self._claims.take(offer.number, offer.generation):
                trial = self._begun(offer, label)
                if trial is not None:
                    return trial, True
            else:
                _Pause(0.02).wait(monotonic() + 1.0)
            self.refresh()

    def _stops(self) -> bool:
        reason = self.stop_reason()
        if reason is not None and self.fact["stop"] is None and not self.fact["deleted"]:
            self._edit({"stop": {"reason": reason, "t": clock.now()}})
            say(f"sweep {self.id} stops: {reason}")
        return reason is not None or self.is_complete

    def _chosen(self, board: Board) -> _Offer | None:
        """Which free trial to try: the first for a lone worker; others leave each other room."""
        workers = self._workers(board)
        offers = self._offers(board)
        first = [offer for offer, _ in zip(offers, range(2 * workers), strict=False)]
        if not first:
            return None
        return first[0] if workers == 1 else random.choice(first)

    def _workers(self, board: Board) -> int:
        """This process, and those that have trials."""
        others = {
            claim.writer
            for number, claims in board.items()
            if not self._states.is_over(number)
            for claim in claims
            if claim.writer != self._claims.writer and self._claims.lives(claim)
        }
        return 1 + len(others)

    def _offers(self, board: Board) -> Iterator[_Offer]:
        """The trials that nobody has, by number."""
        size = keys.MAX_TRIAL if self.size is None else self.size
        for number in range(self._states.over_up_to + 1, size + 1):
            if self._states.is_over(number) or self._claims.held(number) is not None:
                continue
            offer = self._offer(number, board.get(number, []))
            if offer is not None:
                yield offer

    def _offer(self, number: int, claims: list[Claim]) -> _Offer | None:
        record = self._states.get(number)
        begun = -1 if record is None else record.generation
        generation = max((claim.generation for claim in claims), default=begun)
        standing = [c for c in claims if c.generation == generation and c.stands]
        if any(self._claims.lives(claim) and not _gave_back(record, claim) for claim in standing):
            return None
        if standing:
            return _Offer(number, generation + 1, standing[0])
        if claims:
            return _Offer(number, max(generation, 0))
        return _Offer(number, generation + 1)  # it was never claimed, or its claims were lost

    def _begun(self, offer: _Offer, label: str | None) -> Trial | None:
        """The trial that was just claimed; None where it turns out to be over."""
        number = offer.number
        if offer.generation:
            self.refresh()
            if self._states.is_over(number):
                self._claims.drop(number)
                return None
            if offer.generation > MOST_LOSSES:
                self._give_up(number)
                return None
        try:
            params = self._params_of(offer)
            is_recomputed = self._store.delivery is None or self.definition.strategy in _RECOMPUTED
            self._claims.decide(number, params, tell=not is_recomputed)
        except BaseException:
            self._let_go(number)
            raise
        self._write(number, self._first_facts(offer, params, label))
        return Trial(self, number, params, offer.generation)

    def _params_of(self, offer: _Offer) -> Mapping[str, JsonValue]:
        """What an earlier generation had; else what the strategy says."""
        record = self._states.get(offer.number)
        if record is not None and record.params:
            return record.params
        if offer.lost is not None:
            told = self._claims.params_in(offer.lost)
            if told is not None:
                return told
        return self.strategy.suggest(offer.number, self._seen(but=offer.number))

    def _seen(self, but: int) -> list[TrialRecord]:
        with self._lock:
            begun = [r for r in self._states.records if r.number != but and r.params]
        return [*self.definition.warm, *begun]

    def _first_facts(
        self, offer: _Offer, params: Mapping[str, JsonValue], label: str | None
    ) -> dict[str, JsonValue]:
        worker = {
            "writer": self._claims.writer,
            "host": processes.host(),
            "generation": offer.generation,
        }
        facts = {
            "params": dict(params),
            "status": RUNNING,
            "worker": worker,
            "started": clock.now(),
        }
        return facts if label is None else {**facts, "label": label}

    def _give_up(self, number: int) -> None:
        error = f"Its workers went silent {MOST_LOSSES + 1} times; it is not offered again."
        self._write(number, self._last_facts(FAILED, None, {}, error, pruned=False))
        self._claims.drop(number)
        warn(f"trial {number} of sweep {self.id} is failed: {error}")

    # Labels --------------------------------------------------------------------------------

    def _labelled(self, label: str) -> TrialRecord | None:
        with self._lock:
            return next((r for r in reversed(self._states.records) if r.label == label), None)

    def _again(self, record: TrialRecord) -> Trial | None:
        """The trial that this label was given before; None where it is over, or another's."""
        held = self._claims.held(record.number)
        if held is not None:
            return Trial(self, record.number, held.params, held.generation)
        if record.is_over:
            return None
        claims = self._claims.board(record.number - 1).get(record.number, [])
        offer = self._offer(record.number, claims)
        if offer is None or not self._claims.take(offer.number, offer.generation):
            return None
        self._announce()
        return self._begun(offer, record.label)

    # What comes of a trial -----------------------------------------------------------------

    def complete(
        self,
        trial: str | int,
        metrics: Mapping[str, Any] | None = None,
        *,
        status: str = COMPLETED,
        error: str | None = None,
        pruned: bool = False,
    ) -> None:
        """End a trial: at once, also while the store is down. A second end is a no-op.

        Args:
            metrics: with the objective among them, where the trial completed and was not pruned.

        Raises:
            NotFoundError: there is no such trial.
            UsageError, WrongTypeError: the objective is missing, or a value is no number.
        """
        number = self.number_of(trial)
        names.check_status(status)
        text = None if error is None else names.check_text("An error", str(error)[-100_000:])
        values = flat_scalars({} if metrics is None else metrics)
        self._check(number)
        value = self._value_in(number, values, is_needed=status == COMPLETED and not pruned)
        self._end(number, self._last_facts(status, value, values, text, pruned=pruned))

    def number_of(self, trial: str | int) -> int:
        """
        Raises:
            UsageError: it is no trial's id.
        """
        text = str(trial)
        if isinstance(trial, bool) or not text.isascii() or not text.isdigit() or len(text) > 6:
            raise UsageError(
                f"A trial is named by its number, such as trial.id, not {short(trial)}."
            )
        return int(text)

    def _check(self, number: int) -> None:
        """That there is such a trial, as far as the store says so."""
        if self._claims.held(number) is not None and not self._claims.may_be_lost(number):
            return
        try:
            self.refresh()
        except BackendError:
            return  # what is written here gets there, and counts if nothing else came first
        if self.record(number) is None:
            known = [str(record.number) for record in self.records()]
            raise NotFoundError.among(f"trial of sweep {self.id}", str(number), known)

    def _value_in(
        self, number: int, values: Mapping[str, float], *, is_needed: bool
    ) -> float | None:
        metric = self.definition.objective.metric
        if metric in values:
            return values[metric]
        if is_needed:
            given = ", ".join(map(short, values)) or "nothing"
            raise UsageError(
                f"Trial {number} has no {metric}, which sweep {self.id} is about; it has {given}. "
                f"Complete it with {{{metric!r}: …}}, or say status='failed' with an error."
            )
        record = self.record(number)
        return None if record is None or not record.reports else [*record.reports.values()][-1]

    def _last_facts(
        self,
        status: str,
        value: float | None,
        metrics: Mapping[str, float],
        error: str | None,
        *,
        pruned: bool,
    ) -> dict[str, JsonValue]:
        """One line says all of an ending, so that no other's is mixed with it."""
        return {
            "status": status,
            "value": None if value is None else as_word(value),
            "metrics": {name: as_word(number) for name, number in metrics.items()},
            "error": error,
            "pruned": pruned or None,
            "ended": clock.now(),
        }

    def _end(self, number: int, facts: Mapping[str, JsonValue]) -> None:
        with self._lock:
            record = self._states.get(number)
            self._claims.drop(number)
            if record is not None and record.is_over:
                self._tell_of_second_end(record, facts)
                return
            self._write(number, facts)
            self._runs.pop(number, None)
        self._tell_of_failures()

    def _tell_of_second_end(self, record: TrialRecord, facts: Mapping[str, JsonValue]) -> None:
        value = None if record.value is None else as_word(record.value)
        if (record.status, value) != (facts["status"], facts["value"]):
            warn(
                f"trial {record.number} of sweep {self.id} had ended before: {record.status}, "
                f"{record.value}. That stays; {facts['status']}, {facts['value']} is not kept."
            )

    def _tell_of_failures(self) -> None:
        """Once, where the first trials have all failed: most likely all others will."""
        records = [r for r in self.records() if r.is_over]
        if self._told_of_failures or len(records) < ALL_FAILED:
            return
        self._told_of_failures = True
        if all(record.status == FAILED for record in records):
            lines = (records[-1].error or "no reason given").strip().splitlines()
            warn(
                f"all {len(records)} trials of sweep {self.id} have failed so far, the last one "
                f"with: {short(lines[-1])}. To end it: client.stop_sweep({self.id!r})"
            )

    def report(self, trial: str | int, value: float, step: int) -> None:
        """Record an intermediate value of the objective: at once, also while the store is down.

        Raises:
            UsageError, WrongTypeError: the value is no number, or the step is not whole.
        """
        number = self.number_of(trial)
        metric = self.definition.objective.metric
        self._write(number, {f"reports/{whole_step(step)}": as_word(scalar(metric, value))})

    def link(self, number: int, run_id: str) -> None:
        """Note which run is the trial's."""
        self._write(number, {"run": names.check_id("run_id", run_id)})

    def stop(self, reason: str = "") -> None:
        """Give out no further trials, anywhere.

        Raises:
            BackendError: the store does not answer.
        """
        text = names.check_text("A reason", reason)
        self.edit({"stop": {"reason": text or "It was stopped by hand.", "t": clock.now()}})

    def _write(self, number: int, facts: Mapping[str, JsonValue]) -> None:
        changes = {f"trials/{number}/{name}": value for name, value in facts.items()}
        self._heard([self._book.write(changes)])

    # Giving back ---------------------------------------------------------------------------

    def release(self, number: int) -> None:
        """Give a trial back untouched; one that this process does not have is left alone."""
        held = self._note_release(number)
        if held is None:
            return
        try:
            self._claims.withdraw(number, held)
        except BackendError:
            return  # the log tells of it, once the store has it

    def _note_release(self, number: int) -> int | None:
        """Write that the trial is free; the generation that it was held in."""
        held = self._claims.drop(number)
        if held is None:
            return None
        self._runs.pop(number, None)
        worker = {"writer": self._claims.writer, "generation": held.generation, "released": True}
        self._write(number, {"worker": worker})
        return held.generation

    def _let_go(self, number: int) -> None:
        """Take back a claim of which nothing was written yet."""
        held = self._claims.drop(number)
        if held is None:
            return
        try:
            self._claims.withdraw(number, held.generation)
        except BackendError:
            return  # it falls silent, and is offered again

    # A run for a trial ---------------------------------------------------------------------

    def run_begins(self, number: int, run: Any) -> None:
        self._runs[number] = run
        self.link(number, run.id)

    def is_given_back(self, number: int) -> bool:
        """Whether the trial waits for another worker, as far as was read."""
        record = self.record(number)
        return record is not None and not record.is_over and not record.worker

    # Staying and ending --------------------------------------------------------------------

    def _announce(self) -> None:
        """This process works on the sweep from now on."""
        if self._is_announced or self._store.disabled:
            return
        self._is_announced = True
        endings.opened(self)
        self._store.listener.keep(self)
        if self._store.delivery is not None:
            self._store.delivery.began()

    def tick(self) -> None:
        """From the background: say that this process lives."""
        self._claims.beat()

    @property
    def progress(self) -> int:
        return self._book.written

    def finish(
        self, status: str = COMPLETED, *, error: str | None = None, timeout: float | None = None
    ) -> None:
        """The process ends: end the runs of its trials, and give back what is left.

        A process that dies of an exception while it has a single trial fails that: offered again,
        it would most likely do the same to the next.
        """
        patience = config.finish_timeout() if timeout is None else timeout
        deadline = monotonic() + patience
        self._end_runs(status, error, deadline)
        held = self._claims.all_held
        if status == FAILED and len(held) == 1:
            self._end(held[0], self._last_facts(FAILED, None, {}, error, pruned=False))
        for number in self._claims.all_held:
            self.release(number)
        endings.closed(self)
        self._store.listener.forget(self)
        self._book.end(max(0.1, deadline - monotonic()))

    def _end_runs(self, status: str, error: str | None, deadline: float) -> None:
        for run in list(self._runs.values()):
            run.finish(status, error=error, timeout=max(0.1, deadline - monotonic()))

    def finish_at_once(self, status: str, timeout: float) -> None:
        """From a signal handler: give back what is left, and ask nobody."""
        for run in list(self._runs.values()):
            run.finish_at_once(status, timeout)
        for number in self._claims.all_held:
            self._note_release(number)
        self._book.end_at_once()


def _gave_back(record: TrialRecord | None, claim: Claim) -> bool:
    """Whether the log says that a claim which still stands was given back."""
    return record is not None and not record.worker and record.generation >= claim.generation


def _without_trials(op: Op) -> Op:
    changes = {path: v for path, v in op.changes.items() if not path.startswith("trials/")}
    return op._replace(changes=changes)


class _Outage:
    """A store that does not answer: for how long that is waited for."""

    def __init__(self, url: str, sweep: str) -> None:
        self._url, self._sweep = url, sweep
        self._since: float | None = None
        self._pause = _Pause(0.5)

    def outlast(self, error: BackendError) -> None:
        """Wait a little.

        Raises:
            BackendError: that has been done long enough, or will not help.
        """
        timeout = config.sweep_timeout()
        if self._since is None:
            self._since = monotonic()
            if not isinstance(error, (AccessDeniedError, DamagedError)) and timeout:
                warn(f"{error} Sweep {self._sweep} waits up to {timeout:.0f} s for it.")
        if isinstance(error, (AccessDeniedError, DamagedError)):
            raise error
        if monotonic() - self._since >= timeout:
            raise BackendError(
                f"No trial of sweep {self._sweep} could be taken for {timeout:.0f} s: {error} "
                "Results so far are safe. Start the worker again once the store answers, or wait "
                "for longer: PODSTACK_SWEEP_TIMEOUT.",
                url=self._url,
                key=error.key,
            ) from error
        self._pause.wait(self._since + timeout)


class _Pause:
    """Random moments that grow to a hundred times the first, so that no two workers keep step."""

    def __init__(self, first: float) -> None:
        self._next, self._longest = first, 100 * first
        self._event = threading.Event()  # never set: only waited for

    def wait(self, deadline: float) -> None:
        moment = self._next * (0.5 + random.random())
        self._event.wait(max(0.0, min(moment, deadline - monotonic())))
        self._next = min(self._longest, 1.5 * self._next)


def ledger_of(store: Store, sweep_id: str) -> Ledger:
    """The one ledger of this process and client for a sweep."""
    known = store.ledgers.get(sweep_id)
    if not isinstance(known, Ledger):
        known = store.ledgers.setdefault(sweep_id, Ledger(store, sweep_id))  # atomic: one for all
    assert isinstance(known, Ledger), "nobody else puts anything there"
    return known
