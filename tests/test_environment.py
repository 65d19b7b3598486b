"""What a run records of its surroundings, by itself, and how it is read back."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from podstack import MLOpsClient, Run, UsageError, config, gathering, surroundings
from podstack.environment import Environment
from podstack.parameters import MASK
from podstack.testing.repository import Repository, patience
from podstack.testing.stage import DEADLINE

PARTS = ("code", "packages", "host")
AT_ONCE = "from podstack import MLOpsClient\nMLOpsClient().start_run()\n"


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long git takes says how busy the machine is."""
    monkeypatch.setattr(gathering, "PATIENCE", DEADLINE)
    monkeypatch.setattr(gathering, "AT_EXIT", DEADLINE)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "code")


@pytest.fixture
def train(repository: Repository, store: Path, tmp_path: Path) -> Callable[..., Run]:
    """Run a command of Python in the repository, in a process of its own; its run, read back."""
    patient = patience(tmp_path / "patient")

    def train(*command: str, code: int = 0, folder: Path | None = None, **settings: str) -> Run:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=folder or repository.folder,
            env={
                **os.environ,
                "PODSTACK_URI": str(store),
                "PODSTACK_CAPTURE": ",".join(PARTS),
                **patient,
                **settings,
            },
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return MLOpsClient(store).list_runs()[-1]

    return train


@pytest.fixture
def path_with_git(tmp_path: Path) -> Callable[[str], str]:
    """A PATH whose git is a shell script; it can `exec` the real one as $git."""

    def path_with(script: str) -> str:
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "git").write_text(f"#!/bin/sh\ngit='{shutil.which('git')}'\n{script}\n")
        (folder / "git").chmod(0o755)
        return f"{folder}{os.pathsep}{os.environ['PATH']}"

    return path_with


def captured(client: MLOpsClient, capture: object = PARTS, **options: object) -> Run:
    run = client.start_run(capture=capture, **options)  # type: ignore[arg-type]
    assert run.flush(timeout=DEADLINE)
    run.finish()
    return client.get_run(run.id)


def every_byte(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


# What is recorded ---------------------------------------------------------------------------


def test_a_script_that_ends_at_once_has_told_how_and_where_it_ran(
    repository: Repository, train: Callable[..., Run]
) -> None:
    commit = repository.commit({"train.py": AT_ONCE, "lib.py": "1\n"})
    repository.write({"lib.py": "2\n", "new.py": ""})
    environment = train("-u", "train.py", "--lr", "0.1", "a b").environment

    assert environment.arguments[1:] == ["-u", "train.py", "--lr", "0.1", "a b"]
    assert environment.command is not None
    assert environment.command.endswith("-u train.py --lr 0.1 'a b'")
    assert environment.folder == environment.repository == str(repository.folder)
    assert environment.script == str(repository.folder / "train.py")
    assert (environment.commit, environment.branch, environment.dirty) == (commit, "main", True)
    assert "-1\n+2\n" in environment.diff
    assert environment.untracked == ["new.py"]
    assert environment.python == ".".join(map(str, sys.version_info[:3]))
    assert environment.packages["orjson"] == importlib.metadata.version("orjson")
    assert environment.host
    assert environment["cpus"] == os.cpu_count()


def test_modules_and_code_on_the_command_line_are_part_of_the_command(
    repository: Repository, train: Callable[..., Run]
) -> None:
    repository.commit({"pkg/train.py": AT_ONCE})
    by_name = train("-m", "pkg.train", "--lr=1").environment
    by_text = train("-c", AT_ONCE).environment

    assert by_name.arguments[1:] == ["-m", "pkg.train", "--lr=1"]
    assert by_name.script == str(repository.folder / "pkg/train.py")
    assert by_text.arguments[1:] == ["-c", AT_ONCE]


def test_the_code_is_that_of_the_script_wherever_it_is_started(
    repository: Repository, train: Callable[..., Run], tmp_path: Path
) -> None:
    commit = repository.commit({"train.py": AT_ONCE})
    environment = train("code/train.py", folder=tmp_path).environment

    assert environment.commit == commit
    assert environment.folder == str(tmp_path)


def test_the_store_is_not_taken_for_a_file_that_git_should_know(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository.folder)
    repository.commit({"train.py": AT_ONCE})
    repository.write({"notes": ""})
    environment = captured(MLOpsClient("runs"), "code").environment

    assert repository.git("status", "--porcelain").split() == ["??", "notes", "??", "runs/"]
    assert environment.untracked == ["notes"]


def test_the_installed_packages_are_those_that_python_itself_would_name(
    client: MLOpsClient,
) -> None:
    environment = captured(client, "packages").environment
    known = {
        re.sub(r"[-_.]+", "-", d.metadata["Name"]).lower(): d.version
        for d in reversed(list(importlib.metadata.distributions()))
    }

    assert environment.packages == known
    assert environment.sources["podstack"]["editable"] is True


def test_packages_are_found_in_every_form_and_the_first_on_the_path_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "one/A_b.c-1.0+cu118.dist-info/direct_url.json": '{"url": "https://me:pw@host/a", '
        '"vcs_info": {"vcs": "git", "commit_id": "abc"}}',
        "one/old-2.0-py3.11.egg-info/PKG-INFO": "Version: 2.0\n",
        "one/develop.egg-info/PKG-INFO": "Metadata-Version: 1\nVersion: 3.0\n",
        "one/broken-1.dist-info/direct_url.json": '["no", "mapping"]',
        "one/strange-info/x": "",
        "two/old-9.0.dist-info/METADATA": "",
    }
    Repository(tmp_path).write(dict(files))
    absent = [str(tmp_path / "absent.zip"), str(tmp_path / "one/strange-info/x")]
    monkeypatch.setattr(sys, "path", [str(tmp_path / "one"), str(tmp_path / "two"), *absent])
    folders = list(surroundings.packages())

    found = {p.name: (p.version, p.source) for folder in reversed(folders) for p in folder}
    assert found == {
        "a-b-c": ("1.0+cu118", {"url": "https://host/a", "vcs": "git", "commit": "abc"}),
        "old": ("2.0", None),
        "develop": ("3.0", {"url": str(tmp_path / "one"), "editable": True}),
        "broken": ("1", None),
    }


def test_the_environment_is_never_kept_whole(
    client: MLOpsClient, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "1234")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    monkeypatch.setenv("MY_OWN_VARIABLE", "the-value-of-it")
    run = captured(client)

    assert run.environment.job["SLURM_JOB_ID"] == "1234"
    assert run.environment.job["PYTHONHASHSEED"] == "7"
    assert b"the-value-of-it" not in every_byte(store)


def test_a_notebook_is_known_by_its_name(
    client: MLOpsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "/work/look.ipynb")

    assert captured(client, "code").environment.notebook == "/work/look.ipynb"


def test_a_resume_replaces_what_is_no_longer_so(
    client: MLOpsClient, repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(repository.folder)
    repository.commit({"a.py": "1\n"})
    repository.write({"a.py": "2\n"})
    first = captured(client, run_id="one").environment
    outside = tmp_path / "outside"
    outside.mkdir()
    monkeypatch.chdir(outside)
    second = captured(client, "code", run_id="one").environment

    assert first.dirty is True
    assert "+2" in first.diff
    assert (second.folder, second.commit, second.dirty) == (str(outside), None, None)
    assert second.diff == ""
    assert second.packages == first.packages


def test_bytes_that_are_no_text_come_back_as_they_were(
    client: MLOpsClient, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository.folder)
    repository.commit({"a.py": b"1\n"})
    repository.write({"a.py": b"caf\xe9\r\n", os.fsdecode(b"new\xe9"): ""})
    environment = captured(client, "code").environment

    assert b"+caf\xe9\r\n" in environment.diff_bytes
    assert "+caf" in environment.diff
    assert len(environment.untracked) == 1


# Secrets ------------------------------------------------------------------------------------


def test_no_secret_of_a_command_remote_or_change_is_in_any_file_of_the_store(
    repository: Repository, train: Callable[..., Run], store: Path
) -> None:
    repository.commit({"train.py": AT_ONCE, "lib.py": "1\n"})
    repository.git("remote", "add", "origin", "https://me:secret1@host/code.git")
    repository.write({"lib.py": "key = 'hf_" + "secret2" * 5 + "'\n"})
    run = train(
        *("train.py", "--api-key=secret3", "--password", "secret4", "token=secret5"),
        *('{"client_secret": "secret6"}', "s3://me:secret7@host/x", "sk-" + "secret8" * 5),
        XLA_FLAGS="--token=secret9",
    )
    environment = run.environment

    assert environment.commit is not None
    assert environment.remote == "https://host/code.git"
    assert f"+key = '{MASK}'" in environment.diff
    assert environment.changes["masked"] is True
    assert environment.job["XLA_FLAGS"] == f"--token={MASK}"
    assert b"secret1" not in every_byte(store)
    assert re.findall(rb"secret\d", every_byte(store)) == []


# Switches -----------------------------------------------------------------------------------

ALL = frozenset(config.CAPTURES)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *[(word, ALL) for word in ("1", "all", "ALL", " true ")],
        *[(word, frozenset()) for word in ("0", "none", "None", "false", "", ",")],
        ("code", frozenset({"code"})),
        (" host, packages ,", frozenset({"host", "packages"})),
    ],
)
def test_the_variable_says_what_is_recorded(
    monkeypatch: pytest.MonkeyPatch, value: str, expected: frozenset[str]
) -> None:
    monkeypatch.setenv("PODSTACK_CAPTURE", value)

    assert config.capture(None) == expected
    assert config.capture(value) == expected
    assert config.capture(True) == ALL
    assert config.capture(False) == frozenset()


def test_everything_is_recorded_unless_something_else_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PODSTACK_CAPTURE")

    assert config.capture(None) == ALL


@pytest.mark.parametrize("value", ["cod", "code,gpu", ["code", 3], [["code"]], 3, 0.5, "code;host"])
def test_a_part_that_is_none_is_refused_before_anything_is_made(
    client: MLOpsClient, store: Path, value: object
) -> None:
    with pytest.raises(UsageError, match="code, packages, host, console, system"):
        client.start_run(capture=value)  # type: ignore[arg-type]
    assert not store.exists()


@pytest.mark.parametrize(
    ("parts", "has", "lacks"),
    [
        ("code", "command", ("packages", "python", "host")),
        (["packages"], "packages", ("command", "host", "commit")),
        (("host",), "host", ("command", "packages", "python")),
    ],
)
def test_each_part_can_be_had_alone(
    client: MLOpsClient, parts: object, has: str, lacks: Iterable[str]
) -> None:
    environment = captured(client, parts).environment

    assert environment.get(has)
    assert [name for name in lacks if name in environment] == []


def test_nothing_is_recorded_where_it_is_switched_off_or_all_is_disabled(
    client: MLOpsClient,
    store: Path,
    path_with_git: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = store.parent / "asked"
    monkeypatch.setenv("PATH", path_with_git(f"touch {asked}"))
    off = captured(client, capture=False).environment
    disabled = MLOpsClient(store, mode="disabled").start_run(capture=PARTS)
    disabled.flush(timeout=240)

    assert not asked.exists()
    assert dict(off) == dict(disabled.environment) == {}
    assert repr(off) == "nothing is recorded of this run's environment"
    assert (off.command, off.folder, off.commit, off.diff, off.packages) == (
        None,
        None,
        None,
        "",
        {},
    )
    assert (off.gpus, off.job, off.untracked, off.left_out) == ([], {}, [], [])


# It is in nobody's way ----------------------------------------------------------------------


def test_a_git_that_hangs_delays_no_end_of_a_script(
    repository: Repository, train: Callable[..., Run], path_with_git: Callable[[str], str]
) -> None:
    """Git would take longer than the test waits, and so would the patience with it."""
    patient = "from podstack import gathering\ngathering.PATIENCE = 1000.0\n"
    repository.commit({"train.py": patient + AT_ONCE + AT_ONCE})
    run = train("train.py", PATH=path_with_git("exec sleep 1000"), PYTHONPATH="")

    assert run.status == "completed"
    assert run.environment.folder == str(repository.folder)
    assert run.environment.packages
    assert run.environment.commit is None


def test_what_is_recorded_late_is_not_taken_for_training_that_goes_on(
    repository: Repository, train: Callable[..., Run], path_with_git: Callable[[str], str]
) -> None:
    """A script has failed that exits with 1, although its run's log still grew after that."""
    script = "import sys\nfrom podstack import MLOpsClient\nrun = MLOpsClient().start_run()\n"
    script += "try:\n    sys.exit(1)\nfinally:\n    run.flush(timeout=240)\n"
    repository.commit({"train.py": script})
    run = train("train.py", code=1, PATH=path_with_git('sleep 0.1; exec "$git" "$@"'))

    assert run.environment.commit is not None
    assert run.status == "failed"


def test_runs_of_one_process_that_follow_one_another_ask_git_once(
    repository: Repository, train: Callable[..., Run], path_with_git: Callable[[str], str]
) -> None:
    repository.commit({"train.py": "from podstack import gathering\ngathering._FRESH = 1000.0\n"})
    repository.write({"train.py": (repository.folder / "train.py").read_text() + AT_ONCE * 3})
    asked = repository.folder.parent / "asked"
    run = train("train.py", PATH=path_with_git(f'echo "$*" >> {asked}; exec "$git" "$@"'))

    assert asked.read_text().count("rev-parse") == 1
    assert "+MLOpsClient" in run.environment.diff
    assert len(MLOpsClient(run.uri).list_runs()) == 3


def test_recording_loads_nothing_that_a_script_would_not_need_itself(
    repository: Repository, train: Callable[..., Run]
) -> None:
    script = "import sys\nfrom podstack import MLOpsClient\n"
    script += "with MLOpsClient().start_run() as run:\n    run.flush(timeout=240)\n"
    script += "    run.log_params({'loaded': sorted(sys.modules)})\n"
    repository.commit({"train.py": script})
    plain, recorded = train("train.py", PODSTACK_CAPTURE="0"), train("train.py")
    more = set(recorded.params["loaded"]) - set(plain.params["loaded"])

    assert recorded.environment.commit is not None
    assert {name for name in more if not name.startswith("podstack.")} <= {"select", "base64"}


def test_a_folder_that_vanished_is_none_and_nothing_else_is_lost(
    repository: Repository, train: Callable[..., Run], tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    script = (
        f"import os\nos.mkdir({str(gone)!r})\nos.chdir({str(gone)!r})\nos.rmdir({str(gone)!r})\n"
    )
    repository.commit({"train.py": script + AT_ONCE})
    environment = train(str(repository.folder / "train.py")).environment

    assert environment.folder is None
    assert environment.commit is not None
    assert environment.packages


def test_a_disk_that_refuses_costs_a_warning(
    client: MLOpsClient, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    in_its_way = store / "projects/default/runs/one/environment"
    in_its_way.parent.mkdir(parents=True)
    in_its_way.write_text("no folder")
    run = captured(client, run_id="one")

    assert "the code and packages of run one cannot be kept" in caplog.text
    assert run.status == "completed"
    assert run.environment.host
    assert run.environment.packages == {}


def test_a_forked_child_records_nothing_of_its_own(
    repository: Repository, train: Callable[..., Run], store: Path
) -> None:
    script = "import os\nfrom podstack import MLOpsClient\nrun = MLOpsClient().start_run()\n"
    script += "child = os.fork()\nrun.log_metrics({'x': 1})\n"
    script += "os.waitpid(child, 0) if child else None\n"
    repository.commit({"train.py": script})
    run = train("train.py")

    folders = store / "projects/default/runs" / run.id
    assert len(list((folders / "metrics").iterdir())) == 2
    assert len(list((folders / "environment").iterdir())) == 1


def test_a_child_forked_while_git_is_asked_can_start_a_run_of_its_own(
    repository: Repository, train: Callable[..., Run], path_with_git: Callable[[str], str]
) -> None:
    script = "import os\n" + AT_ONCE
    script += "for _ in range(20):\n    child = os.fork()\n    if not child:\n"
    script += "        with MLOpsClient().start_run() as own:\n            own.flush(timeout=240)\n"
    script += "        os._exit(0)\n    assert os.waitpid(child, 0)[1] == 0\n"
    repository.commit({"train.py": script})
    run = train("train.py", PATH=path_with_git('sleep 0.01; exec "$git" "$@"'))
    runs = MLOpsClient(run.uri).list_runs()

    assert len(runs) == 21
    assert all(run.environment.commit for run in runs)


def test_a_child_forked_while_the_background_imports_can_import_the_same(
    repository: Repository,
) -> None:
    """Without waiting for the import, it would find the module locked for ever."""
    script = """
import os, threading
from podstack.forks import none_meanwhile
def background():
    with none_meanwhile():
        begun.set()
        import slow
begun = threading.Event()
threading.Thread(target=background).start()
begun.wait(240)
child = os.fork()
import slow
if not child:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    repository.write({"slow.py": "import time\ntime.sleep(0.3)\n", "main.py": script})

    subprocess.run([sys.executable, "main.py"], cwd=repository.folder, timeout=DEADLINE, check=True)


@pytest.mark.parametrize("waits", [True, False])
def test_a_script_that_is_killed_leaves_a_run_that_can_be_read(
    repository: Repository, train: Callable[..., Run], waits: bool
) -> None:
    script = "import os\nfrom podstack import MLOpsClient\nrun = MLOpsClient().start_run()\n"
    script += "run.flush(timeout=240)\n" if waits else ""
    repository.commit({"train.py": script + "os.kill(os.getpid(), 9)\n"})
    run = train("train.py", code=-9)

    assert run.status == "failed"
    assert (run.environment.commit is not None) >= waits
    assert (len(run.environment.packages) > 0) >= waits


def test_starting_a_run_does_not_wait_for_what_is_recorded(
    client: MLOpsClient, held_keeper: threading.Event
) -> None:
    """The background does nothing yet, and the run is there."""
    run = client.start_run(capture=PARTS)

    assert dict(run.environment) == {}
    held_keeper.set()
    assert run.flush(timeout=DEADLINE)
    assert run.environment.packages
    run.finish()


# Reading ------------------------------------------------------------------------------------


def test_an_environment_prints_what_a_person_asks_first(
    client: MLOpsClient, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository.folder)
    commit = repository.commit({"a.py": "1\n"})
    repository.write({"a.py": "2\n", "b.py": ""})
    shown = repr(captured(client).environment)

    assert f"{commit} on main, changed" in shown
    assert re.search(r"changes +a diff of \d+ B, 1 untracked", shown)
    assert re.search(r"packages +\d+", shown)
    assert f"folder    {repository.folder}" in shown


def test_values_of_another_kind_are_taken_as_missing() -> None:
    for value in (3, "x", ["x", 3], {"writer": "../../x"}, {"writer": 3}, True, None):
        names = ("command", "folder", "dirty", "changes", "packages", "job", "gpus", "memory")
        environment = Environment(dict.fromkeys((*names, "commit", "unpushed"), value))

        assert isinstance(repr(environment), str)
        assert environment.packages == {}
        assert environment.sources == {}
        assert environment.diff == ""
        assert all(isinstance(part, str) for part in environment.arguments)


def test_a_diff_that_is_no_base64_is_none() -> None:
    environment = Environment({"changes": {"writer": "w"}}, lambda writer: {"diff_base64": "x"})

    assert environment.diff_bytes == b""


def test_a_hostile_value_steers_no_terminal() -> None:
    environment = Environment({"folder": "a\x1b[2J\nb", "command": ["x\x1b]0;\x07"]})

    assert "\x1b" not in repr(environment)
    assert repr(environment).count("\n") == 1
