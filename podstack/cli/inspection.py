"""What `podstack verify` does: look at everything, tell how far it is, say what was found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from podstack.cli.paper import Counter, Paper
from podstack.cli.session import Session
from podstack.console import readable_bytes
from podstack.store import Store
from podstack.verify import DAMAGED, WARNING, Checked, Finding, verify

_STYLES = {DAMAGED: "bold red", WARNING: "yellow"}


def inspect(session: Session, runs: list[str]) -> tuple[list[Finding], Checked]:
    """All findings, and how much was read.

    Runs that are named are of one project; else every project is looked at, unless one is named.
    """
    counter = Counter(session.paper)
    found: list[Finding] = []
    total = Checked()
    for store in _stores(session, runs):
        tracker = _Tracker(counter, total)
        ids = [session.run_id(run) for run in runs] or None
        found += verify(store, ids, tracker.progress)
        total = tracker.total
    counter.close()
    return list(dict.fromkeys(found)), total


class _Tracker:
    """Adds up what was checked over projects, and shows it on the way."""

    def __init__(self, counter: Counter, before: Checked) -> None:
        self._counter, self._before = counter, before
        self.total = before

    def progress(self, now: Checked) -> None:
        self.total = Checked(*map(sum, zip(self._before, now, strict=True)))
        self._counter.show(f"verifying: {in_words(self.total)}")


def _stores(session: Session, runs: list[str]) -> Iterator[Store]:
    if runs or session.options.project:
        yield session.store
        return
    session.check_store()
    settings = session.unchecked_client._store.settings
    for project in session.projects() or [settings.project]:
        yield Store(settings._replace(project=project))


def in_words(checked: Checked) -> str:
    return (
        f"{checked.runs:,} of {checked.of:,} runs, {checked.objects:,} objects, "
        f"{readable_bytes(checked.bytes)}"
    )


def draw(paper: Paper, findings: Sequence[Finding], checked: Checked) -> None:
    for finding in findings:
        style = _STYLES.get(finding.severity, "dim")
        paper.line(f"{finding.severity}: {finding.key} {finding.what}", style)
        if finding.advice:
            paper.line(f"    {finding.advice}")
    damaged = sum(finding.severity == DAMAGED for finding in findings)
    verdict = f"{damaged} damaged" if damaged else "no damage"
    paper.line(f"{verdict} in {in_words(checked)}", "red" if damaged else "green")
