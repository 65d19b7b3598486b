"""The server: what one core of it carries, and how long it takes to answer after a start.

The store has 10,000 runs, as `index` makes them. The server runs on one core where the system
allows to say so, its clients on the others. Twelve writers send logs that grow by a line each
time, five readers search; the baseline is one thread that does the same with the folder itself.
Every write makes the next search look at the store again, which is the worst there is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from podstack import names
from podstack.packed import SUFFIX, packed
from podstack.testing.podstack_server import RunningServer
from tests.benchmarks._fresh import in_fresh_process
from tests.benchmarks._stores import surroundings
from tests.benchmarks._tables import Figure, Table, at_most, figures_table
from tests.benchmarks.index import make_store, read_files

_WRITERS, _READERS = 12, 5
_SEARCH = "metrics.val_acc > 0.9 and params.optimizer = 'adam' and status != failed"
_CHANGED = 10

Rates = dict[str, float]  # done, p50, p99


def tables(*, quick: bool) -> Iterator[Table]:
    runs, seconds = (200, 1.0) if quick else (10_000, 15.0)
    with surroundings() as folder:
        store = str(folder / "store")
        in_fresh_process(make_store, store, runs)
        files = in_fresh_process(read_files, store)
        with _on_one_core():
            server = RunningServer(store, environment={"PODSTACK_CACHE": str(folder / "served")})
        with server, _elsewhere():
            starts = in_fresh_process(answers, server.url, store)
            yield figures_table(
                f"A server of {runs:,} runs: its first answers", _start_figures(starts, files)
            )
            yield figures_table(
                f"A server of {runs:,} runs, on one core: load", _load(server, store, seconds)
            )


@contextmanager
def _on_one_core() -> Iterator[None]:
    """What is started inside stays on the first core."""
    with _pinned(lambda cores: cores[:1]):
        yield


@contextmanager
def _elsewhere() -> Iterator[None]:
    """What is started inside stays off the first core."""
    with _pinned(lambda cores: cores[1:] or cores):
        yield


@contextmanager
def _pinned(chosen: Callable[[list[int]], list[int]]) -> Iterator[None]:
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, chosen(sorted(before)))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


# After a start -----------------------------------------------------------------------------


def answers(url: str, store: str) -> dict[str, float]:
    """Seconds to the first answer of a server without an index, and to later ones."""
    from podstack import MLOpsClient
    from podstack.config import settings
    from podstack.store import Store

    client, local = MLOpsClient(url), Store(settings(store, None, None, None))

    def search() -> Any:
        return list(client.search_runs(_SEARCH, order_by="-metrics.val_acc", limit=20))

    found = {"first": _seconds(search)}
    found["again"] = median(_seconds(search) for _ in range(20))
    time.sleep(1.1)  # a look is good for a second
    found["after a second"] = _seconds(search)
    ids = [row.id for row in client.search_runs(limit=_CHANGED)]
    changes = []
    for turn in range(3):
        for run in ids:
            local.edit(local.keys.meta(run), {"tags/late": True, "notes": str(turn)})
        time.sleep(1.1)
        changes.append(_seconds(search))
    found["changed"] = median(changes)
    index = local.index
    index.refresh()
    found["local"] = median(_seconds(index.refresh) for _ in range(5))
    return found


def _seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def _start_figures(found: dict[str, float], files: float) -> Iterator[Figure]:
    read, refresh = "reading the same files", "refresh in a folder"
    local = found["local"]
    yield Figure("first, without an index", found["first"], "s", files, read, at_most(20, "s"))
    yield Figure("again, at once", found["again"], "s", local, refresh)
    yield Figure("again, a second later", found["after a second"], "s", local, refresh)
    yield Figure(f"{_CHANGED} runs changed in the folder", found["changed"], "s", local, refresh)


# Load --------------------------------------------------------------------------------------


def _load(server: RunningServer, store: str, seconds: float) -> Iterator[Figure]:
    before = _memory(server.pid)
    own = in_fresh_process(write, store, 1, seconds / 3)
    looked = in_fresh_process(read_folder, store, seconds / 3)
    writes = in_fresh_process(write, server.url, _WRITERS, seconds)
    reads = in_fresh_process(read, server.url, _READERS, seconds)
    with ThreadPoolExecutor(2) as both:
        writing = both.submit(in_fresh_process, write, server.url, _WRITERS, seconds)
        reading = both.submit(in_fresh_process, read, server.url, _READERS, seconds)
        mixed = writing.result(), reading.result()
    one = "one in the folder"
    for what, found, base in (
        (f"objects, {_WRITERS} writers", writes, own),
        (f"searches, {_READERS} readers", reads, looked),
        ("objects, both at once", mixed[0], own),
        ("searches, both at once", mixed[1], looked),
    ):
        yield Figure(what, found["rate"], "/s", base["rate"], one)
        yield Figure(f"{what}: p50", found["p50"], "s", base["p50"], one)
        yield Figure(f"{what}: p99", found["p99"], "s", base["p99"], one)
    yield Figure("RSS after it", _memory(server.pid), "bytes", before, "before")


def write(uri: str, writers: int, seconds: float) -> Rates:
    """Each writer sends a log that grows by ten points, as a shipper does."""
    from podstack.backend import open_backend

    backend = open_backend(uri)
    line = orjson.dumps({"s": 1, "t": 1.7e9, "v": dict.fromkeys("abcdefghij", 0.123456789)}) + b"\n"

    def one(number: int) -> Callable[[], object]:
        log = f"projects/default/runs/{names.new_run_id()}/metrics/{names.new_writer_id()}"
        plain = bytearray()
        pieces = iter(range(1 << 30))

        def put() -> None:
            turn = next(pieces)
            if turn % 100 == 0:
                plain.clear()
            plain.extend(line)
            backend.put(f"{log}/{turn // 100:06d}.jsonl{SUFFIX}", packed(bytes(plain)))

        return put

    return _together([one(number) for number in range(writers)], seconds)


def read(url: str, readers: int, seconds: float) -> Rates:
    from podstack import MLOpsClient

    client = MLOpsClient(url)

    def search() -> None:
        found = list(client.search_runs(_SEARCH, order_by="-metrics.val_acc", limit=20))
        if not found:
            raise RuntimeError("nothing was found")

    return _together([search] * readers, seconds)


def read_folder(store: str, seconds: float) -> Rates:
    return read(store, 1, seconds)


def _together(acts: list[Callable[[], object]], seconds: float) -> Rates:
    """All at once, each on its thread and over and over."""
    acts[0]()
    end = time.perf_counter() + seconds

    def repeat(act: Callable[[], object]) -> list[float]:
        taken = []
        while time.perf_counter() < end:
            taken.append(_seconds(act))
        return taken

    start = time.perf_counter()
    with ThreadPoolExecutor(len(acts)) as threads:
        taken = sorted(one for many in threads.map(repeat, acts) for one in many)
    spent = time.perf_counter() - start
    return {
        "rate": len(taken) / spent,
        "p50": taken[len(taken) // 2],
        "p99": taken[int((len(taken) - 1) * 0.99)],
    }


def _memory(pid: int) -> int:
    """Bytes that a process and those that it started hold; 0 where /proc does not say."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(_memory(int(child)) for child in children)
