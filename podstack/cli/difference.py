"""What made two runs different: their parameters, code, packages, data and machine."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from podstack.cli.paper import Paper
from podstack.columns import same
from podstack.console import readable_bytes
from podstack.tables import NOTHING, Column, cell

if TYPE_CHECKING:
    from podstack.environment import Environment
    from podstack.run import Run

Change = dict[str, Any]  # what of `old` and `new` there is: a run without a value has no key

KINDS = ("params", "code", "packages", "data", "machine")

_COMMIT = re.compile(r"[0-9a-f]{7,64}")


def between(old: Run, new: Run, *, patch: bool = False) -> dict[str, Any]:
    """The document of `podstack diff --json`.

    For each of KINDS `{name: {"old": value, "new": value}}` of what is not the same; a run that
    has no such thing has no such key. Then `patches`, if they are wanted.
    """
    before, after = _facts(old), _facts(new)
    found: dict[str, Any] = {"old": _who(old), "new": _who(new)}
    found |= {kind: _changes(before[kind], after[kind]) for kind in KINDS}
    if patch:
        found["patches"] = {"old": old.environment.diff, "new": new.environment.diff}
    return found


def _who(run: Run) -> dict[str, str]:
    return {"id": run.id, "name": run.name}


def is_any(found: Mapping[str, Any]) -> bool:
    """Whether anything differs."""
    return any(found[kind] for kind in KINDS)


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Change]:
    changes = {}
    for name in dict.fromkeys([*old, *new]):
        sides = {side: facts[name] for side, facts in (("old", old), ("new", new)) if name in facts}
        if len(sides) < 2 or not same(sides["old"], sides["new"]):
            changes[name] = sides
    return changes


def _facts(run: Run) -> dict[str, dict[str, Any]]:
    environment = run.environment
    return {
        "params": run.params,
        "code": _known(_code(environment)),
        "packages": _known({"python": environment.python, **environment.packages}),
        "data": {name: _content(facts) for name, facts in run.datasets.items()},
        "machine": _known(_machine(environment)),
    }


def _known(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value not in (None, "", [])}


def _code(environment: Environment) -> dict[str, Any]:
    return {
        "commit": environment.commit,
        "branch": environment.branch,
        "remote": environment.remote,
        "uncommitted": _digest(environment.diff_bytes),
        "command": environment.command,
        "script": environment.script,
        "notebook": environment.notebook,
    }


def _digest(diff: bytes) -> str | None:
    """Two diffs of one size and digest are one."""
    if not diff:
        return None
    return f"{readable_bytes(len(diff))}, SHA-256 {hashlib.sha256(diff).hexdigest()[:12]}"


def _content(facts: Mapping[str, Any]) -> str:
    """What tells one version of a dataset from another."""
    digest = facts.get("sha256") or facts.get("sha256_of_ends")
    return f"{facts.get('path', '')}{f', SHA-256 {str(digest)[:12]}' if digest else ''}"


def _machine(environment: Environment) -> dict[str, Any]:
    named = ("host", "platform", "cpu", "gpus")
    return {**{name: environment.get(name) for name in named}, **environment.job}


# As text ---------------------------------------------------------------------------------------


def draw(paper: Paper, found: Mapping[str, Any]) -> None:
    heads = [f"{found[side]['name']} ({found[side]['id']})" for side in ("old", "new")]
    paper.line(f"{heads[0]} → {heads[1]}", "bold")
    for kind in KINDS:
        if found[kind]:
            paper.line()
            paper.table(_columns(kind, found[kind]))
    if not is_any(found):
        paper.line("Nothing that was recorded differs.")
    _hint_at_git(paper, found["code"].get("commit", {}))
    for side, patch in found.get("patches", {}).items():
        if patch:
            paper.heading(f"uncommitted in {found[side]['name']}")
            paper.text(patch)


def _columns(kind: str, changes: Mapping[str, Change]) -> list[Column]:
    sides = {
        side: [cell(c[side]) if side in c else NOTHING for c in changes.values()]
        for side in ("old", "new")
    }
    return [
        Column(kind, [cell(name) for name in changes], least=16),
        Column("old", sides["old"], least=20),
        Column("new", sides["new"], least=20),
    ]


def _hint_at_git(paper: Paper, commits: Change) -> None:
    if len(commits) == 2 and all(_COMMIT.fullmatch(str(c)) for c in commits.values()):
        paper.note(f"see the code: git diff {commits['old']} {commits['new']}")
