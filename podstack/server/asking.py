"""What the modules of questions have in common: the reader that answers, lists, and mistakes."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import orjson
from fastapi import Query
from starlette.responses import Response

from podstack.clock import now
from podstack.errors import NotFoundError, UsageError
from podstack.index import ExperimentRow
from podstack.names import experiment_id
from podstack.server.access import Context
from podstack.server.errors import Refused
from podstack.server.readers import ProjectReader

LONGEST = 8_000  # characters of a filter
_WHOLE = 1 << 53  # up to here every integer is a number of JavaScript
_ROW = 1_000  # bytes that a row of an experiment is taken to have

Text = Annotated[str, Query(max_length=LONGEST)]


def answer(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


def is_rounded(value: Any) -> bool:
    """Whether it is an integer of which JavaScript would write other digits, as of most seeds.

    It has floats only, and writes the fewest digits that tell one from the next, as Python does.
    """
    if type(value) is not int or -_WHOLE <= value <= _WHOLE:
        return False
    return int(Decimal(repr(float(value)))) != value


def in_digits(column: list[Any]) -> list[Any] | None:
    """A column in which such integers are texts, their digits; None where it has none."""
    if int not in set(map(type, column)) or not any(map(is_rounded, column)):
        return None
    return [str(value) if is_rounded(value) else value for value in column]


def reader_of(here: Context) -> ProjectReader:
    return here.services.readers.of(here.project)


def looked(here: Context, partial: bool) -> ProjectReader:
    """The reader, after a look at the store, so that it knows what was written before.

    Args:
        partial: a look that takes long is not waited for. What was not looked at yet is then
            missing, and the answer says so: see `indexing`.
    """
    reader = reader_of(here)
    if partial:
        return reader.so_far()
    reader.index.refresh()
    return reader


def indexing(reader: ProjectReader) -> dict[str, Any]:
    """What an answer says of itself where it is a partial one: `{"indexing": {done, total}}`."""
    return {} if reader.behind is None else {"indexing": reader.behind._asdict()}


def texts(value: str) -> list[str]:
    """A list of texts, from JSON or from one text; empty from an empty one.

    Raises:
        UsageError: it is neither.
    """
    if not value.lstrip().startswith("["):
        return [value] if value else []
    try:
        found = orjson.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise UsageError('A list is JSON, as in ["loss","acc"].')
    return found


def at_most(what: str, values: list[str], most: int) -> list[str]:
    """
    Raises:
        UsageError: there are more.
    """
    if len(values) > most:
        raise UsageError(f"{what} are at most {most:,}, not {len(values):,}.")
    return values


def bad_cursor() -> Refused:
    return Refused(400, "cursor", "That is no cursor: take one from an answer, or leave it out.")


def experiment_of(reader: ProjectReader, wanted: str) -> ExperimentRow:
    """
    Raises:
        NotFoundError: there is none; the nearest existing ones are named.
    """
    rows = _experiments(reader)
    found = _among(rows, wanted)
    if found is None:
        rows = _experiments(reader.up_to_now())
        found = _among(rows, wanted)
    if found is None:
        names = [text for row in rows for text in (row.id, row.name)]
        raise NotFoundError.among("experiment", wanted, names)
    return found._replace(last_activity=now()) if found.running else found


def _experiments(reader: ProjectReader) -> list[ExperimentRow]:
    """All of them, kept while the index stands: to count ten thousand runs takes 17 ms."""
    return reader.remembered("experiments", reader.index.experiments, lambda rows: _ROW * len(rows))


def _among(rows: list[ExperimentRow], wanted: str) -> ExperimentRow | None:
    """By its id, else by its name: of several the first one that is not deleted, as in the SDK."""
    by_id = {row.id: row for row in rows}
    named = (row for row in rows if row.name == wanted)
    first = min(named, key=lambda row: (row.deleted, row.id), default=None)
    return by_id.get(wanted) or by_id.get(experiment_id(wanted)) or first
