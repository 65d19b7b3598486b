"""Everything between a run and a store that is no folder of this machine, put together.

What is logged goes to the spool. Three threads that never touch the training loop bring it on: one
ships logs and hears what others wrote, one uploads files, one takes over what dead processes left.
The keeper hashes and syncs as ever. Whoever ends waits here, and never for long.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from podstack import config, locks
from podstack.backend import Backend
from podstack.clock import monotonic
from podstack.console import Progress, readable_bytes, warn
from podstack.endings import endings
from podstack.errors import BackendError
from podstack.keeper import Keeper, keeper
from podstack.keys import Project
from podstack.shipper import Shipper
from podstack.spool import LOCK, Spool

_GLANCE = 0.05  # seconds
_FAILING = 2.0  # seconds that one run's end waits for a store that has not been answering
_ANSWER = 5.0  # seconds that one question may hold up the end of a run
_OVER = 10.0  # seconds that anybody waits for what other processes left
_CLEARING = 5.0  # seconds that the end of a process waits for its spool to be emptied

Ask = Callable[[], bool]


def home_of(uri: str) -> Path:
    """The folder of all spools on this machine that are meant for `uri`."""
    digest = hashlib.sha256(uri.encode("utf-8", "replace")).hexdigest()
    return config.spool_folder() / digest[:12]


class _Files:
    """Those of one shipper, as the thread that uploads them keeps them in mind."""

    def __init__(self, shipper: Shipper) -> None:
        self._shipper = shipper

    def tick(self) -> None:
        self._shipper.upload_again()


class Delivery:
    """Brings what this process records to one project of one store."""

    def __init__(self, uri: str, remote: Backend, project: Project) -> None:
        self._uri, self._remote, self._project = uri, remote, project
        self.spool = Spool(home_of(uri), uri, self._opened)
        self._shipper = Shipper(self.spool, remote, project)
        self.courier = Keeper("podstack-shipper")
        self._files = _Files(self._shipper)
        self._porter = Keeper("podstack-uploads")
        self._heir = Keeper("podstack-adoption")

    def _opened(self) -> None:
        """This process has a spool: a forked child too, which has none of its parent's threads."""
        self.courier.keep(self._shipper)
        endings.sends(self)

    def began(self) -> None:
        """A run begins. What dead processes left is sent beside it."""
        self._shipper.began()
        self._heir.submit(self._adopting())

    # While it runs -------------------------------------------------------------------------

    def holds(self, run: str) -> bool:
        """Whether this process has lines of a run that are not in the store, or may not be."""
        return any(True for _ in self.spool.list(self._project.metrics(run)))

    @property
    def pause(self) -> float:
        """Seconds between two looks for what others wrote: as often as logs are shipped."""
        return min(30.0, self._shipper.interval)

    def asked(self, question: Ask, timeout: float) -> bool:
        """The answer to something that takes a request, or False if there is none soon."""
        if self._shipper.is_failing:
            return False
        answers: list[bool] = []

        def asking() -> Iterator[None]:
            yield
            try:
                answers.append(question())
            except BackendError:
                return

        self.courier.submit(asking())
        try:
            self.courier.wait(min(_ANSWER, timeout))
        except KeyboardInterrupt:
            endings.in_haste = True
            raise
        return answers == [True]

    def file_waits(self) -> None:
        """A file was logged, or got its hash: bring it on, also after an outage."""
        self._porter.keep(self._files)
        self._porter.submit(self._shipper.upload(lambda succeeded: None))

    def nudge(self, began: Callable[[], None]) -> None:
        """Ship logs soon, unless the store is not answering. Nobody waits for it.

        Args:
            began: called when it begins: what is written later needs another nudge.
        """
        self.courier.submit(self._nudged(began))

    def _nudged(self, began: Callable[[], None]) -> Iterator[None]:
        yield
        began()
        if self._shipper.may_try:
            yield from self._shipper.ship(lambda succeeded: None)

    def flush(self, timeout: float | None) -> bool:
        """Wait until the store has all that was logged: True once it says so.

        False if the time ran out, or the store does not answer or refuses.
        """
        deadline = monotonic() + (float("inf") if timeout is None else timeout)
        synced = keeper.wait(timeout)
        return self._sent(max(0.0, deadline - monotonic())) and synced

    def _sent(self, timeout: float) -> bool:
        """One attempt at everything."""
        results: list[bool] = []
        deadline = monotonic() + timeout
        self._porter.submit(self._shipper.upload(results.append))
        files = self._porter.wait(_seconds(deadline))
        self.courier.submit(self._shipper.ship(results.append))
        logs = self.courier.wait(_seconds(deadline))
        return files and logs and results == [True, True]

    # Its end -------------------------------------------------------------------------------

    def finish(self, run: str, writer: str, timeout: float, *, adopt: bool) -> None:
        """A writer of a run is done: bring the rest to the store, as long as that answers.

        A store that has not been answering is tried once more. What it does not take then is
        tried in the background, and told of at the end of the process.

        Args:
            adopt: also what forked children left of it. Not after a Ctrl-C: nobody wants to wait,
                and whatever is loaded then turns Python's exit by SIGINT into a 1.
        """
        keeper.submit(self._closing(run, writer))
        if endings.in_haste:
            return
        deadline = self._bring_rest(timeout)
        if adopt and not self._shipper.is_failing:
            self.adopt(min(_OVER, _seconds(deadline)))  # what its forked children left

    def _closing(self, run: str, writer: str) -> Iterator[None]:
        """A job: the keeper has sealed its log by now, which is the last that is written there."""
        yield
        self._shipper.closed(run, writer)

    def finish_log(self, key: str, timeout: float) -> None:
        """The same for a log that belongs to no run, and that nothing more is written to."""
        self._shipper.closed_log(key)
        if not endings.in_haste:
            self._bring_rest(timeout)

    def _bring_rest(self, timeout: float) -> float:
        """Try for `timeout` seconds, for fewer where the store is failing; when they are over."""
        patience = min(timeout, _FAILING) if self._shipper.is_failing else timeout
        deadline = monotonic() + patience
        keeper.wait(_seconds(deadline))  # its last lines are sealed, its files have their names
        self._wait(deadline, insist=not self._shipper.is_failing)
        return deadline

    def closed(self, run: str, writer: str) -> None:
        """A writer of a run is done, and nobody has time to wait."""
        self._shipper.closed(run, writer)

    def closed_log(self, key: str) -> None:
        """The same for a log that belongs to no run."""
        self._shipper.closed_log(key)

    def send_at_once(self, timeout: float) -> None:
        """From a signal handler: one attempt at what is left, and no word of it."""
        self._sent(timeout)

    def send_rest(self, timeout: float) -> None:
        """At the end of the process: wait for what is left, then say what could not be sent."""
        if not self.spool.is_open:
            return
        if timeout > 0:
            self._empty(timeout)
        self._tell_what_is_left()
        self.courier.forget(self._shipper)
        self._porter.forget(self._files)
        self.spool.close()

    def _empty(self, timeout: float) -> None:
        """Send what is left. What the store has, but was not seen to have, lies here a moment more.

        Else the end of a process could cut off the look at the store after which a spool is
        emptied, and its files would stay for the next run.
        """
        if self._shipper.left:
            self._wait(monotonic() + timeout, insist=True)
        elif any(True for _ in self.spool.list()):
            self._wait(monotonic() + min(timeout, _CLEARING), insist=False)

    def _wait(self, deadline: float, *, insist: bool) -> None:
        """Try until all is there; once, unless one insists; again while the store may answer."""
        progress = Progress(f"sending to {self._uri}", max(1, self._shipper.left))
        try:
            while not (self._may_try(insist) and self._attempt(deadline, progress)):
                over = monotonic() >= deadline or self._shipper.is_denied
                if over or not insist:
                    return
                _pause()
        except KeyboardInterrupt:
            endings.in_haste = True
            raise
        finally:
            progress.close()

    def _may_try(self, insist: bool) -> bool:
        """One who tries but once does not wait for the pause after a failure to be over."""
        return self._shipper.may_try or not (insist or self._shipper.is_denied)

    def _attempt(self, deadline: float, progress: Progress) -> bool:
        """The same as `_sent`, with a bar."""
        results: list[bool] = []
        self._porter.submit(self._shipper.upload(results.append))
        whole, done = max(1, self._shipper.left), 0
        while not self._porter.wait(min(0.2, _seconds(deadline))) and monotonic() < deadline:
            sent = whole - self._shipper.left
            progress.advance(sent - done)
            done = sent
        self.courier.submit(self._shipper.ship(results.append))
        self.courier.wait(_seconds(deadline))
        return results == [True, True]

    def _tell_what_is_left(self) -> None:
        left = self._shipper.left
        if left:
            reason = f" ({self._shipper.error})" if self._shipper.error else ""
            warn(
                f"{readable_bytes(left)} are not yet in {self._uri}{reason}. They wait in "
                f"{self.spool.url}, and go with the next run on this machine, or now: podstack sync"
            )

    # What others left ----------------------------------------------------------------------

    def adopt(self, timeout: float = _OVER) -> None:
        """Send what processes of this machine left that are gone, and wait for it a little."""
        self._heir.submit(self._adopting())
        self._heir.wait(timeout)

    def others_with(self, run: str) -> list[Path]:
        """The spools for this store on this machine, but the own one, in which lines of a run wait.

        Of processes that are gone, of others that live, and of another client in this one.
        """
        own, meta = Path(self.spool.url), self._project.meta(run)
        return sorted(one for one in self._spools() if one != own and (one / meta).is_dir())

    def _spools(self) -> list[Path]:
        """The folders of all spools for this store on this machine."""
        try:
            with os.scandir(self.spool.home) as entries:
                return [Path(entry.path) for entry in entries if entry.is_dir()]
        except OSError:
            return []

    def _is_something_left(self) -> bool:
        """Whether a spool here belongs to nobody. Loads nothing: Python may be ending."""
        locked = [folder / LOCK for folder in self._spools()]
        return any(lock.exists() and not locks.is_taken(lock) for lock in locked)

    def _adopting(self) -> Iterator[None]:
        """A job: send the spools that belong to nobody."""
        yield
        if not self._is_something_left():
            return
        from podstack import spools  # 20 ms

        spools.tidy(self.spool.home)
        for spool in spools.waiting(self._uri):
            if not spool.owned and not spool.is_offline:
                try:
                    # By this thread alone: the interpreter waits for a pool's, whatever they do.
                    spools.send(spool, self._remote, patience=0.0, in_flight=1)
                except BackendError:
                    return  # the store does not answer, which is told elsewhere
                yield


def _seconds(deadline: float) -> float:
    return max(0.0, deadline - monotonic())


def _pause() -> None:
    threading.Event().wait(_GLANCE)
