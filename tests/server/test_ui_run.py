"""The pages of one run, as a server answers them: every tab, for whoever may see it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import orjson
import pytest

from podstack import MLOpsClient
from podstack.server.standing import ordinal
from podstack.server.ui.words import escaped
from podstack.testing.podstack_server import RunningServer
from podstack.testing.raw_http import ask
from podstack.testing.sample_files import write_samples

TABS = ("", "/params", "/metrics", "/artifacts", "/datasets", "/alerts", "/notes")
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>'\""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("run-pages")
    client = MLOpsClient(folder / "store")
    for name in ("vision", HOSTILE):
        client.create_experiment(name)
    for number, best in enumerate((0.7, 0.9, 0.8)):
        with client.start_run(
            run_id=f"r{number}", experiment="vision", params={"lr": number, "net.depth": 3},
            capture=False,
        ) as run:  # fmt: skip
            run.log_metrics({"val/accuracy": best, "loss": 1.0 - best}, step=0)
    (folder / "hostile.txt").write_text(HOSTILE)
    with client.start_run(
        run_id="hostile", experiment=HOSTILE, name=HOSTILE, params={HOSTILE: HOSTILE},
        tags=[HOSTILE], capture=False,
    ) as run:  # fmt: skip
        run.log_metrics({HOSTILE: 1.0}, step=0)
        run.log_dataset(HOSTILE, HOSTILE, description=HOSTILE)
        run.create_alert("loss > 1", HOSTILE)
        run.set_notes(HOSTILE)
        run.log_artifact(folder / "hostile.txt", "<b>x<b>/a&b")
    with RunningServer(
        folder / "store", environment={"PODSTACK_CACHE": str(folder / "cache")}
    ) as server:
        yield server


def shown(server: Any, path: str) -> str:
    answer = ask(server.port, "GET", f"/projects/default/runs/{path}")
    assert answer.status == 200
    text: str = answer.body.decode()
    return text


@pytest.mark.parametrize("tab", TABS)
def test_a_tab_is_a_page_with_its_own_name(served: RunningServer, tab: str) -> None:
    page = shown(served, f"r0{tab}")

    assert len(re.findall(r"<h1[ >]", page)) == 1
    assert page.count('aria-current="page"') >= 1


@pytest.mark.parametrize("tab", [*TABS, f"/artifacts/{quote('<b>x<b>/a&b/hostile.txt')}"])
def test_41_what_a_run_says_is_text_on_each_tab(served: RunningServer, tab: str) -> None:
    page = shown(served, f"hostile{tab}")

    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "<b>x" not in page


def test_the_header_tells_the_place_among_others(served: RunningServer) -> None:
    assert re.search(r"2nd of 3.*val/accuracy", shown(served, "r2"), re.S)
    assert re.search(r"best of 3", shown(served, "r1"))
    assert ordinal(112) == "112th"
    assert ordinal(23) == "23rd"


def test_parameters_stand_beside_those_of_the_best_run(served: RunningServer) -> None:
    page = shown(served, "r0/params")

    assert re.search(r'<option[^>]*value="r1"[^>]*selected', page)
    assert "net" in page


def test_a_run_that_is_not_there_is_a_page_that_says_so(served: RunningServer) -> None:
    answer = ask(
        served.port, "GET", "/projects/default/runs/nothing/notes", headers={"Accept": "text/html"}
    )

    assert answer.status == 404
    assert "<h1" in answer.body.decode()


def test_parameters_are_compared_by_kind_and_copied_to_the_last_digit(tmp_path: Path) -> None:
    client = MLOpsClient(tmp_path / "store")
    kinds = {"flag": True, "rate": 1.0, "seed": (1 << 64) - 1, "odd": float("nan")}
    others = {"flag": 1, "rate": 1, "seed": (1 << 64) - 2, "odd": float("nan")}
    for run_id, params in (("one", kinds), ("two", others)):
        client.start_run(run_id=run_id, params=params, capture=False).finish()
    with RunningServer(tmp_path / "store") as server:
        page = shown(server, "one/params?than=two")

    states = dict(re.findall(r'data-name="(\w+)" data-state="(\w+)"', page))
    assert states == {"flag": "changed", "rate": "same", "seed": "changed", "odd": "same"}
    data = orjson.loads(re.search(r'id="page">(.*?)</script>', page, re.DOTALL)[1])["data"]  # type: ignore[index]
    assert data["params"].splitlines()[1:-1] == [
        '  "flag": true,',
        '  "rate": 1.0,',
        '  "seed": 18446744073709551615,',
        '  "odd": "NaN"',
    ]


def test_the_newest_runs_are_those_to_compare_with(tmp_path: Path) -> None:
    client = MLOpsClient(tmp_path / "store")
    for number in range(53):
        client.start_run(run_id=f"r{number}", capture=False).finish()
    with RunningServer(tmp_path / "store") as server:
        offered = re.findall(r'<option value="(r\d+)"', shown(server, "r0/params?than=none"))

    assert offered[0] == "r52"
    assert "r1" not in offered


@pytest.mark.parametrize("tab", ["/artifacts/none.txt", "/params?than=nothing", "/elsewhere"])
def test_an_odd_address_is_no_error_of_the_server(served: RunningServer, tab: str) -> None:
    answer = ask(served.port, "GET", f"/projects/default/runs/r0{tab}")

    assert answer.status in (200, 404)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, list[str]]]:
    """A server over a local store whose run has something on each tab, and the paths of its pages.

    The store lies where no program, file or folder that the run records lies.
    """
    folder = tmp_path_factory.mktemp("whole")
    samples = write_samples(folder / "samples")
    client = MLOpsClient(folder / "hidden-store")
    client.create_experiment("vision")
    with client.start_run(run_id="whole", experiment="vision", params={"lr": 0.1}) as run:
        run.create_alert("loss > 0.5", "high")
        for step in range(3):
            run.log_metrics({"loss": 1.0 / (step + 1)}, step=step)
        for file in samples:
            run.log_artifact(file, "files" if file.suffix == ".png" else None)
        run.log_dataset("data", str(folder / "samples/predictions.csv"))
        run.set_notes("Seen.")
        print("a line of output")
    pages = [*TABS, *(f"/artifacts/{path}" for path in run.artifacts)]
    with RunningServer(
        folder / "hidden-store", environment={"PODSTACK_CACHE": str(folder / "cache")}
    ) as server:
        yield server, pages


def test_no_page_of_a_run_names_a_folder_of_the_server(
    whole: tuple[RunningServer, list[str]],
) -> None:
    server, pages = whole
    answers = {page: shown(server, f"whole{page}") for page in pages}
    telling = [page for page, text in answers.items() if "hidden-store" in unquote(text)]

    assert len(pages) > 15
    assert "a line of output" in answers[""]
    assert telling == []


def test_each_result_stands_beside_the_best_run_or_the_parent(served: RunningServer) -> None:
    page = shown(served, "r0")
    best = shown(served, "r1")

    assert re.search(r"vs\. <a href=\"/projects/default/runs/r1\"", page)
    assert re.search(r'class="number delta worse" data-part="delta">\N{MINUS SIGN}0\.2', page)
    assert re.search(r'class="number delta worse" data-part="delta">\+0\.2', page)  # the loss
    assert "vs. <a" not in best


def test_what_a_page_polls_tells_the_place_too_where_it_asks_for_it(
    served: RunningServer,
) -> None:
    path = "/api/v1/projects/default/runs/r0/changes?names=[]"
    silent = orjson.loads(ask(served.port, "GET", path).body)
    told = orjson.loads(ask(served.port, "GET", f"{path}&standing=true").body)

    assert "standing" not in silent
    assert (told["standing"]["words"], told["other"]) == ("3rd of 3", "r1")
    assert {verdict for _, verdict in told["deltas"].values()} == {"worse"}


def test_a_metric_is_found_by_a_link_whatever_its_name(served: RunningServer) -> None:
    assert "?metrics=%5Eval/accuracy%24" in shown(served, "r0")
    assert escaped("a.b(c)[d]$") == r"a\.b\(c\)\[d\]\$"


def test_the_marks_of_fired_alerts_say_where_and_what(
    whole: tuple[RunningServer, list[str]],
) -> None:
    answer = ask(whole[0].port, "GET", "/api/v1/projects/default/runs/whole/charts")
    flags = orjson.loads(answer.body)["flags"]

    assert [(mark["step"], mark["text"]) for mark in flags["loss"]] == [
        (0, "high (loss > 0.5): loss = 1 at step 0")
    ]
    assert flags["loss"][0]["time"] > 1.7e9


def test_columns_of_numbers_are_known(whole: tuple[RunningServer, list[str]]) -> None:
    page = shown(whole[0], "whole/artifacts/predictions.csv")

    assert re.search(r'<th scope="col" class="number">score</th>', page)
    assert re.search(r'<th scope="col">label</th>', page)
