"""A podstack server as a store: `https://host`, `https://host/podstack`, `http://127.0.0.1:8080`.

Keys below `projects/<project>/` are objects on the server; `podstack.json` is what the server says
of its store. Writers and readers use it like any other store, and searches are answered by it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import orjson

from podstack.backend import AnswersQuestions, Backend, BlobInfo, ShowsPages, split_options
from podstack.backends.http_address import checked_token, checked_url, project_name, seconds
from podstack.backends.http_answers import (
    SHORTER,
    Answer,
    Place,
    not_podstack,
    refusal,
    unanswered,
)
from podstack.backends.http_listing import is_prefix, keys_of_page, names_of_page
from podstack.backends.http_wire import READ, Wire, no_body
from podstack.errors import AccessDeniedError, BackendError, BlobMissing, UsageError

_STORE = "podstack.json"
_PROJECTS = "projects/"
_EVERY = "*"  # the project of a token for all of them
_PIECE = 1 << 20  # bytes of a file that are in memory at once
_LONGEST = 256 << 20  # bytes of an answer in JSON
_LONGEST_PATH = 8000  # characters of a question
_OPTIONS = ("ca_bundle", "timeout")

Names = list[str]  # the class below has a method of that name


class HttpBackend:
    """A `podstack.backend.Backend` over a podstack server's object routes.

    Args:
        url: where the server is; behind a proxy with the path that leads to it. Options may stand
            in its query: `https://host?ca_bundle=/etc/ca.pem&timeout=60`.
        api_token: made by `podstack token create` on the server. Never part of the URL.
        ca_bundle: a file of certificates to trust instead of the system's.
        timeout: seconds without a byte after which the server counts as gone.

    Reading is tried a few times, within seconds; writing once, for the shipper comes again.
    """

    takes_api_token = True

    def __init__(
        self,
        url: str,
        *,
        api_token: str | None = None,
        ca_bundle: str | None = None,
        timeout: float | str | None = None,
    ) -> None:
        where, options = split_options(url)
        unknown = sorted(set(options) - set(_OPTIONS))
        if unknown:
            raise UsageError(
                f"A server's URL takes {' and '.join(_OPTIONS)}, not {unknown[0]!r}. A token goes "
                "into PODSTACK_API_TOKEN or api_token=."
            )
        self.url = checked_url(where.rstrip("/"))
        waiting = timeout if timeout is not None else options.get("timeout", READ)
        self._wire = Wire(
            self.url,
            api_token=checked_token(api_token),
            ca_bundle=ca_bundle or options.get("ca_bundle"),
            timeout=seconds(waiting),
        )

    # Objects -------------------------------------------------------------------------------

    def put(self, key: str, data: bytes | Path) -> None:
        place = self._place(key)
        if key == _STORE:
            self.get(key)  # a server has a store, and its id is not for clients to choose
            return
        path = self._object(key)
        if path is None:
            raise BackendError(f"{key}: a server keeps projects/ only.", **place._asdict())
        answer = self._put_file(path, data, place) if isinstance(data, Path) else self._put_bytes(
            path, bytes(data), place
        )  # fmt: skip
        self._check_put(answer, place)

    def _put_bytes(self, path: str, data: bytes, place: Place) -> Answer:
        headers = _put_headers(len(data), hashlib.sha256(data).hexdigest())
        return self._wire.write("PUT", path, place, headers=headers, body=lambda: data)

    def _put_file(self, path: str, file: Path, place: Place) -> Answer:
        """Read it twice, once for its hash: the server then refuses one that changed meanwhile."""
        try:
            with open(file, "rb") as source:
                digest, size = hashlib.sha256(), 0
                while piece := source.read(_PIECE):
                    digest.update(piece)
                    size += len(piece)
                return self._wire.write(
                    "PUT",
                    path,
                    place,
                    headers=_put_headers(size, digest.hexdigest()),
                    body=lambda: _pieces(source, size),
                )
        except BackendError:
            raise
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise BackendError(f"{file} for {place.words}: {reason}.", **place._asdict()) from error

    def _check_put(self, answer: Answer, place: Place) -> None:
        if answer.status == 409 and answer.told[0] == SHORTER:
            return  # the server has more of this log than what was put
        if answer.status == 404 and answer.told[0]:
            raise _no_project(place)
        facts = self._json(answer, place)
        if not isinstance(facts, dict) or not isinstance(facts.get("tag"), str):
            raise not_podstack(place, "an answer to a PUT without a tag")

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        place = self._place(key)
        if key == _STORE:
            return self._store_facts(place)[start:stop]
        path = self._object(key)
        if path is None:
            raise BlobMissing(f"There is no {place.words}.", **place._asdict())
        if start < 0 or (stop is not None and stop < 0):
            size = self._size(path, place)
            start, end, _ = slice(start, stop).indices(size)
            stop = max(start, end)
        if start == 0 and stop is None:
            return self._whole(path, place)
        if stop is not None and stop <= start:
            self._size(path, place)  # a missing one is missing in every part
            return b""
        return self._range(path, place, start, stop)

    def _whole(self, path: str, place: Place) -> bytes:
        answer = self._wire.read(path, place)
        _check_object(answer, place, 200)
        return answer.body

    def _range(self, path: str, place: Place, start: int, stop: int | None) -> bytes:
        headers = {"range": f"bytes={start}-{'' if stop is None else stop - 1}"}
        answer = self._wire.read(
            path, place, headers=headers, most=None if stop is None else max(stop - start, 65536)
        )
        if answer.status == 416:
            return b""
        _check_object(answer, place, 206)
        told = answer.headers.get("content-range", "")
        if not told.startswith(f"bytes {start}-{start + len(answer.body) - 1}/"):
            raise not_podstack(place, "another range than the one asked for")
        return answer.body

    def _size(self, path: str, place: Place) -> int:
        answer = self._wire.write("HEAD", path, place)
        if answer.status == 404 and answer.is_json:
            raise BlobMissing(f"There is no {place.words}.", **place._asdict())
        _check_object(answer, place, 200)
        length = answer.headers.get("content-length", "")
        if not length.isdecimal():
            raise not_podstack(place, "no length")
        return int(length)

    def delete(self, key: str) -> None:
        place = self._place(key)
        path = self._object(key)
        if path is None:
            return
        answer = self._wire.write("DELETE", path, place, body=no_body)
        if answer.status >= 300 and not (answer.status == 404 and answer.told[0]):
            raise refusal(answer, place)

    # Listings ------------------------------------------------------------------------------

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[BlobInfo]:
        if _STORE.startswith(prefix) and start_after < _STORE:
            yield from self._store_entry()
        for root in self._roots(prefix):
            if not is_prefix(prefix[len(root) :]):
                return
            inner = prefix[len(root) :] if prefix.startswith(root) else ""
            if start_after.startswith(root):
                yield from self._objects(root, inner, start_after[len(root) :])
            elif start_after < root:
                yield from self._objects(root, inner, "")

    def _objects(self, root: str, prefix: str, after: str) -> Iterator[BlobInfo]:
        place = Place(self.url, f"{root}{prefix}")
        cursor: str | None = after
        while cursor is not None:
            page = self._page(f"{root}objects", prefix, cursor, place)
            found, cursor = keys_of_page(page, prefix=prefix, after=cursor, place=place)
            yield from (info._replace(key=f"{root}{info.key}") for info in found)

    def list_dirs(self, prefix: str = "") -> Iterator[str]:
        if prefix == "":
            yield from ([_PROJECTS[:-1]] if any(True for _ in self.list_dirs(_PROJECTS)) else [])
        elif prefix == _PROJECTS:
            for name in sorted(root[len(_PROJECTS) : -1] for root in self._roots(prefix)):
                if next(iter(self._objects(f"{prefix}{name}/", "", "")), None) is not None:
                    yield name
        elif prefix.startswith(_PROJECTS):
            yield from self._folders(prefix)

    def _folders(self, prefix: str) -> Iterator[str]:
        (root,) = self._roots(prefix)
        if not is_prefix(prefix[len(root) :]):
            return
        inner, place = prefix[len(root) :], Place(self.url, prefix)
        cursor: str | None = ""
        while cursor is not None:
            page = self._page(f"{root}folders", inner, cursor, place)
            found, cursor = names_of_page(page, after=cursor, place=place)
            yield from found

    def _page(self, path: str, prefix: str, after: str, place: Place) -> Any:
        query = {"prefix": prefix, "start_after": after}
        path = f"/api/v1/{path}?{urlencode({k: v for k, v in query.items() if v})}"
        answer = self._wire.read(path, place, most=_LONGEST)
        if answer.status == 404 and answer.told[0]:
            raise _no_project(place)
        return self._json(answer, place)

    def _roots(self, prefix: str) -> Names:
        """The projects that keys with a prefix may lie in, as `projects/<project>/`, in order."""
        project, slash, _ = prefix.removeprefix(_PROJECTS).partition("/")
        if prefix.startswith(_PROJECTS) and slash:
            return [f"{_PROJECTS}{project_name(project, self._place_of_listing(prefix))}/"]
        if not (prefix.startswith(_PROJECTS) or _PROJECTS.startswith(prefix)):
            return []
        roots = [f"{_PROJECTS}{name}/" for name in self._projects()]
        return sorted(root for root in roots if root.startswith(prefix))

    def _projects(self) -> Names:
        """The projects that the token reaches."""
        place = Place(self.url)
        facts = self._json(self._wire.read("/api/v1/me", place, most=_LONGEST), place)
        found = facts.get("projects") if isinstance(facts, dict) else None
        if isinstance(found, dict) and _EVERY in found:
            answer = self._wire.read("/api/v1/projects", place, most=_LONGEST)
            facts = self._json(answer, place)
            found = facts.get("projects") if isinstance(facts, dict) else None
        if not isinstance(found, (dict, list)):
            raise not_podstack(place, "no projects")
        return [project_name(name, place) for name in found]

    # The store, and questions ---------------------------------------------------------------

    def _store_facts(self, place: Place) -> bytes:
        answer = self._wire.read("/api/v1/store", place, most=_LONGEST)
        facts = self._json(answer, place)
        if not isinstance(facts, dict) or "podstack" not in facts:
            raise not_podstack(place, "no store")
        return answer.body

    def _store_entry(self) -> Iterator[BlobInfo]:
        try:
            content = self._store_facts(self._place(_STORE))
        except BlobMissing:
            return
        yield BlobInfo(_STORE, len(content), hashlib.sha256(content).hexdigest()[:16])

    def page(self, path: str) -> str:
        """See `podstack.backend.ShowsPages`."""
        return f"{self.url}{quote(path)}"

    def ask(self, project: str, question: str, arguments: Mapping[str, Any]) -> Any:
        """What the server knows, as JSON; see `podstack.backend.AnswersQuestions`."""
        place = Place(self.url)
        asked = {name: _written(value) for name, value in arguments.items() if value is not None}
        path = f"/api/v1/projects/{quote(project, safe='')}/{quote(question)}"
        whole = f"{path}?{urlencode(asked)}"
        if len(whole) > _LONGEST_PATH:
            raise UsageError(
                f"That question has {len(whole):,} characters; a server takes {_LONGEST_PATH:,}. "
                "Ask for less at once."
            )
        answer = self._wire.read(whole, place, most=_LONGEST)
        if answer.status >= 300:
            raise unanswered(answer, place)
        return self._json(answer, place)

    def close(self) -> None:
        self._wire.close()

    def __repr__(self) -> str:
        return f"HttpBackend({self.url!r})"

    # Inside --------------------------------------------------------------------------------

    def _json(self, answer: Answer, place: Place) -> Any:
        if answer.status >= 300:
            raise refusal(answer, place)
        if not answer.is_json:
            raise not_podstack(place, "no JSON")
        try:
            return orjson.loads(answer.body)
        except ValueError:
            raise not_podstack(place, "damaged JSON") from None

    def _place(self, key: str) -> Place:
        parts = key.split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise UsageError(
                f"{key!r} is not a key: it must be relative, without '..' and empty parts."
            )
        return Place(self.url, key)

    def _place_of_listing(self, prefix: str) -> Place:
        return Place(self.url, prefix)

    def _object(self, key: str) -> str | None:
        """The path of a key's object on the server; None for one that no server has."""
        top, _, rest = key.partition("/")
        project, _, name = rest.partition("/")
        if f"{top}/" != _PROJECTS or not name:
            return None
        return f"/api/v1/projects/{quote(project, safe='')}/objects/{quote(name)}"


def _put_headers(size: int, sha256: str) -> dict[str, str]:
    return {
        "content-length": str(size),
        "content-type": "application/octet-stream",
        "x-podstack-sha256": sha256,
    }


def _pieces(source: Any, size: int) -> Iterable[bytes]:
    """`size` bytes of an open file from its beginning; fewer make the request fail."""
    source.seek(0)
    while size > 0:
        piece = source.read(min(_PIECE, size))
        if not piece:
            raise ValueError("the file became shorter while it was sent")
        size -= len(piece)
        yield piece


def _check_object(answer: Answer, place: Place, status: int) -> None:
    if answer.status >= 300:
        raise refusal(answer, place)
    if answer.status != status or "etag" not in answer.headers:
        raise not_podstack(place, f"status {answer.status} for an object")


def _written(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _no_project(place: Place) -> AccessDeniedError:
    return AccessDeniedError(
        f"{place.words}: this token reaches no such project. `podstack token create` on the "
        "server makes one for it.",
        **place._asdict(),
    )


if TYPE_CHECKING:
    _: type[Backend] = HttpBackend
    _asked: type[AnswersQuestions] = HttpBackend
    _shown: type[ShowsPages] = HttpBackend
