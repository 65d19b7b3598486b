"""Commands for whom a server tells of alerts: `notify add`, `list`, `remove`, `test`.

They work on the store itself, as those for tokens do: whoever may write it may use them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from podstack import config
from podstack.cli.exits import PROBLEM
from podstack.cli.frame import app, command
from podstack.cli.serving import lacking
from podstack.cli.session import Session
from podstack.errors import UsageError

if TYPE_CHECKING:
    from podstack.server.targets import Target, Targets

notify_group = typer.Typer(
    name="notify",
    help="Whom a server tells when an alert fires: a webhook, mail, slack://, …",
    no_args_is_help=True,
)
app.add_typer(notify_group)

Ident = Annotated[str, typer.Argument(metavar="ID")]
Private = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-private-notifications",
        metavar="HOST[:PORT]",
        help="A host of this network that may be sent to, as the server is told; repeatable.",
    ),
]


@command("add", group=notify_group)
def add(
    session: Session,
    label: Annotated[str, typer.Option(help="What it is called in lists.")] = "",
    allow_private: Private = None,
) -> None:
    """Tell one more. Its URL is read from the input, for it is a secret.

    The first line is the URL: https://…, mailtos://…, slack://…; a second line, if there is one,
    is the secret that a webhook's notices are signed with.
    """
    url, secret = _asked()
    made = _targets(session, allow_private).add(
        _project(session), url, label=label, secret=secret, user=config.user()
    )
    session.paper.line(f"added {made.id}: {made.name}")


@command("list", reads=True, group=notify_group)
def list_targets(session: Session) -> None:
    """Show who is told; never an address."""
    from podstack.columns import moment
    from podstack.tables import Column

    found = _sorted(_targets(session), _project(session))
    if session.is_json:
        session.paper.json([target.shown for target in found])
        return
    cells: dict[str, list[str]] = {
        "target": [target.id for target in found],
        "kind": [target.kind for target in found],
        "label": [target.label for target in found],
        "signed": ["yes" if target.secret else "" for target in found],
        "user": [target.user for target in found],
        "created": [moment(target.created) for target in found],
    }
    session.paper.table([Column(head, texts) for head, texts in cells.items()])


@command("remove", group=notify_group)
def remove(session: Session, target: Ident) -> None:
    """Tell one less."""
    gone = _targets(session).remove(_project(session), target)
    session.paper.line(f"removed {gone.id}: {gone.name}")


@command("test", group=notify_group)
def send_test(session: Session, target: Ident, allow_private: Private = None) -> None:
    """Send one notice now, from this machine."""
    from podstack.server.notifications import tried

    targets, project = _targets(session, allow_private), _project(session)
    found = targets.get(project, target)
    outcome = tried(targets.receiver(found), project)
    if not outcome["ok"]:
        session.paper.line(f"not taken by {found.name}: {outcome['reason']}")
        raise typer.Exit(PROBLEM)
    session.paper.line(f"taken by {found.name}")


def _asked() -> tuple[str, str]:
    if sys.stdin.isatty():
        from getpass import getpass

        return getpass("URL (not shown): ").strip(), getpass("Secret, or nothing: ").strip()
    lines = [line.strip() for line in sys.stdin.read(100_000).splitlines() if line.strip()]
    if not 1 <= len(lines) <= 2:
        raise UsageError("Give the URL as the first line of the input, and maybe a secret.")
    return lines[0], lines[1] if len(lines) == 2 else ""


def _targets(session: Session, allowed: list[str] | None = None) -> Targets:
    try:
        from podstack.addresses import Allowed
        from podstack.server.stores import Stores
        from podstack.server.targets import Targets
    except ModuleNotFoundError as error:
        raise lacking(error) from error
    uri = config.settings(session.options.store, None, None, None).uri
    if uri.startswith(("http://", "https://")):
        raise UsageError(
            "A server's targets are set in the store that it serves: name that with --store, or "
            "use the server's API: /api/v1/projects/PROJECT/notifications."
        )
    stores = Stores(uri)
    stores.prepare()
    return Targets(stores.backend, Allowed(allowed or ()))


def _sorted(targets: Targets, project: str) -> list[Target]:
    return sorted(targets.all(project), key=lambda target: target.created)


def _project(session: Session) -> str:
    return config.settings(None, None, session.options.project, None).project
