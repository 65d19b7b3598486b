"""The files of a run: a tree of them, and a preview of one that runs nothing of what it holds."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastapi import Request
from starlette.responses import Response

from podstack.artifacts import Artifact
from podstack.errors import BlobMissing
from podstack.server.access import VIEWER, Context, Here, Routes
from podstack.server.asking import reader_of
from podstack.server.media import OCTETS, is_text, media_type
from podstack.server.previews import Version, head_of, version_of
from podstack.server.ui import preview_content as contents
from podstack.server.ui.markdown import render
from podstack.server.ui.run_page import run_page

_MOST = 2 << 20  # bytes of a file that are read for its preview
_TABLES = (".csv", ".tsv")

routes = Routes(prefix="")


class Entry(NamedTuple):
    """A line of the tree: a folder (path ends in a slash), or a file in it."""

    path: str
    name: str
    depth: int
    file: Artifact | None
    versions: int


@routes.add("GET", "/projects/{project}/runs/{run}/artifacts", VIEWER)
def artifacts(here: Here, request: Request, run: str) -> Response:
    """All files of a run."""
    return _page(here, request, run, None, None)


@routes.add("GET", "/projects/{project}/runs/{run}/artifacts/{path:path}", VIEWER)
def artifact(
    here: Here, request: Request, run: str, path: str, version: Version = None
) -> Response:
    """All files of a run, and a look into one."""
    return _page(here, request, run, path, version)


def _page(
    here: Context, request: Request, run: str, path: str | None, version: int | None
) -> Response:
    files = reader_of(here).run(run).artifacts
    file = None if path is None else version_of(here, run, path, version)
    versions = 0 if path is None else len(files.versions(path))
    return run_page(
        here,
        request,
        "run_artifacts.html",
        run,
        "artifacts",
        entries=_tree(files),
        size=sum(one.size for one in files.values()),
        count=len(files),
        file=file,
        versions=versions,
        version=version or versions,
        preview={} if file is None else preview_of(file),
    )


def _tree(files: Any) -> list[Entry]:
    """Folders before what lies in them, by name."""
    entries: list[Entry] = []
    known: set[str] = set()
    for path in sorted(files, key=lambda path: path.split("/")):
        parts = path.split("/")
        for depth in range(len(parts) - 1):
            folder = "/".join(parts[: depth + 1])
            if folder not in known:
                known.add(folder)
                entries.append(Entry(f"{folder}/", parts[depth], depth, None, 0))
        count = len(files.versions(path))
        entries.append(Entry(path, parts[-1], len(parts) - 1, files[path], count))
    return entries


def preview_of(file: Artifact) -> dict[str, Any]:
    """What a template shows of a file: `kind`, and what that kind needs.

    Kinds: image, audio, video, page, markdown, notebook, tree, table, text, none; missing, where
    the store has no content for it.
    """
    try:
        return _of_content(file)
    except BlobMissing:
        return {"kind": "missing"}


def _of_content(file: Artifact) -> dict[str, Any]:
    head = head_of(file)
    kind = media_type(file.path, head)
    if kind != OCTETS:
        return {"kind": kind.partition("/")[0]}
    if not is_text(head):
        return {"kind": "none"}
    data = file.get(0, min(_MOST, file.size)) if file.size else b""
    return _of_text(file, data)


def _of_text(file: Artifact, data: bytes) -> dict[str, Any]:
    ending = f".{file.path.lower().rpartition('.')[2]}"
    lines = {"lines": contents.lines_of(data, file.size)}
    is_whole = len(data) == file.size
    if ending in (".md", ".markdown") and is_whole:
        return {"kind": "markdown", "html": render(data.decode("utf-8", "replace")), **lines}
    if ending == ".ipynb" and is_whole:
        found = contents.notebook_of(data)
        return {"kind": "notebook", "notebook": found} if found else {"kind": "text", **lines}
    if ending in (".json", ".yaml", ".yml") and is_whole:
        read = contents.json_tree if ending == ".json" else contents.yaml_tree
        tree = read(data)
        return {"kind": "tree", "tree": tree, **lines} if tree else {"kind": "text", **lines}
    if ending in _TABLES:
        table = contents.table_of(data, file.size)
        return {"kind": "table", "table": table} if table else {"kind": "text", **lines}
    kind = "page" if ending in (".html", ".htm") else "text"
    return {"kind": kind, **lines}
