"""What a notebook shows, in a real kernel: comparisons with curves, and pictures that live."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from podstack import MLOpsClient, UsageError, comparison_view
from podstack.testing.podstack_server import RunningServer
from podstack.testing.stage import DEADLINE
from tests.test_display import HOSTILE, STEERING, Tags

Cells = Callable[..., list[dict[str, Any]]]


def trained(client: MLOpsClient, *names: str, metrics: tuple[str, ...] = ("loss",)) -> list[str]:
    """A run of each name, with twenty steps of each metric."""
    ids = []
    for i, name in enumerate(names):
        with client.start_run(name=name, params={"lr": 0.1**i}) as run:
            for step in range(20):
                run.log_metrics(dict.fromkeys(metrics, 1 / (step + i + 1)), step=step)
        ids.append(run.id)
    return ids


# A comparison ------------------------------------------------------------------------------


def test_a_comparison_shows_what_differs_and_a_curve_of_each_run(client: MLOpsClient) -> None:
    ids = trained(client, "first", "second", metrics=("loss", "acc"))
    shown = client.compare_runs(ids, baseline=ids[1])._repr_html_()
    page = Tags(shown)

    for text in ("first", "second (baseline)", "lr", "0.1", "loss", "acc", "change"):
        assert text in page.text
    assert shown.count("<figure>") == 2
    assert shown.count("<polyline") == 4
    assert len(set(colours(shown))) == 2
    assert not page.is_active


def colours(html: str) -> list[str]:
    """Those of the lines of a page, in their order."""
    return [line.partition('stroke="')[2][:7] for line in html.split("<polyline")[1:]]


def test_a_comparison_is_bounded_and_says_what_it_left_out(client: MLOpsClient) -> None:
    metrics = tuple(f"m{i}" for i in range(9))
    ids = trained(client, *(f"run {i}" for i in range(13)), metrics=metrics)
    comparison = client.compare_runs(ids, baseline=ids[12])
    shown = comparison._repr_html_()

    assert shown.count("<figure>") == comparison_view.CHARTS
    assert shown.count("<polyline") == comparison_view.CHARTS * comparison_view.RUNS
    assert "run 12 (baseline)" in shown.partition("<div class=legend>")[2]
    assert "3 more runs and 3 more metrics without a chart" in shown
    assert len(shown) < 200_000


def test_a_comparison_of_very_many_runs_shows_a_part_of_its_table(client: MLOpsClient) -> None:
    params = {f"p{i}": 0 for i in range(40)}
    ids = []
    for i in range(60):
        with client.start_run(params=dict.fromkeys(params, i)) as run:
            ids.append(run.id)
    shown = client.compare_runs(ids)._repr_html_()

    assert shown.count("<tr>") == 51
    assert "10 more runs: .to_pandas()" in shown
    assert "13 more columns: .to_pandas()" in shown


def test_hostile_runs_are_text_in_a_comparison(client: MLOpsClient) -> None:
    ids = []
    for text in HOSTILE + STEERING:
        with client.start_run(name=text, tags=[text], params={text: text}) as run:
            for value in (1.0, float("nan"), 3.0):
                run.log_metrics({text: value, "loss": value})
        ids.append(run.id)
    pages = [Tags(client.compare_runs(some)._repr_html_()) for some in (ids, ids[:6], ids[6:])]

    assert not any(page.is_active for page in pages)
    assert all(text in pages[1].text for text in HOSTILE)
    assert not any("\x1b" in page.text or "\u202e" in page.text for page in pages)


def test_a_comparison_whose_run_was_purged_keeps_its_table(client: MLOpsClient) -> None:
    ids = trained(client, "first", "second")
    comparison = client.compare_runs(ids)
    client.get_run(ids[0]).purge()
    shown = comparison._repr_html_()

    assert "<table>" in shown
    assert "No curves: " in shown
    assert "<figure>" not in shown


def test_on_a_server_one_question_brings_the_curves_and_a_link_leads_to_the_page(
    tmp_path: Path,
) -> None:
    with RunningServer(tmp_path / "served") as server:
        client = MLOpsClient(server.url)
        ids = trained(client, "first", "second")
        assert client.get_run(ids[1]).flush()
        here = client.compare_runs(ids, baseline=ids[1])._repr_html_()
        there = MLOpsClient(tmp_path / "served").compare_runs(ids, baseline=ids[1])._repr_html_()

    assert here.count("<polyline") == 2
    assert drawn(here) == drawn(there)
    address = f"{server.url}/projects/default/compare?runs=%5B%22{ids[0]}%22%2C%22{ids[1]}%22%5D"
    assert f'href="{address}&amp;base={ids[1]}"' in here
    assert "<a " not in there


def drawn(html: str) -> list[str]:
    """The pictures of a page."""
    return [part.partition("</svg>")[0] for part in html.split("<svg")[1:]]


# Watching ----------------------------------------------------------------------------------


@pytest.fixture
def cells(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cells:
    """Run cells in a kernel of their own, and get the outputs of all; `after` each it is called."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))

    def executed(
        *sources: str, after: Callable[[int], None] = lambda number: None
    ) -> list[dict[str, Any]]:
        def hook(cell_index: int, **facts: Any) -> None:
            after(cell_index)

        first = f"from podstack import MLOpsClient\nclient = MLOpsClient({str(store)!r})"
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(source) for source in (first, *sources)]
        )
        NotebookClient(
            notebook,
            kernel_name="python3",
            timeout=int(DEADLINE),
            startup_timeout=int(DEADLINE),
            iopub_timeout=int(DEADLINE),
            on_cell_executed=hook,
        ).execute()
        return [output for cell in notebook.cells for output in cell.outputs]

    return executed


def test_a_watched_run_is_drawn_while_the_next_cells_train_and_once_more_at_its_end(
    cells: Cells,
) -> None:
    outputs = cells(
        "run = client.start_run(name='watched')\nwatch = run.watch(seconds=0.1)\nwatch",
        "assert watch.is_live",
        "for step in range(30): run.log_metrics({'loss': 1 / (step + 1)})\nrun.finish()",
        "assert watch.wait(240)\nassert not watch.is_live\nrepr(watch)",
    )

    assert [output["output_type"] for output in outputs] == ["display_data", "execute_result"]
    html = outputs[0]["data"]["text/html"]
    assert "watched" in html
    assert "completed" in html
    assert "<polyline" in html
    assert "completed" in outputs[0]["data"]["text/plain"]
    assert outputs[1]["data"]["text/plain"] == "'Watch of Run watched: over'"


def test_a_last_picture_that_comes_between_two_cells_is_shown_by_who_waits(
    cells: Cells, tmp_path: Path
) -> None:
    """Who executes a notebook hears of no picture that comes while no cell runs."""
    go, there = tmp_path / "go", tmp_path / "there"
    held = f"""
import pathlib, time
from podstack import watching
update, go, there = watching._update, pathlib.Path({str(go)!r}), pathlib.Path({str(there)!r})
def late(handle, bundle):
    while not go.exists():
        time.sleep(0.01)
    update(handle, bundle)
    if "completed" in bundle["text/plain"]:
        there.touch()
watching._update = late
run.finish()
"""

    def between(number: int) -> None:
        if number == 2:
            go.touch()
            deadline = time.monotonic() + DEADLINE
            while not there.exists() and time.monotonic() < deadline:
                time.sleep(0.01)

    (shown,) = cells(
        "run = client.start_run(name='mine')\nwatch = run.watch(seconds=0.1)",
        held,
        "assert watch.wait(240)",
        after=between,
    )

    assert there.exists()
    assert "completed" in shown["data"]["text/html"]


def test_a_watched_comparison_ends_with_the_last_of_its_runs(cells: Cells) -> None:
    outputs = cells(
        "runs = [client.start_run(name=name) for name in ('one', 'two')]\n"
        "for run in runs: run.log_metrics({'loss': 1.0})\n"
        "watch = client.compare_runs(runs).watch(seconds=0.1)",
        "for run in runs:\n"
        "    for step in range(9): run.log_metrics({'loss': 1 / (step + 2)})\n"
        "    run.finish()\n"
        "assert watch.wait(240)",
    )

    (shown,) = outputs
    assert shown["data"]["text/html"].count("<polyline") == 2
    assert "running" not in shown["data"]["text/html"]


def test_a_cell_run_twice_has_one_watch_and_a_stop_keeps_the_picture(cells: Cells) -> None:
    again = "watches.append(run.watch(seconds=0.1))"
    outputs = cells(
        "run, watches = client.start_run(name='mine'), []",
        again,
        again,
        "assert watches[0].wait(240)\nassert watches[1].is_live\n"
        "watches[1].stop()\nassert watches[1].wait(240)\nrun.finish()\nprint(watches)",
    )

    assert "running" in outputs[1]["data"]["text/html"]
    assert outputs[2]["text"] == "[Watch of Run mine: stopped, Watch of Run mine: stopped]\n"


def test_a_picture_that_cannot_be_drawn_any_more_says_so_in_its_place(
    cells: Cells,
) -> None:
    outputs = cells(
        "run = client.start_run(name='mine')\nwatch = run.watch(seconds=0.1)",
        "from podstack import display\n"
        "def broken(run): raise RuntimeError('<b>no ink</b>')\n"
        "display.run_html = broken\n"
        "assert watch.wait(240)",
    )

    html = outputs[0]["data"]["text/html"]
    assert "mine" in html
    assert "Watched no longer: RuntimeError(&#x27;&lt;b&gt;no ink&lt;/b&gt;&#x27;)" in html


def test_in_a_terminal_a_watch_says_where_to_look(
    client: MLOpsClient, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second = trained(client, "first", "second")
    monkeypatch.setenv("PODSTACK_QUIET", "0")
    watch = client.get_run(first).watch()
    client.compare_runs([first, second]).watch()

    said = capfd.readouterr().err.splitlines()
    assert "Run first can be watched in a notebook" in said[0]
    assert f"podstack ui --store {client.uri!r}" in said[0]
    assert "The comparison of 2 runs can be watched in a notebook" in said[1]
    assert watch.wait(0)
    assert not watch.is_live


@pytest.mark.parametrize("seconds", [0, -1, 3601, "2", True, float("nan")])
def test_seconds_that_are_none_are_refused(client: MLOpsClient, seconds: Any) -> None:
    (run,) = trained(client, "first")

    with pytest.raises(UsageError, match=r"seconds is a number from 0\.1 to 3,600"):
        client.get_run(run).watch(seconds=seconds)


def test_a_script_that_watches_loads_no_ipython(store: Path) -> None:
    code = (
        "import sys; from podstack import MLOpsClient; "
        f"run = MLOpsClient({str(store)!r}).start_run(); run.watch(); run._repr_html_(); "
        "print([m for m in sys.modules if m.split('.')[0] in ('IPython', 'ipykernel', 'zmq')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
