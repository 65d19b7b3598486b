"""What a run costs in an S3 bucket: requests, bytes, and what AWS would charge an hour of it.

Measured: a real run of 10 scalars at 20 steps a second whose requests a proxy counts, in steady
state, and its bytes in the bucket when it is over. Computed: how often the rule of
`Shipper.interval` (2 % of the age, from 2 to 60 s) ships within an hour and a day, times the
requests of one pass, at AWS's list price. The baseline is the arithmetic that the format was
chosen by: two objects every 15 s, and 3,200 requests a day under the rule.

And a file of 200 MB up and down, beside s3fs with its defaults on the same server.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from podstack.journal import SEGMENT, SENT_SEGMENT
from podstack.shipper import LONGEST, SHARE, SHORTEST
from tests.benchmarks._fresh import in_fresh_process, in_turns
from tests.benchmarks._stores import S3, Proxy, servers, surroundings, throw, url_of
from tests.benchmarks._tables import Figure, Table, figures_table, ratio_at_most

_PUT, _GET = 5e-6, 4e-7  # dollars a request: PUT, POST and LIST; GET and HEAD
_HOUR, _DAY = 3600.0, 86_400.0  # seconds
_PLANNED_HOUR = 480  # PUTs: two objects every 15 s
_PLANNED_DAY = 3_200  # PUTs under the rule
_LINE = 34.6  # bytes of a point in a log that is not packed
_PACE = 0.05  # seconds from one step to the next
_RAW = "s3fs"
_OURS = "podstack"


def tables(*, quick: bool) -> Iterator[Table]:
    with surroundings(60) as folder, servers(folder) as ports:
        seconds = 5.0 if quick else 120.0
        with Proxy(ports[S3]) as proxy:
            passes, points = in_fresh_process(record, url_of(S3, proxy.port), proxy.switch, seconds)
            counted, sent, (begin, end) = proxy.requests.copy(), proxy.put_bytes, proxy.marks
        stored = in_fresh_process(bytes_stored, url_of(S3, ports[S3]))
        yield _requests_table(seconds, passes, counted, end - begin)
        yield figures_table(
            "Bytes of that run",
            [
                Figure(
                    f"sent ÷ stored, {seconds:.0f} s (measured)", sent / stored, "", 1.0, "once"
                ),
                Figure(
                    "the same, 24 h (computed)",
                    amplification(_DAY, points / seconds),
                    "",
                    1.0,
                    "once",
                ),
                Figure("stored, bytes a point", stored / points, "bytes", _LINE, "plain lines"),
            ],
            "The plain lines are those of the design's measurement; meta and hints are included.",
        )
        size = (2 if quick else 200) * 1_000_000
        (folder / "large").write_bytes(os.urandom(1_000_000) * (size // 1_000_000))
        at = f"http://127.0.0.1:{ports[S3]}"
        rates = in_turns(
            lambda name: in_fresh_process(_FILES[name], at, str(folder / "large"), size),
            list(_FILES),
            rounds=1 if quick else 3,
        )
        yield figures_table(f"A file of {size // 1_000_000} MB, MB/s", _file_figures(rates))


_TWICE = ratio_at_most(2.5)


# Requests ----------------------------------------------------------------------------------


def record(url: str, switch: int, seconds: float) -> tuple[float, int]:
    """How many passes the rule made while it was counted, and the points of the run."""
    os.environ["PODSTACK_CAPTURE"] = "1"  # as people have it
    from podstack import MLOpsClient

    run = MLOpsClient(url).start_run()
    begin = time.monotonic()
    warm_up = min(5.0, seconds / 3)  # what begins a run is there, and is not counted
    steps = _log_until(run, begin + warm_up, 0)
    throw(switch)
    steps = _log_until(run, begin + seconds, steps)
    throw(switch)
    run.finish()
    return passes_between(warm_up, seconds), steps * 10


def _log_until(run: Any, end: float, step: int) -> int:
    while time.monotonic() < end:
        run.log_metrics({f"train/metric_{i}": i / (step + 1) for i in range(10)}, step)
        step += 1
        time.sleep(_PACE)
    return step


def passes_between(begin: float, end: float) -> float:
    """How often a run ships between two ages of it, in seconds."""
    age, count = 0.0, 0
    while (age := age + min(LONGEST, max(SHORTEST, SHARE * age))) < end:
        count += age >= begin
    return float(count)


def amplification(age: float, rate: float) -> float:
    """Bytes sent for each that is kept, of segments that grow by `rate` points a second.

    A segment is sent whole at each pass until it is full.
    """
    sent = size = now = total = 0.0
    number = 0
    while now < age:
        step = min(LONGEST, max(SHORTEST, SHARE * now))
        now, size, total = now + step, size + step * rate * _LINE, total + step * rate * _LINE
        full = min(SEGMENT, SENT_SEGMENT << min(number, 8))
        while size > full:
            sent, size, number = sent + full, size - full, number + 1
            full = min(SEGMENT, SENT_SEGMENT << min(number, 8))
        sent += size
    return sent / total


def bytes_stored(url: str) -> int:
    from podstack.backend import open_backend

    return sum(info.size for info in open_backend(url).list())


def _requests_table(
    seconds: float, passes: float, counted: Counter[str], steady: Counter[str]
) -> Table:
    puts, lists = (steady[method] / passes for method in ("PUT", "LIST"))
    gets = (steady["GET"] + steady["HEAD"]) / passes
    hour, day = passes_between(0, _HOUR), passes_between(0, _DAY)
    price = (puts + lists) * _PUT + gets * _GET  # of one pass, in dollars
    planned = _PLANNED_HOUR * _PUT * 1000
    whole = f"all requests, {seconds:.0f} s (measured)"
    hours = "$ of 1,000 first hours (computed)"
    figures = [
        Figure(whole, counted.total(), "", steady.total(), "steady"),
        Figure("PUTs of one pass (measured)", puts, "", 2, "planned"),
        Figure("LISTs of one pass (measured)", lists, "", puts, "PUTs"),
        Figure("GETs of one pass (measured)", gets, "", puts, "PUTs"),
        Figure("PUTs, first hour (computed)", hour * puts, "", _PLANNED_HOUR, "planned"),
        Figure("PUTs, 24 h (computed)", day * puts, "", _PLANNED_DAY, "planned", _TWICE),
        Figure(hours, price * hour * 1000, "", planned, "planned", _TWICE),
        Figure("$ of 1,000 days (computed)", price * day * 1000, "", 16.0, "planned", _TWICE),
    ]
    return figures_table("A run of 20 steps/s into S3: requests", figures)


# A file ------------------------------------------------------------------------------------


def our_file(at: str, path: str, size: int) -> list[float]:
    """MB/s up, from `log_artifact` until `flush` returned, and down by `download`."""
    from podstack import MLOpsClient

    url = f"s3://runs/files-{os.getpid()}?endpoint={at}"
    with MLOpsClient(url).start_run(capture=False) as run:
        begin = time.perf_counter()
        run.log_artifact(path)
        if not run.flush(300):
            raise RuntimeError("the file was not sent")
        up = time.perf_counter() - begin
    target = Path(path).parent / f"down-{os.getpid()}"
    begin = time.perf_counter()
    MLOpsClient(url).get_run(run.id).artifacts[Path(path).name].download(target)
    return [size / up / 1e6, size / (time.perf_counter() - begin) / 1e6]


def raw_file(at: str, path: str, size: int) -> list[float]:
    """The same by `put_file` and `get_file` of s3fs as it comes."""
    import s3fs

    filesystem = s3fs.S3FileSystem(endpoint_url=at)
    filesystem.exists("runs/nothing")  # its session
    begin = time.perf_counter()
    filesystem.put_file(path, f"runs/raw-{os.getpid()}")
    up = time.perf_counter() - begin
    begin = time.perf_counter()
    filesystem.get_file(f"runs/raw-{os.getpid()}", f"{path}-{os.getpid()}")
    return [size / up / 1e6, size / (time.perf_counter() - begin) / 1e6]


_FILES = {_OURS: our_file, _RAW: raw_file}


def _file_figures(rates: dict[str, list[float]]) -> Iterator[Figure]:
    for what, ours, raw in zip(("up", "down"), rates[_OURS], rates[_RAW], strict=True):
        yield Figure(what, ours, "", raw, _RAW)
