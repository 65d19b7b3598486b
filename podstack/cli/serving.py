"""Commands of a team: `server`, and the tokens that it asks for."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

import typer

from podstack import config
from podstack.cli.frame import app, command
from podstack.cli.session import Session
from podstack.errors import MissingExtraError, UsageError
from podstack.names import short

if TYPE_CHECKING:
    from podstack.server.tokens import Token, Tokens

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_SIZES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}

token_group = typer.Typer(
    name="token", help="Who may use the server: make, list and revoke tokens.", no_args_is_help=True
)
app.add_typer(token_group)


@command("server")
def server(
    session: Session,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8321,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes on one port.")] = 1,
    prefix: Annotated[str, typer.Option(help="The path a reverse proxy shows it below.")] = "",
    allowed_host: Annotated[
        list[str] | None,
        typer.Option("--allowed-host", help="A name it may be called by; repeatable."),
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option("--trusted-proxy", help="An address whose X-Forwarded-… are believed."),
    ] = None,
    allow_private: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-private-notifications",
            metavar="HOST[:PORT]",
            help="A host of this network that notices may be sent to; repeatable.",
        ),
    ] = None,
    max_upload: Annotated[str, typer.Option(help="The largest object, such as 50G.")] = "50G",
    threads: Annotated[int, typer.Option(min=1, max=256, help="Store calls at a time.")] = 16,
    access_log: Annotated[bool, typer.Option(help="A line for each request, to stderr.")] = True,
) -> None:
    """Serve a store over HTTP.

    Without tokens it serves this machine only, and whoever is on it.
    """
    _check_installed()
    try:
        from podstack.server.run import prepare, serve
        from podstack.server.settings import ServerSettings
    except ModuleNotFoundError as error:
        raise lacking(error) from error
    settings = prepare(
        ServerSettings(
            store=_uri(session),
            host=host,
            port=port,
            workers=workers,
            prefix=prefix.rstrip("/"),
            allowed_hosts=tuple(allowed_host or ()),
            trusted_proxies=tuple(trusted_proxy or ()),
            allowed_receivers=tuple(allow_private or ()),
            max_upload=_bytes(max_upload),
            threads=threads,
            access_log=access_log,
        )
    )
    who = "whoever is on this machine" if settings.open else "who has a token"
    serve(settings, lambda address: _tell(session, f"podstack server at {address} for {who}"))


@command("ui")
def ui(
    session: Session,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Or the next free one.")] = 8321,
    browser: Annotated[bool, typer.Option(help="Open the pages in a browser.")] = True,
) -> None:
    """Look at a store in the browser.

    Serves it to this machine only until Ctrl-C; a store that a server has is opened there.
    """
    uri, project = _uri(session), session.options.project
    below = f"/projects/{_project(session)}/experiments" if project else ""
    if uri.startswith(("http://", "https://")):
        _tell(session, f"podstack is at {uri}{below}")
        _look_at(uri + (below or "/"), browser=browser)
        return
    _check_installed()
    try:
        from podstack.server.looking import look_at
        from podstack.server.run import next_free
    except ModuleNotFoundError as error:
        raise lacking(error) from error
    free = next_free(port)
    look_at(
        uri,
        free,
        path=below or "/",
        told=lambda address: _tell(session, f"podstack is at {address}  (Ctrl-C ends it)"),
        opened=lambda address: _look_at(address, browser=browser),
    )


def _check_installed() -> None:
    """
    Raises:
        MissingExtraError: the server lacks a package; it imports most once it listens.
    """
    for name in ("fastapi", "uvicorn", "httptools", "jinja2"):
        if find_spec(name) is None:
            raise lacking(ModuleNotFoundError(f"No module named {name!r}", name=name))


def _look_at(address: str, *, browser: bool) -> None:
    if browser:
        import webbrowser

        webbrowser.open(address)


@command("create", group=token_group)
def create(
    session: Session,
    role: Annotated[str, typer.Option(help="viewer, editor or admin.")],
    user: Annotated[str, typer.Option(help="Whose it is.")],
    expires: Annotated[str, typer.Option(help="How long it is good: 90d, 12h, 1y; never.")] = "90d",
) -> None:
    """Make a token for one project, which is shown this once.

    Name the project with --project, or '*' for every project of the server.
    """
    tokens = _tokens(session, make=True)
    text, token = tokens.create(
        user=user, project=_project(session), role=role, expires_in=_seconds(expires)
    )
    session.paper.note(f"Token {token.id} for {user}, {role} of {token.project}. Keep it:")
    print(text)


@command("list", reads=True, group=token_group)
def list_tokens(session: Session) -> None:
    """Show who has a token; never the token itself."""
    from podstack.clock import now
    from podstack.columns import moment
    from podstack.tables import Column

    found = sorted(_tokens(session).all(), key=lambda token: token.created)
    if session.is_json:
        session.paper.json([_shown(token) for token in found])
        return
    cells: dict[str, list[str]] = {
        "token": [token.id for token in found],
        "user": [token.user for token in found],
        "project": [token.project for token in found],
        "role": [token.role for token in found],
        "created": [moment(token.created) for token in found],
        "until": [_until(token, now()) for token in found],
    }
    session.paper.table([Column(head, texts) for head, texts in cells.items()])


@command("revoke", group=token_group)
def revoke(session: Session, token: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """End a token: from the next request on, it is none."""
    ended = _tokens(session).revoke(token)
    session.paper.line(f"revoked {ended.id} of {ended.user}")


def _tell(session: Session, line: str) -> None:
    session.paper.line(line)
    session.paper.flush()


def _tokens(session: Session, *, make: bool = False) -> Tokens:
    try:
        from podstack.server.stores import Stores
        from podstack.server.tokens import Tokens
    except ModuleNotFoundError as error:
        raise lacking(error) from error
    stores = Stores(_uri(session))
    if make:
        stores.prepare()
    return Tokens(stores.backend)


def _uri(session: Session) -> str:
    return config.settings(session.options.store, None, None, None).uri


def _project(session: Session) -> str:
    if session.options.project == "*":
        return "*"
    return config.settings(None, None, session.options.project, None).project


def _seconds(text: str) -> float | None:
    """A span of time such as `90d`; None for `never`."""
    if text == "never":
        return None
    shape = re.fullmatch(r"([0-9]{1,6})([smhdwy])", text)
    if shape is None or not int(shape[1]):
        raise UsageError(f"{short(text)} is no span of time: write 90d, 12h, 1y or never.")
    return float(int(shape[1]) * _UNITS[shape[2]])


def _bytes(text: str) -> int:
    shape = re.fullmatch(r"([0-9]{1,9})([kmgt]?)b?", text.lower())
    if shape is None or not int(shape[1]):
        raise UsageError(f"{short(text)} is no size: write 500M, 50G or a number of bytes.")
    return int(shape[1]) * _SIZES[shape[2]]


def _until(token: Token, now: float) -> str:
    from podstack.columns import moment

    if token.revoked is not None:
        return "revoked"
    if token.expires is None:
        return "for good"
    return moment(token.expires) if now < token.expires else "expired"


def _shown(token: Token) -> dict[str, Any]:
    names = ("id", "user", "project", "role", "created", "expires", "revoked")
    return {name: getattr(token, name) for name in names}


def lacking(error: ModuleNotFoundError) -> Exception:
    missing = (error.name or "").partition(".")[0]
    return MissingExtraError.for_(error, extra="server", also=(missing,))
