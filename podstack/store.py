"""One project of one store: where its objects are read and where they are written."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from podstack import clock, config, keys, mounts, names, oplog
from podstack.backend import (
    AnswersQuestions,
    Backend,
    LocalStore,
    ShowsPages,
    open_backend,
    split_url,
)
from podstack.clock import hybrid_clock
from podstack.config import Settings
from podstack.delivery import Delivery, home_of
from podstack.disabled import DisabledStore
from podstack.errors import BackendError, BlobMissing, UsageError
from podstack.forks import renew_in_child
from podstack.keeper import Keeper, keeper
from podstack.liveness import Liveness
from podstack.overlay import Overlay
from podstack.reader import StoreReader
from podstack.spool import LABEL

if TYPE_CHECKING:
    from podstack.index.remote import AnyIndex

FORMAT = 1


class Store:
    """Opens what the settings say. No I/O happens before something is read or written."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.disabled = settings.mode == "disabled"
        self.keys = keys.Project(settings.project)
        target = self._opened(settings)
        offline = settings.mode == "offline" and _is_elsewhere(target)
        self._answers: AnswersQuestions | None = None
        self._pages: ShowsPages | None = None
        self.delivery: Delivery | None = None  # where runs do not go to the store directly
        if offline:
            target = _local(home_of(settings.uri) / "offline")
        elif _is_elsewhere(target):
            self._answers = target if isinstance(target, AnswersQuestions) else None
            self._pages = target if isinstance(target, ShowsPages) else None
            self.delivery = Delivery(settings.uri, target, self.keys)
            target = Overlay(target, self.delivery.spool)
        self.backend = target
        self._is_offline = offline
        self.is_blind = self.disabled or offline  # cannot know what exists in the store it is for
        self.reader = StoreReader(self.backend, self.keys)
        self.liveness = Liveness(self.reader)
        self.ledgers: dict[str, object] = {}  # of the sweeps that are worked on: sweeps/ledger.py
        self._index: AnyIndex | None = None
        self._prepared = False
        self._lock = threading.RLock()
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
        if self._answers is not None:
            from podstack.index.remote import RemoteIndex

            return RemoteIndex(self._answers, self.settings.project)
        from podstack.index import Index

        return Index(self)

    def who_answers_for(self, run: str) -> AnswersQuestions | None:
        """The server that knows a run's metrics as they are now: not while some wait here."""
        waits = self.delivery is not None and self.delivery.holds(run)
        return None if waits else self._answers

    def page(self, path: str) -> str | None:
        """The address of a page of the project, such as `compare`; None where none are served."""
        if self._pages is None:
            return None
        return self._pages.page(f"/projects/{self.settings.project}/{path}")

    @property
    def portable_settings(self) -> Settings:
        """The settings for another process, which may stand in another folder."""
        is_path = not self.disabled and split_url(self.settings.uri)[0] == "file"
        return self.settings._replace(uri=self.url) if is_path else self.settings

    @property
    def folder(self) -> LocalStore:
        """Where runs are written: the store, where it is a folder of this machine, else a spool."""
        if self.delivery is not None:
            return self.delivery.spool
        assert isinstance(self.backend, LocalStore), "all others are elsewhere"
        return self.backend

    @property
    def listener(self) -> Keeper:
        """The thread that may wait for the store's answers."""
        return keeper if self.delivery is None else self.delivery.courier

    def _opened(self, settings: Settings) -> Backend:
        if self.disabled:
            return DisabledStore()
        return open_backend(
            settings.uri, dict(settings.storage_options), api_token=settings.api_token
        )

    def prepare(self) -> None:
        """Make the store where there is none, and refuse one of a later format.

        Raises:
            BackendError: it cannot be written; the message says what to do.
            UsageError: it was written by a later version.
        """
        if self._prepared:
            return
        with self._explaining():
            self._label_spool()
            if not self._is_there():
                import uuid

                self.backend.put(
                    keys.STORE, orjson.dumps({"podstack": FORMAT, "store": str(uuid.uuid4())})
                )
        self._prepared = True

    def is_there(self) -> bool:
        """Whether the store exists already; nothing is made.

        Raises:
            BackendError: it does not answer; the message says what to do.
            UsageError: it was written by a later version.
        """
        with self._explaining():
            return self._prepared or self._is_there()

    def _label_spool(self) -> None:
        """Say beside the spool which store it is for: its folder's name is only a hash."""
        if self._is_offline:
            _local(home_of(self.settings.uri)).put_hint(LABEL, self.settings.uri.encode())

    def unwritable(self, reason: str = "the disk refuses.") -> BackendError:
        return BackendError(
            f"Cannot write to the store {self.url}: {reason} Check the path, its rights and the "
            "free space, or name another store: MLOpsClient('/a/folder/you/own') or PODSTACK_URI.",
            url=self.url,
            key=keys.STORE,
        )

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """Say what to do about a folder that cannot be used. A store elsewhere says so itself."""
        try:
            yield
        except BackendError as error:
            if self.delivery is not None:
                raise
            explained = self.unwritable(str(error))
            explained.errno = error.errno
            raise explained from error

    def unwritable_here(self) -> BackendError:
        """The same where the disk of this machine is at fault."""
        if self.delivery is None:
            return self.unwritable()
        home = self.delivery.spool.home
        return BackendError(
            f"Cannot write to the spool {home}, in which runs wait for {self.url}: the disk "
            "refuses. Check its rights and the free space, or name another: PODSTACK_SPOOL.",
            url=str(home),
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

    def edit(self, prefix: str, changes: Mapping[str, Any], *, author: str = "") -> str:
        """Set facts of a run or an experiment that this process does not record.

        A writer of its own does it.

        The caller has read what is there, so that `hybrid_clock` is ahead of it.

        Args:
            author: whose edit it is. Default: the user of this process.

        Returns:
            The id of that writer; empty where the store is disabled.
        """
        if self.disabled:
            return ""
        self.prepare()
        writer = names.new_writer_id()
        signed = {**changes, f"authors/{writer}": author or config.user()}
        line = oplog.encode(hybrid_clock.next(), signed)
        with self._explaining():
            self.backend.put(f"{prefix}{writer}.jsonl", line)
        if prefix.startswith(self.keys.runs):
            self._hint(keys.child(prefix, self.keys.runs), writer)
        return writer

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


def _is_elsewhere(target: Backend) -> bool:
    """Whether a write to it may wait for a network."""
    if isinstance(target, DisabledStore):
        return False
    return not isinstance(target, LocalStore) or mounts.is_on_network(target.url)


def _local(folder: Path) -> LocalStore:
    store = open_backend(str(folder))
    assert isinstance(store, LocalStore), "a bare path is served by a folder"
    return store
