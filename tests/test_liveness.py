"""A run is what its writers say, and lost once none of them lives."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from podstack import MLOpsClient, clock, oplog, processes
from podstack.backend import LocalStore, open_backend
from podstack.keys import Project
from podstack.liveness import PATIENCE
from podstack.testing.stage import DEADLINE

KEYS = Project("default")
HERE = dict(processes.this_process())
ELSEWHERE = {"host": "other", "machine": "0123456789abcdef", "pid": 1, "born": "7"}
GONE = {**HERE, "pid": 999_999_999}
LONG = PATIENCE + 60


class Forge:
    """Writes the facts and hints that processes on other machines would have written."""

    def __init__(self, folder: Path) -> None:
        backend = open_backend(str(folder))
        assert isinstance(backend, LocalStore)
        self.store = backend
        self.started = clock.now()
        self._stamps = 0

    def says(self, writer: str, ago: float, changes: dict[str, Any]) -> None:
        """One more line of `writer`, as if logged `ago` seconds before the test began."""
        self._stamps += 1
        stamp = f"{(int((self.started - ago) * 1000) << 16) + self._stamps:016x}"
        descriptor = self.store.open_append(KEYS.meta_log("r", writer))
        os.write(descriptor, oplog.encode(stamp, changes))
        os.close(descriptor)

    def starts(
        self, writer: str, ago: float, process: dict[str, Any] = ELSEWHERE, **record: Any
    ) -> None:
        introduction = {**process, "role": "main", "interval": 10.0, **record}
        self.says(writer, ago, {f"writers/{writer}": introduction, "status": "running"})

    def closes(self, writer: str, ago: float, ending: str, **changes: Any) -> None:
        self.says(writer, ago, {f"closed/{writer}": {"status": ending, "next_step": 1}, **changes})

    def beats(self, writer: str, ago: float) -> None:
        hint = {"t": self.started - ago, "interval": 10.0, "segments": 0, "bytes": 0, "last": {}}
        self.store.put_hint(KEYS.live_hint("r", writer), orjson.dumps(hint))


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return Forge(tmp_path)


@pytest.fixture
def client(tmp_path: Path) -> MLOpsClient:
    return MLOpsClient(tmp_path)


@pytest.fixture
def word(client: MLOpsClient) -> Callable[[], str]:
    """The status of the forged run, as one reader that goes on looking sees it."""
    return lambda: client.get_run("r").status


def test_a_run_of_a_living_process_is_running_and_then_what_it_said(client: MLOpsClient) -> None:
    for ending in ("completed", "failed", "killed"):
        run = client.start_run()
        assert client.get_run(run.id).status == "running"
        run.finish(ending)

        assert client.get_run(run.id).status == ending
        assert client.get_run(run.id).lost_since is None


def test_a_process_that_vanished_on_this_machine_is_lost_at_once(client: MLOpsClient) -> None:
    script = (
        "import os, sys; from podstack import MLOpsClient;"
        "run = MLOpsClient(sys.argv[1]).start_run(run_id='r');"
        "run.log_metrics({'loss': 1}); os._exit(0)"
    )
    before = clock.now()
    subprocess.run([sys.executable, "-c", script, client.uri], timeout=DEADLINE, check=True)
    run = client.get_run("r")

    assert run.status == "failed"
    assert run.lost_since is not None
    assert before - 1 <= run.lost_since <= clock.now()
    assert run.ended == run.lost_since
    assert "lost since" in repr(run)
    assert run.metrics["loss"].last == 1


def test_a_living_process_here_that_is_silent_too_long_is_lost(
    forge: Forge, word: Callable[[], str]
) -> None:
    forge.starts("a", LONG, HERE)
    assert word() == "failed"
    forge.beats("a", 1)

    assert word() == "running"


def test_a_process_number_that_another_process_has_now_is_gone(
    forge: Forge, word: Callable[[], str]
) -> None:
    forge.starts("a", 1, {**HERE, "born": "1"})

    assert word() == "failed"


def test_on_another_machine_a_process_lives_while_its_heart_beats(
    forge: Forge, word: Callable[[], str]
) -> None:
    forge.starts("a", 3600)
    forge.beats("a", PATIENCE / 2)

    assert word() == "running"


def test_a_run_that_just_started_elsewhere_needs_no_hint(
    forge: Forge, word: Callable[[], str]
) -> None:
    forge.starts("a", PATIENCE / 2)

    assert word() == "running"


def test_another_machine_that_is_silent_for_five_minutes_is_lost_since_its_last_beat(
    forge: Forge, client: MLOpsClient
) -> None:
    forge.starts("a", 3600)
    forge.beats("a", LONG)
    run = client.get_run("r")

    assert run.status == "failed"
    assert run.lost_since == forge.started - LONG


def test_without_a_hint_a_run_is_lost_since_its_last_fact(
    forge: Forge, client: MLOpsClient
) -> None:
    forge.starts("a", 3600)

    assert client.get_run("r").lost_since == pytest.approx(forge.started - 3600, abs=0.002)


@pytest.mark.parametrize(
    "hint", [b"", b"{", b"[]", b"7", b"{}", b'{"t":null}', b'{"t":"x"}', b"\xff"]
)
def test_a_damaged_hint_is_no_hint(forge: Forge, client: MLOpsClient, hint: bytes) -> None:
    forge.starts("a", LONG)
    forge.store.put_hint(KEYS.live_hint("r", "a"), hint)

    assert client.get_run("r").status == "failed"


@pytest.mark.parametrize(("ago", "expected"), [(LONG, "running"), (6 * PATIENCE, "failed")])
def test_a_longer_interval_gives_more_patience(
    ago: float, expected: str, forge: Forge, word: Callable[[], str]
) -> None:
    forge.starts("a", ago, interval=PATIENCE)

    assert word() == expected


def test_a_lost_run_that_speaks_again_is_running_again(
    forge: Forge, word: Callable[[], str]
) -> None:
    forge.starts("a", 3600)
    forge.beats("a", LONG)
    assert word() == "failed"
    forge.beats("a", 0)
    assert word() == "running"
    forge.closes("a", 0, "completed", status="completed")

    assert word() == "completed"


def test_a_beat_that_this_reader_saw_counts_though_the_writers_clock_is_wrong(
    forge: Forge, word: Callable[[], str]
) -> None:
    forge.starts("a", 86_400)
    forge.beats("a", 86_400)  # a clock a day behind
    assert word() == "failed"
    forge.beats("a", 86_399)

    assert word() == "running"


@pytest.mark.parametrize("changes", [True, False])
def test_silence_is_counted_by_the_readers_own_clock(
    changes: bool, forge: Forge, word: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    forge.starts("a", 0)
    forge.beats("a", -86_400)  # a clock a day ahead
    assert word() == "running"
    if changes:
        forge.beats("a", -86_401)
        assert word() == "running"
    # Five minutes of silence cannot be waited for in a test.
    real = clock.monotonic
    monkeypatch.setattr(clock, "monotonic", lambda: real() + LONG)

    assert word() == "failed"


def test_a_run_resumed_elsewhere_lives_by_its_new_writer(
    forge: Forge, word: Callable[[], str]
) -> None:
    forge.starts("a", 3600, GONE)
    assert word() == "failed"
    forge.starts("b", 100, role="resume")
    assert word() == "running"
    forge.closes("b", 50, "killed", status="killed")

    assert word() == "killed"


def test_the_first_writer_closing_leaves_a_resumed_run_running(
    forge: Forge, word: Callable[[], str]
) -> None:
    forge.starts("a", 200)
    forge.starts("b", 100, role="resume")
    forge.closes("a", 50, "completed")

    assert word() == "running"


def test_where_the_last_to_speak_closed_the_run_ends_as_it_said(
    forge: Forge, word: Callable[[], str]
) -> None:
    forge.starts("a", 3600, GONE)
    forge.starts("b", 1000)
    forge.closes("b", 900, "completed")  # when `a` still seemed to live, so `status` was left

    assert word() == "completed"


def test_a_run_whose_processes_close_at_one_time_ended_then(
    forge: Forge, client: MLOpsClient
) -> None:
    forge.starts("a", 3600)
    forge.starts("b", 3500, role="resume")
    for writer in ("a", "b"):  # each while the other seemed to live
        forge.closes(writer, 900, "completed")
    run, (row,) = client.get_run("r"), client.search_runs()

    assert (run.status, row.status) == ("completed", "completed")
    assert run.ended == pytest.approx(forge.started - 900, abs=0.002)
    assert row.ended == run.ended
    assert row.duration == pytest.approx(2700, abs=1.0)
    assert run.duration == row.duration


def test_where_the_last_to_speak_was_lost_the_run_is_lost(
    forge: Forge, word: Callable[[], str]
) -> None:
    forge.starts("a", 3600)
    forge.closes("a", 3000, "completed", status="completed")
    forge.starts("b", 2000, role="resume")

    assert word() == "failed"


def test_a_child_keeps_no_run_alive_and_ends_none(forge: Forge, word: Callable[[], str]) -> None:
    forge.starts("a", 3600)
    forge.starts("c", 1, role="child")
    forge.beats("c", 0)
    assert word() == "failed"
    forge.beats("a", 0)
    forge.closes("c", 0, "completed")

    assert word() == "running"


@pytest.mark.parametrize("record", [None, 7, "x", [], {}, {"pid": "x"}, {"interval": "x"}])
def test_a_writer_whose_record_says_nothing_lives_by_its_time(
    forge: Forge, word: Callable[[], str], record: object
) -> None:
    forge.says("a", LONG, {"writers/a": record, "status": "running", "created": 1.0})
    assert word() == "failed"
    forge.says("b", 1, {"writers/b": record or {}})

    assert word() == "running"


def test_a_run_with_facts_but_no_writer_is_lost_since_its_last_fact(
    forge: Forge, client: MLOpsClient
) -> None:
    forge.says("a", 100, {"name": "imported"})
    run = client.get_run("r")

    assert run.status == "failed"
    assert run.lost_since == pytest.approx(forge.started - 100, abs=0.002)


def test_a_closed_entry_with_an_odd_status_closes_nothing(
    forge: Forge, word: Callable[[], str]
) -> None:
    forge.starts("a", 10)
    for odd in ("running", "done", None, 7):
        forge.says("a", 5, {"closed/a": {"status": odd}})

        assert word() == "running"
