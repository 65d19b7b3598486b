"""What importing and using podstack loads: a training script pays for it at every start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from podstack.testing.stage import DEADLINE

_REPORT = """
import json, sys
before = set(sys.modules)
{script}
json.dump(sorted(set(sys.modules) - before), sys.stdout)
"""
_IMPORT = "import podstack"
_LOCAL_RUN = """
from podstack import MLOpsClient, system
system.SETTLING = 1000.0  # a run that lives longer has its machine watched
client = MLOpsClient(sys.argv[1])
experiment = client.create_experiment("digits")
with client.start_run(experiment_id=experiment.id) as run:
    run.log_params({"lr": 0.001})
    for step in range(10):
        run.log_metrics({"loss": 0.25}, step=step)
    run.flush(timeout=240)
assert client.get_run(run.id).status == "completed"
"""

# Parts of the standard library that only some calls need.
LATER = {
    "asyncio", "concurrent", "ctypes", "difflib", "email", "getpass", "http", "multiprocessing",
    "sqlite3", "ssl", "tempfile", "xml",
}  # fmt: skip


def loaded(script: str, *arguments: str) -> set[str]:
    """The modules that a new process has loaded after `script`, and not before."""
    result = subprocess.run(
        [sys.executable, "-c", _REPORT.format(script=script), *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return set(json.loads(result.stdout))


def tops(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


@pytest.fixture(scope="module")
def imported() -> set[str]:
    return loaded(_IMPORT)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder: Path = tmp_path_factory.mktemp("import") / "store"
    return loaded(_LOCAL_RUN, str(folder))


def test_importing_loads_orjson_and_the_standard_library_alone(imported: set[str]) -> None:
    strangers = tops(imported) - sys.stdlib_module_names - {"podstack", "orjson"}

    assert strangers == set()


def test_importing_loads_no_part_of_the_standard_library_that_is_needed_later(
    imported: set[str],
) -> None:
    assert tops(imported) & LATER == set()
    assert "importlib.metadata" not in imported


def test_importing_loads_no_plugin_server_or_test_helper(imported: set[str]) -> None:
    parts = {module.split(".")[1] for module in imported if module.startswith("podstack.")}

    assert parts & {"backends", "integrations", "server", "cli", "sweeps", "testing"} == set()


def test_a_run_in_a_folder_loads_neither_numpy_nor_fsspec_nor_any_other(used: set[str]) -> None:
    assert tops(used) - sys.stdlib_module_names == {"podstack", "orjson"}
    assert {module for module in used if module.startswith("podstack.backends.")} == {
        "podstack.backends.local"
    }
    assert "asyncio" not in used
