"""From what users pass as parameters to typed JSON under flat names.

Nested mappings, dataclasses, namespaces and the configurations of OmegaConf flatten with `/`.
Numbers, strings, bools, None, lists and empty dicts keep their type; sets become sorted lists;
arrays become nested lists; classes and functions their qualified name; anything else its repr,
without memory addresses.
A value is at most one megabyte. Secrets are masked by `is_secret`.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import PurePath
from types import SimpleNamespace
from typing import Any

import orjson

from podstack.errors import UsageError, WrongTypeError
from podstack.names import check_name, short

JsonValue = Any  # None, bool, int, float, str, or lists and dicts of these

MASK = "••••••"
MAX_VALUE = 1_000_000  # bytes of one parameter as JSON
MAX_DEPTH = 64
_MAX_REPR = 2_000
_MAX_ARRAY = 1_000  # numbers; larger arrays are described, not listed

_SECRET = re.compile(
    r"api_?key|secret|passw(or)?d|passphrase|credential|private_?key"
    r"|token(?!s|i[sz]|_?(type|count|len|limit|size|num|id))",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def flat_parameters(values: object) -> dict[str, JsonValue]:
    """`values` as `{name: JSON value}`, secrets masked.

    Raises:
        WrongTypeError: `values` is no mapping, dataclass or namespace, or a name is not text.
        UsageError: a name is empty or too long, a value holds itself, nests deeper than 64 or
            is larger than 1 MB; the parameter is named.
    """
    fields = _as_mapping(_container(values))
    if fields is None:
        raise WrongTypeError(
            f"log_params takes a dict of names and values, not {short(values)}. "
            "Write run.log_params({'lr': 0.001})."
        )
    return {name: _bounded(name, value) for name, value in _flatten("", fields, MAX_DEPTH)}


def is_secret(name: str, value: object) -> bool:
    """Whether a parameter is a secret: a text whose name says token, key, password or the like.

    So are the texts in a list or a dict of such a name. Numbers are never masked, nor are counts
    and kinds: `max_tokens`, `tokenizer`, `token_type`.
    """
    return isinstance(value, str) and bool(value) and _SECRET.search(name) is not None


def _flatten(prefix: str, fields: Mapping[Any, Any], depth: int) -> Iterator[tuple[str, Any]]:
    if not depth:
        raise UsageError(
            f"Parameters nest more than {MAX_DEPTH} deep at {short(prefix)}: does one hold itself?"
        )
    for key, value in fields.items():
        text = key if isinstance(key, str) else _key_text(key)
        name = prefix + check_name("parameter", text)  # an f-string would ask an Enum for its own
        value = _container(value)
        below = _as_mapping(value)
        if below:
            yield from _flatten(f"{name}/", below, depth - 1)
        else:
            yield check_name("parameter", name), {} if below is not None else value


def _key_text(key: object) -> str:
    if isinstance(key, (int, float, bool)):
        return str(key)  # {0: "cat", 1: "dog"} is a common kind of parameter
    raise WrongTypeError(f"A parameter name must be a string, not {short(key)}.")


def _container(value: Any) -> Any:
    """A configuration of OmegaConf's as dicts and lists; whatever else as it is.

    What it refers to is put in. What is missing stays "???", and where something refers to that,
    all references stay as they are written.
    """
    if type(value).__module__.partition(".")[0] != "omegaconf":
        return value
    omegaconf = sys.modules["omegaconf"]
    if not omegaconf.OmegaConf.is_config(value):
        return value
    try:
        return omegaconf.OmegaConf.to_container(value, resolve=True)
    except omegaconf.errors.OmegaConfBaseException:
        return omegaconf.OmegaConf.to_container(value, resolve=False)


def _as_mapping(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, Mapping):
        return value
    fields = getattr(type(value), "__dataclass_fields__", None)
    if fields is not None:
        return {name: getattr(value, name) for name in fields if hasattr(value, name)}
    if isinstance(value, SimpleNamespace) or type(value).__name__ == "Namespace":
        return dict(vars(value))
    return None


def _bounded(name: str, value: Any) -> JsonValue:
    if isinstance(value, str) and len(value) > MAX_VALUE:
        raise _too_large(name, len(value))
    try:
        plain = _plain(name, value, MAX_DEPTH)
        size = len(orjson.dumps(plain))
    except UsageError:
        raise
    except Exception as error:  # a foreign value may raise anything
        raise UsageError(
            f"Parameter {short(name)} cannot be written as JSON: {short(error)}."
        ) from error
    if size > MAX_VALUE:
        raise _too_large(name, size)
    return plain


def _too_large(name: str, size: int) -> UsageError:
    return UsageError(
        f"Parameter {short(name)} takes at least {size:,} bytes; at most {MAX_VALUE:,} are kept. "
        "Log it as a file: run.log_artifact(path)."
    )


def _plain(name: str, value: Any, depth: int) -> JsonValue:
    """`value` in JSON's own types."""
    if not depth:
        raise UsageError(
            f"Parameter {short(name)} nests more than {MAX_DEPTH} deep: does it hold itself?"
        )
    value = _container(value)
    if is_secret(name, value):
        return MASK
    if value is None or isinstance(value, (bool, str)):
        return _text(value) if isinstance(value, str) else value
    if isinstance(value, Enum):
        return _plain(name, value.value, depth - 1)
    if isinstance(value, int):
        return int(value) if -(1 << 63) <= value < 1 << 64 else str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _word(value)
    if isinstance(value, (list, tuple, set, frozenset)) and 2 * len(value) > MAX_VALUE:
        raise _too_large(name, 2 * len(value))  # known before minutes are spent on it
    if isinstance(value, (list, tuple)):
        return [_plain(name, item, depth - 1) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(
            (_plain(name, item, depth - 1) for item in value),
            key=lambda item: (str(type(item)), str(item)),
        )
    below = _as_mapping(value)
    if below is not None:
        fields = {_text(str(key)): item for key, item in below.items()}
        return {key: _plain(f"{name}/{key}", item, depth - 1) for key, item in fields.items()}
    return _foreign(name, value, depth)


def _foreign(name: str, value: Any, depth: int) -> JsonValue:
    if isinstance(value, PurePath):
        return _text(str(value))
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return _text(f"{value.__module__}.{value.__qualname__}")
    shape = getattr(value, "shape", None)
    if shape is not None and callable(getattr(value, "tolist", None)):
        small = isinstance(shape, tuple) and math.prod(shape) <= _MAX_ARRAY
        return (
            _plain(name, value.tolist(), depth - 1)
            if small
            else f"<{type(value).__name__} of shape {tuple(shape)}>"
        )
    return _repr(value)


def _repr(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # a foreign __repr__ may raise anything; its type still says something
        text = f"<{type(value).__module__}.{type(value).__qualname__}>"
    text = _ADDRESS.sub("", text)
    return _text(
        text if len(text) <= _MAX_REPR else f"{text[:_MAX_REPR]}… ({len(text):,} characters)"
    )


def _text(text: str) -> str:
    """`text` as it can be stored: half a surrogate pair becomes its escape."""
    return text.encode("utf-8", "backslashreplace").decode()


def _word(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
