"""Who hears of an alert: the log `podstack`, a function of the user's, or any apprise address.

An address is a secret: it is never stored, shown, logged or put into an error. What is sent is
text, whatever names and messages hold.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from podstack.clock import readable
from podstack.console import warn
from podstack.errors import MissingExtraError, UsageError
from podstack.names import printable, short

_TRIES = 3


class Notice(NamedTuple):
    """One firing of an alert, as its receivers get it."""

    run_id: str
    run_name: str
    experiment: str  # id
    condition: str
    message: str
    metric: str  # the first one that the condition names
    value: float  # what that metric was
    step: int
    time: float  # epoch seconds
    url: str  # the store that the run is in

    @property
    def title(self) -> str:
        return printable(f'run {self.run_name}: alert "{self.condition}"')

    @property
    def reading(self) -> str:
        """`val_loss = 2.31 at step 120`."""
        return printable(f"{self.metric} = {self.value:.6g} at step {self.step}")

    def __str__(self) -> str:
        """One line, whatever names and message hold."""
        message = f" — {printable(self.message)}" if self.message else ""
        return f"{self.title}: {self.reading}{message}"


class NotTaken(Exception):
    """A receiver did not take a notice; the text says why, without its address."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final  # the next try would not help


class Receiver(Protocol):
    name: str
    tries: int
    is_secret: bool  # what it raises may hold an address, and is not shown

    def deliver(self, notice: Notice) -> None:
        """Hand a notice over; whatever it raises is told, and never reaches training."""


class TheLog:
    """The logger `podstack`."""

    name = "the log"
    tries = 1
    is_secret = False

    def __init__(self) -> None:
        import logging  # noqa: F401  # now: a child forked while a thread imports it has half of it

    def deliver(self, notice: Notice) -> None:
        warn(str(notice))


class Function:
    """A function of the user's."""

    tries = 1  # it may have done its work before it raised
    is_secret = False

    def __init__(self, function: Callable[[Notice], object]) -> None:
        self._function = function
        self.name = f"the function {short(getattr(function, '__name__', type(function).__name__))}"

    def deliver(self, notice: Notice) -> None:
        self._function(notice)


class Address:
    """One apprise address: mail, Slack, Discord, Teams, a webhook, the desktop …

    Redirects are not followed: they would carry the secret in the address elsewhere.
    """

    tries = _TRIES
    is_secret = True

    def __init__(self, address: str) -> None:
        scheme = address.partition(":")[0]
        self.name = f"the {scheme}:// address" if scheme.isalnum() else "the address"
        self._apprise = _opened(address, self.name)

    def deliver(self, notice: Notice) -> None:
        lines = [f"{notice.reading}.", *map(printable, notice.message.splitlines())]
        where = printable(f"run {notice.run_id}, {readable(notice.time)}, {notice.url}")
        with _Hushed() as heard:
            taken = self._apprise.notify(
                title=notice.title, body="\n".join([*lines, where]), body_format="text"
            )
        if not taken:
            raise refusal(heard.status)


def refusal(status: str | None) -> NotTaken:
    """What an HTTP status means for the next try; None where there was no answer."""
    if status is None:
        return NotTaken("it does not answer")
    is_final = status[0] in "34" and status not in ("408", "429")
    return NotTaken(f"it answered {status}", is_final=is_final)


def _opened(address: str, name: str) -> Any:
    """
    Raises:
        MissingExtraError: apprise is not installed.
        UsageError: apprise does not know such an address. It is not shown.
    """
    apprise = _apprise()
    asset = _asset(apprise)
    with _Hushed(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of all its services, which it loads now
        try:
            service = apprise.Apprise.instantiate(address, asset=asset)
        except Exception:  # noqa: BLE001  # a plug-in may raise anything, with the address in it
            service = None
    if service is None:
        raise UsageError(
            f"apprise cannot use {name} in notify or PODSTACK_NOTIFY; it is not shown, for it may "
            "hold a password. Look its form up: https://appriseit.com/services"
        )
    service.redirects = False
    everyone = apprise.Apprise(asset=asset)
    everyone.add(service)
    return everyone


def _asset(apprise: Any) -> Any:
    """Sent as podstack, on our own thread: apprise's pool would have to be waited for at exit."""
    ours = {"app_id": "podstack", "app_desc": "podstack", "image_url_mask": "", "async_mode": False}
    try:
        return apprise.AppriseAsset(**ours, service_timeout=0)  # 0: no pool to enforce one
    except (AttributeError, TypeError):  # a version that has no pool for a single address
        return apprise.AppriseAsset(**ours)


def _apprise() -> Any:
    try:
        import apprise  # 160 ms
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "apprise":
            raise  # a broken apprise is not a missing one
        raise MissingExtraError(
            "apprise is not installed, which sends alerts to addresses. "
            "Run: pip install 'podstack[notify]', or give notify a function."
        ) from error
    return apprise


class _Hushed:
    """Keeps what apprise and its connections log in this thread unheard: it may hold an address.

    `status` is the HTTP status among it, if there was one.
    """

    _LOGGERS = ("apprise", "urllib3.connectionpool")
    _STATUS = re.compile(r"error=(\d{3})\b")

    def __init__(self) -> None:
        self.status: str | None = None
        self._thread = threading.get_ident()

    def filter(self, record: Any) -> bool:
        if record.thread != self._thread:
            return True
        found = self._STATUS.search(record.getMessage())
        self.status = found[1] if found else self.status
        return False

    def __enter__(self) -> _Hushed:
        import logging

        for logger in self._LOGGERS:
            logging.getLogger(logger).addFilter(self.filter)
        return self

    def __exit__(self, *_: object) -> None:
        import logging

        for logger in self._LOGGERS:
            logging.getLogger(logger).removeFilter(self.filter)
