"""The command that copies: `sync`, from store to store, or what waits on this machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from podstack.cli.exits import PROBLEM, NoStoreError
from podstack.cli.frame import command
from podstack.cli.session import Session
from podstack.console import Progress as Bar
from podstack.console import readable_bytes
from podstack.errors import AccessDeniedError, BackendError, UsageError

if TYPE_CHECKING:
    from podstack.backend import Backend
    from podstack.spools import Sent, WaitingSpool
    from podstack.sync import Progress, SyncReport

_NAMED = 10  # objects that failed


@command("sync", reads=True)
def sync(
    session: Session,
    source: Annotated[
        str | None, typer.Argument(metavar="SRC", help="Default: what waits on this machine.")
    ] = None,
    target: Annotated[str | None, typer.Argument(metavar="DST", help="Where it goes.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go.")] = False,
    clean: Annotated[
        bool, typer.Option("--clean", help="Remove offline runs that ended and were sent whole.")
    ] = False,
) -> None:
    """Copy a store into another one, or send what waits.

    `podstack sync SRC DST` copies what DST lacks; deletes nothing, may be stopped and repeated.
    `podstack sync` sends what was recorded offline, or left by a process that ended before it could
    send all; `podstack sync URL` only what is meant for that store. Ends with 1 if something could
    not be copied.
    """
    if target is not None and clean:
        raise UsageError("--clean is for what waits on this machine: leave SRC and DST out.")
    if source is not None and target is not None:
        _copy(session, source, target, dry_run=dry_run)
    elif session.options.project:
        raise UsageError("--project needs two stores: podstack sync SRC DST --project NAME.")
    else:
        _send(session, source, dry_run=dry_run, clean=clean)


# From store to store ------------------------------------------------------------------------


def _copy(session: Session, source: str, target: str, *, dry_run: bool) -> None:
    from podstack.sync import sync

    mine, theirs = _opened(source), _opened(target)
    _check_source(mine)
    projects = [session.options.project] if session.options.project else None
    bar = _Bar("copying")
    try:
        report = sync(mine, theirs, projects=projects, dry_run=dry_run, progress=bar.show)
    except AccessDeniedError as error:
        raise _explained(error) from error
    finally:
        bar.close()
    if session.is_json:
        session.paper.json(_facts(report, mine.url, theirs.url, dry_run=dry_run))
    else:
        _draw(session, report, mine.url, theirs.url, dry_run=dry_run)
    _exit(report.is_complete)


def _opened(url: str) -> Backend:
    from podstack import config
    from podstack.backend import open_backend

    return open_backend(url, api_token=config.settings(None, None, None, None).api_token)


def _check_source(source: Backend) -> None:
    """
    Raises:
        NoStoreError: nothing is there to copy.
    """
    try:
        there = any(True for _ in source.list_dirs("projects/"))
    except AccessDeniedError as error:
        raise _explained(error) from error
    except BackendError as error:
        raise NoStoreError(f"The store {source.url} does not answer: {error}") from error
    if not there:
        raise NoStoreError(f"There is no run in {source.url}. Check the path or URL of SRC.")


def _explained(error: AccessDeniedError) -> BackendError:
    from podstack import config

    if config.settings(None, None, None, None).api_token:
        advice = "Check that PODSTACK_API_TOKEN, or the store's own credentials, allow to write."
    else:
        advice = "Set PODSTACK_API_TOKEN for a podstack server, else the store's own credentials."
    return AccessDeniedError(f"{error} {advice}", url=error.url or "-", key=error.key)


# What waits ---------------------------------------------------------------------------------


class _Outcome(NamedTuple):
    spool: WaitingSpool
    sent: Sent | None
    error: str


def _send(session: Session, url: str | None, *, dry_run: bool, clean: bool) -> None:
    from podstack import spools

    found = spools.waiting(url)
    if not found:
        _nothing(session, url)
        return
    outcomes = [_sent(spool, dry_run=dry_run, clean=clean) for spool in found]
    if session.is_json:
        session.paper.json({"dry_run": dry_run, "sent": [_told(o, dry_run) for o in outcomes]})
    else:
        for outcome in outcomes:
            _say(session, outcome, dry_run=dry_run)
    _exit(all(not o.error and (o.sent is None or o.sent.report.is_complete) for o in outcomes))


def _nothing(session: Session, url: str | None) -> None:
    if session.is_json:
        session.paper.json({"dry_run": False, "sent": []})
        return
    meant = f" for {url}" if url else ""
    session.paper.line(f"Nothing waits on this machine{meant}: all was sent.")
    session.paper.note("To copy a store, name two: podstack sync SRC DST")


def _sent(spool: WaitingSpool, *, dry_run: bool, clean: bool) -> _Outcome:
    """Send one; what is wrong with its store keeps no other spool from going to its own."""
    from podstack import spools

    if spool.owned:
        return _Outcome(spool, None, "")
    bar = _Bar("sending")
    try:
        target = _opened(spool.uri)
        sent = spools.send(spool, target, dry_run=dry_run, clean=clean, progress=bar.show)
    except AccessDeniedError as error:
        return _Outcome(spool, None, str(_explained(error)))
    except (BackendError, UsageError) as error:
        return _Outcome(spool, None, f"{error} It stays here; run `podstack sync` again.")
    finally:
        bar.close()
    return _Outcome(spool, sent, "")


def _say(session: Session, outcome: _Outcome, *, dry_run: bool) -> None:
    spool, sent, error = outcome
    if error:
        session.paper.line(f"{spool.uri}: {readable_bytes(spool.bytes)} could not be sent: {error}")
    elif sent is None:
        size = readable_bytes(spool.bytes)
        session.paper.line(
            f"{spool.uri}: {size} is being recorded by a running process, which sends it."
        )
    else:
        _draw(session, sent.report, str(spool.folder), spool.uri, dry_run=dry_run)


def _told(outcome: _Outcome, dry_run: bool) -> dict[str, Any]:
    spool, sent, error = outcome
    facts = {"owned": sent is None and not error, "error": error or None, "waiting": spool.bytes}
    if sent is None:
        return {"source": str(spool.folder), "target": spool.uri, **facts}
    told = _facts(sent.report, str(spool.folder), spool.uri, dry_run=dry_run)
    return {**told, **facts, "removed": sent.removed}


# What is said of it -------------------------------------------------------------------------


class _Bar:
    """A bar whose total is known only bit by bit."""

    def __init__(self, label: str) -> None:
        self._label, self._bar, self._total, self._shown = label, Bar(label, 0), 0, 0

    def show(self, so_far: Progress) -> None:
        if so_far.total > self._total:
            self._total = so_far.total
            self._bar.expect(self._total)
        self._bar.advance(min(so_far.bytes, self._total) - self._shown)
        self._shown = min(so_far.bytes, self._total)

    def close(self) -> None:
        self._bar.close()


def _facts(report: SyncReport, source: str, target: str, *, dry_run: bool) -> dict[str, Any]:
    return {
        "source": source,
        "target": target,
        "dry_run": dry_run,
        "objects": report.objects,
        "bytes": report.bytes,
        "kinds": report.kinds,
        "runs": report.runs,
        "purged": report.skipped,
        "diverged": report.diverged,
        "failed": [failed._asdict() for failed in report.failed],
        "seconds": round(report.seconds, 3),
    }


def _draw(session: Session, report: SyncReport, source: str, target: str, *, dry_run: bool) -> None:
    line: Callable[[str], None] = session.paper.line
    if dry_run:
        for run in report.runs:
            line(f"  {run}")
    if report.kinds:
        line("  " + ", ".join(f"{count:,} {kind}" for kind, count in report.kinds.items()))
    for failed in report.failed[:_NAMED]:
        session.paper.line(f"  {failed.key}: {failed.why}", "red")
    if len(report.failed) > _NAMED:
        line(f"  … and {len(report.failed) - _NAMED} more")
    line(_summary(report, source, target, dry_run=dry_run))


def _summary(report: SyncReport, source: str, target: str, *, dry_run: bool) -> str:
    purged = f"; {_count(len(report.skipped), 'purged run')} left out" if report.skipped else ""
    failed = (
        f"; {_count(len(report.failed), 'object')} could not be copied" if report.failed else ""
    )
    if not report.objects:
        state = "has all of" if report.is_complete else "got nothing new from"
        return f"{target} {state} {source}{purged}{failed}."
    what = f"{_count(report.objects, 'object')} ({readable_bytes(report.bytes)})"
    runs = f" of {_count(len(report.runs), 'run')}" if report.runs else ""
    verb = "would go" if dry_run else "went"
    time = "" if dry_run else f" in {report.seconds:.1f} s"
    return f"{what}{runs} {verb} from {source} to {target}{time}{purged}{failed}."


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _exit(fine: bool) -> None:
    if not fine:
        raise typer.Exit(PROBLEM)
