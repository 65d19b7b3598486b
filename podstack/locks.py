"""Files that one process holds for as long as it lives: the kernel lets go of them at kill -9."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


def opened(path: Path) -> int | None:
    """A descriptor to lock; None where the folder is gone or closed to us."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    except OSError:
        return None


def take(descriptor: int) -> bool:
    """Hold the file until the descriptor is closed; False where somebody else does, at once.

    Where the system has no such locks, nobody ever gets one: what a process left stays its own.
    """
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_taken(path: Path) -> bool:
    """Whether some process holds the file."""
    if not path.exists():
        return False
    descriptor = opened(path)
    if descriptor is None:
        return False
    try:
        return not take(descriptor)
    finally:
        os.close(descriptor)
