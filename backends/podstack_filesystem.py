"""`podstack://host/projects/<project>/…` for everything that speaks fsspec: pandas, DuckDB, Dask.

    pandas.read_parquet("podstack://host/projects/default/runs/<run>/artifacts/…")

`podstack://` means https, but for this machine (localhost, 127.0.0.1, [::1]), where it means http.
The token is PODSTACK_API_TOKEN, or `storage_options={"api_token": …}`. Listings are not cached.
"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fsspec import AbstractFileSystem
from fsspec.spec import AbstractBufferedFile

from podstack.backend import BlobInfo, given_api_token
from podstack.backends.http import HttpBackend
from podstack.errors import BlobMissing

_LOCAL = ("localhost", "127.0.0.1", "::1")
_ROOT = "projects"


class PodstackFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec ships no types
    """A podstack server as a filesystem. Paths are `host[:port]/projects/<project>/<key>`.

    Args:
        host: the server, as in `127.0.0.1:8321`; taken from the first URL by fsspec.
        api_token: default: PODSTACK_API_TOKEN.
        ca_bundle, timeout: as for `HttpBackend`.
    """

    protocol = "podstack"
    cachable = False  # an instance would keep a token and connections for as long as we live

    def __init__(
        self,
        host: str = "",
        *,
        api_token: str | None = None,
        ca_bundle: str | None = None,
        timeout: float | None = None,
        **options: Any,
    ) -> None:
        options["use_listings_cache"] = False
        super().__init__(**options)
        self.host = host
        self._options: dict[str, Any] = {
            "api_token": api_token,
            "ca_bundle": ca_bundle,
            "timeout": timeout,
        }
        self._backends: dict[str, HttpBackend] = {}

    @property
    def storage_options(self) -> dict[str, Any]:
        """What fsspec shows and writes down of an instance: never the token."""
        return self._shown

    @storage_options.setter
    def storage_options(self, given: dict[str, Any]) -> None:
        self._shown = {name: value for name, value in given.items() if name != "api_token"}

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        return str(path).removeprefix("podstack://").rstrip("/")

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, str]:
        return {"host": path.removeprefix("podstack://").partition("/")[0]}

    def unstrip_protocol(self, name: str) -> str:
        return f"podstack://{self._strip_protocol(name)}"

    # Reading -------------------------------------------------------------------------------

    def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        host, key = self._split(path)
        backend, prefix = self._backend(host), f"{key}/" if key else ""
        found = [_folder(f"{host}/{prefix}{name}") for name in backend.list_dirs(prefix)]
        found += [
            _file(host, info) for info in backend.list(prefix) if "/" not in info.key[len(prefix) :]
        ]
        if not found:
            found = [self.info(path)]
        found.sort(key=lambda entry: str(entry["name"]))
        return found if detail else [entry["name"] for entry in found]

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        host, key = self._split(path)
        backend = self._backend(host)
        if not key:
            return _folder(host)
        first = next(iter(backend.list(key)), None) if key != _ROOT else None
        if first is not None and first.key == key:
            return _file(host, first)
        if key == _ROOT or next(iter(backend.list(f"{key}/")), None) is not None:
            return _folder(f"{host}/{key}")
        raise BlobMissing(f"There is no {key} in {backend.url}.", url=backend.url, key=key)

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        **options: Any,
    ) -> Any:
        """Every file below a path; one listing, whatever the depth."""
        if maxdepth is not None or withdirs:
            return super().find(path, maxdepth, withdirs, detail, **options)
        host, key = self._split(path)
        infos = self._backend(host).list(f"{key}/" if key else "")
        found = {entry["name"]: entry for entry in (_file(host, info) for info in infos)}
        if not found and key and self.isfile(path):
            found = {self._strip_protocol(path): self.info(path)}
        return found if detail else sorted(found)

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **options: Any
    ) -> bytes:
        host, key = self._split(path)
        return self._backend(host).get(key, start or 0, end)

    def modified(self, path: str) -> Any:
        """Now: a server tells tags, not times, so nobody may trust an older copy for its time."""
        return datetime.now(timezone.utc)

    def ukey(self, path: str) -> str:
        return str(self.info(path).get("tag", ""))

    def checksum(self, path: str) -> str:
        return self.ukey(path)

    # Writing -------------------------------------------------------------------------------

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
        host, key = self._split(path)
        self._backend(host).put(key, value)

    def put_file(self, lpath: str, rpath: str, *args: Any, **options: Any) -> None:
        host, key = self._split(rpath)
        if not Path(lpath).is_dir():
            self._backend(host).put(key, Path(lpath))

    def rm_file(self, path: str) -> None:
        host, key = self._split(path)
        self._backend(host).delete(key)

    _rm = rm_file

    def mkdir(self, path: str, create_parents: bool = True, **options: Any) -> None:
        """Nothing: folders are what keys make them."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Nothing: folders are what keys make them."""

    def rmdir(self, path: str) -> None:
        """Nothing: a folder goes with its last file."""

    # Opening -------------------------------------------------------------------------------

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | str | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **options: Any,
    ) -> AbstractBufferedFile:
        size = None if block_size is None else int(block_size)
        return PodstackFile(
            self, path, mode, size or "default", autocommit, cache_options=cache_options, **options
        )

    # Inside --------------------------------------------------------------------------------

    def _split(self, path: str) -> tuple[str, str]:
        """The host and the key of a path."""
        host, _, key = self._strip_protocol(path).partition("/")
        if host == _ROOT and self.host:  # a path without its host, as from `filesystem(host=…)`
            return self.host, f"{_ROOT}/{key}".rstrip("/")
        return host or self.host, key

    def _backend(self, host: str) -> HttpBackend:
        if host not in self._backends:
            token = self._options["api_token"] or given_api_token()
            self._backends[host] = HttpBackend(
                f"{_scheme(host)}://{host}", **{**self._options, "api_token": token}
            )
        return self._backends[host]

    def __reduce__(self) -> Any:
        return _again, (type(self), self.host, self._options)


class PodstackFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec ships no types
    """Reads block by block; what is written is sent whole when it is closed."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        found: bytes = self.fs.cat_file(self.path, start, end)
        return found

    def _initiate_upload(self) -> None:
        self._parts: list[bytes] = []

    def _upload_chunk(self, final: bool = False) -> bool:
        self._parts.append(self.buffer.getvalue())
        if final and self.autocommit:
            self.commit()
        return True

    def commit(self) -> None:
        self.fs.pipe_file(self.path, b"".join(self._parts))


def _again(kind: type[PodstackFileSystem], host: str, options: dict[str, Any]) -> Any:
    return kind(host, **options)


def _scheme(host: str) -> str:
    name = urlsplit(f"//{host}").hostname or ""
    return "http" if name in _LOCAL else "https"


def _folder(name: str) -> dict[str, Any]:
    return {"name": name, "size": 0, "type": "directory"}


def _file(host: str, info: BlobInfo) -> dict[str, Any]:
    return {"name": f"{host}/{info.key}", "size": info.size, "type": "file", "tag": info.tag}
