"""What podstack says aloud: a line at start, warnings now and then, a bar on a terminal."""

from __future__ import annotations

import io
import logging
import os
import pty
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

import pytest

from podstack import MLOpsClient
from podstack.console import Progress, Warner, readable_bytes, say
from podstack.testing.podstack_server import RunningServer
from podstack.testing.stage import Stage

ALOUD = {"PODSTACK_QUIET": "0"}


@pytest.fixture
def aloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODSTACK_QUIET", "0")


@pytest.mark.usefixtures("aloud")
def test_a_run_says_one_line_at_start_on_stderr(
    client: MLOpsClient, store: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with client.start_run(run_id="r", name="first") as run:
        run.log_metrics({"x": 1})
    run.flush()

    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines() == [
        f"podstack: run first → {store} · look: podstack ui --store {str(store)!r}"
        f" · in Python: MLOpsClient({str(store)!r}).get_run('r')"
    ]


@pytest.mark.usefixtures("aloud")
def test_a_resumed_run_says_where_it_goes_on(
    client: MLOpsClient, capfd: pytest.CaptureFixture[str]
) -> None:
    with client.start_run(run_id="r", name="first") as run:
        run.log_metrics({"x": 1}, step=9)
    capfd.readouterr()
    with client.start_run(run_id="r"):
        pass

    assert capfd.readouterr().err.startswith("podstack: resumed at step 10: first → ")


def test_the_line_at_start_can_be_pasted_and_works(stage: Stage) -> None:
    said = stage.play("client.start_run(run_id='r', name='first').finish()", environment=ALOUD).err
    pasted = said.strip().partition("in Python: ")[2]

    assert stage.play(f"print({pasted}.name)").out == "first\n"


def test_a_run_on_a_server_says_the_address_of_its_page(stage: Stage, tmp_path: Path) -> None:
    with RunningServer(tmp_path / "served") as server:
        address = f"http://127.0.0.1:{server.port}"
        said = stage.play(
            f"""
            from podstack import MLOpsClient
            run = MLOpsClient({address!r}, project="team").start_run(run_id="r", name="first")
            run.finish()
            print(run.page)
            """,
            environment=ALOUD,
        )

    page = f"{address}/projects/team/runs/r"
    assert f"· look: {page} ·" in said.err
    assert said.out == f"{page}\n"


def test_a_quiet_podstack_says_nothing(stage: Stage) -> None:
    ended = stage.play("""
        with client.start_run() as run:
            run.log_metrics({"x": 1})
    """)

    assert (ended.code, ended.out, ended.err) == (0, "", "")


@pytest.mark.usefixtures("aloud")
@pytest.mark.parametrize("broken", ["none", "closed"])
def test_a_process_without_stderr_trains_all_the_same(
    client: MLOpsClient, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stderr", None if broken == "none" else stream)
    say("hello")
    with client.start_run() as run:
        run.log_metrics({"x": 1})

    assert run.metrics["x"].last == 1


def test_a_process_whose_stderr_is_full_trains_all_the_same(stage: Stage) -> None:
    ended = stage.play(
        """
        run = client.start_run(run_id="r")
        run.log_metrics({"x": 1})
        run.finish()
        """,
        first="import sys; sys.stderr = open('/dev/full', 'w', buffering=1)\n",
        environment=ALOUD,
    )

    assert stage.run().status == "completed", ended


def test_warnings_reach_a_program_that_set_up_no_logging(stage: Stage) -> None:
    ended = stage.play("from podstack.console import warn; warn('the disk is full')")

    assert logging.getLogger("podstack").handlers == []
    assert ended.err == "the disk is full\n"


def test_a_trouble_that_repeats_is_told_at_once_then_with_a_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    warner = Warner(every=3_600)
    for _ in range(5):
        warner.warn("no space")
    assert [record.message for record in caplog.records] == ["no space"]

    warner._next = float("-inf")  # an hour later
    warner.warn("no space")
    assert [record.message for record in caplog.records] == ["no space", "no space (5 times)"]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


# The bar -----------------------------------------------------------------------------------


@contextmanager
def terminal() -> Iterator[int]:
    """stderr is a terminal; this reads what it shows."""
    screen, keyboard = pty.openpty()
    with open(keyboard, "w", encoding="utf-8") as stderr, redirect_stderr(stderr):
        yield screen
    os.close(screen)


def shown_on(screen: int) -> str:
    """What the terminal got so far: a mark is sent behind it and waited for."""
    print("|", end="", file=sys.stderr, flush=True)
    shown = b""
    while not shown.endswith(b"|"):
        shown += os.read(screen, 65_536)
    return shown.decode().removesuffix("|")


@pytest.mark.usefixtures("aloud")
def test_a_bar_shows_how_far_it_is_and_is_wiped_at_the_end() -> None:
    with terminal() as screen:
        progress = Progress("logging model.pt", 2_000_000)
        progress._shown_at = 0.0  # a second has passed
        progress.advance(500_000)
        assert shown_on(screen) == f"\rlogging model.pt {'█' * 6:<24}  25% of 2.0 MB "

        progress.close()
        assert shown_on(screen) == "\r\x1b[2K"


@pytest.mark.usefixtures("aloud")
def test_work_that_takes_less_than_a_second_shows_no_bar() -> None:
    with terminal() as screen:
        progress = Progress("logging model.pt", 100)
        progress.advance(100)
        progress.close()

        assert shown_on(screen) == ""


@pytest.mark.usefixtures("aloud")
def test_a_bar_is_redrawn_at_most_ten_times_a_second() -> None:
    with terminal() as screen:
        progress = Progress("logging model.pt", 1_000)
        progress._shown_at = 0.0
        progress.advance(1)
        progress._shown_at += 3_600
        for _ in range(999):
            progress.advance(1)

        assert shown_on(screen).count("\r") == 1


@pytest.mark.usefixtures("aloud")
def test_a_bar_over_nothing_is_full() -> None:
    with terminal() as screen:
        progress = Progress("logging empty", 0)
        progress._shown_at = 0.0
        progress.advance(0)

        assert "100% of 0 B" in shown_on(screen)


def test_a_quiet_podstack_shows_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODSTACK_QUIET", "1")
    with terminal() as screen:
        progress = Progress("logging model.pt", 100)
        progress._shown_at = 0.0
        progress.advance(50)
        progress.close()

        assert shown_on(screen) == ""


@pytest.mark.usefixtures("aloud")
def test_a_file_is_no_terminal_and_gets_no_bar(capfd: pytest.CaptureFixture[str]) -> None:
    progress = Progress("logging model.pt", 100)
    progress._shown_at = 0.0
    progress.advance(50)
    progress.close()

    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (1_400_000, "1.4 MB"), (5e9, "5.0 GB"),
     (2e12, "2.0 TB"), (3e15, "3000.0 TB")],
)  # fmt: skip
def test_bytes_are_readable(count: float, text: str) -> None:
    assert readable_bytes(count) == text
