"""Whether a folder lies on a network filesystem, where a write may wait for a server.

Linux only: elsewhere every folder counts as local. PODSTACK_NETWORK_FILESYSTEMS names the types
instead of `NETWORK`, between commas, for a filesystem that is not known here or is fast enough.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from functools import lru_cache

from podstack import config

NETWORK = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "afs",
        "lustre",
        "gpfs",
        "beegfs",
        "ceph",
        "glusterfs",
        "panfs",
        "wekafs",
        "pvfs2",
        "orangefs",
        "quobyte",
        "mfs",
        "fuse.glusterfs",
        "fuse.sshfs",
        "fuse.s3fs",
        "fuse.rclone",
        "fuse.gcsfuse",
        "fuse.juicefs",
        "fuse.mountpoint-s3",
        "fuse.goofys",
        "fuse.beegfs",
        "fuse.moosefs",
        "fuse.mfs",
        "fuse.blobfuse2",
    ]
)
_ESCAPED = re.compile(r"\\([0-7]{3})")


def is_on_network(folder: str) -> bool:
    """Whether `folder`, or what is there of its path, lies on a network filesystem."""
    named = config.network_filesystems()
    types = NETWORK if named is None else named
    return type_of(os.path.realpath(folder), _mounts()) in types


def type_of(path: str, mounts: Iterable[tuple[str, str]]) -> str:
    """The type of the filesystem that holds an absolute path; empty where none is known.

    Args:
        mounts: (mount point, type), the later of two at one place on top.
    """
    best, found = -1, ""
    for point, kind in mounts:
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= best:
            best, found = len(point), kind
    return found


def parsed(mountinfo: str) -> list[tuple[str, str]]:
    """(mount point, type) of each line of /proc/self/mountinfo, see proc_pid_mountinfo(5)."""
    found = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        if len(before.split()) > 4 and after:
            found.append((_unescaped(before.split()[4]), after.split()[0]))
    return found


def _mounts() -> Collection[tuple[str, str]]:
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return _parsed_once(file.read())
    except OSError:
        return ()


@lru_cache(maxsize=2)
def _parsed_once(mountinfo: str) -> list[tuple[str, str]]:
    return parsed(mountinfo)


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), text)
