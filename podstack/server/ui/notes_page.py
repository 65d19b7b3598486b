"""The Notes tab of an experiment: its description, and what people wrote of its runs.

`?q=` are words that notes must all hold, `?skip=` how many notes came before: the page's script
asks for the next ones as they come into sight, and takes them out of the same page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape
from typing import Annotated, NamedTuple

from fastapi import Query, Request
from starlette.responses import Response

from podstack import clock
from podstack.expressions import ATTRIBUTE, Expression, Name, parse_order
from podstack.expressions.tree import Compare, Contains, Junction
from podstack.index import RunRow
from podstack.server.access import EDITOR, VIEWER, Here, Routes
from podstack.server.asking import Text, experiment_of, reader_of
from podstack.server.objectives import best_value, judge_of, stated
from podstack.server.readers import ProjectReader
from podstack.server.ui.markdown import render
from podstack.server.ui.rendering import page
from podstack.sweeps.records import Objective

AT_ONCE = 20  # notes of one answer
LONGEST = 6_000  # characters of a run's notes; its own tab has all of them
_MOST_WORK = 1.5  # seconds of CPU for the Markdown of one answer
_MOST_WORDS = 20  # that are looked for

_NOTES = Name(ATTRIBUTE, "notes")

Skip = Annotated[int, Query(ge=0, le=1_000_000)]

routes = Routes(prefix="")


class Note(NamedTuple):
    """What somebody wrote of a run. judge, value: what the run is judged by, and its best of it."""

    run: RunRow
    html: str
    is_cut: bool
    judge: Objective | None
    value: float | None


@routes.add("GET", "/projects/{project}/experiments/{experiment}/notes", VIEWER)
def experiment_notes(
    here: Here, request: Request, experiment: str, q: Text = "", skip: Skip = 0
) -> Response:
    """The notes of the runs that have any, newest run first, a few at a time.

    Raises:
        NotFoundError: there is no such experiment.
    """
    reader = reader_of(here)
    reader.index.refresh()
    row = experiment_of(reader, experiment)
    where = _holding(q)
    found = reader.index.runs(where, parse_order("-created"), row.id, limit=AT_ONCE, offset=skip)
    total = reader.index.count(where, row.id)
    drawn = _renderer()
    return page(
        here,
        request,
        "experiment_notes.html",
        title=f"Notes of {row.name}",
        data={"next": skip + AT_ONCE if total > skip + AT_ONCE else None},
        active="experiments",
        scripts=("pages/experiment_notes.js",),
        styles=("run.css", "experiments.css"),
        experiment=row,
        description=drawn(row.description),
        notes=list(_notes(reader, found, drawn)),
        total=total,
        q=q,
        may_edit=here.role >= EDITOR,
    )


def _holding(words: str) -> Expression:
    """Runs whose notes hold each of some words."""
    wanted = (Contains(_NOTES, word) for word in words.split()[:_MOST_WORDS])
    return Expression("", Junction("and", (Compare(_NOTES, "!=", ""), *wanted)))


def _notes(
    reader: ProjectReader, rows: list[RunRow], drawn: Callable[[str], str]
) -> Iterator[Note]:
    said = stated(reader)
    for row in rows:
        judge = judge_of(row, said.get(row.experiment_id))
        value = None if judge is None else best_value(row, judge)
        yield Note(row, drawn(row.notes[:LONGEST]), len(row.notes) > LONGEST, judge, value)


def _renderer() -> Callable[[str], str]:
    """Markdown as HTML, and once that took too long as the text that it is."""
    until = clock.worked() + _MOST_WORK

    def drawn(text: str) -> str:
        return render(text) if clock.worked() < until else f"<pre>{escape(text)}</pre>"

    return drawn
