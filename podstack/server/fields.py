"""What the body of a write may hold: declared once, checked at the door, told in the description.

    A_STOP = Fields({"reason": TEXT})

    @routes.add("POST", "/projects/{project}/…/stop", EDITOR, openapi_extra=A_STOP.described)
    async def stop(request: Request, here: Here) -> Response:
        told = await A_STOP.read(request, here)

A key that is not declared is refused, so that a misspelt one is noticed and none slips through.
Lengths are limited here; what a text may hold is checked by who stores it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from fastapi import Request
from starlette.responses import Response

from podstack.names import MAX_NAME, MAX_TEXT
from podstack.server.access import Context
from podstack.server.bodies import read_json
from podstack.server.errors import Refused

MOST_TAGS = 1000
MOST_IDS = 1000


class Kind(NamedTuple):
    """One kind of value: the words for people, its JSON schema, and whether a value is one."""

    words: str
    schema: Mapping[str, Any]
    holds: Callable[[Any], bool]
    needed: bool = False

    @property
    def must(self) -> Kind:
        """The same, where a body without it is refused."""
        return self._replace(needed=True)


def text(most: int = MAX_TEXT) -> Kind:
    """A text of at most so many characters."""
    return Kind(
        f"a text of at most {most:,} characters",
        {"type": "string", "maxLength": most},
        lambda value: isinstance(value, str) and len(value) <= most,
    )


def texts(most: int) -> Kind:
    """A list of names."""
    return Kind(
        f"a list of at most {most:,} texts",
        {"type": "array", "items": {"type": "string", "maxLength": MAX_NAME}, "maxItems": most},
        lambda value: (
            isinstance(value, list)
            and len(value) <= most
            and all(isinstance(one, str) and len(one) <= MAX_NAME for one in value)
        ),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


NAME = text(MAX_NAME)
TEXT = text()
TAGS = texts(MOST_TAGS)
IDS = texts(MOST_IDS)
FLAG = Kind("true or false", {"type": "boolean"}, lambda value: isinstance(value, bool))
NUMBER = Kind("a number", {"type": "number"}, _is_number)
OBJECT = Kind("an object", {"type": "object"}, lambda value: isinstance(value, dict))


class Fields:
    """The fields of one kind of body."""

    def __init__(self, known: Mapping[str, Kind]) -> None:
        self._known = dict(known)

    @property
    def described(self) -> dict[str, Any]:
        """For OpenAPI."""
        schema = {
            "type": "object",
            "properties": {name: dict(kind.schema) for name, kind in self._known.items()},
            "required": [name for name, kind in self._known.items() if kind.needed],
            "additionalProperties": False,
        }
        content = {"application/json": {"schema": schema}}
        return {"requestBody": {"required": True, "content": content}}

    async def read(self, request: Request, here: Context) -> dict[str, Any]:
        """
        Raises:
            Refused: 415, 413, 422; see `read_json`. 422 too where it is not what is declared.
        """
        return self.check(await read_json(request, here))

    def check(self, told: Any) -> dict[str, Any]:
        """`told`, if it has what is needed and nothing else.

        Raises:
            Refused: 422; the field is named.
        """
        if not isinstance(told, dict):
            raise _invalid(f"Send an object of {self._listed}.")
        unknown = sorted(told.keys() - self._known.keys())
        if unknown:
            raise _invalid(f"{_shown(unknown[0])} is no field here: there are {self._listed}.")
        for name, kind in self._known.items():
            if name not in told:
                if kind.needed:
                    raise _invalid(f"{name} is missing: {kind.words}.")
            elif not kind.holds(told[name]):
                raise _invalid(f"{name} is {kind.words}.")
        return told

    @property
    def _listed(self) -> str:
        return ", ".join(self._known)


async def threaded(here: Context, act: Callable[..., Response], *said: Any) -> Response:
    """What a function that may wait for the store answers."""
    return await here.services.threads.run(partial(act, here, *said))


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 60 else f"{name[:57]}...")


def _invalid(message: str) -> Refused:
    return Refused(422, "invalid", message)
