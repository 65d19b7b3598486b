"""Who has which trial, over a store without conditional writes, locks or a server.

Taking trial n: put a claim of one's own, `claims/<n>/<writer>.json`, then list all claims of n.
Who is alone has it. Whoever is not withdraws by putting the claim again with 0 bytes, for not
everybody may delete, and tries another number.

Why two can never have the same trial: each puts before it lists. Of two claims one was there first
and stays; the listing of the other, which came later, shows it. That asks of the store only that a
listing shows what was put before it began. Both may withdraw; nobody is then in anybody's way.

A claim is put again at every heartbeat. One whose process is gone from this machine, or that has
been silent for the longer of `patience` and 5 of its intervals, is dead: its trial is offered
again as the next generation, `claims/<n>.<g>/`, taken in the same way. A claim is left in place
when its trial is over, so that whoever comes late with an old view finds it and withdraws.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import count
from typing import Any, NamedTuple

import orjson

from podstack import clock, config, keys, names, processes
from podstack.backend import BlobInfo, LocalStore, split_url
from podstack.clock import monotonic
from podstack.console import Warner
from podstack.errors import BackendError, BlobMissing
from podstack.forks import renew_in_child
from podstack.store import Store
from podstack.sweeps.records import JsonValue

HEARTBEAT, HEARTBEAT_ELSEWHERE = 20.0, 60.0  # seconds
_LOOK = 2  # intervals for which a claim is watched before its writer's clock is believed
_FILESYSTEMS = ("file", "sftp", "ssh")


class Claim(NamedTuple):
    """One claim, as a listing shows it. A withdrawn one has 0 bytes."""

    number: int
    generation: int
    writer: str
    info: BlobInfo

    @property
    def stands(self) -> bool:
        return self.info.size > 0


class Held(NamedTuple):
    """A trial that this process has."""

    generation: int
    params: Mapping[str, JsonValue]
    beaten: float  # by this process's clock, when the store last took the claim


Board = Callable[[int], list[Claim]]  # all claims to a trial


class Claims:
    """The claims to one sweep's trials: this process's own, and how it sees the others'."""

    def __init__(self, store: Store, sweep: str) -> None:
        self._store, self._sweep, self._keys = store, sweep, store.keys
        self._is_folder = isinstance(store.backend, LocalStore)  # 0.3 ms to ask
        self._is_filesystem = split_url(store.settings.uri)[0] in _FILESYSTEMS
        self.patience = config.sweep_patience()
        usual = HEARTBEAT if store.delivery is None else HEARTBEAT_ELSEWHERE
        self.interval = min(usual, self.patience / 5)
        self._warner = Warner()
        self._others = Others(store, self.patience)
        self.begin()
        renew_in_child(self)

    def begin(self) -> None:
        """As a new writer, who has nothing."""
        self._writer: str | None = None
        self._held: dict[int, Held] = {}
        self._tries: Counter[tuple[int, int]] = Counter()  # withdrawals that may yet arrive
        self._lock = threading.RLock()  # guards both, and is never held during a request
        self._process = processes.this_process()
        self._putting = threading.RLock()  # so that no heartbeat overtakes a withdrawal

    def renew_in_child(self) -> None:
        """A child has none of its parent's trials."""
        self.begin()

    @property
    def writer(self) -> str:
        """The id under which this process claims and writes."""
        with self._lock:
            if self._writer is None:
                self._writer = writer_id()
            return self._writer

    # Looking -------------------------------------------------------------------------------

    def board(self, after: int) -> Board:
        """All claims to trials beyond `after`: with one listing, where each may be a request.

        In a folder of this machine each trial is looked at when it is asked for: the other way
        would take longer the more trials there are.
        """
        if self._is_folder:
            return self._of
        prefix = self._keys.claims(self._sweep)
        start = self._keys.claims_of(self._sweep, after + 1)
        found: dict[int, list[Claim]] = {}
        for claim in self._listed(prefix, start_after=start):
            found.setdefault(claim.number, []).append(claim)
        return lambda number: found.get(number, [])

    def _of(self, number: int) -> list[Claim]:
        """All claims to a trial, generation by generation."""
        found: list[Claim] = []
        for generation in count():
            claims = list(self._listed(self._keys.claims_to(self._sweep, number, generation)))
            if not claims:
                return found
            found += claims
        raise AssertionError("it counts on for ever")

    def _listed(self, prefix: str, *, start_after: str = "") -> Iterator[Claim]:
        for info in self._store.backend.list(prefix, start_after=start_after):
            place = keys.claim_of(info.key)
            if place is not None:
                yield Claim(*place, info)

    def lives(self, claim: Claim) -> bool:
        """Whether somebody still has what they claimed."""
        if not claim.stands:
            return False
        if claim.writer == self._writer:
            return claim.number in self._held
        return self._others.lives(claim)

    def params_in(self, claim: Claim) -> Mapping[str, JsonValue] | None:
        """The parameters that a claim tells of, if it does."""
        params = self._others.content(claim.info.key).get("params")
        return params if isinstance(params, dict) else None

    # Taking --------------------------------------------------------------------------------

    def take(self, number: int, generation: int, lost: Collection[Claim] = ()) -> bool:
        """Claim a trial; False where somebody else did, and nothing is left of the claim.

        Args:
            lost: claims that still stand, and were judged to be nobody's any more.

        Raises:
            BackendError: the store does not answer.
        """
        with self._putting:
            try:
                self._put(number, generation, self._content({}))
                # A folder's listing may miss a file that is replaced meanwhile: not twice.
                looks = 2 if self._is_filesystem else 1
                known = {claim.info.key for claim in lost}
                is_mine = all(self._is_alone(number, generation, known) for _ in range(looks))
            except BackendError:
                self._withdraw_quietly(number, generation)
                raise
            if is_mine:
                self._held[number] = Held(generation, {}, monotonic())
            else:
                self._put(number, generation, b"")
            return is_mine

    def _is_alone(self, number: int, generation: int, lost: set[str]) -> bool:
        """Nobody else claims this generation or an earlier one, nor ever claimed a later one.

        An earlier one may have been given back, and taken again, after it was judged to be lost.
        """
        return not any(
            claim.generation > generation
            or (claim.stands and claim.writer != self.writer and claim.info.key not in lost)
            for claim in self._since(number, generation)
        )

    def _since(self, number: int, generation: int) -> list[Claim]:
        """The claims to a trial in all generations up to the one after this."""
        if not self._is_folder:
            return list(self._listed(self._keys.claims_of(self._sweep, number)))
        pair = (self._keys.claims_to(self._sweep, number, g) for g in range(generation + 2))
        return [claim for prefix in pair for claim in self._listed(prefix)]

    def decide(self, number: int, params: Mapping[str, JsonValue], *, tell: bool) -> None:
        """Note the parameters of a trial that this process has.

        Args:
            tell: put them into the claim at once: nothing else leads to them if we die now.

        Raises:
            BackendError: the store does not answer.
        """
        with self._lock:
            held = self._held[number]
            self._held[number] = held._replace(params=params)
        if tell:
            with self._putting:
                self._put(number, held.generation, self._content(params))

    def held(self, number: int) -> Held | None:
        return self._held.get(number)

    @property
    def all_held(self) -> list[int]:
        return sorted(self._held)

    def drop(self, number: int) -> Held | None:
        """Have a trial no longer, from this moment on. Its claim stays, and is not put again."""
        with self._lock:
            return self._held.pop(number, None)

    def withdraw(self, number: int, generation: int) -> None:
        """Take a claim back in the store, unless the trial was offered again meanwhile.

        Raises:
            BackendError: the store does not answer.
        """
        with self._putting:
            if number in self._held:
                return  # taken once more by another thread
            since = self._since(number, generation)
            if not any(claim.generation > generation for claim in since):
                self._put(number, generation, b"")

    def abandon(self, number: int) -> None:
        """Take back a claim of which nothing was written yet."""
        held = self.drop(number)
        if held is None:
            return
        try:
            self.withdraw(number, held.generation)
        except BackendError:
            return  # it falls silent, and is offered again

    def _withdraw_quietly(self, number: int, generation: int) -> None:
        try:
            self._put(number, generation, b"")
        except BackendError:
            return  # it falls silent, and is offered again

    # Staying -------------------------------------------------------------------------------

    def beat(self) -> None:
        """Put again what is due, so that others see that this process lives."""
        due = monotonic() - self.interval
        for number, held in list(self._held.items()):
            if held.beaten <= due:
                self._beat(number)

    def _beat(self, number: int) -> None:
        with self._putting:
            held = self._held.get(number)
            if held is None:
                return
            try:
                self._put(number, held.generation, self._content(held.params))
            except BackendError as error:
                self._warner.warn(
                    f"{self._store.url} does not hear that trial {number} of sweep {self._sweep} "
                    f"goes on: {error} It is offered to others if that lasts {self._silence:.0f} s."
                )
                return
        with self._lock:
            if number in self._held:
                self._held[number] = self._held[number]._replace(beaten=monotonic())

    def may_be_lost(self, number: int) -> bool:
        """Whether the store has not heard of this process for so long that others may have it."""
        held = self._held.get(number)
        return held is not None and monotonic() - held.beaten > self._silence - self.interval

    @property
    def _silence(self) -> float:
        return max(self.patience, 5 * self.interval)

    # Inside --------------------------------------------------------------------------------

    def _content(self, params: Mapping[str, JsonValue]) -> bytes:
        told = {"t": clock.now(), "interval": self.interval, **self._process}
        return orjson.dumps({**told, "params": dict(params)} if params else told)

    def _put(self, number: int, generation: int, data: bytes) -> None:
        """Put a claim, or withdraw it.

        A withdrawal that got no answer may arrive later: what is claimed after it lies elsewhere.
        """
        try:
            self._put_at(self._key(number, generation), data)
        except BackendError:
            if not data:
                self._tries[number, generation] += 1
            raise

    def _key(self, number: int, generation: int) -> str:
        tries = self._tries[number, generation]
        name = f"{self.writer}.{tries}" if tries else self.writer
        return self._keys.claim(self._sweep, number, generation, name)

    def _put_at(self, key: str, data: bytes) -> None:
        if self._is_folder:
            self._store.folder.put_hint(key, data)  # after a power loss nobody has anything
        else:
            self._store.backend.put(key, data)


def writer_id() -> str:
    """An id for a writer of a sweep; a clock of another millennium does not hide it."""
    writer = names.new_writer_id()
    return writer if writer.startswith(keys.SWEEP_WRITER) else f"{keys.SWEEP_WRITER}-{writer}"


class _Sight(NamedTuple):
    """How a claim was last seen: its tag, since when it is so, whether another was seen before."""

    tag: str
    since: float
    changed: bool


class Others:
    """Tells whose claims still live, as `liveness` does for runs.

    A claim is compared with its earlier self by this process's own clock; only one that did not
    change before its eyes for two intervals, of a writer that gave no other sign, is judged by the
    writer's clock, which may be wrong by hours.
    """

    def __init__(self, store: Store, patience: float) -> None:
        self._store, self._patience = store, patience
        self._seen: dict[str, _Sight] = {}
        self._contents: dict[str, Mapping[str, Any]] = {}  # writer → what its first claim says
        self._signs: dict[str, float] = {}  # writer → when something of it was new
        self._times: dict[str, tuple[str, float]] = {}  # key → its tag, when it was put

    def lives(self, claim: Claim) -> bool:
        said = self._look(claim)
        seen = self._seen[claim.info.key]
        if not said:  # withdrawn since it was listed, or damaged
            return monotonic() - seen.since <= self._patience
        if processes.is_gone(said):  # type: ignore[arg-type]  # it checks what it is given
            return False
        interval = said.get("interval")
        usual = float(interval) if isinstance(interval, (int, float)) else 0.0
        patience = max(self._patience, 5 * usual)
        if monotonic() - seen.since > patience:
            return False
        sign = self._signs.get(claim.writer, float("-inf"))
        if seen.changed or monotonic() - sign <= patience:
            return True
        if monotonic() - seen.since <= _LOOK * usual:
            return True  # whoever lives puts it again meanwhile, however wrong their clock is
        return clock.now() - self._time_of(claim) <= patience

    def _look(self, claim: Claim) -> Mapping[str, Any]:
        """What its writer said first; and how the claim looks now is kept."""
        key, tag = claim.info.key, claim.info.tag
        if not self._contents.get(claim.writer):
            self._contents[claim.writer] = self.content(key)
        elif key not in self._seen or self._seen[key].tag != tag:
            self._signs[claim.writer] = monotonic()
        known = self._seen.get(key)
        if known is None or known.tag != tag:
            self._seen[key] = _Sight(tag, monotonic(), known is not None)
        return self._contents[claim.writer]

    def _time_of(self, claim: Claim) -> float:
        """When it was put, by its writer's clock."""
        key, tag = claim.info.key, claim.info.tag
        known = self._times.get(key)
        if known is None or known[0] != tag:
            t = self.content(key).get("t")
            self._times[key] = known = (tag, float(t) if isinstance(t, (int, float)) else 0.0)
        return known[1]

    def content(self, key: str) -> Mapping[str, Any]:
        """What a claim says; nothing where it is gone, withdrawn or damaged."""
        try:
            said = orjson.loads(self._store.backend.get(key))
        except (BlobMissing, ValueError):
            return {}
        return said if isinstance(said, dict) else {}
