"""Where a `ModelCheckpoint` of Lightning has its files, and where they go. Not for users."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any


def paths_of(callback: Any) -> Iterator[str]:
    for name in ("_last_checkpoint_saved", "last_model_path", "best_model_path"):
        yield from filter(None, [getattr(callback, name, None)])
    yield from getattr(callback, "best_k_models", None) or ()


def folder_of(path: str, callback: Any) -> str:
    """`checkpoints`; below it what tells two callbacks apart, and what a name with `/` makes."""
    parent = Path(path).parent
    top = Path(getattr(callback, "dirpath", None) or parent)
    own = () if top.name == "checkpoints" else (top.name,)
    below = parent.relative_to(top).parts if parent.is_relative_to(top) else ()
    return "/".join(filter(None, ("checkpoints", *own, *below)))
