"""How a trial's parameters become a command: placeholders, W&B's macros, or appended arguments.

- `{lr}` anywhere in a word is the value of `lr`, `{optimizer.lr}` or `{optimizer/lr}` of a nested
  parameter
- a word that is `${args}`, `${args_no_hyphens}`, `${args_no_boolean_flags}`, `${args_json}`,
  `${program}`, `${interpreter}`, `${env}` or `${envvar:NAME}` is what W&B's agent puts there
- a command with neither gets `--name=value` appended for each parameter

No shell sees any of it, so a value is part of one argument whatever it holds. Values are spelled as
Python does: `True`, `None`, `0.001`.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from podstack import config
from podstack.errors import UsageError
from podstack.names import printable

_PLACEHOLDER = re.compile(r"(?<!\$)\{([A-Za-z_][A-Za-z0-9_./-]*)\}")
_MACRO = re.compile(r"\$\{([^{}]*)\}")
_VARIABLE = "envvar:"
_ARGUMENTS = ("args", "args_no_hyphens", "args_no_boolean_flags", "args_json")
MACROS = (*_ARGUMENTS, "program", "interpreter", "env", f"{_VARIABLE}NAME")
_SHOWN = 200  # characters
WANDB_DEFAULT = ("${env}", "${interpreter}", "${program}", "${args}")


class Command(NamedTuple):
    """A command with room for parameters.

    Args:
        words: the program and its arguments.
        names: the sweep's parameters, flat; a trial may lack those that are conditional.
        program: what `${program}` stands for.
    """

    words: tuple[str, ...]
    names: tuple[str, ...]
    program: str | None = None

    @classmethod
    def of(
        cls, words: Sequence[str], names: Iterable[str], *, program: str | None = None
    ) -> Command:
        """
        Raises:
            UsageError: no word, a macro that there is not, or what looks like a misspelt parameter.
        """
        if not words and program is not None:
            words = WANDB_DEFAULT
        if not words:
            raise UsageError(
                "The agent needs a command: podstack sweep agent SWEEP -- python train.py, or a "
                "file with `command:` or `program:`."
            )
        made = cls(tuple(words), tuple(names), program)
        for word in words:
            made._check(word)
        return made

    @property
    def appends(self) -> bool:
        """Whether the parameters go behind the words, for these name none."""
        return not self._named and not any(_macro(word) in _ARGUMENTS for word in self.words)

    @property
    def unused(self) -> list[str]:
        """Parameters that the command is not told of, except by the environment."""
        everything = self.appends or any(_macro(word) in _ARGUMENTS for word in self.words)
        return [] if everything else [name for name in self.names if name not in self._named]

    def fill(self, params: Mapping[str, Any], nested: Mapping[str, Any]) -> list[str]:
        """The words for one trial, with its parameters flat and as the user nested them.

        A word with a conditional parameter that this trial lacks is left out, together with the
        option before it: of `--momentum {momentum}` nothing stays.
        """
        words: list[str] = []
        for word in self.words:
            macro = _macro(word)
            if macro is not None:
                words += self._expanded(macro, params, nested)
            elif self._lacks(word, params):
                if words and _PLACEHOLDER.fullmatch(word) and _is_option(words[-1]):
                    words.pop()
            else:
                words.append(self._filled(word, params))
        return words + (_arguments(params) if self.appends else [])

    @property
    def _named(self) -> set[str]:
        found = (self._meant(name) for word in self.words for name in _PLACEHOLDER.findall(word))
        return {name for name in found if name in self.names}

    def _meant(self, name: str) -> str:
        """The parameter that a placeholder names: `a.b` is `a/b`, unless one is called so."""
        return name if name in self.names else name.replace(".", "/")

    def _check(self, word: str) -> None:
        macro = _macro(word)
        if macro is not None:
            self._check_macro(macro)
            return
        for name in _PLACEHOLDER.findall(word):
            near = get_close_matches(self._meant(name), self.names, n=1, cutoff=0.75)
            if near and self._meant(name) not in self.names:
                raise UsageError(
                    f"{{{name}}} in the command is no parameter of the sweep, which has "
                    f"{', '.join(self.names)}. Did you mean {{{near[0]}}}?"
                )

    def _check_macro(self, macro: str) -> None:
        if macro == "program" and self.program is None:
            raise UsageError("${program} in the command needs `program:` in the file.")
        if macro not in MACROS and not macro.startswith(_VARIABLE):
            known = ", ".join(f"${{{name}}}" for name in MACROS)
            raise UsageError(
                f"${{{macro}}} in the command is none of {known}. No shell reads the command: "
                "for a variable of the environment write ${envvar:NAME}."
            )

    def _expanded(
        self, macro: str, params: Mapping[str, Any], nested: Mapping[str, Any]
    ) -> list[str]:
        if macro.startswith(_VARIABLE):
            return [config.variable(macro.removeprefix(_VARIABLE))]
        if macro == "args_json":
            return [json.dumps(nested)]
        plain: dict[str, list[str]] = {
            "program": [self.program or ""],
            "interpreter": [sys.executable],
            "env": [] if os.name == "nt" else ["/usr/bin/env"],
        }
        return plain[macro] if macro in plain else _arguments(params, macro)

    def _lacks(self, word: str, params: Mapping[str, Any]) -> bool:
        named = map(self._meant, _PLACEHOLDER.findall(word))
        return any(name in self.names and name not in params for name in named)

    def _filled(self, word: str, params: Mapping[str, Any]) -> str:
        def value(match: re.Match[str]) -> str:
            name = self._meant(match[1])
            return as_text(params[name]) if name in params else match[0]

        return _PLACEHOLDER.sub(value, word)


def as_text(value: Any) -> str:
    """A value as an argument spells it: as Python prints it."""
    return str(value)


def _arguments(params: Mapping[str, Any], macro: str = "args") -> list[str]:
    """One for each parameter; nested names with dots, as Hydra, jsonargparse and Fire read them."""
    hyphens = "" if macro == "args_no_hyphens" else "--"
    words = []
    for name, value in params.items():
        spelled = hyphens + name.replace("/", ".")
        if macro == "args_no_boolean_flags" and isinstance(value, bool):
            words += [spelled] if value else []
        else:
            words.append(f"{spelled}={as_text(value)}")
    return words


def _macro(word: str) -> str | None:
    """The macro that a whole word is."""
    match = _MACRO.fullmatch(word)
    return None if match is None else match[1]


def _is_option(word: str) -> bool:
    return word.startswith("-") and "=" not in word


def shown(words: Sequence[str]) -> str:
    """A command as one line for a person."""
    from shlex import join

    text = printable(join(words))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
