"""Alerts fire on the rising edge, once, in time, and never in the way of training."""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from podstack import MLOpsClient, NotFoundError, Run, RunClosedError, UsageError
from podstack.alerts import Alert, notices
from podstack.alerts.receivers import Notice
from podstack.expressions import ExpressionError
from podstack.testing.stage import Stage

WAIT = 240.0
NAN, INF = math.nan, math.inf


def log(run: Run, *values: float, name: str = "x") -> None:
    for value in values:
        run.log_metrics({name: value})


def steps(run: Run) -> list[int]:
    return [firing.step for firing in run.fired_alerts]


def facts_of(run: Run) -> list[str]:
    return sorted(run._fold().below("fired"))


# Asking ------------------------------------------------------------------------------------


def test_the_documented_call_fires_once_when_the_condition_turns_true(run: Run) -> None:
    alert = run.create_alert(condition="val_loss > 2.0", message="")
    log(run, 1.0, 2.5, 3.0, name="val_loss")
    (found,) = run.alerts
    (firing,) = found.fired

    assert (found.id, found.condition, found.message) == (alert.id, "val_loss > 2.0", "")
    assert (firing.step, firing.value, firing.metric) == (1, 2.5, "val_loss")
    assert abs(firing.time - time.time()) < 3600
    assert alert.fired == []


@pytest.mark.parametrize(
    "ask",
    [
        lambda run: run.create_alert("val_loss", "gt", 2.0),
        lambda run: run.create_alert("val_loss", "gt", threshold=2.0),
        lambda run: run.create_alert("val_loss", condition="gt", threshold=2.0),
        lambda run: run.create_alert(metric_key="val_loss", condition="gt", threshold=2.0),
        lambda run: run.create_alert("gt", metric_key="val_loss", threshold=2.0),
        lambda run: run.create_alert("val_loss > 2.0"),
        lambda run: run.create_alert("  val_loss>2.0 "),
    ],
)
def test_every_spelling_is_the_same_alert(ask: Callable[[Run], Alert], run: Run) -> None:
    assert ask(run).condition == "val_loss > 2.0"
    assert ask(run).id == "0185846f"


@pytest.mark.parametrize(
    ("comparator", "below", "at", "above"),
    [("gt", 0, 0, 1), ("gte", 0, 1, 1), ("lt", 1, 0, 0), ("lte", 1, 1, 0), ("eq", 0, 1, 0)],
)
def test_the_comparators_of_three_arguments(
    comparator: str, below: int, at: int, above: int, client: MLOpsClient
) -> None:
    for value, fires in ((0.5, below), (1.0, at), (1.5, above)):
        with client.start_run() as run:
            run.create_alert("odd name", comparator, 1)
            log(run, value, name="odd name")

        assert len(run.fired_alerts) == fires


def test_the_same_condition_again_is_the_same_alert_with_the_new_words(run: Run) -> None:
    first = run.create_alert("x > 1", "old")
    log(run, 2.0)
    second = run.create_alert("x>1", "new", cooldown=0)
    log(run, 2.0)

    assert (first.id, first.created) == (second.id, second.created)
    assert [alert.message for alert in run.alerts] == ["new"]
    assert steps(run) == [0]


def test_asking_again_in_the_same_words_writes_nothing(run: Run) -> None:
    run.create_alert("x > 1", "m")
    run.create_alert("x > 1", "m")

    assert len(run.history(f"alerts/{run.alerts[0].id}")) == 1


@pytest.mark.parametrize(
    ("words", "named", "error"),
    [
        ((), {}, UsageError),
        ((None,), {}, UsageError),
        ((5,), {}, UsageError),
        (("",), {}, ExpressionError),
        (("x >",), {}, ExpressionError),
        (("__import__('os').system('x')",), {}, ExpressionError),
        (("lambda: 1",), {}, ExpressionError),
        (("x > 1" + " or x > 1" * 20_000,), {}, ExpressionError),
        (("params.lr > 1",), {}, ExpressionError),
        (("x > 1", "m" * 10_000_000), {}, UsageError),
        (("x > 1", 5), {}, UsageError),
        (("x > 1", "half \ud800"), {}, UsageError),
        (("x", "gt", NAN), {}, UsageError),
        (("x", "gt", "2"), {}, UsageError),
        (("x", "gt", [1]), {}, UsageError),
        (("x", "above", 2.0), {}, UsageError),
        (("", "gt", 2.0), {}, UsageError),
        ((), {"metric_key": "x", "condition": "gt"}, UsageError),
        (("x", "gt", 1.0, "more"), {}, UsageError),
        (("x > 1", "m"), {"message": "m"}, UsageError),
        (("x > 1",), {"cooldown": -1}, UsageError),
        (("x > 1",), {"cooldown": NAN}, UsageError),
        (("x > 1",), {"cooldown": "60"}, UsageError),
        (("x > 1",), {"cooldown": True}, UsageError),
        (("x > 1",), {"notify": 5}, UsageError),
        (("x > 1",), {"notify": "s3cret"}, UsageError),
    ],
)
def test_what_is_no_alert_is_refused_at_the_call_and_logging_goes_on(
    words: tuple[Any, ...], named: dict[str, Any], error: type[Exception], run: Run
) -> None:
    began = time.monotonic()
    with pytest.raises(error) as raised:
        run.create_alert(*words, **named)

    assert time.monotonic() - began < WAIT
    assert len(str(raised.value)) < 2000
    assert "s3cret" not in str(raised.value)
    assert run.alerts == []
    log(run, 7.0)
    assert run.metrics["x"].last == 7.0


def test_a_run_has_at_most_100_alerts(run: Run) -> None:
    for limit in range(100):
        run.create_alert(f"x > {limit}")
    with pytest.raises(UsageError, match="at most 100 alerts"):
        run.create_alert("x > 100")
    run.create_alert("x > 99", "known already")
    run.delete_alert("x > 0")
    run.create_alert("x > 100")

    assert len(run.alerts) == 100


def test_a_run_that_is_not_recorded_takes_an_alert_but_no_receiver(
    client: MLOpsClient, run: Run
) -> None:
    other = client.get_run(run.id)
    other.create_alert("x > 1", "m")
    with pytest.raises(UsageError, match="PODSTACK_NOTIFY"):
        other.create_alert("x > 2", notify=print)

    assert [alert.condition for alert in run.alerts] == ["x > 1"]


# Firing ------------------------------------------------------------------------------------


def test_it_fires_again_only_after_it_was_false(run: Run) -> None:
    run.create_alert("x > 1", cooldown=0)
    log(run, 2, 3, 4, 0, 2, 2, 1, 2)

    assert steps(run) == [0, 4, 7]


def test_within_the_cooldown_it_does_not_fire_again(
    client: MLOpsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = client.start_run()
    run.create_alert("x > 1", cooldown=60)
    now = run._journal.now()  # type: ignore[union-attr]
    for offset in (0.0, 1.0, 30.0, 31.0, 60.0, 61.0, 62.0, -100.0, -99.0, -98.0):
        monkeypatch.setattr(run._journal, "now", lambda offset=offset: now + offset)
        log(run, 0.0 if offset in (1.0, 31.0, 61.0, -100.0, -98.0) else 2.0)
    monkeypatch.undo()
    run.finish()

    assert sorted(steps(run)) == [0, 4, 8]  # at +60 s, and after the clock was put back


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("x > 2", NAN),
        ("x < 2", NAN),
        ("x = 2", NAN),
        ("x != 2", NAN),
        ("x > 2", 2.0),
        ("x is nan", INF),
    ],
)
def test_nan_and_an_equal_value_turn_no_comparison_true(
    condition: str, value: float, run: Run
) -> None:
    run.create_alert(condition)
    log(run, value)

    assert run.fired_alerts == []


@pytest.mark.parametrize(
    ("condition", "value"), [("x is nan", NAN), ("x > 1e308", INF), ("x < 0", -INF)]
)
def test_nan_and_the_infinities_are_kept_with_a_firing(
    condition: str, value: float, run: Run
) -> None:
    run.create_alert(condition)
    log(run, 1.0, value)
    (firing,) = run.fired_alerts

    assert str(firing.value) == str(value)


def test_a_call_without_the_metric_decides_nothing(run: Run) -> None:
    run.create_alert("x > 1", cooldown=0)
    run.create_alert("x > 1 and y > 1", cooldown=0)
    both = {"x": 2, "y": 2}
    for values in ({"x": 2}, {"y": 2}, {"z": 2}, {}, {"x": 2}, both, {"y": 0}, {"x": 2}, both):
        run.log_metrics(values)
    fired = {alert.condition: [firing.step for firing in alert.fired] for alert in run.alerts}

    assert fired == {"x > 1": [0], "x > 1 and y > 1": [4]}


class OnlyFloat:
    """A number that cannot be compared."""

    def __float__(self) -> float:
        return 5.0


class Late(Mapping[str, float]):
    """A mapping that is no dict."""

    def __getitem__(self, key: str) -> float:
        return {"x": 5.0}[key]

    def __iter__(self) -> Any:
        return iter(("x",))

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("name", "logged"),
    [
        ("x", {"x": np.float32(5)}),
        ("x", {"x": np.array(5)}),
        ("x", {"x": Decimal(5)}),
        ("x", {"x": OnlyFloat()}),
        ("x", {"x": True, "y": {"z": 1}}),
        ("x", {"y": {"x": 0}, "x": 5}),
        ("x", Late()),
        ("a/x", {"a": {"x": 5}}),
        ("a/b/x", {"a": {"b": {"x": np.int64(5)}}}),
        ("a/b/x", {"a/b": {"x": 5.0}}),
        ("a/b/x", {"a": {"b/x": 5.0}, "a/c": 1.0}),
    ],
)
def test_what_is_compared_is_what_was_stored(name: str, logged: Any, run: Run) -> None:
    run.create_alert(name, "gt", 0.5)
    run.create_alert(name, "lt", 0.5)
    run.log_metrics(logged, step=3)

    assert [(f.metric, f.step, f.value) for f in run.fired_alerts] == [
        (name, 3, run.metrics[name].last)
    ]


def test_torch_scalars_are_compared(run: Run) -> None:
    torch = pytest.importorskip("torch")
    run.create_alert("x > 1")
    run.log_metrics({"x": torch.tensor(2.5)})

    assert run.fired_alerts[0].value == 2.5


def test_no_improvement_fires_once_for_each_plateau(run: Run) -> None:
    run.create_alert("no improvement in val_acc for 3", cooldown=0)
    log(run, 0.1, 0.2, 0.2, 0.1, NAN, 0.2, 0.15, 0.3, 0.3, 0.3, 0.3, name="val_acc")
    log(run, 1.0, 1.0, name="other")

    assert steps(run) == [4, 10]


def test_no_improvement_may_be_counted_in_steps(run: Run) -> None:
    run.create_alert("no improvement in val_loss for 10 steps")
    for step, loss in ((0, 1.0), (5, 0.5), (14, 0.6), (15, 0.7)):
        run.log_metrics({"val_loss": loss}, step=step)

    assert steps(run) == [15]


def test_a_failure_inside_reaches_the_log_and_not_training(
    run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.create_alert("x > 1")
    (watch,) = run._watches._all  # type: ignore[union-attr]

    def fail(*_: object) -> bool:
        raise ZeroDivisionError("inside")

    monkeypatch.setattr(watch, "_test", fail)
    log(run, 1.0, 2.0, 3.0)

    assert len(run.metrics["x"]) == 3
    assert caplog.text.count("ZeroDivisionError: inside") == 1  # and at most once a minute


def test_300_that_fire_at_once_take_no_time_and_are_each_told_once(client: MLOpsClient) -> None:
    runs = [client.start_run() for _ in range(3)]
    got: list[tuple[str, str]] = []
    for run in runs:
        for limit in range(100):
            run.create_alert(f"x > {limit}", notify=lambda n: got.append((n.run_id, n.condition)))
    logging.getLogger("podstack").disabled = True
    began = time.monotonic()
    for run in runs:
        log(run, 1000.0, 1000.0)
    logged = time.monotonic() - began
    left = notices.wait(WAIT)
    took = time.monotonic() - began
    logging.getLogger("podstack").disabled = False
    for run in runs:
        run.finish()

    assert left == 0
    assert (logged < WAIT, took < WAIT) == (True, True)
    assert len(got) == len(set(got)) == 300
    assert [len(run.fired_alerts) for run in runs] == [100, 100, 100]


def test_a_receiver_that_hangs_delays_neither_logging_nor_finish(client: MLOpsClient) -> None:
    release = threading.Event()
    with client.start_run() as run:
        run.create_alert("x > 1", cooldown=0, notify=lambda notice: release.wait(WAIT))
        began = time.monotonic()
        log(run, *[0, 2] * 500)
    took = time.monotonic() - began
    release.set()

    assert took < WAIT
    assert len(run.fired_alerts) == 500
    assert notices.wait(WAIT) == 0


def test_an_edge_that_several_threads_see_fires_once(run: Run) -> None:
    run.create_alert("x > 1", cooldown=0)
    for _ in range(20):
        log(run, 0.0)
        barrier = threading.Barrier(4)

        def edge(barrier: threading.Barrier = barrier) -> None:
            barrier.wait(WAIT)
            log(run, 2.0)

        threads = [threading.Thread(target=edge) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT)

    assert len(run.fired_alerts) == len(facts_of(run)) == 20


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer signal")
def test_a_signal_handler_may_log_what_fires_inside_of_a_log_call(run: Run) -> None:
    run.create_alert("x > 1", cooldown=0)
    run.create_alert("y > 1", cooldown=0)
    edges = 0
    is_inside = False

    def handler(*_: object) -> None:
        nonlocal edges, is_inside
        if is_inside:
            return
        is_inside, edges = True, edges + 1
        run.log_metrics({"y": 2.0})
        run.log_metrics({"y": 0.0})
        is_inside = False

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        log(run, *[0, 2] * 200)
        while not edges:
            log(run, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    fired = {alert.condition: len(alert.fired) for alert in run.alerts}

    assert fired == {"x > 1": 200, "y > 1": edges}


# What outlives the process -----------------------------------------------------------------


def test_a_firing_survives_kill_9_right_after_the_call(stage: Stage) -> None:
    stage.play(
        """
        run = client.start_run(run_id="r")
        run.create_alert("loss > 1", "m")
        run.log_metrics({"loss": 2.0}, step=7)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    (alert,) = stage.run().alerts

    assert [(firing.step, firing.value) for firing in alert.fired] == [(7, 2.0)]


def test_a_resumed_run_goes_on_where_its_alerts_stood(client: MLOpsClient) -> None:
    with client.start_run(run_id="r") as run:
        run.create_alert("x > 1", "m", cooldown=0)
        run.create_alert("no improvement in y for 3", cooldown=0)
        for x, y in ((0, 0.5), (2, 0.4), (2, 0.3)):
            run.log_metrics({"x": x, "y": y})
    got: list[Notice] = []
    with client.start_run(run_id="r") as again:
        log(again, 2, 2)  # still true: no edge
        again.create_alert("x > 1", "m", cooldown=0, notify=got.append)
        log(again, 0, 2, 2)
        log(again, 0.2, name="y")  # the third without a better one
    notices.wait(WAIT)
    fired = {alert.condition: [f.step for f in alert.fired] for alert in again.alerts}

    assert fired == {"x > 1": [1, 6], "no improvement in y for 3 logs (max)": [8]}
    assert [notice.step for notice in got] == [6]
    assert sorted(n.partition("/")[2] for n in facts_of(again)) == ["1", "1", "2"]


def test_the_cooldown_goes_on_after_a_resume(client: MLOpsClient) -> None:
    with client.start_run(run_id="r") as run:
        run.create_alert("x > 1", cooldown=3600)
        log(run, 0, 2, 0)
    with client.start_run(run_id="r") as again:
        log(again, 2)

    assert steps(again) == [1]


def test_a_forked_child_fires_on_its_own_edges_and_not_on_its_parents(stage: Stage) -> None:
    ended = stage.play(
        """
        run = client.start_run(run_id="r")
        run.create_alert("x > 1", cooldown=0)
        run.log_metrics({"x": 2.0}, step=0)
        child = os.fork()
        if not child:
            for step, x in ((10, 2.0), (11, 0.0), (12, 2.0)):
                run.log_metrics({"x": x}, step=step)
            os._exit(0)
        os.waitpid(child, 0)
        for step, x in ((20, 2.0), (21, 0.0), (22, 2.0)):
            run.log_metrics({"x": x}, step=step)
        run.finish()
        """
    )

    assert ended.code == 0, ended.err
    assert steps(stage.run()) == [0, 12, 22]


# Alerts of others --------------------------------------------------------------------------


def hear(run: Run) -> None:
    """What the background does every 5 s."""
    run._listen_at = 0.0
    run.tick()


def test_an_alert_of_another_process_is_heard_of_and_fires(
    client: MLOpsClient, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    log(run, 2.0)
    client.get_run(run.id).create_alert("x > 1", "from elsewhere")
    hear(run)
    log(run, 3.0)
    notices.wait(WAIT)

    assert steps(run) == [1]
    assert "x = 3 at step 1 — from elsewhere" in caplog.text


def test_an_alert_that_another_process_changes_or_deletes_is_followed(
    client: MLOpsClient, run: Run
) -> None:
    got: list[str] = []
    run.create_alert("x > 1", "old", cooldown=0, notify=lambda notice: got.append(notice.message))
    log(run, 2.0, 0.0)
    other = client.get_run(run.id)
    other.create_alert("x > 1", "new", cooldown=0)
    hear(run)
    log(run, 2.0, 0.0)
    other.delete_alert("x > 1")
    hear(run)
    log(run, 2.0, 0.0)
    other.create_alert("x > 1", "back", cooldown=0)
    hear(run)
    log(run, 2.0)
    notices.wait(WAIT)

    assert steps(run) == [0, 2, 6]
    assert got == ["old", "new"]  # the receiver went with the alert
    assert len(facts_of(run)) == 3


def test_the_background_hears_of_an_alert_by_itself(client: MLOpsClient, run: Run) -> None:
    came = threading.Event()
    log(run, 0.0)
    client.get_run(run.id).create_alert("x > 1")
    deadline = time.monotonic() + WAIT
    while run._watches is None and time.monotonic() < deadline:
        came.wait(0.02)
    log(run, 2.0)

    assert len(run.fired_alerts) == 1


def test_what_the_store_holds_as_an_alert_and_is_none_is_passed_over_with_one_warning(
    client: MLOpsClient, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    good = client.get_run(run.id).create_alert("x > 1")
    bad: dict[str, Any] = {
        "a": "x > 2",
        "b": {"condition": "x > 2"},  # not its id
        "c": {"condition": 5},
        "d": {"condition": "x > 3", "message": "", "created": 0, "cooldown": 1},  # nor that
        "e\x1b[31m": None,
        "f" * 900: [],
        good.id[::-1]: {"condition": "__import__('os')", "created": "Infinity"},
    }
    client.get_run(run.id)._edit({f"alerts/{id}": fact for id, fact in bad.items()})
    client.get_run(run.id)._edit({f"fired/{good.id}/{n}": f for n, f in enumerate(bad.values())})
    for _ in range(3):
        hear(run)
    log(run, 5.0)

    assert [alert.condition for alert in run.alerts] == ["x > 1"]
    assert steps(run) == [0]
    told = [r.getMessage() for r in caplog.records if "cannot be read" in r.getMessage()]
    assert len(told) == len(set(told)) == 6
    assert all(text.isprintable() and len(text) < 300 for text in told)


def test_an_alert_whose_condition_this_version_cannot_read_is_shown_and_passed_over(
    client: MLOpsClient, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    from podstack.alerts import Wanted

    later = Wanted("x rises for 5", "m", 0.0, 1.0)
    client.get_run(run.id)._edit({f"alerts/{later.id}": later.fact})
    hear(run)
    hear(run)
    log(run, 5.0)

    assert [alert.condition for alert in run.alerts] == ["x rises for 5"]
    assert run.fired_alerts == []
    assert caplog.text.count("cannot be read") == 1


# Showing, deleting, trying -----------------------------------------------------------------


def test_a_deleted_alert_does_not_fire_and_a_name_that_is_none_is_answered_with_the_nearest(
    run: Run,
) -> None:
    run.create_alert("val_loss > 2.0")
    kept = run.create_alert("val_acc < 0.1", cooldown=0)
    run.delete_alert("val_loss>2.0")
    with pytest.raises(NotFoundError, match=r"val_acc < 0\.1"):
        run.delete_alert("val_acc < 0.2")
    hear(run)
    run.log_metrics({"val_loss": 3.0, "val_acc": 0.0})

    assert [firing.metric for firing in run.fired_alerts] == ["val_acc"]
    run.delete_alert(kept.id)
    assert (run.alerts, run.fired_alerts) == ([], [])


def test_alerts_print_well_at_a_prompt_and_in_a_notebook(run: Run) -> None:
    run.create_alert("x > 1", "<b>\x1b[31mbold", cooldown=0)
    run.create_alert("y > 1")
    log(run, 2, 0, 3)

    assert repr(run.alerts).splitlines() == [
        "x > 1 · fired 2×, last at step 2 — <b>\N{REPLACEMENT CHARACTER}[31mbold",
        "y > 1 · not fired",
    ]
    assert repr(run.fired_alerts).splitlines()[1].startswith("x > 1: x = 3 at step 2, 20")
    assert "    x > 1 · fired 2×, last at step 2" in repr(run)
    assert "<td>x &gt; 1</td><td>fired 2×, last at step 2</td>" in run._repr_html_()


def test_a_run_without_alerts_says_so(run: Run) -> None:
    assert repr(run.alerts) == "no alerts"
    assert repr(run.fired_alerts) == "nothing fired"
    assert "alerts" not in repr(run)


@pytest.mark.parametrize(
    ("condition", "cooldown"),
    [
        ("x > 1", 0.0),
        ("x > 1", 60.0),
        ("x > 1 and y > 1", 0.0),
        ("x is nan", 0.0),
        ("no improvement in x for 2", 0.0),
        ("no improvement in x for 3 steps", 0.0),
    ],
)
def test_a_dry_run_finds_what_fired_live(condition: str, cooldown: float, run: Run) -> None:
    run.create_alert(condition, cooldown=cooldown)
    values = [0, 2, 2, NAN, 0, 2, 5, 1, 1, 1, NAN, 2]
    for step, x in enumerate(values):
        run.log_metrics({"x": x, "y": 2} if step % 2 else {"x": x}, step=step - step // 9 * 4)
    live = run.fired_alerts
    tried = run.test_alert(condition, cooldown=cooldown)

    assert [(f.step, str(f.value)) for f in tried] == [(f.step, str(f.value)) for f in live]
    assert len(live) >= 1
    assert repr(tried).startswith(f"{live[0].condition}: x = ")


def test_a_dry_run_stores_and_sends_nothing(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    log(run, 2.0)

    assert len(run.test_alert("x", "gt", 1.0)) == 1
    assert (run.alerts, run.fired_alerts) == ([], [])
    assert notices.wait(WAIT) == 0
    assert caplog.records == []


def test_a_dry_run_on_what_was_never_logged_says_what_was(run: Run) -> None:
    log(run, 2.0, name="val_loss")
    log(run, 2.0, name="lr")
    with pytest.raises(NotFoundError, match="nearest of 2: val_loss"):
        run.test_alert("val_los > 1")
    with pytest.raises(UsageError, match="never logged in one call"):
        run.test_alert("val_loss > 1 and lr > 1")


# Other ways to record ----------------------------------------------------------------------


def test_after_the_end_an_alert_can_still_be_added_to_the_record(client: MLOpsClient) -> None:
    with client.start_run() as run:
        run.create_alert("x > 1")
    run.create_alert("x > 2")
    with pytest.raises(RunClosedError):
        log(run, 5.0)

    assert [alert.condition for alert in run.alerts] == ["x > 1", "x > 2"]


def test_a_disabled_run_takes_alerts_and_tells_nobody(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with MLOpsClient(store, mode="disabled").start_run() as run:
        run.create_alert("x > 1", notify=print)
        log(run, 5.0)
        with pytest.raises(ExpressionError):
            run.create_alert("x >")
    notices.wait(WAIT)

    assert run.alerts == []
    assert [r for r in caplog.records if "alert" in r.getMessage()] == []
    assert not store.exists()


def test_an_address_is_nowhere_in_the_store(
    client: MLOpsClient, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with client.start_run() as run:
        alert = run.create_alert("x > 1", notify="json://127.0.0.1:9/t0ken?cto=0.1&rto=0.1")
        log(run, 5.0)
        shown = repr(alert) + repr(run.alerts) + repr(run)
    for box in notices.mailboxes_of("json://127.0.0.1:9/t0ken?cto=0.1&rto=0.1"):
        box.hurry()
    notices.wait(WAIT)
    run.flush()
    stored = b"".join(path.read_bytes() for path in store.rglob("*") if path.is_file())

    assert b"x > 1" in stored
    assert b"t0ken" not in stored
    assert "t0ken" not in shown + caplog.text


def test_an_alert_that_the_store_does_not_show_yet_is_watched_for_and_a_deleted_one_is_not() -> (
    None
):
    client = MLOpsClient("memory://alerts")  # what is written reaches such a store later
    with client.start_run() as run:
        assert run.flush(WAIT)
        run.create_alert("x > 1")
        hear(run)
        log(run, 5.0)
        assert run.flush(WAIT)
        run.create_alert("x > 2")
        assert run.flush(WAIT)
        run.delete_alert("x > 2")
        hear(run)
        log(run, 0.0, 5.0)
    assert run.flush(WAIT)

    assert [(f.condition, f.step) for f in run.fired_alerts] == [("x > 1", 0)]
    assert len(facts_of(run)) == 1


def test_an_alert_made_anew_counts_on_from_its_earlier_firings(run: Run) -> None:
    run.create_alert("x > 1")
    log(run, 5.0)
    run.delete_alert("x > 1")
    run.create_alert("x > 1")
    log(run, 5.0)

    assert steps(run) == [0, 1]
