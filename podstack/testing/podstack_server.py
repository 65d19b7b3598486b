"""A real server in a process of its own, which may be killed and started again on its port."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import gettempdir
from types import TracebackType

from podstack.backend import open_backend
from podstack.testing.ports import keep_port

DEADLINE = 240.0  # seconds to start or to stop

_ADDRESS = re.compile(r"podstack server at (http://(\S+?):([0-9]+)\S*)")


class RunningServer:
    """`podstack server` over a store, on 127.0.0.1 and a free port; up when it is constructed.

    With `tokens`, it is started so that every request needs one: see `token`. Use it in a `with`
    block, or call `stop`.

    Args:
        store: a folder, or the URL of any store that a process of its own can reach.
        options: further words of the command line.
        log: the file that gets what the server prints; by default beside a store that is a
            folder, else in the folder for temporary files.
        first: Python that each of its processes runs before anything else: to hold it up somewhere,
            or to set a limit that is not what a test is about.
    """

    def __init__(
        self,
        store: Path | str,
        *,
        tokens: bool = False,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        first: str = "",
    ) -> None:
        self.store = str(store)
        self._options, self._environment = tuple(options), dict(environment or {})
        self.log = log or _log_beside(self.store)
        if first:
            self._environment["PYTHONPATH"] = _written(first, Path(f"{self.log}-first"))
        self._first = self.token("default", "admin") if tokens else ""
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.port = keep_port(self)
        self.start()

    def start(self) -> None:
        """Start it, always on the same port."""
        words = ["server", "--store", self.store, "--port", str(self.port), *self._options]
        begin = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "podstack", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self._environment},
                start_new_session=True,
            )
        self._wait_for_address(begin)

    def _wait_for_address(self, begin: int) -> None:
        deadline = time.monotonic() + DEADLINE
        while True:
            said = self.log.read_bytes()[begin:].decode(errors="replace")
            found = _ADDRESS.search(said)
            if found:
                self.url, self.port = found[1], int(found[3])
                return
            if self.has_ended or time.monotonic() > deadline:
                raise TimeoutError(f"The server did not start:\n{said}")
            time.sleep(0.01)

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def has_ended(self) -> bool:
        return self._running.poll() is not None

    @property
    def output(self) -> str:
        """All that it has printed so far, its log of requests too."""
        return self.log.read_text(errors="replace")

    def token(
        self, project: str, role: str, *, user: str = "tester", expires_in: float | None = 3600.0
    ) -> str:
        """A new token for one project, or `*`. The first one makes tokens needed at next start."""
        from podstack.server.tokens import Tokens

        backend = open_backend(self.store)
        text, _ = Tokens(backend).create(
            user=user, project=project, role=role, expires_in=expires_in
        )
        return text

    @property
    def admin(self) -> str:
        """A token for everything in the project `default`; empty on an open server."""
        return self._first

    def is_up(self) -> bool:
        """Whether it answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def kill(self) -> None:
        """SIGKILL, to it and its workers; returns when it is gone."""
        self._signal_all(signal.SIGKILL)
        self._running.wait(DEADLINE)

    def stop(self) -> int:
        """SIGTERM, as an administrator would; its exit code. Twice is fine."""
        if not self.has_ended:
            self._running.terminate()
        try:
            return self._running.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(f"The server does not stop:\n{self.output}") from None

    def restart(self) -> None:
        """Stop it where it runs, and start it on the same port."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: connections are taken by the system, and nobody answers."""
        self._signal_all(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def __enter__(self) -> RunningServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        del kind, error, traceback
        if not self.has_ended:
            self.go_on()
        self.stop()
        self._signal_all(signal.SIGKILL)  # workers that outlived it


def _written(first: str, folder: Path) -> str:
    """The search path on which Python finds what it is to run at its start."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(first)
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


def _log_beside(store: str) -> Path:
    name = f"server-{os.urandom(4).hex()}.log"
    return Path(gettempdir()) / name if "://" in store else Path(f"{store}-{name}")
