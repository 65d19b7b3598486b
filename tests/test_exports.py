"""What `import podstack` offers. A name added or lost is a change that users see."""

from __future__ import annotations

import inspect
import re
from importlib.metadata import version
from pathlib import Path

import pytest

import podstack

PUBLIC = [
    "MLOpsClient",
    "Experiment",
    "Run",
    "PodstackError",
    "UsageError",
    "WrongTypeError",
    "NotFoundError",
    "RunClosedError",
    "MissingExtraError",
    "BackendError",
    "BlobMissing",
    "DamagedError",
    "BackendUnavailable",
    "__version__",
]
CLASSES = [name for name in PUBLIC if not name.startswith("_")]


def test_these_names_and_no_others_are_public() -> None:
    assert podstack.__all__ == PUBLIC
    assert [name for name in PUBLIC if not hasattr(podstack, name)] == []


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_class_says_what_it_is(name: str) -> None:
    """In words of its own: a docstring that is inherited would say what its parent is."""
    documentation = vars(getattr(podstack, name))["__doc__"]

    assert re.match(r"[A-Z].*[.:]", documentation or "")


@pytest.mark.parametrize("name", ["MLOpsClient", "Experiment", "Run"])
def test_every_public_method_says_what_it_does(name: str) -> None:
    methods = inspect.getmembers(getattr(podstack, name), inspect.isroutine)

    silent = [
        method
        for method, function in methods
        if not method.startswith("_") and not inspect.getdoc(function)
    ]
    assert silent == []


@pytest.mark.parametrize("name", ["MLOpsClient", "Experiment", "Run"])
def test_every_parameter_and_result_of_a_public_method_has_a_type(name: str) -> None:
    methods = inspect.getmembers(getattr(podstack, name), inspect.isroutine)
    bare = []
    for method, function in methods:
        if method.startswith("_") and method != "__init__":
            continue
        signature = inspect.signature(function)
        bare += [
            f"{method}({parameter.name})"
            for parameter in signature.parameters.values()
            if parameter.annotation is parameter.empty and parameter.name != "self"
        ]
        bare += [method] if signature.return_annotation is signature.empty else []

    assert bare == []


def test_the_version_is_one_in_every_place() -> None:
    pyproject = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")

    assert version("podstack") == podstack.__version__
    assert f'\nversion = "{podstack.__version__}"\n' in pyproject


def test_a_star_import_gives_the_public_names() -> None:
    names: dict[str, object] = {}

    exec("from podstack import *", names)

    assert set(names) - {"__builtins__"} == set(PUBLIC)
