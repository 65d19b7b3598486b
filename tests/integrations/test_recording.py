"""What all callbacks share: when a run comes to be, how it ends, and what a pickle holds."""

from __future__ import annotations

import copy
import logging
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from podstack import MLOpsClient, Run, UsageError
from podstack.errors import BackendError, RunClosedError
from podstack.extending import hand_down, handed_down, numbers_in, take_back
from podstack.integrations.recording import Recording, tell_of_exceptions
from podstack.keeper import keeper
from podstack.testing.stage import DEADLINE

TOKEN = "very-secret-token"


@pytest.fixture
def recording(store: Path) -> Recording:
    return Recording(uri=store, experiment="digits", name="first", tags=["a"], api_token=TOKEN)


def test_making_pickling_and_copying_one_makes_no_store(recording: Recording, store: Path) -> None:
    copies = [pickle.loads(pickle.dumps(recording)), copy.deepcopy(recording)]

    assert [copy.run_id for copy in copies] == [recording.run_id] * 2
    assert not store.exists()


def test_the_first_need_starts_the_run_as_it_was_asked_for(
    recording: Recording, client: MLOpsClient
) -> None:
    recording.log({"loss": 0.5}, 3)
    recording.end()
    (run,) = client.list_runs("digits")

    assert (run.id, run.name, run.tags) == (recording.run_id, "first", ["a"])
    assert (list(run.metrics["loss"].steps), run.status) == ([3], "completed")


def test_what_is_logged_after_the_end_reopens_the_same_run(
    recording: Recording, client: MLOpsClient
) -> None:
    recording.log({"loss": 0.5})
    recording.end()
    recording.log({"test_acc": 0.9})

    assert client.get_run(recording.run_id).status == "running"
    recording.end()
    (run,) = client.list_runs()
    assert (set(run.metrics), run.status) == ({"loss", "test_acc"}, "completed")


def test_copies_made_before_and_after_the_start_log_into_one_run(
    recording: Recording, client: MLOpsClient
) -> None:
    before = pickle.loads(pickle.dumps(recording))
    recording.log({"x": 1.0}, 0)
    after = copy.deepcopy(recording)
    before.log({"x": 2.0}, 1)
    after.log({"x": 3.0}, 2)
    for one in (before, after, recording):
        one.end()
    (run,) = client.list_runs()

    assert list(run.metrics["x"].values) == [1.0, 2.0, 3.0]


def test_a_pickle_holds_no_token(recording: Recording) -> None:
    recording.log({"x": 1.0})
    data = pickle.dumps(recording)
    recording.end()

    assert TOKEN.encode() not in data


def test_a_run_of_the_callers_is_never_ended(client: MLOpsClient) -> None:
    with client.start_run() as run:
        recording = Recording(run=run)
        recording.end()
        recording.fail(ValueError("no"))
        recording.go_on_with("another")
        recording.log({"x": 1.0})

        assert run.status == "running"
        assert recording.run_id == run.id
    assert run.status == "completed"


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("boom"), "failed"), (KeyboardInterrupt(), "killed")]
)
def test_an_exception_ends_the_run_as_it_says(
    recording: Recording, client: MLOpsClient, error: BaseException, status: str
) -> None:
    recording.log({"x": 1.0})
    recording.fail(error)
    run = client.get_run(recording.run_id)

    assert run.status == status
    assert (run.error is not None and "boom" in run.error) == (status == "failed")


def test_what_is_no_number_is_left_out_and_told_once(
    recording: Recording, client: MLOpsClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "podstack"):
        for step in range(3):
            recording.log({"loss": 0.5, "text": "good", "nested": {"list": [1], "x": 2}}, step)
    recording.end()

    assert list(client.get_run(recording.run_id).metrics) == ["loss", "nested/x"]
    assert len(caplog.records) == 1
    assert "'text', 'nested/list'" in caplog.text


def test_the_environment_fills_what_was_not_said(
    store: Path, client: MLOpsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PODSTACK_URI", str(store))
    monkeypatch.setenv("PODSTACK_EXPERIMENT", "from outside")
    monkeypatch.setenv("PODSTACK_RUN_ID", "mine")
    monkeypatch.setenv("PODSTACK_RUN_NAME", "outer")
    monkeypatch.setenv("PODSTACK_TAGS", "a, b")
    recording = Recording()
    recording.log({"x": 1.0})
    recording.end()
    (run,) = client.list_runs("from outside")

    assert (run.id, run.name, run.tags) == ("mine", "outer", ["a", "b"])
    assert recording.has_wanted_id


def test_a_run_that_is_gone_on_with_stays_in_its_experiment(
    store: Path, client: MLOpsClient
) -> None:
    with client.start_run(experiment=client.create_experiment("digits"), run_id="r"):
        pass
    recording = Recording(uri=store, run_id="r")
    recording.log({"x": 1.0})
    recording.end()

    assert client.get_run("r").experiment_id == "digits"


def test_a_recording_can_mean_another_run_from_now_on(
    recording: Recording, client: MLOpsClient
) -> None:
    recording.log({"x": 1.0})
    first = recording.run_id
    recording.go_on_with("trial-2")
    recording.log({"x": 2.0})
    recording.end()

    assert {run.id: run.status for run in client.list_runs()} == {
        first: "completed",
        "trial-2": "completed",
    }


CHILD = """
import sys
from podstack.integrations.recording import Recording
print([Recording().run_id for _ in range(3)])
"""


def ids_of_a_child(**environment: str) -> list[str]:
    ended = subprocess.run(
        [sys.executable, "-c", CHILD],
        env={**os.environ, **environment}, capture_output=True,
        text=True, timeout=DEADLINE, check=True,
    )  # fmt: skip
    return eval_list(ended.stdout)


def test_a_script_run_again_by_its_own_process_means_the_same_runs() -> None:
    mine = [Recording(), Recording()]
    for recording in mine:
        recording.hand_down()
    first, second, third = ids_of_a_child(LOCAL_RANK="1")
    of_another_script = ids_of_a_child()
    for recording in mine:
        recording.end()

    assert [first, second] == [recording.run_id for recording in mine]
    assert third not in (first, second)
    assert not {first, second} & set(of_another_script)  # one that we start to evaluate, say


def test_what_was_handed_down_is_no_other_process_s_and_goes_with_the_run() -> None:
    hand_down("a")
    hand_down("b")

    assert handed_down() == []  # it is for our children, not for us
    take_back("a")
    take_back("never")
    take_back("b")
    printed = subprocess.run(
        [sys.executable, "-c", "import os; print(os.environ.get('PODSTACK_HANDED_DOWN'))"],
        capture_output=True, text=True, timeout=DEADLINE, check=True,
    ).stdout  # fmt: skip
    assert printed.strip() == "None"


def eval_list(text: str) -> list[str]:
    return [part.strip(" '[]\n") for part in text.split(",")]


class Trainer:
    def __init__(self, callbacks: list[Any]) -> None:
        self.callbacks = callbacks

    def train(self, error: BaseException | None = None) -> str:
        """How it trains."""
        if error is not None:
            raise error
        return "done"


class Hearing:
    def __init__(self) -> None:
        self.heard: list[BaseException] = []

    def failed(self, error: BaseException) -> None:
        self.heard.append(error)


def test_callbacks_hear_of_an_exception_that_a_notebook_would_catch() -> None:
    tell_of_exceptions(Trainer, "train", lambda trainer, *_: trainer.callbacks)
    tell_of_exceptions(Trainer, "train", lambda trainer, *_: trainer.callbacks)
    one = Hearing()
    error = ValueError("boom")

    assert Trainer([one]).train() == "done"
    with pytest.raises(ValueError, match="boom"):
        Trainer([one]).train(error)
    assert one.heard == [error]
    assert Trainer.train.__doc__ == "How it trains."


def test_what_a_method_is_called_with_can_be_heard_before_it_begins() -> None:
    heard: list[Any] = []

    class Fitter(Trainer):
        def train(self, error: BaseException | None = None) -> str:
            heard.append("begun")
            return super().train(error)

    trainer = Fitter([])
    tell_of_exceptions(
        Fitter,
        "train",
        lambda trainer, *_: trainer.callbacks,
        first=lambda *said: heard.append(said),
    )

    assert trainer.train(None) == "done"
    assert heard == [(trainer, None), "begun"]


def test_numbers_are_told_from_the_rest_and_nothing_is_changed() -> None:
    values = {"a": 1, "b": {"c": True, "d": None}, "e": "x", "f": 10**400, 3: 2.0, "": 1}
    before = copy.deepcopy(values)

    numbers, skipped = numbers_in(values)

    assert numbers == {"a": 1.0, "b/c": 1.0, "3": 2.0}
    assert skipped == ["b/d", "e", "f", ""]
    assert values == before


def test_a_parameter_that_cannot_be_stored_costs_only_itself(
    recording: Recording, client: MLOpsClient, caplog: pytest.LogCaptureFixture
) -> None:
    recording.log_params(SimpleNamespace(lr=0.1, huge="x" * 2_000_000))
    recording.end()

    assert client.get_run(recording.run_id).params == {"lr": 0.1}
    assert "cannot be stored: 'huge'" in caplog.text


def test_what_passes_for_the_run_begins_it_when_it_is_used(
    recording: Recording, client: MLOpsClient, store: Path
) -> None:
    later = recording.later()
    assert isinstance(later, Run)
    assert not store.exists()
    later.log_metrics({"x": 1.0})
    assert pickle.loads(pickle.dumps(later)).id == later.id == recording.run_id
    recording.end("killed")
    later.set_notes("read and edited")

    assert (later.status, later.notes) == ("killed", "read and edited")  # and not reopened
    later.log_metrics({"x": 2.0})
    assert client.get_run(recording.run_id).status == "running"
    recording.end()


def test_a_run_that_was_finished_by_hand_is_reopened(
    recording: Recording, client: MLOpsClient
) -> None:
    recording.run.finish()
    recording.log({"x": 1.0})
    recording.run.finish()
    recording.log_params({"lr": 0.1})
    recording.end()
    run = client.get_run(recording.run_id)

    assert (list(run.metrics), run.params, run.status) == (["x"], {"lr": 0.1}, "completed")
    given = Recording(run=run)
    with pytest.raises(RunClosedError):
        given.log({"x": 1.0})


def test_a_store_that_is_gone_stops_the_start_and_nothing_after_it(
    recording: Recording, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recording.log({"x": 1.0})
    recording.end()
    keeper.wait(240)
    shutil.rmtree(store)
    store.write_text("no folder any more")
    recording.log({"x": 2.0})
    recording.end()

    assert f"what follows of run {recording.run_id} is not recorded" in caplog.text
    with pytest.raises(BackendError):
        Recording(uri=store).log({"x": 1.0})


def test_a_bad_run_id_is_named_at_the_first_need(store: Path) -> None:
    with pytest.raises(UsageError, match="run_id"):
        Recording(uri=store, run_id="Not An Id").log({"x": 1.0})
