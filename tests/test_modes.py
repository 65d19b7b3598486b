"""Online, offline, disabled: what each of them writes."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from podstack import MLOpsClient, Run, RunClosedError, UsageError, WrongTypeError
from podstack.testing.stage import Stage

EVERYTHING = """
    from pathlib import Path
    client = MLOpsClient(mode={mode!r})
    experiment = client.create_experiment("digits", "handwritten", tags=["a"])
    experiment.update(name="other")
    experiment.archive()
    experiment.restore()
    parent = client.start_run(experiment_id=experiment.id, params={{"lr": 1}})
    with client.start_run("digits", run_id="r", name="n", tags="t", parent_run_id=parent.id) as run:
        for step in range(1000):
            run.log_metrics({{"x": step, "y": float("nan")}})
        run.log_params({{"a": {{"b": None}}}})
        run.log_artifact(__file__)
        run.log_artifacts(Path(__file__).parent / "files", "files")
        run.log_dataset("d", __file__)
        run.set_notes("notes")
        run.set_name("name")
        run.add_tags("b")
        run.remove_tags("b")
        assert run.flush() is True
        assert run.should_stop is False and run.dropped == 0
        run.request_stop()
    run.finish()
    client.get_run("r").set_notes("later")
    client.list_runs(), client.list_experiments(), client.get_experiment("digits").list_runs()
    print(len(repr(run)), len(run._repr_html_()), dict(run.metrics) is not None)
    run.delete(), run.restore(), run.purge(), experiment.purge()
    sweep = client.create_sweep(None, "random", {{"lr": {{"min": 0.0, "max": 1.0}}}}, "loss", 3)
    for end in ("complete", "prune", "release"):
        trial = client.suggest_sweep_params(sweep.id)
        trial.report(0.5, step=1)
        trial.should_prune()
        trial.complete(value=0.5) if end == "complete" else getattr(trial, end)()
    with client.start_run(sweep_trial=sweep.suggest()):
        pass
    print(sweep.records(), sweep.progress, client.list_sweeps(), client.get_sweep(sweep.id).status)
    client.stop_sweep(sweep.id)
    sys.exit(0)
"""

WATCH = """
    import os, sys
    import sqlite3, ssl, socket, getpass  # so that what they read at import is not counted
    def watch(event, arguments):
        if not watching:
            return
        wrote = event == "open" and (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if wrote and arguments[0] not in (os.devnull, "nul"):
            print("WROTE", event, arguments, flush=True)
        if event in ("os.mkdir", "os.rename", "os.remove", "os.link", "os.truncate", "os.symlink",
                     "socket.connect", "socket.bind", "subprocess.Popen"):
            print("DID", event, arguments, flush=True)
    watching = False
    sys.addaudithook(watch)
    sys.dont_write_bytecode = True
"""


@pytest.fixture
def folder(stage: Stage, tmp_path: Path) -> Path:
    """Where the script stands, with files to log."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.txt").write_text("a")
    return tmp_path


@pytest.mark.parametrize("by", ["argument", "environment"])
def test_disabled_takes_every_call_and_writes_nothing_at_all_anywhere(
    stage: Stage, folder: Path, by: str
) -> None:
    before = set(folder.rglob("*"))
    ended = stage.play(
        "watching = True\n"
        + dedent(EVERYTHING).format(mode="disabled" if by == "argument" else None),
        first=WATCH,
        environment={
            "PODSTACK_MODE": "disabled" if by == "environment" else "",
            "PODSTACK_QUIET": "0",
            "PODSTACK_SPOOL": "",
            "HOME": str(folder),
            "XDG_CACHE_HOME": str(folder),
        },
    )

    assert (ended.code, ended.err) == (0, "")
    assert "WROTE" not in ended.out
    assert "DID" not in ended.out
    made = {path.name for path in set(folder.rglob("*")) - before}
    assert made - {"acks"} == {"script_0.py", "script_0.out", "script_0.err"}


def test_what_watches_a_disabled_podstack_sees_an_enabled_one(stage: Stage, folder: Path) -> None:
    ended = stage.play("watching = True\n" + dedent(EVERYTHING).format(mode="online"), first=WATCH)

    assert ended.code == 0, ended.err
    assert "WROTE open" in ended.out
    assert "DID os.mkdir" in ended.out


@pytest.fixture
def disabled(store: Path) -> Iterator[Run]:
    with MLOpsClient(store, mode="disabled").start_run("any experiment") as run:
        yield run


def test_disabled_still_refuses_wrong_calls(disabled: Run, tmp_path: Path) -> None:
    with pytest.raises(WrongTypeError, match="'bad'"):
        disabled.log_metrics({"bad": "text"})
    with pytest.raises(WrongTypeError, match="step"):
        disabled.log_metrics({"x": 1}, step=1.5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="parameter name"):
        disabled.log_params({"": 1})
    with pytest.raises(UsageError, match="No such file"):
        disabled.log_artifact(tmp_path / "missing")
    with pytest.raises(WrongTypeError, match="Notes"):
        disabled.set_notes(5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="tag name"):
        disabled.add_tags("")
    with pytest.raises(UsageError, match="run_id"):
        MLOpsClient(mode="disabled").start_run(run_id="../x")


def test_a_disabled_run_ends_as_any_other(disabled: Run) -> None:
    assert disabled.status == "running"
    disabled.finish()

    assert disabled.status == "completed"
    assert disabled.duration < 3_600
    with pytest.raises(RunClosedError):
        disabled.log_metrics({"x": 1})


def test_a_pickled_disabled_run_stays_disabled(
    disabled: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    copy = pickle.loads(pickle.dumps(disabled))
    copy.log_metrics({"x": 1})
    copy.finish()

    assert list(tmp_path.iterdir()) == []


def test_offline_is_online_where_the_store_is_a_folder(store: Path) -> None:
    client = MLOpsClient(store, mode="offline")
    with client.start_run() as run:
        run.log_metrics({"x": 1})

    assert MLOpsClient(store).get_run(run.id).metrics["x"].last == 1
    assert client.uri == str(store)


def test_online_is_the_default(client: MLOpsClient) -> None:
    assert repr(client).endswith("mode='online')")
