"""All that is known of one run: gathered once, shown as text or as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from podstack import clock
from podstack.cli.paper import Paper, number
from podstack.console import readable_bytes
from podstack.display import duration
from podstack.points import SYSTEM
from podstack.tables import WHOLE, Column, cell

if TYPE_CHECKING:
    from podstack.metrics import Metrics
    from podstack.run import Run

_SPARK = 24  # letters of a curve
_NOTES = 20  # lines of notes and of an error that are shown


def facts_of(run: Run) -> dict[str, Any]:
    """Everything of a run but its points: the document of `podstack show --json`."""
    metrics = run.metrics
    return {
        **identity(run),
        "params": run.params,
        "metrics": {name: series.summary for name, series in metrics.items()},
        "artifacts": artifacts_of(run),
        "datasets": run.datasets,
        "alerts": alerts_of(run),
        "environment": environment_of(run),
        "notes": run.notes,
        "error": run.error,
        "deleted": run.deleted,
    }


def identity(run: Run) -> dict[str, Any]:
    """Who a run is and how it stands; the same keys as in `podstack runs --json`."""
    return {
        "id": run.id,
        "name": run.name,
        "status": run.status,
        "lost_since": run.lost_since,
        "experiment": experiment_name(run),
        "experiment_id": run.experiment_id,
        "user": run.user,
        "created": run.created,
        "ended": run.ended,
        "duration": run.duration,
        "parent": run.parent_run_id,
        "tags": run.tags,
    }


def experiment_name(run: Run) -> str:
    from podstack.experiment import Experiment

    return Experiment(run._store, run.experiment_id).name if run.experiment_id else ""


def artifacts_of(run: Run) -> list[dict[str, Any]]:
    artifacts = run.artifacts
    return [
        {
            "path": path,
            "size": artifact.size,
            "sha256": artifact.sha256,
            "time": artifact.time,
            "versions": len(artifacts.versions(path)),
        }
        for path, artifact in artifacts.items()
    ]


def alerts_of(run: Run) -> list[dict[str, Any]]:
    """The alerts of a run, each with the times that it fired."""
    return [
        {**alert._asdict(), "fired": [firing._asdict() for firing in alert.fired]}
        for alert in run.alerts
    ]


def environment_of(run: Run) -> dict[str, Any]:
    """The short facts of where a run ran; `diff` and `--reproduce` have the rest."""
    return dict(run.environment)


# As text ---------------------------------------------------------------------------------------


def draw(
    paper: Paper, run: Run, facts: Mapping[str, Any], metrics: Metrics, *, system: bool
) -> None:
    """The whole portrait; `system` asks for the metrics of the machine too."""
    _head(paper, run, facts)
    _section(paper, "parameters", [(name, cell(value)) for name, value in facts["params"].items()])
    draw_metrics(paper, metrics, system=system)
    draw_artifacts(paper, facts["artifacts"])
    _section(
        paper, "datasets", [(n, cell(d.get("path", ""))) for n, d in facts["datasets"].items()]
    )
    _section(paper, "alerts", [_alert(alert) for alert in facts["alerts"]])
    _lines(paper, "environment", repr(run.environment) if facts["environment"] else "")
    _lines(paper, "notes", facts["notes"])
    _lines(paper, "error", facts["error"] or "", keep_end=True)


def _head(paper: Paper, run: Run, facts: Mapping[str, Any]) -> None:
    paper.line(f"{facts['name']}  {facts['id']}", "bold")
    where = f"experiment {facts['experiment']}" if facts["experiment"] else "no experiment"
    parts = [
        str(run._status()),
        duration(facts["duration"]),
        where,
        facts["user"],
        clock.readable(facts["created"]),
    ]
    paper.line("  " + " · ".join(part for part in parts if part), status_style(facts["status"]))
    if facts["deleted"]:
        paper.line(f"  deleted: podstack restore {facts['id']} brings it back", "yellow")
    if facts["parent"]:
        paper.line(f"  nested in {facts['parent']}")
    if facts["tags"]:
        paper.line(f"  tags: {', '.join(facts['tags'])}")


def status_style(status: str) -> str:
    from podstack.cli.paper import COLOURS

    return COLOURS.get(status, "")


def _section(paper: Paper, title: str, rows: Iterable[tuple[str, str]]) -> None:
    listed = list(rows)
    if listed:
        paper.heading(title)
        paper.facts(listed)


def draw_metrics(paper: Paper, metrics: Metrics, *, system: bool) -> None:
    shown = [name for name in metrics if system or not name.startswith(SYSTEM)]
    if shown:
        paper.line()
        paper.table(metric_columns(metrics, shown), "not shown: ")
    if len(shown) < len(metrics):
        paper.note(f"{len(metrics) - len(shown)} metrics of the machine: --system")


def metric_columns(metrics: Metrics, names: Iterable[str]) -> list[Column]:
    """A line for each metric: its curve, its last value and its extremes, each with its step."""
    series = [metrics[name] for name in names]
    summaries = [one.summary for one in series]
    columns = [
        Column("metric", [cell(one.name) for one in series]),
        Column("curve", [one.sparkline(_SPARK) for one in series], rank=2, least=_SPARK),
        _numbers("last", [summary.last for summary in summaries], rank=0),
    ]
    for name in ("min", "max"):
        values = [getattr(summary, name) for summary in summaries]
        steps = [getattr(summary, f"{name}_step") for summary in summaries]
        columns += [_numbers(name, values, rank=1), _numbers("at step", steps, rank=3)]
    return [*columns, _numbers("steps", [summary.steps for summary in summaries], rank=3)]


def _numbers(head: str, values: Iterable[float], *, rank: int) -> Column:
    """Metrics are of different sizes: each value is written for itself."""
    return Column(head, [number(value) for value in values], right=True, rank=rank, least=WHOLE)


def draw_artifacts(paper: Paper, artifacts: list[dict[str, Any]]) -> None:
    if artifacts:
        paper.line()
        paper.table(artifact_columns(artifacts))


def artifact_columns(artifacts: list[dict[str, Any]]) -> list[Column]:
    sizes = [readable_bytes(a["size"]) for a in artifacts]
    digests = [(a["sha256"] or "not hashed yet")[:12] for a in artifacts]
    return [
        Column("artifact", [cell(a["path"]) for a in artifacts], least=24),
        Column("size", sizes, right=True, least=WHOLE),
        Column("sha256", digests, rank=2, least=WHOLE),
        Column("logged", [clock.readable(a["time"]) for a in artifacts], rank=1, least=WHOLE),
        Column(
            "versions", [str(a["versions"]) for a in artifacts], right=True, rank=3, least=WHOLE
        ),
    ]


def _alert(alert: Mapping[str, Any]) -> tuple[str, str]:
    fired = alert["fired"]
    state = "not fired"
    if fired:
        last = fired[-1]
        state = f"fired {len(fired)}×, last at step {last['step']}: {number(last['value'])}"
    return cell(alert["condition"]), f"{state} · {cell(alert['message'])}".rstrip(" ·")


def _lines(paper: Paper, title: str, text: str, *, keep_end: bool = False) -> None:
    """A few lines of what may be long."""
    if not text.strip():
        return
    lines = text.rstrip().split("\n")
    shown = lines[-_NOTES:] if keep_end else lines[:_NOTES]
    paper.heading(title if len(shown) == len(lines) else f"{title} ({len(lines)} lines)")
    for line in shown:
        paper.line(f"  {line.expandtabs(4)}")
