"""Curves in a notebook: whole, bounded, harmless, and honest about spikes."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

from podstack import MLOpsClient, curves
from podstack.testing.podstack_server import RunningServer


def test_a_spike_of_one_step_in_a_long_run_stays_in_the_band() -> None:
    values = [1.0] * 100_000
    values[54_321] = 9.0
    drawn = curves.curve("loss", range(100_000), values)
    assert len(drawn.buckets) <= curves.BUCKETS
    assert max(bucket.high for bucket in drawn.buckets) == 9.0


def test_values_that_are_no_numbers_are_left_out_of_a_curve() -> None:
    drawn = curves.curve("loss", [0, 1, 2, 3], [1.0, math.nan, math.inf, 2.0])
    assert [bucket.mean for bucket in drawn.buckets] == [1.0, 2.0]


def test_a_constant_and_the_largest_numbers_have_a_place() -> None:
    for values in ([2.0, 2.0, 2.0], [1.7e308, -1.7e308, 0.0]):
        html = curves.chart("loss", [curves.curve("loss", [0, 1, 2], values)])
        assert "nan" not in html
        assert "inf" not in html


def test_fewer_than_two_points_make_no_chart() -> None:
    assert curves.chart("loss", [curves.curve("loss", [0], [1.0])]) == ""
    assert curves.chart("loss", [curves.curve("loss", [], [])]) == ""


def test_the_name_of_a_metric_is_text_in_a_chart() -> None:
    html = curves.chart('"><script>', [curves.curve("</title><script>", [0, 1], [1.0, 2.0])])
    assert "<script" not in html


def test_a_link_is_made_for_a_server_only_and_never_tells_a_secret() -> None:
    assert curves.page_link("/data/store", "projects/p/runs/r") == ""
    assert curves.page_link("s3://bucket/store", "projects/p/runs/r") == ""
    link = curves.page_link("https://me:secret@host:8/base/", "projects/p/runs/r")
    assert 'href="https://host:8/base/projects/p/runs/r"' in link
    assert "secret" not in link
    assert "<script" not in curves.page_link('http://h"><script>/', "x")


def test_a_run_on_a_server_shows_its_curves_and_the_way_to_its_page(tmp_path: Path) -> None:
    with RunningServer(tmp_path) as server:
        client = MLOpsClient(server.url)
        with client.start_run(client.create_experiment("digits").id) as run:
            for step in range(50):
                run.log_metrics({"loss": 1 / (step + 1)}, step=step)
            assert run.flush()
        html = client.get_run(run.id)._repr_html_()
    assert "<polyline" in html
    assert "<polygon" in html
    assert f"/projects/default/runs/{run.id}/metrics" in html


def test_showing_a_run_loads_no_library_for_charts() -> None:
    code = (
        "import sys, podstack.display; print({'numpy', 'matplotlib', 'IPython'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
