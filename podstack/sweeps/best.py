"""Parameters to copy: as Python, as YAML, as the arguments of a command.

What is copied is exact: Python and YAML give back the same values and types, the command the same
texts. Of these, Python and YAML never hold what would steer a terminal.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from math import isinf, isnan
from typing import TYPE_CHECKING, Any

from podstack.errors import UsageError
from podstack.names import short
from podstack.sweeps.records import JsonValue

if TYPE_CHECKING:
    from podstack.sweeps.sweep import Sweep

FORMS = ("python", "yaml", "command")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
# What YAML 1.1 takes for a bool or for null, and 1.2 for a text.
_WORDS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])
_SIMPLE_KEY = 1_000  # characters; YAML allows 1,024 before the colon


def best_as(sweep: Sweep, form: str) -> str:
    """The best parameters of a sweep to copy: `python`, `yaml` or `command`.

    Raises:
        UsageError: there is no such form, or no completed trial yet.
    """
    if form not in FORMS:
        raise UsageError(f"The best parameters come as {', '.join(FORMS)}, not {short(form)}.")
    best = sweep.best_trial
    if best is None:
        raise UsageError(
            f"Sweep {short(sweep.name)} has no completed trial with a value yet, so none is best."
        )
    if form == "command":
        return as_command(best.params)
    nested = sweep.definition.space.nested(best.params)
    return as_python(nested) if form == "python" else as_yaml(nested)


# Python --------------------------------------------------------------------------------------


def as_python(nested: Mapping[str, Any]) -> str:
    """A dict as Python writes it, one parameter a line; `ast.literal_eval` gives it back."""
    return "\n".join(_python(nested, ""))


def _python(nested: Mapping[str, Any], indent: str) -> list[str]:
    if not nested:
        return ["{}"]
    lines = ["{"]
    for name, value in nested.items():
        first, *rest = _python(value, f"{indent}    ") if _is_group(value) else [_literal(value)]
        shown = [f"{indent}    {_literal(name)}: {first}", *rest]
        lines += [*shown[:-1], f"{shown[-1]},"]
    return [*lines, f"{indent}}}"]


def _literal(value: JsonValue) -> str:
    if isinstance(value, float) and isinf(value):
        return "1e999" if value > 0 else "-1e999"
    return repr(value)


def _is_group(value: Any) -> bool:
    return isinstance(value, Mapping)


# YAML ----------------------------------------------------------------------------------------


def as_yaml(nested: Mapping[str, Any]) -> str:
    """Block YAML that 1.1 and 1.2 read alike; `yaml.safe_load` gives the same dict."""
    return "\n".join(_yaml(nested, "")) if nested else "{}"


def _yaml(nested: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, value in nested.items():
        key = _yaml_text(name)
        head = f"{indent}{key}:" if len(key) < _SIMPLE_KEY else f"{indent}? {key}\n{indent}:"
        if _is_group(value) and value:
            yield head
            yield from _yaml(value, f"{indent}  ")
        else:
            yield f"{head} {'{}' if _is_group(value) else _yaml_scalar(value)}"


def _yaml_scalar(value: JsonValue) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _yaml_float(value)
    return _yaml_text(value) if isinstance(value, str) else str(value)


def _yaml_float(value: float) -> str:
    if isnan(value):
        return ".nan"
    if isinf(value):
        return ".inf" if value > 0 else "-.inf"
    digits, e, exponent = repr(value).partition("e")
    # To YAML 1.1, `1e-05` is a text.
    return f"{digits}{'' if '.' in digits else '.0'}{e}{exponent}"


def _yaml_text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return f'"{"".join(map(_yaml_letter, text))}"'


def _yaml_letter(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    if letter.isprintable():
        return letter
    code = ord(letter)
    return (
        f"\\x{code:02x}"
        if code < 0x100
        else f"\\u{code:04x}"
        if code < 0x10000
        else f"\\U{code:08x}"
    )


# Command -------------------------------------------------------------------------------------


def as_command(flat: Mapping[str, JsonValue]) -> str:
    """`--lr=0.01 --optimizer.name=adam`, quoted for a POSIX shell; `shlex.split` undoes it.

    Values are spelled as Python does: `True`, `None`, `1e-05`; a text is as it is.

    Raises:
        UsageError: a name or a value holds a NUL, which no argument can.
    """
    return shlex.join(_argument(name, value) for name, value in flat.items())


def _argument(name: str, value: JsonValue) -> str:
    word = f"--{name.replace('/', '.')}={value}"
    if "\0" in word:
        raise UsageError(
            f"Parameter {short(name)} holds a NUL, which no command line can. Use python or yaml."
        )
    return word
