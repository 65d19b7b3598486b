"""The list of experiments, and an experiment's Settings tab.

The list is drawn here, whole; its address says what is shown: `?status=` one of STATES, `?tag=` as
often as there are tags that each must have, `?q=` a piece of name or description, `?sort=`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

from fastapi import Query, Request
from starlette.responses import Response

from podstack.errors import UsageError
from podstack.experiment_table import check_sort, sorted_experiments
from podstack.index import ExperimentRow
from podstack.server.access import EDITOR, VIEWER, Here, Routes
from podstack.server.questions import Text, experiment_of, reader_of
from podstack.server.ui.rendering import page

STATES = ("active", "completed", "archived")
_CURRENT = "current"  # all that are not archived: what is shown where nothing is said
_SORTS = (
    ("-last_activity", "Last activity"),
    ("-created", "Newest"),
    ("name", "Name"),
    ("-runs", "Most runs"),
)
_MOST_TAGS = 24

Tags = Annotated[Sequence[str], Query(max_length=50)]

routes = Routes(prefix="")


class Shown(NamedTuple):
    """What of the experiments is shown; each field is one of the query."""

    status: str
    tags: tuple[str, ...]
    q: str
    sort: str

    def address(self, **changes: Any) -> str:
        """The query of this view, with changes."""
        wanted = self._replace(**changes)
        pairs = [
            ("status", wanted.status if wanted.status != _CURRENT else ""),
            *(("tag", tag) for tag in wanted.tags),
            ("q", wanted.q),
            ("sort", wanted.sort if wanted.sort != _SORTS[0][0] else ""),
        ]
        return "?" + urlencode([pair for pair in pairs if pair[1]])

    def toggled(self, tag: str) -> str:
        """The query with a tag asked for, or no longer."""
        rest = tuple(known for known in self.tags if known != tag)
        return self.address(tags=rest if tag in self.tags else (*self.tags, tag))

    def has(self, row: ExperimentRow) -> bool:
        """Whether text and tags fit."""
        text = f"{row.name}\n{row.description}".lower()
        return self.q.lower() in text and set(self.tags) <= set(row.tags)

    def has_status(self, row: ExperimentRow) -> bool:
        if self.status == _CURRENT:
            return not row.archived
        return self.status in ("all", row.status)


@routes.add("GET", "/projects/{project}/experiments", VIEWER)
def experiments_page(
    here: Here,
    request: Request,
    tag: Tags = (),
    status: str = _CURRENT,
    q: Text = "",
    sort: str = _SORTS[0][0],
) -> Response:
    """Every experiment of the project that fits what the address asks for."""
    shown = Shown(status if status in (*STATES, "all") else _CURRENT, tuple(tag), q, _sort(sort))
    reader = reader_of(here)
    reader.index.refresh()
    known = [row for row in reader.index.experiments() if not row.deleted]
    fitting = [row for row in known if shown.has(row)]
    rows = sorted_experiments((row for row in fitting if shown.has_status(row)), shown.sort)
    return page(
        here,
        request,
        "experiments.html",
        title="Experiments",
        data={"experiments": {row.id: _brief(row) for row in rows}},
        active="experiments",
        scripts=("pages/experiments.js",),
        styles=("experiments.css",),
        rows=rows,
        total=len(known),
        shown=shown,
        states=_states(fitting),
        tags=_tags(known, shown),
        sorts=_SORTS,
        may_edit=here.role >= EDITOR,
        address=_address(here, request),
    )


@routes.add("GET", "/projects/{project}/experiments/{experiment}/settings", VIEWER)
def experiment_settings(here: Here, request: Request, experiment: str) -> Response:
    """Name, description and tags of an experiment; archiving and deleting it."""
    reader = reader_of(here)
    reader.index.refresh()
    row = experiment_of(reader, experiment)
    return page(
        here,
        request,
        "experiment_settings.html",
        title=f"Settings of {row.name}",
        data={"experiment": {**_brief(row), "id": row.id}},
        active="experiments",
        scripts=("pages/experiment_settings.js",),
        styles=("experiments.css",),
        experiment=row,
        may_edit=here.role >= EDITOR,
    )


def _sort(wanted: str) -> str:
    try:
        check_sort(wanted)
    except UsageError:
        return _SORTS[0][0]
    return wanted


def _brief(row: ExperimentRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "description": row.description,
        "tags": row.tags,
        "archived": row.archived,
        "deleted": row.deleted,
        "runs": row.runs,
    }


def _states(rows: Iterable[ExperimentRow]) -> list[tuple[str, str, int]]:
    """Key, word and count of each chip."""
    counts = Counter(row.status for row in rows)
    current = sum(counts[state] for state in STATES if state != "archived")
    return [
        (_CURRENT, "Current", current),
        *((state, state.capitalize(), counts[state]) for state in STATES),
    ]


def _tags(rows: Iterable[ExperimentRow], shown: Shown) -> list[tuple[str, int]]:
    """The most frequent tags of what is shown but for its tags, and all that are chosen."""
    counts = Counter(tag for row in rows if shown.has_status(row) for tag in row.tags)
    frequent = sorted(counts, key=lambda tag: (-counts[tag], tag))[:_MOST_TAGS]
    return [(tag, counts[tag]) for tag in dict.fromkeys((*shown.tags, *frequent))]


def _address(here: Here, request: Request) -> str:
    """This server, as a program reaches it."""
    return f"{request.url.scheme}://{request.url.netloc}{here.services.settings.prefix}"
