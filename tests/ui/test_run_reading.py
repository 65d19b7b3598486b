"""What a run's pages show, in a browser: results beside others, files of every kind, output."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from podstack import MLOpsClient, Run
from podstack.testing.browser import Watch
from podstack.testing.podstack_server import RunningServer
from podstack.testing.sample_files import write_samples

pytestmark = pytest.mark.ui


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose runs may be changed: the other one's are shared."""
    folder = tmp_path_factory.mktemp("own")
    environment = {"PODSTACK_CACHE": str(folder / "cache")}
    with RunningServer(folder / "store", environment=environment) as server:
        yield server


@pytest.fixture
def strict(watch_at: object, own: RunningServer) -> Watch:
    watch: Watch = watch_at(own.url)  # type: ignore[operator]
    return watch


def opened(watch: Watch, run: Run, tab: str = "") -> Page:
    return watch.open(f"/projects/default/runs/{run.id}{tab}")


@pytest.fixture(scope="module")
def rivals(own: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Three runs of one experiment on the same data, the second one the best."""
    data = tmp_path_factory.mktemp("data") / "train.csv"
    data.write_text("a,b\n1,2\n")
    client = MLOpsClient(own.url)
    client.create_experiment("rivals")
    made = []
    for number, accuracy in enumerate((0.7, 0.9, 0.8)):
        params = {"amp": True, "note": None, "lr": 0.1}
        with client.start_run(
            experiment="rivals", name=f"rival-{number}", params=params, capture=False
        ) as run:
            for step in range(5):
                run.log_metrics({"val/accuracy": accuracy - 0.1 / (step + 1), "lr": 0.1}, step=step)
            run.log_dataset("train", data)
            for file in write_samples(data.parent / "samples") if number == 0 else ():
                run.log_artifact(file)
        made.append(run)
    return made


def test_results_have_curves_and_how_far_the_best_run_is(strict: Watch, rivals: list[Run]) -> None:
    page = opened(strict, rivals[0])
    row = page.locator('#results tr[data-name="val/accuracy"]')

    expect(row.get_by_role("img", name="val/accuracy: from 0.6 to 0.68")).to_be_visible()
    expect(row.locator(".delta")).to_have_text(re.compile(r"^−0\.2\s+worse$"))
    expect(page.locator(".run-place")).to_have_text(re.compile(r"best 0\.68, 3rd of 3"))
    row.get_by_role("link").click()
    expect(page.locator("[data-metric]")).to_have_count(1)


def test_place_and_distance_to_the_best_move_while_the_run_writes(
    strict: Watch, own: RunningServer
) -> None:
    client = MLOpsClient(own.url)
    client.create_experiment("climb")
    for name, accuracy in (("low", 0.5), ("high", 0.9)):
        with client.start_run(experiment="climb", name=name, capture=False) as run:
            run.log_metrics({"val_acc": accuracy}, step=0)
    with client.start_run(experiment="climb", name="climber", capture=False) as run:
        run.log_metrics({"val_acc": 0.4}, step=0)
        run.flush()
        page = opened(strict, run)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(urlsplit(request.url).path))
        page.evaluate("() => { window.isSame = true; }")
        place, delta = page.locator("#run-place"), page.locator("#results .delta")
        expect(place).to_have_text("best 0.4, 3rd of 3 on val_acc")
        expect(delta).to_have_text(re.compile(r"^−0\.5\s+worse$"))
        run.log_metrics({"val_acc": 0.7}, step=1)
        expect(place).to_have_text("best 0.7, 2nd of 3 on val_acc")
        expect(delta).to_have_text(re.compile(r"^−0\.2\s+worse$"))
        assert {path.rsplit("/", 1)[1] for path in asked} <= {
            "changes", "console", "metrics", "series"
        }  # fmt: skip
        run.log_metrics({"val_acc": 0.95}, step=2)
        expect(place).to_have_text("best 0.95, best of 3 on val_acc")
        expect(delta).to_have_count(0)  # there is nobody better, and no parent

        assert page.evaluate("() => window.isSame")


def test_the_place_moves_beside_the_curves_too(strict: Watch, own: RunningServer) -> None:
    client = MLOpsClient(own.url)
    client.create_experiment("beside")
    with client.start_run(experiment="beside", capture=False) as run:
        run.log_metrics({"val_acc": 0.5}, step=0)
    with client.start_run(experiment="beside", capture=False) as run:
        run.log_metrics({"val_acc": 0.4}, step=0)
        run.flush()
        place = opened(strict, run, "/metrics").locator("#run-place")
        expect(place).to_have_text("best 0.4, 2nd of 2 on val_acc")
        run.log_metrics({"val_acc": 0.7}, step=1)
        expect(place).to_have_text("best 0.7, best of 2 on val_acc")


def test_compare_with_offers_the_best_run_first(strict: Watch, rivals: list[Run]) -> None:
    page = opened(strict, rivals[0], "/params")
    page.get_by_role("button", name="Compare with").or_(page.locator("#run-compare")).click()
    page.get_by_role("menuitem", name="Best run: rival-1").click()
    page.wait_for_url("**/compare?runs=*")

    assert rivals[0].id in page.url
    assert rivals[1].id in page.url


def test_parameters_are_copied_as_python_on_every_tab(strict: Watch, rivals: list[Run]) -> None:
    page = opened(strict, rivals[0], "/datasets")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#run-clone").click()
    expect(page.get_by_text("Copied: a script")).to_be_visible()
    told = page.evaluate("() => navigator.clipboard.readText()")
    compile(told, "copied", "exec")

    assert '"amp": True' in told
    assert '"note": None' in told
    assert 'experiment="rivals"' in told


def test_a_dataset_names_the_other_runs_of_its_hash(strict: Watch, rivals: list[Run]) -> None:
    page = opened(strict, rivals[0], "/datasets")
    cell = page.locator(".dataset-runs")

    expect(cell.locator(".dataset-run")).to_have_text(
        [re.compile("rival-2"), re.compile("rival-1")]
    )
    cell.get_by_role("link", name="rival-2").click()
    expect(page.locator("h1")).to_have_text("rival-2")


KINDS = {
    "train.log": ".code-text",
    "model.py": ".code-text",
    "config.json": ".tree details",
    "predictions.csv": ".preview-table td.number",
    "confusion.png": ".preview-image",
    "diagram.svg": ".preview-image",
    "beep.wav": "audio",
    "clip.webm": "video",
    "report.md": ".markdown table",
    "explore.ipynb": ".cell-output",
    "weights.bin": "text=No preview",
}
_LOADED = """element => element.tagName === 'IMG' ? element.complete && element.naturalWidth > 0
  : element.readyState === undefined || element.readyState > 0"""


def test_each_kind_of_file_is_shown_as_what_it_is(strict: Watch, rivals: list[Run]) -> None:
    page = opened(strict, rivals[0], "/artifacts")
    for path, selector in KINDS.items():
        page.locator(".file-tree").get_by_role("link", name=path, exact=True).click()
        shown = page.locator(selector).first
        expect(page.locator("#file-heading")).to_have_text(path)
        expect(shown).to_be_visible()
        page.wait_for_function(_LOADED, arg=shown.element_handle())


PRINTING = """
import sys
from podstack import MLOpsClient
with MLOpsClient(sys.argv[1]).start_run(run_id="printing", capture=("console",)) as run:
    print("begun", flush=True)
    for step, line in enumerate(sys.stdin):
        print("said", line, end="", flush=True)
        run.log_metrics({"loss": 1.0 / (step + 1)}, step=step)
"""


def test_output_and_results_move_while_another_process_writes(
    strict: Watch, own: RunningServer, tmp_path: Path
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", PRINTING, own.store],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    try:
        assert child.stdin
        assert child.stdout
        assert child.stdout.readline() == "begun\n"
        page = strict.open("/projects/default/runs/printing")
        page.evaluate("() => { window.isSame = true; }")
        for line in ("one", "two"):
            child.stdin.write(f"{line}\n")
            child.stdin.flush()
            expect(page.locator("#console")).to_contain_text(f"said {line}")
        row = page.locator('#results tr[data-name="loss"]')
        expect(row.locator('[data-part="last"]')).to_have_text("0.5")
        expect(row.locator(".spark")).to_be_visible()

        assert page.evaluate("() => window.isSame")
    finally:
        child.kill()
        child.communicate()


def test_a_logged_page_runs_without_this_sites_origin(
    strict: Watch, own: RunningServer, tmp_path: Path
) -> None:
    source = tmp_path / "report.html"
    source.write_text(
        "<p id=told></p><script>let told = origin; try { told += parent.document.title }"
        " catch { told += ' alone' } document.getElementById('told').textContent = told</script>"
    )
    with MLOpsClient(own.url).start_run(capture=False) as run:
        run.log_artifact(source)
    page = opened(strict, run, "/artifacts/report.html")
    page.get_by_text("Show as a page").click()

    expect(page.frame_locator("iframe").locator("#told")).to_have_text("null alone")
