"""Sending a notice by mail, through the mail server that somebody of a team named.

`mailtos://user:password@example.org?to=a@example.org,b@example.org&smtp=mail.example.org&mode=ssl`:
apprise's form, but the mail server is the one that is named, and its address is checked and kept
to as that of a webhook is.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import threading
from email.message import EmailMessage
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from podstack.addresses import MAX_URL, Allowed, plain_host
from podstack.alerts.receivers import Notice, NotTaken
from podstack.clock import readable
from podstack.errors import UsageError
from podstack.names import printable
from podstack.server.webhooks import TIMEOUT, resolved

PORTS = {"starttls": 587, "ssl": 465, "insecure": 25}  # by mode

_WHOLE = 15.0  # seconds for all of a mail; a single answer has TIMEOUT
_MOST = 20  # addresses of one target
_URL = re.compile(r"[!-~]+")
_MAILBOX = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}")
_OPTIONS = frozenset(("to", "from", "smtp", "mode"))


class Postbox(NamedTuple):
    """A mail server and who writes to whom."""

    host: str
    port: int
    mode: str
    user: str
    password: str
    sender: str
    to: tuple[str, ...]

    def __repr__(self) -> str:
        return "Postbox(…)"


def postbox(url: str) -> Postbox:
    """What a mail URL says.

    Raises:
        UsageError: it is none. The URL is a secret, so the message does not show it.
    """
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        port, user, password = parts.port, parts.username, parts.password
    except ValueError:
        raise _no_mail("it cannot be read") from None
    if len(url) > MAX_URL or not _URL.fullmatch(url) or options.keys() - _OPTIONS or "#" in url:
        raise _no_mail(f"it takes {', '.join(sorted(_OPTIONS))} and nothing else")
    mode = options.get("mode", "starttls")
    if mode not in PORTS or parts.path not in ("", "/"):
        raise _no_mail(f"its mode is one of {', '.join(PORTS)}, and it has no path")
    login = unquote(user or "")
    domain = plain_host(parts.hostname or "")
    sender = options.get("from") or (login if "@" in login else f"{login}@{domain}")
    to = tuple(address.strip() for address in options.get("to", sender).split(","))
    return _checked(
        Postbox(
            plain_host(options.get("smtp", domain)),
            port or PORTS[mode],
            mode,
            login,
            unquote(password or ""),
            sender,
            to,
        )
    )


def _checked(found: Postbox) -> Postbox:
    if len(found.to) > _MOST or not all(map(_MAILBOX.fullmatch, (found.sender, *found.to))):
        raise _no_mail(f"it has 1 to {_MOST} mail addresses")
    if printable(found.user) != found.user or printable(found.password) != found.password:
        raise _no_mail("user and password are text on one line")
    return found


class Mail:
    """A receiver behind a mail server. Whom the server refuses gets nothing; nothing is retried
    once a mail was taken for anybody."""

    tries = 3
    is_secret = True

    def __init__(self, name: str, box: Postbox, allowed: Allowed) -> None:
        self.name = name
        self._box, self._allowed = box, allowed

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        return self._box.host, self._box.port

    def deliver(self, notice: Notice) -> None:
        box = self._box
        address = resolved(box.host, box.port, self._allowed)
        try:
            self._send(address, written(notice, box))
        except smtplib.SMTPAuthenticationError:
            raise NotTaken("it refuses the login", is_final=True) from None
        except TimeoutError:
            raise NotTaken(f"it did not answer within {TIMEOUT:.0f} s") from None
        except (OSError, ValueError) as error:  # smtplib's own are among them
            raise NotTaken(f"it does not take the mail ({type(error).__name__})") from None

    def _send(self, address: str, message: EmailMessage) -> None:
        box = self._box
        kind = _PinnedTls if box.mode == "ssl" else _Pinned
        with kind(box.host, box.port, address) as connection:
            watch = threading.Timer(_WHOLE, connection.cut)
            watch.start()
            try:
                if box.mode == "starttls":
                    connection.starttls(context=ssl.create_default_context())
                if box.user and box.password:
                    connection.login(box.user, box.password)
                connection.send_message(message)
            finally:
                watch.cancel()


def written(notice: Notice, box: Postbox) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = notice.title[:200]
    message["From"] = box.sender
    message["To"] = ", ".join(box.to)
    lines = [f"{notice.reading}.", *map(printable, notice.message.splitlines())]
    where = printable(f"run {notice.run_id}, {readable(notice.time)}, {notice.url}")
    message.set_content("\n".join([*lines, where]))
    return message


class _Pinned(smtplib.SMTP):
    """Talks to one address, under the name that leads there."""

    def __init__(self, host: str, port: int, address: str) -> None:
        self._address = address
        super().__init__(host, port, local_hostname="podstack", timeout=TIMEOUT)

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        del host
        return socket.create_connection((self._address, port), timeout)

    def cut(self) -> None:
        """End a talk that takes too long."""
        if self.sock is not None:
            self.sock.close()


class _PinnedTls(_Pinned):
    """The same, in TLS from the first byte on."""

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        plain = super()._get_socket(host, port, timeout)
        return ssl.create_default_context().wrap_socket(plain, server_hostname=host)


def _no_mail(why: str) -> UsageError:
    return UsageError(
        "A mail target looks like mailtos://user:password@example.org?to=a@example.org"
        f"&smtp=mail.example.org: {why}. It is not shown here."
    )
