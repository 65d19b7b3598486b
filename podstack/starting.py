"""How a run starts, or goes on: `MLOpsClient.start_run` says what is wanted, and this does it.

What is wrong with a call is found before anything is stored. After the first facts are written no
storage error is raised any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from podstack import config, names, oplog
from podstack.clock import now
from podstack.config import GivenTrial, Settings
from podstack.console import say
from podstack.errors import UsageError
from podstack.journal import Journal
from podstack.names import RUNNING, Tags
from podstack.parameters import flat_parameters
from podstack.position import Position, position
from podstack.run import Run
from podstack.store import Store

if TYPE_CHECKING:
    from podstack.sweeps.trial import Trial


class Start(NamedTuple):
    """What is to be started.

    run_id: None for a new one.
    facts: what the run's op log begins with, or has in addition.
    experiment_id: where it goes unless another experiment is named.
    trial: the trial of a sweep that it does the work of.
    """

    run_id: str | None
    facts: dict[str, Any]
    experiment_id: str | None = None
    trial: Trial | None = None


# What is asked for -------------------------------------------------------------------------


def asked(
    store: Store,
    name: str | None,
    run_id: str | None,
    tags: Tags,
    params: Mapping[str, Any] | None,
    trial: Trial | None,
) -> Start:
    """A start as the caller, the trial, or the agent that this program works for wants it.

    Raises:
        UsageError: an argument cannot be stored.
    """
    facts = _first_facts(name, tags, params)
    if run_id is not None:
        names.check_id("run_id", run_id)
    if trial is not None:
        return Start(run_id, _facts_of(trial) | facts, trial.experiment_id, trial)
    given = _given_trial(store, run_id)
    if given is None:
        return Start(run_id, facts)
    of_trial = _facts_for(given.sweep, given.number, given.params)
    return Start(given.run, of_trial | facts, given.experiment)


def _first_facts(name: str | None, tags: Tags, params: Mapping[str, Any] | None) -> dict[str, Any]:
    facts: dict[str, Any] = {"status": RUNNING}
    if name is not None:
        facts["name"] = names.check_name("run", name)
    facts |= {f"tags/{tag}": True for tag in names.check_tags(tags)}
    flat = flat_parameters({} if params is None else params)
    return facts | {f"params/{key}": oplog.stored(value) for key, value in flat.items()}


def _facts_of(trial: Trial) -> dict[str, Any]:
    from podstack.sweeps.trial import checked

    trial = checked(trial)
    return _facts_for(trial.sweep_id, trial.number, trial.params)


def _facts_for(sweep: str, number: int, params: Mapping[str, Any]) -> dict[str, Any]:
    return {**_first_facts(None, (), params), "sweep": {"id": sweep, "trial": number}}


def _given_trial(store: Store, run_id: str | None) -> GivenTrial | None:
    """The trial that an agent started this program for, if this is the run that it waits for.

    That is the first one that is started, or the one that is named by the id it was given.
    """
    given = config.given_trial()
    settings = store.portable_settings
    if given is None or (given.uri, given.project) != (settings.uri, settings.project):
        return None
    if run_id is None and Run(store, given.run)._fold().stamp:
        return None
    return given if run_id in (None, given.run) else None


# Doing it ----------------------------------------------------------------------------------


def started(
    store: Store,
    start: Start,
    parts: frozenset[str],
    experiment: Callable[[], str],
    *,
    is_named: bool,
) -> Run:
    """The run, being recorded.

    Args:
        parts: what is recorded of its surroundings.
        experiment: finds the id of the experiment that it goes into.
        is_named: whether somebody said which: then a run that is resumed moves there.
    """
    store.is_there()
    run, is_resumed = _opened(store, start.run_id)
    if is_named or not is_resumed:
        start.facts["experiment"] = experiment()
    store.prepare()
    (_resume if is_resumed else _begin)(store, run, start.facts)
    if store.delivery is not None:
        store.delivery.began()
    _capture(store, run, parts)
    if start.trial is not None:
        run._works_for(start.trial)
    return run


def _opened(store: Store, run_id: str | None) -> tuple[Run, bool]:
    """The run, and whether it exists already."""
    if run_id is None:
        return Run(store, names.new_run_id()), False
    if store.delivery is not None:
        store.delivery.adopt()
    run = Run(store, run_id)
    if run_id in store.reader.purged():
        raise UsageError(
            f"Run {run_id} was purged and cannot come back. Start one under another id."
        )
    is_there = bool(run._fold().stamp)
    return run, is_there or any(one._fold().stamp for one in _waiting(store, run_id))


def _waiting(store: Store, run_id: str) -> list[Run]:
    """The run as each spool of this machine tells of it, but the one of this client."""
    if store.delivery is None:
        return []
    return [
        Run(Store(_settings_of(store, at)), run_id) for at in store.delivery.others_with(run_id)
    ]


def _settings_of(store: Store, spool: Path) -> Settings:
    """A spool is a store in the usual layout."""
    return Settings(str(spool), store.settings.project, "online")


def _begin(store: Store, run: Run, facts: dict[str, Any]) -> None:
    created = {"created": now(), "user": config.user(), "name": names.name_of_run(run.id)}
    journal = Journal(store.folder, store.keys, run.id)
    run._record(journal, {**created, **facts}, owns=True)
    _announce(store, run, "run")


def _resume(store: Store, run: Run, facts: dict[str, Any]) -> None:
    journal = Journal(store.folder, store.keys, run.id, role="resume")
    journal.go_on_from(*_left_off(store, run))
    cleared = {"ended": None, "error": None, "deleted": None, "stop": None}
    run._record(journal, {**cleared, **facts}, owns=True)
    run._resume_alerts()
    _announce(store, run, f"resumed at step {journal.next_step}:")


def _left_off(store: Store, run: Run) -> Position:
    """Where the run's writers left off, also by what has yet to be sent: it arrives after us."""
    places = [position(one) for one in [*_waiting(store, run.id), run]]
    return Position(*map(max, zip(*places, strict=True)))


def _capture(store: Store, run: Run, parts: frozenset[str]) -> None:
    """Start what records the run's surroundings; each part is its own module's work."""
    if store.disabled or not parts:
        return
    try:
        from podstack import capture  # not at `import podstack`
    except (OSError, ImportError):  # no descriptor is left to load it with
        return
    capture.begin(run, parts)


def _announce(store: Store, run: Run, what: str) -> None:
    if store.disabled:
        return
    uri = store.settings.uri
    is_usual = uri == config.DEFAULT_STORE
    page = run.page or ("podstack ui" if is_usual else f"podstack ui --store {uri!r}")
    call = f"MLOpsClient({uri!r}).get_run({run.id!r})"
    say(f"{what} {run.name} → {store.url} · look: {page} · in Python: {call}")
