"""S3: our backend beside s3fs as it comes and, where it is installed, obstore: bare, and as ours
reads by it.

On rclone over a folder, and on SeaweedFS. Objects of 1 kB one after the other, a listing of
10,000 keys, and a file of 200 MB up and down with what that adds to the process's memory. Each
sample is a fresh process; the baseline is s3fs.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from podstack.testing.s3_servers import RcloneServer, S3Server, SeaweedServer
from tests.benchmarks._fresh import in_fresh_process, in_turns
from tests.benchmarks._stores import surroundings
from tests.benchmarks._tables import Table, quantity, times

OURS, FAST, RAW, OBSTORE = "podstack", "podstack[fast]", "s3fs", "obstore"
_SERVERS: dict[str, type[S3Server]] = {"rclone": RcloneServer, "SeaweedFS": SeaweedServer}
_BUCKET = "bench"
_HEAD = ("", "PUT p50", "GET p50", "LIST", "up", "RSS up", "down", "RSS down")
_RATIOS = ("", *(f"ratio of {name}" for name in _HEAD[1:]))


class _Client(NamedTuple):
    """The five things that are measured of each."""

    put: Callable[[str, bytes], object]
    get: Callable[[str], bytes]
    count: Callable[[str], int]
    upload: Callable[[str, Path], object]
    download: Callable[[str, Path], object]


def tables(*, quick: bool) -> Iterator[Table]:
    calls, keys, megabytes = (5, 40, 2) if quick else (300, 10_000, 200)
    contestants = [OURS, RAW, *([FAST, OBSTORE] if find_spec("obstore") else [])]
    with surroundings() as folder:
        large = folder / "large"
        large.write_bytes(os.urandom(1_000_000) * megabytes)
        for name in ("rclone",) if quick else _SERVERS:
            with _SERVERS[name]() as server:
                server.client().create_bucket(Bucket=_BUCKET)
                in_fresh_process(fill, server.endpoint, keys)
                at = server.endpoint
                measured = in_turns(
                    lambda who, at=at: in_fresh_process(  # type: ignore[misc]
                        measure, who, at, calls, keys, str(large)
                    ),
                    contestants,
                    rounds=1 if quick else 3,
                )
            title = f"S3 on {name}: 1 kB objects, {keys:,} keys, a file of {megabytes} MB"
            yield from _tables(title, measured)


def _tables(title: str, measured: dict[str, list[float]]) -> Iterator[Table]:
    units = ("s", "s", "s", "MB/s", "bytes", "MB/s", "bytes")
    base = measured[RAW]
    rows = [
        (
            name,
            *(quantity(value, unit) for value, unit in zip(values, units, strict=True)),
            times(values[0] / base[0]),
        )
        for name, values in measured.items()
    ]
    yield Table(title, (*_HEAD, "ratio of PUT"), rows)
    ratios = [
        (name, *(times(value / whole) if whole else "–" for value, whole in zip(values, base)))  # noqa: B905
        for name, values in measured.items()
    ]
    yield Table(f"The same, to {RAW}", _RATIOS, ratios)


def fill(endpoint: str, keys: int) -> int:
    """Make the keys that are listed, on sixteen threads."""
    from concurrent.futures import ThreadPoolExecutor

    put = _opened(OURS, endpoint).put
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda number: put(f"many/{number:06d}", b"x"), range(keys)))
    return keys


def measure(name: str, endpoint: str, calls: int, keys: int, large: str) -> list[float]:
    """Seconds of a PUT, a GET and a LIST; then MB/s and bytes of memory, up and down."""
    client, body = _opened(name, endpoint), os.urandom(1000)
    own = f"own-{os.getpid()}"
    client.put(f"{own}/first", body)  # its session and its connection
    client.get(f"{own}/first")
    puts = _each(lambda number: client.put(f"{own}/{number}", body), calls)
    gets = _each(lambda number: client.get(f"{own}/{number}"), calls)
    lists = _each(lambda number: _check(client.count("many/"), keys), 3)
    source, target = Path(large), Path(f"{large}-{own}")
    size = source.stat().st_size
    up, grown_up = _grown(lambda: client.upload(f"{own}/large", source))
    down, grown_down = _grown(lambda: client.download(f"{own}/large", target))
    _check(target.stat().st_size, size)
    target.unlink()
    return [puts, gets, lists, size / up / 1e6, grown_up, size / down / 1e6, grown_down]


def _each(act: Callable[[int], object], calls: int) -> float:
    taken = []
    for number in range(calls):
        start = time.perf_counter()
        act(number)
        taken.append(time.perf_counter() - start)
    return median(taken)


def _grown(act: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and how much the most memory of the process grew."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, start = _peak(), time.perf_counter()
    act()
    return time.perf_counter() - start, _peak() - before


def _peak() -> float:
    """Bytes; 0 where there is no /proc."""
    with suppress(OSError):
        found = re.search(r"VmHWM:\s+([0-9]+) kB", Path("/proc/self/status").read_text())
        return int(found[1]) * 1024.0 if found else 0.0
    return 0.0


def _check(found: int, expected: int) -> None:
    if found != expected:
        raise RuntimeError(f"{found} instead of {expected}")


def _opened(name: str, endpoint: str) -> _Client:
    return _OPENERS[name](endpoint)


def _ours(endpoint: str, usual: int = 1 << 60) -> _Client:
    """`usual`: requests before obstore is used."""
    from podstack.backend import open_backend
    from podstack.backends import s3

    s3._USUAL = usual
    backend = open_backend(f"s3://{_BUCKET}?endpoint={endpoint}")

    def download(key: str, target: Path) -> None:
        """By pieces, as artifacts are."""
        size, piece = next(info.size for info in backend.list(key)), 8 << 20
        with target.open("wb") as file:
            for start in range(0, size, piece):
                file.write(backend.get(key, start, min(size, start + piece)))

    return _Client(
        backend.put,
        backend.get,
        lambda prefix: sum(1 for _ in backend.list(prefix)),
        backend.put,
        download,
    )


def _raw(endpoint: str) -> _Client:
    import s3fs

    filesystem = s3fs.S3FileSystem(endpoint_url=endpoint)

    def count(prefix: str) -> int:
        filesystem.invalidate_cache()
        return len(filesystem.find(f"{_BUCKET}/{prefix}"))

    return _Client(
        lambda key, data: filesystem.pipe_file(f"{_BUCKET}/{key}", data),
        lambda key: bytes(filesystem.cat_file(f"{_BUCKET}/{key}")),
        count,
        lambda key, path: filesystem.put_file(str(path), f"{_BUCKET}/{key}"),
        lambda key, path: filesystem.get_file(f"{_BUCKET}/{key}", str(path)),
    )


def _obstore(endpoint: str) -> _Client:
    import obstore
    from obstore.store import S3Store

    store: Any = S3Store(
        _BUCKET,
        endpoint=endpoint,
        region=os.environ["AWS_REGION"],
        access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
        secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        client_options={"allow_http": True},
        virtual_hosted_style_request=False,
    )

    def download(key: str, path: Path) -> None:
        with path.open("wb") as file:
            for piece in obstore.get(store, key).stream(min_chunk_size=8 << 20):
                file.write(piece)

    return _Client(
        lambda key, data: obstore.put(store, key, data),
        lambda key: bytes(obstore.get(store, key).bytes()),
        lambda prefix: sum(len(page) for page in obstore.list(store, prefix, chunk_size=1000)),
        lambda key, path: obstore.put(store, key, path),
        download,
    )


_OPENERS: dict[str, Callable[[str], _Client]] = {
    OURS: _ours,
    FAST: lambda endpoint: _ours(endpoint, 0),
    RAW: _raw,
    OBSTORE: _obstore,
}
