"""The index: built from nothing, refreshed, searched, and read as a table.

The stores are written file by file as FORMAT.md says, so that a hundred thousand runs take a
minute. Baselines of the same run: every file of the store opened and every line parsed with
orjson; a bare SQLite query; and for the table Trackio, where it is installed. What a figure is
measured of is a client that has not seen the store, or one that has, in a process of its own.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from tests.benchmarks._contestants import TRACKIO, has_trackio, trackio_in, trackio_run
from tests.benchmarks._folders import scratch
from tests.benchmarks._fresh import in_fresh_process
from tests.benchmarks._tables import Figure, Table, at_most, figures_table, ratio_at_most

_PARAMS = ("lr", "batch", "layers", "width", "dropout", "optimizer", "schedule", "seed", "amp", "t")
_METRICS = ("loss", "acc", "val_loss", "val_acc", "grad_norm", "lr", "f1", "auc", "speed", "memory")
_STEPS = 30
_CHANGED = 10
_SEARCH = "metrics.val_acc > 0.9 and params.optimizer = 'adam' and status != failed"
_TABLE = 200


def tables(*, quick: bool) -> Iterator[Table]:
    sizes = (200,) if quick else (1_000, 10_000, 100_000)
    for runs in sizes:
        with scratch() as folder:
            in_fresh_process(make_store, f"{folder}/store", runs)
            rounds = 1 if quick or runs > 10_000 else 3
            files = [in_fresh_process(read_files, f"{folder}/store") for _ in range(rounds)]
            found = [in_fresh_process(measure, folder, i, runs) for i in range(rounds)]
            seconds = {name: median(one[name] for one in found) for name in found[0]}
            yield figures_table(
                f"The index of {runs:,} runs", _figures(runs, seconds, median(files)), *_NOTES
            )
    yield _table_of_runs(quick=quick)


_NOTES = (
    f"{len(_PARAMS)} parameters, {len(_METRICS)} metrics, {_STEPS * len(_METRICS)} points a run; "
    "files are in the kernel's cache.",
)


def _figures(runs: int, seconds: dict[str, float], files: float) -> Iterator[Figure]:
    wanted = runs == 10_000
    read = "reading the same files"
    yield Figure(
        "cold build", seconds["cold"], "s", files, read, at_most(4, "s") if wanted else None
    )
    yield Figure("a new reader, built already", seconds["start"], "s", files, read)
    ten = seconds["ten files"]
    yield Figure("refresh, nothing changed", seconds["nothing"], "s", ten, "reading 10 runs' files")
    yield Figure(
        f"refresh, {_CHANGED} changed",
        seconds["changed"],
        "s",
        ten,
        "reading their files",
        at_most(0.01, "s") if wanted else None,
    )
    yield Figure(
        "search, 3 conditions, ordered", seconds["search"], "s", seconds["sql"], "the bare query"
    )
    yield Figure(
        f"table of {_TABLE} runs", seconds["table"], "s", seconds["plain rows"], "their rows alone"
    )
    if wanted:
        yield Figure(
            "table of all runs",
            seconds["all"],
            "s",
            seconds["table"],
            f"table of {_TABLE}",
            ratio_at_most(60),
        )


def make_store(folder: str, runs: int) -> None:
    """`runs` completed runs as podstack would have written them."""
    chance = random.Random(7)
    root = Path(folder) / "projects/default"
    experiment = root / "experiments/default"
    experiment.mkdir(parents=True)
    store = {"podstack": 1, "store": "benchmark"}
    (Path(folder) / "podstack.json").write_bytes(orjson.dumps(store))
    facts = {"name": "default", "created": 1.7e9}
    line = orjson.dumps({"h": _stamp(0), "set": facts}, option=orjson.OPT_APPEND_NEWLINE)
    (experiment / "20231114-221320-000-aaaaaaaa.jsonl").write_bytes(line)
    for number in range(runs):
        _write_run(root / "runs", number, chance)
    time.sleep(2.1)  # what is younger than two seconds is looked at again; this is an old store


def _write_run(folder: Path, number: int, chance: random.Random) -> None:
    run = f"20231114-221320-{number:08d}"
    writer = f"20231114-221320-000-{number:08d}"
    meta, metrics = folder / run / "meta", folder / run / "metrics" / writer
    meta.mkdir(parents=True)
    metrics.mkdir(parents=True)
    started = 1.7e9 + number
    points = b"".join(
        orjson.dumps(
            {"s": s, "t": started + s, "v": {name: chance.random() for name in _METRICS}},
            option=orjson.OPT_APPEND_NEWLINE,
        )
        for s in range(_STEPS)
    )
    (metrics / "000000.jsonl").write_bytes(points)
    values = (chance.random(), 64, 12, 512, 0.1, chance.choice(("adam", "sgd")), "cosine", 7, True)
    first = {
        f"writers/{writer}": {"host": "h", "machine": "m", "pid": 1, "born": "1", "role": "main",
                              "interval": 10.0},
        "created": started, "user": "ada", "name": f"run {number}", "status": "running",
        "experiment": "default", "tags/base": True,
        **{f"params/{name}": v for name, v in zip(_PARAMS, (*values, [1, 2]), strict=True)},
    }  # fmt: skip
    last = {
        f"closed/{writer}": {"status": "completed", "next_step": _STEPS, "t": started + _STEPS},
        "status": "completed", "ended": started + _STEPS,
    }  # fmt: skip
    seal = {f"seals/{writer}": [[len(points), zlib.crc32(points)]]}
    lines = [{"h": _stamp(i), "set": changes} for i, changes in enumerate((first, last, seal))]
    data = b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines)
    (meta / f"{writer}.jsonl").write_bytes(data)


def _stamp(counter: int) -> str:
    return f"{(1_700_000_000_000 << 16) + counter:016x}"


def read_files(folder: str) -> float:
    """Seconds to open every log of the store and parse every line: less no index can do."""
    start = time.perf_counter()
    with os.scandir(f"{folder}/projects/default/runs") as runs:
        found = sum(_read_run(entry.path) for entry in runs)
    seconds = time.perf_counter() - start
    if not found:
        raise RuntimeError("the store is empty")
    return seconds


def _read_run(folder: str) -> int:
    lines = 0
    with os.scandir(f"{folder}/meta") as meta, os.scandir(f"{folder}/metrics") as writers:
        logs = [entry.path for entry in meta]
        for writer in writers:
            with os.scandir(writer.path) as segments:
                logs += [entry.path for entry in segments]
    for log in logs:
        with open(log, "rb", buffering=0) as file:
            for line in file.readall().splitlines():
                orjson.loads(line)
                lines += 1
    return lines


def measure(folder: str, turn: int, runs: int) -> dict[str, float]:
    """Seconds for each thing that is asked of an index."""
    os.environ["PODSTACK_CACHE"] = f"{folder}/warm-up-{turn}"
    from podstack import MLOpsClient
    from podstack.config import settings
    from podstack.expressions import parse, parse_order
    from podstack.store import Store

    def opened() -> Store:
        return Store(settings(f"{folder}/store", None, None, None))

    with scratch() as warm_up:  # imports
        run = MLOpsClient(warm_up).start_run()
        run.finish()
        run.flush()
        Store(settings(warm_up, None, None, None)).index.refresh()
    os.environ["PODSTACK_CACHE"] = f"{folder}/cache-{turn}"
    index = opened().index
    found = {"cold": _seconds(index.refresh, 1)}
    found["start"] = _seconds(lambda: opened().index.refresh(), 3)
    found["nothing"] = _seconds(index.refresh, 20)
    where, order = parse(_SEARCH), parse_order("-metrics.val_acc")
    found["search"] = _seconds(lambda: index.runs(where, order, limit=20), 5)
    found["table"] = _seconds(lambda: index.runs(order=order, limit=_TABLE), 9)
    if runs <= 10_000:
        found["all"] = _seconds(lambda: index.runs(order=order), 3)
    (file,) = Path(folder, f"cache-{turn}").rglob("*.sqlite")
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as bare:
        found["sql"] = _seconds(lambda: bare.execute(_BARE).fetchall(), 5)
        found["plain rows"] = _seconds(lambda: _plain_rows(bare), 9)
    store, ids = opened(), [row.id for row in index.runs(limit=_CHANGED)]
    changes = []
    for _ in range(5):
        for run in ids:
            store.edit(store.keys.meta(run), {"tags/late": True, "notes": str(turn)})
        changes.append(_seconds(index.refresh, 1))
    found["changed"] = median(changes)
    path = f"{folder}/store/projects/default/runs/"
    found["ten files"] = _seconds(lambda: [_read_run(path + run) for run in ids], 5)
    return found


_BARE = """
SELECT number FROM runs
JOIN metrics ON metrics.run = number AND metrics.name = 'val_acc' AND last > 0.9
JOIN params ON params.run = number AND params.name = 'optimizer' AND value = 'adam'
WHERE status != 'failed' ORDER BY last DESC LIMIT 20
"""


def _plain_rows(connection: sqlite3.Connection) -> list[Any]:
    return connection.execute(f"SELECT * FROM runs ORDER BY created LIMIT {_TABLE}").fetchall()


def _seconds(act: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        act()
        taken.append(time.perf_counter() - start)
    return median(taken)


def _table_of_runs(*, quick: bool) -> Table:
    """All parameters and the last metrics of each run, by a process that has all in reach."""
    runs = 20 if quick else _TABLE
    with scratch() as ours, scratch() as theirs:
        in_fresh_process(make_store, f"{ours}/store", runs)
        mine = in_fresh_process(own_table, ours, runs)
        files = in_fresh_process(read_files, f"{ours}/store")
        figures = [Figure("podstack", mine, "s", files, "reading the same files")]
        if has_trackio():
            peer = in_fresh_process(trackio_table, theirs, runs)
            figures.append(Figure("podstack", mine, "s", peer, TRACKIO, ratio_at_most(1 / 40)))
    return figures_table(f"A table of {runs} runs, warm", figures)


def own_table(folder: str, runs: int) -> float:
    os.environ["PODSTACK_CACHE"] = f"{folder}/cache"
    from podstack.config import settings
    from podstack.store import Store

    index = Store(settings(f"{folder}/store", None, None, None)).index

    def table() -> None:
        index.refresh()
        rows = index.runs()
        if len(rows) != runs or len(rows[0].metrics) != len(_METRICS):
            raise RuntimeError(f"the table has {len(rows)} of {runs} runs")

    table()
    return _seconds(table, 9)


def trackio_table(folder: str, runs: int) -> float:
    """The last values and the configuration of each run, the way its own pages get them."""
    trackio = trackio_in(folder)
    chance = random.Random(7)
    for _ in range(runs):
        trackio_run(trackio, config=dict.fromkeys(_PARAMS, 0.5))
        for step in range(_STEPS):
            trackio.log({name: chance.random() for name in _METRICS}, step)
        trackio.finish()
    from trackio.sqlite_storage import SQLiteStorage  # type: ignore[import-not-found, unused-ignore]

    def table() -> None:
        found = SQLiteStorage.get_runs("benchmark")
        rows = [SQLiteStorage.get_logs("benchmark", run)[-1] for run in found]
        if len(rows) != runs:
            raise RuntimeError(f"the table has {len(rows)} of {runs} runs")

    table()
    return _seconds(table, 5)
