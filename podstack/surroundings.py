"""What a process can say of where it runs: its command, the machine, the installed packages.

Read from a few files and the names of folders: no other program is asked, no driver is woken, and
of the environment only the short list in `config` is looked at.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

import orjson

from podstack import config, secrets

_MAX_ARGUMENTS = 1_000
_MAX_ARGUMENT = 10_000  # characters
_MAX_ENTRIES = 20_000  # of one folder of sys.path
_MAX_GPUS = 64
_VERSION = r"\s(\d+(?:\.\d+)+)\s"
_FOLDER = r"(?P<name>.+?)-(?P<version>[^-]+)(?:-py[\d.]+)?\.(?:dist|egg)-info"


def command(arguments: Sequence[str]) -> list[str]:
    """The arguments of a command without secrets, bounded."""
    masked = secrets.masked_arguments(arguments[:_MAX_ARGUMENTS])
    return [text(argument[:_MAX_ARGUMENT]) for argument in masked]


def text(value: str) -> str:
    """`value` as it can be stored: bytes that are no UTF-8 become escapes."""
    return value.encode("utf-8", "backslashreplace").decode()


# The machine -------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def machine() -> dict[str, Any]:
    """Names and sizes that stay while the process lives; None for what cannot be seen."""
    system = os.uname() if hasattr(os, "uname") else None
    return {
        "host": system.nodename if system else _by_platform("node"),
        "platform": _platform(),
        "executable": text(sys.executable or ""),
        "cpu": _cpu(),
        "cpus": os.cpu_count(),
        "memory": _memory(),
        "gpus": _gpus() or None,
        "driver": _driver(),
        "container": _container(),
    }


def job() -> dict[str, str]:
    """Where a scheduler placed the process, and the switches that change results."""
    return {name: text(secrets.masked(value[:1000])) for name, value in config.job().items()}


def _platform() -> str:
    if not hasattr(os, "uname"):
        return _by_platform("platform")
    system = os.uname()
    pretty = re.search(r'^PRETTY_NAME="?([^"\n]*)', _read("/etc/os-release"), re.MULTILINE)
    distribution = f" ({pretty[1]})" if pretty else ""
    return f"{system.sysname} {system.release} {system.machine}{distribution}"


def _by_platform(what: str) -> str:
    import platform  # where there is no uname, hence no fork that an import could meet

    return str(getattr(platform, what)())


def _cpu() -> str | None:
    facts = _read("/proc/cpuinfo")
    found = re.search(r"^(?:model name|Model|cpu model|cpu)\s*:\s*(.+)$", facts, re.MULTILINE)
    return found[1].strip() if found else None


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _gpus() -> list[str]:
    """From the driver's files: asking NVML takes up to seconds where the driver sleeps."""
    top = "/proc/driver/nvidia/gpus"
    try:
        cards = sorted(os.listdir(top))[:_MAX_GPUS]
    except OSError:
        return []
    facts = (_read(f"{top}/{card}/information") for card in cards)
    found = (re.search(r"^Model:\s*(.+)$", fact, re.MULTILINE) for fact in facts)
    return [match[1].strip() for match in found if match]


def _driver() -> str | None:
    found = re.search(_VERSION, _read("/proc/driver/nvidia/version").partition("\n")[0])
    return found[1] if found else None


def _container() -> str | None:
    marks = {"/.dockerenv": "docker", "/run/.containerenv": "podman"}
    return next((name for mark, name in marks.items() if os.path.exists(mark)), None)


def _read(path: str) -> str:
    """The beginning of a file: some in /proc take long to be made to the end."""
    try:
        with open(path, "rb", buffering=0) as file:
            return (file.read(4096) or b"").decode("utf-8", "replace")
    except OSError:
        return ""


def interpreter() -> dict[str, str]:
    version = ".".join(map(str, sys.version_info[:3]))
    return {"python": version, "implementation": sys.implementation.name}


# Packages ----------------------------------------------------------------------------------


class Package(NamedTuple):
    """source: what its installer noted where it came from no index; a URL, and how."""

    name: str
    version: str
    source: dict[str, Any] | None


def packages() -> Iterator[list[Package]]:
    """The installed packages, folder by folder of sys.path; what comes first counts.

    Read from the names of folders, without opening the metadata: 1 ms for 100 packages.
    """
    for folder in dict.fromkeys(sys.path):
        try:
            changed = os.stat(folder or ".").st_mtime_ns
        except (OSError, ValueError):
            continue
        yield list(_packages_in(folder or ".", changed))


@lru_cache(maxsize=64)
def _packages_in(folder: str, changed: int) -> tuple[Package, ...]:
    del changed  # another time is another content
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in islice(entries, _MAX_ENTRIES) if e.name.endswith("-info")]
    except OSError:  # an archive, or gone
        return ()
    found = (_package(folder, name) for name in sorted(names))
    return tuple(package for package in found if package)


def _package(folder: str, name: str) -> Package | None:
    match = re.fullmatch(_FOLDER, name)
    if match:
        source = _source(folder, name) if name.endswith(".dist-info") else None
        return Package(_plain(match["name"]), match["version"], source)
    if not name.endswith(".egg-info"):
        return None
    version = re.search(r"^Version: (\S+)", _read(f"{folder}/{name}/PKG-INFO"), re.MULTILINE)
    if version is None:
        return None
    own = os.path.basename(folder) not in ("site-packages", "dist-packages")
    source = {"url": text(os.path.abspath(folder)), "editable": True} if own else None
    return Package(_plain(name.removesuffix(".egg-info")), version[1], source)


def _plain(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", text(name)).lower()


def _source(folder: str, name: str) -> dict[str, Any] | None:
    """What pip wrote of a package from a repository, a folder or a URL."""
    try:
        with open(f"{folder}/{name}/direct_url.json", "rb") as file:
            said = orjson.loads(file.read(65_536))
        url = text(secrets.without_user(said["url"]))
        commit = said.get("vcs_info", {}).get("commit_id")
        vcs = said.get("vcs_info", {}).get("vcs")
        editable = said.get("dir_info", {}).get("editable") or None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    facts = {"url": url, "vcs": vcs, "commit": commit, "editable": editable}
    return {key: value for key, value in facts.items() if value}
