"""Routes that make and change experiments. What is deleted is hidden, and can be brought back."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.responses import Response

from podstack.edits import Author
from podstack.names import experiment_id
from podstack.server.access import EDITOR, Context, Here, Routes
from podstack.server.asking import answer, experiment_of, reader_of
from podstack.server.errors import Refused
from podstack.server.fields import FLAG, NAME, TAGS, TEXT, Fields, threaded
from podstack.server.readers import ProjectReader

NEW = Fields({"name": NAME.must, "description": TEXT, "tags": TAGS})
CHANGES = Fields(
    {"name": NAME, "description": TEXT, "tags": TAGS, "archived": FLAG, "deleted": FLAG}
)

routes = Routes()


@routes.add("POST", "/projects/{project}/experiments", EDITOR, openapi_extra=NEW.described)
async def create_experiment(request: Request, here: Here) -> Response:
    """Make an experiment; one of that name that was deleted comes back with its runs."""
    return await threaded(here, _create, await NEW.read(request, here))


def _create(here: Context, told: dict[str, Any]) -> Response:
    reader = reader_of(here)
    _check_free(reader, told["name"])
    description, tags = told.get("description", ""), told.get("tags", ())
    made = author_of(here).create_experiment(told["name"], description, tags)
    return _row(here, made.id, 201)


@routes.add(
    "PATCH",
    "/projects/{project}/experiments/{experiment}",
    EDITOR,
    openapi_extra=CHANGES.described,
)
async def edit_experiment(request: Request, here: Here, experiment: str) -> Response:
    """Rename, describe, tag (`tags` replaces all), archive, restore, delete or bring back."""
    return await threaded(here, _edit, experiment, await CHANGES.read(request, here))


def _edit(here: Context, wanted: str, told: dict[str, Any]) -> Response:
    reader = reader_of(here)
    reader.index.refresh()
    found = experiment_of(reader, wanted)
    if told.get("name", found.name) != found.name:
        _check_free(reader, told["name"], but=found.id)
    author_of(here).edit_experiment(found.id, told)
    return _row(here, found.id)


def author_of(here: Context) -> Author:
    """Whose edits the caller's are."""
    return Author(here.store, here.user)


def wrote(here: Context, key: str) -> None:
    """Have everybody on this server see what was just written.

    Args:
        key: relative to the project, of any object of what was changed.
    """
    here.services.readers.wrote(here.project, key)
    here.services.herald.heard(here.project, key)


def _row(here: Context, id: str, status: int = 200) -> Response:
    wrote(here, f"experiments/{id}/")
    reader = reader_of(here)
    reader.index.refresh()
    return answer(experiment_of(reader, id)._asdict(), status)


def _check_free(reader: ProjectReader, name: str, but: str = "") -> None:
    """
    Raises:
        Refused: 409; another experiment has the name, or had it first and kept its id.
    """
    reader.index.refresh()
    for row in reader.index.experiments():
        if row.id == but or row.deleted:
            continue
        if row.name == name or (not but and row.id == experiment_id(name)):
            raise Refused(
                409,
                "exists",
                f"There is an experiment {row.name!r} already: open it, or rename it.",
            )
