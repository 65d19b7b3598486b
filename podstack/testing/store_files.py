"""What lies in a store's folder, read and written around podstack."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from podstack.clock import hybrid_clock


def stored(store: Path) -> dict[str, bytes]:
    """Every object of a store by its key, without `live/`, which the background rewrites."""
    return {
        key: path.read_bytes()
        for path in sorted(store.rglob("*"))
        if path.is_file() and "/live/" not in (key := path.relative_to(store).as_posix())
    }


def stored_points(store: Path) -> list[dict[str, Any]]:
    """Every metric line of a store."""
    return [
        orjson.loads(line)
        for key, data in stored(store).items()
        if "/metrics/" in key
        for line in data.splitlines()
    ]


def write_op(folder: Path, changes: Mapping[str, Any], *, writer: str = "stranger") -> None:
    """Add an op log with one line, as any program that can write to the store could.

    Args:
        folder: `…/runs/<run>/meta` or `…/experiments/<experiment>`.
        changes: what the line sets, checked by nobody.
        writer: the log's name; one that is there already is replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    line = orjson.dumps(
        {"h": hybrid_clock.next(), "set": changes}, option=orjson.OPT_APPEND_NEWLINE
    )
    (folder / f"{writer}.jsonl").write_bytes(line)
