"""The object routes: a project's part of the store, over HTTP, byte for byte.

`{key}` is relative to `projects/<project>/`: no key leads to another project, nor to the server's
own objects. What the server does not know it keeps. It only holds what the store is built on: logs
grow, and a hashed file is what its folder's name says.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Annotated, Any

import orjson
from fastapi import Query, Request
from starlette.responses import Response

from podstack.backend import Backend, BlobInfo, look
from podstack.errors import BlobMissing
from podstack.keys import MAX_KEY, claim_of, plain_log
from podstack.server.access import ADMIN, EDITOR, VIEWER, Context, Here, Routes, forbidden
from podstack.server.bodies import Body, received
from podstack.server.downloads import Blob, Download
from podstack.server.errors import Refused
from podstack.server.growth import check_growth
from podstack.server.settings import ServerSettings

MOST = 1000  # entries of one page

_HINTS, _TOMBS = "live/", "tombs/"
_BAD = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\\]")
_TEMPORARY = re.compile(r"\.podstack-.*\.tmp")
_HASHED = re.compile(r"runs/[^/]+/artifacts/([0-9a-f]{12})/.+")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")

Limit = Annotated[int, Query(ge=1, le=MOST)]

_ANY_BYTES = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}

routes = Routes()


@routes.add("GET HEAD", "/projects/{project}/objects/{key:path}", VIEWER)
async def get_object(request: Request, key: str, here: Here) -> Response:
    """An object, or a range of it. Its ETag is the store's tag."""
    blob = Blob(here.services.stores.backend, full_key(here, key))
    info = await here.services.threads.run(blob.look)
    return Download(blob, here.services.threads, info, request)


@routes.add("PUT", "/projects/{project}/objects/{key:path}", EDITOR, openapi_extra=_ANY_BYTES)
async def put_object(request: Request, key: str, here: Here) -> Response:
    """Store an object, all or nothing. A log may only grow; only an admin buries a run."""
    if key.startswith(_TOMBS) and here.role < ADMIN:
        raise forbidden(ADMIN)
    whole = full_key(here, key)
    settings, threads = here.services.settings, here.services.threads
    limit = _limit(settings, whole)
    async with (
        received(request, threads, limit=limit, idle=settings.idle) as body,
        here.services.turns.of(whole),
    ):
        _check_hashes(key, body, request.headers.get("x-podstack-sha256"))
        info = await threads.run(lambda: _store(here, whole, body))
    here.services.readers.wrote(here.project, key)
    here.services.herald.heard(here.project, key)
    return _json(_entry(here, info))


@routes.add("DELETE", "/projects/{project}/objects/{key:path}", EDITOR)
async def delete_object(key: str, here: Here) -> Response:
    """Remove an object; an absent one is fine. Editors may remove hints, admins anything."""
    if not key.startswith(_HINTS) and here.role < ADMIN:
        raise forbidden(ADMIN)
    backend, whole = here.services.stores.backend, full_key(here, key)
    async with here.services.turns.of(whole):
        await here.services.threads.run(lambda: backend.delete(whole))
    here.services.readers.wrote(here.project, key)
    return Response(status_code=204)


@routes.add("GET", "/projects/{project}/objects", VIEWER)
async def list_objects(
    here: Here, prefix: str = "", start_after: str = "", limit: Limit = MOST
) -> Response:
    """Objects by key: one page, and the key after which the next one starts."""
    top = full_prefix(here, prefix)
    after = f"{_root(here)}{start_after}" if start_after else ""
    backend = here.services.stores.backend

    def page() -> list[BlobInfo]:
        found = backend.list(top, start_after=after)
        return list(islice((info for info in found if _is_text(info.key)), limit + 1))

    found = await here.services.threads.run(page)
    entries = [_entry(here, info) for info in found[:limit]]
    following = entries[-1]["key"] if len(found) > limit else None
    return _json({"objects": entries, "next": following})


@routes.add("GET", "/projects/{project}/folders", VIEWER)
async def list_folders(
    here: Here, prefix: str = "", start_after: str = "", limit: Limit = MOST
) -> Response:
    """The names one level below a prefix that have objects below them: one page."""
    if prefix and not prefix.endswith("/"):
        raise Refused(400, "prefix", "The prefix of folders ends in a slash.")
    top, backend = full_prefix(here, prefix), here.services.stores.backend

    def page() -> list[str]:
        names = (name for name in backend.list_dirs(top) if _is_text(name))
        return list(islice((name for name in names if name > start_after), limit + 1))

    found = await here.services.threads.run(page)
    following = found[limit - 1] if len(found) > limit else None
    return _json({"folders": found[:limit], "next": following})


def full_key(here: Context, key: str) -> str:
    """Where a key of this project lies in the store.

    Raises:
        Refused: it is no key.
    """
    whole = f"{_root(here)}{key}"
    parts = key.split("/")
    if (
        not {"", ".", ".."}.isdisjoint(parts)
        or _BAD.search(key)
        or any(len(part.encode()) > 255 or _TEMPORARY.fullmatch(part) for part in parts)
        or len(whole.encode()) > MAX_KEY
    ):
        raise _no_key()
    return whole


def full_prefix(here: Context, prefix: str) -> str:
    """Where the keys with a prefix lie; its last part may be the beginning of a name."""
    if prefix:
        full_key(here, prefix.removesuffix("/") if prefix.endswith("/") else prefix)
    return f"{_root(here)}{prefix}"


def _limit(settings: ServerSettings, key: str) -> int:
    """Bytes of an object. A claim is a few facts, and who looks for a trial reads many of them."""
    if claim_of(key):
        return settings.max_json
    return settings.max_log if plain_log(key) else settings.max_upload


def _store(here: Context, key: str, body: Body) -> BlobInfo:
    """Put a body in its place, in one thread that may wait for the store."""
    backend, settings = here.services.stores.backend, here.services.settings
    if plain_log(key):
        check_growth(backend, key, _if_there(backend, key), body, limit=settings.max_log)
    backend.put(key, body.data)
    return look(backend, key)


def _if_there(backend: Backend, key: str) -> BlobInfo | None:
    try:
        return look(backend, key)
    except BlobMissing:
        return None


def _check_hashes(key: str, body: Body, told: str | None) -> None:
    if told is not None and (not _SHA256.fullmatch(told) or told.lower() != body.sha256):
        raise Refused(422, "sha256", "The body's SHA-256 is not what X-Podstack-SHA256 says.")
    named = _HASHED.fullmatch(key)
    if named and not body.sha256.startswith(named[1]):
        raise Refused(422, "sha256", "The body's SHA-256 is not what its folder's name says.")


def _root(here: Context) -> str:
    return f"projects/{here.project}/"


def _entry(here: Context, info: BlobInfo) -> dict[str, Any]:
    return {"key": info.key[len(_root(here)) :], "size": info.size, "tag": info.tag}


def _is_text(key: str) -> bool:
    """A file whose name is no UTF-8 is no object: it could be neither named nor asked for."""
    return key.isprintable() or _BAD.search(key) is None


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")


def _no_key() -> Refused:
    return Refused(
        400,
        "key",
        "That is no key: parts of 1 to 255 bytes between slashes, "
        f"{MAX_KEY} bytes in all, without '..', backslashes and control characters.",
    )
