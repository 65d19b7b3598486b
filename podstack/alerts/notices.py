"""Notices of alerts on their way out.

A `Mailbox` stands before each receiver, with a thread of its own that begins with the first
notice and ends when none comes. `put` never waits: a receiver that is slow, dead or raises delays
neither training nor other receivers. The end of the interpreter waits for it, 5 s at most.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from weakref import WeakValueDictionary

from podstack import config
from podstack.alerts.receivers import Address, Function, Notice, NotTaken, Receiver, TheLog
from podstack.clock import monotonic
from podstack.console import Warner, tell_of_failure, warn
from podstack.errors import PodstackError, UsageError, WrongTypeError
from podstack.forks import renew_in_child
from podstack.names import printable

WAITING = 1000  # notices that wait for one receiver; the next ones are dropped and counted
AT_EXIT = 5.0  # seconds that the end of the interpreter waits for receivers
MAX_ADDRESSES = 20
_PAUSES = (1.0, 4.0)  # seconds before the second and the third try
_IDLE = 5.0  # seconds after which a thread that has nothing to do ends
_MAX_ADDRESS = 8_000  # characters

Notify = Callable[[Notice], object] | str | Sequence[str] | None


class Mailbox:
    """A receiver, what waits for it, and the thread that hands it over.

    `put` is safe from any thread and from signal handlers. In a forked child the box is empty:
    what waited is the parent's to deliver.
    """

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._warner = Warner()
        self.renew_in_child()
        renew_in_child(self)

    def renew_in_child(self) -> None:
        self._waiting: SimpleQueue[Notice | threading.Event] = SimpleQueue()
        self._free = {True}  # taking the one element out is atomic: whoever does starts the thread
        self._hurry = threading.Event()
        self._is_delivering = False
        self._dropped = 0

    def put(self, notice: Notice) -> None:
        if self._waiting.qsize() < WAITING:
            self._waiting.put(notice)
        else:
            self._dropped += 1
        self._start()

    @property
    def left(self) -> int:
        """Notices that were not handed over yet."""
        return self._waiting.qsize() + self._is_delivering

    def wait(self, deadline: float) -> bool:
        """Wait until what was put so far is handed over or given up; False at the deadline."""
        if self._free and self._waiting.empty():
            return True
        done = threading.Event()
        self._waiting.put(done)
        self._start()
        return done.wait(max(0.0, deadline - monotonic()))

    def hurry(self) -> None:
        """Pause no longer between tries."""
        self._hurry.set()

    def _start(self) -> None:
        if not self._take_turn():
            return
        thread = threading.Thread(target=self._work, name="podstack-notices", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads, or the interpreter is going down
            self._free.add(True)
            self._warner.warn(f"no thread for the notices of alerts ({error})")

    def _take_turn(self) -> bool:
        try:
            self._free.remove(True)
        except KeyError:
            return False  # a thread is at it
        return True

    def _work(self) -> None:
        try:
            self._serve()
        except BaseException:  # not even a failure could be told: the next notice tries again
            self._free.add(True)
            raise

    def _serve(self) -> None:
        while True:
            try:
                item = self._waiting.get(timeout=_IDLE)
            except Empty:
                self._free.add(True)
                if self._waiting.empty() or not self._take_turn():
                    return
                continue
            self._hand_over(item)

    def _hand_over(self, item: Notice | threading.Event) -> None:
        if isinstance(item, threading.Event):
            item.set()
            return
        self._is_delivering = True
        try:
            self._deliver(item)
        finally:
            self._is_delivering = False
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            warn(f"{self._receiver.name} is too slow: {dropped} notices of alerts were dropped")

    def _deliver(self, notice: Notice) -> None:
        for again in range(self._receiver.tries):
            if again:
                self._hurry.wait(_PAUSES[again - 1])
            try:
                self._receiver.deliver(notice)
                return
            except NotTaken as error:
                reason = str(error)
                if error.is_final:
                    break
            except SystemExit:
                reason = "it called sys.exit"
            except Exception as error:  # noqa: BLE001  # a thread's outermost frame: told
                self._tell(notice, error)
                return
        self._warner.warn(f"not taken by {self._receiver.name}: {reason}. {notice}")

    def _tell(self, notice: Notice, error: Exception) -> None:
        """A function's traceback helps its author; what apprise raises may hold an address."""
        if self._receiver.is_secret:
            kind = type(error).__name__
            self._warner.warn(f"not taken by {self._receiver.name}: {kind}. {notice}")
        else:
            tell_of_failure(f"{self._receiver.name} failed. {notice}", error)


_mailboxes: WeakValueDictionary[object, Mailbox] = WeakValueDictionary()
_is_hooked = False


def mailboxes_of(notify: Notify) -> list[Mailbox]:
    """Where the firings of an alert go: the log, what was asked for, and PODSTACK_NOTIFY.

    Raises:
        MissingExtraError: there is an address, and apprise is not installed.
        WrongTypeError, UsageError: `notify` is no function and no address that apprise knows.
    """
    functions, addresses = _asked(notify)
    everyones = map(_checked_address, config.notify_urls())
    addresses = list(dict.fromkeys([*addresses, *everyones]))
    if len(addresses) > MAX_ADDRESSES:
        raise UsageError(
            f"An alert is sent to at most {MAX_ADDRESSES} addresses, not {len(addresses)}. "
            "Send it to a list or a channel."
        )
    return [
        _mailbox("", TheLog),
        *(_mailbox(id(function), partial(Function, function)) for function in functions),
        *(_mailbox(address, partial(Address, address)) for address in addresses),
    ]


def everyones_mailboxes() -> list[Mailbox]:
    """Where an alert goes that another process made: the log and PODSTACK_NOTIFY."""
    try:
        return mailboxes_of(None)
    except PodstackError as error:
        warn(f"alerts go to the log alone: {error}")
        return [_mailbox("", TheLog)]


def _asked(notify: Notify) -> tuple[list[Callable[[Notice], object]], list[str]]:
    if notify is None:
        return [], []
    if callable(notify):
        return [_checked_function(notify)], []
    addresses = [notify] if isinstance(notify, str) else notify
    if not isinstance(addresses, (list, tuple, set, frozenset)):
        raise WrongTypeError(
            "notify is a function, an apprise address such as 'mailto://…', or a list of "
            f"addresses, not a {type(notify).__name__}."
        )
    return [], [_checked_address(address) for address in addresses]


def _checked_function(function: Callable[[Notice], object]) -> Callable[[Notice], object]:
    import inspect

    if inspect.iscoroutinefunction(function):
        raise WrongTypeError(
            "notify is an async function, which nobody would await. Give it a plain one, "
            "such as lambda notice: asyncio.run(send(notice))."
        )
    return function


def _checked_address(address: object) -> str:
    if not isinstance(address, str):
        raise WrongTypeError(f"An address in notify is a string, not a {type(address).__name__}.")
    if "://" not in address or len(address) > _MAX_ADDRESS or printable(address) != address:
        raise UsageError(
            f"An address in notify or PODSTACK_NOTIFY, of {len(address)} characters and not shown, "
            "is none: one looks like 'slack://…', 'mailto://…' or 'json://host/path', on one line."
        )
    return address


def _mailbox(key: object, make: Callable[[], Receiver]) -> Mailbox:
    """One for each receiver, whatever the number of alerts that it hears of."""
    global _is_hooked
    known = _mailboxes.get(key)
    if known is None:
        known = _mailboxes[key] = Mailbox(make())
    if not _is_hooked:
        _is_hooked = True
        atexit.register(_at_exit)
    return known


def wait(timeout: float) -> int:
    """Wait until all that was fired is handed over or given up; how many notices are left."""
    boxes, deadline = list(_mailboxes.values()), monotonic() + timeout
    unfinished = [box for box in boxes if not box.wait(deadline)]
    return sum(max(0, box.left - 1) for box in unfinished)  # the last one is the mark of the wait


def _at_exit() -> None:
    for box in list(_mailboxes.values()):
        box.hurry()
    left = wait(AT_EXIT)
    if left:
        warn(
            f"{left} notices of alerts were not taken within {AT_EXIT:.0f} s; "
            "what fired is kept in the runs"
        )
