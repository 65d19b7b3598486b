"""The questions of a server, asked as a page or another program would: by HTTP and JSON."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
import urllib3

from podstack import MLOpsClient, points
from podstack.testing.podstack_server import RunningServer
from podstack.testing.stage import DEADLINE


class Asked:
    """Asks one server about one project, each time on a connection of its own.

    One that is kept may end in the very moment of the next question: a server keeps it for 5 s.
    """

    def __init__(self, server: RunningServer, run: str) -> None:
        self.server, self.run = server, run
        self._pool = urllib3.PoolManager()

    def raw(self, question: str, **arguments: Any) -> Any:
        words = {
            name: value if isinstance(value, str) else orjson.dumps(value).decode()
            for name, value in arguments.items()
        }
        url = f"{self.server.url}/api/v1/projects/default/{question}?{urlencode(words)}"
        return self._pool.request("GET", url, retries=False, headers={"Connection": "close"})

    def __call__(self, question: str, **arguments: Any) -> Any:
        answer = self.raw(question, **arguments)
        assert answer.status == 200, answer.data
        return answer.json()

    def refused(self, question: str, **arguments: Any) -> tuple[int, str]:
        answer = self.raw(question, **arguments)
        assert answer.status >= 400
        return answer.status, answer.json()["error"]["message"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("questions")
    client = MLOpsClient(folder / "store")
    (folder / "best.bin").write_bytes(b"w" * 3_000_000)
    for name in ("Notes.txt", "notes.txt", "näme.txt"):
        (folder / name).write_text("text")
    for number in range(5):
        with client.start_run(
            name=f"r{number}", params={"lr": number}, tags=["t"], capture=False
        ) as run:
            for step in range(1000):
                spike = 1e6 if step == 777 else float("nan") if step == 5 else step / 1000
                run.log_metrics({"loss": spike, "acc": 1.0})
    run = client.start_run(run_id=run.id, capture=False)
    for name in ("best.bin", "Notes.txt", "notes.txt"):
        run.log_artifact(folder / name, "models")
    run.log_artifact(folder / "näme.txt", "other")
    run.create_alert("loss > 100", "high")
    run.finish()
    assert run.flush(DEADLINE)
    return folder / "store", run.id


@pytest.fixture(scope="module")
def ask(store: tuple[Path, str]) -> Iterator[Asked]:
    with RunningServer(store[0]) as server:
        yield Asked(server, store[1])


def test_runs_come_page_by_page_until_there_is_no_next(ask: Asked) -> None:
    names: list[str] = []
    cursor = ""
    while cursor is not None:
        page = ask("runs", order_by="name", limit=2, cursor=cursor)
        assert page["total"] == 5
        names += [run["name"] for run in page["runs"]]
        cursor = page["next"]

    assert names == [f"r{number}" for number in range(5)]


def test_a_run_has_all_that_a_page_shows(ask: Asked) -> None:
    run = ask(f"runs/{ask.run}")

    assert (run["name"], run["params"], run["tags"]) == ("r4", {"lr": 4}, ["t"])
    assert run["metrics"]["loss"]["max"] == 1e6
    assert [alert["condition"] for alert in run["alerts"]] == ["loss > 100"]
    assert {file["path"]: file["size"] for file in run["artifacts"]}["models/best.bin"] == 3_000_000


def test_buckets_keep_spikes_and_count_what_is_no_number(ask: Asked) -> None:
    loss = ask(f"runs/{ask.run}/series", names="loss", buckets=10)["series"]["loss"]

    assert loss["x"] == list(range(0, 1000, 100))
    assert loss["max"][7] == 1e6
    assert loss["min"][7] == 0.7
    assert loss["last"][0] == 0.099
    assert (loss["count"], loss["odd"]) == ([100] * 10, [1] + [0] * 9)
    assert loss["mean"][1] == pytest.approx(0.1495)


def test_a_window_of_steps_is_exact_where_it_holds_few(ask: Asked) -> None:
    loss = ask(f"runs/{ask.run}/series", names="loss", buckets=100, start=4, stop=6)["series"]

    assert loss["loss"]["x"] == [4, 5, 6]
    assert loss["loss"]["mean"] == [0.004, "NaN", 0.006]
    nothing = ask(f"runs/{ask.run}/series", names="loss", buckets=100, start=5000)["series"]
    assert nothing["loss"]["x"] == []


def test_plain_series_are_columns(ask: Asked) -> None:
    found = ask(f"runs/{ask.run}/series", names=["loss", "acc"])["series"]

    assert found["loss"]["steps"] == list(range(1000))
    assert found["loss"]["values"][5] == "NaN"
    assert found["acc"]["values"] == [1.0] * 1000


def test_changes_tell_each_point_once(store: tuple[Path, str], tmp_path: Path) -> None:
    client = MLOpsClient(tmp_path / "store")
    run = client.start_run(capture=False)
    run.log_metrics({"loss": 0.0})
    seen: list[int] = []
    with RunningServer(tmp_path / "store") as server:
        ask, cursor = Asked(server, run.id), ""
        for step in range(1, 30):
            run.log_metrics({"loss": float(step)})
            told = ask(f"runs/{run.id}/changes", names="loss", cursor=cursor)
            seen += told["points"].get("loss", {"steps": []})["steps"]
            cursor = told["cursor"]
        run.finish()
        server.restart()
        told = ask(f"runs/{run.id}/changes", names="loss", cursor=cursor)
        seen += told["points"].get("loss", {"steps": []})["steps"]
        again = ask(f"runs/{run.id}/changes", names="loss", cursor=told["cursor"])

    assert seen == list(range(30))
    assert (told["status"], told["reset"]) == ("completed", False)
    assert again["points"] == {}


def test_changes_are_told_anew_where_a_point_turns_up_among_those_that_were_told(
    tmp_path: Path,
) -> None:
    client = MLOpsClient(tmp_path / "store")
    run = client.start_run(capture=False)
    store = client._store

    def log(rank: str, time: float, step: int) -> None:
        line = points.encode(step, time, {"loss": float(step)})
        store.backend.put(store.keys.segment(run.id, f"20260101-000000-000-{rank}", 0), line)

    log("aaaaaaaa", 1e9 + 2, 2)
    with RunningServer(tmp_path / "store") as server:
        ask = Asked(server, run.id)
        first = ask(f"runs/{run.id}/changes", names="loss")
        log("bbbbbbbb", 1e9 + 1, 1)  # was written before, and came later
        run.log_metrics({"acc": 1.0})
        run.finish()
        second = {"status": "running"}
        while second["status"] == "running":
            second = ask(f"runs/{run.id}/changes", names="loss", cursor=first["cursor"])
        third = ask(f"runs/{run.id}/changes", names="loss", cursor=second["cursor"])

    assert first["points"]["loss"]["steps"] == [2]
    assert (second["reset"], second["points"]) == (True, {})
    assert (third["reset"], third["points"]) == (False, {})


def test_the_answer_that_says_a_run_has_ended_has_its_last_point(tmp_path: Path) -> None:
    client = MLOpsClient(tmp_path / "store")
    run = client.start_run(capture=False)
    run.log_metrics({"loss": 0.0}, step=0)
    with RunningServer(tmp_path / "store") as server:
        ask = Asked(server, run.id)
        ask("experiments")  # a look at the index, good for a second
        time.sleep(0.6)
        ask(f"runs/{run.id}/series", names="loss")  # a look at the points, good for longer than it
        run.log_metrics({"loss": 1.0}, step=1)
        run.finish()
        told = {"status": "running"}
        while told["status"] == "running":
            told = ask(f"runs/{run.id}/changes", names="loss")

    assert told["points"]["loss"]["steps"] == [0, 1]


def test_a_comparison_is_made_of_differences(ask: Asked) -> None:
    found = ask("compare", runs=["r0", "r1"], metrics=["loss"])

    assert set(found["params"]) == {"lr"}
    assert list(found["metrics"]) == ["loss"]
    assert found["baseline"] == found["runs"][0]["id"]


def test_names_serve_completion(ask: Asked) -> None:
    assert ask("names") == {
        "params": {"lr": 5},
        "metrics": {"acc": 5, "loss": 5},
        "tags": {"t": 5},
    }


def test_experiments_are_listed_and_found_by_name(ask: Asked) -> None:
    (one,) = ask("experiments")["experiments"]

    assert ask("experiments/default") == one
    assert one["runs"] == 5
    status, message = ask.refused("experiments/defualt")
    assert (status, "default" in message) == (404, True)


def test_a_folder_is_one_zip_with_safe_names_of_whole_files(ask: Asked) -> None:
    answer = ask.raw(f"runs/{ask.run}/archive", folder="models")
    archive = zipfile.ZipFile(io.BytesIO(answer.data))

    assert answer.headers["content-disposition"].startswith("attachment")
    assert sorted(archive.namelist()) == ["Notes.txt", "best.bin", "notes-2.txt"]
    assert archive.read("best.bin") == b"w" * 3_000_000
    assert archive.testzip() is None
    assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
    everything = zipfile.ZipFile(io.BytesIO(ask.raw(f"runs/{ask.run}/archive").data))
    assert "other/näme.txt" in everything.namelist()
    assert ask.refused(f"runs/{ask.run}/archive", folder="nothing")[0] == 404


def test_a_filter_that_cannot_be_read_is_pointed_at(ask: Asked) -> None:
    status, message = ask.refused("runs", filter="loss > > 3")

    assert status == 422
    assert "^" in message


@pytest.mark.parametrize(
    ("question", "arguments", "status"),
    [
        ("runs", {"filter": "x" * 8_001}, 422),
        ("runs", {"limit": 1001}, 422),
        ("runs", {"limit": 0}, 422),
        ("runs", {"offset": -1}, 422),
        ("runs", {"cursor": "gASVBAAAAAAAAABLAS4="}, 400),
        ("runs", {"cursor": "../../x"}, 400),
        ("runs", {"cursor": "o99999999"}, 400),
        ("runs", {"order_by": "; DROP TABLE runs"}, 422),
        ("runs", {"experiment": "nothing"}, 404),
        ("runs", {"status": "lost"}, 422),
        ("runs", {"tags": "[1]"}, 422),
        ("runs", {"tags": "[broken"}, 422),
        ("rows", {"ids": ["x"] * 101}, 422),
        ("compare", {"runs": ["x"] * 101}, 422),
        ("compare", {"runs": ["x"]}, 422),
        ("runs/nothing", {}, 404),
        ("runs/nothing/metrics", {}, 404),
        ("runs/{run}/series", {"names": ["x"] * 101}, 422),
        ("runs/{run}/series", {"names": "nothing"}, 404),
        ("runs/{run}/series", {"names": "loss", "buckets": 4001}, 422),
        ("runs/{run}/series", {"names": "loss", "buckets": "many"}, 422),
        ("runs/{run}/series", {"names": "loss", "start": str(1 << 70)}, 422),
        ("runs/{run}/changes", {"names": "loss", "cursor": "gASVBAAAA"}, 400),
        ("runs/{run}/changes", {"names": "loss", "cursor": "1.2"}, 400),
        ("runs/{run}/changes", {"names": "loss", "cursor": "1-2"}, 400),
    ],
)
def test_what_is_out_of_bounds_is_refused(
    ask: Asked, question: str, arguments: dict[str, Any], status: int
) -> None:
    assert ask.refused(question.format(run=ask.run), **arguments)[0] == status


def test_other_projects_answer_like_what_is_not_there(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "store", tokens=True) as server:
        token = server.token("alpha", "viewer")
        pool, headers = urllib3.PoolManager(), {"authorization": f"Bearer {token}"}
        alone = {"connection": "close"}

        def status(path: str, headers: dict[str, str] | None = None) -> int:
            url, sent = f"{server.url}/api/v1/{path}", {**alone, **(headers or {})}
            return int(pool.request("GET", url, retries=False, headers=sent).status)

        for question in ("runs", "experiments", "names", "runs/x", "runs/x/archive"):
            assert status(f"projects/alpha/{question}") == 401
            assert status(f"projects/beta/{question}", headers=headers) == 404
        assert status("projects/alpha/runs", headers=headers) == 200
