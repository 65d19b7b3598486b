"""Which way a metric is better, by its name."""

from __future__ import annotations

import pytest

from podstack.directions import MAXIMIZE, MINIMIZE, direction_of, is_better

NAN = float("nan")


@pytest.mark.parametrize(
    "name",
    ["loss", "val_loss", "valLoss", "val/loss", "train-loss", "Loss", "logloss", "BCELoss", "rmse",
     "mean_squared_error", "error_rate", "top1_error", "WER", "perplexity", "nll", "fid_score",
     "cross_entropy", "crossEntropy", "loss/digits", "neg_log_likelihood", "accuracy/loss"],
)  # fmt: skip
def test_what_should_become_smaller(name: str) -> None:
    assert direction_of(name) == MINIMIZE


@pytest.mark.parametrize(
    "name",
    ["acc", "val_acc", "valAccuracy", "eval/accuracy", "f1", "F1_score", "macro_f1", "AUC", "auroc",
     "mean_reward", "score", "bleu", "R2", "mAP", "top5", "neg_mean_squared_error", "loss/acc",
     "samples_throughput"],
)  # fmt: skip
def test_what_should_become_larger(name: str) -> None:
    assert direction_of(name) == MAXIMIZE


@pytest.mark.parametrize(
    "name",
    ["grad_norm", "lr", "epoch", "x", "", "损失", "loss_scale", "loss_weight", "error_count",
     "system/cpu/loss", "classes", "glossary", "entropy", "mapper", "accumulated", "a" * 100_000],
)  # fmt: skip
def test_where_the_name_does_not_say(name: str) -> None:
    assert direction_of(name) is None


def test_nan_is_never_better_and_everything_is_better_than_it() -> None:
    assert is_better(1.0, 2.0, MINIMIZE)
    assert is_better(2.0, 1.0, MAXIMIZE)
    assert not is_better(1.0, 1.0, MAXIMIZE)
    assert is_better(float("inf"), NAN, MINIMIZE)
    assert not is_better(NAN, 1.0, MINIMIZE)
    assert not is_better(NAN, NAN, MAXIMIZE)
