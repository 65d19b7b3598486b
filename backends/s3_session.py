"""One process's connections to S3: an s3fs session on fsspec's event loop, made when first asked.

s3fs is not fork-safe, so a child gets a session of its own and leaves the parent's alone. Requests
of any thread run on one loop. Waiting is bounded: 5 s for a connection, 30 s for an answer.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import aiohttp
import s3fs
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.handlers import add_expect_header
from botocore.loaders import Loader, create_loader
from fsspec.asyn import get_loop

from podstack.backends.s3_errors import ClientError, code_of, status_of

T = TypeVar("T")

CONNECT_TIMEOUT = 5
READ_TIMEOUT = 30
_CONNECTIONS = 32
_CLOSING = 2.0  # seconds that the end of a session may take
_PAUSES = (0.1, 0.5)  # s; after these a request has failed, and whoever asked waits longer
_AGAIN = (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, ConnectionResetError)
_CHECKSUMS = ("request_checksum_calculation", "response_checksum_validation")


class S3Session:
    """Runs requests, each one retried twice where the store said that it is busy.

    Args:
        options: what `s3fs.S3FileSystem` takes.
        config: what `botocore.config.Config` takes, beyond what is set here.
        profile: a section of ~/.aws/config.
    """

    def __init__(
        self, options: dict[str, Any], config: dict[str, Any], *, profile: str | None
    ) -> None:
        self._options = options
        self._config = config
        self._profile = profile
        # By process: what a child inherits, it neither uses nor frees.
        self._filesystems: dict[int, s3fs.S3FileSystem] = {}

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One request. An answer's "Body" is read, and is bytes."""
        return finished(self.begin(method, **parameters))

    def begin(self, method: str, **parameters: Any) -> Future[dict[str, Any]]:
        """One request that is waited for later, by `finished`."""
        request = self._request(self._filesystem(), method, parameters)
        return asyncio.run_coroutine_threadsafe(request, _loop())

    def close(self) -> None:
        filesystem = self._filesystems.pop(os.getpid(), None)
        end = getattr(filesystem, "_podstack_end", None)
        if end is not None:
            end()  # once: it is not called again where nobody holds the filesystem any more

    def _filesystem(self) -> s3fs.S3FileSystem:
        mine = os.getpid()
        # No lock, which a fork could copy while it is held: of two made at once, one stays.
        return self._filesystems.get(mine) or self._filesystems.setdefault(mine, self._made())

    def _made(self) -> s3fs.S3FileSystem:
        session = AioSession(profile=self._profile)
        session.register_component("data_loader", _descriptions())
        # It would send a body once the server says so, wait for ever for one that never does
        # (the time limit begins with the body), and take a round trip for each PUT.
        session.unregister("before-call.s3", add_expect_header)
        return s3fs.S3FileSystem(
            **self._options,
            session=session,
            config_kwargs={**_config(), **self._config},
            use_listings_cache=False,
            skip_instance_cache=True,
            asynchronous=True,  # we end the session; s3fs's own way fails in a forked child
        )

    async def _request(
        self, filesystem: s3fs.S3FileSystem, method: str, parameters: dict[str, Any]
    ) -> dict[str, Any]:
        new = getattr(filesystem, "_s3creator", None) is None
        client = await filesystem.set_session()
        if new and "_podstack_end" not in vars(filesystem):
            filesystem._podstack_end = weakref.finalize(
                filesystem, _end, os.getpid(), filesystem._s3creator
            )
        return await _patiently(lambda: _answer(getattr(client, method), parameters))


def finished(future: Future[T]) -> T:
    """The result; the request ends with the one who waits, as by Ctrl-C."""
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


@cache
def _descriptions() -> Loader:
    """botocore's files about S3, read once: a tenth of a second for each session otherwise."""
    return create_loader()


async def _answer(
    method: Callable[..., Awaitable[dict[str, Any]]], parameters: dict[str, Any]
) -> dict[str, Any]:
    answer = await method(**parameters)
    if "Body" in answer:
        async with answer["Body"] as stream:
            answer["Body"] = await stream.read()
    return answer


async def _patiently(request: Callable[[], Awaitable[T]]) -> T:
    for pause in _PAUSES:
        try:
            return await request()
        except ClientError as error:
            if status_of(error) not in (429, 500, 502, 503, 504) and code_of(error) != "SlowDown":
                raise
        except _AGAIN:
            pass
        await asyncio.sleep(pause)
    return await request()


def _config() -> dict[str, Any]:
    """How botocore asks. It does not retry: two layers that do would wait for minutes."""
    return {
        "connect_timeout": CONNECT_TIMEOUT,
        "read_timeout": READ_TIMEOUT,
        "retries": {"total_max_attempts": 1, "mode": "standard"},
        "max_pool_connections": _CONNECTIONS,
        # Checksums that not all servers know; podstack has its own.
        **{name: "when_required" for name in _CHECKSUMS if name in AioConfig.OPTION_DEFAULTS},
    }


class _Threads(ThreadPoolExecutor):
    """Threads of the loop, for names, certificates and files; the loop itself once they are gone.

    Python ends them before it calls what is registered for its end, which may still be sending.
    """

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        try:
            return super().submit(fn, *args, **kwargs)
        except RuntimeError:
            return _done(lambda: fn(*args, **kwargs))


def _done(work: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001  # whoever waits gets it, as from a thread
        future.set_exception(error)
    return future


_loops: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()


def _loop() -> asyncio.AbstractEventLoop:
    """fsspec's loop of this process."""
    loop: asyncio.AbstractEventLoop = get_loop()
    if loop not in _loops:
        loop.set_default_executor(_Threads(thread_name_prefix="podstack-s3"))
        _loops.add(loop)
    return loop


def _end(process: int, creator: Any) -> None:
    """Close the sockets, in the process that opened them."""
    if os.getpid() != process:
        _disown(creator)
        return
    loop = get_loop()
    if loop.is_running():
        ending = asyncio.run_coroutine_threadsafe(creator.__aexit__(None, None, None), loop)
        if asyncio._get_running_loop() is loop:
            return  # the garbage was collected on the loop's own thread, which must not wait
        try:
            ending.result(_CLOSING)
        except (TimeoutError, asyncio.TimeoutError):  # a dead peer; the kernel frees the sockets
            ending.cancel()


def _disown(creator: Any) -> None:
    """In a child: forget the parent's sockets, so that aiohttp does not report them as left open.

    Closing them would take them out of the parent's event loop, which shares its epoll with us.
    """
    client = getattr(creator, "_client", None)
    http = getattr(getattr(client, "_endpoint", None), "http_session", None)
    for session in (getattr(http, "_sessions", None) or {}).values():
        if session.connector is not None:
            session.connector._conns.clear()
        session.detach()
