"""Makes calls to the operating system fail below one folder: run it before podstack is imported.

`os.open`, `os.write`, `os.fsync`, `os.replace`, `os.mkdir` and the built-in `open` are wrapped;
`fail.arm(call, errno, first, count)` makes the next calls fail, from the `first` on (1 is the
next) and `count` of them. Descriptors are followed from where they were opened. Needs nothing
but the standard library, and must not import podstack, which takes `os.write` as it finds it.
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable
from typing import Any

CALLS = ("open", "write", "fsync", "replace", "mkdir")
FOR_GOOD = 1 << 60


class Failures:
    """Which call fails next, and how often it did."""

    def __init__(self, folder: str) -> None:
        self._folder = os.path.abspath(folder)
        self._files: set[int] = set()
        self._call = ""
        self._error = self._first = self._last = self._seen = 0
        self.hits = 0
        self._close = os.close
        for call in CALLS:
            setattr(os, call, self._failing(call, getattr(os, call)))
        self._built_in = builtins.open
        for module, name, wrapped in (
            (os, "open", self._following(os.open)),
            (os, "dup", self._following(os.dup)),
            (os, "close", self._forgetting),
            (builtins, "open", self._open_object),
        ):
            setattr(module, name, wrapped)

    def arm(self, call: str, error: int, first: int = 1, count: int = 1) -> None:
        """From now on the `first` to the `first + count - 1`-th such call fails."""
        self._call, self._error = call, error
        self._first, self._last, self._seen, self.hits = first, first + count, 0, 0

    def disarm(self) -> None:
        self._call = ""

    def _failing(self, call: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(target: Any, *args: Any, **options: Any) -> Any:
            if call == self._call and self._is_inside(target):
                self._fail(target)
            return real(target, *args, **options)

        return wrapped

    def _fail(self, target: Any) -> None:
        self._seen += 1
        if self._first <= self._seen < self._last:
            self.hits += 1
            raise OSError(self._error, os.strerror(self._error), target)

    def _is_inside(self, target: Any) -> bool:
        if isinstance(target, int):
            return target in self._files
        return str(os.path.abspath(os.fspath(target))).startswith(self._folder)

    def _following(self, real: Callable[..., int]) -> Callable[..., int]:
        def wrapped(target: Any, *args: Any, **options: Any) -> int:
            descriptor = real(target, *args, **options)
            self._follow(descriptor, self._is_inside(target))
            return descriptor

        return wrapped

    def _forgetting(self, descriptor: int) -> None:
        self._files.discard(descriptor)
        self._close(descriptor)

    def _open_object(self, file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        """The built-in `open`: it counts as an `open`, and what it opens is followed."""
        inside = not isinstance(file, int) and self._is_inside(file)
        if inside and self._call == "open":
            self._fail(file)
        opened = self._built_in(file, mode, *args, **options)
        self._follow(opened.fileno(), inside)
        return opened

    def _follow(self, descriptor: int, inside: bool) -> None:
        if inside:
            self._files.add(descriptor)
        else:
            self._files.discard(descriptor)  # an earlier file had this number
