"""What op logs may say, by path: the tables of FORMAT.md as code.

Readers need none of this, for they take what they understand. It is for whoever asks whether a
log is whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from podstack.names import STATUSES, is_id

Check = Callable[[Any], bool]

_STAMP = re.compile(r"[0-9a-f]{16}")
_TRIAL_PATH = re.compile(r"trials/[1-9][0-9]{0,5}/(.+)", re.DOTALL)


def is_stamp(stamp: str) -> bool:
    """Whether `stamp` is one of a hybrid logical clock."""
    return _STAMP.fullmatch(stamp) is not None


def of_run(path: str, value: Any) -> bool | None:
    """Whether a run may have that value at that path; None for a path that is not known."""
    return _judged(_RUN, path, value)


def of_experiment(path: str, value: Any) -> bool | None:
    """The same for an experiment."""
    return _judged(_EXPERIMENT, path, value)


def of_sweep(path: str, value: Any) -> bool | None:
    """The same for a sweep."""
    trial = _TRIAL_PATH.fullmatch(path)
    return _judged(_SWEEP, path, value) if trial is None else _judged(_TRIAL, trial[1], value)


def of_views(path: str, value: Any) -> bool | None:
    """The same for the saved views of a project."""
    return _judged(_VIEWS, path, value)


def are_seals(value: Any) -> bool:
    """Whether `value` is a writer's list of [bytes, CRC-32], or None where one is not known."""
    return isinstance(value, list) and all(seal is None or _seal(seal) for seal in value)


def _seal(value: Any) -> bool:
    return isinstance(value, list) and [type(part) for part in value] == [int, int]


def _judged(table: Mapping[str, Check], path: str, value: Any) -> bool | None:
    field, slash, _ = path.partition("/")
    check = table.get(path) or table.get(f"{field}/*" if slash else "")
    return None if check is None else check(value)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _true(value: Any) -> bool:
    return value is True


def _anything(value: Any) -> bool:
    return value is not None


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _measure(value: Any) -> bool:
    return _number(value) or value in ("NaN", "Infinity", "-Infinity")


def _table(value: Any) -> bool:
    return isinstance(value, dict)


def _list(value: Any) -> bool:
    return isinstance(value, list)


def _objective(value: Any) -> bool:
    return _table(value) and _text(value.get("metric")) and _text(value.get("direction"))


def _status(value: Any) -> bool:
    return value in STATUSES


def _writer(value: Any) -> bool:
    return _table(value) and value.get("role") in ("main", "resume", "child")


def _closed(value: Any) -> bool:
    return _table(value) and _status(value.get("status")) and _number(value.get("next_step"))


def _artifact(value: Any) -> bool:
    return (
        _table(value)
        and _text(value.get("key"))
        and _number(value.get("size"))
        and _number(value.get("time"))
        and isinstance(value.get("sha256", ""), str)
    )


_RUN: dict[str, Check] = {
    "name": _text,
    "status": _status,
    "experiment": is_id,
    "user": _text,
    "created": _number,
    "ended": _number,
    "error": _text,
    "parent": is_id,
    "sweep": _table,
    "params/*": _anything,
    "tags/*": _true,
    "notes": _text,
    "datasets/*": _table,
    "artifacts/*": _artifact,
    "alerts/*": _table,
    "fired/*": _table,
    "environment/*": _anything,
    "summary/*": _anything,
    "writers/*": _writer,
    "closed/*": _closed,
    "seals/*": are_seals,
    "authors/*": _text,
    "deleted": _true,
    "stop": _true,
}

_SWEEP: dict[str, Check] = {
    "name": _text,
    "user": _text,
    "created": _number,
    "experiment": is_id,
    "strategy": _text,
    "options": _table,
    "seed": _number,
    "parameters": _table,
    "objective": _objective,
    "max_trials": _number,
    "stopping": _table,
    "pruner": _text,
    "warm": _list,
    "stop": _table,
    "authors/*": _text,
    "deleted": _true,
}

_TRIAL: dict[str, Check] = {
    "params": _table,
    "status": _status,
    "value": _measure,
    "metrics": _table,
    "reports/*": _measure,
    "pruned": _true,
    "run": is_id,
    "error": _text,
    "worker": _table,
    "started": _number,
    "ended": _number,
    "label": _text,
}

_EXPERIMENT: dict[str, Check] = {
    "name": _text,
    "description": _text,
    "created": _number,
    "tags/*": _true,
    "authors/*": _text,
    "archived": _true,
    "deleted": _true,
}

_VIEWS: dict[str, Check] = {
    "views/*": _table,
    "authors/*": _text,
}
