"""What a run recorded of its surroundings, as one reads it: `run.environment`.

Every value comes from a store that anybody may have written to: what has not the type it should
have is taken as missing.
"""

from __future__ import annotations

import base64
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from podstack.console import readable_bytes
from podstack.errors import BlobMissing, DamagedError
from podstack.names import is_id, printable
from podstack.store import Store

CHANGES = "changes.patch"
REQUIREMENTS = "requirements.txt"

_SHOWN = ("command", "folder", "script", "notebook", "code", "remote", "changes", "python")
_ALSO = ("packages", "host", "platform", "cpu", "memory", "gpus", "job")


class Environment(Mapping[str, Any]):
    """The facts by name, such as `environment["cpu"]`, and by attribute where they are used much.

    What was not recorded is None, or empty. The large parts (`packages`, `diff`, …) are read from
    the store when they are first asked for.
    """

    def __init__(self, facts: Mapping[str, Any], load: Callable[[str], Any] | None = None) -> None:
        self._facts, self._load = facts, load or (lambda writer: {})

    def __getitem__(self, name: str) -> Any:
        return self._facts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)

    # Code ----------------------------------------------------------------------------------

    @property
    def arguments(self) -> list[str]:
        """The command as a list, secrets masked; the interpreter comes first."""
        return _texts(self.get("command"))

    @property
    def command(self) -> str | None:
        """The command as a line for a shell."""
        return shlex.join(self.arguments) or None

    @property
    def folder(self) -> str | None:
        """The working folder."""
        return self._text("folder")

    @property
    def script(self) -> str | None:
        return self._text("script")

    @property
    def notebook(self) -> str | None:
        return self._text("notebook")

    @property
    def repository(self) -> str | None:
        """The top folder of the code's git repository."""
        return self._text("repository")

    @property
    def commit(self) -> str | None:
        return self._text("commit")

    @property
    def branch(self) -> str | None:
        """None also where a commit was checked out without a branch."""
        return self._text("branch")

    @property
    def remote(self) -> str | None:
        """Where the repository comes from, without a user's name or password."""
        return self._text("remote")

    @property
    def dirty(self) -> bool | None:
        """Whether files that git knows were changed; None where that is not known."""
        dirty = self.get("dirty")
        return dirty if isinstance(dirty, bool) else None

    @property
    def unpushed(self) -> int | None:
        """Commits that no remote was known to have; None where there was no remote."""
        return _count(self.get("unpushed"))

    @property
    def changes(self) -> dict[str, Any]:
        """What is not in the commit, in numbers: bytes, left_out, untracked; whole and masked."""
        return _mapping(self.get("changes"))

    @cached_property
    def diff_bytes(self) -> bytes:
        """The changes against the commit, as `git apply` takes them."""
        packed, plain = self._changes.get("diff_base64"), self._changes.get("diff")
        try:
            return (
                base64.b64decode(packed) if isinstance(packed, str) else str(plain or "").encode()
            )
        except ValueError:
            return b""

    @property
    def diff(self) -> str:
        """The same as text; empty where nothing was changed."""
        return self.diff_bytes.decode("utf-8", "replace")

    @property
    def left_out(self) -> list[str]:
        """Changed files that are not in `diff`, because they are too large."""
        return _texts(self._changes.get("left_out"))

    @property
    def untracked(self) -> list[str]:
        """Files that git did not know, at most 1,000 of them; a folder ends in `/`."""
        return _texts(self._changes.get("untracked"))

    # Packages ------------------------------------------------------------------------------

    @property
    def python(self) -> str | None:
        """The version of Python."""
        return self._text("python")

    @property
    def packages(self) -> dict[str, str]:
        """The installed packages: `{name: version}`."""
        found = _mapping(self._packages.get("packages"))
        return {name: version for name, version in found.items() if isinstance(version, str)}

    @property
    def sources(self) -> dict[str, dict[str, Any]]:
        """Of packages that came from no index: `{name: {"url", "vcs", "commit", "editable"}}`."""
        found = _mapping(self._packages.get("sources"))
        return {name: source for name, source in found.items() if isinstance(source, dict)}

    # The machine ---------------------------------------------------------------------------

    @property
    def host(self) -> str | None:
        return self._text("host")

    @property
    def platform(self) -> str | None:
        return self._text("platform")

    @property
    def gpus(self) -> list[str]:
        return _texts(self.get("gpus"))

    @property
    def job(self) -> dict[str, str]:
        """Variables that a scheduler set, and those that change results."""
        return {k: v for k, v in _mapping(self.get("job")).items() if isinstance(v, str)}

    # Inside --------------------------------------------------------------------------------

    def save(self, folder: str | os.PathLike[str] = ".") -> list[Path]:
        """Write `changes.patch` and `requirements.txt`, where they have content; returns where."""
        contents = {CHANGES: self.diff_bytes, REQUIREMENTS: self.requirements.encode()}
        written = []
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            if content:
                path = Path(folder) / name
                path.write_bytes(content)
                written.append(path)
        return written

    @property
    def requirements(self) -> str:
        """The packages as pip takes them, pinned; comments name what it cannot fetch."""
        from podstack import reproduce

        return reproduce.requirements(self.packages, self.sources)

    def _text(self, name: str) -> str | None:
        value = self.get(name)
        return value if isinstance(value, str) else None

    @cached_property
    def _changes(self) -> dict[str, Any]:
        return self._details("changes")

    @cached_property
    def _packages(self) -> dict[str, Any]:
        return self._details("packages")

    def _details(self, kind: str) -> dict[str, Any]:
        writer = _mapping(self.get(kind)).get("writer")
        return _mapping(self._load(writer)) if isinstance(writer, str) and is_id(writer) else {}

    def __repr__(self) -> str:
        rows = [(name, _line(self, name)) for name in (*_SHOWN, *_ALSO)]
        lines = [f"{name:<9} {line}" for name, line in rows if line]
        return "\n".join(map(printable, lines)) or "nothing is recorded of this run's environment"


def read(store: Store, run: str, facts: Mapping[str, Any]) -> Environment:
    """The environment of a run, whose op log says `facts` about it."""
    return Environment(facts, lambda writer: _load(store, run, writer))


def _load(store: Store, run: str, writer: str) -> Any:
    """
    Raises:
        DamagedError: it is no JSON.
    """
    key = store.keys.environment(run, writer)
    try:
        return orjson.loads(store.backend.get(key))
    except BlobMissing:
        return {}
    except ValueError as error:
        raise DamagedError(f"{key} is damaged: {error}.", url=store.url, key=key) from error


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _line(environment: Environment, name: str) -> str:
    """One line of what a prompt shows."""
    special: dict[str, Callable[[Environment], str]] = {
        "code": _code_line,
        "changes": _changes_line,
        "command": lambda e: e.command or "",
        "packages": lambda e: str(_count(_mapping(e.get("packages")).get("count")) or ""),
        "gpus": lambda e: ", ".join(e.gpus),
        "memory": lambda e: readable_bytes(n) if (n := _count(e.get("memory"))) else "",
        "job": lambda e: " ".join(f"{k}={v}" for k, v in e.job.items()),
    }
    if name in special:
        return special[name](environment)
    return environment._text(name) or ""


def _code_line(environment: Environment) -> str:
    if environment.commit is None:
        return ""
    branch = f" on {environment.branch}" if environment.branch else ""
    state = {True: ", changed", False: "", None: ", changes unknown"}[environment.dirty]
    return f"{environment.commit}{branch}{state}"


def _changes_line(environment: Environment) -> str:
    said = environment.changes
    size, untracked = _count(said.get("bytes")), _count(said.get("untracked"))
    parts = [f"a diff of {readable_bytes(size)}"] if size else []
    parts += [f"{untracked} untracked"] if untracked else []
    return ", ".join(parts)
