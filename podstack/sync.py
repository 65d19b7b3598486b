"""Copying a store into another one: what is missing there, and nothing twice.

    sync(open_backend("./podstack-store"), open_backend("s3://bucket/store"))

Any two stores, at any time, also while runs record, also where both were written to. Nothing is
ever deleted, shortened or overwritten by something else, and a run that was purged on either side
stays purged. Of each run its facts are read first and written last, so that what they speak of is
there before them. It may be ended at any moment: the next one goes on where it stopped.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial

import orjson

from podstack import keys, names
from podstack.backend import Backend, BlobInfo, LocalStore
from podstack.differences import (
    Comparison,
    Item,
    Unit,
    is_plain_key,
    kind_of,
    suspects,
    unit_of,
)
from podstack.errors import (
    AccessDeniedError,
    BackendError,
    BlobMissing,
    DamagedError,
    NotFoundError,
    UsageError,
)
from podstack.hinting import Hints
from podstack.patience import Crew, Patience
from podstack.pending import PAGE, Groups, Pending, grouped, growth, page_of, waves
from podstack.store import FORMAT
from podstack.tally import Failed, Progress, SyncReport, Tally
from podstack.transfer import Written, copy_file, is_log, read_log, write_log
from podstack.witnesses import Witnesses

__all__ = ["Failed", "Progress", "SyncReport", "steps", "sync"]

_LOOKS = 3  # at a unit whose objects moved before they were read
_PROJECTS = "projects/"


def sync(
    source: Backend,
    target: Backend,
    *,
    projects: Collection[str] | None = None,
    runs: Collection[str] | None = None,
    dry_run: bool = False,
    progress: Callable[[Progress], None] | None = None,
    patience: float = 60.0,
    in_flight: int = 8,
) -> SyncReport:
    """Copy what `target` lacks.

    Args:
        projects: only these. Default: all of the source.
        runs: only these runs, whichever of the projects they are in. Default: everything.
        dry_run: write nothing, and say what would be copied.
        progress: called from this thread after each object.
        patience: seconds without any answer after which a store is given up.
        in_flight: objects that are copied at once.

    Raises:
        AccessDeniedError: a store refuses. What was copied until then stays.
        BackendUnavailable: a store does not answer. What was copied until then stays.
        NotFoundError: the source has no such project.
        UsageError: both are one store, or one is of a later format.
    """
    with Crew(in_flight) as crew:
        work = _Sync(source, target, crew, Patience(patience), dry_run=dry_run)
        for _ in work.steps(projects, runs):
            if progress is not None:
                progress(work.so_far)
        return work.report


def steps(
    source: Backend,
    target: Backend,
    done: Callable[[SyncReport], None],
    *,
    projects: Collection[str] | None = None,
    runs: Collection[str] | None = None,
) -> Iterator[None]:
    """The same as a job for a background thread: one object between two steps, no waiting.

    An outage is raised at once, for the background has a patience of its own.
    """
    with Crew(1) as crew:
        work = _Sync(source, target, crew, Patience(0.0), dry_run=False)
        yield from work.steps(projects, runs)
        done(work.report)


class _Look:
    """A unit on its way: its facts as they were read, and what else it lacks."""

    def __init__(self, unit: Unit, *, is_new: bool) -> None:
        self.unit, self.is_new = unit, is_new
        self.facts: list[tuple[Item, bytes]] = []
        self.items: list[Item] = []
        self.missed = False


class _Sync:
    """One sync, from its first listing to its report."""

    def __init__(
        self, source: Backend, target: Backend, crew: Crew, patience: Patience, *, dry_run: bool
    ) -> None:
        self._source, self._target = source, target
        self._crew, self._patience, self._dry_run = crew, patience, dry_run
        self._tally = Tally()

    @property
    def so_far(self) -> Progress:
        return self._tally.so_far

    @property
    def report(self) -> SyncReport:
        return self._tally.report()

    def steps(
        self, projects: Collection[str] | None, runs: Collection[str] | None
    ) -> Iterator[None]:
        _refuse_nesting(self._source, self._target)
        wanted = self._projects(projects)
        labels = self._labels()
        self._witnesses = Witnesses.between(self._source.url, self._target.url, *labels)
        self._comparison = Comparison(self._source, self._target, self._witnesses)
        self._hints = Hints(self._source, self._target, self._witnesses)
        try:
            for project in wanted:
                yield from self._project(keys.Project(project), runs)
            if projects is None and runs is None and labels[0]:
                yield from self._units(self._strangers())
        finally:
            if not self._dry_run:
                self._witnesses.save()

    # The two stores ------------------------------------------------------------------------

    def _labels(self) -> tuple[str, str]:
        """Which stores these are; the target gets a label of its own if it has none."""
        mine = self._patience(lambda: _label(self._source))
        theirs = self._patience(lambda: _label(self._target))
        if not theirs and not self._dry_run:
            theirs = str(uuid.uuid4())
            label = orjson.dumps({"podstack": FORMAT, "store": theirs})
            self._patience(lambda: self._target.put(keys.STORE, label))
        return mine, theirs

    def _projects(self, wanted: Collection[str] | None) -> list[str]:
        found = self._patience(lambda: list(self._source.list_dirs(_PROJECTS)))
        known = [name for name in found if names.is_id(name)]
        for name in wanted or ():
            if name not in known:
                raise NotFoundError.among("project", name, known)
        return known if wanted is None else [name for name in known if name in wanted]

    def _project(self, project: keys.Project, runs: Collection[str] | None) -> Iterator[None]:
        new, buried = self._tombs(project, runs)
        yield from self._crew.each(self._copying(item, None) for item in new)
        self._hints.begin(project, self._patience)
        prefixes = [project.root] if runs is None else [project.run(run) for run in sorted(runs)]
        pending = (
            p for prefix in prefixes for p in self._pending(prefix) if self._lives(p, buried)
        )
        yield from self._units(pending)
        if runs is None and not self._dry_run:
            yield from self._crew.each(
                self._guarded(hint.key, lambda h=hint: self._send_hint(h))  # type: ignore[misc]
                for hint in self._hints.of_the_living(buried)
            )

    def _send_hint(self, hint: BlobInfo) -> None:
        for written in self._hints.send(hint):
            self._tally.copied(written.key, written.size, "")

    def _tombs(
        self, project: keys.Project, runs: Collection[str] | None
    ) -> tuple[list[Item], set[str]]:
        """The tombs that the target lacks, and the runs that have one on either side."""
        here = self._patience(lambda: list(self._source.list(project.tombs)))
        there = {i.key for i in self._patience(lambda: list(self._target.list(project.tombs)))}
        tombs = {_buried(project, info.key): info for info in here}
        new = [
            Item(info, info.key, None)
            for run, info in tombs.items()
            if names.is_id(run) and info.key not in there and (runs is None or run in runs)
        ]
        return new, set(tombs) | {_buried(project, key) for key in there}

    def _lives(self, pending: Pending, buried: set[str]) -> bool:
        if pending.unit.run in buried:
            self._tally.skipped.add(pending.unit.run)
            return False
        return True

    # What may be lacking -------------------------------------------------------------------

    def _strangers(self) -> Iterator[Pending]:
        """Objects that this version knows nothing of, beside the projects."""
        tops = self._patience(lambda: list(self._source.list_dirs()))
        for top in tops:
            if unit_of(f"{top}/-") is not None and is_plain_key(top):
                yield from self._pending(f"{top}/")

    def _pending(self, prefix: str) -> Iterator[Pending]:
        """The units below a prefix that may lack something, by two listings side by side."""
        theirs = Groups(self._listed(self._target, prefix))
        for unit, infos in grouped(self._checked(self._listed(self._source, prefix))):
            there = theirs.of(unit)
            found = suspects(infos, there, self._witnesses)
            if found:
                size = sum(growth(suspect) for suspect in found)
                self._tally.total += size
                yield Pending(unit, size, not there)

    def _listed(self, backend: Backend, prefix: str) -> Iterator[BlobInfo]:
        """A listing, page by page, so that an outage costs a page and not all of it."""
        last, page = "", [BlobInfo("", 0, "")] * PAGE
        while len(page) == PAGE:
            page = self._patience(partial(page_of, backend, prefix, last))
            yield from page
            last = page[-1].key if page else last

    def _checked(self, listing: Iterable[BlobInfo]) -> Iterator[BlobInfo]:
        for info in listing:
            if is_plain_key(info.key):
                yield info
            else:
                reason = "its key would lead out of a store; it was not copied"
                self._tally.failed(info.key, UsageError(reason))

    # Waves of units ------------------------------------------------------------------------

    def _units(self, pending: Iterable[Pending]) -> Iterator[None]:
        for wave in waves(pending):
            looks = [_Look(unit, is_new=is_new) for unit, _, is_new in wave]
            yield from self._wave(looks)

    def _wave(self, looks: list[_Look]) -> Iterator[None]:
        """Facts are read first and written last; hints are taken before and sent after them."""
        due = looks
        for _ in range(_LOOKS):
            yield from self._crew.each(self._looking(look) for look in due)
            yield from self._crew.each(
                self._copying(item, look) for look in due for item in look.items
            )
            due = [look for look in due if look.missed]
            if not due:
                break
        yield from self._crew.each(
            self._stating(item, lines, look) for look in looks for item, lines in look.facts
        )
        changed = [look for look in looks if self._tally.has_changed(look.unit.run)]
        if not self._dry_run:
            yield from self._crew.each(
                self._guarded(look.unit.prefix, lambda seen=look: self._hint(seen))  # type: ignore[misc]
                for look in changed
            )

    def _hint(self, look: _Look) -> None:
        for written in self._hints.tell_of(look.unit, is_new=look.is_new):
            self._tally.copied(written.key, written.size, "")

    def _looking(self, look: _Look) -> Callable[[], None]:
        def looked() -> None:
            try:
                self._look(look)
            except BlobMissing:  # compacted, or moved to its final name, before it was read
                look.missed = True

        return self._guarded(look.unit.prefix, looked)

    def _look(self, look: _Look) -> None:
        prefix, run = look.unit.prefix, look.unit.run
        look.facts, look.items, look.missed = [], [], False
        there = [] if look.is_new else self._of_unit(self._target, look.unit)
        self._hints.take(look.unit)
        if run:
            facts = list(self._source.list(f"{prefix}meta/"))
            for item in self._comparison.lacking(filter(_is_plain_fact, facts), there):
                self._read_fact(look, item)
        for item in self._comparison.lacking(self._of_unit(self._source, look.unit), there):
            if not (run and _is_plain_fact(item.info)):
                look.items.append(item)

    def _read_fact(self, look: _Look, item: Item) -> None:
        try:
            look.facts.append((item, read_log(self._source, item.info.key)))
        except DamagedError as error:
            self._tally.failed(item.info.key, error)

    def _of_unit(self, backend: Backend, unit: Unit) -> list[BlobInfo]:
        found = backend.list(unit.prefix)
        return [info for info in found if is_plain_key(info.key) and unit_of(info.key) == unit]

    # One object ----------------------------------------------------------------------------

    def _copying(self, item: Item, look: _Look | None) -> Callable[[], None]:
        def copy() -> None:
            if self._dry_run:
                self._count(item, look, item.info.size)
                return
            try:
                if is_log(item.info.key):
                    lines = read_log(self._source, item.info.key)
                    self._wrote(item, look, write_log(self._target, item, lines))
                else:
                    self._wrote(item, look, copy_file(self._source, self._target, item))
            except BlobMissing:
                if look is not None:
                    look.missed = True

        return self._guarded(item.info.key, copy)

    def _stating(self, item: Item, lines: bytes, look: _Look) -> Callable[[], None]:
        def state() -> None:
            if self._dry_run:
                self._count(item, look, len(lines))
            else:
                self._wrote(item, look, write_log(self._target, item, lines))

        return self._guarded(item.info.key, state)

    def _wrote(self, item: Item, look: _Look | None, written: Written | None) -> None:
        """Count it; and remember it where sizes alone would not tell the next time."""
        if written is None and item.there is not None:
            self._witnesses.note(item.info, item.there)
        if written is None:
            return
        if written.key != item.info.key or written.size != item.info.size:
            self._witnesses.note(item.info, BlobInfo(written.key, written.size, ""))
        self._count(item, look, written.size)

    def _count(self, item: Item, look: _Look | None, size: int) -> None:
        self._tally.copied(item.key, size, look.unit.run if look else "")

    def _guarded(self, key: str, job: Callable[[], None]) -> Callable[[], None]:
        """A job whose failure costs this object only, unless a store is closed or gone."""

        def guarded() -> None:
            try:
                self._patience(job)
            except AccessDeniedError:
                raise
            except BlobMissing:
                return  # it went; what replaced it comes with the next sync
            except (BackendError, UsageError, OSError) as error:
                if self._patience.is_over(error):
                    raise
                self._tally.failed(key, error)

        return guarded


def _is_plain_fact(info: BlobInfo) -> bool:
    return is_plain_key(info.key) and is_log(info.key) and kind_of(info.key) == "facts"


def _buried(project: keys.Project, key: str) -> str:
    return key[len(project.tombs) :].removesuffix(".json")


def _label(backend: Backend) -> str:
    """The id of a store; empty where it has no label.

    Raises:
        UsageError: it is of a later format.
    """
    try:
        facts = orjson.loads(backend.get(keys.STORE))
    except BlobMissing:
        return ""
    except ValueError:
        facts = None
    version = facts.get("podstack") if isinstance(facts, dict) else None
    if version != FORMAT:
        raise UsageError(
            f"The store {backend.url} says format {names.short(version)}; this podstack copies "
            f"format {FORMAT}. Upgrade podstack, or check that podstack.json is one."
        )
    return str(facts.get("store") or "")


def _refuse_nesting(source: Backend, target: Backend) -> None:
    """
    Raises:
        UsageError: both are one store, or one lies in the other.
    """
    if source.url == target.url:
        raise UsageError(f"{source.url} cannot be copied into itself: name two stores.")
    if isinstance(source, LocalStore) and isinstance(target, LocalStore):
        mine, theirs = (s.path(keys.STORE).resolve().parent for s in (source, target))
        if mine == theirs or mine in theirs.parents or theirs in mine.parents:
            raise UsageError(
                f"{source.url} and {target.url} are one folder, or one lies in the other: name two "
                "that are apart."
            )
