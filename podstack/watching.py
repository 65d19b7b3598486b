"""What a notebook shows of something that is going on: drawn anew on a thread, until it is over.

The thread leaves the kernel free, so the next cell may train the very run that is watched. It
takes a twentieth of a core at most, ends with what it shows, and says in place of the picture if
it cannot go on. IPython is what the notebook loaded; nothing of it is imported elsewhere.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from html import escape
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from podstack.clock import monotonic
from podstack.console import say
from podstack.errors import BackendError, UsageError
from podstack.names import printable, short

_LONGEST = 15.0  # between two pictures of something that does not move
_SHARE = 20  # times as long as a picture took is waited before the next


class Frame(NamedTuple):
    """One picture.

    moved: changes with what is shown, so that what stands still is drawn less often.
    is_over: nothing will change any more.
    """

    html: str
    text: str
    moved: object
    is_over: bool


class Watch:
    """A picture in a notebook that is kept up to date; `stop()` ends that, the picture stays."""

    def __init__(self, what: str, draw: Callable[[], Frame], seconds: float) -> None:
        self._what, self._draw, self._seconds = what, draw, seconds
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._moved: object = None
        self._pause = seconds
        self._shown: dict[str, str] = {}  # the last picture, without a note
        self._handle: Any = None
        self._last: dict[str, str] = {}  # what stands in the notebook

    @property
    def is_live(self) -> bool:
        """Whether the picture is still kept up to date."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """Leave the picture as it is. Twice is fine."""
        self._stopped.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until what is watched is over; Ctrl-C, or the stop button, ends the waiting only.

        The last picture is shown once more: who executes a notebook without looking, as nbconvert
        does, hears only what comes while a cell runs, and it may have come between two.

        Args:
            timeout: seconds at most. Default: no limit.

        Returns:
            Whether it is over, or was stopped.
        """
        if self._thread is not None:
            self._thread.join(timeout)
            if not self._thread.is_alive():
                self._show(self._last)
        return not self.is_live

    def _begin(self) -> None:
        first = self._draw()
        self._moved, self._shown = first.moved, _bundle(first)
        self._handle, self._last = _display(self._shown), self._shown
        if first.is_over:
            return
        # Without this cell's context: the kernel sends an update as output of the cell that runs
        # then, the one that frontends listen to; they find the picture by its id.
        self._thread = threading.Thread(target=self._go_on, name="podstack-watch", daemon=True)
        self._thread.start()

    def _go_on(self) -> None:
        took = 0.0
        while not self._stopped.wait(max(self._pause, _SHARE * took)):
            started = monotonic()
            try:
                frame = self._draw()
            except BackendError as error:  # an outage: the last picture stays
                self._slow_down()
                self._show(_with_note(self._shown, f"Not up to date: {error}"))
                continue
            except Exception as error:  # noqa: BLE001  # a thread's outermost frame: told in its place
                self._show(_with_note(self._shown, f"Watched no longer: {error!r}"))
                return
            took = monotonic() - started
            self._adapt(frame)
            self._shown = _bundle(frame)
            self._show(self._shown)
            if frame.is_over:
                return

    def _show(self, bundle: dict[str, str]) -> None:
        self._last = bundle
        _update(self._handle, bundle)

    def _adapt(self, frame: Frame) -> None:
        if frame.moved == self._moved:
            self._slow_down()
        else:
            self._moved, self._pause = frame.moved, self._seconds

    def _slow_down(self) -> None:
        self._pause = max(self._seconds, min(_LONGEST, self._pause * 1.5))

    def _ipython_display_(self) -> None:
        """Nothing: a cell that ends with it shows the picture already."""

    def __repr__(self) -> str:
        state = "live" if self.is_live else "stopped" if self._stopped.is_set() else "over"
        return printable(f"Watch of {self._what}: {state}")


_watches: WeakValueDictionary[object, Watch] = WeakValueDictionary()  # the last of each key


def watch(
    what: str, draw: Callable[[], Frame], seconds: object, *, key: object, elsewhere: str
) -> Watch:
    """Show `draw()` in this notebook, and again every `seconds` while it moves.

    Args:
        key: what is watched: watching it again ends the earlier watch, as of a cell run twice.
        what: names it, such as `run quiet-otter-82`.
        elsewhere: said where there is no notebook: what to do instead.

    Raises:
        UsageError: `seconds` is no number from 0.1 to 3,600.
    """
    pause = _checked(seconds)
    watch = Watch(what, draw, pause)
    if _is_notebook():
        if earlier := _watches.get(key):
            earlier.stop()
        _watches[key] = watch
        watch._begin()
    else:
        say(f"{what} can be watched in a notebook; here is none. {elsewhere}")
    return watch


def _checked(seconds: object) -> float:
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not is_number or not 0.1 <= float(seconds) <= 3600:  # type: ignore[arg-type]
        raise UsageError(f"seconds is a number from 0.1 to 3,600, not {short(seconds)}.")
    return float(seconds)  # type: ignore[arg-type]


def _is_notebook() -> bool:
    """Whether this process is a kernel: there, and only there, a picture can change."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")


def _display(bundle: dict[str, str]) -> Any:
    from IPython.display import display

    return display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]


def _update(handle: Any, bundle: dict[str, str]) -> None:
    handle.update(bundle, raw=True)


def _bundle(frame: Frame) -> dict[str, str]:
    return {"text/html": frame.html, "text/plain": frame.text}


def _with_note(shown: dict[str, str], note: str) -> dict[str, str]:
    """The last picture, and below it why it is the last."""
    line = printable(note)
    return {
        "text/html": f"{shown['text/html']}<div>{escape(line)}</div>",
        "text/plain": f"{shown['text/plain']}\n{line}",
    }
