"""Datasets of a run: a name, a path, and a fingerprint where the path can be read cheaply.

A path with a scheme (`s3://…`, `https://…`) is stored as text and never opened.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import Any

from podstack.backend import split_url

_WHOLE = 16 << 20  # bytes up to which a file is hashed whole; beyond it, its ends and its size are
_ENDS = 1 << 20
_FILES = 10_000  # entries of a folder that are counted


def fingerprint(path: str) -> dict[str, Any]:
    """What tells one version of the data from another; empty where `path` cannot be read here.

    A file: size in bytes, mtime (epoch seconds), and `sha256`, or for more than 16 MB
    `sha256_of_ends` over its size, first and last megabyte. A folder: files, bytes, and `sha256`
    over the sorted relative paths and sizes of its first 10,000 files.
    """
    if split_url(path)[0] != "file" or path[:5].lower() == "file:":
        return {}
    try:
        facts = os.stat(path)
        if stat.S_ISREG(facts.st_mode):
            return {"size": facts.st_size, "mtime": facts.st_mtime, **_of_file(path, facts.st_size)}
        return _of_folder(path) if stat.S_ISDIR(facts.st_mode) else {}
    except (OSError, ValueError):
        return {}


def _of_file(path: str, size: int) -> dict[str, str]:
    with open(path, "rb") as file:
        if size <= _WHOLE:
            return {"sha256": hashlib.sha256(file.read(_WHOLE)).hexdigest()}
        digest = hashlib.sha256(f"{size}\n".encode() + file.read(_ENDS))
        file.seek(size - _ENDS)
        digest.update(file.read(_ENDS))
        return {"sha256_of_ends": digest.hexdigest()}


def _of_folder(top: str) -> dict[str, Any]:
    digest, files, size = hashlib.sha256(), 0, 0
    for parent, folders, names in os.walk(top):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(parent, name)
            facts = os.lstat(path)
            digest.update(
                f"{os.path.relpath(path, top)}\0{facts.st_size}\n".encode(
                    "utf-8", "surrogateescape"
                )
            )
            files, size = files + 1, size + facts.st_size
            if files >= _FILES:
                return {
                    "files": files,
                    "bytes": size,
                    "sha256": digest.hexdigest(),
                    "first_only": True,
                }
    return {"files": files, "bytes": size, "sha256": digest.hexdigest()}
