"""What git knows of the code that runs: commit, branch, remote, and all that is not committed.

git is asked as a process of its own with a deadline: it prompts nobody, fetches nothing, writes
nothing (no index refresh, no locks), and runs nothing that the repository names: no hooks,
external diffs, text conversions, filters or file-system monitors. Missing git, a folder outside
of any repository and one that belongs to somebody else all give None.

Every function that waits is a generator: it yields while git works, so that the background
thread can do something else, and returns the answer.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from podstack import config
from podstack.programs import Answer, Deadline, Waiting, answer

MAX_DIFF = 1_000_000  # bytes of changes that are kept
MAX_NAMES = 1_000  # untracked files, or changed ones that were left out, that are listed
MAX_UNPUSHED = 1_000  # commits that are counted
_MAX_ANSWER = 4 * MAX_DIFF  # bytes that are read of any one answer

_ALWAYS = (
    *("git", "--no-pager", "--literal-pathspecs"),
    *("-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false"),
    *("-c", "core.hooksPath=/dev/null", "-c", "core.quotePath=true"),
    *("-c", "log.showSignature=false", "-c", "diff.suppressBlankEmpty=false"),
)
_STATUS = (
    *("status", "--porcelain=v2", "--branch", "-z"),
    *("--untracked-files=normal", "--ignore-submodules=all", "--no-renames"),
)
_DIFF = (
    *("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--binary"),
    *("--full-index", "--src-prefix=a/", "--dst-prefix=b/", "--unified=3", "--no-relative"),
    *("--ignore-submodules=all", "--inter-hunk-context=0", "--submodule=short", "HEAD", "--"),
)
_SETTINGS = r"^(filter\..*\.(clean|smudge|process|required)|(remote|branch)\..*\.(url|remote))$"
_FILE = rb"(?m)^diff --git "


class Diff(NamedTuple):
    """The changes that are kept, whole file by whole file, and the names of those that are not."""

    data: bytes
    left_out: list[str]
    whole: bool  # False: there may be more that nobody counted


class Code(NamedTuple):
    """A folder's place in its repository, and the state of that."""

    root: str
    commit: str | None  # None before the first one
    branch: str | None  # None where HEAD is detached
    remote: str | None
    dirty: bool | None  # None where git did not answer in time
    diff: Diff
    untracked: list[str]  # folders end in /
    unpushed: int | None  # commits that no remote is known to have; None where there is no remote
    submodules: bool


class _Git:
    """Asks about one folder, until a deadline."""

    def __init__(self, folder: str, deadline: Deadline) -> None:
        self._folder, self._deadline = folder, deadline
        self._environment = config.git_environment()

    def ask(self, *arguments: str) -> Waiting[Answer | None]:
        command = [*_ALWAYS, "-C", self._folder, *arguments]
        return answer(command, self._environment, self._deadline, limit=_MAX_ANSWER)

    def switch_off(self, settings: Sequence[str]) -> None:
        """Set these to nothing for all questions to come: the commands of filters."""
        self._environment["GIT_CONFIG_COUNT"] = str(len(settings))
        for number, setting in enumerate(settings):
            self._environment[f"GIT_CONFIG_KEY_{number}"] = setting
            off = "false" if setting.endswith(".required") else ""
            self._environment[f"GIT_CONFIG_VALUE_{number}"] = off


def state(folder: str, deadline: Deadline) -> Waiting[Code | None]:
    """The state of the repository that `folder` lies in, as far as git says before `deadline`."""
    git = _Git(folder, deadline)
    top = yield from git.ask("rev-parse", "--show-toplevel")
    if top is None:
        return None
    root = os.fsdecode(top.data.removesuffix(b"\n"))
    settings = yield from _settings(git)
    git.switch_off([name for name in settings if name.startswith("filter.")])
    said = yield from git.ask(*_STATUS)
    status = _Status.of(said.data if said else b"")
    diff = yield from _diff(git, status)
    remotes = {name: url for name, url in settings.items() if name.startswith("remote.")}
    unpushed = yield from _unpushed(git, status, remotes)
    return Code(
        root=root,
        commit=status.commit,
        branch=status.branch,
        remote=_remote(root, remotes, settings.get(f"branch.{status.branch}.remote")),
        dirty=status.changed if said else None,
        diff=diff,
        untracked=status.untracked,
        unpushed=unpushed,
        submodules=os.path.lexists(os.path.join(root, ".gitmodules")),
    )


def _settings(git: _Git) -> Waiting[dict[str, str]]:
    said = yield from git.ask("config", "-z", "--get-regexp", _SETTINGS)
    entries = os.fsdecode(said.data).split("\0") if said else []
    pairs = (entry.partition("\n") for entry in entries if entry)
    return {name: value for name, _, value in pairs}


def _diff(git: _Git, status: _Status) -> Waiting[Diff]:
    if not status.commit or not status.changed:
        return Diff(b"", [], whole=True)
    said = yield from git.ask(*_DIFF)
    return within(said.data, said.whole) if said else Diff(b"", [], whole=False)


def _unpushed(git: _Git, status: _Status, remotes: dict[str, str]) -> Waiting[int | None]:
    if not status.commit or not remotes:
        return None
    most = f"--max-count={MAX_UNPUSHED}"
    said = yield from git.ask("rev-list", "--count", most, "HEAD", "--not", "--remotes")
    text = said.data.strip() if said else b""
    return int(text) if text.isdigit() else None


def _remote(root: str, remotes: dict[str, str], preferred: str | None) -> str | None:
    """The remote of the branch, else `origin`, else any; a relative path made absolute."""
    wanted = (f"remote.{preferred}.url", "remote.origin.url", *remotes)
    url = next((remotes[name] for name in wanted if name in remotes), None)
    is_relative = url is not None and url.startswith(("./", "../"))
    return os.path.normpath(os.path.join(root, url)) if url and is_relative else url


class _Status(NamedTuple):
    commit: str | None
    branch: str | None
    changed: bool
    untracked: list[str]

    @classmethod
    def of(cls, data: bytes) -> _Status:
        """Read what `git status --porcelain=v2 --branch -z` prints."""
        lines = os.fsdecode(data).split("\0")
        heads = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# branch."))
        commit, branch = heads.get("branch.oid", ""), heads.get("branch.head")
        return cls(
            commit=commit if re.fullmatch("[0-9a-f]{40,64}", commit) else None,
            branch=None if branch == "(detached)" else branch,
            changed=any(line[:2] in ("1 ", "2 ", "u ") for line in lines),
            untracked=[line[2:] for line in lines if line.startswith("? ")],
        )


def within(diff: bytes, whole: bool, limit: int = MAX_DIFF) -> Diff:
    """The changed files that fit into `limit` bytes together, in order; the others by name.

    A change is kept whole or not at all, so that what is kept can be applied.

    Args:
        whole: False where `diff` was cut: its last file is then left out.
    """
    starts = [match.start() for match in re.finditer(_FILE, diff)]
    parts = [diff[a:b] for a, b in zip(starts, [*starts[1:], len(diff)], strict=True)]
    kept, left_out, size = [], [], 0
    for number, part in enumerate(parts):
        is_cut = not whole and number == len(parts) - 1
        if is_cut or size + len(part) > limit:
            left_out.append(_name_in(part))
        else:
            kept.append(part)
            size += len(part)
    return Diff(b"".join(kept), left_out[:MAX_NAMES], whole)


def _name_in(part: bytes) -> str:
    """The file of one part of a diff: `diff --git a/x b/x`; renames are off, so both are one."""
    line = part.partition(b"\n")[0].removeprefix(b"diff --git ")
    half = line[len(line) // 2 + 1 :]
    return os.fsdecode(half.strip(b'"').removeprefix(b"b/"))
