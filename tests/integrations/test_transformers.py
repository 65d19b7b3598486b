"""The Trainer's callback: real Trainers, a tiny BERT that is made here, on the CPU."""

from __future__ import annotations

import copy
import json
import logging
import math
import os
import pickle
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cloudpickle
import optuna
import pytest
import torch
from accelerate.state import AcceleratorState, GradientState
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    EarlyStoppingCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from podstack import MLOpsClient, Run, RunClosedError, UsageError
from podstack.integrations.transformers import PodstackCallback, register
from podstack.integrations.transformers_words import renamed
from podstack.testing import failing_calls
from podstack.testing.stage import DEADLINE, Stage

TOKEN = "very-secret-token"
TEXTS = [{"input_ids": [i % 32, (7 * i) % 32], "labels": i % 2} for i in range(16)]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, store: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("PODSTACK_URI", str(store))
    torch.set_num_threads(1)


def model(*_: Any) -> BertForSequenceClassification:
    config = BertConfig(
        vocab_size=32, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=8, max_position_embeddings=8,
    )  # fmt: skip
    return BertForSequenceClassification(config)


def trainer(*callbacks: Any, folder: Path, searches: bool = False, **said: Any) -> Trainer:
    """A Trainer of 4 steps, which logs each and saves none, unless `said`."""
    plain = {"per_device_train_batch_size": 4, "num_train_epochs": 1, "logging_steps": 1}
    quiet = {"report_to": "none", "disable_tqdm": True, "save_strategy": "no", "use_cpu": True}
    arguments = TrainingArguments(output_dir=str(folder / "out"), **{**plain, **quiet, **said})
    return Trainer(
        model=None if searches else model(),
        model_init=model if searches else None,
        args=arguments,
        train_dataset=TEXTS,
        eval_dataset=TEXTS[:4],
        callbacks=list(callbacks),
    )


class At(TrainerCallback):  # type: ignore[misc]
    """Calls something at the end of a step."""

    def __init__(self, step: int, what: Any) -> None:
        self.step, self.what = step, what

    def on_step_end(self, args: Any, state: Any, control: Any, **told: Any) -> None:
        if state.global_step == self.step:
            self.what()


def boom() -> None:
    raise ValueError("boom")


def only(client: MLOpsClient) -> Run:
    (run,) = client.list_runs()
    return run


# What is logged, under which name and x ------------------------------------------------------


def test_a_training_with_evaluations_has_the_names_and_steps_that_users_know(
    client: MLOpsClient, tmp_path: Path
) -> None:
    trainer(PodstackCallback(), folder=tmp_path, num_train_epochs=2, eval_strategy="epoch").train()
    run = only(client)

    for name in ("train/loss", "train/grad_norm", "train/learning_rate", "train/epoch"):
        assert list(run.metrics[name].steps) == list(range(1, 9))
    for name in ("eval/loss", "eval/runtime", "eval/samples_per_second"):
        assert list(run.metrics[name].steps) == [4, 8]
    assert run.status == "completed"


def test_the_totals_of_a_training_keep_their_own_names(client: MLOpsClient, tmp_path: Path) -> None:
    result = trainer(PodstackCallback(), folder=tmp_path).train()
    run = only(client)
    totals = set(result.metrics) - {"epoch"}

    # The Trainer's own printer takes `total_flos` out of what is returned.
    assert totals | {"total_flos"} == {name for name in run.metrics if "/" not in name}
    assert {name: run.summary[name].last for name in totals} == {
        name: pytest.approx(result.metrics[name]) for name in totals
    }
    assert list(run.metrics["train_loss"].steps) == [4]


def test_x_is_the_number_of_optimizer_steps_where_gradients_accumulate(
    client: MLOpsClient, tmp_path: Path
) -> None:
    trainer(
        PodstackCallback(), folder=tmp_path, gradient_accumulation_steps=4,
        per_device_train_batch_size=2,
    ).train()  # fmt: skip

    assert list(only(client).metrics["train/loss"].steps) == [1, 2]


def test_evaluating_and_predicting_afterwards_go_on_with_the_same_run(
    client: MLOpsClient, tmp_path: Path
) -> None:
    one = trainer(PodstackCallback(), folder=tmp_path)
    one.train()
    assert only(client).status == "completed"
    returned = one.evaluate()
    predicted = one.predict(TEXTS).metrics
    run = only(client)

    assert run.status == "completed"
    assert run.summary["eval/loss"].last == pytest.approx(returned["eval_loss"])
    assert run.summary["test/loss"].last == pytest.approx(predicted["test_loss"])
    assert list(run.metrics["test/loss"].steps) == [4]


def test_what_the_trainer_returns_and_keeps_is_not_changed(tmp_path: Path) -> None:
    plain, recorded = trainer(folder=tmp_path), trainer(PodstackCallback(), folder=tmp_path)
    for one in (plain, recorded):
        one.train()
    keys = [sorted(one.evaluate()) for one in (plain, recorded)]
    histories = [[sorted(entry) for entry in one.state.log_history] for one in (plain, recorded)]

    assert keys[0] == keys[1]
    assert histories[0] == histories[1]


def test_an_evaluation_without_a_training_has_a_run(client: MLOpsClient, tmp_path: Path) -> None:
    trainer(PodstackCallback(), folder=tmp_path).evaluate()
    run = only(client)

    assert (run.status, list(run.metrics["eval/loss"].steps)) == ("completed", [0])
    assert run.params["model/hidden_size"] == 8


def test_a_prediction_without_a_training_has_a_run(client: MLOpsClient, tmp_path: Path) -> None:
    trainer(PodstackCallback(), folder=tmp_path).predict(TEXTS)
    run = only(client)

    assert (run.status, list(run.metrics["test/loss"].steps)) == ("completed", [0])


def test_evaluation_sets_and_prefixes_of_the_users_own_keep_their_names(
    client: MLOpsClient, tmp_path: Path
) -> None:
    one = trainer(PodstackCallback(), folder=tmp_path)
    one.evaluate({"long": TEXTS[:2], "short": TEXTS[2:4]})
    one.evaluate(metric_key_prefix="held out")
    one.predict(TEXTS, metric_key_prefix="größe")

    assert {name for name in only(client).metrics if name.endswith("loss")} == {
        "eval/long_loss",
        "eval/short_loss",
        "held out/loss",
        "größe/loss",
    }


def test_names_of_every_kind_and_nan_and_infinities_are_kept(
    client: MLOpsClient, tmp_path: Path
) -> None:
    one = trainer(PodstackCallback(), folder=tmp_path)
    one.log({"a/b c": 1.0, "größe": math.nan, "eval_f1": math.inf, "half": torch.tensor(0.5)})
    one.log({"half": torch.tensor([0.25], dtype=torch.bfloat16, requires_grad=True)})
    metrics = only(client).metrics

    assert metrics["train/a/b c"].last == 1.0
    assert math.isnan(metrics["train/größe"].last)
    assert metrics["eval/f1"].last == math.inf
    assert metrics["train/half"].last == 0.25


def test_what_is_no_number_is_left_out_with_one_warning(
    client: MLOpsClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = trainer(PodstackCallback(), folder=tmp_path)
    with caplog.at_level(logging.WARNING, "podstack"):
        for _ in range(3):
            one.log({"loss": 1.0, "text": "good", "list": [1, 2], "deep": {"x": 2, "no": None}})

    assert set(only(client).metrics) == {"train/loss", "train/deep/x", "train/epoch"}
    assert len(caplog.records) == 1
    assert "train/text" in caplog.text


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("loss", "train/loss"),
        ("eval_loss", "eval/loss"),
        ("eval_news_f1", "eval/news_f1"),
        ("test_f1", "test/f1"),
        ("train_runtime", "train_runtime"),
        ("total_flos", "total_flos"),
        ("train_tokens_per_second", "train/tokens_per_second"),
        ("evaluation", "train/evaluation"),
    ],
)
def test_each_kind_of_key_has_its_name(told: str, name: str) -> None:
    assert renamed({told: 1, "train_runtime": 2})[name] == (2 if told == "train_runtime" else 1)


def test_arguments_and_model_are_parameters_and_tokens_are_masked(
    client: MLOpsClient, tmp_path: Path
) -> None:
    one = trainer(
        PodstackCallback(), folder=tmp_path, learning_rate=0.01, hub_token=TOKEN,
        lr_scheduler_type="cosine", lr_scheduler_kwargs={"num_cycles": 2}, warmup_steps=2,
    )  # fmt: skip
    one.train()
    params = only(client).params

    assert (params["learning_rate"], params["warmup_steps"], params["max_steps"]) == (0.01, 2, -1)
    assert params["lr_scheduler_kwargs/num_cycles"] == 2
    assert (params["run_name"], params["model/hidden_size"]) == (None, 8)
    assert params["model/num_parameters"] == one.model.num_parameters()
    assert not [path for path in tmp_path.rglob("*") if _holds(path, TOKEN)]


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and text.encode() in path.read_bytes()


def test_adapters_are_parameters_too(client: MLOpsClient, tmp_path: Path) -> None:
    class Adapter:
        def to_dict(self) -> dict[str, Any]:
            return {"r": 4, "target_modules": {"query", "key"}}

    one = trainer(PodstackCallback(), folder=tmp_path)
    one.model.peft_config = {"default": Adapter()}
    one.train()
    params = only(client).params

    assert params["peft_config/default/r"] == 4
    assert params["peft_config/default/target_modules"] == ["key", "query"]


def test_a_module_of_torch_alone_can_be_trained(client: MLOpsClient, tmp_path: Path) -> None:
    class Plain(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 2)
            self.config = SimpleNamespace(width=2)

        def forward(self, input_ids: Any, labels: Any) -> dict[str, Any]:
            logits = self.layer(input_ids.float())
            return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}

    said = TrainingArguments(
        output_dir=str(tmp_path / "out"), report_to="none", disable_tqdm=True, use_cpu=True,
        save_strategy="epoch", num_train_epochs=1,
    )  # fmt: skip
    callback = PodstackCallback(log_model=True)
    Trainer(model=Plain(), args=said, train_dataset=TEXTS, callbacks=[callback]).train()
    run = only(client)

    assert (run.params["model/width"], run.params["model/num_parameters"]) == (2, 6)
    assert {path.rpartition("/")[0] for path in run.artifacts} == {"checkpoints/checkpoint-2"}


# Ways to ask for it --------------------------------------------------------------------------


def test_report_to_podstack_needs_no_argument(
    client: MLOpsClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PODSTACK_EXPERIMENT", "from outside")
    monkeypatch.setenv("PODSTACK_TAGS", "a, b")
    trainer(folder=tmp_path, report_to="podstack", run_name="named").train()
    (run,) = client.list_runs("from outside")

    assert (run.name, run.tags, run.status) == ("named", ["a", "b"], "completed")


def test_the_class_will_do_for_a_callback(client: MLOpsClient, tmp_path: Path) -> None:
    trainer(PodstackCallback, folder=tmp_path).train()

    assert only(client).status == "completed"


def test_the_name_and_project_of_the_arguments_count_unless_the_callback_says_else(
    client: MLOpsClient, tmp_path: Path
) -> None:
    said: dict[str, Any] = {"run_name": "theirs", "project": "Text & co"}
    trainer(PodstackCallback(), folder=tmp_path, **said).train()
    trainer(PodstackCallback(name="ours", experiment="mine"), folder=tmp_path, **said).train()

    assert [run.name for run in client.list_runs("Text & co")] == ["theirs"]
    assert [run.name for run in client.list_runs("mine")] == ["ours"]


def test_registering_twice_changes_nothing(client: MLOpsClient, tmp_path: Path) -> None:
    before = Trainer.train
    register()

    assert Trainer.train is before
    assert "resume_from_checkpoint" in Trainer.train.__wrapped__.__code__.co_varnames


def test_making_pickling_and_giving_it_to_a_trainer_makes_no_store(
    store: Path, tmp_path: Path
) -> None:
    GradientState._reset_state()  # of an earlier training, which cannot be pickled
    AcceleratorState._reset_state(reset_partial_state=True)
    callback = PodstackCallback(api_token=TOKEN, tags=["a"])
    one = trainer(callback, folder=tmp_path)
    pickled = [pickle.dumps(callback), cloudpickle.dumps(callback), cloudpickle.dumps(one)]
    copies = [copy.deepcopy(callback), *map(pickle.loads, pickled[:2])]

    assert [each.run_id for each in copies] == [callback.run_id] * 3
    assert not any(TOKEN.encode() in data for data in pickled)
    assert not store.exists()


def test_copies_made_before_and_after_a_training_mean_its_run(
    client: MLOpsClient, tmp_path: Path
) -> None:
    callback = PodstackCallback()
    before = pickle.loads(pickle.dumps(callback))
    one = trainer(callback, folder=tmp_path)
    one.train()
    after = [pickle.loads(cloudpickle.dumps(callback)), copy.deepcopy(callback)]
    for name, each in zip(("before", "pickled", "copied"), (before, *after), strict=True):
        trainer(each, folder=tmp_path).evaluate(metric_key_prefix=name)
    copy.deepcopy(one).evaluate(metric_key_prefix="whole")
    run = only(client)

    assert {f"{name}/loss" for name in ("before", "pickled", "copied", "whole")} < set(run.metrics)
    assert run.status == "completed"


def test_two_trainers_have_two_runs(client: MLOpsClient, tmp_path: Path) -> None:
    first, second = (trainer(PodstackCallback(), folder=tmp_path) for _ in range(2))
    first.train()
    second.train()
    first.evaluate()
    runs = client.list_runs()

    assert [run.status for run in runs] == ["completed"] * 2
    assert ["eval/loss" in run.metrics for run in runs] == [True, False]


def test_training_again_from_the_beginning_is_another_run(
    client: MLOpsClient, tmp_path: Path
) -> None:
    one = trainer(PodstackCallback(), folder=tmp_path)
    one.train()
    one.train()

    assert [list(run.metrics["train/loss"].steps) for run in client.list_runs()] == [
        [1, 2, 3, 4]
    ] * 2


def test_a_run_of_the_callers_is_left_open_and_can_be_closed_early(
    client: MLOpsClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with client.start_run() as run:
        one = trainer(PodstackCallback(run), folder=tmp_path)
        one.train()
        assert run.status == "running"
    one.evaluate()

    assert only(client).status == "completed"
    assert "eval/loss" not in only(client).metrics
    assert "not logged" in caplog.text
    with pytest.raises(RunClosedError):
        trainer(PodstackCallback(run), folder=tmp_path).train()


def test_disabled_writes_nothing(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PODSTACK_MODE", "disabled")
    one = trainer(PodstackCallback(log_model="all"), folder=tmp_path, save_strategy="epoch")
    one.train()
    one.evaluate()

    assert one.state.global_step == 4
    assert not store.exists()


# Endings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("boom"), "failed"), (KeyboardInterrupt(), "killed")]
)
def test_an_exception_that_a_notebook_catches_ends_the_run(
    client: MLOpsClient, tmp_path: Path, error: BaseException, status: str
) -> None:
    def fail() -> None:
        raise error

    one = trainer(PodstackCallback(), At(2, fail), folder=tmp_path)
    with pytest.raises(type(error)):
        one.train()
    run = only(client)

    assert (run.status, list(run.metrics["train/loss"].steps)) == (status, [1])
    assert ("boom" in (run.error or "")) == (status == "failed")
    one.evaluate()
    assert (run.status, "eval/loss" in run.metrics) == (status, True)
    assert ("Traceback" in (run.error or "")) == (status == "failed")


def test_a_training_after_one_that_failed_is_a_run_of_its_own(
    client: MLOpsClient, tmp_path: Path
) -> None:
    one = trainer(PodstackCallback(), At(2, boom), folder=tmp_path)
    with pytest.raises(ValueError, match="boom"):
        one.train()
    one.pop_callback(At)
    one.train()

    assert [run.status for run in client.list_runs()] == ["failed", "completed"]


def test_another_trainers_exception_is_not_ours(client: MLOpsClient, tmp_path: Path) -> None:
    callback = PodstackCallback()

    def fails_within() -> None:
        with pytest.raises(ValueError, match="boom"):
            trainer(At(1, boom), folder=tmp_path).train()

    trainer(callback, At(2, fails_within), folder=tmp_path).train()

    assert only(client).status == "completed"


def test_a_batch_that_is_too_large_does_not_begin_another_run(
    client: MLOpsClient, tmp_path: Path
) -> None:
    class Hungry(Trainer):  # type: ignore[misc]
        def training_step(self, model: Any, inputs: Any, *rest: Any) -> Any:
            if len(inputs["labels"]) > 2:
                raise RuntimeError("CUDA out of memory.")
            return super().training_step(model, inputs, *rest)

    one = trainer(PodstackCallback(), folder=tmp_path, auto_find_batch_size=True)
    one.__class__ = Hungry
    one.train()

    assert list(only(client).metrics["train/loss"].steps) == list(range(1, one.state.max_steps + 1))
    assert one.state.max_steps >= 8


def test_whoever_asks_the_run_to_stop_ends_training_after_the_step(
    client: MLOpsClient, tmp_path: Path
) -> None:
    callback = PodstackCallback()

    def ask_and_hear() -> None:
        client.get_run(callback.run_id).request_stop()
        callback.run._listen_at = 0.0  # without waiting for the five seconds to pass
        callback.run.tick()

    one = trainer(At(2, ask_and_hear), callback, folder=tmp_path)
    one.train()

    assert one.state.global_step == 2
    assert only(client).status == "completed"


# Checkpoints and resuming --------------------------------------------------------------------


@pytest.mark.parametrize("word", ["all", "checkpoint"])
def test_each_checkpoint_is_kept_though_the_trainer_deletes_it(
    client: MLOpsClient, tmp_path: Path, word: str
) -> None:
    one = trainer(
        PodstackCallback(log_model=word), folder=tmp_path, save_strategy="steps", save_steps=1,
        save_total_limit=1,
    )  # fmt: skip
    one.train()
    artifacts = only(client).artifacts
    kept = {path.split("/")[1] for path in artifacts if path.startswith("checkpoints/")}
    last = tmp_path / "out/checkpoint-4/model.safetensors"

    assert kept == {f"checkpoint-{step}" for step in range(1, 5)}
    assert artifacts["checkpoints/checkpoint-4/model.safetensors"].read_bytes() == last.read_bytes()
    assert "model/model.safetensors" in artifacts
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["checkpoint-4"]


def test_the_model_is_kept_as_training_leaves_it(
    client: MLOpsClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PODSTACK_LOG_MODEL", "end")
    one = trainer(PodstackCallback(), folder=tmp_path, learning_rate=0.1)
    one.train()
    only(client).artifacts["model/config.json"].download(tmp_path)
    only(client).artifacts["model/model.safetensors"].download(tmp_path)
    fetched = BertForSequenceClassification.from_pretrained(tmp_path / "model")

    assert all(
        torch.equal(ours, theirs)
        for ours, theirs in zip(one.model.parameters(), fetched.parameters(), strict=True)
    )


def test_a_training_that_fails_leaves_its_last_checkpoint(
    client: MLOpsClient, tmp_path: Path
) -> None:
    one = trainer(
        PodstackCallback(log_model=True), At(4, boom), folder=tmp_path, save_strategy="steps",
        save_steps=1,
    )  # fmt: skip
    with pytest.raises(ValueError, match="boom"):
        one.train()
    run = only(client)

    assert {path.rpartition("/")[0] for path in run.artifacts} == {"checkpoints/checkpoint-3"}
    assert run.status == "failed"


def test_by_default_no_file_is_kept_and_a_wrong_word_is_named(
    client: MLOpsClient, tmp_path: Path
) -> None:
    trainer(PodstackCallback(), folder=tmp_path, save_strategy="epoch").train()

    assert not only(client).artifacts
    with pytest.raises(UsageError, match="True, False or 'all', not 'best'"):
        PodstackCallback(log_model="best")


def resumable(*callbacks: Any, folder: Path, **said: Any) -> Trainer:
    return trainer(*callbacks, folder=folder, save_strategy="steps", save_steps=2, **said)


def interrupted(callback: PodstackCallback, folder: Path) -> None:
    """A training that saved step 2 and died at step 3."""
    with pytest.raises(ValueError, match="boom"):
        resumable(callback, At(3, boom), folder=folder).train()


@pytest.mark.parametrize("restores", [False, True])
def test_a_training_that_resumes_goes_on_with_its_run(
    client: MLOpsClient, tmp_path: Path, restores: bool
) -> None:
    interrupted(PodstackCallback(tags=["a"], api_token=TOKEN), tmp_path)
    again = resumable(
        PodstackCallback, folder=tmp_path, restore_callback_states_from_checkpoint=restores
    )
    again.train(resume_from_checkpoint=True)
    run = only(client)

    assert (run.status, run.tags) == ("completed", ["a"])
    assert list(run.metrics["train/loss"].steps) == [1, 2, 3, 4]
    assert not [path for path in (tmp_path / "out").rglob("*") if _holds(path, TOKEN)]


def test_a_run_that_the_user_chose_is_stronger_than_the_checkpoint(
    client: MLOpsClient, tmp_path: Path
) -> None:
    interrupted(PodstackCallback(run_id="first"), tmp_path)
    resumable(PodstackCallback(run_id="fork"), folder=tmp_path).train(resume_from_checkpoint=True)

    assert {run.id: list(run.metrics["train/loss"].steps) for run in client.list_runs()} == {
        "first": [1, 2],
        "fork": [3, 4],
    }


def test_a_checkpoint_from_before_the_callback_can_be_resumed(
    client: MLOpsClient, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="boom"):
        resumable(At(3, boom), folder=tmp_path).train()
    resumable(PodstackCallback(), folder=tmp_path).train(resume_from_checkpoint=True)
    saved = json.loads((tmp_path / "out/checkpoint-4/trainer_state.json").read_text())

    assert list(only(client).metrics["train/loss"].steps) == [3, 4]
    named = saved["stateful_callbacks"]["PodstackCallback"]["attributes"]["run_id"]
    assert named == only(client).id


def test_a_checkpoint_whose_run_was_purged_begins_another(
    client: MLOpsClient, tmp_path: Path
) -> None:
    interrupted(PodstackCallback(), tmp_path)
    only(client).purge()
    resumable(PodstackCallback(), folder=tmp_path).train(resume_from_checkpoint=True)

    assert list(only(client).metrics["train/loss"].steps) == [3, 4]


def test_a_password_in_the_stores_address_stays_out_of_checkpoints() -> None:
    said = PodstackCallback(uri="https://me:secret@host/store", log_model=True).state()

    assert "secret" not in json.dumps(said)
    assert PodstackCallback.from_state(said).run_id == said["attributes"]["run_id"]


# Hyperparameter search -----------------------------------------------------------------------


@pytest.mark.parametrize("hp_name", [None, lambda trial: f"lr-{trial.number}"])
def test_each_trial_of_a_search_is_a_run(client: MLOpsClient, tmp_path: Path, hp_name: Any) -> None:
    class Every2nd(optuna.pruners.BasePruner):
        def prune(self, study: Any, trial: Any) -> bool:
            return bool(trial.number == 1)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    one = trainer(
        PodstackCallback(name="search", log_model="all"), folder=tmp_path, searches=True,
        num_train_epochs=2, eval_strategy="epoch", save_strategy="epoch",
    )  # fmt: skip
    one.hyperparameter_search(
        hp_space=lambda trial: {"learning_rate": trial.suggest_float("learning_rate", 1e-5, 1e-2)},
        backend="optuna", n_trials=3, direction="minimize", hp_name=hp_name, pruner=Every2nd(),
    )  # fmt: skip
    runs = client.list_runs()
    names = [f"lr-{n}" for n in range(3)] if hp_name else [f"search {n}" for n in range(3)]

    assert [run.name for run in runs] == names
    assert [(run.status, run.tags) for run in runs] == [
        ("completed", []),
        ("completed", ["pruned"]),
        ("completed", []),
    ]
    assert [list(run.metrics["eval/loss"].steps) for run in runs] == [[4, 8], [4], [4, 8]]
    assert len({run.params["trial/learning_rate"] for run in runs}) == 3
    for number, run in enumerate(runs):
        folder = tmp_path / "out" / (names[number] if hp_name else f"run-{number}")
        ours = {path for path in run.artifacts if path.endswith("model.safetensors")}
        assert run.params["learning_rate"] == run.params["trial/learning_rate"]
        for path in ours - {"model/model.safetensors"}:
            file = folder / path.removeprefix("checkpoints/")
            assert run.artifacts[path].read_bytes() == file.read_bytes()
        assert len(ours) == (1 if number == 1 else 3)


def test_a_trial_that_stops_early_is_not_pruned(client: MLOpsClient, tmp_path: Path) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    one = trainer(
        EarlyStoppingCallback(1), PodstackCallback(), folder=tmp_path, searches=True,
        num_train_epochs=9, eval_strategy="epoch", save_strategy="epoch", learning_rate=0.0,
        load_best_model_at_end=True,
    )  # fmt: skip
    one.hyperparameter_search(
        hp_space=lambda trial: {"seed": trial.suggest_int("seed", 1, 9)},
        backend="optuna", n_trials=1, direction="minimize",
    )  # fmt: skip
    run = only(client)

    assert (run.status, run.tags) == ("completed", [])
    assert list(run.metrics["eval/loss"].steps) == [4, 8]


def test_what_a_search_evaluates_after_a_trial_belongs_to_that_trial(
    client: MLOpsClient, tmp_path: Path
) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    one = trainer(PodstackCallback(), folder=tmp_path, searches=True)
    one.hyperparameter_search(
        hp_space=lambda trial: {"seed": trial.suggest_int("seed", 1, 9)},
        backend="optuna", n_trials=2, direction="minimize",
    )  # fmt: skip

    for run in client.list_runs():
        assert list(run.metrics["eval/loss"].steps) == [4]
        assert run.status == "completed"


# Processes that die --------------------------------------------------------------------------

TRAINING = """
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainerCallback
from transformers import TrainingArguments
from podstack.integrations.transformers import PodstackCallback

torch.set_num_threads(1)
DATA = [{"input_ids": [i % 32, i % 7], "labels": i % 2} for i in range(16)]

class At(TrainerCallback):
    def __init__(self, step, what):
        self.step, self.what = step, what
    def on_step_end(self, args, state, control, **told):
        if state.global_step == self.step:
            self.what()

def trainer(*callbacks, folder="out", **said):
    config = BertConfig(vocab_size=32, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
                        intermediate_size=8, max_position_embeddings=8)
    plain = {"per_device_train_batch_size": 4, "num_train_epochs": 1, "logging_steps": 1,
             "report_to": "none", "disable_tqdm": True, "use_cpu": True, "save_strategy": "steps",
             "save_steps": 2}
    return Trainer(model=BertForSequenceClassification(config), train_dataset=DATA,
                   args=TrainingArguments(output_dir=folder, **{**plain, **said}),
                   callbacks=list(callbacks))
"""

DEATHS = """
import errno

def boom():
    raise ValueError("boom")

def send(number):
    return lambda: os.kill(os.getpid(), number)

ENDS = {{"error": boom, "ctrl-c": send(signal.SIGINT), "sigterm": send(signal.SIGTERM),
        "exit": lambda: sys.exit(3), "kill": send(signal.SIGKILL), "resume": lambda: None,
        "full": lambda: fail.arm("write", errno.ENOSPC, 1, {count})}}
trainer()    # loads what all of them need
for name in ENDS:
    child = os.fork()
    if not child:
        break
    print(name, os.waitpid(child, 0)[1], flush=True)
else:
    os._exit(0)
signal.alarm(60)    # no orphan
run_id = "kill" if name == "resume" else name
one = trainer(At(3, ENDS[name]), PodstackCallback(uri=client.uri, run_id=run_id),
              At(7, fail.disarm), folder=run_id, num_train_epochs=2)
one.train(resume_from_checkpoint=name == "resume")
if name == "full":
    print("full was hit", fail.hits, flush=True)
"""

FAILURES = f"""
import runpy
fail = runpy.run_path({failing_calls.__file__!r})["Failures"]("store")
"""


def test_however_a_process_ends_its_run_says_so_and_can_be_gone_on_with(stage: Stage) -> None:
    """The store of one of them cannot be written for a while, and its training goes on."""
    script = TRAINING + DEATHS.format(count=failing_calls.FOR_GOOD)
    ended = stage.play(script, first=FAILURES, environment={"HF_HUB_OFFLINE": "1"})
    words = [line.split() for line in ended.out.splitlines()]
    codes = {each[0]: os.waitstatus_to_exitcode(int(each[1])) for each in words if len(each) == 2}
    runs = {name: stage.run(name) for name in codes if name != "resume"}
    steps = {name: list(run.metrics["train/loss"].steps) for name, run in runs.items()}

    assert ended.code == 0, ended.err
    assert codes == {
        "error": 1,
        "ctrl-c": -signal.SIGINT,
        "sigterm": -signal.SIGTERM,
        "exit": 3,
        "kill": -signal.SIGKILL,
        "resume": 0,
        "full": 0,
    }
    assert {name: run.status for name, run in runs.items()} == {
        "error": "failed",
        "ctrl-c": "killed",
        "sigterm": "killed",
        "exit": "failed",
        "kill": "completed",  # by the process that went on with it
        "full": "completed",
    }
    assert "ValueError: boom" in (runs["error"].error or "")
    assert all(each[:2] == [1, 2] for each in steps.values())
    assert steps["kill"] == steps["full"] == list(range(1, 9))
    assert int(next(each[-1] for each in words if each[:2] == ["full", "was"])) > 0


TOGETHER = """
class Ask(TrainerCallback):
    def on_step_end(self, args, state, control, **told):
        if state.global_step == 5 and state.is_world_process_zero:
            client.get_run(callback.run_id).request_stop()
            callback.run._listen_at = 0.0
            callback.run.tick()

callback = PodstackCallback(uri=client.uri)
one = trainer(Ask(), callback, num_train_epochs=50, ddp_backend="gloo")
one.train()
one.evaluate(DATA)
print("stopped", one.state.global_step, flush=True)
"""


@pytest.mark.slow
def test_two_processes_have_one_run_and_stop_together(stage: Stage) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    children = [
        stage.start(
            TRAINING + TOGETHER,
            environment={**address, "RANK": str(n), "LOCAL_RANK": str(n), "HF_HUB_OFFLINE": "1"},
        )
        for n in range(2)
    ]
    ended = [child.wait() for child in children]
    run = only(MLOpsClient(stage.store))

    assert [each.code for each in ended] == [0, 0], "\n".join(each.err for each in ended)
    assert ["stopped 10" in each.out for each in ended] == [True, True]
    assert list(run.metrics["train/loss"].steps) == list(range(1, 11))
    assert (run.status, "eval/loss" in run.metrics) == ("completed", True)


# Without it ----------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["transformers", "accelerate"])
def test_where_it_is_missing_the_error_names_the_extra(module: str) -> None:
    hidden = (
        f"import sys; sys.modules[{module!r}] = None; import podstack.integrations.transformers"
    )
    ended = subprocess.run(
        [sys.executable, "-c", hidden],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )

    assert f"{module} is not installed. Run: pip install 'podstack[transformers]'" in ended.stderr
