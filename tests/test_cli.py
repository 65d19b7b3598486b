"""The command `podstack`, most of it in this process, and real processes where those differ."""

from __future__ import annotations

import math
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from typer.testing import CliRunner

from podstack import MLOpsClient, Run
from podstack.cli.app import app
from podstack.config import cache_folder
from podstack.keeper import keeper
from podstack.testing.repository import patience
from podstack.testing.stage import DEADLINE, Stage

EVIL = "\x1b]0;owned\x07\x1b[31m[red]x[/red] [link=file:///e]y[/link] \u202etxt.exe\n=1+1"
MODEL = bytes(range(256)) * 40


class Said(NamedTuple):
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return orjson.loads(self.out)


def ask(store: Path, *words: str, given: str | None = None) -> Said:
    """Call the command in this process."""
    result = CliRunner().invoke(app, ["--store", str(store), *words], input=given)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


def fine(store: Path, *words: str, given: str | None = None) -> Said:
    said = ask(store, *words, given=given)
    assert said.code == 0, said
    return said


def process(store: Path, *words: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start the command in a process of its own, which hears Ctrl-C whoever started the tests."""
    program = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program += "from podstack.cli import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", program, "--store", str(store), *words],
        stdout=options.pop("stdout", subprocess.PIPE),
        stderr=options.pop("stderr", subprocess.PIPE),
        start_new_session=True,
        **options,
    )


def played(store: Path, *words: str) -> Said:
    running = process(store, *words)
    out, err = running.communicate(timeout=DEADLINE)
    return Said(running.returncode, out.decode(), err.decode())


def fill(folder: Path) -> None:
    model = folder.parent / "model.pt"
    model.write_bytes(MODEL)
    client = MLOpsClient(folder)
    client.create_experiment("digits", "which depth?", ["vision"])
    client.create_experiment("old").archive()
    for number, name in enumerate(("first", "twin", "twin", "best")):
        params = {"lr": 0.1 / (number + 1), "depth": number, "optimizer": "adam", "none": None}
        with client.start_run(
            experiment="digits", name=name, run_id=f"run-{number}", tags=["t"], params=params
        ) as run:
            run.create_alert("loss > 0.9", "diverged?")
            for step in range(20):
                acc = 0.5 + number / 10 + step / 100
                run.log_metrics({"val_acc": acc, "loss": 1 / (step + 1), "odd": math.nan})
            run.log_metrics({"odd": math.inf})
            run.log_artifact(model, "models")
            run.set_notes("# Depth\nmore is better\n")
    client.get_run("run-1").delete()
    assert keeper.wait(
        DEADLINE
    )  # files have their hashes, logs their seals: nothing more is written


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs, one of them hidden, two experiments; nothing in it is changed by a test."""
    folder = tmp_path_factory.mktemp("cli") / "store"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PODSTACK_CAPTURE", "0")
        patch.setenv("PODSTACK_QUIET", "1")
        fill(folder)
    assert MLOpsClient(folder).get_run("run-3").artifacts["models/model.pt"].size == len(MODEL)
    return folder


@pytest.fixture
def own(client: MLOpsClient, store: Path) -> Path:
    """A store with one finished run, `r`, to be changed."""
    client.create_experiment("e")
    with client.start_run(experiment="e", name="one", run_id="r", tags=["a"]) as run:
        run.log_metrics({"x": 1.0})
    assert run.flush(timeout=DEADLINE)
    return store


# Lists -----------------------------------------------------------------------------------------


def test_experiments_are_listed_with_their_runs(filled: Path) -> None:
    rows = {row["name"]: row for row in fine(filled, "experiments", "--json").json}
    text = fine(filled, "experiments").out

    assert rows["digits"]["runs"] == 3
    assert rows["digits"]["tags"] == ["vision"]
    assert rows["old"]["status"] == "archived"
    assert "digits" in text
    assert "completed" in text


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--status", "archived"], ["old"]),
        (["--search", "DEPTH"], ["digits"]),
        (["--tag", "vision"], ["digits"]),
        (["--tag", "nope"], []),
        (["--sort", "name"], ["digits", "old"]),
        (["--sort", "-name"], ["old", "digits"]),
    ],
)
def test_experiments_are_searched_and_sorted(
    filled: Path, words: list[str], names: list[str]
) -> None:
    rows = fine(filled, "experiments", "--json", *words).json

    assert [row["name"] for row in rows] == names


def test_runs_are_listed_newest_first_with_what_differs(filled: Path) -> None:
    lines = fine(filled, "runs").out.splitlines()

    assert [line.split()[0] for line in lines] == ["name", "best", "twin", "first"]
    assert "lr" in lines[0]
    assert "optimizer" not in lines[0]  # the same in all


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (["-f", "metrics.val_acc > 0.9"], ["run-3"]),
        (["--filter", "params.depth < 1 or name = best"], ["run-3", "run-0"]),
        (["-o", "metrics.val_acc"], ["run-0", "run-2", "run-3"]),
        (["--order", "-params.lr"], ["run-0", "run-2", "run-3"]),
        (["-o", "user, -metrics.`val_acc`"], ["run-3", "run-2", "run-0"]),
        (["-n", "1"], ["run-3"]),
        (["-n", "0"], ["run-3", "run-2", "run-0"]),
        (["--deleted"], ["run-3", "run-2", "run-1", "run-0"]),
        (["digits"], ["run-3", "run-2", "run-0"]),
        (["old"], []),
    ],
)
def test_runs_are_filtered_ordered_and_limited(
    filled: Path, words: list[str], ids: list[str]
) -> None:
    assert [row["id"] for row in fine(filled, "runs", "--json", *words).json] == ids


def test_columns_are_chosen(filled: Path) -> None:
    words = ["runs", "-c", "name, params.lr ,metrics.val_acc.max", "-n", "1"]
    head, row = fine(filled, *words).out.splitlines()

    assert head.split() == ["name", "lr", "val_acc.max"]
    assert row.split() == ["best", "0.025", "0.9900"]
    assert fine(filled, *words, "--json").json == [
        {"id": "run-3", "name": "best", "params.lr": 0.025, "metrics.val_acc.max": 0.99}
    ]


def test_a_list_that_is_cut_says_so_beside_the_answer(filled: Path) -> None:
    said = fine(filled, "runs", "-n", "1")

    assert "1 of 3 runs" in said.err
    assert "of 3" not in said.out
    assert fine(filled, "runs", "-n", "1", "--quiet").err == ""


def test_a_filter_that_cannot_be_read_points_at_the_place(filled: Path) -> None:
    said = ask(filled, "runs", "-f", "loss >")

    assert said.code == 2
    assert re.search(r"\n\s+\^", said.err)
    assert "Traceback" not in said.err


# One run ---------------------------------------------------------------------------------------

IDENTITY = [
    *("id", "name", "status", "lost_since", "experiment", "experiment_id", "user", "created"),
    *("ended", "duration", "parent", "tags"),
]


def test_show_has_everything_of_a_run(filled: Path) -> None:
    text = fine(filled, "show", "run-3").out

    for part in (
        *("best  run-3", "completed", "experiment digits", "tags: t", "optimizer  adam"),
        *("val_acc", "0.9900", "models/model.pt", "10.2 kB", "loss > 0.9", "fired 1×"),
        *("# Depth", "▁"),
    ):
        assert part in text, part


def test_show_as_json_has_its_keys_and_typed_values(filled: Path) -> None:
    shown = fine(filled, "show", "run-3", "--json").json
    rest = ["params", "metrics", "artifacts", "datasets", "alerts", "environment"]

    assert list(shown) == [*IDENTITY, *rest, "notes", "error", "deleted"]
    assert shown["params"] == {"lr": 0.025, "depth": 3, "optimizer": "adam", "none": None}
    assert shown["metrics"]["odd"]["last"] == "Infinity"
    assert shown["metrics"]["odd"]["steps"] == 21
    assert shown["metrics"]["loss"]["last"] == 0.05
    assert shown["artifacts"][0]["path"] == "models/model.pt"
    assert shown["alerts"][0]["fired"][0]["step"] == 0


def test_a_listed_run_has_the_keys_of_a_shown_one(filled: Path) -> None:
    listed = fine(filled, "runs", "--json", "-n", "1").json[0]
    shown = fine(filled, "show", "run-3", "--json").json
    common = set(IDENTITY) | {"params", "metrics", "notes", "error", "deleted"}

    assert set(listed) == common
    assert {key: listed[key] for key in common} == {key: shown[key] for key in common}


@pytest.mark.parametrize(
    ("text", "run"),
    [
        *(("run-3", "run-3"), ("best", "run-3"), ("latest", "run-3"), ("latest~2", "run-0")),
        ("twin", "run-2"),  # run-1 of that name is hidden
        ("run-1", "run-1"),
    ],
)
def test_a_run_is_named_by_id_name_or_age(filled: Path, text: str, run: str) -> None:
    assert fine(filled, "show", text, "--json").json["id"] == run


def test_a_run_is_named_by_the_beginning_of_its_id(own: Path, client: MLOpsClient) -> None:
    client.start_run(run_id="20261124-031447-um8va6yd").finish()

    assert fine(own, "show", "20261124-03", "--json").json["id"] == "20261124-031447-um8va6yd"


def test_a_name_of_several_runs_lists_them(filled: Path, client: MLOpsClient) -> None:
    said = ask(filled, "show", "run-")

    assert said.code == 2
    assert "run-0" in said.err
    assert "run-2" in said.err
    assert "best" in said.err


def test_an_unknown_run_names_the_nearest(filled: Path) -> None:
    said = ask(filled, "show", "bset")

    assert said.code == 2
    assert "best" in said.err
    assert said.err.startswith("podstack: ")


def test_there_is_no_latest_of_no_run(client: MLOpsClient, store: Path) -> None:
    client.create_experiment("e")

    assert ask(store, "show", "latest").code == 2
    assert ask(store, "show", "latest~9999999999999").code == 2


def test_watch_of_an_ended_run_says_its_last_steps_and_leaves(filled: Path) -> None:
    lines = fine(filled, "watch", "run-3").out.splitlines()

    assert lines[0].startswith("step 11 ")
    assert lines[-1].startswith("completed after")


def test_watch_follows_a_run_to_its_end(run: Run, store: Path) -> None:
    run.log_metrics({"loss": 0.5}, step=7)
    watching = process(store, "watch", run.id, "--every", "0.1", bufsize=0)
    assert watching.stdout is not None
    first = watching.stdout.readline()
    run.log_metrics({"loss": 0.25}, step=8)
    second = watching.stdout.readline()
    run.finish()
    out, err = watching.communicate(timeout=DEADLINE)

    assert (first, second) == (b"step 7  loss 0.5000\n", b"step 8  loss 0.2500\n")
    assert out.startswith(b"completed after")
    assert (watching.returncode, err) == (0, b"")


def test_ctrl_c_ends_a_watch_without_a_traceback(run: Run, store: Path) -> None:
    run.log_metrics({"loss": 0.5})
    watching = process(store, "watch", run.id, bufsize=0)
    assert watching.stdout is not None
    watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    try:
        _, err = watching.communicate(timeout=DEADLINE)
    finally:
        watching.kill()

    assert (watching.returncode, err) == (130, b"")


# Several runs ----------------------------------------------------------------------------------


def test_compare_shows_what_differs_and_counts_what_does_not(filled: Path) -> None:
    said = fine(filled, "compare", "best", "run-0")

    assert "lr" in said.out
    assert "val_acc" in said.out
    assert "optimizer" not in said.out
    assert "2 parameters are equal in all" in said.err


def test_compare_as_json_has_a_dict_for_each_run(filled: Path) -> None:
    best, first = fine(filled, "compare", "best", "run-0", "--json").json

    assert (best["id"], first["id"]) == ("run-3", "run-0")
    assert best["baseline"]
    assert first["metrics.val_acc.delta"] == pytest.approx(-0.3)


def test_compare_needs_two_runs(filled: Path) -> None:
    assert ask(filled, "compare", "best").code == 2


@pytest.fixture
def recorded(client: MLOpsClient, store: Path, tmp_path: Path, stage: Stage) -> Path:
    """Two runs of one script, whose surroundings were recorded, with a change between them."""
    script = """
        import subprocess
        def git(*words):
            who = ("-c", "user.name=a", "-c", "user.email=a@b")
            subprocess.run(["git", *who, *words], check=True, capture_output=True)
        turn = os.environ["TURN"]
        if turn == "0":
            open("model.py", "w").write("depth = 3\\n")
            git("init", "--quiet")
            git("add", "model.py")
            git("commit", "--quiet", "-m", "first")
        else:
            open("model.py", "w").write("depth = 4\\n")
        with client.start_run(run_id="r" + turn, params={"depth": int(turn), "a": 1}) as run:
            print("line one")
            print("line two of", turn)
            run.log_metrics({"x": 1.0})
        assert run.flush(timeout=240)
    """
    patient = {**patience(tmp_path / "patient"), "PODSTACK_CAPTURE": "code,console"}
    for turn in "01":
        done = stage.play(script, environment={"TURN": turn, **patient})
        assert done.code == 0, done.err
    return store


def test_diff_names_what_made_two_runs_different(recorded: Path) -> None:
    said = fine(recorded, "diff", "r0", "r1")
    found = fine(recorded, "diff", "r0", "r1", "--json").json
    patch = fine(recorded, "diff", "r0", "r1", "--patch").out

    assert "depth" in said.out
    assert found["params"] == {"depth": {"old": 0, "new": 1}}
    assert list(found["code"]["uncommitted"]) == ["new"]
    assert "commit" not in found["code"]
    assert "+depth = 4" in patch
    assert "+depth = 4" not in said.out


def test_diff_ends_with_1_only_where_it_is_asked_to(recorded: Path) -> None:
    assert ask(recorded, "diff", "r0", "r1").code == 0
    assert ask(recorded, "diff", "r0", "r1", "--exit-code").code == 1
    assert ask(recorded, "diff", "r0", "r0", "--exit-code").code == 0


def test_show_tells_what_was_printed_and_how_to_reproduce_it(recorded: Path) -> None:
    assert fine(recorded, "show", "r1", "--console", "1").out == "line two of 1\n"
    assert fine(recorded, "show", "r1", "-c", "0").out == "line one\nline two of 1\n"
    assert "git checkout" in fine(recorded, "show", "r1", "--reproduce").out
    assert "commit" in fine(recorded, "show", "r1", "--json").json["environment"]
    assert "script_1.py" in fine(recorded, "show", "r1").out


# Files -----------------------------------------------------------------------------------------


def test_artifacts_are_listed(filled: Path) -> None:
    rows = fine(filled, "artifacts", "ls", "best", "--json").json

    assert [(row["path"], row["size"]) for row in rows] == [("models/model.pt", len(MODEL))]
    assert "models/model.pt" in fine(filled, "artifacts", "ls", "best").out


@pytest.mark.parametrize(
    "paths", [[], ["models/model.pt"], ["models"], ["models/*.pt", "models/model.pt"]]
)
def test_artifacts_are_fetched(filled: Path, tmp_path: Path, paths: list[str]) -> None:
    out = tmp_path / "out"
    said = fine(filled, "artifacts", "get", "best", *paths, "--out", str(out))

    assert said.out == f"{out}/models/model.pt\n"
    assert (out / "models/model.pt").read_bytes() == MODEL


def test_an_unknown_artifact_names_the_nearest_and_fetches_nothing(
    filled: Path, tmp_path: Path
) -> None:
    said = ask(filled, "artifacts", "get", "best", "models/modle.pt", "-o", str(tmp_path / "out"))

    assert said.code == 2
    assert "models/model.pt" in said.err
    assert not (tmp_path / "out").exists()


def test_a_fetch_does_not_replace_another_file_unless_forced(filled: Path, tmp_path: Path) -> None:
    target = tmp_path / "models/model.pt"
    target.parent.mkdir()
    target.write_bytes(b"mine")
    refused = ask(filled, "artifacts", "get", "best", "-o", str(tmp_path))

    assert refused.code == 2
    assert "--force" in refused.err
    assert target.read_bytes() == b"mine"

    fine(filled, "artifacts", "get", "best", "-o", str(tmp_path), "--force")
    fine(filled, "artifacts", "get", "best", "-o", str(tmp_path))  # there already, and the same

    assert target.read_bytes() == MODEL


def test_a_damaged_artifact_is_not_fetched(own: Path, client: MLOpsClient, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(MODEL)
    with client.start_run(run_id="r") as run:
        run.log_artifact(tmp_path / "file")
    assert run.flush(timeout=DEADLINE)
    stored = next(own.glob("projects/default/runs/r/artifacts/*/file"))
    stored.write_bytes(MODEL[:-1] + b"\0")
    said = ask(own, "artifacts", "get", "r", "-o", str(tmp_path / "out"))

    assert said.code == 1
    assert "SHA-256" in said.err
    assert not (tmp_path / "out/file").exists()


# Edits -----------------------------------------------------------------------------------------


def test_notes_are_printed_as_they_are(filled: Path) -> None:
    assert fine(filled, "notes", "best").out == "# Depth\nmore is better\n"
    assert fine(filled, "notes", "best", "--json").json == {"notes": "# Depth\nmore is better\n"}


def test_notes_are_set_from_a_text_a_file_and_stdin(
    own: Path, client: MLOpsClient, tmp_path: Path
) -> None:
    (tmp_path / "notes.md").write_text("from a file")
    said = []
    for words, given in (
        (["a text"], None),
        (["--file", str(tmp_path / "notes.md")], None),
        (["-"], "from stdin"),
        (["more", "--append"], None),
    ):
        fine(own, "notes", "r", *words, given=given)
        said.append(client.get_run("r").notes)

    assert said == ["a text", "from a file", "from stdin", "from stdin\n\nmore"]


def test_tags_are_added_and_removed(own: Path, client: MLOpsClient) -> None:
    said = fine(own, "tag", "r", "--add", "b", "--add", "c d", "--remove", "a")

    assert client.get_run("r").tags == ["b", "c d"]
    assert said.out == "r  b, c d\n"
    assert ask(own, "tag", "r").code == 2


def test_a_run_is_deleted_restored_and_purged(own: Path, client: MLOpsClient) -> None:
    fine(own, "delete", "one")
    hidden = client.get_run("r").deleted
    fine(own, "restore", "r")
    shown = not client.get_run("r").deleted
    refused = ask(own, "purge", "r", given="")
    kept = client.get_run("r").name
    fine(own, "purge", "r", "--yes")

    assert hidden
    assert shown
    assert refused.code == 2
    assert re.search(r"r  one  \d objects, \d+ B", refused.out)
    assert "--yes" in refused.err
    assert kept == "one"
    assert ask(own, "show", "r").code == 2
    assert not (own / "projects/default/runs/r").exists()


def test_of_two_runs_of_one_name_the_hidden_one_is_restored(own: Path, client: MLOpsClient) -> None:
    client.start_run(name="one", run_id="r2").finish()
    fine(own, "delete", "r2")
    said = fine(own, "restore", "one")

    assert said.out == "restored run r2\n"
    assert ask(own, "show", "one").code == 2


def test_an_experiment_is_archived_deleted_restored_and_purged(
    own: Path, client: MLOpsClient
) -> None:
    found = client.get_experiment("e")
    fine(own, "archive", "e")
    archived = found.archived
    fine(own, "restore", "--experiment", "e")
    fine(own, "delete", "-e", "e")
    deleted, was_archived = found.deleted, found.archived
    fine(own, "restore", "-e", "e")
    restored = not found.deleted
    fine(own, "purge", "-e", "e", "-y")

    assert (archived, deleted, was_archived, restored) == (True, True, False, True)
    assert not (own / "projects/default/runs/r").exists()


@pytest.mark.parametrize("command", ["delete", "restore", "purge"])
def test_runs_and_an_experiment_are_not_named_at_once(own: Path, command: str) -> None:
    assert ask(own, command).code == 2
    assert ask(own, command, "r", "--experiment", "e").code == 2


# Upkeep ----------------------------------------------------------------------------------------


def test_verify_finds_no_damage_in_a_sound_store(filled: Path) -> None:
    said = fine(filled, "verify")

    assert said.out.startswith("no damage in 4 of 4 runs")
    assert fine(filled, "verify", "best", "--json").json["checked"]["runs"] == 1


def test_verify_names_what_is_damaged_and_ends_with_1(own: Path) -> None:
    segment = next(own.glob("projects/default/runs/r/metrics/*/*.jsonl"))
    segment.write_bytes(segment.read_bytes().replace(b"1.0", b"7.0"))
    said = ask(own, "verify")
    as_json = ask(own, "verify", "--json")

    assert (said.code, as_json.code) == (1, 1)
    assert segment.relative_to(own).as_posix() in said.out
    assert "1 damaged" in said.out
    assert as_json.json["findings"][0]["severity"] == "damaged"


def test_verify_looks_at_all_projects_unless_one_is_named(own: Path) -> None:
    other = MLOpsClient(own, project="other")
    other.start_run(run_id="q").finish()
    (own / "projects/other/runs/q/artifacts/x").mkdir(parents=True)
    log = next(own.glob("projects/other/runs/q/meta/*.jsonl"))
    log.write_bytes(log.read_bytes().replace(b'"h":"', b'"h":"Z'))

    assert ask(own, "verify").code == 1
    assert ask(own, "verify", "--project", "default").code == 0
    assert ask(own, "verify", "--project", "other").code == 1


def test_compact_keeps_what_is_read_and_verify_proves_it(own: Path) -> None:
    before = fine(own, "show", "r", "--json").json
    said = fine(own, "compact")
    after = fine(own, "show", "r", "--json").json
    sound = fine(own, "verify")
    packed = next(own.glob("projects/default/runs/r/metrics/*/*.parquet"))
    packed.write_bytes(packed.read_bytes().replace(b"PAR1", b"PAR2", 1))

    assert said.out.startswith("1 points of 1 runs")
    assert before == after
    assert sound.out.startswith("no damage")
    assert packed.name in ask(own, "verify").out


def test_export_writes_points_and_tables(filled: Path, tmp_path: Path) -> None:
    points, rows = tmp_path / "points.csv", tmp_path / "runs.json"
    said = fine(filled, "export", "best", "--out", str(points))
    fine(filled, "export", "-f", "val_acc > 0.8", "--table", "--out", str(rows))
    lines = points.read_text().splitlines()

    assert said.out == f"{points}: 61 rows of 1 runs\n"
    assert lines[0] == "run,name,step,value,time"
    assert len(lines) == 62
    assert [row["id"] for row in orjson.loads(rows.read_bytes())] == ["run-3", "run-2"]


def test_export_refuses_what_it_cannot_write_and_replaces_nothing(
    filled: Path, tmp_path: Path
) -> None:
    there = tmp_path / "there.csv"
    there.write_text("mine")
    wrong = [
        [*("--out", str(there))],
        [*("--out", str(tmp_path / "x.xls"))],
        [*("--out", str(tmp_path / "no/folder.csv"))],
        [*("--out", str(tmp_path / "x.csv"), "best", "--filter", "val_acc > 0")],
        [],
    ]
    codes = [ask(filled, "export", *words).code for words in wrong]

    assert codes == [2] * 5
    assert list(tmp_path.glob("*.csv")) == [there]
    assert there.read_text() == "mine"


def test_doctor_of_a_sound_store_is_fine(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODSTACK_API_TOKEN", "s3cret")
    monkeypatch.setenv("PODSTACK_URI", "s3://me:pass@bucket/x")
    before = sorted(filled.rglob("*"))
    said = fine(filled, "doctor")
    signs = {sign["what"]: sign for sign in fine(filled, "doctor", "--json").json}

    assert "s3cret" not in said.out
    assert "pass@" not in said.out
    assert signs["rights"]["is_so"] == "can be read and written"
    assert signs["store"]["state"] == "ok"
    assert "typer" in signs["extra cli"]["is_so"]
    assert sorted(filled.rglob("*")) == before


def test_doctor_of_no_store_ends_with_1_and_makes_none(tmp_path: Path) -> None:
    said = ask(tmp_path / "nowhere", "doctor")

    assert said.code == 1
    assert "there is none" in said.out
    assert not (tmp_path / "nowhere").exists()


def test_doctor_tells_of_what_waits_in_the_spool(filled: Path, tmp_path: Path) -> None:
    spool = tmp_path / "spool/0123456789ab"
    (spool / "w").mkdir(parents=True)
    (spool / "w/x.jsonl").write_bytes(b"x" * 1000)
    (spool / "uri").write_bytes(b"s3://bucket/x")

    assert "1.0 kB wait for s3://bucket/x" in fine(filled, "doctor").out


# Stores that are not there ---------------------------------------------------------------------

READING = [
    ["experiments"],
    ["runs"],
    ["runs", "--json"],
    ["show", "latest"],
    ["show", "x"],
    ["watch", "x"],
    ["compare", "x", "y"],
    ["diff", "x", "y"],
    ["artifacts", "ls", "x"],
    ["artifacts", "get", "x"],
    ["notes", "x"],
    ["verify"],
]
EDITING = [["notes", "x", "text"], ["tag", "x", "--add", "a"], ["delete", "x"], ["archive", "x"]]


@pytest.mark.parametrize("words", READING + EDITING, ids=" ".join)
def test_a_store_that_is_not_there_is_said_and_not_made(tmp_path: Path, words: list[str]) -> None:
    said = ask(tmp_path / "a/store", *words)

    assert said.code == 3
    assert "There is no store at" in said.err
    assert "--store" in said.err
    assert said.out == ""
    assert not (tmp_path / "a").exists()
    assert not cache_folder().exists()


def test_reading_changes_nothing_in_the_store(filled: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in filled.rglob("*")}
    for words in READING:
        words = [w.replace("x", "run-0").replace("y", "run-2") if len(w) == 1 else w for w in words]
        if words[:2] != ["artifacts", "get"] and words[0] not in ("experiments", "diff"):
            fine(filled, *words)

    assert {path: path.stat().st_mtime_ns for path in filled.rglob("*")} == before


def test_the_store_above_a_folder_is_hinted_at(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.rename(tmp_path / "podstack-store")
    (tmp_path / "deep/down").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep/down")
    said = CliRunner().invoke(app, ["runs"])

    assert said.exit_code == 3
    assert f"There is one at {tmp_path}/podstack-store" in said.stderr


def test_an_unknown_project_names_those_there_are(filled: Path) -> None:
    said = ask(filled, "runs", "--project", "defualt")

    assert said.code == 2
    assert "default" in said.err


def test_the_store_is_named_before_or_after_the_command(own: Path) -> None:
    after = CliRunner().invoke(app, ["runs", "--json", "-s", str(own)])

    assert orjson.loads(after.stdout) == fine(own, "runs", "--json").json


def test_a_store_that_cannot_be_read_ends_with_3(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "real").mkdir()
    (tmp_path / "store/projects").symlink_to(tmp_path / "real")
    said = ask(tmp_path / "store", "runs")

    assert said.code == 3
    assert "Traceback" not in said.err


def test_a_store_of_a_later_format_ends_with_2(own: Path) -> None:
    (own / "podstack.json").write_bytes(b'{"podstack":9,"store":"x"}')
    said = ask(own, "runs")

    assert said.code == 2
    assert "Upgrade" in said.err


# Wrong usage -----------------------------------------------------------------------------------


def test_a_wrong_option_ends_with_2(filled: Path) -> None:
    assert ask(filled, "runs", "--nope").code == 2
    assert ask(filled, "runs", "-n", "x").code == 2
    assert ask(filled, "nope").code == 2


def test_help_and_version_need_no_store() -> None:
    for words in (["--help"], ["-h"], ["runs", "--help"], ["artifacts", "get", "-h"], []):
        said = CliRunner().invoke(app, words)

        assert said.exit_code == 0, words
        assert "Usage:" in said.stdout
    assert CliRunner().invoke(app, ["--version"]).stdout.startswith("podstack ")


def test_help_says_the_exit_codes() -> None:
    said = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())

    assert "0 fine, 1 a problem was found, 2 wrong usage" in said


# Hostile text ----------------------------------------------------------------------------------


@pytest.fixture
def hostile(client: MLOpsClient, store: Path, tmp_path: Path) -> Path:
    """Everything that may be named is named to do harm."""
    client.create_experiment(EVIL, EVIL, [EVIL])
    with client.start_run(
        experiment=EVIL, name=EVIL, run_id="r", tags=[EVIL], params={EVIL: EVIL}
    ) as run:
        run.log_metrics({EVIL: 1.0, "\x1b[2J": 2.0})
        run.set_notes(EVIL)
        run.log_dataset(EVIL, "nowhere")
    client.start_run(experiment=EVIL, run_id="r2", params={EVIL: EVIL + "2"}).finish(
        "failed", error=EVIL
    )
    return store


HARMFUL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
COMMANDS = [
    ["experiments"],
    ["runs"],
    ["runs", "-c", "name,tags,experiment,notes"],
    ["show", "r"],
    ["show", "r2"],
    ["compare", "r", "r2"],
    ["watch", "r"],
    ["tag", "r", "--add", "x"],
    ["verify"],
    ["show", EVIL + "3"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:1]))
def test_no_name_steers_a_terminal_or_is_read_as_markup(hostile: Path, words: list[str]) -> None:
    said = ask(hostile, *words)

    assert not HARMFUL.search(said.out + said.err), said
    assert words[0] in ("verify", "show", "tag") or "[red]x[/red]" in said.out


def test_json_keeps_hostile_text_exactly_and_escapes_it(hostile: Path) -> None:
    said = fine(hostile, "show", "r", "--json")

    assert said.json["name"] == EVIL
    assert said.json["params"] == {EVIL: EVIL}
    assert said.out.isascii()


class Terminal(NamedTuple):
    code: int
    out: str


def on_terminal(store: Path, *words: str, columns: int = 80, **environment: str) -> Terminal:
    """Call the command on a terminal of its own."""
    ours, theirs = pty.openpty()
    variables = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color", **environment}
    running = process(store, *words, stdout=theirs, stderr=theirs, stdin=theirs, env=variables)
    os.close(theirs)
    out = _read_all(ours)
    os.close(ours)
    return Terminal(running.wait(DEADLINE), out.replace("\r\n", "\n"))


def _read_all(descriptor: int) -> str:
    deadline, parts = time.monotonic() + DEADLINE, []
    while select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
        try:
            part = os.read(descriptor, 65_536)
        except OSError:  # EIO: the other end is closed
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts).decode()


STYLE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize("columns", [40, 120])
def test_a_terminal_gets_colours_and_lines_that_fit(hostile: Path, columns: int) -> None:
    for words in (["runs"], ["show", "r"]):
        said = on_terminal(hostile, *words, columns=columns)
        bare = STYLE.sub("", said.out)

        assert said.code == 0, said
        assert bare != said.out
        assert not HARMFUL.search(bare), bare
        assert words == ["show", "r"] or max(map(len, bare.splitlines())) <= columns


def test_colours_can_be_refused(filled: Path) -> None:
    assert STYLE.search(on_terminal(filled, "runs").out)
    plain = on_terminal(filled, "runs", "--no-color").out
    by_variable = on_terminal(filled, "runs", NO_COLOR="1").out

    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", plain + by_variable)


def test_watch_draws_on_a_terminal_and_leaves(filled: Path) -> None:
    said = on_terminal(filled, "watch", "best")

    assert said.code == 0
    assert "val_acc" in said.out
    assert "completed" in said.out


def test_a_purge_on_a_terminal_asks(own: Path, client: MLOpsClient) -> None:
    ours, theirs = pty.openpty()
    running = process(own, "purge", "r", stdin=theirs)
    os.write(ours, b"n\n")
    out, _ = running.communicate(timeout=DEADLINE)
    os.close(ours)
    os.close(theirs)

    assert running.returncode == 1
    assert b"for good?" in out
    assert client.get_run("r").name == "one"


# Pipes, processes, missing parts ---------------------------------------------------------------


def test_who_stops_reading_is_no_error(filled: Path) -> None:
    for words in (["runs", "--json"], ["watch", "best"]):
        ours, theirs = os.pipe()
        running = process(filled, *words, stdout=theirs)
        os.close(theirs)
        os.close(ours)
        _, err = running.communicate(timeout=DEADLINE)

        assert (running.returncode, err) == (141, b""), words


def test_the_command_runs_as_a_process(filled: Path) -> None:
    said = played(filled, "show", "best", "--json")
    missing = played(filled, "show", "nope")

    assert (said.code, said.json["id"]) == (0, "run-3")
    assert missing.code == 2
    assert missing.err.count("\n") == 1


@pytest.mark.parametrize("library", ["typer", "rich"])
def test_without_its_libraries_the_command_says_what_to_install(library: str) -> None:
    program = f"import sys; sys.modules[{library!r}] = None\n"
    program += "from podstack.cli import main; sys.exit(main())"
    said = subprocess.run(
        [sys.executable, "-c", program, "runs"], capture_output=True, text=True, timeout=DEADLINE
    )

    assert said.returncode == 2
    assert "pip install 'podstack[cli]'" in said.stderr
    assert "Traceback" not in said.stderr


def test_a_narrow_encoding_costs_letters_and_no_traceback(filled: Path) -> None:
    said = process(filled, "show", "best", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    out, err = said.communicate(timeout=DEADLINE)

    assert (said.returncode, err) == (0, b"")
    assert b"val_acc" in out


# Completion ------------------------------------------------------------------------------------


def completed(store: Path, *words: str) -> list[str]:
    """What a shell is offered for the last word."""
    line = ["podstack", "--store", str(store), *words]
    environment = {
        "_PODSTACK_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(line),
        "COMP_CWORD": str(len(line) - 1),
    }
    said = CliRunner().invoke(app, [], prog_name="podstack", env=environment)
    assert said.stderr == ""
    return said.stdout.split()


def test_completion_offers_runs_and_experiments_of_the_index(own: Path) -> None:
    fine(own, "runs")

    assert "r" in completed(own, "show", "r")
    assert "one" in completed(own, "show", "o")
    assert "e" in completed(own, "runs", "e")
    assert "default" in completed(own, "runs", "--project", "d")


def test_completion_makes_nothing_and_never_fails(tmp_path: Path, own: Path) -> None:
    assert completed(tmp_path / "nowhere", "show", "r") == []
    assert completed(own, "show", "r") == []
    assert not (tmp_path / "nowhere").exists()
    assert not cache_folder().exists()


def test_completion_offers_no_word_that_a_shell_would_run(client: MLOpsClient, store: Path) -> None:
    for name in (
        "x-fine",
        "x$(reboot)",
        "x;reboot",
        "x`reboot`",
        "x\x1b[31m",
        "x\x07",
        "x\n",
        "x y",
    ):
        client.create_experiment(name)
    fine(store, "runs")

    assert completed(store, "runs", "x-f") == ["x-fine"]
    assert all(re.fullmatch(r"[a-z0-9-]+", word) for word in completed(store, "runs", "x"))
