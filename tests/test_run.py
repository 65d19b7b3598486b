"""A run: what it records, what is read back, how it ends, and how it is edited later."""

from __future__ import annotations

import logging
import os
import pickle
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from podstack import MLOpsClient, NotFoundError, Run, UsageError
from podstack.clock import hybrid_clock, now
from podstack.keeper import keeper
from podstack.testing.stage import DEADLINE, Stage
from podstack.testing.store_files import stored, write_op

MINUTE = 60_000 << 16  # of a hybrid clock's count


@pytest.fixture
def other(run: Run, store: Path) -> Run:
    """The same run as somebody else reads it."""
    return MLOpsClient(store).get_run(run.id)


def listen(run: Run) -> None:
    """What the background does every five seconds, now: there, for it does so by itself too."""

    def look() -> Iterator[None]:
        yield
        run._listen_at = 0.0
        run.tick()

    keeper.submit(look())
    assert keeper.wait(DEADLINE)


# Metrics -----------------------------------------------------------------------------------


def test_metrics_are_read_as_steps_values_and_times(run: Run, other: Run) -> None:
    before = now()
    run.log_metrics({"loss": 0.5, "acc": 1}, step=0)
    run.log_metrics({"loss": 0.25}, step=10)

    loss = other.metrics["loss"]
    assert (loss.name, list(loss.steps), list(loss.values)) == ("loss", [0, 10], [0.5, 0.25])
    assert before <= loss.times[0] <= loss.times[1] <= now()
    assert (loss.steps.dtype, loss.values.dtype) == (np.int64, np.float64)
    assert list(other.metrics) == ["loss", "acc"]
    assert len(other.metrics) == 2


def test_what_is_logged_is_seen_by_others_at_once(run: Run, other: Run) -> None:
    for step in range(50):
        run.log_metrics({"loss": step})

        assert other.metrics["loss"].last == step


def test_metrics_that_were_asked_for_stay_as_of_that_moment(run: Run) -> None:
    run.log_metrics({"loss": 1})
    metrics = run.metrics
    run.log_metrics({"loss": 2, "acc": 3})

    assert metrics.to_dict() == {"loss": [(0, 1.0)]}
    assert run.metrics.to_dict() == {"loss": [(0, 1.0), (1, 2.0)], "acc": [(1, 3.0)]}


def test_an_unknown_metric_is_an_error_that_names_the_nearest(run: Run) -> None:
    run.log_metrics({"train/loss": 1, "train/acc": 2})

    with pytest.raises(NotFoundError, match=r"'train/los' \(nearest of 2: train/loss"):
        run.metrics["train/los"]
    with pytest.raises(NotFoundError, match="train/acc"):
        run.summary["train/accc"]


def test_an_error_about_long_metric_names_is_short(run: Run) -> None:
    run.log_metrics({f"{letter}" * 1_000: 1.0 for letter in "abc"})

    with pytest.raises(NotFoundError) as caught:
        run.metrics["a" * 999]
    assert len(str(caught.value)) < 2_000


def test_metrics_summary_and_artifacts_answer_as_dicts_do(run: Run) -> None:
    run.log_metrics({"loss": 1})

    for mapping in (run.metrics, run.summary):
        assert "loss" in mapping
        assert "acc" not in mapping
        assert mapping.get("acc") is None
    assert run.artifacts.get("model.pt") is None
    assert "model.pt" not in run.artifacts
    with pytest.raises(KeyError):
        run.metrics["acc"]


def test_a_run_without_metrics_has_none(run: Run) -> None:
    assert dict(run.metrics) == {}
    assert repr(run.metrics) == repr(run.summary) == "no metrics"
    assert repr(run.artifacts) == "no artifacts"


def test_the_summary_has_last_min_and_max_with_their_steps(run: Run, other: Run) -> None:
    for step, value in [(0, 3.0), (1, 1.0), (2, float("nan")), (3, 5.0), (4, 2.0)]:
        run.log_metrics({"loss": value}, step=step)

    summary = other.summary["loss"]
    assert (summary.last, summary.last_step) == (2.0, 4)
    assert (summary.min, summary.min_step) == (1.0, 1)
    assert (summary.max, summary.max_step) == (5.0, 3)
    assert summary.steps == 5


def test_a_step_logged_again_supersedes_and_the_first_stays_in_raw(run: Run, other: Run) -> None:
    run.log_metrics({"loss": 1.0}, step=5)
    run.log_metrics({"loss": 2.0}, step=5)

    loss = other.metrics["loss"]
    assert list(loss) == [loss.raw[1]]
    assert [(point.step, point.value) for point in loss.raw] == [(5, 1.0), (5, 2.0)]


def test_a_run_may_be_logged_into_from_many_threads(run: Run, other: Run) -> None:
    def log(name: str) -> None:
        for i in range(200):
            run.log_metrics({name: i})
            run.log_params({name: i})

    threads = [threading.Thread(target=log, args=(f"t{i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)

    assert all(list(series.values) == list(range(200)) for series in other.metrics.values())
    steps = [step for series in other.metrics.values() for step in series.steps]
    assert sorted(steps) == list(range(1_600))
    assert other.params == {f"t{i}": 199 for i in range(8)}


# Facts -------------------------------------------------------------------------------------


def test_parameters_come_back_typed_and_none_is_kept(run: Run, other: Run) -> None:
    params = {"lr": 0.001, "epochs": 10, "name": "adamw", "amp": True, "seed": None, "k": [1, "2"]}
    run.log_params(params)

    assert other.params == params
    assert list(map(type, other.params.values())) == list(map(type, params.values()))


@pytest.mark.parametrize("name", ["api_key", "API-KEY", "hf_token", "db/password", "AWS_SECRET"])
def test_a_text_under_a_secret_name_never_reaches_the_store(
    run: Run, other: Run, store: Path, name: str
) -> None:
    name = name.replace("-", "")
    run.log_params({name: "hunter2", "max_tokens": "hunter3", "token": 5})

    assert other.params == {name: "••••••", "max_tokens": "hunter3", "token": 5}
    assert not any(b"hunter2" in data for data in stored(store).values())


def test_every_earlier_value_of_a_fact_stays_in_its_history(run: Run, other: Run) -> None:
    run.log_params({"lr": 1})
    other.set_notes("first")
    run.log_params({"lr": None})
    run.set_notes("second")
    run.log_params({"lr": 2})

    assert [change.value for change in other.history("params/lr")] == [1, None, 2]
    assert [change.value for change in other.history("notes")] == ["first", "second"]
    assert other.history("params/never") == []


def test_tags_are_added_once_and_removed(run: Run, other: Run) -> None:
    run.add_tags("b", "a")
    run.add_tags("a", "c")
    run.remove_tags("b", "never there")

    assert other.tags == ["a", "c"]


def test_a_run_is_renamed_and_its_id_stays(run: Run, other: Run) -> None:
    run.set_name("a better name")

    assert (other.name, other.id) == ("a better name", run.id)


def test_notes_are_replaced(run: Run, other: Run) -> None:
    assert other.notes == ""
    run.set_notes("# First")
    run.set_notes("")

    assert other.notes == ""


# Ending ------------------------------------------------------------------------------------


def test_leaving_the_block_completes_the_run(client: MLOpsClient, store: Path) -> None:
    with client.start_run(run_id="r") as run:
        assert (run.status, run.ended) == ("running", None)
        begun = run.duration

    other = MLOpsClient(store).get_run("r")
    assert (other.status, other.error) == ("completed", None)
    assert other.created <= (other.ended or 0) <= now()
    assert begun <= other.duration == (other.ended or 0) - other.created


def test_an_exception_fails_the_run_keeps_its_traceback_and_goes_on(client: MLOpsClient) -> None:
    with pytest.raises(ZeroDivisionError), client.start_run(run_id="r"):
        1 / 0  # noqa: B018

    run = client.get_run("r")
    assert run.status == "failed"
    assert (run.error or "").startswith("Traceback (most recent call last)")
    assert "1 / 0" in (run.error or "")


def test_ctrl_c_kills_the_run(client: MLOpsClient) -> None:
    with pytest.raises(KeyboardInterrupt), client.start_run(run_id="r"):
        raise KeyboardInterrupt

    assert client.get_run("r").status == "killed"


@pytest.mark.parametrize(
    ("code", "status"), [(0, "completed"), (None, "completed"), (3, "failed"), ("no", "failed")]
)
def test_sys_exit_ends_the_run_as_its_code_says(
    client: MLOpsClient, code: object, status: str
) -> None:
    with pytest.raises(SystemExit), client.start_run(run_id="r"):
        raise SystemExit(code)

    assert client.get_run("r").status == status


@pytest.mark.parametrize("status", ["completed", "failed", "killed"])
def test_finish_takes_the_status_and_the_error(client: MLOpsClient, status: str) -> None:
    client.start_run(run_id="r").finish(status, error="out of memory")

    assert client.get_run("r").status == status
    assert client.get_run("r").error == "out of memory"


def test_a_run_that_falls_off_the_end_of_its_script_is_completed(stage: Stage) -> None:
    stage.play("client.start_run(run_id='r').log_metrics({'x': 1})")

    assert stage.run().status == "completed"


def test_a_run_recorded_by_two_ends_with_the_last_of_them(client: MLOpsClient, store: Path) -> None:
    first = client.start_run(run_id="r")
    second = MLOpsClient(store).start_run(run_id="r")
    first.finish("completed")
    assert client.get_run("r").status == "running"

    second.finish("failed")
    assert client.get_run("r").status == "failed"


# Flushing, stopping ------------------------------------------------------------------------


def test_flush_says_true_once_all_is_durable(run: Run) -> None:
    run.log_metrics({"x": 1})

    assert run.flush() is True
    assert run.flush(timeout=DEADLINE) is True
    assert run.dropped == 0


def test_flush_gives_up_after_its_timeout(run: Run, held_keeper: threading.Event) -> None:
    run.log_metrics({"x": 1})
    assert run.flush(timeout=0.01) is False

    held_keeper.set()
    assert run.flush(timeout=DEADLINE) is True


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_flush_outlives_the_death_of_the_background_thread(run: Run) -> None:
    def die() -> Iterator[None]:
        yield
        raise SystemExit

    keeper.submit(die())
    run.log_metrics({"x": 1})

    assert run.flush(timeout=DEADLINE) is True


def test_flush_of_a_run_that_is_finished_or_only_read_is_true(
    client: MLOpsClient, run: Run
) -> None:
    with client.start_run() as done:
        done.log_metrics({"x": 1})

    assert done.flush() is True
    assert client.get_run(run.id).flush() is True
    assert client.get_run(run.id).dropped == 0


def test_a_stop_that_somebody_asked_for_is_heard(run: Run, other: Run) -> None:
    listen(run)
    assert not run.should_stop

    other.request_stop()
    assert other.should_stop
    listen(run)
    assert run.should_stop


def test_the_background_hears_of_a_stop_by_itself(run: Run, other: Run) -> None:
    other.request_stop()
    run._listen_at = 0.0
    heard = threading.Event()

    class Listener:
        def tick(self) -> None:
            if run.should_stop:
                heard.set()

    listener = Listener()
    keeper.keep(listener)
    try:
        assert heard.wait(DEADLINE)
    finally:
        keeper.forget(listener)


def test_a_pickled_run_hears_of_a_stop(run: Run, other: Run) -> None:
    copy = pickle.loads(pickle.dumps(run))
    other.request_stop()
    listen(copy)

    assert copy.should_stop
    assert copy in keeper._kept
    copy.finish()


# Elsewhere ---------------------------------------------------------------------------------


def test_a_pickled_run_finds_its_store_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path)
    with MLOpsClient("runs").start_run() as run:
        packed = pickle.dumps(run)
        monkeypatch.chdir(tmp_path / "there")
        copy = pickle.loads(packed)
        copy.log_metrics({"x": 1.0})
        copy.finish()

        assert list((tmp_path / "there").iterdir()) == []
        assert run.metrics["x"].last == 1.0


def test_a_pickled_run_goes_on_after_the_last_step(run: Run) -> None:
    run.log_metrics({"x": 1}, step=7)
    copy = pickle.loads(pickle.dumps(run))
    copy.log_metrics({"x": 2})
    copy.finish()

    assert list(run.metrics["x"].steps) == [7, 8]


def refused(run: Run, store: Path) -> tuple[Run, Path]:
    """A pickled copy, of which the disk takes no point; and the file that keeps it from that."""
    in_the_way = store / f"projects/default/runs/{run.id}/metrics"
    in_the_way.write_bytes(b"no folder")
    return pickle.loads(pickle.dumps(run)), in_the_way


def test_what_the_disk_refuses_a_pickled_run_from_its_start_is_written_once_it_does_not(
    run: Run, other: Run, store: Path
) -> None:
    copy, in_the_way = refused(run, store)
    copy.log_metrics({"x": 1})
    in_the_way.unlink()

    deadline = time.monotonic() + DEADLINE
    while "x" not in other.metrics:
        assert time.monotonic() < deadline, "nobody tries again"
        time.sleep(0.05)
    copy.finish()


def test_a_handler_of_logs_may_log_metrics_while_another_thread_is_told_of_the_disk(
    run: Run, other: Run, store: Path
) -> None:
    """Each would wait for the lock that the other has."""
    copy, in_the_way = refused(run, store)
    assert copy._journal is not None
    is_handling, points = threading.Event(), copy._journal._points

    class Counter(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name == "program":
                is_handling.set()
                while not points.waiting:
                    time.sleep(0.01)
                copy.log_metrics({"warnings": 1}, step=0)

    def train() -> None:
        is_handling.wait(DEADLINE)
        copy.log_metrics({"x": 1}, step=0)

    handler = Counter()
    logging.getLogger().addHandler(handler)
    warn = partial(logging.getLogger("program").warning, "odd")
    threads = [threading.Thread(target=act, daemon=True) for act in (train, warn)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE / 3)
    logging.getLogger().removeHandler(handler)
    in_the_way.unlink()

    assert not any(thread.is_alive() for thread in threads)
    copy.finish()
    assert {name: other.metrics[name].last for name in ("x", "warnings")} == {"x": 1, "warnings": 1}


def test_a_pickled_run_that_was_read_is_one_to_read(other: Run, run: Run) -> None:
    run.log_metrics({"x": 1})
    copy = pickle.loads(pickle.dumps(other))

    assert copy.metrics["x"].last == 1
    with pytest.raises(RuntimeError, match="opened to be read"):
        copy.log_metrics({"x": 2})


def test_a_run_logged_into_from_another_process_by_pickle_has_it_all(
    stage: Stage, run: Run, other: Run
) -> None:
    (stage.store.parent / "run.pickle").write_bytes(pickle.dumps(run))
    ended = stage.play("""
        import pickle
        run = pickle.loads(open("run.pickle", "rb").read())
        run.log_metrics({"x": 1})
        run.log_params({"rank": 1})
    """)

    assert ended.code == 0, ended.err
    assert (other.metrics["x"].last, other.params) == (1, {"rank": 1})
    assert other.status == "running"


# Edits -------------------------------------------------------------------------------------


def test_a_finished_run_is_edited_through_get_run(client: MLOpsClient, store: Path) -> None:
    with client.start_run(run_id="r", name="old", tags="a") as run:
        run.set_notes("old")
    edited = MLOpsClient(store).get_run("r")
    edited.set_name("new")
    edited.set_notes("new")
    edited.add_tags("b")
    edited.remove_tags("a")

    assert (run.name, run.notes, run.tags) == ("new", "new", ["b"])
    assert run.status == "completed"


def test_an_edit_of_a_running_run_by_another_process_is_seen(
    stage: Stage, client: MLOpsClient
) -> None:
    with client.start_run(run_id="r") as run:
        run.add_tags("mine")
        stage.play("run = client.get_run('r'); run.set_notes('theirs'); run.add_tags('theirs')")
        assert (run.notes, run.tags) == ("theirs", ["mine", "theirs"])

        run.set_notes("mine")
        assert client.get_run("r").notes == "mine"
    assert client.get_run("r").status == "completed"


def test_an_edit_wins_over_what_its_author_saw_whatever_the_clocks_say(
    run: Run, other: Run, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hybrid_clock, "_last", hybrid_clock._last)  # other tests stay in today
    ahead = f"{int(hybrid_clock.next(), 16) + 10 * MINUTE:016x}"
    folder = store / "projects/default/runs" / run.id / "meta"
    (folder / "fast-clock.jsonl").write_text(f'{{"h":"{ahead}","set":{{"notes":"theirs"}}}}\n')
    assert run.notes == "theirs"

    run.set_notes("mine")
    assert other.notes == "mine"


def test_a_deleted_run_is_hidden_and_restored(client: MLOpsClient) -> None:
    with client.start_run(run_id="r") as run:
        run.log_metrics({"x": 1})
    run.delete()
    assert client.list_runs() == client.get_experiment("default").list_runs() == []
    assert client.get_run("r").deleted

    client.get_run("r").restore()
    assert [found.id for found in client.list_runs()] == ["r"]
    assert client.get_run("r").metrics["x"].last == 1


def test_a_purged_run_leaves_nothing_but_its_tomb(
    client: MLOpsClient, store: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("a")
    run = client.start_run(run_id="r")
    run.log_metrics({"x": 1})
    run.log_artifact(tmp_path / "a.txt")
    run.purge()

    assert [key for key in stored(store) if "/experiments/" not in key] == [
        "podstack.json",
        "projects/default/tombs/r.json",
    ]
    assert not list(store.glob("projects/default/live/*"))
    assert client.list_runs() == []


def test_facts_of_a_wrong_kind_cost_only_themselves(run: Run, other: Run, store: Path) -> None:
    """Whoever may write to the store may write anything; a reader still reads the rest."""
    wrong = {"created": "x", "ended": [], "name": 5, "notes": {}, "parent": 5, "user": [],
             "status": 7, "experiment": {}, "tags/ok": 1, "datasets/d": "x", "artifacts/a": 5,
             "artifacts/b": {"key": 5}, "artifacts/c": {"key": "artifacts/x/c", "size": "big"},
             "writers/x": 5, "closed/x": "y", "closed/y": {"status": 5}}  # fmt: skip
    run.log_metrics({"x": 1.0})
    write_op(store / "projects/default/runs" / run.id / "meta", wrong)

    assert other.metrics["x"].last == 1.0
    assert other.created > 0
    assert (other.name, other.tags, other.datasets, dict(other.artifacts)) == ("5", ["ok"], {}, {})
    assert other.parent_run_id is None
    assert "x" in repr(other)
    assert "x" in other._repr_html_()


def test_a_run_says_where_it_is(run: Run, other: Run, store: Path) -> None:
    assert run.uri == other.uri == str(store)
    assert os.path.isabs(run.uri)


def test_a_wrong_status_leaves_the_run_open(run: Run) -> None:
    with pytest.raises(UsageError, match="completed, failed, killed, not 'done'"):
        run.finish("done")

    run.log_metrics({"x": 1})
    assert run.status == "running"
