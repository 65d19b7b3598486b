"""The SQLite file behind an index: found, made, shared between processes, thrown away.

Files are named `<hash of the store's URL and this host>.<token>.sqlite`, and a token is never used
twice. So a damaged file can be removed while others have it open: theirs stays theirs, and no two
databases ever share a name, nor the write-ahead log that SQLite keeps beside it by name. The host
is part of the name because that log needs memory that all its processes share: a home folder on
a network is fine as long as each host has a file of its own.

Write-ahead logging it is, because then a reader never waits for a writer, a kill at any moment
leaves the last commit, and a commit costs no fsync. Where no file can be had, memory serves.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from podstack import config
from podstack.clock import monotonic, now
from podstack.forks import renew_in_child
from podstack.names import new_writer_id
from podstack.processes import host

VERSION = 1  # of SCHEMA; another one is rebuilt

SCHEMA = """
CREATE TABLE store (id TEXT);
CREATE TABLE runs (
  number INTEGER PRIMARY KEY, project TEXT, id TEXT, name TEXT, status TEXT, lost_since REAL,
  experiment TEXT, user TEXT, created REAL, ended REAL, parent TEXT, notes TEXT, error TEXT,
  deleted INTEGER, UNIQUE (project, id));
CREATE TABLE experiments (
  number INTEGER PRIMARY KEY, project TEXT, id TEXT, name TEXT, description TEXT, created REAL,
  archived INTEGER, deleted INTEGER, tags BLOB, seen BLOB, UNIQUE (project, id));
CREATE TABLE experiment_tags (experiment INTEGER, tag TEXT);
CREATE TABLE params (
  run INTEGER, name TEXT, kind TEXT, value, PRIMARY KEY (run, name)) WITHOUT ROWID;
CREATE TABLE tags (run INTEGER, tag TEXT, PRIMARY KEY (run, tag)) WITHOUT ROWID;
CREATE TABLE metrics (
  run INTEGER, name TEXT, last REAL, last_step INTEGER, min REAL, min_step INTEGER, max REAL,
  max_step INTEGER, steps INTEGER, PRIMARY KEY (run, name)) WITHOUT ROWID;
CREATE TABLE looks (
  number INTEGER PRIMARY KEY, project TEXT, id TEXT, word TEXT, folder TEXT, seen BLOB, data BLOB,
  UNIQUE (project, id));
CREATE TABLE hints (key TEXT PRIMARY KEY, tag TEXT) WITHOUT ROWID;
CREATE TABLE listings (project TEXT PRIMARY KEY, time REAL) WITHOUT ROWID;
"""

_PATIENCE = 1.0  # seconds to wait for whoever writes the same index
_OLD = 24 * 3600  # seconds after which a file that is not the one in use is removed

# Connections that a forked child got from its parent: never used and never closed, for closing
# one would take the parent's log away.
_of_the_parent: list[sqlite3.Connection] = []


class Busy(Exception):
    """Somebody else writes the index for longer than one would wait."""


class IndexFile:
    """One database: a file shared with other processes, or one in this process's memory.

    Any thread may read at any time, each through a connection of its own. One at a time writes.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._idle: list[sqlite3.Connection] = []
        self._watching: list[sqlite3.Connection] = []  # one that only looks whether others wrote
        self._lock = threading.RLock()  # around connections that threads share
        if path is None:
            self._memory = _connect(":memory:")
            self._memory.executescript(SCHEMA)
            self._idle.append(self._memory)
        weakref.finalize(self, _close, self._idle)
        weakref.finalize(self, _close, self._watching)
        renew_in_child(self)

    def renew_in_child(self) -> None:
        self._lock = threading.RLock()
        if self.path is not None:
            _of_the_parent.extend([*self._idle, *self._watching])
            self._idle.clear()
            self._watching.clear()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        if self.path is None:
            with self._lock:
                yield self._memory
            return
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = _open(self.path)
        try:
            yield connection
        finally:
            self._idle.append(connection)

    def edition(self) -> tuple[IndexFile, int]:
        """What stands for all that is committed: another one after each commit, whoever's it was.

        Some 20 µs: `data_version` tells a connection of what all others wrote.
        """
        with self._lock:
            if self.path is None:
                return self, self._memory.total_changes
            if not self._watching:
                self._watching.append(_open(self.path))
            (version,) = self._watching[0].execute("PRAGMA data_version").fetchone()
            return self, version

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it or, after an exception, nothing.

        Raises:
            Busy: another process is writing and does not end.
        """
        with self.reading() as connection:
            _begin(connection)
            try:
                yield connection
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def copy(self) -> IndexFile:
        """What is committed, in memory."""
        twin = IndexFile(None)
        with self.reading() as source:
            source.backup(twin._memory)
        return twin

    def close(self) -> None:
        """Close what nobody is using; the rest goes with the last reference to this object."""
        if self.path is not None:
            _close(self._idle)
            with self._lock:
                _close(self._watching)

    def remove(self) -> None:
        """Throw the file away; whoever else has it open keeps what it has."""
        self.close()
        if self.path is not None:
            _remove(self.path)


def open_index(url: str, store_id: str) -> IndexFile:
    """The index of the store at `url` in the cache folder, made if there is none that fits.

    Where that folder cannot be written, an empty one in memory; so too for a store that has no id:
    one that does not exist yet leaves nothing behind by being asked.
    """
    if not store_id:
        return IndexFile(None)
    try:
        folder = config.cache_folder() / "index"
        folder.mkdir(parents=True, exist_ok=True)
        return _opened(folder, _stem(url), store_id)
    except (OSError, RuntimeError, sqlite3.Error):  # RuntimeError: there is no home folder
        return IndexFile(None)


def existing(url: str) -> Path | None:
    """Where the index of the store at `url` lies, if there is one; nothing is made."""
    return next(iter(_candidates(config.cache_folder() / "index", _stem(url))), None)


def _opened(folder: Path, stem: str, store_id: str) -> IndexFile:
    for path in _candidates(folder, stem):
        if _fits(path, store_id):
            return IndexFile(path)
        _remove(path)
    _make(folder, stem, store_id)
    first, *others = _candidates(folder, stem)  # the first of those that were made at one time
    for other in (*others, *folder.glob(f"{stem}.*.tmp")):
        _remove_if_old(other)
    return IndexFile(first)


def _stem(url: str) -> str:
    return hashlib.sha256(f"{host()}\0{url}".encode("utf-8", "replace")).hexdigest()[:16]


def _candidates(folder: Path, stem: str) -> list[Path]:
    return sorted(path for path in folder.glob(f"{stem}.*.sqlite"))


def _fits(path: Path, store_id: str) -> bool:
    try:
        connection = _open(path)
    except sqlite3.DatabaseError:
        return False
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (page,) = connection.execute("PRAGMA page_size").fetchone()
        found = connection.execute("SELECT id FROM store").fetchall()
        is_whole = path.stat().st_size % page == 0  # SQLite reads a torn last page as zeros
        return bool(is_whole and version == VERSION and found == [(store_id,)])
    except sqlite3.OperationalError as error:
        return is_busy(error)
    except sqlite3.DatabaseError:
        return False
    finally:
        connection.close()


def _make(folder: Path, stem: str, store_id: str) -> None:
    """A file of its own, complete when it gets its name."""
    token = new_writer_id()
    temporary = folder / f"{stem}.{token}.tmp"
    connection = _connect(str(temporary))
    try:
        connection.execute("PRAGMA synchronous = OFF")  # nobody else knows of it yet
        connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT")
        connection.execute("INSERT INTO store VALUES (?)", (store_id,))
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()
    os.replace(temporary, folder / f"{stem}.{token}.sqlite")


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        try:
            os.unlink(f"{path}{suffix}")
        except OSError:
            continue


def _remove_if_old(path: Path) -> None:
    try:
        if now() - path.stat().st_mtime > _OLD:
            _remove(path)
    except OSError:
        return


def _open(path: Path) -> sqlite3.Connection:
    connection = _connect(f"{path.absolute().as_uri()}?mode=rw")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=5.0, isolation_level=None, check_same_thread=False, uri=path[:5] == "file:"
    )
    connection.execute("PRAGMA cache_size = -32768")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def _begin(connection: sqlite3.Connection) -> None:
    """Take the right to write; asked for every millisecond, since builders give way so briefly."""
    deadline = monotonic() + _PATIENCE
    pause = threading.Event()
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if not is_busy(error):
                    raise
                if monotonic() >= deadline:
                    raise Busy from error
            pause.wait(0.001)
    finally:
        connection.execute("PRAGMA busy_timeout = 5000")


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is to be thrown away: torn, no database, or without its tables."""
    return type(error) is sqlite3.DatabaseError or "no such table" in str(error)


def is_busy(error: sqlite3.Error) -> bool:
    text = str(error)
    return "locked" in text or "busy" in text


def _close(connections: list[sqlite3.Connection]) -> None:
    while connections:
        connections.pop().close()
