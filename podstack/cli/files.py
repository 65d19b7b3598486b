"""Commands about the files of a run: `artifacts ls` and `artifacts get`."""

from __future__ import annotations

import hashlib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from podstack.cli.frame import RunName, app, command
from podstack.cli.session import Session
from podstack.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from podstack.artifacts import Artifact, Artifacts

_CHUNK = 1 << 20

artifacts = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
app.add_typer(artifacts, name="artifacts", help="List and fetch the files of a run.")


@command("ls", reads=True, group=artifacts)
def ls(session: Session, run: RunName) -> None:
    """List the files of a run, each in its latest version."""
    from podstack.cli import portrait

    found = portrait.artifacts_of(session.run(run))
    if session.is_json:
        session.paper.json(found)
    elif found:
        session.paper.table(portrait.artifact_columns(found))
    else:
        session.paper.note("no artifacts")


@command("get", group=artifacts)
def get(
    session: Session,
    run: RunName,
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH", help="Paths or patterns such as 'models/*'; default all."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to put them in.")] = Path(
        "."
    ),
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that are there and differ.")
    ] = False,
) -> None:
    """Fetch files of a run, verified; prints where each one is now."""
    chosen = _chosen(session.run(run).artifacts, paths or [])
    if not force:
        _refuse_to_replace(chosen, out)
    for artifact in chosen:
        there = _is_there(artifact, out)
        session.paper.line(str(out / artifact.path if there else artifact.download(out)))


def _chosen(artifacts: Artifacts, patterns: list[str]) -> list[Artifact]:
    if not patterns:
        return list(artifacts.values())
    found: dict[str, Artifact] = {}
    for pattern in patterns:
        paths = [pattern] if pattern in artifacts else _matching(pattern, artifacts)
        if not paths:
            raise NotFoundError.among("artifact", pattern, artifacts)
        found |= {path: artifacts[path] for path in paths}
    return list(found.values())


def _matching(pattern: str, paths: Any) -> list[str]:
    """Those below a folder of that name, or like the pattern."""
    folder = pattern.rstrip("/") + "/"
    return [path for path in paths if path.startswith(folder) or fnmatchcase(path, pattern)]


def _refuse_to_replace(artifacts: list[Artifact], out: Path) -> None:
    """Before anything is fetched.

    Raises:
        UsageError: a file would be replaced by another.
    """
    others = [a.path for a in artifacts if (out / a.path).exists() and not _is_there(a, out)]
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise UsageError(
            f"{out / others[0]}{more} would be replaced by another file: "
            "add --force, or name another folder with --out."
        )


def _is_there(artifact: Artifact, out: Path) -> bool:
    """Whether it was fetched before."""
    target = out / artifact.path
    if artifact.sha256 is None or not target.is_file():
        return False
    if target.stat().st_size != artifact.size:
        return False
    digest = hashlib.sha256()
    with target.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest() == artifact.sha256
