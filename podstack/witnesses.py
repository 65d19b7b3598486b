"""What an earlier sync found to be in the target already: a cache, to be deleted at any time.

That a packed log has as much as the source takes a request to find out, and so does what a range
holds. An answer stays true while the object of the source is unchanged (its tag) and the object of
the target, its witness, has the size that it had: objects have one writer and only grow. So the
second sync of two stores needs their listings and nothing else.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from podstack import config
from podstack.backend import BlobInfo

_SENT = ""  # the witness of a hint: it counts whatever became of it in the target


class Witnesses:
    """For one source and one target. Every method may be called from any thread.

    Args:
        path: where they are kept; None: they are forgotten.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._known = {} if path is None else _read(path)
        self._changed = False

    @classmethod
    def between(cls, *stores: str) -> Witnesses:
        """Those of an earlier sync between stores, told apart by their URLs and labels."""
        digest = hashlib.sha256("\n".join(stores).encode("utf-8", "replace")).hexdigest()
        return cls(config.cache_folder() / "synced" / f"{digest[:24]}.json")

    def tell(self, info: BlobInfo, there: Mapping[str, BlobInfo]) -> bool:
        """Whether the target, as listed, is known to have what the source has."""
        fact = self._known.get(info.key)
        if fact is None or fact[0] != info.tag:
            return False
        if fact[1] == _SENT:
            return True
        witness = there.get(fact[1])
        return witness is not None and witness.size == fact[2]

    def note(self, info: BlobInfo, witness: BlobInfo) -> None:
        """`witness`, in the target, has what `info`, in the source, has."""
        self._known[info.key] = (info.tag, witness.key, witness.size)
        self._changed = True

    def note_sent(self, info: BlobInfo) -> None:
        """A hint needs not be looked at again until it changes."""
        self._known[info.key] = (info.tag, _SENT, 0)
        self._changed = True

    def save(self) -> None:
        """Keep it for the next time; a disk that refuses costs that time some requests."""
        if self._path is None or not self._changed:
            return
        temporary = self._path.with_name(f".podstack-{os.urandom(8).hex()}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(orjson.dumps(dict(self._known)))
            temporary.replace(self._path)
        except OSError:
            return
        self._changed = False


def _read(path: Path) -> dict[str, tuple[str, str, int]]:
    try:
        found: Any = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    entries = found.items() if isinstance(found, dict) else ()
    return {key: tuple(fact) for key, fact in entries if _is_fact(fact)}


def _is_fact(fact: Any) -> bool:
    return isinstance(fact, list) and [type(part) for part in fact] == [str, str, int]
