"""The Accelerator's tracker: real Accelerators, on the CPU."""

from __future__ import annotations

import copy
import logging
import math
import pickle
import socket
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from accelerate.tracking import LOGGER_TYPE_TO_CLASS
from PIL import Image

from podstack import MLOpsClient, Run
from podstack.integrations.accelerate import PodstackTracker, register
from podstack.testing import failing_calls
from podstack.testing.stage import DEADLINE, Stage

TOKEN = "very-secret-token"
by_name = pytest.mark.skipif(
    "podstack" not in LOGGER_TYPE_TO_CLASS, reason="accelerate learns of trackers from 1.15 on"
)


@pytest.fixture(autouse=True)
def _own_accelerator(monkeypatch: pytest.MonkeyPatch, store: Path) -> Iterator[None]:
    monkeypatch.setenv("PODSTACK_URI", str(store))
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    yield
    GradientState._reset_state()
    AcceleratorState._reset_state(reset_partial_state=True)


def only(client: MLOpsClient) -> Run:
    (run,) = client.list_runs()
    return run


def test_a_script_records_its_config_and_numbers_at_its_own_steps(client: MLOpsClient) -> None:
    accelerator = Accelerator(log_with=PodstackTracker("digits", name="first", tags=["a"]))
    accelerator.init_trackers("not given to an instance", config={"lr": 0.1, "api_key": TOKEN})
    for step in range(3):
        accelerator.log({"loss": 1.0 / (1 + step)}, step=10 * step)
    accelerator.end_training()
    (run,) = client.list_runs("digits")

    assert (run.name, run.tags, run.status) == ("first", ["a"], "completed")
    assert (run.params["lr"], run.params["api_key"] == TOKEN) == (0.1, False)
    assert list(run.metrics["loss"].steps) == [0, 10, 20]


@by_name
def test_it_can_be_asked_for_by_name_and_the_project_is_the_experiment(client: MLOpsClient) -> None:
    accelerator = Accelerator(log_with="podstack")
    accelerator.init_trackers("text", init_kwargs={"podstack": {"name": "second", "run_id": "r"}})
    accelerator.log({"loss": 0.5}, log_kwargs={"podstack": {"anything": 1}})
    accelerator.end_training()
    (run,) = client.list_runs("text")

    assert (run.id, run.name, run.status) == ("r", "second", "completed")


@by_name
def test_a_misspelt_option_is_an_error() -> None:
    accelerator = Accelerator(log_with="podstack")

    with pytest.raises(TypeError, match="tgas"):
        accelerator.init_trackers("text", init_kwargs={"podstack": {"tgas": ["a"]}})


@by_name
def test_registering_twice_changes_nothing() -> None:
    register()

    assert LOGGER_TYPE_TO_CLASS["podstack"] is PodstackTracker


@by_name
def test_where_accelerate_learns_of_no_trackers_the_instance_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr("accelerate.tracking.register_tracker_class")  # as before 1.15
    monkeypatch.delitem(LOGGER_TYPE_TO_CLASS, "podstack")
    with caplog.at_level(logging.INFO, "podstack"):
        register()

    assert 'log_with=PodstackTracker("project")' in caplog.text


def test_making_and_copying_one_touches_neither_disk_nor_process_group(store: Path) -> None:
    tracker = PodstackTracker(api_token=TOKEN)
    pickled = [pickle.dumps(tracker), cloudpickle.dumps(tracker)]
    copies = [copy.deepcopy(tracker), *map(pickle.loads, pickled)]

    assert [each.run_id for each in copies] == [tracker.run_id] * 3
    assert not any(TOKEN.encode() in data for data in pickled)
    assert AcceleratorState._shared_state == {}
    assert tracker.tracker is None
    assert not store.exists()


def test_copies_made_after_the_start_log_into_its_run(client: MLOpsClient) -> None:
    tracker = PodstackTracker()
    accelerator = Accelerator(log_with=tracker)
    accelerator.init_trackers("x")
    accelerator.log({"x": 1}, step=0)
    for step, each in enumerate((copy.deepcopy(tracker), pickle.loads(pickle.dumps(tracker)))):
        each.log({"x": 2}, step=step + 1)
        each.finish()
    accelerator.end_training()

    assert list(only(client).metrics["x"].steps) == [0, 1, 2]
    assert only(client).status == "completed"


def test_starting_twice_starts_one_run_and_logging_after_the_end_reopens_it(
    client: MLOpsClient,
) -> None:
    accelerator = Accelerator(log_with=PodstackTracker())
    accelerator.init_trackers("x")
    accelerator.init_trackers("x")
    accelerator.end_training()
    assert only(client).status == "completed"
    accelerator.log({"test_acc": 0.9})
    assert only(client).status == "running"
    accelerator.end_training()

    assert (only(client).status, only(client).metrics["test_acc"].last) == ("completed", 0.9)


def test_without_a_step_it_counts_on(client: MLOpsClient) -> None:
    accelerator = Accelerator(log_with=PodstackTracker())
    accelerator.init_trackers("x")
    for _ in range(3):
        accelerator.log({"loss": 0.5})
    accelerator.end_training()

    assert list(only(client).metrics["loss"].steps) == [0, 1, 2]


def test_values_of_every_kind_are_taken_and_the_rest_costs_one_warning(
    client: MLOpsClient, caplog: pytest.LogCaptureFixture
) -> None:
    accelerator = Accelerator(log_with=PodstackTracker())
    accelerator.init_trackers("x", config={"model": {"width": 8}, "none": None, "list": [1, 2]})
    values = {
        "train/größe in m": torch.tensor([0.5], dtype=torch.bfloat16, requires_grad=True),
        "deep": {"nan": math.nan, "inf": np.float32(-math.inf)},
        "text": "good",
        "image": np.zeros((2, 2)),
    }
    with caplog.at_level(logging.WARNING, "podstack"):
        accelerator.log(values, step=0)
        accelerator.log(values, step=1)
    accelerator.end_training()
    run = only(client)

    assert set(run.metrics) == {"train/größe in m", "deep/nan", "deep/inf"}
    assert (run.metrics["train/größe in m"].last, run.metrics["deep/inf"].last) == (0.5, -math.inf)
    assert math.isnan(run.metrics["deep/nan"].last)
    assert (run.params["model/width"], run.params["none"], run.params["list"]) == (8, None, [1, 2])
    assert len(caplog.records) == 1


def test_the_folder_of_a_saved_state_is_kept(client: MLOpsClient, tmp_path: Path) -> None:
    tracker = PodstackTracker()
    accelerator = Accelerator(log_with=tracker)
    accelerator.init_trackers("x")
    accelerator.prepare(torch.nn.Linear(2, 2))
    saved = Path(accelerator.save_state(str(tmp_path / "state")))
    tracker.log_artifacts(saved, "state")
    tracker.log_artifact(saved / "model.safetensors")
    accelerator.end_training()
    artifacts = only(client).artifacts

    assert {"state/model.safetensors", "model.safetensors"} <= set(artifacts)
    assert (
        artifacts["state/model.safetensors"].read_bytes()
        == (saved / "model.safetensors").read_bytes()
    )


def test_pictures_and_tables_are_kept_as_files(
    client: MLOpsClient, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = PodstackTracker()
    Accelerator(log_with=tracker).init_trackers("x")
    grey = np.linspace(0, 1, 16).reshape(4, 4)
    pictures = [grey, torch.rand(4, 4, 3), Image.new("RGB", (3, 2), "red"), np.zeros((2, 2, 2, 2))]
    tracker.log_images({"val/samples": pictures}, step=7)
    tracker.log_table("answers", columns=["q", "a"], data=[["1 + 1", 2], ["größe", None]], step=7)
    tracker.finish()
    artifacts = only(client).artifacts
    opened = [
        Image.open(BytesIO(artifacts[f"images/val/samples/7-{n}.png"].read_bytes()))
        for n in range(3)
    ]

    assert [(each.size, each.mode) for each in opened] == [
        ((4, 4), "L"),
        ((4, 4), "RGB"),
        ((3, 2), "RGB"),
    ]
    assert np.asarray(opened[0]).max() == 255
    table = artifacts["tables/answers/7.csv"].read_bytes().decode()
    assert table.splitlines() == ["q,a", "1 + 1,2", "größe,"]
    assert "shape (2, 2, 2, 2) is no picture" in caplog.text
    assert len(artifacts) == 4


def test_a_trainer_inside_the_script_logs_into_the_same_run(
    client: MLOpsClient, tmp_path: Path
) -> None:
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

    from podstack.integrations.transformers import PodstackCallback

    tracker = PodstackTracker()
    accelerator = Accelerator(log_with=tracker)
    accelerator.init_trackers("x")
    config = BertConfig(
        vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=8, max_position_embeddings=8,
    )  # fmt: skip
    said = TrainingArguments(
        output_dir=str(tmp_path / "out"), report_to="none", disable_tqdm=True, use_cpu=True,
        save_strategy="no", logging_steps=1, max_steps=2,
    )  # fmt: skip
    Trainer(
        model=BertForSequenceClassification(config),
        args=said,
        train_dataset=[{"input_ids": [1, 2], "labels": i % 2} for i in range(16)],
        callbacks=[PodstackCallback(accelerator.get_tracker("podstack", unwrap=True))],
    ).train()
    accelerator.log({"afterwards": 1.0}, step=3)
    assert only(client).status == "running"
    accelerator.end_training()

    assert {"train/loss", "afterwards"} <= set(only(client).metrics)
    assert only(client).status == "completed"


def test_a_run_of_the_callers_is_left_open(client: MLOpsClient) -> None:
    with client.start_run() as run:
        accelerator = Accelerator(log_with=PodstackTracker(run=run))
        accelerator.init_trackers("x")
        accelerator.end_training()

        assert run.status == "running"
    assert only(client).status == "completed"


def test_gradient_accumulation_keeps_the_users_own_steps(client: MLOpsClient) -> None:
    accelerator = Accelerator(gradient_accumulation_steps=2, log_with=PodstackTracker())
    accelerator.init_trackers("x")
    model, optimizer = accelerator.prepare(*_model_and_optimizer())
    updates = 0
    for x in torch.ones(8, 1, 2):
        with accelerator.accumulate(model):
            loss = model(x).square().mean()
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
        if accelerator.sync_gradients:
            updates += 1
            accelerator.log({"loss": loss}, step=updates)
    accelerator.end_training()

    assert list(only(client).metrics["loss"].steps) == [1, 2, 3, 4]


def _model_and_optimizer() -> tuple[Any, Any]:
    model = torch.nn.Linear(2, 1)
    return model, torch.optim.SGD(model.parameters(), 0.1)


def test_two_scripts_after_each_other_have_two_runs(client: MLOpsClient) -> None:
    for number in range(2):
        accelerator = Accelerator(log_with=PodstackTracker(name=f"run {number}"))
        accelerator.init_trackers("x")
        accelerator.log({"x": number})
        accelerator.end_training()

    assert [(run.name, run.metrics["x"].last) for run in client.list_runs()] == [
        ("run 0", 0.0),
        ("run 1", 1.0),
    ]


def test_disabled_writes_nothing(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODSTACK_MODE", "disabled")
    tracker = PodstackTracker()
    accelerator = Accelerator(log_with=tracker)
    accelerator.init_trackers("x", config={"lr": 0.1})
    accelerator.log({"x": 1})
    tracker.log_images({"a": [np.zeros((2, 2))]})
    accelerator.end_training()

    assert not store.exists()


# Processes that die --------------------------------------------------------------------------

DEATHS = """
import errno
from accelerate import Accelerator
from podstack.integrations.accelerate import PodstackTracker

def boom():
    raise ValueError("boom")

def send(number):
    return lambda: os.kill(os.getpid(), number)

ENDS = {{"error": boom, "ctrl-c": send(signal.SIGINT), "sigterm": send(signal.SIGTERM),
        "kill": send(signal.SIGKILL), "resume": lambda: None,
        "full": lambda: fail.arm("write", errno.ENOSPC, 1, {count}), "forgets": lambda: None}}
for name in ENDS:
    child = os.fork()
    if not child:
        break
    os.waitpid(child, 0)
else:
    os._exit(0)
signal.alarm(60)    # no orphan
run_id = "kill" if name == "resume" else name
accelerator = Accelerator(cpu=True, log_with=PodstackTracker(uri=client.uri, run_id=run_id))
accelerator.init_trackers("x")
for step in range(3 if name == "resume" else 0, 6):
    if step == 3:
        ENDS[name]()
    if step == 5:
        fail.disarm()
    accelerator.log({{"x": step}}, step=step)
if name != "forgets":
    accelerator.end_training()
"""

FAILURES = f"""
import runpy
fail = runpy.run_path({failing_calls.__file__!r})["Failures"]("store")
"""


def test_however_a_process_ends_its_run_says_so_and_can_be_gone_on_with(stage: Stage) -> None:
    """The store of one of them cannot be written for a while; one forgets `end_training`."""
    ended = stage.play(DEATHS.format(count=failing_calls.FOR_GOOD), first=FAILURES)
    names = ("error", "ctrl-c", "sigterm", "kill", "full", "forgets")
    runs = {name: stage.run(name) for name in names}

    assert ended.code == 0, ended.err
    assert {name: run.status for name, run in runs.items()} == {
        "error": "failed",
        "ctrl-c": "killed",
        "sigterm": "killed",
        "kill": "completed",  # by the process that went on with it
        "full": "completed",
        "forgets": "completed",
    }
    assert "ValueError: boom" in (runs["error"].error or "")
    assert {name: len(run.metrics["x"]) for name, run in runs.items()} == {
        **dict.fromkeys(("error", "ctrl-c", "sigterm"), 3),
        **dict.fromkeys(("kill", "full", "forgets"), 6),
    }


TOGETHER = """
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs
from podstack.integrations.accelerate import PodstackTracker

tracker = PodstackTracker(uri=client.uri)
group = InitProcessGroupKwargs(backend="gloo")
accelerator = Accelerator(cpu=True, log_with=tracker, kwargs_handlers=[group])
accelerator.init_trackers("x", config={"lr": 0.1})
accelerator.log({"rank": accelerator.process_index}, step=0)
print("has run", tracker.tracker is not None, flush=True)
accelerator.end_training()
"""


@pytest.mark.slow
def test_of_two_processes_one_has_the_run(stage: Stage) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    children = [
        stage.start(
            TOGETHER,
            environment={**address, "RANK": str(n), "LOCAL_RANK": str(n)},
        )
        for n in range(2)
    ]
    ended = [child.wait() for child in children]
    run = only(MLOpsClient(stage.store))

    assert [each.code for each in ended] == [0, 0], [each.err for each in ended]
    assert ["has run True" in each.out for each in ended] == [True, False]
    assert list(run.metrics["rank"].values) == [0.0]


def test_where_it_is_missing_the_error_names_the_extra() -> None:
    hidden = "import sys; sys.modules['accelerate'] = None; import podstack.integrations.accelerate"
    ended = subprocess.run(
        [sys.executable, "-c", hidden],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )

    assert "accelerate is not installed. Run: pip install 'podstack[accelerate]'" in ended.stderr
