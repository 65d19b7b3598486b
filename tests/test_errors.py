"""Errors: one tree, drawn in the module's docstring, and each of them survives a pickle."""

from __future__ import annotations

import pickle
import re

import pytest

from podstack import errors
from podstack.errors import (
    BackendError,
    BackendUnavailable,
    BlobMissing,
    DamagedError,
    MissingExtraError,
    NotFoundError,
    PodstackError,
    RunClosedError,
    TrialsFailedError,
    UsageError,
    WrongTypeError,
)

ALL = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, PodstackError)
}


def drawn() -> dict[str, tuple[str | None, str | None]]:
    """The tree of the docstring: {class: (parent, the standard error it also is)}."""
    tree: dict[str, tuple[str | None, str | None]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"([│├└─ ]*)([A-Z]\w+)(?: +\((\w+)\))?(?:  |$)", line)
        if match:
            depth = len(match[1]) // 4
            path[depth:] = [match[2]]
            tree[match[2]] = (path[depth - 1] if depth else None, match[3])
    return tree


def test_the_docstring_draws_every_class_where_it_stands() -> None:
    real = {}
    for name, error in ALL.items():
        parent, *foreign = error.__bases__
        real[name] = (
            parent.__name__ if parent is not Exception else None,
            foreign[0].__name__ if foreign else None,
        )

    assert drawn() == real
    assert len(ALL) == 12


@pytest.mark.parametrize(
    ("error", "standard"),
    [
        (UsageError, ValueError),
        (WrongTypeError, TypeError),
        (WrongTypeError, ValueError),
        (NotFoundError, LookupError),
        (RunClosedError, RuntimeError),
        (TrialsFailedError, RuntimeError),
        (MissingExtraError, ImportError),
        (BackendError, OSError),
        (BlobMissing, FileNotFoundError),
        (BackendUnavailable, OSError),
        (DamagedError, OSError),
    ],
)
def test_an_error_is_also_the_one_a_caller_knows(
    error: type[Exception], standard: type[Exception]
) -> None:
    assert issubclass(error, standard)
    assert issubclass(error, PodstackError)


@pytest.mark.parametrize("name", ALL)
def test_every_error_says_when_it_comes_and_shows_its_message_as_it_is(name: str) -> None:
    assert ALL[name].__doc__
    assert str(ALL[name]("It's the 'message'.")) == "It's the 'message'."


@pytest.mark.parametrize("kind", [BackendError, BlobMissing, DamagedError, BackendUnavailable])
def test_an_error_of_a_store_keeps_what_it_carries_through_a_pickle(
    kind: type[BackendError],
) -> None:
    """Workers of a sweep, and data loaders, send their errors home that way."""
    error = kind("a/b in s3://bucket: no.", url="s3://bucket", key="a/b")
    error.errno = 28

    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is kind
    assert (str(copy), copy.url, copy.key) == (str(error), "s3://bucket", "a/b")
    assert copy.errno == 28


@pytest.mark.parametrize("name", ALL)
def test_every_error_survives_a_pickle(name: str) -> None:
    copy = pickle.loads(pickle.dumps(ALL[name]("message")))

    assert type(copy) is ALL[name]
    assert str(copy) == "message"


def test_an_error_of_a_store_carries_nothing_unless_told() -> None:
    error = BackendError("message")

    assert (error.url, error.key, error.errno) == ("", "", None)


def test_a_missing_extra_names_the_command_that_installs_it() -> None:
    cause = ModuleNotFoundError("No module named 'keras'", name="keras.callbacks")

    error = MissingExtraError.for_(cause, extra="keras")

    assert isinstance(error, MissingExtraError)
    assert str(error) == "keras is not installed. Run: pip install 'podstack[keras]'"


def test_a_broken_package_is_not_a_missing_one() -> None:
    """A keras that is there, and lacks one of its own needs."""
    cause = ModuleNotFoundError("No module named 'torch'", name="torch")

    assert MissingExtraError.for_(cause, extra="keras") is cause


def test_not_found_names_the_nearest() -> None:
    error = NotFoundError.among("metric", "los", ["loss", "accuracy", "loss", "lr"])

    assert str(error) == "No metric 'los' (nearest of 3: loss, lr)."


def test_not_found_names_some_where_nothing_is_near_and_says_where_there_is_nothing() -> None:
    far = NotFoundError.among("run", "zzz", ["a", "b", "c", "d"], hint="Use list_runs().")
    nothing = NotFoundError.among("run", "zzz", [])

    assert str(far) == "No run 'zzz' (nearest of 4: b, c, d). Use list_runs()."
    assert str(nothing) == "No run 'zzz' (there is no run yet)."
