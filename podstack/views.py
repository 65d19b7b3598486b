"""Saved views: a name for what a page shows, kept for everybody who works in the project.

A view is the query string of a page, which holds all that its controls say. The views of a project
are one op log, `views/<id>`; an edit is a writer of its own, so servers and scripts may save and
remove at the same time. The id is made from page and name: saving under the same name replaces.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from podstack import clock, names
from podstack.errors import NotFoundError, UsageError
from podstack.oplog import Fold
from podstack.reader import OpLogs
from podstack.store import Store

MOST = 1000  # views of a project
MAX_QUERY = 8_000  # characters
MAX_PAGE = 300


class View(NamedTuple):
    """One saved view. page: a path below the project's, such as `experiments/digits`."""

    id: str
    name: str
    page: str
    query: str
    user: str
    created: float  # epoch seconds


class Views:
    """The saved views of one project. Every reading is as of now; safe from threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._logs = OpLogs(store.backend, store.keys.views)

    def all(self, page: str | None = None) -> list[View]:
        """By name; those of one page if it is given. What is no view is passed over."""
        found = [view for view in _stored(self._logs.fold()) if page in (None, view.page)]
        return sorted(found, key=lambda view: (view.page, view.name.lower(), view.id))

    def save(self, name: str, page: str, query: str, *, user: str) -> View:
        """Keep a view; one of the same page and name is replaced.

        Raises:
            UsageError, WrongTypeError: a word cannot be, or there are too many; nothing was stored.
            BackendError: the store does not take it.
        """
        names.check_name("view", name)
        _check("The page", page, MAX_PAGE)
        _check("The query", query, MAX_QUERY)
        view = View(view_id(page, name), name, page, query, user, clock.now())
        known = {each.id for each in self.all()}
        if view.id not in known and len(known) >= MOST:
            raise UsageError(f"A project has at most {MOST:,} saved views. Remove one.")
        fact = {field: value for field, value in view._asdict().items() if field != "id"}
        self._edit({f"views/{view.id}": fact}, user)
        return view

    def remove(self, id: str, *, user: str) -> View:
        """Forget a view.

        Raises:
            NotFoundError: there is none of that id; the nearest are named.
        """
        known = {view.id: view for view in self.all()}
        if id not in known:
            raise NotFoundError.among("view", id, known)
        self._edit({f"views/{id}": None}, user)
        return known[id]

    def _edit(self, changes: dict[str, Any], user: str) -> None:
        self._store.edit(self._store.keys.views, changes, author=user)


def view_id(page: str, name: str) -> str:
    """The id that a page and a name stand for."""
    return hashlib.sha256(f"{page}\n{name}".encode()).hexdigest()[:12]


def _check(what: str, text: str, most: int) -> None:
    names.check_text(what, text)
    if len(text) > most:
        raise UsageError(f"{what} of a view has {len(text):,} characters; at most {most:,}.")


def _stored(fold: Fold) -> list[View]:
    found = (_read(id, fact) for id, fact in fold.below("views").items())
    return [view for view in found if view is not None]


def _read(id: str, fact: object) -> View | None:
    """A stored view; None for anything that is none."""
    if not isinstance(fact, dict):
        return None
    name, page, query, user = (fact.get(field) for field in ("name", "page", "query", "user"))
    created = fact.get("created")
    is_time = isinstance(created, (int, float)) and not isinstance(created, bool)
    if not all(isinstance(text, str) for text in (name, page, query, user)) or not is_time:
        return None
    return View(id, str(name), str(page), str(query), str(user), float(created or 0))
