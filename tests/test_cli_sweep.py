"""The command `podstack sweep`: most of it in this process, agents in processes of their own."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from typer.testing import CliRunner

from podstack import MLOpsClient
from podstack.cli.app import app
from podstack.sweeps.sweep import Sweep
from podstack.testing.stage import DEADLINE

EVIL = "\x1b]0;owned\x07\x1b[31m[red]x[/red]\u202etxt.exe"
FILE = """
name: digits
experiment: vision
strategy: random
objective: {metric: score, direction: maximize}
max_trials: 4
seed: 7
parameters:
  x: {min: 0.0, max: 1.0}
  model: {depth: {values: [1, 2, 3]}}
command: [echo, "{x}"]
"""


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return orjson.loads(self.out)


def ask(store: Path, *words: str) -> Said:
    """Call the command in this process."""
    result = CliRunner().invoke(app, ["--store", str(store), "sweep", *words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


def fine(store: Path, *words: str) -> Said:
    said = ask(store, *words)
    assert said.code == 0, said
    return said


def process(store: Path, *words: str, **options: Any) -> subprocess.Popen[bytes]:
    """The command in a process of its own, which hears Ctrl-C whoever started the tests."""
    program = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program += "from podstack.cli import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", program, "--store", str(store), "sweep", *words],
        stdout=options.pop("stdout", subprocess.PIPE),
        stderr=options.pop("stderr", subprocess.PIPE),
        start_new_session=True,
        **options,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    pytest.importorskip("yaml")
    path = tmp_path / "sweep.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture
def sweep(client: MLOpsClient) -> Sweep:
    """Three trials of ten are over, one runs."""
    client.create_experiment("vision")
    made = client.create_sweep(
        "vision",
        "random",
        {"x": {"min": 0.0, "max": 1.0}, "model": {"depth": {"values": [1, 2, 3]}}},
        "score",
        10,
        "maximize",
        name="digits",
        seed=7,
    )
    for value in (0.5, 0.75):
        trial = made.suggest()
        assert trial is not None
        client.complete_sweep_trial(made.id, trial.id, {"score": value})
    failed = made.suggest()
    assert failed is not None
    failed.fail("Traceback …\nValueError: no such depth")
    made.suggest()
    return made


# Made and worked on -----------------------------------------------------------------------------


def test_create_makes_the_store_and_prints_the_id_alone(store: Path, file: Path) -> None:
    said = fine(store, "create", str(file))
    sweep = MLOpsClient(store).get_sweep(said.out.strip())

    assert (sweep.name, sweep.experiment_id, sweep.max_trials) == ("digits", "vision", 4)
    assert f"podstack sweep agent {sweep.id}" in said.err


def test_create_takes_another_experiment(store: Path, file: Path) -> None:
    said = fine(store, "create", str(file), "--experiment", "other")

    assert MLOpsClient(store).get_sweep(said.out.strip()).experiment_id == "other"


def test_differences_to_wandb_are_told_on_stderr(store: Path, tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    path = tmp_path / "wandb.yaml"
    path.write_text(
        "method: random\nentity: me\nrun_cap: 3\nmetric: {name: loss, goal: minimize}\n"
        "parameters: {lr: {min: 0.0, max: 1.0}}\nprogram: train.py\n"
    )
    said = fine(store, "create", str(path))

    assert "podstack: entity is nothing that a store has; it is left out." in said.err
    assert MLOpsClient(store).get_sweep(said.out.strip()).max_trials == 3


def test_an_agent_of_a_file_makes_its_sweep_and_the_next_one_joins_it(
    store: Path, file: Path
) -> None:
    fine(store, "agent", str(file), "--count", "3")
    fine(store, "agent", str(file), "--count", "3")
    (sweep,) = MLOpsClient(store).list_sweeps()

    assert (sweep.status, sweep.progress.completed) == ("completed", 4)
    assert [r.value for r in sweep.records()] == [r.params["x"] for r in sweep.records()]


def test_an_agent_takes_a_command_or_that_of_a_file(store: Path, file: Path) -> None:
    made = fine(store, "create", str(file)).out.strip()
    fine(store, "agent", "digits", "--count=1", "--", "sh", "-c", "echo 5; : {x} {model.depth}")
    fine(store, "agent", made, "--count=1", "--file", str(file))
    values = sorted(r.value or 0.0 for r in MLOpsClient(store).get_sweep(made).records())

    assert values[1] == 5.0
    assert 0.0 < values[0] < 1.0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["agent", "digits"], 2, "needs a command"),
        (["agent", "nope", "--", "true"], 2, "nope"),
        (["agent", "digits", "--", "echo", "{modl.depth}"], 2, r"Did you mean {model/depth}?"),
        (["agent", "digits", "--", "no-such-program"], 2, "cannot be run"),
        (["agent", "none.yaml"], 2, "none.yaml cannot be read"),
        (["create", "none.yaml"], 2, "none.yaml cannot be read"),
        (["status", "nope"], 2, "nope"),
        (["best", "digits", "--as", "toml"], 2, "python, yaml, command"),
    ],
)
def test_a_wrong_call_is_one_line_and_a_code(
    store: Path, sweep: Sweep, words: list[str], code: int, said: str
) -> None:
    answer = ask(store, *words)

    assert answer.code == code
    assert said in answer.err
    assert "Traceback" not in answer.err


def test_five_failures_end_an_agent_with_the_reason(store: Path, sweep: Sweep) -> None:
    said = ask(store, "agent", "digits", "--", "false")

    assert said.code == 2
    assert "The first 5 trials of sweep digits failed" in said.err
    assert "exit code 1" in said.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -15)])
def test_an_interrupted_agent_gives_its_trial_back(
    store: Path, client: MLOpsClient, sweep: Sweep, number: signal.Signals, code: int
) -> None:
    began = store.parent / "began"
    agent = process(store, "agent", "digits", "--", "sh", "-c", f"touch {began}; exec sleep 600")
    try:
        until(began.exists)
        agent.send_signal(number)
        _, err = agent.communicate(timeout=DEADLINE)
    finally:
        agent.kill()
        agent.wait()

    assert agent.returncode == code, err
    assert sum(r.status == "running" and not r.worker for r in sweep.records()) == 1


def until(condition: Any) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# Looked at --------------------------------------------------------------------------------------


def test_status_shows_how_far_it_is_who_is_at_work_and_what_failed(
    store: Path, sweep: Sweep
) -> None:
    lines = fine(store, "status", "digits").out.splitlines()
    at_work = next(r for r in sweep.records() if r.status == "running")

    assert lines[0] == f"digits  {sweep.id}  running"
    assert lines[1].startswith("  random, maximize score · experiment vision · ")
    assert lines[2] == f"  {'█' * 12}{'░' * 28}  30%"
    assert lines[3].startswith("  2 of 10 trials completed, 1 failed, 1 running · ")
    assert lines[4].startswith("  best score 0.75 (trial ")
    assert lines[6].split() == ["trial", "host", "for", "run", "parameters"]
    assert lines[7].split()[:2] == [str(at_work.number), os.uname().nodename]
    assert f"x={at_work.params['x']:.6g}" in lines[7]
    assert lines[-1].endswith(": ValueError: no such depth")


def test_status_as_json_holds_every_trial(store: Path, sweep: Sweep) -> None:
    said = fine(store, "status", "latest", "--json").json
    by_status = {each["status"] for each in said["trials"]}

    assert (said["id"], said["status"], said["completed"], said["total"]) == (
        sweep.id,
        "running",
        2,
        10,
    )
    assert said["best"]["value"] == 0.75
    assert said["best"]["params"] == sweep.best_params
    assert by_status == {"completed", "failed", "running"}
    assert said["time_left"] >= 0


def test_status_of_a_stopped_sweep_says_why(store: Path, sweep: Sweep) -> None:
    assert fine(store, "stop", "digits", "--reason", "good enough").out == "stopped sweep digits\n"

    assert "stopped: good enough" in fine(store, "status", "digits").out.splitlines()[0]
    assert sweep.suggest() is None


@pytest.mark.parametrize("form", ["python", "yaml", "command"])
def test_best_prints_parameters_to_copy(store: Path, sweep: Sweep, form: str) -> None:
    said = fine(store, "best", "digits", "--as", form)

    assert said.out.rstrip("\n") == sweep.best_as(form)


def test_best_says_the_value_the_trial_and_the_parameters(store: Path, sweep: Sweep) -> None:
    best = sweep.best_trial
    assert best is not None

    line = fine(store, "best", "digits").out
    said = fine(store, "best", "digits", "--json").json

    assert line.startswith(f"score 0.75 (trial {best.number}): x={best.params['x']:.6g} ")
    assert (said["number"], said["params"]) == (best.number, sweep.best_params)


def test_best_of_nothing_is_an_error(store: Path, client: MLOpsClient) -> None:
    client.create_sweep(None, "random", {"x": {"min": 0.0, "max": 1.0}}, "loss", 3, name="new")

    assert "no completed trial" in ask(store, "best", "new").err


def test_list_shows_the_sweeps_newest_first(store: Path, client: MLOpsClient, sweep: Sweep) -> None:
    client.create_experiment("other")
    client.create_sweep("other", "random", {"x": {"min": 0.0, "max": 1.0}}, "loss", 3, name="two")

    rows = fine(store, "list").out.splitlines()
    said = fine(store, "list", "--json", "--experiment", "vision").json

    assert [row.split()[0] for row in rows] == ["name", "two", "digits"]
    assert [row["name"] for row in said] == ["digits"]


def test_names_in_a_store_do_not_steer_the_terminal(store: Path, client: MLOpsClient) -> None:
    client.create_experiment("e")
    sweep = client.create_sweep(
        "e", "random", {EVIL: {"values": [EVIL, "b"]}}, EVIL, 2, "maximize", name=EVIL
    )
    trial = sweep.suggest()
    assert trial is not None
    client.complete_sweep_trial(sweep.id, trial.id, {EVIL: 1.0})
    bad = sweep.suggest()
    assert bad is not None
    bad.fail(EVIL)

    for words in (["status", sweep.id], ["best", sweep.id], ["list"], ["stop", sweep.id]):
        said = fine(store, *words)
        assert not set("\x1b\x07\u202e") & set(said.out + said.err), words


def test_watch_follows_a_sweep_to_its_end(store: Path, client: MLOpsClient, sweep: Sweep) -> None:
    (at_work,) = [r for r in sweep.records() if r.status == "running"]
    watching = process(store, "status", "digits", "--watch", "--every", "0.1")
    try:
        assert watching.stdout is not None
        first = [watching.stdout.readline().decode() for _ in range(3)]
        sweep.stop("enough")
        sweep.complete(at_work.number, {"score": 0.875})
        out, err = watching.communicate(timeout=DEADLINE)
    finally:
        watching.kill()
        watching.wait()
    rest = out.decode().splitlines()

    assert watching.returncode == 0, err
    assert all(line.startswith("trial ") for line in first)
    assert rest[0].startswith(f"trial {at_work.number} of 10 completed: score 0.875")
    assert rest[1].endswith("stopped: enough")


def test_watch_redraws_on_a_terminal(store: Path, client: MLOpsClient, sweep: Sweep) -> None:
    sweep.stop("enough")
    (at_work,) = [r for r in sweep.records() if r.status == "running"]
    sweep.complete(at_work.number, {"score": 0.875})
    ours, theirs = pty.openpty()
    watching = process(store, "status", "digits", "--watch", stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    try:
        while chunk := _read(ours):
            seen += chunk
        assert watching.wait(DEADLINE) == 0
    finally:
        watching.kill()
        watching.wait()
        os.close(ours)

    assert "█".encode() in seen
    assert b"best score 0.875" in seen


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other side is closed
        return b""


def test_help_names_every_command(store: Path) -> None:
    out = fine(store, "--help").out

    for name in ("create", "agent", "status", "best", "list", "stop"):
        assert name in out
