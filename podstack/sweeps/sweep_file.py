"""A sweep written down in a file: YAML or JSON, in our spelling or in that of W&B.

    name: digits                            method: bayes              # W&B's
    experiment: digits                      metric: {name: val_acc, goal: maximize}
    strategy: bayesian                      run_cap: 20
    objective: {metric: val_acc, direction: maximize}
    max_trials: 20                          parameters:
    parameters:                               lr: {distribution: log_uniform_values, min: …, max: …}
      lr: {min: 1e-4, max: 0.1, distribution: log_uniform}
    command: [python, train.py, "--lr={lr}"]

Of both, `command` and `program` are for the agent; they stay in the file, and never come from a
store. What W&B means otherwise than we do is told as notes. A file is data: it is read by a loader
that makes numbers, texts, lists and dicts, and nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from podstack.errors import MissingExtraError, UsageError, WrongTypeError
from podstack.names import short

if TYPE_CHECKING:
    from podstack.client import MLOpsClient
    from podstack.sweeps.sweep import Sweep

_LARGEST = 1_000_000  # bytes
_MOST_NODES = 100_000  # values, where the anchors of YAML are written out
_OURS = (
    *("name", "experiment", "strategy", "parameters", "search_space"),
    *("objective", "objective_metric", "direction", "max_trials", "seed", "sampler"),
    *("target", "patience", "max_time", "pruner", "command", "program"),
)
_WANDBS = (
    *("name", "method", "metric", "parameters", "run_cap", "early_terminate"),
    *("command", "program", "description", "project", "entity"),
)
_METHODS = {"grid": "grid", "random": "random", "bayes": "bayesian"}
_IGNORED = {
    "description": "has no place in a sweep",
    "project": "is named with --project, and PODSTACK_PROJECT",
    "entity": "is nothing that a store has",
}
# YAML 1.1 takes 1e-4 for a text. Everybody who writes a learning rate means a number.
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)")


class SweepFile(NamedTuple):
    """What a file says. An argument that it does not give is None.

    notes: differences to what its author may expect, one sentence each.
    """

    name: str | None
    experiment: str | None
    strategy: str | None
    parameters: Mapping[str, Any]
    metric: str | None
    direction: str | None
    max_trials: int | None
    seed: int | None = None
    sampler: str | None = None
    target: float | None = None
    patience: int | None = None
    max_time: float | None = None
    pruner: str | None = None
    command: tuple[str, ...] = ()
    program: str | None = None
    notes: tuple[str, ...] = ()

    def create(self, client: MLOpsClient, *, experiment: str | None = None) -> Sweep:
        """Make the sweep that it describes.

        Args:
            experiment: instead of the one in the file; it is made where there is none.

        Raises: as `MLOpsClient.create_sweep`.
        """
        wanted = experiment or self.experiment or self.name
        made = None if wanted is None else client.create_experiment(wanted).id
        return client.create_sweep(
            made,
            self.strategy,
            self.parameters,
            self.metric,
            self.max_trials,
            self.direction,
            name=self.name,
            seed=self.seed,
            sampler=self.sampler,
            target=self.target,
            patience=self.patience,
            max_time=self.max_time,
            pruner=self.pruner,
        )


def read(path: Path) -> SweepFile:
    """
    Raises:
        UsageError: it is missing, too large, no YAML or JSON, or says what cannot be meant; the
            message names the place.
        MissingExtraError: PyYAML is not installed.
    """
    said = _loaded(path)
    if not isinstance(said, dict) or not all(isinstance(key, str) for key in said):
        raise UsageError(f"{path} is no sweep: it holds {short(said)}, not `parameters:` and more.")
    _check_size(said, path)
    found = _wandbs(said, path) if "method" in said else _ours(said, path)
    return found._replace(program=_beside(found.program, path))


# Reading ---------------------------------------------------------------------------------------


def _loaded(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from error
    if len(data) > _LARGEST:
        raise UsageError(f"{path} is larger than {_LARGEST:,} bytes, so it is no sweep.")
    try:
        text = data.decode("utf-8-sig")
        return json.loads(text) if path.suffix == ".json" else _yaml(text, path)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no {path.suffix[1:] or 'YAML'}: {error}") from error


def _yaml(text: str, path: Path) -> Any:
    try:
        import yaml  # type: ignore[import-untyped]  # it ships no types
    except ModuleNotFoundError as error:
        raise MissingExtraError.for_(error, extra="sweeps", also=("yaml",)) from error

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Numbers, texts, lists and dicts; a key that is there twice is refused."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
            twice = [key for key in keys if isinstance(key, str) and keys.count(key) > 1]
            if twice:
                line = node.start_mark.line + 1
                raise UsageError(f"{path}: {short(twice[0])} stands twice below line {line}.")
            return super().construct_mapping(node, deep=deep)

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+0123456789."))
    try:
        return yaml.load(text, Loader)  # a SafeLoader
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is no YAML: {error}") from error


def _check_size(said: Any, path: Path) -> None:
    """A few anchors of YAML can stand for more values than a memory holds."""
    left = _MOST_NODES
    waiting = [said]
    while waiting:
        value = waiting.pop()
        left -= 1
        if left < 0:
            raise UsageError(f"{path} holds more than {_MOST_NODES:,} values, so it is no sweep.")
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _beside(program: str | None, path: Path) -> str | None:
    """A program is named as seen from here, or from the file."""
    if program is None or Path(program).exists():
        return program
    beside = path.parent / program
    return str(beside) if beside.exists() else program


# What it says ----------------------------------------------------------------------------------


def _ours(said: Mapping[str, Any], path: Path) -> SweepFile:
    _check_keys(said, _OURS, path)
    objective = said.get("objective") or {}
    if isinstance(objective, str):
        objective = {"metric": objective}
    objective = _dict(objective, "objective", path)
    _check_keys(objective, ("metric", "direction"), path, below="objective: ")
    return SweepFile(
        name=_text(said, "name", path),
        experiment=_text(said, "experiment", path),
        strategy=_text(said, "strategy", path),
        parameters=_parameters(said, path),
        metric=_text(said, "objective_metric", path) or _text(objective, "metric", path),
        direction=_text(said, "direction", path) or _text(objective, "direction", path),
        max_trials=said.get("max_trials"),
        seed=said.get("seed"),
        sampler=_text(said, "sampler", path),
        target=said.get("target"),
        patience=said.get("patience"),
        max_time=said.get("max_time"),
        pruner=_text(said, "pruner", path),
        command=_words(said, path),
        program=_text(said, "program", path),
    )


def _wandbs(said: Mapping[str, Any], path: Path) -> SweepFile:
    from podstack.sweeps import spellings

    _check_keys(said, _WANDBS, path)
    metric = _dict(said.get("metric") or {}, "metric", path)
    _check_keys(metric, ("name", "goal", "target"), path, below="metric: ")
    parameters, notes = spellings.from_wandb(_parameters(said, path))
    pruner, more = _early_end(said, path)
    return SweepFile(
        name=_text(said, "name", path),
        experiment=None,
        strategy=_method(said["method"], path),
        parameters=parameters,
        metric=_text(metric, "name", path),
        direction=_text(metric, "goal", path) or "minimize",
        max_trials=said.get("run_cap"),
        target=metric.get("target"),
        pruner=pruner,
        command=_words(said, path),
        program=_text(said, "program", path),
        notes=(*_ignored(said), *notes, *more),
    )


def _method(method: object, path: Path) -> str:
    if not isinstance(method, str) or method not in _METHODS:
        raise UsageError(f"{path}: method is one of {', '.join(_METHODS)}, not {short(method)}.")
    return _METHODS[method]


def _ignored(said: Mapping[str, Any]) -> Iterable[str]:
    for key, why in _IGNORED.items():
        if key in said:
            yield f"{key} {why}; it is left out."
    if "goal" not in (said.get("metric") or {}):
        yield "metric has no goal; as in W&B it is minimized."
    if "run_cap" not in said and said["method"] != "grid":
        yield "without run_cap the sweep goes on until it is stopped."


def _early_end(said: Mapping[str, Any], path: Path) -> tuple[str | None, list[str]]:
    wanted = _dict(said.get("early_terminate") or {}, "early_terminate", path)
    if not wanted:
        return None, []
    if wanted.get("type") != "hyperband":
        raise UsageError(
            f"{path}: early_terminate: type is hyperband, not {short(wanted.get('type'))}."
        )
    others = ", ".join(key for key in wanted if key != "type")
    note = "early_terminate: trials end early only where the program asks trial.should_prune()."
    left = f"early_terminate: {others}: the brackets are chosen by Optuna; they are left out."
    return "hyperband", [note, *([left] if others else [])]


def _parameters(said: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    key = "search_space" if "search_space" in said else "parameters"
    if key not in said:
        raise UsageError(f"{path} has no parameters: write `parameters:` and what to search.")
    return _dict(said[key], key, path)


def _words(said: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """The command as its words; a text is split as a shell would, and no shell sees it."""
    command = said.get("command")
    if command is None:
        return ()
    if isinstance(command, str):
        import shlex

        return tuple(shlex.split(command))
    if not isinstance(command, list) or any(isinstance(word, (dict, list)) for word in command):
        raise WrongTypeError(
            f"{path}: command is a text or a list of words, not {short(command)}. A word with "
            "braces stands in quotes: '--lr={lr}'."
        )
    return tuple(str(word) for word in command)


def _text(said: Mapping[str, Any], key: str, path: Path) -> str | None:
    value = said.get(key)
    if value is None or isinstance(value, str):
        return value
    raise WrongTypeError(f"{path}: {key} is a text, not {short(value)}.")


def _dict(value: object, key: str, path: Path) -> dict[str, Any]:
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return value
    raise WrongTypeError(f"{path}: below {key} stand names and values, not {short(value)}.")


def _check_keys(said: Mapping[str, Any], known: Iterable[str], path: Path, below: str = "") -> None:
    wrong = [key for key in said if key not in known]
    if not wrong:
        return
    from difflib import get_close_matches

    near = get_close_matches(wrong[0], list(known), n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise UsageError(f"{path}: {below}{short(wrong[0])} is none of {', '.join(known)}.{hint}")
