"""What every command starts from: which store, which project, and where to print."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from podstack import config, names
from podstack.cli.exits import NoStoreError
from podstack.cli.paper import Paper
from podstack.errors import BackendError, NotFoundError, UsageError

if TYPE_CHECKING:
    from podstack import MLOpsClient
    from podstack.experiment import Experiment
    from podstack.index import RunRow
    from podstack.run import Run
    from podstack.store import Store

_PROJECTS = "projects/"
_LISTED = 10  # candidates that are named


class Options(NamedTuple):
    """The options that every command takes, before or after its own name."""

    store: str | None = None
    project: str | None = None
    json: bool = False
    no_color: bool = False
    quiet: bool = False

    def over(self, other: Options) -> Options:
        """These, and where nothing was given here, the others."""
        return Options(
            self.store or other.store,
            self.project or other.project,
            self.json or other.json,
            self.no_color or other.no_color,
            self.quiet or other.quiet,
        )


class Session:
    """One call of the command. Nothing is opened before it is asked for."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.paper = Paper(
            json=options.json,
            colour=not options.no_color,
            quiet=options.quiet,
        )
        if options.quiet:
            config.be_quiet()

    @property
    def is_json(self) -> bool:
        return self.options.json

    @cached_property
    def client(self) -> MLOpsClient:
        """The client of a store that is there.

        Raises:
            NoStoreError: it is not. Nothing is made by asking.
            NotFoundError: it has other projects, but not that one.
        """
        client = self.unchecked_client
        self.check_store()
        self._check_project(client._store)
        return client

    @cached_property
    def unchecked_client(self) -> MLOpsClient:
        """The client, whether its store is there or not."""
        from podstack import MLOpsClient

        return MLOpsClient(self.options.store, project=self.options.project, mode="online")

    @property
    def store(self) -> Store:
        return self.client._store

    def projects(self) -> list[str]:
        return list(self.unchecked_client._store.backend.list_dirs(_PROJECTS))

    def check_store(self) -> None:
        """
        Raises:
            NoStoreError: there is none, or it does not answer.
        """
        store = self.unchecked_client._store
        try:
            there = store.is_there() or bool(self.projects())
        except BackendError as error:
            raise NoStoreError(f"The store {store.url} does not answer: {error}") from error
        if not there:
            raise NoStoreError(
                f"There is no store at {store.url}. {_elsewhere(store.settings.uri)}"
                "Name it with --store FOLDER or PODSTACK_URI, or log a run to make it."
            )

    def _check_project(self, store: Store) -> None:
        wanted, known = store.settings.project, self.projects()
        if known and wanted not in known:
            raise NotFoundError.among(
                "project", wanted, known, hint="Name one with --project or PODSTACK_PROJECT."
            )

    # What people call runs and experiments -------------------------------------------------

    def run(self, text: str, *, hidden: bool = False) -> Run:
        """A run by its id, its name, the beginning of its id, `latest` or `latest~2`.

        Args:
            hidden: of several that are called so, a deleted one is meant; else one that is not.

        Raises:
            NotFoundError: there is none.
            UsageError: there are several; they are listed.
        """
        return self.client.get_run(self.run_id(text, hidden=hidden))

    def runs(self, texts: list[str], *, hidden: bool = False) -> list[Run]:
        return [self.run(text, hidden=hidden) for text in dict.fromkeys(texts)]

    def run_id(self, text: str, *, hidden: bool = False) -> str:
        """The id of what `run` finds."""
        if self._is_run(text):
            return text
        if (place := _latest(text)) is not None:
            return self._newest(place)
        rows = self.store.index.rows(self.store.index.matching(text))
        meant = rows if len(rows) < 2 else [row for row in rows if row.deleted == hidden] or rows
        if len(meant) > 1:
            raise UsageError(_ambiguous(text, meant))
        if not meant:
            raise NotFoundError.among("run", text, self._known_runs())
        return meant[0].id

    def _is_run(self, text: str) -> bool:
        """Whether it is a whole id: the index need not be asked then."""
        if not names.is_id(text):
            return False
        here = self.store.backend.list(self.store.keys.meta(text))
        return any(True for _ in here) and text not in self.store.reader.purged()

    def _newest(self, place: int) -> str:
        from podstack.expressions import parse_order

        order = parse_order("-created")
        rows = self.store.index.runs(order=order, limit=1, offset=place)
        if not rows:
            raise NotFoundError(f"There are not {place + 1} runs yet.")
        return rows[0].id

    def _known_runs(self) -> list[str]:
        rows = self.store.index.runs(limit=10_000)
        return [text for row in rows for text in (row.id, row.name)]

    def experiment(self, text: str) -> Experiment:
        """An experiment by its id or its name, a hidden one too."""
        return self.client.get_experiment(text)


def _ambiguous(text: str, rows: list[RunRow]) -> str:
    from podstack.columns import moment

    lines = [f"  {r.id}  {r.name}  {r.status}  {moment(r.created)}" for r in rows[:_LISTED]]
    more = [f"  … and {len(rows) - _LISTED} more"] if len(rows) > _LISTED else []
    head = f"{len(rows)} runs are called {names.short(text)}. Say which, by its id:"
    return "\n".join([head, *lines, *more])


def _latest(text: str) -> int | None:
    """How many runs before the newest: `latest` is 0, `latest~2` is 2."""
    word, mark, count = text.partition("~")
    if word != "latest" or (mark and not (count.isascii() and count.isdigit() and len(count) < 9)):
        return None
    return int(count or 0)


def _elsewhere(uri: str) -> str:
    """Where the default store lies, if whoever asks stands in a folder below it."""
    if uri != config.DEFAULT_STORE:
        return ""
    default = Path(uri).name
    for parent in Path.cwd().parents:
        if (parent / default / "podstack.json").is_file():
            return f"There is one at {parent / default}. "
    return ""
