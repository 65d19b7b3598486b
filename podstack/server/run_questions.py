"""Questions about one run: its facts, its series, what is new of them, and its files as one zip."""

from __future__ import annotations

import re
from array import array
from struct import pack
from typing import Annotated, Any
from zlib import crc32

from fastapi import Query
from starlette.responses import Response, StreamingResponse
from zipstream import ZIP_STORED, ZipStream

from podstack.artifacts import Artifact
from podstack.buckets import MOST as MOST_BUCKETS
from podstack.buckets import bucketed, columns_of
from podstack.errors import BlobMissing, NotFoundError, UsageError
from podstack.index.wire import columns_out, plain, run_out
from podstack.names import RUNNING, printable
from podstack.series import Columns, Series
from podstack.server.access import VIEWER, Context, Here, Routes
from podstack.server.asking import Text, answer, at_most, bad_cursor, reader_of, texts
from podstack.server.beside import standing_out
from podstack.server.media import attachment
from podstack.server.readers import FRESH, ProjectReader
from podstack.stored_run import StoredRun

MOST_NAMES = 100  # series of one answer
MOST_POINTS = 2_000_000  # points of one answer
MOST_NEW = 100_000  # points of one answer about changes
_INT64 = 1 << 63

_MARK = r"[0-9]{1,12}(?:-[0-9a-f]{8})?"
_CURSOR = re.compile(rf"{_MARK}(?:\.{_MARK})*")

Step = Annotated[int | None, Query(ge=-_INT64, lt=_INT64)]
Buckets = Annotated[int | None, Query(ge=1, le=MOST_BUCKETS)]

routes = Routes()


@routes.add("GET", "/projects/{project}/runs/{run}", VIEWER)
def one_run(here: Here, run: str) -> Response:
    """Everything of a run but its points: facts, parameters, files, data sets, alerts."""
    reader = reader_of(here)
    opened = reader.run(run)
    return answer(
        {
            **run_out(reader.row(run)),
            "artifacts": _listed(opened),
            "datasets": plain(opened.datasets),
            "alerts": [plain(_alert(alert)) for alert in opened.alerts],
            "environment": plain(dict(opened.environment)),
        }
    )


def _alert(alert: Any) -> dict[str, Any]:
    return {**alert._asdict(), "fired": [firing._asdict() for firing in alert.fired]}


# Points --------------------------------------------------------------------------------------


@routes.add("GET", "/projects/{project}/runs/{run}/metrics", VIEWER)
def metrics(here: Here, run: str) -> Response:
    """The name of each metric in the order they came, with its last value and its extremes."""
    with reader_of(here).metrics(run) as found:
        summaries = {name: plain(one.summary._asdict()) for name, one in found.items()}
    return answer({"metrics": summaries})


@routes.add("GET", "/projects/{project}/runs/{run}/series", VIEWER)
def series(
    here: Here,
    run: str,
    names: Text,
    buckets: Buckets = None,
    start: Step = None,
    stop: Step = None,
    raw: bool = False,
) -> Response:
    """Points as columns: as views keep them, all that were logged (raw), or in buckets.

    start, stop: the first and the last step to take.
    """
    wanted = at_most("names", texts(names), MOST_NAMES)
    told = {}
    left = MOST_POINTS
    with reader_of(here).metrics(run) as found:
        for name in wanted:
            one = found[name]
            told[name] = _thinned(one, buckets, start, stop) if buckets else _columns(one, raw)
            left -= len(told[name].get("steps", ()))
            if left < 0:
                raise UsageError(f"That is more than {MOST_POINTS:,} points: ask for buckets.")
    return answer({"series": told})


def _thinned(one: Series, count: int, start: int | None, stop: int | None) -> dict[str, Any]:
    return bucketed(*columns_of(one), count=count, start=start, stop=stop)


def _columns(one: Series, raw: bool) -> dict[str, Any]:
    return columns_out(one.columns if raw else one.view)


@routes.add("GET", "/projects/{project}/runs/{run}/changes", VIEWER)
def changes(
    here: Here, run: str, names: Text, cursor: str = "", standing: bool = False
) -> Response:
    """The points of some metrics that came since a cursor, in the order of arrival.

    `reset` is true where there is too much to tell, or the cursor is of other names or of another
    history: then the series have to be asked for again. The cursor says how many points of each
    name were told, and which one was the last, so any server that shares the store can go on with
    it. Where several processes record a run, points of one may turn up late, among those that were
    told: that is another history.

    standing: also where the run stands among those of its experiment, or null, and how far each
    of its metrics is from the `other` run that it is held against: `{name: [delta, verdict]}`.
    """
    wanted = at_most("names", texts(names), MOST_NAMES)
    known = _marks(cursor, len(wanted))
    reader = reader_of(here)
    row = reader.row(run)
    # the last answer has to have the last points: how old may they be, once it has ended
    age = FRESH if row.status == RUNNING else 0.0
    parts = _arrived(reader, run, wanted, age) if wanted else []
    counts = [int(mark.partition("-")[0]) for mark in known]
    fresh = [max(0, len(part) - count) for part, count in zip(parts, counts, strict=True)]
    is_other = any(_mark(p, n) != mark for p, n, mark in zip(parts, counts, known, strict=True))
    reset = is_other or sum(fresh) > MOST_NEW
    told = {
        name: columns_out(_after(part, count))
        for name, part, count, new in zip(wanted, parts, counts, fresh, strict=True)
        if new and not reset
    }
    return answer(
        {
            "cursor": ".".join(_mark(part, len(part)) for part in parts),
            "reset": reset,
            "points": told,
            "status": row.status,
            "ended": row.ended,
            **(standing_out(reader, run) if standing else {}),
        }
    )


def _arrived(reader: ProjectReader, run: str, names: list[str], age: float) -> list[Columns]:
    with reader.metrics(run, age) as found:
        return [found[name].arrived if name in found else _NO_POINTS for name in names]


def _after(columns: Columns, count: int) -> Columns:
    return Columns(columns.steps[count:], columns.values[count:], columns.times[count:])


_NO_POINTS = Columns(array("q"), array("d"), array("d"))


def _mark(columns: Columns, count: int) -> str:
    """How many points were told, and a hash of the last of them; nothing if they are not there."""
    if not 0 < count <= len(columns):
        return "" if count else "0"
    last = columns.steps[count - 1], columns.values[count - 1], columns.times[count - 1]
    return f"{count}-{crc32(pack('<qdd', *last)):08x}"


def _marks(cursor: str, names: int) -> list[str]:
    """What a cursor says of each name."""
    marks = cursor.split(".") if cursor else ["0"] * names
    if (cursor and not _CURSOR.fullmatch(cursor)) or len(marks) != names:
        raise bad_cursor()
    return marks


# Files ---------------------------------------------------------------------------------------


@routes.add("GET", "/projects/{project}/runs/{run}/artifacts", VIEWER)
def artifacts(here: Here, run: str) -> Response:
    """Every file in its latest version, with the key that its content is got by."""
    return answer({"artifacts": _listed(reader_of(here).run(run))})


def _listed(run: StoredRun) -> list[dict[str, Any]]:
    return [
        {
            "path": file.path,
            "size": file.size,
            "sha256": file.sha256,
            "time": file.time,
            "key": file.key.split("/", 2)[2],
            "versions": len(run_files.versions(file.path)),
        }
        for run_files in [run.artifacts]
        for file in run_files.values()
    ]


@routes.add("GET", "/projects/{project}/runs/{run}/archive", VIEWER)
def archive(here: Here, run: str, folder: Text = "") -> Response:
    """The files of a run, or of one folder of them, as one zip, made while it is sent.

    Contents are stored as they are, for weights and pictures do not get smaller. Each file is
    checked against its hash as it passes; where it is damaged the connection is cut. Files whose
    content is not in the store (yet) are left out, and named in one more: `not-in-the-store.txt`.
    """
    opened = reader_of(here).run(run)
    top = f"{folder.strip('/')}/" if folder.strip("/") else ""
    files = [file for path, file in opened.artifacts.items() if path.startswith(top)]
    if not files:
        raise NotFoundError.among("folder", folder, _folders(opened))
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{run}-{top.rstrip('/')}".rstrip("-"))
    archive = _zipped(files, top, _contents(here, run))
    return StreamingResponse(
        archive,
        media_type="application/zip",
        headers={
            "Content-Disposition": attachment(f"{name}.zip"),
            "Content-Length": str(len(archive)),  # with which a browser shows how far it is
        },
    )


def _folders(run: StoredRun) -> set[str]:
    return {path.rpartition("/")[0] for path in run.artifacts if "/" in path}


def _contents(here: Context, run: str) -> set[str]:
    """The keys of all contents of files that the store has of a run."""
    return {info.key for info in here.store.backend.list(f"{here.store.keys.run(run)}artifacts/")}


def _zipped(files: list[Artifact], top: str, there: set[str]) -> ZipStream:
    archive = ZipStream(compress_type=ZIP_STORED, sized=True)
    taken: set[str] = set()
    absent = []
    for file in files:
        if file.key in there or _is_there(file):
            name = _unique(file.path[len(top) :], taken)
            archive.add(file.stream(), name, size=file.size)
        else:
            absent.append(f"{printable(file.path)}\n")
    if absent:
        archive.add("".join(absent).encode(), _unique("not-in-the-store.txt", taken))
    return archive


def _is_there(file: Artifact) -> bool:
    """Whether the content is in the store by now: it may have been moved while it was listed."""
    try:
        file.look()
    except BlobMissing:
        return False
    return True


def _unique(name: str, taken: set[str]) -> str:
    """A name that no other has, also where big and small letters are one."""
    stem, dot, ending = name.rpartition(".")
    number, wanted = 1, name
    while wanted.casefold() in taken:
        number += 1
        wanted = f"{stem}-{number}{dot}{ending}" if stem else f"{name}-{number}"
    taken.add(wanted.casefold())
    return wanted
