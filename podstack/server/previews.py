"""The files of a run for a browser: to save, to show as a picture, to play, to open in a cage.

Files are logged by anybody who may log, so none is trusted. What is shown has a type that its bytes
prove (media.py) and a policy under which nothing in it runs; a page that was logged runs without
this site's origin, storage and network. None can become a service worker, for a fetch of one is
refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import Query, Request
from starlette.responses import Response, StreamingResponse

from podstack.artifacts import Artifact
from podstack.backend import BlobInfo
from podstack.errors import BlobMissing, NotFoundError
from podstack.server.access import VIEWER, Context, Here, Routes
from podstack.server.asking import reader_of
from podstack.server.downloads import Download
from podstack.server.errors import Refused
from podstack.server.media import CAGED, HEAD, INERT, OCTETS, attachment, media_type

routes = Routes()

Wanted = Literal["file", "media", "page"]
Version = Annotated[int | None, Query(ge=1, le=1_000_000)]

_PAGES = (".html", ".htm")


@routes.add("GET HEAD", "/projects/{project}/runs/{run}/files/{path:path}", VIEWER)
def content(
    here: Here,
    request: Request,
    run: str,
    path: str,
    version: Version = None,
    shown: Annotated[Wanted, Query(alias="as")] = "file",
) -> Response:
    """The content of one file of a run, by its own name.

    version: 1 is the first that was logged under that name; without it, the latest. as: `file` to
    save it (checked against its hash while it is sent), `media` for a picture, a sound or a film,
    with ranges, `page` for a page that runs in a sandbox.
    """
    if "service-worker" in request.headers:
        raise Refused(403, "worker", "A file of a run is no service worker.")
    file = version_of(here, run, path, version)
    if shown == "media":
        return _media(here, request, file)
    if shown == "page":
        return _page(here, request, file)
    if "range" in request.headers or request.method == "HEAD":
        return _ranged(here, request, file, OCTETS, {})
    return StreamingResponse(
        _started(file),
        media_type=OCTETS,
        headers={
            "Content-Length": str(file.size),
            "Content-Disposition": attachment(_name(file)),
        },
    )


def version_of(here: Context, run: str, path: str, version: int | None) -> Artifact:
    """
    Raises:
        NotFoundError: no such run, no such file, or it has not so many versions.
    """
    versions = reader_of(here).run(run).artifacts.versions(path)
    if version is not None and version > len(versions):
        raise NotFoundError(f"{path} has {len(versions)} versions, not {version}.")
    return versions[-1 if version is None else version - 1]


def head_of(file: Artifact) -> bytes:
    """The first bytes of a file, which tell what it is."""
    return file.get(0, min(HEAD, file.size)) if file.size else b""


def _media(here: Context, request: Request, file: Artifact) -> Response:
    kind = media_type(file.path, head_of(file))
    if kind == OCTETS:
        raise Refused(415, "media", "That is no picture, sound or film that can be shown.")
    return _ranged(here, request, file, kind, {"content-security-policy": INERT})


def _page(here: Context, request: Request, file: Artifact) -> Response:
    if not file.path.lower().endswith(_PAGES):
        raise Refused(415, "page", "That is no page.")
    policy = {"content-security-policy": CAGED}
    return _ranged(here, request, file, "text/html; charset=utf-8", policy)


def _ranged(
    here: Context, request: Request, file: Artifact, kind: str, more: dict[str, str]
) -> Response:
    info = _info(file)
    shown = {} if kind != OCTETS else {"content-disposition": attachment(_name(file))}
    headers = {"content-type": kind, "cache-control": "private, no-cache", **shown, **more}
    return Download(file, here.services.threads, info, request, headers)


def _info(file: Artifact) -> BlobInfo:
    try:
        return file.look()
    except BlobMissing:
        raise NotFoundError(f"The content of {file.path} is not in the store (yet).") from None


def _started(file: Artifact) -> Iterator[bytes]:
    """The content, whose first piece is there: what cannot be read at all is still refused."""
    pieces = file.stream()
    first = next(pieces, b"")

    def all_of_it() -> Iterator[bytes]:
        yield first
        yield from pieces

    return all_of_it()


def _name(file: Artifact) -> str:
    return file.path.rpartition("/")[2]
