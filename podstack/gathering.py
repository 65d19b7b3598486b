"""The job that records a run's code, packages and machine.

Small facts go into the run's op log under `environment/`, what is large into one object.
"""

from __future__ import annotations

import binascii
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from podstack import git, secrets, surroundings
from podstack.capture import Start
from podstack.clock import monotonic
from podstack.console import Warner
from podstack.errors import BackendError, RunClosedError
from podstack.git import Code, Diff
from podstack.journal import Journal
from podstack.parameters import MASK
from podstack.programs import Deadline, Waiting
from podstack.surroundings import text

if TYPE_CHECKING:
    from podstack.run import Run

PATIENCE = 10.0  # seconds that git may take while the run goes on
AT_EXIT = 2.0  # seconds that all of this may delay the end of a script
_FRESH = 5.0  # seconds for which git's answer serves the next run of the process
_SLOW = 300.0  # the same where git did not answer in time
_MAX_ANSWERS = 8
_warner = Warner()


def recorded(run: Run, journal: Journal, parts: frozenset[str], start: Start) -> Waiting[None]:
    """Gather all, write the details, and after them the facts that speak of them."""
    deadline = Deadline(PATIENCE)
    work = _gathered(parts, start, run._store.url, deadline)
    gathered: _Gathered | None = None
    while gathered is None:
        if run._journal is not journal:  # it has ended, and perhaps its script
            deadline.hurry(AT_EXIT)
        try:
            next(work)
        except StopIteration as done:
            gathered = done.value
        yield
    _write(run, journal, gathered)


class _Gathered(NamedTuple):
    """facts: all paths of the parts, None where there is nothing. details: what is large.

    counts: for each kind of details, a fact of its own that says how much there is, or None.
    """

    facts: dict[str, Any]
    details: dict[str, Any]
    counts: dict[str, dict[str, Any] | None]


def _gathered(
    parts: frozenset[str], start: Start, store: str, deadline: Deadline
) -> Waiting[_Gathered]:
    found = _Gathered({}, {}, {})
    if "host" in parts:
        yield
        found.facts.update(surroundings.machine(), job=surroundings.job() or None)
    if "packages" in parts:
        yield from _gather_packages(found)
    if "code" in parts:
        yield from _gather_code(found, start, store, deadline)
    return found


def _gather_packages(found: _Gathered) -> Waiting[None]:
    packages: dict[str, surroundings.Package] = {}
    for folder in surroundings.packages():
        packages = {package.name: package for package in folder} | packages
        yield
    found.facts.update(surroundings.interpreter())
    found.details["packages"] = {name: packages[name].version for name in sorted(packages)}
    found.details["sources"] = {name: p.source for name, p in packages.items() if p.source}
    found.counts["packages"] = {"count": len(packages)}


def _gather_code(found: _Gathered, start: Start, store: str, deadline: Deadline) -> Waiting[None]:
    found.facts.update(
        command=surroundings.command(start.arguments),
        folder=_stored(start.folder),
        script=_stored(start.script),
        notebook=_stored(start.notebook),
    )
    code = yield from _code_of(start, deadline)
    found.facts.update(_facts_of(code))
    found.counts["changes"] = None
    untracked = [] if code is None else list(_untracked(code, store))
    diff = None if code is None else code.diff
    if diff and (untracked or diff.data or diff.left_out or not diff.whole):
        found.details["untracked"] = untracked[: git.MAX_NAMES]
        found.details["left_out"] = list(map(text, diff.left_out))
        found.details.update(_diff_details(diff.data))
        found.counts["changes"] = {
            "bytes": len(diff.data),
            "left_out": len(diff.left_out),
            "whole": diff.whole,
            "masked": MASK.encode() in diff.data,
            "untracked": len(untracked),
        }


def _facts_of(code: Code | None) -> dict[str, Any]:
    if code is None:
        return dict.fromkeys(
            ("repository", "commit", "branch", "remote", "dirty", "unpushed", "submodules")
        )
    return {
        "repository": _stored(code.root),
        "commit": code.commit,
        "branch": _stored(code.branch),
        "remote": None if code.remote is None else text(secrets.without_user(code.remote)),
        "dirty": code.dirty,
        "unpushed": code.unpushed,
        "submodules": code.submodules or None,
    }


def _stored(value: str | None) -> str | None:
    return None if value is None else text(value)


def _untracked(code: Code, store: str) -> Iterator[str]:
    """The files that git does not know, but for the store itself: it often lies in the folder."""
    for name in code.untracked:
        if os.path.join(code.root, name).rstrip("/") != store.rstrip("/"):
            yield text(name)


def _masked(diff: Diff) -> Diff:
    """Without the secrets that a text of code can be known to hold."""
    changes = diff.data.decode("utf-8", "surrogateescape")
    return diff._replace(data=secrets.without_tokens(changes).encode("utf-8", "surrogateescape"))


def _diff_details(diff: bytes) -> dict[str, str]:
    try:
        return {"diff": diff.decode()}
    except UnicodeDecodeError:
        return {"diff_base64": binascii.b2a_base64(diff, newline=False).decode()}


_answers: dict[str, tuple[float, Code | None]] = {}  # by folder: until when it serves, and what


def _code_of(start: Start, deadline: Deadline) -> Waiting[Code | None]:
    """The repository of the script, unless it is an installed one; else of the folder."""
    own = start.script is not None and not _is_installed(start.script)
    folders = [os.path.dirname(start.script)] if own and start.script else []
    for folder in dict.fromkeys([*folders, *([start.folder] if start.folder else [])]):
        code = yield from _known_state(folder, deadline)
        if code is not None:
            return code
    return None


def _is_installed(script: str) -> bool:
    return script.startswith((sys.prefix + os.sep, sys.base_prefix + os.sep))


def _known_state(folder: str, deadline: Deadline) -> Waiting[Code | None]:
    """What git says, or said a moment ago: runs that follow one another share an answer."""
    until, code = _answers.get(folder, (0.0, None))
    if monotonic() < until:
        return code
    code = yield from git.state(folder, deadline)
    if code is not None:
        code = code._replace(diff=_masked(code.diff))
    if len(_answers) >= _MAX_ANSWERS:
        _answers.clear()
    _answers[folder] = (monotonic() + (_FRESH if deadline.left > 0 else _SLOW), code)
    return code


def _write(run: Run, journal: Journal, found: _Gathered) -> None:
    """A path without a value is deleted: a resume replaces what the run said before."""
    writer = journal.writer
    counts: dict[str, Any] = {
        name: said and {**said, "writer": writer} for name, said in found.counts.items()
    }
    try:
        if found.details:
            key = run._store.keys.environment(run.id, writer)
            run._store.folder.put(key, orjson.dumps(found.details))
    except BackendError as error:
        _warner.warn(f"the code and packages of run {run.id} cannot be kept: {error}")
        counts = dict.fromkeys(counts)
    facts = {f"environment/{name}": value for name, value in {**found.facts, **counts}.items()}
    try:
        journal.set_aside(facts)
    except RunClosedError:
        return  # a signal has ended the run meanwhile
