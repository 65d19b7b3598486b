"""The seam to storage: a flat map from keys to blobs, and nothing more.

A store is any object that follows `Backend`. It is found by the scheme of its URL among the
entry points of the group `podstack.backends`, so that a stranger's package can add one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from podstack import config
from podstack.errors import BlobMissing, UsageError
from podstack.names import short

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "podstack.backends"
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+):(?://)?")  # two letters at least: C: is a drive


class BlobInfo(NamedTuple):
    """One entry of a listing. `size` in bytes; `tag` changes whenever the content does."""

    key: str
    size: int
    tag: str


class Backend(Protocol):
    """A flat map from keys to blobs: all that podstack asks of storage.

    Keys are relative, use "/", and never contain ".." (podstack.keys makes them). Every method
    may be called from any thread. Every failure is a BackendError that carries url and key.
    No conditional write exists: podstack gives every key one writer instead.
    """

    url: str

    def put(self, key: str, data: bytes | Path) -> None:
        """Store `data`, or the content of the file it names, replacing any old blob.

        Readers see the old blob or the new one, never a mix. Durable when it returns.
        """
        ...

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """The bytes `[start, stop)` of a blob, cut like a slice.

        Raises:
            BlobMissing: there is none.
        """
        ...

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[BlobInfo]:
        """All blobs whose key starts with `prefix`, sorted by key, none twice.

        Only keys after `start_after`, where it is given.
        """
        ...

    def list_dirs(self, prefix: str = "") -> Iterator[str]:
        """The names one level below `prefix` that have blobs below them, sorted.

        `prefix` is empty or ends in "/".
        """
        ...

    def delete(self, key: str) -> None:
        """Remove a blob; an absent one is fine."""
        ...

    def close(self) -> None:
        """Give back connections. Twice is fine."""
        ...


@runtime_checkable
class LocalFolder(Protocol):
    """The power of a store that is a folder of this machine: its logs are appended in place."""

    def open_append(self, key: str) -> int:
        """A file descriptor that appends to `key`, which is made together with its folders."""
        ...

    def put_hint(self, key: str, data: bytes) -> None:
        """Like `put`, but free to be lost in a power loss: no fsync."""
        ...

    def sync_folders(self, key: str) -> None:
        """Make the names of `key`'s folders, up to the store's root, survive a power loss."""
        ...

    def path(self, key: str) -> Path:
        """Where `key` lies on disk."""
        ...


@runtime_checkable
class LocalStore(Backend, LocalFolder, Protocol):
    """A store in a folder of this machine: the only kind that is appended to in place."""


@runtime_checkable
class CanLook(Protocol):
    """The power of a store that tells of one blob without listing what lies beside it."""

    def look(self, key: str) -> BlobInfo:
        """Size and tag of a blob, as a listing would show them.

        Raises:
            BlobMissing: there is none.
        """
        ...


@runtime_checkable
class StampedFolders(Protocol):
    """The power of a store whose folders tell at once that something right below them changed."""

    def folder_stamps(self, folders: Iterable[str]) -> Sequence[str]:
        """A text for each folder that changes when a name right below it comes or goes.

        Empty where there is no such folder, and where it changed so lately that another change
        might not show: an empty text says nothing.
        """
        ...

    def folder_names(self, prefix: str) -> Sequence[str]:
        """The names of all folders right below `prefix`, sorted, also of empty ones."""
        ...


@runtime_checkable
class AnswersQuestions(Protocol):
    """The power of a store that searches by itself: a podstack server."""

    def ask(self, project: str, question: str, arguments: Mapping[str, Any]) -> Any:
        """The answer to a question about a project, as JSON.

        Args:
            arguments: texts, numbers, bools or lists of texts; None is one that is not given.

        Raises:
            UsageError: the question cannot be understood; the message says why.
            NotFoundError: there is no such run, experiment or metric.
            BackendError: the store does not answer.
        """
        ...


@runtime_checkable
class ShowsPages(Protocol):
    """The power of a store that people look at in a browser: a podstack server."""

    def page(self, path: str) -> str:
        """The address of a page, such as `/projects/default/runs/r`."""
        ...


def look(backend: Backend, key: str) -> BlobInfo:
    """Size and tag of one object.

    Raises:
        BlobMissing: there is none.
    """
    if isinstance(backend, CanLook):
        return backend.look(key)
    first = next(iter(backend.list(key)), None)  # the shortest key with that prefix is the key
    if first is None or first.key != key:
        raise BlobMissing(f"There is no {key} in {backend.url}.", url=backend.url, key=key)
    return first


def split_url(url: str) -> tuple[str, str]:
    """Scheme and rest of a URL; a bare path has the scheme `file`."""
    match = _SCHEME.match(url)
    return (match[1].lower(), url[match.end() :]) if match else ("file", url)


def split_options(url: str) -> tuple[str, dict[str, str]]:
    """A URL without its query, and the options that the query names.

    Raises:
        UsageError: an option is named twice.
    """
    from urllib.parse import parse_qsl  # 5 ms, for stores that are no folder

    where, _, query = url.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    options = dict(pairs)
    if len(options) < len(pairs):
        raise UsageError(f"An option stands twice in the URL {short(url)}.")
    return where, options


def open_backend(
    url: str, options: Mapping[str, Any] | None = None, *, api_token: str | None = None
) -> Backend:
    """The store at `url`, served by whichever plug-in claims its scheme. No I/O happens yet.

    Args:
        options: the plug-in's own keyword arguments.
        api_token: handed to a plug-in that has a true `takes_api_token`; others never see it.

    Raises:
        UsageError: no plug-in serves the scheme, two do, or an option is not one of its own.
    """
    scheme, _ = split_url(url)
    plugins = _plugins(scheme)
    if not plugins:
        raise UsageError(
            f"No backend serves {scheme}:// (installed: {_installed()}). "
            f"Check the URL {short(url)}, or install the plug-in; in a checkout, run "
            "`pip install -e .` again."
        )
    if len(plugins) > 1:
        claims = " and ".join(plugin.value for plugin in plugins)
        raise UsageError(f"Two plug-ins serve {scheme}://: {claims}. Uninstall one of them.")
    plugin = plugins[0].load()
    given = dict(options or {})
    if api_token is not None and getattr(plugin, "takes_api_token", False):
        given["api_token"] = api_token
    try:
        backend: Backend = plugin(url, **given)
    except TypeError as error:
        raise UsageError(f"{scheme}:// does not take these options: {error}.") from error
    return backend


def given_api_token() -> str | None:
    """PODSTACK_API_TOKEN, for a plug-in that others than `open_backend` make."""
    return config.api_token()


@lru_cache(maxsize=64)
def _plugins(scheme: str) -> tuple[EntryPoint, ...]:
    """The entry points for a scheme, looked up once.

    Our own come first: reading the metadata of one package takes 1 ms, of all of them 25 ms.
    """
    from importlib.metadata import PackageNotFoundError, distribution, entry_points

    try:
        own = distribution("podstack").entry_points.select(group=GROUP, name=scheme)
    except PackageNotFoundError:  # imported from a folder that was never installed
        own = entry_points(group=GROUP, name=scheme)
    found = {entry.value: entry for entry in own or entry_points(group=GROUP, name=scheme)}
    return tuple(found[value] for value in sorted(found))


def _installed() -> str:
    from importlib.metadata import entry_points

    return ", ".join(sorted(entry_points(group=GROUP).names)) or "none"
