"""The pages of one run, as a server answers them: every tab, for whoever may see it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from podstack import MLOpsClient
from podstack.server.ui.standing import ordinal
from podstack.testing.podstack_server import RunningServer
from podstack.testing.raw_http import ask

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


@pytest.mark.parametrize("tab", ["/artifacts/none.txt", "/params?than=nothing", "/elsewhere"])
def test_an_odd_address_is_no_error_of_the_server(served: RunningServer, tab: str) -> None:
    answer = ask(served.port, "GET", f"/projects/default/runs/r0{tab}")

    assert answer.status in (200, 404)
