"""Which process this is, in words another reader on the same machine can check."""

from __future__ import annotations

import hashlib
import os
from typing import TypedDict


class ProcessRecord(TypedDict):
    """Who wrote: kept in the run, so that a reader on the same machine can see that it is gone."""

    host: str
    machine: str  # one boot of one machine and its process namespace; pids mean the same within it
    pid: int
    born: str  # when the process started, in the kernel's own count; tells a reused pid apart


def this_process() -> ProcessRecord:
    pid = os.getpid()
    return ProcessRecord(host=host(), machine=_machine(), pid=pid, born=_born(pid) or "")


def is_gone(record: ProcessRecord) -> bool:
    """Whether that process has certainly ended. False where this machine cannot know."""
    try:
        pid, born, machine = int(record["pid"]), str(record["born"]), record["machine"]
    except (KeyError, TypeError, ValueError):
        return False
    if machine != _machine() or pid <= 0:
        return False
    now_born = _born(pid)
    if now_born is not None:
        return bool(born) and now_born != born
    return not _exists(pid)


def has_ended(pid: int) -> bool:
    """Whether no process of that number runs; one whose parent has yet to look has ended, too."""
    return _born(pid) is None and not _exists(pid)


def host() -> str:
    if hasattr(os, "uname"):
        return os.uname().nodename
    import platform

    return platform.node()


def _machine() -> str:
    parts = [host(), _line("/proc/sys/kernel/random/boot_id"), _namespace()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _born(pid: int) -> str | None:
    """The start time of a process in clock ticks since boot; None where it is not to be seen."""
    stat = _line(f"/proc/{pid}/stat")
    fields = stat.rpartition(")")[2].split()  # the name before it may hold anything
    if (
        len(fields) < 20 or fields[0] in "ZX"
    ):  # a zombie has ended; only its parent has not looked yet
        return None
    return fields[19]


def _exists(pid: int) -> bool:
    if os.path.isdir("/proc/self"):
        return False  # /proc is there, and it showed no living process of that number
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # there, but not ours
        return True
    return True


def _line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""
