"""How runs and experiments look: whole, bounded, and harmless whatever their names hold."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from podstack import MLOpsClient, Run
from podstack.display import duration

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</td></table><svg onload=alert(1)>",
    "<td onmouseover=alert(1)>",
    "&lt;b&gt;",
    "'-alert(1)-'",
]
STEERING = ["\x1b[2J\x1b[31m", "\x1b]0;title\x07", "a\nRun forged", "a\rb", "\u202egnp", "\x9b31m"]


class Tags(HTMLParser):
    """What a browser would make elements of, and what it would show."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)

    @property
    def is_active(self) -> bool:
        """Whether it holds anything that runs, loads or leads elsewhere."""
        loud = {"script", "img", "a", "iframe", "object", "embed", "link", "form", "meta", "base"}
        return bool(self.names & loud) or any(
            name.startswith("on") or name in ("src", "href") for name in self.attributes
        )

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def shown(client: MLOpsClient, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Everything that has a repr, with hostile text in every place that takes text."""
    monkeypatch.setenv("PODSTACK_USER", HOSTILE[0])
    for text in HOSTILE + STEERING:
        experiment = client.create_experiment(text, text, tags=[text])
        with client.start_run(experiment.id, name=text, tags=[text]) as run:
            run.log_params({text: text, f"{text}2": [text]})
            for value in (1.0, 2.0, float("nan"), float("inf"), 3.0):
                run.log_metrics({text: value})
            run.set_notes(text)
    experiments = client.list_experiments(status="all")
    runs = client.list_runs()
    return [*experiments, *runs, *(run.metrics for run in runs), *(run.summary for run in runs)]


def test_hostile_names_are_text_in_a_notebook(shown: list[object]) -> None:
    pages = [Tags(thing._repr_html_()) for thing in shown if hasattr(thing, "_repr_html_")]

    assert len(pages) >= 2 * len(HOSTILE)
    assert not any(page.is_active for page in pages)
    everything = "".join(page.text for page in pages)
    assert all(text in everything for text in HOSTILE)


def test_a_table_of_hostile_runs_is_text_in_a_notebook(
    shown: list[object], client: MLOpsClient
) -> None:
    page = Tags(client.search_runs()._repr_html_())

    assert not page.is_active
    assert all(text in page.text for text in HOSTILE)


def test_no_name_steers_a_terminal_or_forges_a_line(
    shown: list[object], client: MLOpsClient
) -> None:
    texts = [*map(repr, shown), repr(client.search_runs())]

    assert all(line.isprintable() for text in texts for line in text.split("\n"))
    assert not any(line.startswith("Run forged") for text in texts for line in text.split("\n"))


def test_a_hostile_name_does_not_steer_the_terminal_at_start(
    client: MLOpsClient, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PODSTACK_QUIET", "0")
    with client.start_run(name=STEERING[0]):
        pass

    assert "\x1b" not in capfd.readouterr().err


def test_a_run_shows_what_matters(client: MLOpsClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODSTACK_USER", "ada")
    with client.start_run(name="first", tags=["good"], params={"lr": 0.001, "opt": "adamw"}) as run:
        for step, loss in enumerate((0.9, 0.3, 0.5)):
            run.log_metrics({"loss": loss}, step=step)

    for text in (repr(run), Tags(run._repr_html_()).text):
        for fact in ("first", run.id, "completed", "ada", "good", "lr", "0.001", "adamw", "loss"):
            assert fact in text
        assert all(number in text for number in ("0.5", "0.3", "0.9"))
    assert "last 0.5 at 2, min 0.3 at 1, max 0.9 at 0" in repr(run)


def test_a_run_with_very_much_shows_a_part_of_it(run: Run) -> None:
    run.log_params({f"p{i}": "long " * 100 for i in range(1_000)})
    run.log_metrics({f"m{i}": i for i in range(1_000)})

    assert len(repr(run).splitlines()) < 100
    assert "… and 960 more" in repr(run)
    assert max(map(len, repr(run).splitlines())) < 200


def test_an_experiment_shows_its_name_id_status_and_tags(client: MLOpsClient) -> None:
    experiment = client.create_experiment("Digits", tags=["mnist"])

    assert repr(experiment) == f"Experiment 'Digits'  id={experiment.id}  active  tags: mnist"


def test_a_lost_run_says_since_when(client: MLOpsClient, run: Run) -> None:
    assert "lost since" not in repr(run)
    assert "running" in repr(run)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0s"), (8.24, "8.2s"), (59.99, "60.0s"), (60, "1m 00s"), (200, "3m 20s"),
     (3599.9, "59m 59s"), (3840, "1h 04m"), (360_000, "100h 00m")],
)  # fmt: skip
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_metrics_of_the_machine_are_counted_and_not_drawn(run: Run) -> None:
    run.log_metrics({"loss": 0.5, "system/cpu_percent": 12.0, "system/process_rss_mb": 250.0})

    for shown in (repr(run), run._repr_html_()):
        assert "loss" in shown
        assert "and 2 below system/" in shown
        assert "cpu_percent" not in shown


def test_a_curve_near_the_limits_of_float64_is_drawn(run: Run) -> None:
    for step, value in enumerate((-1.7e308, 1.7e308, 0.0)):
        run.log_metrics({"x": value}, step)

    assert "nan" not in run._repr_html_().lower().partition("<polyline")[2]
    assert "<polyline" in run._repr_html_()
