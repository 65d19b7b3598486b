"""How a process gets trials: which number it tries, whether that is free, and its parameters."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

from podstack import clock, config, processes
from podstack.clock import monotonic
from podstack.console import say, warn
from podstack.errors import AccessDeniedError, BackendError, DamagedError
from podstack.forks import renew_in_child
from podstack.names import RUNNING
from podstack.sweeps.claims import Board, Claim, Claims
from podstack.sweeps.interruption import end_is_asked
from podstack.sweeps.records import JsonValue, TrialRecord
from podstack.sweeps.register import Register

MOST_LOSSES = 5  # times that a trial is offered again, before it counts as failed
_FIRST_PAUSE, _FIRST_PAUSE_ELSEWHERE = 0.02, 0.5  # seconds, while all trials are taken
_LOOK = 0.25  # seconds between two looks for Ctrl-C while waiting
_chance = random.SystemRandom()  # a script that seeds its own chance would seed everybody's alike


class Dealt(NamedTuple):
    """A trial that this process now has."""

    number: int
    params: Mapping[str, JsonValue]
    generation: int


class _Offer(NamedTuple):
    """A trial that may be claimed. lost: the claims that fell silent or were given back."""

    number: int
    generation: int
    lost: tuple[Claim, ...] = ()


class Dealing:
    """Takes trials of one sweep for this process, one thread after the other.

    Args:
        begins: called once, when the first one is about to be claimed.
        give_up: called with a trial that was lost too often, and the reason.
    """

    def __init__(
        self,
        register: Register,
        claims: Claims,
        begins: Callable[[], None],
        give_up: Callable[[int, str], None],
    ) -> None:
        self._register, self._claims = register, claims
        self._begins, self._give_up = begins, give_up
        self._taking = threading.RLock()
        renew_in_child(self)

    def renew_in_child(self) -> None:
        self._taking = threading.RLock()

    def take(self, wait: float, label: str | None) -> Dealt | None:
        """The next trial; None once there is none, or none within `wait` seconds.

        Raises:
            BackendError: the store did not answer for PODSTACK_SWEEP_TIMEOUT seconds, or refuses.
            NotFoundError: there is no such sweep.
        """
        deadline = monotonic() + wait
        is_near = self._register.store.delivery is None
        pause = _Pause(_FIRST_PAUSE if is_near else _FIRST_PAUSE_ELSEWHERE)
        outage = _Outage(self._register)
        while True:
            try:
                with self._taking:
                    dealt, may_come = self._attempt(label)
            except BackendError as error:
                outage.outlast(error)
                continue
            outage = _Outage(self._register)
            if dealt is not None or not may_come or monotonic() >= deadline or end_is_asked():
                return dealt
            pause.wait(deadline)

    def _attempt(self, label: str | None) -> tuple[Dealt | None, bool]:
        """A trial, if there is one now; and whether there may be one later."""
        known = self._register.refresh().labelled(label) if label is not None else None
        if known is not None:
            return self._again(known), False
        if label is None:
            self._register.refresh()
        if self._stops():
            return None, False
        self._begins()
        while True:
            offer = self._chosen(self._claims.board(self._register.over_up_to))
            if offer is None:
                return None, not self._register.is_complete
            if self._claims.take(*offer):
                dealt = self._begun(offer, label)
                if dealt is not None:
                    return dealt, True
            else:
                _Pause(_FIRST_PAUSE).wait(monotonic() + 1.0)
            self._register.refresh()

    def _stops(self) -> bool:
        """Whether the sweep is over. What its rules say is then kept in the store."""
        register = self._register
        reason = register.stop_reason()
        if reason is not None and register.stop_said is None and not register.deleted:
            register.edit({"stop": {"reason": reason, "t": clock.now()}})
            if not register.store.disabled:
                say(f"sweep {register.id} stops: {reason}")
        return reason is not None or register.is_complete

    # Which one -----------------------------------------------------------------------------

    def _chosen(self, board: Board) -> _Offer | None:
        """Which free trial to try: the first for a lone worker; several leave each other room."""
        offers: list[_Offer] = []
        others: set[str] = set()  # who has trials
        for number in self._register.unfinished():
            if self._register.is_over(number) or self._claims.held(number) is not None:
                continue
            claims = board(number)
            offer = self._offer(number, claims)
            if offer is None:
                others |= {claim.writer for claim in claims if claim.stands}
            else:
                offers.append(offer)
            if offers and (not others or len(offers) == 2 * (1 + len(others))):
                break
        return _chance.choice(offers) if offers else None

    def _offer(self, number: int, claims: list[Claim]) -> _Offer | None:
        record = self._register.record(number)
        begun = -1 if record is None or not record.started else record.generation
        generation = max((claim.generation for claim in claims), default=begun)
        standing = tuple(claim for claim in claims if claim.stands)
        if any(self._claims.lives(claim) and not self._gave_back(claim) for claim in standing):
            return None
        if any(claim.generation == generation for claim in standing):
            return _Offer(number, generation + 1, standing)
        if claims:
            return _Offer(number, generation, standing)  # who ever claimed that one withdrew
        return _Offer(number, generation + 1)  # it was never claimed, or its claims were lost

    def _gave_back(self, claim: Claim) -> bool:
        """Whether its writer's log says that a claim which still stands was given back."""
        return self._register.was_released(claim.number, claim.writer, claim.generation)

    # Its beginning -------------------------------------------------------------------------

    def _begun(self, offer: _Offer, label: str | None) -> Dealt | None:
        """The trial that was just claimed; None where it turns out to be over."""
        number = offer.number
        try:
            if offer.generation and not self._may_go_on(offer):
                return None
            params = self._params_of(offer)
            self._claims.decide(number, params, tell=not self._register.has_params_at_once)
        except BaseException:
            self._claims.abandon(number)
            raise
        self._register.write(number, self._first_facts(offer, params, label))
        return Dealt(number, params, offer.generation)

    def _may_go_on(self, offer: _Offer) -> bool:
        """Whether a trial that is offered again is neither over by now nor a lost cause."""
        if self._register.refresh().is_over(offer.number):
            self._claims.drop(offer.number)
            return False
        if offer.generation <= MOST_LOSSES:
            return True
        times = MOST_LOSSES + 1
        self._give_up(
            offer.number, f"Its workers went silent {times} times: it is not offered again."
        )
        return False

    def _params_of(self, offer: _Offer) -> Mapping[str, JsonValue]:
        """What an earlier generation had; else what the strategy says."""
        record = self._register.record(offer.number)
        if record is not None and record.started:
            return record.params
        for claim in reversed(offer.lost):
            told = self._claims.params_in(claim)
            if told is not None:
                return told
        seen = self._register.seen(but=offer.number)
        return self._register.strategy.suggest(offer.number, seen)

    def _first_facts(
        self, offer: _Offer, params: Mapping[str, JsonValue], label: str | None
    ) -> dict[str, JsonValue]:
        worker = {
            "writer": self._claims.writer,
            "host": processes.host(),
            "generation": offer.generation,
        }
        told = {} if label is None else {"label": label}
        return {
            "params": dict(params),
            "status": RUNNING,
            "worker": worker,
            "started": clock.now(),
            **told,
        }

    # Labels --------------------------------------------------------------------------------

    def _again(self, record: TrialRecord) -> Dealt | None:
        """The trial that this label was given before; None where it is over, or another's."""
        held = self._claims.held(record.number)
        if held is not None:
            return Dealt(record.number, held.params, held.generation)
        if record.is_over:
            return None
        board = self._claims.board(record.number - 1)
        offer = self._offer(record.number, board(record.number))
        self._begins()
        if offer is None or not self._claims.take(*offer):
            return None
        return self._begun(offer, record.label)


class _Outage:
    """A store that does not answer: for how long that is waited for."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self._since: float | None = None
        self._pause = _Pause(0.5)

    def outlast(self, error: BackendError) -> None:
        """Wait a little.

        Raises:
            BackendError: that has been done long enough, will not help, or an end is asked for.
        """
        timeout = config.sweep_timeout()
        if isinstance(error, (AccessDeniedError, DamagedError)) or end_is_asked():
            raise error
        if self._since is None:
            self._since = monotonic()
            warn(f"{error} Sweep {self._register.id} waits up to {timeout:.0f} s for it.")
        if monotonic() - self._since >= timeout:
            raise BackendError(
                f"No trial of sweep {self._register.id} could be taken for {timeout:.0f} s: "
                f"{error} Results so far are safe. Start the worker again once the store answers, "
                "or let it wait for longer: PODSTACK_SWEEP_TIMEOUT.",
                url=self._register.store.url,
                key=error.key,
            ) from error
        self._pause.wait(self._since + timeout)


class _Pause:
    """Random moments, up to a hundred times the first, so that no two workers keep step."""

    def __init__(self, first: float) -> None:
        self._next, self._longest = first, 100 * first
        self._event = threading.Event()  # never set: only waited for

    def wait(self, deadline: float) -> None:
        moment = self._next * (0.5 + _chance.random())
        until = min(monotonic() + moment, deadline)
        while (left := until - monotonic()) > 0 and not end_is_asked():
            self._event.wait(min(left, _LOOK))
        self._next = min(self._longest, 1.5 * self._next)
