"""Files of a run, as one reads them: by path, in every version, verified when fetched.

How they got there is told in intake.py.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from podstack import keys
from podstack.backend import BlobInfo, look
from podstack.console import Progress
from podstack.errors import BackendUnavailable, BlobMissing, DamagedError, NotFoundError
from podstack.reader import OpLogs
from podstack.store import Store

_CHUNK = 8 << 20  # bytes
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds, before a piece is asked for again
_OBEYED = 30.0  # seconds that a store may ask to be left alone for

Answer = TypeVar("Answer")


class Artifact:
    """One version of a file of a run.

    path: its name in the run. size: bytes. sha256: hex, None while it is still being hashed or
    if the process was killed before it was. time: when it was logged, epoch seconds.
    """

    def __init__(self, store: Store, run: str, path: str, entry: Mapping[str, Any]) -> None:
        self._store, self._run = store, run
        self.path = path
        self.size: int = entry["size"]
        self.sha256: str | None = entry.get("sha256")
        self.time = float(entry["time"])
        self.key: str = store.keys.run(run) + entry["key"]

    def read_bytes(self) -> bytes:
        """The whole content, verified."""
        return b"".join(self.stream())

    def download(self, folder: str | os.PathLike[str] = ".") -> Path:
        """Write it below `folder` under its own path, and return where. All of it or nothing.

        Raises:
            DamagedError: the stored bytes are not what was logged.
        """
        target = Path(folder) / keys.artifact_path(self.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".podstack-{os.urandom(8).hex()}.tmp")
        progress = Progress(f"fetching {self.path}", self.size)
        try:
            with open(temporary, "xb") as file:
                for chunk in self.stream():
                    file.write(chunk)
                    progress.advance(len(chunk))
            os.replace(temporary, target)
        finally:
            progress.close()
            temporary.unlink(missing_ok=True)
        return target

    def stream(self) -> Iterator[bytes]:
        """The content in pieces, verified when the last one came.

        Raises:
            DamagedError: the stored bytes are not what was logged.
        """
        digest = hashlib.sha256()
        for chunk in self._chunks():
            digest.update(chunk)
            yield chunk
        self._verify(digest.hexdigest())

    def _chunks(self) -> Iterator[bytes]:
        done = 0
        while done < self.size:
            chunk = self._get(done, min(done + _CHUNK, self.size))
            if not chunk:
                raise DamagedError(
                    f"{self.path} ends after {done:,} of {self.size:,} bytes in {self._store.url}.",
                    url=self._store.url, key=self.key,
                )  # fmt: skip
            yield chunk
            done += len(chunk)

    def _get(self, start: int, stop: int) -> bytes:
        """One piece, asked for again where the store does not answer: what came is kept."""
        for pause in _PAUSES:
            try:
                return self.get(start, stop)
            except BackendUnavailable as error:
                threading.Event().wait(max(pause, min(error.retry_after or 0.0, _OBEYED)))
        return self.get(start, stop)

    def get(self, start: int = 0, stop: int | None = None) -> bytes:
        """Some bytes of the content, not verified, from where it lies by now.

        Raises:
            BlobMissing: the store has no content for it, or not yet.
        """
        return self._where_it_is(lambda key: self._store.backend.get(key, start, stop))

    def look(self) -> BlobInfo:
        """Where the content lies by now, its size and tag.

        Raises:
            BlobMissing: the store has no content for it, or not yet.
        """
        return self._where_it_is(lambda key: look(self._store.backend, key))

    def _where_it_is(self, ask: Callable[[str], Answer]) -> Answer:
        try:
            return ask(self.key)
        except BlobMissing:
            if self.sha256 is None:  # one with a hash stays where it is
                self._follow()
            return ask(self.key)

    def _follow(self) -> None:
        """Ask where it is now: it may have got its hash, and the place that names, since."""
        logs = OpLogs(self._store.backend, self._store.keys.meta(self._run))
        entries = [change.value for change in logs.history(f"artifacts/{self.path}")]
        for version in versions_of(self._store, self._run, self.path, entries):
            if version.time == self.time:
                self.key, self.sha256 = version.key, version.sha256

    def _verify(self, digest: str) -> None:
        if self.sha256 is not None and digest != self.sha256:
            raise DamagedError(
                f"{self.path} in {self._store.url} is damaged: "
                f"its SHA-256 is {digest}, logged was {self.sha256}.",
                url=self._store.url, key=self.key,
            )  # fmt: skip

    def __repr__(self) -> str:
        digest = self.sha256[:12] if self.sha256 else "not hashed yet"
        return f"Artifact({self.path!r}, {self.size:,} bytes, {digest})"


class Artifacts(Mapping[str, Artifact]):
    """The files of a run by path, each in its latest version."""

    def __init__(self, found: dict[str, list[Artifact]]) -> None:
        self._found = found

    def __getitem__(self, path: str) -> Artifact:
        return self.versions(path)[-1]

    def versions(self, path: str) -> list[Artifact]:
        """Every version of a path, oldest first."""
        try:
            return self._found[path]
        except KeyError:
            raise NotFoundError.among("artifact", path, self._found) from None

    def __contains__(self, path: object) -> bool:
        return path in self._found

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.values())) or "no artifacts"


def _is_entry(entry: Any) -> bool:
    """Whether a stored entry is whole: what is not costs only itself."""
    return (
        isinstance(entry, dict)
        and keys.is_artifact_key(entry.get("key"))
        and isinstance(entry.get("size"), int)
        and isinstance(entry.get("time"), (int, float))
        and isinstance(entry.get("sha256"), (str, type(None)))
    )


def versions_of(store: Store, run: str, path: str, entries: list[Any]) -> list[Artifact]:
    """The versions a path's history stands for; a copy and its settled place are one."""
    found: dict[float, Artifact] = {}
    for entry in entries:
        if _is_entry(entry):
            artifact = Artifact(store, run, path, entry)
            if artifact.time not in found or artifact.sha256 is not None:
                found[artifact.time] = artifact
    return list(found.values())
