"""Files on their way into a run: checked, copied at once, hashed in the background.

`log_artifact` returns once the store has a whole copy, so the source may change at once. The
copy waits as `artifacts/incoming-…/<path>` until the background has its SHA-256 and moves it to
`artifacts/<hash12>/<path>`: named by content, immutable, and the same file twice is stored once.
The first place goes only when the line that names the second will survive a power loss.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from podstack import clock, keys
from podstack.backend import LocalStore
from podstack.console import Progress, warn
from podstack.errors import BackendError, UsageError, WrongTypeError
from podstack.journal import Journal
from podstack.keeper import keeper
from podstack.names import short, short_path
from podstack.store import Store

_CHUNK = 8 << 20  # bytes
_SPARE = 16 << 20  # bytes that stay free on the disk, so that metrics go on
_SETTLED_AFTER = 5.0  # seconds
_COMPARED = 1 << 20  # bytes at once
_serial = count()


class Source(NamedTuple):
    """A file to be logged: where it lies, the name it gets, and its size in bytes."""

    path: str
    name: str
    size: int


def source_of(path: object, artifact_path: object) -> Source:
    """A file that can be logged.

    Raises:
        WrongTypeError: `path` is no path.
        UsageError: it is missing, a folder, not a plain file or unreadable, or cannot be named.
    """
    text = _path_text(path)
    try:
        facts = os.stat(text)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(
            f"Cannot log {short_path(text)}: {reason}. Paths start at {os.getcwd()}."
        ) from None
    if stat.S_ISDIR(facts.st_mode):
        raise UsageError(
            f"{short_path(text)} is a folder: use run.log_artifacts({short_path(text)})."
        )
    if not stat.S_ISREG(facts.st_mode):
        raise UsageError(
            f"{short_path(text)} is not a plain file but a device, pipe or socket: it has no end."
        )
    if not os.access(text, os.R_OK):
        raise UsageError(
            f"{short_path(text)} is not readable by this user. Change its rights, or log a copy."
        )
    return Source(
        text, _name(os.path.basename(os.path.abspath(text)), artifact_path), facts.st_size
    )


def sources_in(folder: object, artifact_path: object) -> list[Source]:
    """All plain files below a folder, under their paths relative to it.

    Links to folders are not followed.

    Raises:
        UsageError: it is no folder, holds no file, or a name in it cannot be stored.
    """
    top = _path_text(folder)
    if not os.path.isdir(top):
        raise UsageError(
            f"{short_path(top)} is not a folder. For one file use run.log_artifact(path)."
        )
    found = []
    for parent, folders, files in os.walk(top):
        folders.sort()
        for file in sorted(files):
            path = os.path.join(parent, file)
            if not os.path.isfile(path):
                warn(f"{path} is not a plain file; it is passed over")
                continue
            relative = os.path.relpath(path, top).replace(os.sep, "/")
            found.append(source_of(path, None)._replace(name=_name(relative, artifact_path)))
    if not found:
        raise UsageError(f"{short_path(top)} holds no file.")
    return found


def _path_text(path: object) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise WrongTypeError(f"An artifact is given as a path, not {short(path)}.")
    return os.fsdecode(path)


def _name(file: str, artifact_path: object) -> str:
    if artifact_path is None or artifact_path == "":
        return keys.artifact_path(file)
    if not isinstance(artifact_path, str):
        raise WrongTypeError(
            f"artifact_path is a folder name inside the run, not {short(artifact_path)}."
        )
    return keys.artifact_path(f"{artifact_path.removesuffix('/')}/{file}")


class Intake:
    """Takes files into one run: copies now, hashes and names them in the background."""

    def __init__(self, store: Store, run: str, journal: Journal) -> None:
        self._store, self._run, self._journal = store, run, journal

    def take(self, sources: list[Source]) -> None:
        """Copy `sources`. What the disk refuses is told in a warning and does not stop training.

        Raises:
            UsageError: a file changes while it is copied.
        """
        if self._store.disabled:
            return
        total = sum(source.size for source in sources)
        progress = Progress(
            f"logging {sources[0].name if len(sources) == 1 else f'{len(sources)} files'}", total
        )
        try:
            self._check_room(total)
            for source in sources:
                self._take(source, progress)
        except OSError as error:
            warn(f"artifact not stored: {error}. Training goes on.")
        finally:
            progress.close()

    def _check_room(self, size: int) -> None:
        delivery = self._store.delivery
        if delivery is not None:
            delivery.spool.check_room(size)
        folder = Path(self._store.folder.url)
        import shutil  # 3 ms that a run without files need not pay

        free = shutil.disk_usage(folder).free
        if size + _SPARE > free:
            raise BackendError(
                f"{size:,} bytes do not fit: {free:,} are free in {folder}", url=self._store.url
            )

    def _take(self, source: Source, progress: Progress) -> None:
        journal, folder, root = self._journal, self._store.folder, self._store.keys.run(self._run)
        incoming = keys.artifact(f"incoming-{journal.writer}-{next(_serial)}", source.name)
        target = folder.path(root + incoming)
        target.parent.mkdir(parents=True, exist_ok=True)
        size = _copy_consistently(source.path, target, progress)
        entry = {"key": incoming, "size": size, "time": clock.now()}
        journal.set({f"artifacts/{source.name}": entry})
        keeper.submit(self._settled(folder, source.name, entry))

    def _settled(self, folder: LocalStore, name: str, entry: dict[str, Any]) -> Iterator[None]:
        """A job: `_settle`; where the disk does not allow it, `flush` says so from now on."""
        try:
            yield from self._settle(folder, name, entry)
        except OSError:
            self._journal.unsettled.add(name)
            raise

    def _settle(self, folder: LocalStore, name: str, entry: dict[str, Any]) -> Iterator[None]:
        """Give a copied file its hash and the place it names."""
        root = self._store.keys.run(self._run)
        waiting = folder.path(root + entry["key"])
        digest = hashlib.sha256()
        with open(waiting, "rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                yield
            os.fsync(file.fileno())
        key = keys.artifact(digest.hexdigest()[:12], name)
        target = folder.path(root + key)
        target.parent.mkdir(parents=True, exist_ok=True)
        _place(waiting, target)
        folder.sync_folders(root + key)
        self._journal.set(
            {f"artifacts/{name}": {**entry, "key": key, "sha256": digest.hexdigest()}}
        )
        self._journal.once_durable(lambda: _remove(waiting))
        if self._store.delivery is not None:
            self._store.delivery.file_waits()


def _place(waiting: Path, target: Path) -> None:
    """Put a file at `target` too; a reader that was told the other place still finds it there."""
    temporary = target.with_name(f".podstack-{os.urandom(8).hex()}.tmp")
    try:
        os.link(waiting, temporary)
    except OSError:  # a filesystem without hard links
        os.replace(waiting, target)
    else:
        os.replace(temporary, target)


def _remove(waiting: Path) -> None:
    """Remove a copy, and the folders that were made for it and hold nothing else."""
    folder = waiting.parent
    try:
        waiting.unlink(missing_ok=True)
        while folder.name != "artifacts":
            folder.rmdir()
            folder = folder.parent
    except OSError:  # it holds something else; and a copy more than needed does no harm
        return


def _copy_consistently(source: str, target: Path, progress: Progress) -> int:
    """Copy a file as it was at one moment; its size in bytes.

    Raises:
        UsageError: it kept changing through three attempts.
    """
    temporary = target.with_name(f".podstack-{os.urandom(8).hex()}.tmp")
    try:
        for _ in range(3):
            with (
                open(source, "rb", buffering=0) as reading,
                open(temporary, "wb", buffering=0) as writing,
            ):
                before = _version(reading.fileno())
                _copy(reading.fileno(), writing.fileno(), before[0], progress)
                unchanged = _version(reading.fileno()) == before
                if unchanged and (_is_settled(before) or _is_same(source, temporary)):
                    os.replace(temporary, target)
                    return before[0]
        raise UsageError(
            f"{short_path(source)} changes while it is copied. Log it once it is complete."
        )
    finally:
        temporary.unlink(missing_ok=True)


def _version(descriptor: int) -> tuple[int, int]:
    facts = os.fstat(descriptor)
    return facts.st_size, facts.st_mtime_ns


def _is_settled(version: tuple[int, int]) -> bool:
    """Whether the last write began long enough ago to have ended.

    A file's time is that of a write's beginning, so a recent one says nothing of its end.
    """
    return clock.now() - version[1] / 1e9 > _SETTLED_AFTER


def _is_same(source: str, copy: Path) -> bool:
    """Whether a second look at the source finds what the first one did.

    A single write that is still under way through both looks goes unseen.
    """
    with open(source, "rb", buffering=0) as one, open(copy, "rb", buffering=0) as other:
        while True:
            chunk = one.read(_COMPARED)
            if chunk != other.read(len(chunk) or 1):
                return False
            if not chunk:
                return True


def _copy(reading: int, writing: int, size: int, progress: Progress) -> None:
    """Copy inside the kernel where the system can, a piece at a time for the bar."""
    send = _sendfile if hasattr(os, "sendfile") else _read_write
    done = 0
    while done < size:
        try:
            sent = send(reading, writing, done, min(_CHUNK, size - done))
        except OSError as error:
            if send is _read_write or error.errno not in (
                errno.EINVAL,
                errno.ENOTSUP,
                errno.ENOSYS,
                errno.ENOTSOCK,
            ):
                raise
            send = _read_write
            continue
        if not sent:
            return  # it became shorter; the caller sees that
        done += sent
        progress.advance(sent)


def _sendfile(reading: int, writing: int, offset: int, size: int) -> int:
    return os.sendfile(writing, reading, offset, size)


def _read_write(reading: int, writing: int, offset: int, size: int) -> int:
    os.lseek(reading, offset, os.SEEK_SET)
    view = memoryview(os.read(reading, min(size, 1 << 20)))
    sent = len(view)
    while view:
        view = view[os.write(writing, view) :]
    return sent
