"""A stage for faults: small scripts that log in processes of their own, which may be killed.

A script finds `client`, `acks` and `log(run, step, metric="x")` ready. Whatever waits has a
deadline, and a script that hangs prints where its threads stand before it is ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from podstack.client import MLOpsClient
from podstack.run import Run
from podstack.testing.verdict import Verdict, judge, read_acks

DEADLINE = 240.0  # seconds that a script may take; a hang is longer, and a busy machine slow

_OPENING = """\
import atexit, faulthandler, os, signal, sys, threading, time
faulthandler.enable()
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may have
if hasattr(signal, "SIGHUP"):                             # them ignored, as nohup does
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
from podstack import MLOpsClient
from podstack.testing import verdict
acks = verdict.Acks({acks!r})
client = MLOpsClient({store!r})
def log(run, step, metric="x"):
    verdict.log(run, acks, step, metric)
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a script ended: its exit code (negative: the signal) and what it printed."""

    code: int
    out: str
    err: str


class Child:
    """A script that runs."""

    def __init__(self, path: Path, deadline: float, environment: Mapping[str, str]) -> None:
        self._out, self._err = path.with_suffix(".out"), path.with_suffix(".err")
        self._deadline = time.monotonic() + deadline
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, str(path)],
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
                cwd=path.parent,
                env={**os.environ, "PODSTACK_QUIET": "1", **environment},
                start_new_session=True,  # a Ctrl-C meant for the tests is not meant for it
            )
        self.pid = self._process.pid

    @property
    def out(self) -> str:
        return self._out.read_text(errors="replace")

    @property
    def err(self) -> str:
        return self._err.read_text(errors="replace")

    def wait(self) -> Ended:
        """How it ended.

        Raises:
            TimeoutError: it hangs.
        """
        try:
            code = self._process.wait(max(0.1, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGABRT)  # faulthandler prints where it stands
            self._process.wait()
            raise TimeoutError(f"The script hangs:\n{self.err}") from None
        return Ended(code, self.out, self.err)

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until something is so, while the script runs.

        Raises:
            TimeoutError: it ended, or its deadline passed, before.
        """
        while not condition():
            if self._process.poll() is not None or time.monotonic() > self._deadline:
                raise TimeoutError(f"The script did not come to {what}:\n{self.out}\n{self.err}")
            time.sleep(0.002)

    def wait_for_word(self, word: str) -> None:
        """Wait until the script has printed a word; it must flush."""
        self.wait_until(lambda: word in self.out, f"say {word!r}")

    def send(self, number: int) -> None:
        """Send a signal, if it has not ended."""
        self._process.send_signal(number)

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def end(self) -> None:
        """Kill it, unless it has ended."""
        self._process.kill()
        self._process.wait()


class Stage:
    """A store, and the scripts that write to it.

    Args:
        store: its folder.
        uri: what the scripts open, where that is not the folder itself.
        environment: variables that all of them get.
    """

    def __init__(
        self,
        folder: Path,
        *,
        store: Path | None = None,
        uri: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.store = store if store is not None else folder / "store"
        self.uri = uri or str(self.store)
        self._environment = dict(environment or {})
        self._children: list[Child] = []

    def start(
        self,
        script: str,
        *,
        first: str = "",
        acks: str = "acks",
        deadline: float = DEADLINE,
        environment: Mapping[str, str] | None = None,
    ) -> Child:
        """Start a script.

        Args:
            first: what runs before podstack is imported, such as a call that is made to fail.
            acks: the name of the file that the acknowledgements go to.
        """
        opening = _OPENING.format(acks=str(self._acks(acks)), store=self.uri)
        path = self.folder / f"script_{len(self._children)}.py"
        path.write_text(dedent(first) + opening + dedent(script))
        child = Child(path, deadline, {**self._environment, **(environment or {})})
        self._children.append(child)
        return child

    def play(
        self,
        script: str,
        *,
        first: str = "",
        acks: str = "acks",
        deadline: float = DEADLINE,
        environment: Mapping[str, str] | None = None,
    ) -> Ended:
        """Run a script to its end; see `start`."""
        return self.start(
            script, first=first, acks=acks, deadline=deadline, environment=environment
        ).wait()

    def run(self, run_id: str = "r") -> Run:
        """A run as somebody else reads it."""
        return MLOpsClient(self.store).get_run(run_id)

    def acked(self, acks: str = "acks") -> dict[str, set[int]]:
        """The acknowledged steps of each metric so far."""
        return read_acks(self._acks(acks))

    def count_acked(self, acks: str = "acks") -> int:
        return sum(map(len, self.acked(acks).values()))

    def verdict(self, run_id: str = "r", acks: str = "acks") -> Verdict:
        return judge(self.store, run_id, self.acked(acks))

    def close(self) -> None:
        """End every script that still runs."""
        for child in self._children:
            child.end()

    def _acks(self, name: str) -> Path:
        return self.folder / name
