"""transformers: what the callback costs a training step, beside the Trainer's TensorBoard callback.

Both hear the same training, in the same process, and each of their hooks is timed on the training
thread. Every step is logged, the hardest case. A step's own time is the baseline of neither.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from tests.benchmarks._folders import scratch
from tests.benchmarks._fresh import in_fresh_process
from tests.benchmarks._tables import Figure, Table, figures_table, ratio_at_most

_STEPS = 400
_WARM_UP = 10  # steps that are not counted
_ROUNDS = 5


def tables(*, quick: bool) -> Iterator[Table]:
    steps, rounds = (30, 1) if quick else (_STEPS, _ROUNDS)
    taken = sorted(in_fresh_process(seconds_per_step, steps) for _ in range(rounds))
    ours, theirs, step = taken[len(taken) // 2]
    yield figures_table(
        "transformers: a training step that is logged",
        [
            Figure("callback", ours, "s", theirs, "TensorBoard", ratio_at_most(1)),
            Figure("callback", ours, "s", step, "whole step"),
        ],
    )


def seconds_per_step(steps: int) -> list[float]:
    """Of our callback, of TensorBoard's, and of the whole step, with a tiny model on the CPU."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments
    from transformers.integrations import TensorBoardCallback

    from podstack.integrations.transformers import PodstackCallback

    torch.set_num_threads(1)
    config = BertConfig(
        vocab_size=32, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=8, max_position_embeddings=8,
    )  # fmt: skip
    data = [{"input_ids": [i % 32, i % 7], "labels": i % 2} for i in range(64)]
    with scratch() as folder:
        said = TrainingArguments(
            output_dir=f"{folder}/out", max_steps=steps, logging_steps=1, report_to="none",
            disable_tqdm=True, use_cpu=True, save_strategy="no",
        )  # fmt: skip
        ours, theirs = (
            _timed(PodstackCallback)(uri=f"{folder}/store"),
            _timed(TensorBoardCallback)(),
        )
        Trainer(
            model=BertForSequenceClassification(config),
            args=said,
            train_dataset=data,
            callbacks=[ours, theirs],
        ).train()
        whole = (ours.moments[-1] - ours.moments[_WARM_UP]) / (len(ours.moments) - 1 - _WARM_UP)
    counted = steps - _WARM_UP
    return [ours.seconds / counted, theirs.seconds / counted, whole]


def _timed(callback: type) -> Any:
    """A class of callbacks that knows how long its hooks of each step took."""

    class Timed(callback):
        def __init__(self, **said: Any) -> None:
            super().__init__(**said)
            self.seconds = 0.0
            self.moments: list[float] = []

        def on_step_end(self, args: Any, state: Any, control: Any, **told: Any) -> Any:
            self.moments.append(time.perf_counter())
            return self._timed("on_step_end", args, state, control, told)

        def on_log(self, args: Any, state: Any, control: Any, **told: Any) -> Any:
            return self._timed("on_log", args, state, control, told)

        def _timed(self, hook: str, args: Any, state: Any, control: Any, told: Any) -> Any:
            start = time.perf_counter()
            result = getattr(super(), hook)(args, state, control, **told)
            if state.global_step > _WARM_UP:
                self.seconds += time.perf_counter() - start
            return result

    return Timed
