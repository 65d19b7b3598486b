"""What `keras.py` says of a Keras model, of its training, and of where that runs. Not for users."""

from __future__ import annotations

import math
import sys
from glob import escape
from string import Formatter
from typing import Any

from podstack import UsageError
from podstack.errors import MissingExtraError
from podstack.extending import defaults

try:
    import keras
except ModuleNotFoundError as error:
    raise MissingExtraError.for_(error, extra="keras") from error


def batches_of(log_freq: Any) -> int:
    """Every how many batches; 0: none of them."""
    if log_freq in ("epoch", "batch"):
        return 1 if log_freq == "batch" else 0
    if isinstance(log_freq, int) and not isinstance(log_freq, bool) and log_freq > 0:
        return log_freq
    raise UsageError(
        f"log_freq is 'epoch', 'batch' or a number of batches from 1 on, not {log_freq!r}. "
        "Write PodstackCallback(log_freq=100)."
    )


def simple(told: dict[str, Any]) -> dict[str, Any]:
    simple = {name: value for name, value in told.items() if isinstance(value, (int, float, str))}
    return {name: value for name, value in simple.items() if name != "verbose"}


def pattern_of(path: str) -> str:
    """What finds every file of a path such as `epoch-{epoch:02d}-{val_loss:.2f}.keras`."""
    parts = Formatter().parse(path)
    return "".join(escape(text) + ("" if field is None else "*") for text, field, *_ in parts)


def place() -> tuple[int, int]:
    """This process's rank among those that train together, and how many they are."""
    backend = keras.backend.backend()
    if backend == "jax":
        jax = sys.modules["jax"]
        return max(defaults().rank, jax.process_index()), jax.process_count()
    together = sys.modules["torch"].distributed if backend == "torch" else None
    if together and together.is_available() and together.is_initialized():
        return together.get_rank(), together.get_world_size()
    return defaults().rank, 1


def learning_rate_of(model: Any, prefix: str = "") -> dict[str, float]:
    """As it is now, whatever sets it."""
    rate = getattr(model.optimizer, "learning_rate", None)
    if rate is None:
        return {}
    return {f"{prefix}learning_rate": _written(float(rate))}


def _written(value: float) -> float:
    """A float32 as people write it: 0.001, not 0.0010000000474974513."""
    return float(f"{value:.7g}")


def facts_of(model: Any) -> dict[str, Any]:
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    facts: dict[str, Any] = {
        "model": {
            "name": model.name,
            "class": type(model).__name__,
            "parameters": sum(math.prod(weight.shape) for weight in model.weights),
            "trainable_parameters": trainable,
            "backend": keras.backend.backend(),
        }
    }
    if model.optimizer is None:
        return facts
    config: dict[str, Any] = {"class": type(model.optimizer).__name__}
    try:
        config |= model.optimizer.get_config()
    except NotImplementedError:  # a schedule of the user's own that has no configuration
        config["name"] = model.optimizer.name
    if isinstance(config.get("learning_rate"), float):
        config["learning_rate"] = _written(config["learning_rate"])
    return facts | {"optimizer": config}
