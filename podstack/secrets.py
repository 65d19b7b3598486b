"""The one rule for secrets in text: command lines, remotes, what a program prints.

Masked are: the value of a name that `parameters.is_secret` knows (`--api-key=…`, `--password x`,
`token=…`, `{"secret": "…"}`), the user part of a URL that holds a password or a token, and texts
in the shape of a well-known kind of token, whatever stands before them. What no rule can know, a
password given as a bare word, is kept as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from podstack.parameters import MASK, is_secret

# Patterns as text: compiled when first used, in the background, not where a run starts.
_TOKEN = (
    r"(?<![A-Za-z0-9])(?:"
    r"hf_[A-Za-z0-9]{20,}"  # Hugging Face
    r"|sk-[A-Za-z0-9_-]{20,}|sk_(?:live|test)_[A-Za-z0-9]{16,}"  # OpenAI, Anthropic, Stripe
    r"|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}"  # GitHub
    r"|glpat-[A-Za-z0-9_-]{20,}"  # GitLab
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"  # AWS key ids
    r"|AIza[A-Za-z0-9_-]{35}"  # Google
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}"  # Slack
    r"|pypi-[A-Za-z0-9_-]{50,}|npm_[A-Za-z0-9]{36}"  # package registries
    r"|eyJ[A-Za-z0-9_-]{10,600}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,}"  # JSON web tokens
    r")"
)
_TOKEN_MARKS = (
    *("hf_", "sk-", "sk_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-"),
    *("AKIA", "ASIA", "AIza", "xox", "pypi-", "npm_", "eyJ"),
)
_BEARER = (
    r"(?i)\b((?:bearer|authorization[\"']?[ \t]*[:=][ \t]*[\"']?(?:basic|token))[ \t]+)"
    r"[A-Za-z0-9._~+/=-]{16,}"
)
_BEARER_MARKS = ("earer", "uthorization", "EARER", "UTHORIZATION")
# Names and schemes begin where a word does: so that a long word is looked at once, not n times.
_USER_PART = r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]*://)([^\s/?#@'\"]*)@"
_PASSWORD_PART = r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]*://[^\s/?#@:'\"]*:)[^\s/?#@'\"]+@"
_SETTING = (
    r"""(?<![A-Za-z0-9_.-])[.-]*(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)"""
    r"""\\*["']?[ \t]*(?:=|:(?!//))[ \t]*\\*"""  # also within quotes within quotes
)
_VALUE = r"""(?s)(?P<quote>["'])(?:(?!(?P=quote)).)*(?P=quote)?|[^\s,;&"'{}\[\]()]+"""
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_OPTION = r"[+-]*(?P<name>[A-Za-z_][A-Za-z0-9_./-]*)"


def masked(text: str) -> str:
    """`text` without secrets: values of secret names, and what `without_tokens` masks."""
    text = without_tokens(text)
    parts, end = [], 0
    for setting in re.finditer(_SETTING, text):
        if setting.start() < end or not _is_secret_name(setting["name"]):
            continue
        value = re.compile(_VALUE).match(text, setting.end())
        if value and not _is_count(setting["name"], value[0]):
            quote = value["quote"] or ""
            parts += [text[end : setting.end()], quote, MASK, quote]
            end = value.end()
    return "".join([*parts, text[end:]])


def without_tokens(text: str) -> str:
    """`text` without tokens of well-known shape and without passwords in URLs.

    For text in which `token = next(stream)` is no secret, such as program code.
    """
    if any(mark in text for mark in _TOKEN_MARKS):  # a megabyte in 5 ms, not in 60
        text = re.sub(_TOKEN, MASK, text)
    if any(mark in text for mark in _BEARER_MARKS):
        text = re.sub(_BEARER, rf"\g<1>{MASK}", text)
    return re.sub(_PASSWORD_PART, rf"\g<1>{MASK}@", text) if "://" in text else text


def masked_arguments(arguments: Iterable[str]) -> list[str]:
    """A command's arguments without secrets; `--password` also masks the one that follows it."""
    found: list[str] = []
    awaited = False
    for argument in arguments:
        if awaited and not _is_option(argument):
            found.append(MASK if argument else argument)
            awaited = False
            continue
        found.append(_masked_argument(argument))
        awaited = _asks_for_secret(argument)
    return found


def without_user(url: str) -> str:
    """A remote without its user part, but for the `git@` that a server needs to be reached."""
    return re.sub(_USER_PART, _kept_user, without_tokens(url))


def _kept_user(match: re.Match[str]) -> str:
    scheme, user = match[1], match[2]
    needed = scheme.lower() in ("ssh://", "git+ssh://") and re.fullmatch(r"[A-Za-z0-9._-]+", user)
    return f"{scheme}{user}@" if needed else scheme


def _masked_argument(argument: str) -> str:
    name, equals, value = argument.partition("=")
    option = re.fullmatch(_OPTION, name)
    if equals and option and _is_secret_name(option["name"]):
        return f"{name}={MASK}" if value else argument
    return masked(argument)


def _is_count(name: str, value: str) -> bool:
    """`token: 17` is what language models print all day."""
    return "token" in name.lower() and re.fullmatch(_NUMBER, value) is not None


def _is_option(argument: str) -> bool:
    """Whether it is the next option, not a value: a secret may begin with a single `-`."""
    return argument.startswith("--") or (argument.startswith("-") and len(argument) <= 2)


def _asks_for_secret(argument: str) -> bool:
    option = re.fullmatch(_OPTION, argument)
    return bool(option) and argument.startswith("-") and _is_secret_name(option["name"])  # type: ignore[index]


def _is_secret_name(name: str) -> bool:
    return is_secret(name.replace("-", "_"), "text")
