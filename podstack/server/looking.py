"""`podstack ui`: a store served to this machine, and a browser let in."""

from __future__ import annotations

from collections.abc import Callable

from podstack import config
from podstack.clock import now
from podstack.server.codes import Codes
from podstack.server.run import prepare, serve
from podstack.server.sessions import LIFETIME, Sessions
from podstack.server.settings import ServerSettings
from podstack.server.stores import Stores
from podstack.server.tokens import ADMIN, EVERY_PROJECT, Tokens


def look_at(
    store: str,
    port: int,
    *,
    path: str,
    told: Callable[[str], None],
    opened: Callable[[str], None],
) -> None:
    """Serve until Ctrl-C.

    Args:
        path: of the page to open first.
        told: is given the address, once connections are taken.
        opened: is given the address to open: with a code in it, where the store has tokens.
    """
    settings = prepare(ServerSettings(store=store, port=port, access_log=False))

    def begin(address: str) -> None:
        told(address)
        opened(address + _entry(settings, path))

    serve(settings, begin)


def _entry(settings: ServerSettings, path: str) -> str:
    """The page, or the login page with a code that leads there once."""
    if settings.open:
        return path
    stores = Stores(settings.store)
    try:
        code = Codes(stores.backend, Sessions(stores.backend)).issue(_token(Tokens(stores.backend)))
    finally:
        stores.close()
    return f"/login?next={path}#{code}"


def _token(tokens: Tokens) -> str:
    """A token of the person at this machine, who has the whole store anyway; made where needed."""
    user, time = config.user(), now()
    for token in tokens.all():
        is_mine = token.user == user and token.project == EVERY_PROJECT and token.role == ADMIN
        if is_mine and token.is_good(time):
            return token.id
    made = tokens.create(user=user, project=EVERY_PROJECT, role=ADMIN, expires_in=LIFETIME)
    return made[1].id
