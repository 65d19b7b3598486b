"""One project of one store: where its objects are read and where they are written."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from podstack import clock, config, keys, names, oplog
from podstack.backend import AnswersQuestions, Backend, LocalStore, open_backend, split_url
from podstack.clock import hybrid_clock
from podstack.config import Settings
from podstack.disabled import DisabledStore
from podstack.errors import BackendError, BlobMissing, UsageError
from podstack.forks import renew_in_child
from podstack.keeper import keeper
from podstack.liveness import Liveness
from podstack.reader import StoreReader
from podstack.shipper import Shipper

if TYPE_CHECKING:
    from podstack.index.remote import AnyIndex

FORMAT = 1


class Store:
    """Opens what the settings say. No I/O happens before something is read or written."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.disabled = settings.mode == "disabled"
        target: Backend = (
            DisabledStore()
            if self.disabled
            else open_backend(settings.uri, api_token=settings.api_token)
        )
        self._is_remote = not isinstance(target, LocalStore)
        self._spool_folder = _spool_of(settings.uri)
        offline = self._is_remote and settings.mode == "offline"
        self.backend = _local(self._spool_folder / "offline") if offline else target
        self.is_blind = self.disabled or offline  # cannot know what exists in the store it is for
        self.keys = keys.Project(settings.project)
        self.reader = StoreReader(self.backend, self.keys)
        self.liveness = Liveness(self.reader)
        self._index: AnyIndex | None = None
        self._prepared = False
        self._lock = threading.RLock()
        self._spool: LocalStore | None = None
        self._shipper: Shipper | None = None
        renew_in_child(self)

    def renew_in_child(self) -> None:
        self._lock = threading.RLock()

    @property
    def url(self) -> str:
        return self.backend.url

    @property
    def index(self) -> AnyIndex:
        """What the store holds, as tables to search. Made when first asked for, with sqlite3."""
        with self._lock:
            if self._index is None:
                self._index = self._new_index()
            return self._index

    def _new_index(self) -> AnyIndex:
        if isinstance(self.backend, AnswersQuestions):
            from podstack.index.remote import RemoteIndex

            return RemoteIndex(self.backend, self.settings.project)
        from podstack.index import Index

        return Index(self)

    @property
    def portable_settings(self) -> Settings:
        """The settings for another process, which may stand in another folder."""
        is_path = not self.disabled and split_url(self.settings.uri)[0] == "file"
        return self.settings._replace(uri=self.url) if is_path else self.settings

    @property
    def folder(self) -> LocalStore:
        """Where runs are written: the store, where it is a folder of this machine, else a spool.

        Each process has a spool of its own, so that no two ship the same object.
        """
        if isinstance(self.backend, LocalStore):
            return self.backend
        with self._lock:
            if self._spool is None:
                self._spool = self._open_spool()
            return self._spool

    def _open_spool(self) -> LocalStore:
        spool = _local(self._spool_folder / names.new_writer_id())
        self._shipper = Shipper(spool, self.backend, self.keys)
        return spool

    def keep(self) -> None:
        """Ship from the background from now on, where there is something to ship to."""
        if self._shipper is not None:
            keeper.keep(self._shipper)

    def shipped(self, succeeded: Callable[[bool], None], *, clear: str = "") -> Iterator[None]:
        """A job: bring all that was written so far to where it belongs; see `Shipper.ship`."""
        if self._shipper is None:
            succeeded(True)
            return iter(())
        return self._shipper.ship(succeeded, clear=clear)

    def prepare(self) -> None:
        """Make the store where there is none, and refuse one of a later format.

        Raises:
            BackendError: it cannot be written; the message says what to do.
            UsageError: it was written by a later version.
        """
        if self._prepared:
            return
        try:
            self._label_spool()
            if not self._is_there():
                import uuid

                self.backend.put(
                    keys.STORE, orjson.dumps({"podstack": FORMAT, "store": str(uuid.uuid4())})
                )
        except BackendError as error:
            raise self.unwritable(str(error)) from error
        self._prepared = True

    def is_there(self) -> bool:
        """Whether the store exists already; nothing is made.

        Raises:
            BackendError: it does not answer; the message says what to do.
            UsageError: it was written by a later version.
        """
        try:
            return self._prepared or self._is_there()
        except BackendError as error:
            raise self.unwritable(str(error)) from error

    def _label_spool(self) -> None:
        """Say beside the spool which store it is for: its folder's name is only a hash."""
        if self._is_remote:
            _local(self._spool_folder).put_hint("uri", self.settings.uri.encode())

    def unwritable(self, reason: str = "the disk refuses.") -> BackendError:
        return BackendError(
            f"Cannot write to the store {self.url}: {reason} Check the path, its rights and the "
            "free space, or name another store: MLOpsClient('/a/folder/you/own') or PODSTACK_URI.",
            url=self.url,
            key=keys.STORE,
        )

    def _is_there(self) -> bool:
        try:
            facts = orjson.loads(self.backend.get(keys.STORE))
        except BlobMissing:
            return False
        except ValueError:
            facts = None
        version = facts.get("podstack") if isinstance(facts, dict) else None
        if version != FORMAT:
            raise UsageError(
                f"The store {self.url} says format {names.short(version)}; this podstack reads "
                f"format {FORMAT}. Upgrade podstack, or check that podstack.json is one."
            )
        return True

    def edit(self, prefix: str, changes: Mapping[str, Any]) -> None:
        """Set facts of a run or an experiment that this process does not record.

        A writer of its own does it.

        The caller has read what is there, so that `hybrid_clock` is ahead of it.
        """
        if self.disabled:
            return
        self.prepare()
        writer = names.new_writer_id()
        line = oplog.encode(hybrid_clock.next(), changes)
        try:
            self.backend.put(f"{prefix}{writer}.jsonl", line)
        except BackendError as error:
            raise self.unwritable(str(error)) from error
        if prefix.startswith(self.keys.runs):
            self._hint(keys.child(prefix, self.keys.runs), writer)

    def _hint(self, run: str, writer: str) -> None:
        """Lead readers to an edit. Experiments need none: there are few, and all are listed."""
        key = self.keys.live_hint(run, writer)
        hint = orjson.dumps({"t": clock.now(), "ended": True})
        try:
            if isinstance(self.backend, LocalStore):
                self.backend.put_hint(key, hint)
            else:
                self.backend.put(key, hint)
        except BackendError:
            return  # it is found without, only later


def _spool_of(uri: str) -> Path:
    """Where what is meant for `uri` waits on this machine."""
    digest = hashlib.sha256(uri.encode("utf-8", "replace")).hexdigest()
    return config.spool_folder() / digest[:12]


def _local(folder: Path) -> LocalStore:
    store = open_backend(str(folder))
    assert isinstance(store, LocalStore), "a bare path is served by a folder"
    return store
