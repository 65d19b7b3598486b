"""The sweeps of a project: found by id or name, listed, made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from podstack import names
from podstack.console import warn
from podstack.errors import DamagedError, NotFoundError, UsageError
from podstack.names import short
from podstack.store import Store
from podstack.sweeps import creating
from podstack.sweeps.creating import Wanted
from podstack.sweeps.ledger import Ledger, ledger_of
from podstack.sweeps.records import TrialRecord
from podstack.sweeps.space import SearchSpace
from podstack.sweeps.sweep import Sweep
from podstack.sweeps.sweep_table import SweepTable


def create(
    store: Store, wanted: Wanted, experiment: Callable[[], str], warm_start: object = None
) -> Sweep:
    """Make a sweep; the store has it when this returns.

    Args:
        experiment: gives the id of its experiment; asked once all else is right.

    Raises:
        UsageError, WrongTypeError: an argument cannot be; nothing was stored.
        MissingExtraError: optuna is needed and not installed.
        NotFoundError: there is no such sweep to start warm from.
        BackendError: the store does not take it.
    """
    check_online(store)
    definition = creating.definition_of(wanted, "", _warm(store, wanted, warm_start))
    definition = definition._replace(experiment=experiment())
    sweep = creating.create(ledger_of(store, definition.id), definition)
    if not store.disabled:
        creating.announce(definition, store.url)
    return sweep


def check_online(store: Store) -> None:
    """
    Raises:
        UsageError: the store may not be asked: its workers could not share anything.
    """
    if store.is_blind and not store.disabled:
        raise UsageError(
            f"A sweep needs its store: workers share trials through {store.settings.uri}, which "
            "mode='offline' does not ask. Use mode='online', or a store in a folder of this "
            "machine and podstack sync afterwards."
        )


def find(store: Store, id_or_name: object) -> Sweep:
    """A sweep by its id or its name.

    Raises:
        NotFoundError: there is none; the nearest existing ones are named.
        UsageError: several have that name.
    """
    check_online(store)
    if isinstance(id_or_name, Sweep):
        return id_or_name
    text = names.check_name("sweep", id_or_name)
    if names.is_id(text):
        ledger = ledger_of(store, text)
        if ledger.exists or ledger.refresh().exists:
            return Sweep(ledger)
        store.ledgers.pop(text, None)
    known = _all(store)
    named = [ledger for ledger in known if ledger.definition.name == text]
    if len(named) == 1:
        return Sweep(named[0])
    if named:
        ids = ", ".join(ledger.id for ledger in named)
        raise UsageError(f"{len(named)} sweeps are named {short(text)}: {ids}. Give the id.")
    existing = [ledger.id for ledger in known]
    existing += [ledger.definition.name for ledger in known]
    raise NotFoundError.among("sweep", text, existing, hint=_hint(store))


def _hint(store: Store) -> str:
    return "podstack is disabled, and knows only what this process made." if store.disabled else ""


def listed(store: Store, experiment: str | None) -> SweepTable:
    """The sweeps that are not deleted, oldest first; those of one experiment if it is given."""
    check_online(store)
    found = [
        ledger
        for ledger in _all(store)
        if not ledger.deleted and experiment in (None, ledger.definition.experiment)
    ]
    found.sort(key=lambda one: one.definition.created)
    return SweepTable(map(Sweep, found))


def _all(store: Store) -> list[Ledger]:
    """Those that can be read."""
    ids = list(store.ledgers) if store.disabled else store.reader.sweep_ids()
    return [ledger for ledger in (ledger_of(store, id) for id in ids) if _can_be_read(ledger)]


def _can_be_read(ledger: Ledger) -> bool:
    try:
        return ledger.refresh().exists and bool(ledger.definition.id)
    except DamagedError as error:
        warn(str(error))
        return False


# Warm starts ---------------------------------------------------------------------------------


def _warm(store: Store, wanted: Wanted, warm_start: object) -> list[TrialRecord]:
    if warm_start is None:
        return []
    if isinstance(warm_start, (str, Sweep)):
        return creating.of_sweep(find(store, warm_start), wanted.objective_metric)
    given = wanted.parameters if wanted.parameters is not None else wanted.search_space
    return creating.of_runs(
        _runs(warm_start), str(wanted.objective_metric), SearchSpace.parse(given or {})
    )


def _runs(warm_start: object) -> Iterable[Any]:
    if isinstance(warm_start, Iterable):
        runs = list(warm_start)
        if all(hasattr(run, "summary") and hasattr(run, "params") for run in runs):
            return runs
    raise UsageError(
        f"warm_start is a sweep, its id, or runs such as client.search_runs(…), "
        f"not {short(warm_start)}."
    )
