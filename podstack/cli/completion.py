"""What the shell offers after TAB: from the index as it lies there.

Nothing is refreshed, made or told: whatever goes wrong, there is nothing to offer.
"""

from __future__ import annotations

from typing import Any

import typer

_MOST = 50


def runs(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Ids and names of runs, newest first."""
    found = _asked(
        ctx,
        "SELECT id, name FROM runs WHERE project = ? AND NOT deleted"
        " AND (id LIKE ? ESCAPE '\\' OR name LIKE ? ESCAPE '\\') ORDER BY created DESC LIMIT ?",
        incomplete,
    )
    by_name = [(name, run) for run, name in found if not run.startswith(incomplete)]
    by_id = [(run, name) for run, name in found if run.startswith(incomplete)]
    latest = (
        [("latest", "the newest run")] if incomplete and "latest".startswith(incomplete) else []
    )
    return latest + _typable(by_name + by_id if incomplete else by_id)


def experiments(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Names of experiments."""
    found = _asked(
        ctx,
        "SELECT name, id FROM experiments WHERE project = ? AND NOT deleted"
        " AND (name LIKE ? ESCAPE '\\' OR id LIKE ? ESCAPE '\\') ORDER BY created DESC LIMIT ?",
        incomplete,
    )
    return _typable([pair if pair[0].startswith(incomplete) else pair[::-1] for pair in found])


def projects(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Projects of the store."""
    try:
        from podstack.cli.session import Session

        known = Session(_options(ctx)).projects()
    except Exception:  # noqa: BLE001  # a shell that asks for words wants no traceback
        return []
    return [(name, "") for name in known if name.startswith(incomplete)]


def _asked(ctx: typer.Context, question: str, start: str) -> list[Any]:
    try:
        return _rows(ctx, question, start)
    except Exception:  # noqa: BLE001  # a shell that asks for words wants no traceback
        return []


def _rows(ctx: typer.Context, question: str, start: str) -> list[Any]:
    import sqlite3

    from podstack.cli.session import Session
    from podstack.index import file as index_file

    store = Session(_options(ctx)).unchecked_client._store
    path = index_file.existing(store.url)
    if path is None:
        return []
    like = "".join(f"\\{c}" if c in "\\%_" else c for c in start) + "%"
    uri = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, timeout=0.2)
    try:
        return connection.execute(question, (store.settings.project, like, like, _MOST)).fetchall()
    finally:
        connection.close()


def _options(ctx: typer.Context) -> Any:
    from podstack.cli.session import Options

    here, above = ctx.params, (ctx.find_root().params if ctx.parent else {})
    return Options(
        store=here.get("store") or above.get("store"),
        project=here.get("project") or above.get("project"),
    )


def _typable(pairs: list[Any]) -> list[tuple[str, str]]:
    """Those that a shell can take as one harmless word."""
    from podstack.names import printable

    return [
        (word, printable(about))
        for word, about in pairs
        if word and printable(word) == word and not set(word) & set(" \t'\"\\$`;&|<>()*?[]{}!#~:")
    ]
