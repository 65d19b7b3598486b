"""A run as the store holds it: read, edited, deleted. `run.Run` adds what it takes to log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from podstack import clock, config, names
from podstack.artifacts import Artifacts, versions_of
from podstack.clock import now
from podstack.errors import UsageError
from podstack.keeper import keeper
from podstack.liveness import Status
from podstack.metrics import Metrics, RunSummary
from podstack.names import COMPLETED, RUNNING
from podstack.oplog import Change, Fold
from podstack.point_logs import PointLogs
from podstack.reader import OpLogs
from podstack.series import Log
from podstack.store import Store

if TYPE_CHECKING:
    from podstack.alerts import Alert, Alerts, Firings, Wanted
    from podstack.alerts.notices import Notify
    from podstack.environment import Environment
    from podstack.reproduce import Recipe
    from podstack.watching import Frame, Watch


class StoredRun:
    """One run of a store. Every reading is as of now."""

    def __init__(self, store: Store, run_id: str) -> None:
        self.id = run_id
        self._store = store
        self._meta = OpLogs(store.backend, store.keys.meta(run_id))
        self._point_logs = PointLogs(store.backend, store.keys.metrics(run_id))

    # Reading -------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return str(self._fold().get("name") or names.name_of_run(self.id))

    @property
    def status(self) -> str:
        """running, completed, failed or killed; failed too where its process is gone."""
        return self._status().word

    @property
    def lost_since(self) -> float | None:
        """When the run was last heard of (epoch seconds), if it ended without saying so."""
        return self._status().lost_since

    @property
    def experiment_id(self) -> str:
        return str(self._fold().get("experiment", ""))

    @property
    def parent_run_id(self) -> str | None:
        """The run that this one is nested in."""
        parent = self._fold().get("parent")
        return parent if isinstance(parent, str) else None

    @property
    def params(self) -> dict[str, Any]:
        """The parameters by flat name, typed."""
        return self._fold().below("params")

    @property
    def tags(self) -> list[str]:
        return sorted(self._fold().below("tags"))

    @property
    def notes(self) -> str:
        return str(self._fold().get("notes", ""))

    @property
    def error(self) -> str | None:
        """The traceback or message of a failed run."""
        error = self._fold().get("error")
        return error if isinstance(error, str) else None

    @property
    def user(self) -> str:
        return str(self._fold().get("user", ""))

    @property
    def created(self) -> float:
        """When it was first started, epoch seconds."""
        fold = self._fold()
        created = fold.get("created")
        known = created if isinstance(created, (int, float)) else clock.stamp_time(fold.first)
        return float(known or now())

    @property
    def ended(self) -> float | None:
        """When it ended, epoch seconds; None while it runs."""
        return self._status().ended(self._fold().get("ended"))

    @property
    def duration(self) -> float:
        """Seconds from its start to its end, or until now."""
        return max(0.0, (self.ended or now()) - self.created)

    @property
    def deleted(self) -> bool:
        return bool(self._fold().get("deleted"))

    @property
    def datasets(self) -> dict[str, dict[str, Any]]:
        """`{name: {"path", "description", fingerprint …}}`."""
        return {
            name: dict(facts)
            for name, facts in self._fold().below("datasets").items()
            if isinstance(facts, dict)
        }

    @property
    def environment(self) -> Environment:
        """What was recorded of its surroundings: command, code, packages, machine."""
        from podstack import environment

        return environment.read(self._store, self.id, self._fold().below("environment"))

    def reproduce(self) -> Recipe:
        """The commands that bring its code, packages and call back; a text, nothing is run.

        What they cannot bring back exactly is said at its top, and in `.warnings`.
        """
        from podstack import reproduce

        return reproduce.recipe(self)

    @property
    def metrics(self) -> Metrics:
        """All metrics as of now: `run.metrics["loss"].steps`, `.values`, `.times`."""
        server = self._store.who_answers_for(self.id)
        if server is not None:
            from podstack.remote_metrics import RemoteMetrics  # sqlite3 comes with it

            return RemoteMetrics(server, self._store.settings.project, self.id, self._logs)
        return Metrics(self._logs(), self._logs)

    def metrics_from(self, known: Metrics | None) -> Metrics:
        """All metrics as of now; `known`, where these still are what they are.

        For those who ask again and again: what a `Metrics` has put together it keeps.
        """
        if self._store.who_answers_for(self.id) is not None:
            return self.metrics
        self._refresh()
        version, logs = self._point_logs.as_of()
        if known is not None and known.version is version:
            return known
        return Metrics(logs, self._logs, version)

    @property
    def bytes_read(self) -> int:
        """Bytes of points that were read so far and are kept, as a measure of memory."""
        return self._point_logs.bytes_read

    @property
    def summary(self) -> RunSummary:
        """Last, min and max of each metric with their steps: `run.summary["loss"].min_step`."""
        return RunSummary(self.metrics)

    @property
    def artifacts(self) -> Artifacts:
        """The files by path, in the order logged: `run.artifacts["model.pt"].download("out")`."""
        present = self._fold().below("artifacts")
        histories = self._meta.histories("artifacts/")
        entries = {
            path: [change.value for change in histories[f"artifacts/{path}"]] for path in present
        }
        found = {path: versions_of(self._store, self.id, path, e) for path, e in entries.items()}
        logged = sorted((v for v in found.values() if v), key=lambda versions: versions[-1].time)
        return Artifacts({versions[-1].path: versions for versions in logged})

    def console(self, tail: int | None = None) -> str:
        """What was printed while the run was recorded, as plain lines; bars in their last state.

        Stdout and stderr in the order in which their lines ended. Where several processes
        recorded the run, one after the other. A line that is not ended yet follows within 30 s.

        Args:
            tail: only so many lines from the end, and read only those.

        Raises:
            WrongTypeError, UsageError: `tail` is no number of lines.
        """
        from podstack.output import console_text  # where a run is only written, nobody reads it

        return console_text(self._store.backend, self._store.keys.console(self.id), tail)

    @property
    def alerts(self) -> Alerts:
        """The alerts, each with its firings: `run.alerts[0].fired[-1].step`."""
        from podstack import alerts

        return alerts.of(self._fold())

    @property
    def fired_alerts(self) -> Firings:
        """Every firing of every alert, oldest first."""
        from podstack import alerts

        return alerts.firings(self.alerts)

    def test_alert(
        self,
        *said: str | float,
        condition: str | None = None,
        threshold: float | None = None,
        metric_key: str | None = None,
        cooldown: float = 60.0,
    ) -> Firings:
        """Where an alert would have fired over what was logged so far; nothing is stored or sent.

        Args: as in `create_alert`.

        Raises:
            ExpressionError, UsageError, WrongTypeError: what cannot be.
            NotFoundError: one of its metrics was never logged.
        """
        from podstack import alerts
        from podstack.alerts import watches

        alert = alerts.wanted(said, condition, None, threshold, metric_key, cooldown)
        return watches.dry_run(alert, self.metrics)

    def history(self, path: str) -> list[Change]:
        """Every value a fact ever had, oldest first: `history("params/lr")`, `history("notes")`."""
        self._fold()
        return self._meta.history(path)

    @property
    def uri(self) -> str:
        """The store it is in."""
        return self._store.url

    @property
    def page(self) -> str | None:
        """The address of its page on its server; None elsewhere, where `podstack ui` shows it."""
        return self._store.page(f"runs/{self.id}")

    # Editing -------------------------------------------------------------------------------

    def create_alert(
        self,
        *said: str | float,
        condition: str | None = None,
        message: str | None = None,
        threshold: float | None = None,
        metric_key: str | None = None,
        cooldown: float = 60.0,
        notify: Notify = None,
    ) -> Alert:
        """Watch for a condition: `create_alert("val_loss > 2.0", "diverged?")`.

        It fires, within the log call, when the condition turns from false to true, and again
        only after it was false. A firing is kept in the run, told to the log `podstack`, and sent
        in the background to `notify` and PODSTACK_NOTIFY; no receiver delays training. The same
        condition again is the same alert, so a script may be resumed. Where another process
        records the run, that one hears of the alert within 5 s.

        Args:
            said: condition and message; or metric, comparator and threshold.
            condition: on what one call of `log_metrics` logs: `val_loss > 2.0`, `loss is nan`,
                `val_loss > 2.0 and lr < 0.1`, `no improvement in val_acc for 5`. With a
                threshold: gt, lt, gte, lte or eq.
            message: text that is sent along.
            cooldown: seconds after a firing in which it does not fire again.
            notify: a function, called with a `Notice`; or apprise addresses such as `slack://…`,
                which are never stored.

        Raises:
            ExpressionError, UsageError, WrongTypeError: what cannot be; nothing was stored.
            MissingExtraError: `notify` is an address, and apprise is not installed.
        """
        from podstack import alerts  # here and below: 10 ms that most runs need not pay

        known = self._known_alerts()
        asked = alerts.wanted(said, condition, message, threshold, metric_key, cooldown)
        alert = alerts.among(known, asked)
        self._watch(alert, notify)
        if known.get(alert.id) != alert:
            self._edit({f"alerts/{alert.id}": alert.fact})
        return alerts.shown(alert, ())

    def delete_alert(self, id_or_condition: str) -> None:
        """Watch for a condition no longer; its firings are kept, but not shown.

        Raises:
            NotFoundError: there is no such alert; the nearest are named.
        """
        from podstack import alerts

        id = alerts.find(self._known_alerts(), id_or_condition).id
        self._unwatch(id)
        self._edit({f"alerts/{id}": None})

    def set_notes(self, markdown: str) -> None:
        """Replace the run's notes. Earlier versions stay in `history("notes")`."""
        self._edit({"notes": names.check_text("Notes", markdown)})

    def set_name(self, name: str) -> None:
        """Rename the run; its id stays."""
        self._edit({"name": names.check_name("run", name)})

    def add_tags(self, *tags: str) -> None:
        """Add tags; adding one twice is one."""
        self._edit({f"tags/{tag}": True for group in tags for tag in names.check_tags(group)})

    def remove_tags(self, *tags: str) -> None:
        """Remove tags; one that is not there is fine."""
        self._edit({f"tags/{tag}": None for group in tags for tag in names.check_tags(group)})

    def request_stop(self) -> None:
        """Ask whoever records this run to stop: its `should_stop` turns true within seconds."""
        self._edit({"stop": True})

    def delete(self) -> None:
        """Hide the run; `restore` brings it back, `purge` removes it for good."""
        self._edit({"deleted": True})

    def restore(self) -> None:
        """Undo `delete`."""
        self._edit({"deleted": None})

    def purge(self) -> None:
        """Remove the run and its artifacts for good, here and wherever this store is synced."""
        keeper.wait(config.finish_timeout())
        backend, keys = self._store.backend, self._store.keys
        backend.put(keys.tomb(self.id), b"{}")
        hints = [info for _, info in self._store.reader.hints(self.id)]
        for info in [*backend.list(keys.run(self.id)), *hints]:
            backend.delete(info.key)

    # Inside --------------------------------------------------------------------------------

    def _logs(self) -> list[Log]:
        self._refresh()
        return self._point_logs.logs()

    def _refresh(self) -> None:
        fold = self._fold()
        self._point_logs.refresh(fold.below("seals"), fold.below("writers"))

    def _fold(self) -> Fold:
        return self._meta.fold()

    def _known_alerts(self) -> dict[str, Wanted]:
        from podstack import alerts

        return alerts.stored(self._fold())

    def _watch(self, alert: Wanted, notify: Notify) -> None:
        """Nobody logs here: the process that records the run hears of it."""
        if notify is not None:
            raise UsageError(
                "notify works in the process that records the run, and this one does not: an "
                "address is never stored. Leave it out, or set PODSTACK_NOTIFY there."
            )

    def _unwatch(self, id: str) -> None:
        """Nobody watches here."""

    def _status(self) -> Status:
        if self._store.disabled:
            return Status(COMPLETED)
        return self._store.liveness.status(self.id, self._fold())

    def _edit(self, changes: Mapping[str, Any]) -> None:
        self._fold()  # so that this edit wins over all that its author could see
        self._store.edit(self._store.keys.meta(self.id), changes)

    def __repr__(self) -> str:
        from podstack import display

        return display.run_text(self)

    def _repr_html_(self) -> str:
        from podstack import display

        return display.run_html(self)

    def plot(
        self, metrics: str | Sequence[str] | None = None, x: str = "step", smooth: float = 0.0
    ) -> Any:
        """A matplotlib figure of the run's metrics as they are now: mean line, min-max band.

        Each curve is at most 300 buckets, the same as on the run's page, in the run's colour there.
        A notebook shows the figure; `.savefig("loss.svg")` writes it.

        Args:
            metrics: a name or several; 12 are drawn at most, and the figure says how many are left.
                Default: all that were logged, without those of the machine (`system/`).
            x: `step`; `relative`, seconds since the run was started; or `wall`, the time of day.
            smooth: weight of an exponential mean, 0 (none) to below 1; the raw one stays behind it.

        Raises:
            NotFoundError: the run has no such metric; the nearest are named.
            UsageError, WrongTypeError: `x` or `smooth` is out of range, or metrics are no names.
            MissingExtraError: matplotlib is not installed: `pip install 'podstack[plot]'`.
            BackendError: the store does not answer.
        """
        from podstack import plotted

        want = plotted.wanted(metrics, x, smooth)
        plotted.pictures()
        return plotted.drawn(plotted.of_run(self, want))

    def watch(self, *, seconds: float = 2.0) -> Watch:
        """Show the run in this notebook and keep the picture up to date until the run has ended.

        The cell returns at once, so the next one may train. In a terminal it says what to do.

        Args:
            seconds: between two pictures while something is logged; up to 15 while nothing is.

        Raises:
            UsageError: `seconds` is no number from 0.1 to 3,600.
        """
        from podstack import watching

        page = self.page or f"podstack ui --store {self._store.settings.uri!r}"
        read = StoredRun(self._store, self.id)  # of the thread alone
        elsewhere = f"Its page shows the same: {page}"
        what, key = f"Run {self.name}", (self.uri, self.id)
        return watching.watch(what, read._frame, seconds, key=key, elsewhere=elsewhere)

    def _frame(self) -> Frame:
        from podstack.watching import Frame

        is_over = self.status != RUNNING  # looked at first: what was logged before is drawn
        moved = [summary.steps for summary in self.summary.values()]
        return Frame(self._repr_html_(), repr(self), moved, is_over)
