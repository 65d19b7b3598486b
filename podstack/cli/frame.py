"""How a function becomes a command: the shared options, the session, the exit code."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from podstack.cli.completion import experiments, projects, runs
from podstack.cli.exits import exit_codes
from podstack.cli.session import Options, Session

Command = Callable[..., None]

# What a run or an experiment is called on the command line.
RunName = Annotated[str, typer.Argument(metavar="RUN", autocompletion=runs)]
RunNames = Annotated[list[str], typer.Argument(metavar="RUN", autocompletion=runs)]
SomeRuns = Annotated[
    list[str] | None,
    typer.Argument(metavar="RUN", autocompletion=runs, help="Default: all."),
]
ExperimentName = Annotated[
    str | None,
    typer.Argument(metavar="EXPERIMENT", autocompletion=experiments),
]
OfExperiment = Annotated[
    str | None,
    typer.Option(
        "--experiment", "-e", metavar="EXPERIMENT", autocompletion=experiments, show_default=False
    ),
]

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        "-s",
        metavar="URI",
        help="The store; default PODSTACK_URI, else ./podstack-store.",
    ),
]
ProjectOption = Annotated[
    str | None,
    typer.Option("--project", metavar="NAME", autocompletion=projects, help="The project."),
]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours; so does NO_COLOR.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="The answer and nothing beside.")]

_SHARED: dict[str, Any] = {
    "store": StoreOption,
    "project": ProjectOption,
    "no_color": NoColor,
    "quiet": Quiet,
}
_JSON = Annotated[bool, typer.Option("--json", help="One JSON document.")]

_ORDER = (
    *("experiments", "runs", "show", "watch", "compare", "diff", "artifacts"),
    "sweep",
    *("notes", "tag", "archive", "restore", "delete", "purge"),
    *("export", "sync", "compact", "verify", "doctor"),
    *("ui", "server", "token"),
)


class _Group(TyperGroup):
    """The commands in the order in which one meets them."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        known = super().list_commands(ctx)
        return [name for name in _ORDER if name in known] + sorted(set(known) - set(_ORDER))


app = typer.Typer(
    name="podstack",
    cls=_Group,
    rich_markup_mode=None,  # help without rich takes half the time
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def command(
    name: str, *, reads: bool = False, group: typer.Typer = app
) -> Callable[[Command], Command]:
    """Make a command of a function that takes a Session first.

    Args:
        reads: it answers a question, and can do so as JSON.
        group: the command that it is a part of.
    """

    def made(function: Command) -> Command:
        def call(ctx: typer.Context, **values: Any) -> None:
            mine = Options(**{key: values.pop(key) for key in shared})
            with exit_codes():
                function(Session(mine.over(ctx.obj or Options())), **values)

        shared = {**_SHARED, **({"json": _JSON} if reads else {})}
        call.__name__, call.__doc__ = function.__name__, function.__doc__
        _describe(call, function, shared)
        group.command(name)(call)
        return function

    return made


def _describe(call: Any, function: Command, shared: dict[str, Any]) -> None:
    """Give the wrapper the parameters of the function, and the shared ones behind them."""
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    kind = inspect.Parameter.KEYWORD_ONLY
    context = inspect.Parameter("ctx", kind, annotation=typer.Context)
    more = [
        inspect.Parameter(name, kind, annotation=hint, default=Options._field_defaults[name])
        for name, hint in shared.items()
    ]
    parameters = [context, *(parameter.replace(kind=kind) for parameter in own), *more]
    call.__signature__ = inspect.Signature(parameters)
    call.__annotations__ = {p.name: p.annotation for p in parameters}
