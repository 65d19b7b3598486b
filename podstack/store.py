"""One project of one store: where its objects are read and where they are written."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import orjson

from podstack import config, keys, names, oplog
from podstack.backend import Backend, LocalStore, open_backend
from podstack.clock import hybrid_clock
from podstack.config import Settings
from podstack.disabled import DisabledStore
from podstack.errors import BackendError, BlobMissing, UsageError
from podstack.liveness import Liveness
from podstack.reader import StoreReader

FORMAT = 1


class Store:
    """Opens what the settings say. No I/O happens before something is read or written."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.disabled = settings.mode == "disabled"
        self.backend: Backend = DisabledStore() if self.disabled else open_backend(settings.uri)
        self.keys = keys.Project(settings.project)
        self.reader = StoreReader(self.backend, self.keys)
        self.liveness = Liveness(self.reader)
        self._prepared = False

    @property
    def url(self) -> str:
        return self.backend.url

    @property
    def folder(self) -> LocalStore:
        """Where runs are written: the store itself where it is a folder of this machine.

        Raises:
            UsageError: it is not; see `podstack.shipper`.
        """
        if isinstance(self.backend, LocalStore):
            return self.backend
        raise UsageError(
            f"Runs cannot be written to {self.url} yet: use a folder, as {config.DEFAULT_STORE!r}."
        )

    def prepare(self) -> None:
        """Make the store where there is none, and refuse one of a later format.

        Raises:
            BackendError: it cannot be written; the message says what to do.
            UsageError: it was written by a later version.
        """
        if self._prepared:
            return
        try:
            if not self._is_there():
                self.backend.put(
                    keys.STORE, orjson.dumps({"podstack": FORMAT, "store": str(uuid.uuid4())})
                )
        except BackendError as error:
            raise self.unwritable(str(error)) from error
        self._prepared = True

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
        self.backend.put(f"{prefix}{writer}.jsonl", oplog.encode(hybrid_clock.next(), changes))
