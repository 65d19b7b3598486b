"""Figures of runs and comparisons in a notebook: the curves of the pages, drawn with matplotlib."""

from __future__ import annotations

import base64
import json
import math
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from podstack import MLOpsClient, curves, plotted
from podstack.compare import compare
from podstack.errors import NotFoundError, UsageError, WrongTypeError
from podstack.testing.podstack_server import RunningServer

HOSTILE = "_$\\frac{1}{2}$ <b>&{x}"
STEPS = 2_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of two runs of 2,000 steps, one of them with a spike and a hostile name."""
    store = tmp_path_factory.mktemp("plotted") / "store"
    client = MLOpsClient(store)
    for name, scale in (("first", 1.0), (HOSTILE, 2.0)):
        with client.start_run(name=name, capture=False) as run:
            for step in range(STEPS):
                spike = 40.0 if step == 777 else 0.0
                run.log_metrics(
                    {"loss": scale / (1 + step) + spike, "acc": step / STEPS}, step=step
                )
            run.log_metrics({"once": 3.0, "odd": math.nan, HOSTILE: 1.0}, step=1)
            run.log_metrics({"odd": 1.0, HOSTILE: 2.0}, step=2)
            run.log_metrics({"system/cpu": 5.0}, step=1)
    return store


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    cache = {"PODSTACK_CACHE": str(tmp_path_factory.mktemp("cache"))}
    with RunningServer(folder, environment=cache) as running:
        yield running


def runs_of(client: MLOpsClient) -> list[Any]:
    """The first and the hostile one."""
    return sorted(client.search_runs(), key=lambda run: run.name != "first")


def stored(client: MLOpsClient, place: int = 0) -> Any:
    return client.get_run(runs_of(client)[place].id)


def axes_of(made: Figure) -> dict[str, Any]:
    return {axes.get_title("left"): axes for axes in made.axes}


def points(axes: Any, line: int = 0) -> tuple[list[float], list[float]]:
    found = axes.lines[line]
    return list(map(float, found.get_xdata(orig=False))), list(map(float, found.get_ydata()))


def band(axes: Any) -> tuple[float, float]:
    """From the lowest to the highest that a band reaches."""
    heights = axes.collections[0].get_paths()[0].vertices[:, 1]
    return float(heights.min()), float(heights.max())


# What is drawn -------------------------------------------------------------------------------


def test_a_run_is_drawn_with_what_its_user_logged_and_a_spike_stays_in_the_band(
    folder: Path,
) -> None:
    run = stored(MLOpsClient(folder))
    made = run.plot()
    found = axes_of(made)

    assert isinstance(made, Figure)
    assert list(found) == ["loss", "acc", "once", "odd", HOSTILE]  # no system/, no empty axes
    xs, means = points(found["loss"])
    assert (len(xs), xs[0], means[0]) == (plotted.BUCKETS, 0.0, pytest.approx(0.31, abs=0.1))
    assert band(found["loss"])[1] > 40.0
    assert [text.get_text() for text in made.legends[0].get_texts()] == ["first"]


def test_a_server_and_a_folder_give_the_same_points(folder: Path, server: RunningServer) -> None:
    here, there = stored(MLOpsClient(folder)), stored(MLOpsClient(server.url))
    for axis in ("step", "relative", "wall"):
        drawn = [axes_of(run.plot(["loss", "odd"], x=axis)) for run in (here, there)]
        for name in ("loss", "odd"):
            ours, theirs = (points(axes[name]) for axes in drawn)
            assert str(ours) == str(theirs)  # NaN is equal to NaN
            assert band(drawn[0][name]) == band(drawn[1][name])


def test_a_comparison_on_a_server_is_drawn(server: RunningServer) -> None:
    client = MLOpsClient(server.url)
    made = client.compare_runs([run.id for run in runs_of(client)]).plot("acc")

    assert len(axes_of(made)["acc"].lines) == 2


def test_seconds_since_the_start_begin_near_zero_and_the_time_of_day_is_one(folder: Path) -> None:
    run = stored(MLOpsClient(folder))
    relative = axes_of(run.plot("acc", x="relative"))["acc"]
    wall = axes_of(run.plot("acc", x="wall"))["acc"]
    first = wall.lines[0].get_xdata()[0].astype("datetime64[us]").astype(float) / 1e6

    assert 0 <= points(relative)[0][0] < 600
    assert first == pytest.approx(run.metrics["acc"].times[0], abs=0.01)


def test_a_smoothed_line_has_the_raw_one_behind_it(folder: Path) -> None:
    axes = axes_of(stored(MLOpsClient(folder)).plot("loss", smooth=0.9))["loss"]
    raw, line = points(axes, 0)[1], points(axes, 1)[1]

    assert len(axes.lines) == 2
    assert max(line) < max(raw)
    assert line[0] == raw[0]


def test_what_is_not_finite_is_counted_and_a_single_point_is_seen(folder: Path) -> None:
    found = axes_of(stored(MLOpsClient(folder)).plot(["odd", "once"]))

    assert [text.get_text() for text in found["odd"].texts] == ["1 NaN or infinite"]
    assert found["once"].lines[0].get_marker() == "o"


def test_a_comparison_is_drawn_in_the_colours_of_the_pages(folder: Path) -> None:
    client = MLOpsClient(folder)
    ids = [run.id for run in runs_of(client)]
    made = client.compare_runs(ids).plot()
    found = axes_of(made)
    wanted = [look.colour for look in curves.looks(ids).values()]

    assert [line.get_color() for line in found["loss"].lines] == wanted
    assert "once" not in found  # a point is no curve
    assert len(found["loss"].collections) == 2
    labels = [text.get_text() for text in made.legends[0].get_texts()]
    assert labels[0] == "first (baseline)"
    assert labels[1].lstrip("\u200b") == HOSTILE


def test_names_are_text_and_no_formulas(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = stored(MLOpsClient(folder), 1).plot([HOSTILE])
        made.savefig(BytesIO(), format="png")

    assert HOSTILE in axes_of(made)


def test_more_than_twelve_metrics_are_counted(tmp_path: Path) -> None:
    with MLOpsClient(tmp_path).start_run(capture=False) as run:
        for step in range(3):
            run.log_metrics({f"m{n}": step for n in range(15)}, step=step)
        made = run.plot()

    assert len(made.axes) == 12
    assert made.get_supxlabel() == "3 more metrics: plot([…])"


def test_a_run_that_logs_is_drawn_as_it_is_and_one_that_logged_nothing_says_so(
    tmp_path: Path,
) -> None:
    with MLOpsClient(tmp_path).start_run(capture=False) as run:
        assert [text.get_text() for text in run.plot().texts] == ["No metric was logged yet."]
        run.log_metrics({"loss": 1.0}, step=0)
        run.log_metrics({"loss": 2.0}, step=1)
        assert points(axes_of(run.plot())["loss"]) == ([0.0, 1.0], [1.0, 2.0])


# As HTML -------------------------------------------------------------------------------------


def test_a_figure_becomes_html_that_asks_nothing_of_the_network(folder: Path) -> None:
    made = stored(MLOpsClient(folder)).plot()
    png, svg = made._repr_png_(), BytesIO()
    made.savefig(svg, format="svg")
    html = f'<img src="data:image/png;base64,{base64.b64encode(png).decode()}">'
    asked = re.findall(
        r"(?:src|href|url)\s*[=(]\s*[\"']?(?!#|data:)[^\"')\s>]+", svg.getvalue().decode()
    )

    assert png.startswith(b"\x89PNG")
    assert "http" not in html
    assert [one for one in asked if "://" in one] == []
    assert b"<script" not in svg.getvalue()


# What is refused, and what is loaded ---------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": "epoch"}, UsageError, "x is step, relative, wall, not 'epoch'"),
        ({"smooth": 1.0}, UsageError, "from 0 to below 1, not 1.0"),
        ({"smooth": math.nan}, UsageError, "from 0 to below 1"),
        ({"smooth": "0.6"}, WrongTypeError, "smooth is a number"),
        ({"metrics": []}, UsageError, "an empty list"),
        ({"metrics": [1]}, WrongTypeError, "list of names"),
        ({"metrics": "los"}, NotFoundError, "loss"),
    ],
)
def test_what_cannot_be_plotted_is_refused(
    folder: Path, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    client = MLOpsClient(folder)
    ids = [run.id for run in runs_of(client)]
    for shown in (client.get_run(ids[0]), client.compare_runs(ids)):
        with pytest.raises(error, match=message):
            shown.plot(**arguments)


def test_a_comparison_of_rows_alone_has_no_curves(folder: Path) -> None:
    client = MLOpsClient(folder)
    ids = [run.id for run in runs_of(client)]
    with pytest.raises(UsageError, match=r"client\.compare_runs"):
        compare(client._store.index, ids, None, None).plot()


def test_nothing_is_loaded_before_and_without_matplotlib_it_says_what_to_install(
    folder: Path,
) -> None:
    script = (
        "import sys\n"
        "from podstack import MLOpsClient\n"
        f"client = MLOpsClient({str(folder)!r})\n"
        "run = client.get_run(client.search_runs()[0].id)\n"
        "assert 'matplotlib' not in sys.modules\n"
        "sys.modules['matplotlib'] = None\n"
        "run.plot()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert "matplotlib is not installed. Run: pip install 'podstack[plot]'" in done.stderr


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_smoothing_is_that_of_the_pages() -> None:
    module = Path(__file__).parents[1] / "podstack/server/ui/static/charts/curve.js"
    values, counts = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0], [1, 4, 2, 1, 7, 1, 3]
    script = (
        f"import {{smoothed}} from {json.dumps(module.as_uri())};"
        f"console.log(JSON.stringify(smoothed({values}, {counts}, 0.7)))"
    )
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script], capture_output=True, text=True, check=True
    )

    assert plotted.smoothed(values, counts, 0.7) == pytest.approx(json.loads(done.stdout))
    assert plotted.smoothed([2.0] * 4, [1] * 4, 0.7) == [2.0] * 4
