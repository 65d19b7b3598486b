"""Stores that fail or dawdle on purpose: wrappers around a real one, to test what stands above.

`FaultyBackend` and `SlowBackend` wrap any store; `FaultyLocalStore` and `SlowLocalStore` wrap one
that is a folder of this machine, and offer its four operations too. Whatever is not made to fail
goes to the wrapped store unchanged, so that a wrapper keeps the whole contract.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from podstack.backend import Backend, BlobInfo, LocalStore
from podstack.errors import UsageError

OPERATIONS = frozenset({"put", "get", "list", "list_dirs", "delete", "close"})
LOCAL_OPERATIONS = OPERATIONS | {"open_append", "put_hint", "sync_folders", "path"}


class _Wrapper:
    """Hands every operation on, after `_before` had its say."""

    operations = OPERATIONS

    def __init__(self, store: Backend) -> None:
        self.url = store.url
        self.store = store

    def put(self, key: str, data: bytes | Path) -> None:
        self._before("put")
        self.store.put(key, data)

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        self._before("get")
        return self.store.get(key, start, stop)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[BlobInfo]:
        self._before("list")
        return self.store.list(prefix, start_after=start_after)

    def list_dirs(self, prefix: str = "") -> Iterator[str]:
        self._before("list_dirs")
        return self.store.list_dirs(prefix)

    def delete(self, key: str) -> None:
        self._before("delete")
        self.store.delete(key)

    def close(self) -> None:
        self._before("close")
        self.store.close()

    def _before(self, operation: str) -> None:
        raise NotImplementedError

    def _check(self, operation: str) -> None:
        if operation not in self.operations:
            known = ", ".join(sorted(self.operations))
            raise UsageError(f"No operation {operation!r} ({type(self).__name__} has {known}).")


class _LocalWrapper(_Wrapper):
    """The same for the operations that only a folder of this machine has."""

    operations = LOCAL_OPERATIONS
    store: LocalStore

    def open_append(self, key: str) -> int:
        self._before("open_append")
        return self.store.open_append(key)

    def put_hint(self, key: str, data: bytes) -> None:
        self._before("put_hint")
        self.store.put_hint(key, data)

    def sync_folders(self, key: str) -> None:
        self._before("sync_folders")
        self.store.sync_folders(key)

    def path(self, key: str) -> Path:
        self._before("path")
        return self.store.path(key)


@dataclass
class _Fault:
    """Lets `passing` calls of one operation go, then fails `failing` of them."""

    operation: str
    error: BaseException
    passing: int
    failing: float

    def strikes(self, operation: str) -> bool:
        if operation != self.operation:
            return False
        if self.passing:
            self.passing -= 1
            return False
        self.failing -= 1
        return self.failing >= 0


class FaultyBackend(_Wrapper):
    """Fails the calls it is told to, then works again. Counts all calls, failed ones included.

        store = FaultyBackend(open_backend("memory://outage"))
        store.fail("put", BackendUnavailable("no route to host"), call=3, times=2)

    Every method may be called from any thread.
    """

    def __init__(self, store: Backend) -> None:
        super().__init__(store)
        self.calls: Counter[str] = Counter()
        self._faults: list[_Fault] = []
        self._lock = threading.Lock()

    def fail(
        self, operation: str, error: BaseException, *, call: int = 1, times: int | None = 1
    ) -> None:
        """Raise `error` from coming calls of an operation, before the store hears of them.

        Args:
            call: the first call that fails; 1 is the next one.
            times: how many calls fail; None: all, until `heal`.

        Raises:
            UsageError: there is no such operation, or `call` or `times` is below 1.
        """
        self._check(operation)
        if call < 1 or (times is not None and times < 1):
            raise UsageError(f"call and times count from 1, not {call} and {times}.")
        with self._lock:
            failing = inf if times is None else times
            self._faults.append(_Fault(operation, error, call - 1, failing))

    def heal(self) -> None:
        """Fail no more."""
        with self._lock:
            self._faults.clear()

    def _before(self, operation: str) -> None:
        with self._lock:
            self.calls[operation] += 1
            errors = [fault.error for fault in self._faults if fault.strikes(operation)]
        if errors:
            raise errors[0]


class SlowBackend(_Wrapper):
    """Waits before every call.

    Args:
        delay: seconds.
        operations: the ones to slow down; all, if none is named.
    """

    def __init__(self, store: Backend, delay: float, operations: Collection[str] = ()) -> None:
        super().__init__(store)
        for operation in operations:
            self._check(operation)
        self.delay = delay
        self._slow = frozenset(operations) or self.operations

    def _before(self, operation: str) -> None:
        if operation in self._slow:
            time.sleep(self.delay)


class FaultyLocalStore(FaultyBackend, _LocalWrapper):
    """`FaultyBackend` for a folder of this machine."""

    def __init__(self, store: LocalStore) -> None:
        super().__init__(store)


class SlowLocalStore(SlowBackend, _LocalWrapper):
    """`SlowBackend` for a folder of this machine."""

    def __init__(self, store: LocalStore, delay: float, operations: Collection[str] = ()) -> None:
        super().__init__(store, delay, operations)


if TYPE_CHECKING:
    _backends: list[type[Backend]] = [FaultyBackend, SlowBackend]
    _local_stores: list[type[LocalStore]] = [FaultyLocalStore, SlowLocalStore]
