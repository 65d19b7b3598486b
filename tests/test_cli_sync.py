"""`podstack sync`: from store to store, and what waits on this machine."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from typer.testing import CliRunner

from podstack import MLOpsClient, config, spools
from podstack.backend import open_backend
from podstack.cli.app import app
from podstack.errors import AccessDeniedError
from podstack.spools import LOCK, WaitingSpool
from podstack.sync import sync
from podstack.testing.faults import FaultyBackend
from podstack.testing.stage import DEADLINE
from podstack.testing.store_files import stored


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return orjson.loads(self.out)


def ask(*words: str) -> Said:
    result = CliRunner().invoke(app, ["sync", *words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


def record(store: Path, run_id: str) -> None:
    with MLOpsClient(store).start_run(run_id=run_id) as run:
        run.log_metrics({"loss": 0.5})
    assert run.flush(timeout=DEADLINE)


def home(uri: str) -> Path:
    return config.spool_folder() / hashlib.sha256(uri.encode()).hexdigest()[:12]


def spool(uri: str, name: str, run_id: str) -> Path:
    """A spool as a process leaves it that could not send."""
    folder = home(uri) / name
    record(folder, run_id)
    (home(uri) / "uri").write_text(uri)
    (folder / "podstack.json").unlink()
    (folder / ".shipped").write_text("{}")
    (folder / LOCK).touch()
    return folder


@pytest.fixture
def there(tmp_path: Path) -> Path:
    return tmp_path / "there"


@pytest.fixture
def held() -> Iterator[list[int]]:
    """Descriptors of locks that a test holds."""
    descriptors: list[int] = []
    yield descriptors
    for descriptor in descriptors:
        os.close(descriptor)


def lock(folder: Path, held: list[int]) -> None:
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    held.append(descriptor)


def runs_in(store: Path) -> set[str]:
    return {run.id for run in MLOpsClient(store).list_runs()}


# From store to store ------------------------------------------------------------------------


def test_it_says_what_went_and_then_that_nothing_is_missing(store: Path, there: Path) -> None:
    record(store, "r")
    first, second = ask(str(store), str(there)), ask(str(store), str(there))

    assert first.code == second.code == 0
    assert f"of 1 run went from {store} to {there} in " in first.out
    assert second.out == f"{there} has all of {store}.\n"
    assert runs_in(there) == {"r"}


def test_as_json_it_is_one_document(store: Path, there: Path) -> None:
    record(store, "r")
    told = ask(str(store), str(there), "--json").json

    assert told["runs"] == ["r"]
    assert told["objects"] == sum(told["kinds"].values())
    assert told["failed"] == []


def test_a_dry_run_names_the_runs_and_makes_nothing(store: Path, there: Path) -> None:
    record(store, "r")
    said = ask(str(store), str(there), "--dry-run")

    assert "  r\n" in said.out
    assert "would go from" in said.out
    assert not there.exists()


def test_a_project_can_be_named(store: Path, there: Path) -> None:
    record(store, "r")
    assert ask(str(store), str(there), "--project", "default").code == 0
    said = ask(str(store), str(there), "--project", "other")

    assert said.code == 2
    assert "No project 'other'" in said.err


def test_a_source_that_is_not_there_is_said(tmp_path: Path, there: Path) -> None:
    said = ask(str(tmp_path / "nowhere"), str(there))

    assert said.code == 3
    assert "There is no run in" in said.err
    assert not there.exists()


def test_what_cannot_be_copied_is_named_and_ends_with_1(store: Path, there: Path) -> None:
    record(store, "r")
    sick = store / "projects/default/runs/r/artifacts/0123456789ab/m.pt"
    sick.parent.mkdir(parents=True)
    sick.write_bytes(b"other")
    said = ask(str(store), str(there))

    assert said.code == 1
    assert "its SHA-256 begins with" in said.out
    assert "1 object could not be copied" in said.out
    assert runs_in(there) == {"r"}


def test_a_store_that_refuses_names_the_token(
    store: Path, there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(store, "r")
    closed = FaultyBackend(open_backend(str(there)))
    closed.fail("put", AccessDeniedError("401: who are you?", url="https://x"), times=None)
    monkeypatch.setattr("podstack.cli.sending._opened", lambda url: _pick(url, store, closed))
    said = ask(str(store), "https://x")

    assert said.code == 3
    assert "401: who are you? Set PODSTACK_API_TOKEN" in said.err
    assert "Traceback" not in said.err


def _pick(url: str, store: Path, closed: FaultyBackend) -> Any:
    """A store that is closed cannot be had here without a server."""
    return open_backend(url) if url == str(store) else closed


# What waits ---------------------------------------------------------------------------------


def test_where_nothing_waits_it_says_so() -> None:
    assert ask().out == "Nothing waits on this machine: all was sent.\n"
    assert (
        ask("s3://bucket/x").out
        == "Nothing waits on this machine for s3://bucket/x: all was sent.\n"
    )
    assert ask("--json").json["sent"] == []


def test_what_a_dead_process_left_is_sent_and_then_removed(there: Path) -> None:
    folder = spool(str(there), "20261128-120000-000-abcdefgh", "r")
    assert [w.owned for w in spools.waiting()] == [False]
    said = ask()

    assert said.code == 0
    assert f"to {there} in " in said.out
    assert runs_in(there) == {"r"}
    assert not folder.exists()
    assert spools.waiting() == []


def test_what_a_running_process_owns_is_left_to_it(there: Path, held: list[int]) -> None:
    folder = spool(str(there), "20261128-120000-000-abcdefgh", "r")
    lock(folder, held)
    said = ask()

    assert said.code == 0
    assert "is being recorded by a running process, which sends it" in said.out
    assert folder.exists()
    assert not there.exists()
    assert ask("--json").json["sent"][0]["owned"] is True


def test_a_spool_whose_owner_came_back_is_not_taken(there: Path, held: list[int]) -> None:
    folder = spool(str(there), "20261128-120000-000-abcdefgh", "r")
    (waiting,) = spools.waiting()
    lock(folder, held)

    assert spools.send(waiting, open_backend(str(there))) is None
    assert not there.exists()


def test_each_spool_goes_to_its_own_store_and_one_can_be_named(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    spool(str(one), "w1", "a")
    spool(str(two), "w2", "b")
    ask(str(two))
    assert runs_in(two) == {"b"}
    assert not one.exists()
    ask()

    assert runs_in(one) == {"a"}


def test_a_spool_is_not_removed_before_the_store_has_all_of_it(
    there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = spool(str(there), "w", "r")
    target = FaultyBackend(open_backend(str(there)))
    target.fail("put", OSError("no"), call=3)
    (waiting,) = spools.waiting()
    sent = spools.send(waiting, target)

    assert sent is not None
    assert not sent.removed
    assert folder.exists()
    assert (second := spools.send(waiting, target)) is not None
    assert second.removed


class Forgetful(FaultyBackend):
    """Says that it stored what it did not."""

    def put(self, key: str, data: bytes | Path) -> None:
        if "/metrics/" not in key:
            super().put(key, data)


def test_a_store_that_lost_what_it_was_sent_does_not_cost_the_spool(there: Path) -> None:
    folder = spool(str(there), "w", "r")
    (waiting,) = spools.waiting()
    sent = spools.send(waiting, Forgetful(open_backend(str(there))))

    assert sent is not None
    assert sent.report.is_complete
    assert not sent.removed
    assert folder.exists()


def test_a_torn_line_does_not_keep_a_spool(there: Path) -> None:
    folder = spool(str(there), "w", "r")
    (segment,) = (folder / "projects/default/runs/r/metrics").rglob("*.jsonl")
    with segment.open("ab") as file:
        file.write(b'{"s":1,"t"')
    assert ask().code == 0

    assert not folder.exists()


def test_offline_runs_are_sent_and_stay_until_they_are_cleaned(tmp_path: Path) -> None:
    uri = f"memory://{tmp_path.name}"
    client = MLOpsClient(uri, mode="offline")
    with client.start_run(run_id="ended") as run:
        run.log_metrics({"loss": 0.5})
    assert run.flush(timeout=DEADLINE)
    going_on = client.start_run(run_id="going-on")
    going_on.log_metrics({"loss": 1})
    assert going_on.flush(timeout=DEADLINE)
    offline = home(uri) / "offline"

    assert ask().code == 0
    assert {r.id for r in MLOpsClient(uri).list_runs()} == {"ended", "going-on"}
    assert (offline / "projects/default/runs/ended").exists()
    assert ask("--clean").code == 0
    assert not (offline / "projects/default/runs/ended").exists()
    assert (offline / "projects/default/runs/going-on").exists()
    going_on.log_metrics({"loss": 2})
    going_on.finish()
    assert going_on.flush(timeout=DEADLINE)
    assert ask("--clean").code == 0
    assert [p.value for p in MLOpsClient(uri).get_run("going-on").metrics["loss"].raw] == [1, 2]
    assert MLOpsClient(uri).get_run("ended").metrics["loss"].last == 0.5
    assert spools.waiting() == [] or all("runs" not in str(k) for k in stored(offline))


def test_a_store_that_is_not_served_keeps_no_other_from_its_runs(there: Path) -> None:
    kept = spool("nosuch://x", "w1", "a")
    spool(str(there), "w2", "b")
    said = ask()

    assert said.code == 1
    assert "No backend serves nosuch://" in said.out
    assert runs_in(there) == {"b"}
    assert kept.exists()


def test_a_dry_run_leaves_what_waits(there: Path) -> None:
    folder = spool(str(there), "w", "r")
    said = ask("--dry-run")

    assert "would go" in said.out
    assert folder.exists()
    assert not there.exists()


def test_folders_that_are_no_spools_are_passed_over(there: Path) -> None:
    spool(str(there), "w", "r")
    (config.spool_folder() / "0123456789ab" / "w").mkdir(parents=True)
    (config.spool_folder() / "note.txt").write_text("x")
    (home(str(there)) / ".hidden").mkdir()
    (home(str(there)) / "empty").mkdir()

    assert [(w.uri, w.folder.name) for w in spools.waiting()] == [(str(there), "w")]


def test_who_comes_while_a_spool_is_removed_finds_none(
    there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock may be the first of its files to go."""
    folder = spool(str(there), "w", "r")
    (waiting,) = spools.waiting()
    remove, found = shutil.rmtree, list[Any]()

    def slowly(path: Path, **options: Any) -> None:
        (path / LOCK).unlink()
        if not found:
            found.append(spools.waiting())
            found.append(spools.send(waiting, open_backend(str(there))))
        remove(path, **options)

    monkeypatch.setattr(shutil, "rmtree", slowly)
    sent = spools.send(waiting, open_backend(str(there)))

    assert sent is not None
    assert sent.removed
    assert found == [[], None]
    assert list(folder.parent.iterdir()) == [folder.parent / "uri"]


def test_two_syncs_at_once_send_a_spool_once(there: Path) -> None:
    for number in range(6):
        spool(str(there), f"w{number}", f"r{number}")
    program = "import sys; from podstack.cli import main; sys.exit(main())"
    started = [
        subprocess.Popen([sys.executable, "-c", program, "sync"], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    codes = [(p.communicate(timeout=DEADLINE)[0], p.returncode)[1] for p in started]

    assert codes == [0, 0]
    assert runs_in(there) == {f"r{number}" for number in range(6)}
    assert spools.waiting() == []


@pytest.mark.parametrize("words", [("a", "b", "--clean"), ("--project", "x")])
def test_options_that_do_not_go_together_are_refused(words: tuple[str, ...]) -> None:
    said = ask(*words)

    assert said.code == 2
    assert "--" in said.err


def test_a_waiting_spool_says_how_much_it_is(there: Path) -> None:
    folder = spool(str(there), "w", "r")
    (waiting,) = spools.waiting()

    assert waiting == WaitingSpool(str(there), folder, waiting.bytes, owned=False)
    assert waiting.bytes > 100
    assert sync(open_backend(str(folder)), open_backend(str(there))).runs == ("r",)
