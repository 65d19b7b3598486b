"""Any fsspec filesystem as a store: gs:, gcs:, az:, abfs:, abfss:, sftp:, ssh:.

`FsspecBackend` is the base of the backends that need no more than this. An object store puts a
blob whole; where files are written in place, as over SFTP, a blob is written beside its place,
under a name that readers ignore, and renamed.
"""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from inspect import Parameter, signature
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podstack.backend import Backend, BlobInfo, split_options, split_url
from podstack.errors import (
    AccessDeniedError,
    BackendError,
    BackendUnavailable,
    BlobMissing,
    MissingExtraError,
    NotFoundError,
    UsageError,
)

# Where files are written in place, and a rename replaces what is there.
_RENAMING = {"sftp", "ssh"}
_EXTRAS = {"gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure"}
_PACKAGES = ("gcsfs", "adlfs", "paramiko")
_TEMPORARY = ".podstack-"
_UNAVAILABLE = {
    errno.ETIMEDOUT,
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EPIPE,
}
_SECRET = re.compile(r"pass|secret|token|credential|connection_string|(?:^|_)key$", re.IGNORECASE)
_TRUTHS = {"true": True, "yes": True, "false": False, "no": False}
_CONNECT_TIMEOUT = 5.0  # seconds


class FsspecBackend:
    """A `podstack.backend.Backend` over an fsspec filesystem with an atomic `pipe_file`.

    Args:
        url: what the user wrote, for messages.
        filesystem: makes an instance of one's own, without a listing cache. Called at the first
            use, and again in a forked child.
        root: the path inside the filesystem that all keys lie below.
    """

    def __init__(self, url: str, filesystem: Callable[[], Any], root: str) -> None:
        self.url = url
        self._make = filesystem
        self._made: dict[int, Any] = {}  # by process: what a child inherits, it leaves alone
        self._root = root.rstrip("/")

    def put(self, key: str, data: bytes | Path) -> None:
        path = self._path(key)
        with self._errors(key, writing=True):
            self._store(path, data.read_bytes() if isinstance(data, Path) else bytes(data))

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        with self._errors(key):
            path = self._path(key)
            if start == 0 and stop is None:
                return self._load(path)
            begin, end, _ = slice(start, stop).indices(self._filesystem.info(path)["size"])
            return (
                bytes(self._filesystem.cat_file(path, start=begin, end=end)) if begin < end else b""
            )

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[BlobInfo]:
        folder = prefix.rpartition("/")[0]
        with self._errors(prefix):
            top = self._path(folder) if folder else self._root
            found = self._found(top)
        for key in sorted(found):
            if key.startswith(prefix) and key > start_after:
                yield BlobInfo(key, found[key]["size"], self._tag(found[key]))

    def list_dirs(self, prefix: str = "") -> Iterator[str]:
        names = {info.key[len(prefix) :].partition("/") for info in self.list(prefix)}
        return iter(sorted({name for name, slash, _ in names if slash}))

    def delete(self, key: str) -> None:
        try:
            with self._errors(key):
                self._filesystem.rm_file(self._path(key))
        except BlobMissing:
            return

    def close(self) -> None:
        return

    @property
    def _filesystem(self) -> Any:
        """This process's instance. No lock: of two that are made at once, one stays."""
        mine = os.getpid()
        return self._made.get(mine) or self._made.setdefault(mine, self._make())

    def _store(self, path: str, data: bytes) -> None:
        self._filesystem.pipe_file(path, data)

    def _load(self, path: str) -> bytes:
        return bytes(self._filesystem.cat_file(path))

    def _path(self, key: str) -> str:
        if any(part in ("", ".", "..") or "\0" in part for part in key.split("/")):
            raise UsageError(
                f"{key!r} is not a key: it must be relative, without '..' and empty parts."
            )
        return f"{self._root}/{key}"

    def _found(self, top: str) -> dict[str, dict[str, Any]]:
        try:
            entries = self._filesystem.find(top, detail=True)
        except FileNotFoundError:
            return {}
        below = len(self._root) + 1
        # Where the top is a file, there is nothing below it; fsspec names it, and nothing of it.
        return {path[below:]: info for path, info in entries.items() if info.get("type") == "file"}

    def _tag(self, info: dict[str, Any]) -> str:
        """What changes with the content: the ETag where the store has one, else time and size."""
        stamp = (
            info.get("ETag")
            or info.get("etag")
            or info.get("LastModified")
            or info.get("mtime")
            or info.get("created")
        )
        return f"{stamp}-{info['size']}"

    @contextmanager
    def _errors(self, key: str, *, writing: bool = False) -> Iterator[None]:
        try:
            yield
        except (BackendError, UsageError, MissingExtraError):
            raise
        except OSError as error:
            absent = isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError))
            if absent and not writing:  # what a write misses is its source, not the blob
                raise BlobMissing(
                    f"There is no {key} in {self.url}.", url=self.url, key=key
                ) from error
            reason = os.strerror(error.errno) if error.errno else printable(str(error))
            raise _kind_of(error)(
                f"{key} in {self.url}: {reason}.", url=self.url, key=key
            ) from error


def printable(text: str) -> str:
    """On one line and without control characters: no store may steer a terminal."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _kind_of(error: OSError) -> type[BackendError]:
    if isinstance(error, PermissionError):
        return AccessDeniedError
    waits = isinstance(error, (TimeoutError, ConnectionError)) or error.errno in _UNAVAILABLE
    waits = waits or type(error).__name__ == "NoValidConnectionsError"  # paramiko's, without errno
    return BackendUnavailable if waits else BackendError


class AnyFsspecBackend(FsspecBackend):
    """A store behind whichever fsspec filesystem serves the URL's scheme.

    Args:
        url: as fsspec knows it: `gs://bucket/prefix`, `az://container/prefix`,
            `sftp://user@host/folder`. Options may stand in its query, but no credentials.
        filesystem_options: arguments of fsspec's filesystem, by its own names, such as
            `{"token": "cloud"}` for gs: or `{"key_filename": "…"}` for sftp:.

    Raises:
        UsageError: the filesystem has no such option, or the URL carries credentials.
        MissingExtraError: the package that serves the scheme is not installed.
    """

    def __init__(self, url: str, *, filesystem_options: Mapping[str, Any] | None = None) -> None:
        where, asked = _without_credentials(url)
        scheme = split_url(url)[0]
        maker = _filesystem_class(scheme)
        given = {**maker._get_kwargs_from_urls(where), **(filesystem_options or {})}
        given.update(_checked(scheme, maker, asked, given))
        if scheme in _RENAMING:
            given = {"timeout": _CONNECT_TIMEOUT, **given}
        super().__init__(url, lambda: _made(maker, given), maker._strip_protocol(where))
        self._renames = scheme in _RENAMING
        self._turns: dict[int, Any] = {}  # by process: a fork copies a held lock

    def close(self) -> None:
        filesystem = self._made.pop(os.getpid(), None)
        client = getattr(filesystem, "client", None)
        if self._renames and client is not None:
            client.close()

    def _store(self, path: str, data: bytes) -> None:
        if not self._renames:
            super()._store(path, data)
            return
        folder = path.rpartition("/")[0]
        temporary = f"{folder}/{_TEMPORARY}{os.urandom(8).hex()}.tmp"
        self._make_folders(folder)
        try:
            self._filesystem.ftp.putfo(BytesIO(data), temporary)  # waits not for each 32 kB
            self._filesystem.mv(temporary, path)
        except BaseException:
            self._forget(temporary)
            raise

    def _load(self, path: str) -> bytes:
        if not self._renames:
            return super()._load(path)
        file = BytesIO()
        self._filesystem.ftp.getfo(path, file)
        return file.getvalue()

    def _is_folder(self, key: str, error: OSError) -> bool:
        """SFTP says 'failure', without a number, where a folder is taken for a file."""
        return self._renames and not error.errno and bool(self._filesystem.isdir(self._path(key)))

    def _make_folders(self, folder: str) -> None:
        """Two writers may make the same one at once; the loser looks again."""
        try:
            self._filesystem.makedirs(folder, exist_ok=True)
        except OSError:
            if not self._filesystem.isdir(folder):
                self._filesystem.makedirs(folder, exist_ok=True)

    def _forget(self, temporary: str) -> None:
        try:
            self._filesystem.rm_file(temporary)
        except OSError:
            return  # it is not there, or the connection is gone; readers ignore its name

    def _found(self, top: str) -> dict[str, dict[str, Any]]:
        found = super()._found(top)
        hidden = [key for key in found if key.rpartition("/")[2].startswith(_TEMPORARY)]
        for key in hidden:
            del found[key]
        return found

    @contextmanager
    def _errors(self, key: str, *, writing: bool = False) -> Iterator[None]:
        turn = self._turns.setdefault(os.getpid(), threading.RLock())
        # Threads that share one of paramiko's channels wait for each other's answers for ever.
        with turn if self._renames else nullcontext(), super()._errors(key, writing=writing):
            try:
                yield
            except (UsageError, MissingExtraError):
                raise
            except OSError as error:
                if not writing and key and self._is_folder(key, error):
                    raise IsADirectoryError(errno.EISDIR, key) from error
                raise
            except Exception as error:
                raise _foreign(error, self.url, key) from error


def _foreign(error: Exception, url: str, key: str) -> BackendError:
    """For what an adapter raises beside OSError: its own classes, told by name and status."""
    said = printable(str(error)) or type(error).__name__
    message = f"{key or 'The store'} in {url}: {said}"
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    name = type(error).__name__
    if status in (401, 403) or "Auth" in name or "Credential" in name:
        return AccessDeniedError(
            f"{message}. Check the credentials that this store's own tools use.", url=url, key=key
        )
    later = isinstance(status, int) and (status in (408, 429) or status >= 500)
    if later or name in ("SSHException", "EOFError") or "Timeout" in name:
        return BackendUnavailable(f"{message}. It can be tried again.", url=url, key=key)
    return BackendError(message, url=url, key=key)


def _without_credentials(url: str) -> tuple[str, dict[str, str]]:
    """The URL without its query, and the query's options."""
    place, _, query = url.partition("?")
    names = [pair.partition("=")[0] for pair in query.split("&")]
    user = place.partition("://")[2].partition("/")[0].rpartition("@")[0]
    if ":" in user or any(map(_SECRET.search, names)):
        raise UsageError(
            "A URL is shown in messages and must not carry credentials. Give them as "
            "filesystem_options, or where this store's own tools look for them."
        )
    return split_options(url)


def _filesystem_class(scheme: str) -> Any:
    from fsspec import get_filesystem_class

    try:
        return get_filesystem_class(scheme)
    except ImportError as error:  # fsspec wraps the ModuleNotFoundError
        cause = error.__cause__ if isinstance(error.__cause__, ModuleNotFoundError) else error
        if not isinstance(cause, ModuleNotFoundError):
            raise
        extra = _EXTRAS.get(scheme, "sftp")
        raise MissingExtraError.for_(cause, extra=extra, also=_PACKAGES) from error


def _checked(
    scheme: str, maker: Any, asked: Mapping[str, str], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The query's options with their types, once every option is one of the filesystem's."""
    known = _parameters(scheme, maker)
    for name in [*asked, *given]:
        if name not in known:
            raise UsageError(str(NotFoundError.among(f"option of {scheme}://", name, known)))
    return {name: _typed(name, value, known[name]) for name, value in asked.items()}


def _parameters(scheme: str, maker: Any) -> dict[str, Any]:
    """Names and defaults of what the filesystem takes."""
    makers = [maker.__init__]
    if scheme in _RENAMING:
        import paramiko

        makers.append(paramiko.SSHClient.connect)
    named = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    found = {
        name: parameter.default
        for function in makers
        for name, parameter in signature(function).parameters.items()
        if parameter.kind in named and name not in ("self", "hostname")
    }
    return found | ({"host_key_policy": None, "temppath": ""} if scheme in _RENAMING else {})


def _typed(name: str, value: str, default: Any) -> Any:
    if isinstance(default, bool):
        if value.lower() not in _TRUTHS:
            raise UsageError(f"{name} is true or false, not {repr(value)[:80]}.")
        return _TRUTHS[value.lower()]
    if isinstance(default, (int, float)) or name.endswith(("port", "timeout")):
        try:
            return type(default)(value) if isinstance(default, (int, float)) else float(value)
        except ValueError as error:
            raise UsageError(f"{name} is a number, not {repr(value)[:80]}.") from error
    return value


def _made(maker: Any, options: Mapping[str, Any]) -> Any:
    """An instance that is shared with nobody and remembers no listing."""
    # fsspec's SFTP hands on to paramiko what it does not know, and keeps no listings anyway.
    uncached = {} if "sftp" in maker.protocol else {"use_listings_cache": False}
    return maker(**options, **uncached, skip_instance_cache=True)


if TYPE_CHECKING:
    _: type[Backend] = AnyFsspecBackend
