"""Edits of an experiment or a run, in one line of its op log each, under a name of their own.

What a form on a page says arrives as one change, so that nobody ever sees half of it. Who made it
stands beside it, in `authors/<writer>`, and is told again by `author_of`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from podstack import alerts, clock, names
from podstack.experiment import Experiment, creation
from podstack.oplog import Change
from podstack.store import Store
from podstack.stored_run import StoredRun

_AT_ONCE = 16  # requests to a store that is not on this machine


class Notes(NamedTuple):
    """The notes of a run, and which of their versions that is; empty where nobody wrote any."""

    text: str
    version: str
    author: str
    time: float | None  # epoch seconds


class NotesConflict(Exception):  # it is an answer, not a failure
    """Somebody else wrote notes meanwhile; `notes` are theirs."""

    def __init__(self, notes: Notes) -> None:
        super().__init__("The notes were changed by someone else.")
        self.notes = notes


class Author:
    """Edits under one name. Every edit is in the store when its call returns.

    Args:
        name: whose edits they are.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store, self.name = store, name

    # Experiments ---------------------------------------------------------------------------

    def create_experiment(self, name: str, description: str = "", tags: object = ()) -> Experiment:
        """The experiment of that name, made if there is none; a deleted one comes back.

        Raises:
            UsageError, WrongTypeError: what cannot be; nothing was stored.
        """
        names.check_name("experiment", name)
        experiment = Experiment(self._store, names.experiment_id(name))
        changes = creation(experiment, name, description, tags)
        if changes:
            self._put(self._store.keys.experiment(experiment.id), changes)
        return experiment

    def edit_experiment(self, experiment_id: str, changes: Mapping[str, Any]) -> None:
        """Set name, description, tags (all of them), archived and deleted, as far as given.

        Raises:
            UsageError, WrongTypeError: what cannot be; nothing was stored.
        """
        experiment = Experiment(self._store, experiment_id)
        facts: dict[str, Any] = {}
        if "name" in changes:
            facts["name"] = names.check_name("experiment", changes["name"])
        if "description" in changes:
            facts["description"] = names.check_text("A description", changes["description"])
        facts |= _flags(changes, "archived", "deleted")
        facts |= _tags(experiment.tags, changes)
        if facts:
            self._put(self._store.keys.experiment(experiment_id), facts)

    # Runs ----------------------------------------------------------------------------------

    def edit_run(self, run_id: str, changes: Mapping[str, Any]) -> None:
        """Set name, tags (all of them), add_tags, remove_tags and deleted, as far as given.

        Raises:
            UsageError, WrongTypeError: what cannot be; nothing was stored.
        """
        run = StoredRun(self._store, run_id)
        facts = _flags(changes, "deleted") | _tags(run.tags, changes)
        if "name" in changes:
            facts["name"] = names.check_name("run", changes["name"])
        if facts:
            self.set_facts(run_id, facts)

    def edit_runs(self, run_ids: Sequence[str], changes: Mapping[str, Any]) -> None:
        """The same change to each of several runs; where the store is elsewhere, many at once.

        Raises:
            UsageError, WrongTypeError: what cannot be; nothing was stored.
            BackendError: the store refused; the runs before may be changed already.
        """
        _tags((), changes)
        if self._store.delivery is None:
            for run_id in run_ids:
                self.edit_run(run_id, changes)
            return
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(lambda run_id: self.edit_run(run_id, changes), run_ids):
                pass  # what one raised is raised here

    def set_facts(self, run_id: str, facts: Mapping[str, Any]) -> str:
        """The caller has read the run, so that this wins over all that it could see.

        Returns:
            The id of the writer that said it.
        """
        return self._put(self._store.keys.meta(run_id), facts)

    def request_stop(self, run_id: str) -> None:
        """Ask whoever records the run to stop."""
        StoredRun(self._store, run_id).history("stop")  # so that this edit wins over all before
        self.set_facts(run_id, {"stop": True})

    # Alerts --------------------------------------------------------------------------------

    def create_alert(
        self, run_id: str, condition: str, message: str = "", cooldown: float = alerts.COOLDOWN
    ) -> str:
        """Watch a run for a condition; see `StoredRun.create_alert`.

        Returns:
            The alert's id.

        Raises:
            ExpressionError, UsageError, WrongTypeError: what cannot be; nothing was stored.
        """
        known = self._alerts(run_id)
        asked = alerts.wanted((), condition, message, None, None, cooldown)
        alert = alerts.among(known, asked)
        if known.get(alert.id) != alert:
            self.set_facts(run_id, {f"alerts/{alert.id}": alert.fact})
        return alert.id

    def delete_alert(self, run_id: str, id_or_condition: str) -> None:
        """Watch for a condition no longer.

        Raises:
            NotFoundError: there is no such alert; the nearest are named.
        """
        id = alerts.find(self._alerts(run_id), id_or_condition).id
        self.set_facts(run_id, {f"alerts/{id}": None})

    def _alerts(self, run_id: str) -> dict[str, alerts.Wanted]:
        found = StoredRun(self._store, run_id).alerts
        return {a.id: alerts.Wanted(a.condition, a.message, a.created, a.cooldown) for a in found}

    # Notes ---------------------------------------------------------------------------------

    def write_notes(self, run_id: str, text: str, version: str) -> Notes:
        """Replace the notes of a run that were read as `version`; the same text again is fine.

        Of two that write at once through different processes, whoever looks last sees the other,
        for everybody looks after writing. Who finds to have written over somebody puts their
        words back. So nobody is told that words are kept which are gone.

        Raises:
            NotesConflict: they are of another version by now.
            UsageError, WrongTypeError: the text cannot be stored.
        """
        names.check_text("Notes", text)
        run = StoredRun(self._store, run_id)
        before = run.history("notes")
        found = notes_of(run)
        if found.text == text:
            return found
        if found.version != version:
            raise NotesConflict(found)
        writer = self.set_facts(run_id, {"notes": text})
        self._yield_to_others(run, before, writer)
        return notes_of(run)

    def _yield_to_others(self, run: StoredRun, before: list[Change], writer: str) -> None:
        """Make way for what others wrote since `before`, if anybody did.

        Raises:
            NotesConflict: somebody did.
        """
        new = [change for change in run.history("notes") if change not in before]
        others = [change for change in new if change.writer != writer]
        if not others:
            return
        if new[-1].writer == writer:
            theirs = others[-1]
            Author(self._store, author_of(run, theirs)).set_facts(run.id, {"notes": theirs.value})
        raise NotesConflict(notes_of(run))

    def _put(self, prefix: str, facts: Mapping[str, Any]) -> str:
        return self._store.edit(prefix, facts, author=self.name)


def notes_of(run: StoredRun) -> Notes:
    """The notes of a run as of now."""
    history = run.history("notes")
    if not history:
        return Notes("", "", "", None)
    last = history[-1]
    text = "" if last.value is None else str(last.value)
    return Notes(text, version_of(text), author_of(run, last), clock.stamp_time(last.stamp))


def version_of(text: str) -> str:
    """What tells one text from another; the same text again is the same version."""
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text else ""


def author_of(run: StoredRun, change: Change) -> str:
    """Who made a change: the edit says it, else it was the run's own process."""
    said = run.history(f"authors/{change.writer}")
    return str(said[-1].value) if said else run.user


def _flags(changes: Mapping[str, Any], *known: str) -> dict[str, Any]:
    """Facts that are `true` or absent."""
    return {name: True if changes[name] else None for name in known if name in changes}


def _tags(present: Iterable[str], changes: Mapping[str, Any]) -> dict[str, Any]:
    """What makes the tags those that were asked for: all of them, or some more and some less."""
    facts: dict[str, Any] = {}
    if "tags" in changes:
        facts = {f"tags/{tag}": None for tag in present}
        facts |= {f"tags/{tag}": True for tag in names.check_tags(changes["tags"])}
    facts |= {f"tags/{tag}": True for tag in names.check_tags(changes.get("add_tags", ()))}
    return facts | {f"tags/{tag}": None for tag in names.check_tags(changes.get("remove_tags", ()))}
