"""The Trainer's words in ours: metrics, parameters, where checkpoints lie. Not for users."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from glob import escape, glob
from typing import Any

_TOTALS = {"train_loss", "train_runtime", "total_flos"} | {
    f"train_{what}_per_second" for what in ("samples", "steps")
}


def renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics under the names that they are known by: `eval_loss` is `eval/loss`.

    An evaluation under a prefix of the user's own is known by its runtime: `valid_loss` beside
    `valid_runtime` is `valid/loss`. The rest is the training's: `train/loss`.
    """
    own = [key.removesuffix("runtime") for key in values if key.endswith("_runtime")]
    prefixes = ("eval_", "test_", *own)
    return {_named(key, prefixes): value for key, value in values.items()}


def _named(key: str, prefixes: tuple[str, ...]) -> str:
    if key in _TOTALS:
        return key
    prefix = next((prefix for prefix in prefixes if key.startswith(prefix)), "")
    return f"{prefix[:-1] or 'train'}/{key.removeprefix(prefix)}"


def parameters_of(args: Any, state: Any, model: Any) -> dict[str, Any]:
    """The training arguments bare, as `learning_rate`; the model's below `model/`."""
    config, adapters = getattr(model, "config", None), getattr(model, "peft_config", None)
    facts = {} if config is None else {**_fields_of(config)}
    if hasattr(model, "parameters"):
        facts["num_parameters"] = sum(part.numel() for part in model.parameters())
    params = {**args.to_dict(), "model": facts}
    if adapters:
        params["peft_config"] = {name: _fields_of(each) for name, each in adapters.items()}
    if state.trial_params:
        params["trial"] = dict(state.trial_params)
    return params


def _fields_of(config: Any) -> Any:
    if hasattr(config, "to_dict"):
        return config.to_dict()
    return config if isinstance(config, Mapping) else vars(config)


def unless(default: str, said: str | None) -> str | None:
    return None if said == default else said


def saved_checkpoint(output_dir: str, step: int, run_id: str) -> str | None:
    """The checkpoint that was just saved. In a search it lies deeper, and nobody tells where.

    Which one it is says its own state: it names our run.
    """
    name = f"checkpoint-{step}"
    deeper = glob(os.path.join(escape(output_dir), "*", name))
    found = [os.path.join(output_dir, name), *deeper]
    return next((path for path in found if _names(path, run_id)), None)


def _names(checkpoint: str, run_id: str) -> bool:
    try:
        with open(os.path.join(checkpoint, "trainer_state.json"), encoding="utf-8") as file:
            return json.dumps(run_id) in file.read()
    except OSError:
        return False
