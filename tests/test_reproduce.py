"""The commands that bring a run back: they work, and no value of a store can bend them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from podstack import MLOpsClient, Run, reproduce
from podstack.parameters import MASK
from podstack.testing.repository import Repository, patience
from podstack.testing.stage import DEADLINE

BASH = shutil.which("bash") or "bash"
SCRIPT = """\
from podstack import MLOpsClient
with MLOpsClient().start_run(params={"seed": 42, "model/init_seed": 7, "seedling": 3}) as run:
    run.log_dataset("digits", "/data/digits.csv")
"""


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "code")


def train(folder: Path, store: Path, *command: str, **settings: str) -> Run:
    """Run Python there, in a process of its own; its run, read back."""
    subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={
            **os.environ,
            "PODSTACK_URI": str(store),
            "PODSTACK_CAPTURE": "code,packages,host",
            **patience(store.parent / "patient"),
            **settings,
        },
        timeout=DEADLINE,
        check=True,
    )
    return MLOpsClient(store).list_runs()[-1]


def told(client: MLOpsClient, facts: dict[str, Any]) -> Run:
    """A run whose store says these facts of its environment, whoever wrote them."""
    run = client.start_run()
    run._edit({f"environment/{name}": value for name, value in facts.items()})
    run.finish()
    return client.get_run(run.id)


def commands(run: Run) -> list[str]:
    return [line for line in run.reproduce().splitlines() if not line.startswith("#")]


def brought_back(run: Run, folder: Path) -> Path:
    """Run the commands in a shell up to the last that changes the code; the folder of that."""
    wanted = [line for line in commands(run) if "-m venv" not in line and "pip" not in line]
    folder.mkdir()
    subprocess.run(
        [BASH, "-e", "-c", "\n".join(wanted[:-1])],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "GIT_CONFIG_GLOBAL": os.devnull,
        },
        capture_output=True,
        timeout=DEADLINE,
        check=True,
    )
    return folder / f"reproduce-{run.id}" / "code"


def files_in(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in found
        if ".git" not in path.relative_to(folder).parts
    }


def test_the_commands_bring_the_code_of_a_run_back_as_it_was(
    repository: Repository, store: Path, tmp_path: Path
) -> None:
    commit = repository.commit(
        {"sub dir/train.py": SCRIPT, "a.py": "1\n", "gone.py": "", "b.bin": b"\x00\x01", "ü": "1\n"}
    )
    repository.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare"))
    repository.git("remote", "add", "origin", str(tmp_path / "bare"))
    repository.write({"a.py": b"2 \r\ncaf\xe9", "b.bin": os.urandom(999), "ü": "2\n", "n/new": "3"})
    (repository.folder / "gone.py").unlink()
    repository.git("add", "n")
    run = train(repository.folder / "sub dir", store, "train.py", "--name", "a 'b'")
    expected = files_in(repository.folder)
    repository.commit({"a.py": "later\n"})
    code = brought_back(run, tmp_path / "again")

    assert files_in(code) == expected
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=code, capture_output=True, text=True, check=True
    )
    assert head.stdout.strip() == commit
    assert commands(run)[-2:] == ["cd -- 'sub dir'", "python train.py --name 'a '\"'\"'b'\"'\"''"]
    saved = code.parent / "requirements.txt"
    assert re.search(r"^orjson==\S+$", saved.read_text(), re.MULTILINE)
    assert re.search(r"^# podstack \S+ was installed from the folder", saved.read_text(), re.M)


def test_what_is_needed_besides_code_is_said(
    repository: Repository, store: Path, tmp_path: Path
) -> None:
    repository.commit({"train.py": SCRIPT + "    run.log_artifact('train.py')\n"})
    run = train(repository.folder, store, "train.py", PYTHONHASHSEED="7")
    text = run.reproduce()
    version = ".".join(map(str, sys.version_info[:2]))

    assert "# dataset digits: /data/digits.csv" in text
    assert re.search(r"^# the 1 files that it logged \(\d+ B\), if they are wanted:$", text, re.M)
    assert "# seeds: seed = 42, model/init_seed = 7\n" in text
    assert f"python{version} -m venv venv && . venv/bin/activate" in commands(run)
    assert commands(run)[-1] == "PYTHONHASHSEED=7 python train.py"
    fetch = re.search(r"^# (\S+ -c .*download.*)$", text, re.MULTILINE)
    assert fetch
    subprocess.run(shlex.split(fetch[1]), cwd=tmp_path, timeout=DEADLINE, check=True)
    assert (tmp_path / "files/train.py").read_text() == run.artifacts[
        "train.py"
    ].read_bytes().decode()


def test_a_script_is_named_by_its_place_in_the_code(
    repository: Repository, store: Path, tmp_path: Path
) -> None:
    repository.commit({"a/train.py": SCRIPT, "b/x": ""})
    inside = train(repository.folder / "b", store, str(repository.folder / "a/train.py"), "x")
    outside = train(tmp_path, store, "code/a/train.py", "x")

    assert commands(inside)[-2:] == ["cd -- b", "python ../a/train.py x"]
    assert commands(outside)[-1] == "python a/train.py x"
    assert any("outside of its repository" in w for w in outside.reproduce().warnings)
    assert not any("outside" in w for w in inside.reproduce().warnings)


def test_what_cannot_be_exact_is_said_first(
    repository: Repository, store: Path, tmp_path: Path
) -> None:
    repository.commit({"train.py": "from podstack import MLOpsClient\nMLOpsClient().start_run()\n"})
    repository.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare"))
    repository.git("remote", "add", "origin", f"file://{tmp_path / 'bare'}")
    repository.git("fetch", "--quiet", "origin")
    repository.commit({"a": "", "big": "", ".gitmodules": ""})
    key = "'hf_" + "x" * 30 + "'\n"
    repository.write({"a": key, "big": os.urandom(1_200_000), "new.py": "", "data/x": ""})
    settings = {"WORLD_SIZE": "4", "CONDA_DEFAULT_ENV": "base"}
    run = train(repository.folder, store, "train.py", "--token", "abc", **settings)
    warnings = run.reproduce().warnings

    expected = [
        *("of its commits were on no remote", "has submodules", "changes of big"),
        *(f"held secrets, now {MASK}", "not kept: data/, new.py", "conda", "one of 4 processes"),
        *("secrets in the command are masked", "no parameter is called a seed"),
    ]
    assert [part for part in expected if not any(part in warning for warning in warnings)] == []
    head = run.reproduce().partition("\nmkdir")[0]
    assert all(f"# - {warning}" in head for warning in warnings)


def test_a_run_whose_code_is_all_known_is_brought_back_without_a_warning(
    client: MLOpsClient,
) -> None:
    run = client.start_run(params={"seed": 1})
    facts: dict[str, Any] = {
        "command": ["/usr/bin/python", "train.py"],
        "folder": "/w/code",
        "script": "/w/code/train.py",
        "repository": "/w/code",
        "remote": "git@host:me/code.git",
        "commit": "a" * 40,
        "dirty": False,
        "unpushed": 0,
        "packages": {"writer": "w", "count": 1},
    }
    run._edit({f"environment/{name}": value for name, value in facts.items()})
    run.finish()
    key = run._store.keys.environment(run.id, "w")
    run._store.backend.put(key, b'{"packages": {"numpy": "1.26.4"}}')

    assert run.reproduce().warnings == ()
    assert commands(run)[-3:] == [
        "git clone --no-checkout -- git@host:me/code.git code && cd code",
        f"git checkout --detach {'a' * 40}",
        "python train.py",
    ]


def test_a_run_of_which_nothing_is_known_says_so(client: MLOpsClient) -> None:
    text = told(client, {}).reproduce()

    for part in ("no commit is known", "packages are not recorded", "command is not recorded"):
        assert any(part in warning for warning in text.warnings)
    assert [line for line in text.splitlines() if not line.startswith("#")] == [
        text.splitlines()[-1]
    ]
    assert repr(text) == str(text) == text


def test_a_program_of_the_environment_becomes_that_of_the_new_one(client: MLOpsClient) -> None:
    command = ["/v/bin/python", "/v/bin/torchrun", "train.py"]
    run = told(client, {"command": command, "executable": "/v/bin/python"})

    assert commands(run)[-1] == 'python "$VIRTUAL_ENV"/bin/torchrun train.py'


def test_a_notebook_is_named_and_not_called(client: MLOpsClient) -> None:
    facts = {"command": ["python", "-m", "ipykernel_launcher"], "notebook": "/w/look.ipynb"}

    assert told(client, facts).reproduce().endswith("# the notebook /w/look.ipynb")


# Hostile stores -----------------------------------------------------------------------------

EVIL = "$(touch /tmp/x); `id` && rm -rf ~ | sh > y & ! ' \" \\ \n touch z\n\x1b[2J\r#"


@pytest.mark.parametrize(
    "remote",
    [
        *("--upload-pack=touch x", "-x", "ext::sh -c id", "fd::1", "ext::x"),
        *("https://h/a\ntouch x", "https://-x", "ssh://-oProxyCommand=x/a", "ssh://", "-h:a"),
        *("host:-x", "host::x", "", " https://h/a", "https://h/a b", "relative", "transport::/a"),
    ],
)
def test_a_remote_that_is_no_plain_address_is_never_cloned(
    client: MLOpsClient, remote: str
) -> None:
    run = told(client, {"remote": remote, "commit": "a" * 40})

    assert not any("git clone" in line for line in commands(run))
    assert not remote or any("no address that is safe" in w for w in run.reproduce().warnings)


@pytest.mark.parametrize(
    "remote",
    [
        *("https://h/a.git", "git@h:a/b.git", "ssh://git@h:22/a", "h:a", "/srv/a b", "me@h:~/a"),
        *("file:///a b", "https://[::1]/a", "git://h/a", "C:\\code", "https://h/$(id)"),
    ],
)
def test_a_plain_address_is_cloned_as_one_word(client: MLOpsClient, remote: str) -> None:
    run = told(client, {"remote": remote, "commit": "a" * 40})
    clone = next(line for line in commands(run) if "git clone" in line)
    words = ["git", "clone", "--no-checkout", "--", remote, "code", "&&", "cd", "code"]

    assert shlex.split(clone) == words


@pytest.mark.parametrize("commit", ["main", "-f", "a" * 39, "A" * 40, f"{'a' * 40}\n", EVIL])
def test_a_commit_that_is_none_is_never_checked_out(client: MLOpsClient, commit: str) -> None:
    run = told(client, {"remote": "https://h/a", "commit": commit})

    assert not any("git " in line for line in commands(run))
    assert any("commit is none" in warning for warning in run.reproduce().warnings)


def test_no_value_becomes_a_command_an_option_or_a_line(
    client: MLOpsClient, tmp_path: Path
) -> None:
    names = ("folder", "script", "branch", "remote", "python", "host", "repository", "executable")
    facts: dict[str, Any] = dict.fromkeys(names, EVIL)
    facts |= {"command": [EVIL, EVIL, "-c", EVIL], "commit": "a" * 40}
    facts["job"] = {"PYTHONHASHSEED": EVIL, "WORLD_SIZE": EVIL, "EVIL": EVIL}
    run = told(client, facts)
    run.set_name(EVIL)
    run._edit({f"params/{EVIL}/seed": 3, f"datasets/{EVIL}": {"path": EVIL, "sha256": EVIL}})
    text = run.reproduce()
    *before, call = commands(run)
    echoed = subprocess.run(
        [BASH, "-c", f'python() {{ printf "%s\\0" "$PYTHONHASHSEED" "$@"; }}\n{call}'],
        cwd=tmp_path,
        env={"PATH": "/nowhere"},
        capture_output=True,
        timeout=DEADLINE,
        check=True,
    )

    assert before == [f"mkdir reproduce-{run.id} && cd reproduce-{run.id}"]
    assert echoed.stdout.decode().split("\0")[:-1] == [EVIL, EVIL, "-c", EVIL]
    assert all(line.isprintable() for line in text.splitlines())
    assert list(tmp_path.iterdir()) in ([], [tmp_path / "store"], [tmp_path / "cache"])


def test_a_subfolder_cannot_climb(client: MLOpsClient) -> None:
    for folder in ("/r/../../etc", "/r/a/../../b", "/other"):
        facts = {"folder": folder, "repository": "/r", "commit": "a" * 40, "command": ["p", "x"]}

        assert not any(line.startswith("cd ") for line in commands(told(client, facts)))


@pytest.mark.parametrize(
    ("name", "version", "source", "line"),
    [
        ("numpy", "1.26.4", {}, "numpy==1.26.4"),
        ("torch", "2.1.0+cu118", {}, "torch==2.1.0+cu118"),
        (
            "a",
            "1",
            {"url": "https://h/a", "vcs": "git", "commit": "b" * 40},
            "a @ git+https://h/a@",
        ),
        ("a", "1", {"url": "file:///x", "vcs": "git", "commit": "b" * 40}, "a==1"),
        ("a", "1", {"url": "https://h/a", "vcs": "git", "commit": "-x"}, "a==1"),
        ("a", "1", {"url": "/x\n--index-url http://evil", "editable": True}, "# a 1 was installed"),
        ("--index-url", "http://evil", {}, "# --index-url http://evil is no package"),
        ("a\n--pre", "1", {}, "# a\N{REPLACEMENT CHARACTER}--pre 1 is no package"),
        ("a", "1\n--pre", {}, "# a 1\N{REPLACEMENT CHARACTER}--pre is no package"),
        ("a", "1 --hash=x", {}, "# a 1 --hash=x is no package"),
    ],
)
def test_a_package_is_one_line_of_the_requirements(
    name: str, version: str, source: dict[str, Any], line: str
) -> None:
    (found,) = reproduce.requirements({name: version}, {name: source}).splitlines()

    assert found.startswith(line)
    assert found.isprintable()
