"""Starting a server: the address is bound first, so that its line names the port it got.

What answers is imported after that, half a second later: a browser starts in the meantime, and its
first request waits in the socket. Ctrl-C is noted until uvicorn heeds it: in the middle of an
import Python may call something back (a weak reference, a finalizer), from which a
KeyboardInterrupt does not come out.
"""

from __future__ import annotations

import gc
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

from podstack import config
from podstack.errors import UsageError
from podstack.server.sessions import Sessions
from podstack.server.settings import ServerSettings, is_loopback
from podstack.server.stores import Stores
from podstack.server.tokens import Tokens

if TYPE_CHECKING:
    import uvicorn

    from podstack.server.gate import Gate

GRACE = 10  # seconds for requests in flight, once the server is asked to stop
BACKLOG = 2048


def prepare(settings: ServerSettings) -> ServerSettings:
    """Make the store where there is none, and decide whether a token is needed.

    Raises:
        UsageError: nobody made a token, and others than this machine could come.
        BackendError: the store cannot be reached, or not be written.
    """
    stores = Stores(settings.store)
    stores.prepare()
    settings = replace(settings, store=stores.of("default").portable_settings.uri)
    if Tokens(stores.backend).any():
        Sessions(stores.backend).prepare()
        return settings
    if not is_loopback(settings.host):
        raise UsageError(
            f"Others could reach {settings.host}, and this store has no tokens yet. Make one: "
            f"podstack token create --store {settings.store} "
            "--project default --role editor --user NAME; "
            "or serve this machine only, with --host 127.0.0.1."
        )
    return replace(settings, open=True, user=config.user())


def serve(settings: ServerSettings, told: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; requests in flight are finished.

    Args:
        told: is given the address, once connections are taken.
    """
    listening = _bound(settings.host, settings.port)
    told(address(settings, listening))
    with _Interruption() as interruption:
        with _uncollected():
            import uvicorn

            made = uvicorn_config(settings)
        if settings.workers > 1:
            from uvicorn.supervisors import Multiprocess

            interruption.check()
            Multiprocess(made, sockets=[listening]).run()
        else:
            server = interruption.server = uvicorn.Server(made)
            interruption.check()
            server.run(sockets=[listening])


class _Interruption:
    """A `with` block that Ctrl-C ends where that is in order: at `check`, at its end, in uvicorn.

    server: what is to end by itself, where the signal comes before uvicorn listens to signals.
    """

    def __init__(self) -> None:
        self.server: uvicorn.Server | None = None
        self._is_asked = self._is_set = False

    def __enter__(self) -> _Interruption:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._note)
            self._is_set = True
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._is_asked = True
        if self.server is not None:
            self.server.should_exit = True

    def check(self) -> None:
        """
        Raises:
            KeyboardInterrupt: it came by now.
        """
        if self._is_asked:
            raise KeyboardInterrupt

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._is_set:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if error is None:
            self.check()


def next_free(port: int) -> int:
    """This port of the machine itself, or the first free one of the twenty after it.

    Raises:
        UsageError: none of them is free.
    """
    for place in range(port, min(port + 20, 65536)):
        try:
            listening = _bound("127.0.0.1", place)
        except UsageError:
            continue
        listening.close()
        return place if place else 0
    raise UsageError(
        f"Ports {port} to {port + 19} are all taken. Choose another with --port, "
        "or let --port 0 find one."
    )


def uvicorn_config(settings: ServerSettings) -> uvicorn.Config:
    """How uvicorn runs one process of the server. Can be pickled, for worker processes."""
    import uvicorn

    from podstack.server.wire import GuardedProtocol

    factory: Callable[[], Gate] = partial(_app, settings)
    return uvicorn.Config(
        factory,
        factory=True,
        http=GuardedProtocol,
        ws="none",
        loop="asyncio",
        lifespan="on",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_level="warning",
        log_config=None,
        backlog=BACKLOG,
        limit_concurrency=settings.max_connections,
        timeout_graceful_shutdown=GRACE,
        timeout_worker_healthcheck=60,
        workers=settings.workers,
    )


def _app(settings: ServerSettings) -> Gate:
    with _uncollected():
        from podstack.server.app import create_app

        return create_app(settings, at_once=False)


@contextmanager
def _uncollected() -> Iterator[None]:
    """What an import makes stays: looking for garbage in it is a tenth of the time of a start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def address(settings: ServerSettings, listening: socket.socket) -> str:
    """`http://127.0.0.1:8321/podstack`."""
    port = listening.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{port}{settings.prefix}"


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's delay off only where the socket says TCP: else each answer waits 40 ms
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host.strip("[]"), port))
        listening.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = error.strerror if isinstance(error, OSError) else "no such port"
        raise UsageError(
            f"Cannot listen on {host} port {port}: {reason}. "
            "Choose another with --port, or let --port 0 find one."
        ) from error
    listening.set_inheritable(True)
    return listening
