"""Questions about one run: its facts, its series, what is new of them, and its files as one zip."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Query
from starlette.responses import Response, StreamingResponse
from zipstream import ZIP_STORED, ZipStream

from podstack.artifacts import Artifact
from podstack.errors import NotFoundError, UsageError
from podstack.index.wire import columns_out, plain, run_out
from podstack.series import Columns, Series
from podstack.server.access import VIEWER, Here, Routes
from podstack.server.buckets import MOST as MOST_BUCKETS
from podstack.server.buckets import bucketed, columns_of
from podstack.server.media import attachment
from podstack.server.questions import Text, answer, at_most, bad_cursor, reader_of, texts
from podstack.server.readers import ProjectReader
from podstack.stored_run import StoredRun

MOST_NAMES = 100  # series of one answer
MOST_POINTS = 2_000_000  # points of one answer
MOST_NEW = 100_000  # points of one answer about changes
_INT64 = 1 << 63

_COUNTS = re.compile(r"(?:[0-9]{1,12}(?:\.[0-9]{1,12})*)?")

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
def changes(here: Here, run: str, names: Text, cursor: str = "") -> Response:
    """The points of some metrics that came since a cursor, in the order of arrival.

    `reset` is true where there is too much to tell, or the cursor is of other names or of another
    history: then the series have to be asked for again. The cursor says how many points of each
    name were told, so any server that shares the store can go on with it.
    """
    wanted = at_most("names", texts(names), MOST_NAMES)
    known = _counts(cursor, len(wanted))
    reader = reader_of(here)
    opened = reader.run(run)
    parts = _arrived(reader, run, wanted) if wanted else []
    now = [len(part) if part is not None else 0 for part in parts]
    fresh = [max(0, new - old) for new, old in zip(now, known, strict=True)]
    reset = sum(fresh) > MOST_NEW or any(n < k for n, k in zip(now, known, strict=True))
    told = {
        name: columns_out(_after(part, count))
        for name, part, count, new in zip(wanted, parts, known, fresh, strict=True)
        if part is not None and new and not reset
    }
    status = opened.status
    return answer(
        {
            "cursor": ".".join(map(str, now)),
            "reset": reset,
            "points": told,
            "status": status,
            "ended": opened.ended,
        }
    )


def _arrived(reader: ProjectReader, run: str, names: list[str]) -> list[Columns | None]:
    with reader.metrics(run) as found:
        return [found[name].arrived if name in found else None for name in names]


def _after(columns: Columns, count: int) -> Columns:
    return Columns(columns.steps[count:], columns.values[count:], columns.times[count:])


def _counts(cursor: str, names: int) -> list[int]:
    if not cursor:
        return [0] * names
    if not _COUNTS.fullmatch(cursor):
        raise bad_cursor()
    counts = [int(part) for part in cursor.split(".")]
    if len(counts) != names:
        raise bad_cursor()
    return counts


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
    checked against its hash as it passes; where it is damaged the connection is cut.
    """
    opened = reader_of(here).run(run)
    top = f"{folder.strip('/')}/" if folder.strip("/") else ""
    files = [file for path, file in opened.artifacts.items() if path.startswith(top)]
    if not files:
        raise NotFoundError.among("folder", folder, _folders(opened))
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{run}-{top.rstrip('/')}".rstrip("-"))
    archive = _zipped(files, top)
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


def _zipped(files: list[Artifact], top: str) -> ZipStream:
    archive = ZipStream(compress_type=ZIP_STORED, sized=True)
    taken: set[str] = set()
    for file in files:
        name = _unique(file.path[len(top) :], taken)
        archive.add(file.stream(), name, size=file.size)
    return archive


def _unique(name: str, taken: set[str]) -> str:
    """A name that no other has, also where big and small letters are one."""
    stem, dot, ending = name.rpartition(".")
    number, wanted = 1, name
    while wanted.casefold() in taken:
        number += 1
        wanted = f"{stem}-{number}{dot}{ending}" if stem else f"{name}-{number}"
    taken.add(wanted.casefold())
    return wanted
