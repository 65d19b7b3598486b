"""The wheel holds what the tree holds. Two folders are mapped into the package by hand."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from configparser import ConfigParser
from importlib import import_module
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from podstack.testing.stage import DEADLINE

ROOT = Path(__file__).parents[1]
FOLDERS = {  # in the checkout: in the package
    "podstack": "podstack",
    "backends": "podstack/backends",
    "integrations": "podstack/integrations",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a build needs, so that it leaves nothing in the checkout."""
    copy = tmp_path_factory.mktemp("packaging") / "tree"
    copy.mkdir()
    for folder in FOLDERS:
        shutil.copytree(
            ROOT / folder,
            copy / folder,
            ignore=shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info"),
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture(scope="module")
def wheel(tree: Path) -> Path:
    """Built without the network, by the setuptools that is installed."""
    result = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", "."],
        cwd=tree,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    (wheel,) = (tree / "dist").glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def project(tree: Path) -> dict[str, Any]:
    tomllib = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    content: dict[str, Any] = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))
    return content


def test_the_wheel_holds_every_file_of_the_tree_and_nothing_else(tree: Path, wheel: Path) -> None:
    expected = {
        f"{target}/{path.relative_to(tree / folder).as_posix()}"
        for folder, target in FOLDERS.items()
        for path in (tree / folder).rglob("*")
        if path.is_file()
    }

    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == expected
    assert {"podstack/py.typed", "podstack/FORMAT.md", "podstack/backends/local.py"} <= names


def test_the_wheel_names_its_plugins(wheel: Path, project: dict[str, Any]) -> None:
    with ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        parser = ConfigParser()
        parser.read_string(archive.read(name).decode())

    declared = project["project"]["entry-points"]["podstack.backends"]
    assert dict(parser["podstack.backends"]) == declared
    assert {"file", "memory"} <= set(declared)


_USE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from importlib.metadata import distribution
from importlib.util import find_spec
from podstack import MLOpsClient
from podstack.backend import open_backend

with MLOpsClient(sys.argv[2]).start_run() as run:
    run.log_metrics({"loss": 1.0})
open_backend("memory://wheel").put("a", b"x")
plugins = [entry.module for entry in distribution("podstack").entry_points]
json.dump([find_spec(name).origin for name in ["podstack", *plugins]], sys.stdout)
"""


def test_the_wheel_works_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    """A run can be recorded, and every module that an entry point names is in the wheel."""
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    (tmp_path / "empty").mkdir()
    result = subprocess.run(
        [sys.executable, "-c", _USE, str(tmp_path / "site"), str(tmp_path / "store")],
        cwd=tmp_path / "empty",
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    files = [Path(file) for file in json.loads(result.stdout)]
    assert tmp_path / "site/podstack/__init__.py" in files
    assert tmp_path / "site/podstack/backends/local.py" in files
    assert [file for file in files if (tmp_path / "site") not in file.parents] == []


def test_pyproject_lists_every_folder_with_modules(tree: Path, project: dict[str, Any]) -> None:
    """A package that is not listed is missing from the wheel, without a word."""
    folders = {
        path.parent.relative_to(tree).as_posix()
        for folder in FOLDERS
        for path in (tree / folder).rglob("*.py")
    }
    packages = {
        "/".join([FOLDERS[top], *rest]).replace("/", ".")
        for top, *rest in (folder.split("/") for folder in folders)
    }
    setuptools = project["tool"]["setuptools"]

    assert sorted(setuptools["packages"]) == sorted(packages)
    assert {source: target.replace("/", ".") for source, target in FOLDERS.items()} == {
        source: package for package, source in setuptools["package-dir"].items()
    }


def test_the_default_installation_is_small(project: dict[str, Any]) -> None:
    """Training nodes install only this; everything else is an extra."""
    names = [entry.split(">")[0] for entry in project["project"]["dependencies"]]

    assert names == ["fsspec", "orjson"]
