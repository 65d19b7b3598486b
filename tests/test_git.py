"""What git is asked, of real repositories: odd ones, hostile ones, and none."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from podstack import git
from podstack.git import Code, Diff, within
from podstack.programs import Answer, Deadline, Waiting, _at_once, answer
from podstack.testing.repository import Repository
from podstack.testing.stage import DEADLINE

ENVIRONMENT = {"PATH": os.environ["PATH"]}


def finished(work: Waiting[object]) -> object:
    """What a job returns once it has run to its end."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            return done.value


def state(folder: Path, seconds: float = DEADLINE) -> Code:
    code = finished(git.state(str(folder), Deadline(seconds)))
    assert isinstance(code, Code)
    return code


def asked(*command: str, seconds: float = DEADLINE, limit: int = 10_000) -> Answer | None:
    said = finished(answer(command, ENVIRONMENT, Deadline(seconds), limit=limit))
    assert said is None or isinstance(said, Answer)
    return said


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "code")


def test_a_clean_checkout_is_its_commit_and_branch(repository: Repository) -> None:
    commit = repository.commit({"a.py": "1\n", "sub/b.py": "2\n"})
    code = state(repository.folder / "sub")

    assert code == Code(
        root=str(repository.folder),
        commit=commit,
        branch="main",
        remote=None,
        dirty=False,
        diff=Diff(b"", [], whole=True),
        untracked=[],
        unpushed=None,
        submodules=False,
    )


def test_changes_staged_or_not_are_one_diff_against_the_commit(repository: Repository) -> None:
    repository.commit({"a.py": "1\n", "b.py": "1\n", "gone.py": "1\n"})
    repository.write({"a.py": "2\n", "b.py": "2\n", "new.py": "3\n", "c/d.py": "4\n"})
    (repository.folder / "gone.py").unlink()
    repository.git("add", "b.py", "new.py")
    code = state(repository.folder)

    assert code.dirty is True
    assert code.untracked == ["c/"]
    for line in (b"a/a.py b/a.py", b"a/b.py b/b.py", b"a/gone.py b/gone.py", b"+3\n"):
        assert line in code.diff.data


@pytest.mark.parametrize("content", [b"\x00\x01\xff" * 99, b"caf\xe9\r\n", b"no newline"])
def test_a_diff_brings_any_bytes_back(
    repository: Repository, tmp_path: Path, content: bytes
) -> None:
    commit = repository.commit({"a": "1\n", "b": b"\x00old"})
    repository.write({"a": content, "b": content})
    (tmp_path / "diff").write_bytes(state(repository.folder).diff.data)
    repository.git("checkout", "--quiet", "--force", commit)
    repository.git("apply", str(tmp_path / "diff"))

    assert (repository.folder / "a").read_bytes() == content
    assert (repository.folder / "b").read_bytes() == content


def test_settings_that_change_how_a_diff_looks_do_not_change_this_one(
    repository: Repository,
) -> None:
    repository.commit({"a.py": "1\n" * 30})
    repository.write({"a.py": "1\n" * 15 + "2\n" + "1\n" * 15})
    before = state(repository.folder).diff
    looks = {
        "diff.noprefix": "true",
        "diff.mnemonicPrefix": "true",
        "color.ui": "always",
        "diff.context": "0",
        "core.quotePath": "false",
        "status.showUntrackedFiles": "no",
        "diff.interHunkContext": "9",
        "core.abbrev": "5",
    }
    for name, value in looks.items():
        repository.git("config", name, value)
    repository.write({"new": ""})

    assert state(repository.folder).diff == before
    assert state(repository.folder).untracked == ["new"]


def test_a_repository_without_a_commit_has_none(repository: Repository) -> None:
    repository.write({"a.py": "1\n"})
    code = state(repository.folder)

    assert (code.commit, code.branch, code.untracked) == (None, "main", ["a.py"])


def test_a_detached_head_has_no_branch(repository: Repository) -> None:
    first = repository.commit({"a.py": "1\n"})
    repository.commit({"a.py": "2\n"})
    repository.git("checkout", "--quiet", "--detach", first)
    code = state(repository.folder)

    assert (code.commit, code.branch, code.dirty) == (first, None, False)


def test_commits_that_no_remote_has_are_counted(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"a.py": "1\n"})
    repository.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare"))
    repository.git("remote", "add", "origin", str(tmp_path / "bare"))
    repository.git("fetch", "--quiet", "origin")
    pushed = state(repository.folder)
    repository.commit({"a.py": "2\n"})
    ahead = state(repository.folder)

    assert (pushed.remote, pushed.unpushed) == (str(tmp_path / "bare"), 0)
    assert ahead.unpushed == 1


def test_the_remote_is_that_of_the_branch_else_origin(repository: Repository) -> None:
    repository.commit({"a.py": "1\n"})
    repository.git("remote", "add", "a-fork", "https://host/fork")
    repository.git("remote", "add", "origin", "https://host/origin")
    by_default = state(repository.folder).remote
    repository.git("config", "branch.main.remote", "a-fork")
    repository.git("remote", "add", "near", "../near")

    assert by_default == "https://host/origin"
    assert state(repository.folder).remote == "https://host/fork"
    repository.git("config", "branch.main.remote", "near")
    assert state(repository.folder).remote == str(repository.folder.parent / "near")


def test_nothing_that_a_repository_names_is_run(repository: Repository, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\necho \"$0 $*\" >> '{ran}'\ncat\n")
    script.chmod(0o755)
    attributes = "*.x filter=evil diff=evil\n*.y filter=a=b\n"
    repository.commit({".gitattributes": attributes, "a.x": "1\n", "a.y": "1\n"})
    commands = (
        *("core.fsmonitor", "core.pager", "diff.external", "core.sshCommand", "core.editor"),
        *("diff.evil.command", "diff.evil.textconv", "filter.evil.clean", "filter.evil.smudge"),
        *("filter.evil.process", "filter.a=b.clean", "gpg.program", "core.askPass"),
    )
    for name in commands:
        repository.git("config", name, str(script))
    repository.git("config", "filter.evil.required", "true")
    repository.git("config", "log.showSignature", "true")
    for hook in ("post-index-change", "reference-transaction", "pre-auto-gc"):
        (repository.folder / ".git/hooks" / hook).symlink_to(script)
    repository.write({"a.x": "2\n", "a.y": "2\n"})
    code = state(repository.folder)

    assert not ran.exists()
    assert code.dirty is True
    assert b"a/a.x b/a.x" in code.diff.data


def test_asking_writes_nothing(repository: Repository) -> None:
    repository.commit({"a.py": "1\n"})
    os.utime(repository.folder / "a.py", (1, 1))  # which makes git want to refresh its index
    before = _snapshot(repository.folder)
    state(repository.folder)

    assert _snapshot(repository.folder) == before


def _snapshot(folder: Path) -> dict[Path, tuple[int, bytes]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


@pytest.mark.parametrize("name", ["--help", "x\ny", 'q"u', "café", "a b", "-", "ü" * 50])
def test_files_of_any_name_are_taken_for_files(repository: Repository, name: str) -> None:
    repository.commit({name: "1\n", "other": "1\n"})
    repository.write({name: "2\n", f"new{name}": "3\n"})
    code = state(repository.folder)

    assert code.untracked == [f"new{name}"]
    assert code.diff.data.count(b"diff --git") == 1


def test_a_submodule_is_noted_and_not_looked_into(repository: Repository, tmp_path: Path) -> None:
    inner = Repository(tmp_path / "inner")
    inner.commit({"i.py": "1\n"})
    allowed = ("-c", "protocol.file.allow=always")
    repository.git(*allowed, "submodule", "--quiet", "add", str(inner.folder), "inner")
    repository.commit({"a.py": "1\n"})
    repository.write({"inner/i.py": "2\n"})
    code = state(repository.folder)

    assert (code.submodules, code.dirty, code.untracked) == (True, False, [])


def test_what_is_no_repository_gives_none(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent", tmp_path / "nul\0"):
        assert finished(git.state(str(folder), Deadline(DEADLINE))) is None


def test_without_git_there_is_none(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    repository.commit({"a.py": "1\n"})
    monkeypatch.setenv("PATH", str(tmp_path))

    assert finished(git.state(str(repository.folder), Deadline(DEADLINE))) is None


def test_a_git_directory_named_by_the_environment_is_not_taken_for_the_folders_own(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repository.commit({"a.py": "1\n"})
    monkeypatch.setenv("GIT_DIR", str(Repository(tmp_path / "other").folder / ".git"))

    assert state(repository.folder).commit == commit


# Bounds -------------------------------------------------------------------------------------


def part(name: str, size: int) -> bytes:
    head = f"diff --git a/{name} b/{name}\n--- a/{name}\n".encode()
    return head + b"+" * (size - len(head) - 1) + b"\n"


def test_files_that_fit_are_kept_whole_and_the_others_named() -> None:
    parts = {"a": part("a", 400), "big": part("big", 5000), "c": part("c", 400)}
    kept = within(b"".join(parts.values()), whole=True, limit=1000)

    assert kept == Diff(parts["a"] + parts["c"], ["big"], whole=True)


def test_the_last_file_of_a_diff_that_was_cut_is_left_out() -> None:
    kept = within(part("a", 400) + part("b", 400), whole=False, limit=1000)

    assert kept == Diff(part("a", 400), ["b"], whole=False)


def test_a_huge_change_hides_no_small_one(repository: Repository) -> None:
    repository.commit({"a.py": "1\n", "big.bin": b"", "z.py": "1\n"})
    repository.write({"a.py": "2\n", "big.bin": os.urandom(1_500_000), "z.py": "2\n"})
    diff = state(repository.folder).diff

    assert diff.left_out == ["big.bin"]
    assert diff.data.count(b"diff --git") == 2
    assert len(diff.data) < 1000


def test_no_more_than_the_limit_is_ever_read(repository: Repository) -> None:
    repository.commit({"a.py": "1\n", "big.bin": b"", "z.py": "1\n"})
    repository.write({"a.py": "2\n", "big.bin": os.urandom(6_000_000), "z.py": "2\n"})
    diff = state(repository.folder).diff

    assert (diff.left_out, diff.whole) == (["big.bin"], False)
    assert b"a.py" in diff.data


def test_a_program_that_is_too_slow_is_ended(tmp_path: Path) -> None:
    seen: list[Answer | None] = []
    mark = tmp_path / "pid"
    script = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(1000)"
    deadline = Deadline(DEADLINE)
    work = answer([sys.executable, "-c", script], ENVIRONMENT, deadline, limit=10)
    while not (mark.exists() and mark.read_text()):
        next(work)
    deadline.hurry(0)
    seen.append(finished(work))  # type: ignore[arg-type]

    assert seen == [None]
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)


@pytest.mark.parametrize(
    "ask", [asked, lambda *c: _at_once(c, ENVIRONMENT, Deadline(DEADLINE), 10_000)]
)
def test_a_program_that_fails_or_is_missing_says_nothing(
    ask: Callable[..., Answer | None],
) -> None:
    assert ask("sh", "-c", "echo hello; exit 3") is None
    assert ask("no-such-program-anywhere") is None
    assert ask("sh", "-c", "echo hello") == Answer(b"hello\n", whole=True)


def test_an_answer_is_cut_and_its_program_ended() -> None:
    assert asked("sh", "-c", "while :; do echo hello; done", limit=8) == Answer(b"hello\nhe", False)


def test_a_child_that_is_forked_meanwhile_and_holds_the_pipe_delays_nothing() -> None:
    """The program's own child stands for it: it has the writing end and lives on."""
    said = asked("sh", "-c", "echo hello; sleep 1000 & echo $!")

    assert said is not None  # as it would be at the deadline
    hello, pid = said.data.split()
    os.kill(int(pid), signal.SIGKILL)
    assert hello == b"hello"


def test_a_program_that_collects_its_children_itself_is_no_obstacle() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        said = asked("sh", "-c", "echo hello")
    finally:
        signal.signal(signal.SIGCHLD, before)

    assert said == Answer(b"hello\n", whole=True)
