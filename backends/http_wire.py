"""Requests to one podstack server: pooled connections, time limits, a few tries for reading.

The token goes into one header and nowhere else. Redirects are never followed. Each process has
connections of its own: a child of a fork never speaks on those of its parent.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from podstack.backends.http_answers import Answer, Place, failure
from podstack.errors import BackendUnavailable, MissingExtraError, PodstackError

try:
    import urllib3
    from urllib3.exceptions import HTTPError, ProtocolError, TimeoutError
except ModuleNotFoundError as error:
    raise MissingExtraError.for_(error, extra="http", also=("urllib3",)) from error

CONNECT = 5.0  # seconds
READ = 30.0  # seconds without a byte
_TRIES = 4
_PAUSES = (0.2, 0.6, 1.8)  # seconds between tries, each shortened by up to half at random
_CONNECTIONS = 16
_BLOCK = 1 << 18  # bytes that are handed to the system at once
_PASSING = (500, 502, 503, 504)

Body = Callable[[], "bytes | Iterable[bytes] | None"]  # called anew for each try


def no_body() -> None:
    return None


class Wire:
    """Speaks with the server at one URL. Safe from threads and forks; nothing is opened yet."""

    def __init__(
        self, url: str, *, api_token: str | None, ca_bundle: str | None, timeout: float
    ) -> None:
        self.url = url
        self._token = api_token
        self._ca_bundle, self._timeout = ca_bundle, timeout
        # By process, and no lock, which a fork could copy while another thread holds it.
        self._pools: dict[int, Any] = {}

    def read(
        self, path: str, place: Place, *, headers: Mapping[str, str] = {}, most: int | None = None
    ) -> Answer:
        """GET it. Connections that fail and errors that pass are tried again, within seconds.

        Args:
            most: bytes; a longer answer is none.

        Raises:
            BackendUnavailable, BackendError: nobody answers. A refusal is an answer.
        """
        for attempt in range(_TRIES):
            try:
                answer = self._send("GET", path, place, headers, no_body, most)
            except _BrokenError as broken:
                if attempt == _TRIES - 1 or broken.waited:
                    raise broken.error from broken.cause
            else:
                if answer.status not in _PASSING or attempt == _TRIES - 1 or _names_pause(answer):
                    return answer
            _pause(_PAUSES[attempt])
        raise AssertionError("the last try returns or raises")

    def write(
        self,
        method: str,
        path: str,
        place: Place,
        *,
        headers: Mapping[str, str] = {},
        body: Body = no_body,
    ) -> Answer:
        """PUT or DELETE it, once; again only where a kept connection turned out to be closed."""
        try:
            return self._send(method, path, place, headers, body, None)
        except _BrokenError as broken:
            if not broken.stale:
                raise broken.error from broken.cause
        try:
            return self._send(method, path, place, headers, body, None)
        except _BrokenError as broken:
            raise broken.error from broken.cause

    def close(self) -> None:
        pool = self._pools.pop(os.getpid(), None)
        if pool is not None:
            pool.clear()

    def _send(
        self,
        method: str,
        path: str,
        place: Place,
        headers: Mapping[str, str],
        body: Body,
        most: int | None,
    ) -> Answer:
        try:
            response = self._connections().request(
                method,
                f"{self.url}{path}",
                body=body(),
                headers={**self._headers(), **headers},
                preload_content=False,
                decode_content=False,
            )
            try:
                content = _content(response, most)
            except BaseException:
                response.close()  # its connection holds the rest of an answer that nobody wants
                raise
            response.release_conn()
        except PodstackError:
            raise
        except (HTTPError, OSError, ValueError) as error:
            raise _BrokenError(failure(error, place), error) from error
        return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, content)

    def _headers(self) -> dict[str, str]:
        headers = {"user-agent": "podstack", "accept-encoding": "identity"}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        return headers

    def _connections(self) -> Any:
        mine = os.getpid()
        # Of two that are made at once, one stays.
        return self._pools.get(mine) or self._pools.setdefault(mine, self._new_pool())

    def _new_pool(self) -> Any:
        options: dict[str, Any] = {
            "num_pools": 4,
            "maxsize": _CONNECTIONS,
            "blocksize": _BLOCK,
            "retries": False,
            "timeout": urllib3.Timeout(connect=min(CONNECT, self._timeout), read=self._timeout),
            "cert_reqs": "CERT_REQUIRED",
        }
        if self._ca_bundle:
            options["ca_certs"] = self._ca_bundle
        proxy = _proxy_for(self.url)
        if proxy:
            return urllib3.ProxyManager(proxy, **options)
        return urllib3.PoolManager(**options)

    def __repr__(self) -> str:
        return f"Wire({self.url!r})"  # never the token


class _BrokenError(Exception):
    """An exchange that failed: with what, and whether trying again may help."""

    def __init__(self, error: PodstackError, cause: Exception) -> None:
        super().__init__(str(error))
        self.error, self.cause = error, cause

    @property
    def waited(self) -> bool:
        """Whether much time was spent already, or another try would end the same."""
        waited = isinstance(self.cause, TimeoutError) and not isinstance(
            self.cause, urllib3.exceptions.NewConnectionError
        )
        return waited or not isinstance(self.error, BackendUnavailable)

    @property
    def stale(self) -> bool:
        """Whether a kept connection was closed by the server before it read anything."""
        return isinstance(self.cause, ProtocolError) and isinstance(
            self.cause.args[-1], (ConnectionError,)
        )


def _content(response: Any, most: int | None) -> bytes:
    """All of a body.

    Raises:
        ProtocolError: it is cut off, or longer than what was asked for.
    """
    if not response.chunked and response.length_remaining is None and response.status != 204:
        raise ProtocolError("an answer without a length may be cut off")
    if most is None:
        return bytes(response.read())
    parts, size = [], 0
    for part in response.stream(_BLOCK, decode_content=False):
        parts.append(part)
        size += len(part)
        if size > most:
            raise ProtocolError(f"more than {most:,} bytes came")
    return b"".join(parts)


def _names_pause(answer: Answer) -> bool:
    """Whether the server said when to come back, which is not for here to wait for."""
    return "retry-after" in answer.headers


def _proxy_for(url: str) -> str | None:
    """The proxy that the environment names for an address, if it names one."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds * (0.5 + os.urandom(1)[0] / 512))
