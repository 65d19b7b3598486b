"""Curves in a notebook: whole, bounded, harmless, and honest about spikes."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from array import array
from pathlib import Path

import pytest

from podstack import MLOpsClient, curves
from podstack.testing.podstack_server import RunningServer


def test_a_spike_of_one_step_in_a_long_run_stays_in_the_band() -> None:
    values = [1.0] * 100_000
    values[54_321] = 9.0
    buckets = curves.bucketed(range(100_000), values)

    assert len(buckets) <= curves.BUCKETS
    assert max(bucket.high for bucket in buckets) == 9.0


def test_a_bucket_is_the_mean_and_the_extremes_of_its_steps() -> None:
    steps, values = array("q", range(0, 640, 2)), array("d", range(320))

    assert curves.bucketed(steps, values)[1] == (4, 2.5, 2.0, 3.0)


def test_values_that_are_no_numbers_are_left_out_of_a_curve() -> None:
    buckets = curves.bucketed([0, 1, 2, 3], [1.0, math.nan, math.inf, 2.0])

    assert [bucket.mean for bucket in buckets] == [1.0, 2.0]


def test_a_constant_and_the_largest_numbers_have_a_place() -> None:
    for values in ([2.0, 2.0, 2.0], [1.7e308, -1.7e308, 0.0]):
        buckets = curves.bucketed([0, 1, 2], values)
        html = curves.chart("loss", [curves.Curve("a", buckets)]) + curves.spark(buckets)

        assert "nan" not in html
        assert "inf" not in html
        assert html.count("<polyline") == 2


def test_fewer_than_two_points_make_no_chart() -> None:
    one = curves.bucketed([0], [1.0])

    assert curves.chart("loss", [curves.Curve("a", one), curves.Curve("b", [])]) == ""
    assert curves.spark(one) == ""


def test_the_name_of_a_metric_is_text_in_a_chart() -> None:
    hostile = curves.Curve("</title><script>", curves.bucketed([0, 1], [1.0, 2.0]))

    assert "<script" not in curves.chart('"><script>', [hostile])
    assert "<script" not in curves.legend([("</span><script>", curves.Look())])


def test_a_link_is_made_for_a_server_only_and_never_tells_a_secret() -> None:
    for address in (None, "", "/data/store/runs/r", "s3://bucket/runs/r", "javascript:alert(1)"):
        assert curves.link(address, "Open") == ""
    link = curves.link("https://me:secret@host:8/base/runs/r?a=1&b=2", "Open")
    assert 'href="https://host:8/base/runs/r?a=1&amp;b=2"' in link
    assert "secret" not in link
    assert "<script" not in curves.link('http://h"><script>/', "<script>")


@pytest.mark.skipif(shutil.which("node") is None, reason="Node runs the colours of the pages")
def test_a_run_has_the_colour_that_it_has_on_the_pages() -> None:
    ids = [f"20261123-22153{i % 10}-k3x9q2m{i}" for i in range(40)] + ["a", "my.run_1"]
    module = Path(curves.__file__).parent / "server/ui/static/core/colors.js"
    script = (
        f"import {{ runColors }} from {json.dumps(module.as_uri())};"
        f"const found = runColors({json.dumps(ids)});"
        "console.log(JSON.stringify([...found].map(([id, { color, dash }]) => "
        "[id, color, dash.join(' ')])));"
    )
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script], capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout) == [[id, *look] for id, look in curves.looks(ids).items()]


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
