"""Searching: what is found, how much of it is loaded, and how it looks wherever it is printed."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pandas
import polars
import pytest

from podstack import MissingExtraError, MLOpsClient, NotFoundError, UsageError, WrongTypeError
from podstack.expressions import ExpressionError
from podstack.index import RunRow
from podstack.query import RunTable
from podstack.series import Summary
from podstack.tables import Column, cell, cells, cut, numbers, text_table, width_of, wrapped
from podstack.testing.html import Page
from podstack.testing.stage import DEADLINE

NAN, INF = float("nan"), float("inf")
HOSTILE = [
    "<script>alert(1)</script>",
    "</td></table><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
]
STEERING = [
    "\x1b[2J\x1b[31m",
    "\x1b]0;title\x07",
    "a\nforged  line",
    "a\rb",
    "\u202egnp",
    "\x9b31m",
]


@pytest.fixture
def searched(client: MLOpsClient) -> MLOpsClient:
    """Six runs: r0 … r5 by age, r5 in another experiment, r4 failed."""
    client.create_experiment("digits")
    client.create_experiment("cifar")
    for i in range(6):
        params = {"lr": 10.0**-i, "optimizer": "sgd" if i % 2 else "adamw", "epochs": 3}
        tags = ["even"] if i % 2 == 0 else []
        experiment = "cifar" if i == 5 else "digits"
        run = client.start_run(
            experiment, run_id=f"r{i}", name=f"run {i}", tags=tags, params=params
        )
        for step in range(2):
            run.log_metrics({"val_acc": i / 10 + step / 100, "loss": 1 - i / 10, "norm": i})
        run.log_metrics({"system/cpu": 50.0})
        run.finish("failed" if i == 4 else "completed")
    return client


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def ids(table: RunTable) -> str:
    return " ".join(row.id for row in table)


def row(i: int, **changes: Any) -> RunRow:
    made = RunRow(
        id=f"r{i}", name=f"run {i}", status="completed", lost_since=None, experiment_id="e",
        experiment="e", user="ada", created=1.0 + i, ended=2.0 + i, duration=1.0, parent=None,
        tags=[], params={}, metrics={}, notes="", error=None, deleted=False,
    )  # fmt: skip
    return made._replace(**changes)


def last(value: float) -> Summary:
    return Summary(value, 9, value, 9, value, 9, 10)


# What is found -----------------------------------------------------------------------------


def test_without_a_filter_all_runs_are_found_the_newest_first(searched: MLOpsClient) -> None:
    assert ids(searched.search_runs()) == "r5 r4 r3 r2 r1 r0"
    assert searched.search_runs().total == len(searched.search_runs()) == 6


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"filter": "metrics.val_acc > 0.25 and params.optimizer = adamw"}, "r4"),
        ({"filter": "lr < 0.002"}, "r5 r4 r3"),
        ({"order_by": "-metrics.val_acc", "limit": 2}, "r5 r4"),
        ({"order_by": "metrics.loss", "experiment": "digits"}, "r4 r3 r2 r1 r0"),
        ({"order_by": ["params.optimizer", "-created"]}, "r4 r2 r0 r5 r3 r1"),
        ({"experiment": "cifar"}, "r5"),
        ({"status": "failed"}, "r4"),
        ({"tags": "even"}, "r4 r2 r0"),
        ({"tags": ["even", "odd"]}, ""),
        ({"filter": "val_acc < 0.3 or val_acc > 0.5", "tags": ["even"]}, "r2 r0"),
        ({"filter": "status = completed", "status": "completed", "offset": 2, "limit": 2}, "r2 r1"),
        ({"offset": 100}, ""),
    ],
)
def test_runs_are_found_by_filter_experiment_status_and_tags(
    searched: MLOpsClient, arguments: dict[str, Any], found: str
) -> None:
    assert ids(searched.search_runs(**arguments)) == found


def test_the_filter_may_stand_first_and_the_experiment_be_one(searched: MLOpsClient) -> None:
    cifar = searched.get_experiment("cifar")

    assert ids(searched.search_runs("val_acc > 0.45", experiment=cifar)) == "r5"


def test_deleted_runs_are_found_only_where_they_are_asked_for(searched: MLOpsClient) -> None:
    searched.get_run("r3").delete()
    searched.get_experiment("cifar").delete()

    assert ids(searched.search_runs()) == "r4 r2 r1 r0"
    found = searched.search_runs(include_deleted=True)
    assert ids(found) == "r5 r4 r3 r2 r1 r0"
    assert found[2].deleted


def test_a_search_sees_what_was_logged_just_before(client: MLOpsClient) -> None:
    with client.start_run(run_id="r") as run:
        for i in range(20):
            run.log_metrics({"x": i})
            run.add_tags(f"t{i}")

            assert ids(client.search_runs(f"x = {i}", tags=[f"t{i}"])) == "r"


def test_total_counts_all_matches_whatever_the_limit(searched: MLOpsClient) -> None:
    table = searched.search_runs("lr < 0.5", limit=2, offset=1)

    assert (len(table), table.total, ids(table)) == (2, 5, "r4 r3")


def test_an_empty_store_has_no_runs(client: MLOpsClient) -> None:
    table = client.search_runs("loss < 1")

    assert (list(table), table.total, repr(table)) == ([], 0, "no runs")
    assert table.to_dicts() == []
    assert len(table.to_pandas()) == len(table.to_polars()) == 0
    assert "0 runs" in Page(table._repr_html_()).text


# What is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [0, -1, 10**30, 1_000_001])
def test_a_limit_out_of_range_is_refused_and_the_range_named(
    searched: MLOpsClient, limit: int
) -> None:
    with pytest.raises(UsageError, match=r"limit is from 1 to 1,000,000, not "):
        searched.search_runs(limit=limit)
    with pytest.raises(UsageError, match=r"size is from 1 to 1,000, not "):
        searched.search_runs().page(1, size=limit)
    if limit:
        with pytest.raises(UsageError, match=r"offset is from 0 to 1,000,000, not "):
            searched.search_runs(offset=limit)


@pytest.mark.parametrize("limit", [NAN, INF, True, "10", "10; DROP TABLE runs", 1.0, [], b"\x80"])
def test_a_limit_that_is_no_whole_number_is_refused(searched: MLOpsClient, limit: Any) -> None:
    for arguments in ({"limit": limit}, {"offset": limit}):
        with pytest.raises(WrongTypeError, match=r"is a whole number from . to 1,000,000, not "):
            searched.search_runs(**arguments)
    with pytest.raises(WrongTypeError, match="is a whole number"):
        searched.search_runs().page(limit)


@pytest.mark.parametrize("order", [5, None, [], [5], {"created": 1}, NAN, True])
def test_an_order_that_is_none_is_refused(searched: MLOpsClient, order: Any) -> None:
    with pytest.raises(UsageError, match=r"order"):
        searched.search_runs(order_by=order)


def test_what_cannot_be_read_points_at_the_place(searched: MLOpsClient) -> None:
    for arguments in (
        {"filter": "loss <"},
        {"order_by": "metrics.loss.most"},
        {"columns": ["params.lr lr"]},
        {"columns": ["metrics.loss.most"]},
        {"filter": "__import__('os')"},
    ):
        with pytest.raises(ExpressionError, match=r"\n +\^|\^"):
            searched.search_runs(**arguments)


def test_other_wrong_arguments_say_what_is_right(searched: MLOpsClient) -> None:
    def refused(message: str, **arguments: Any) -> None:
        with pytest.raises(UsageError, match=message):
            searched.search_runs(**arguments)

    refused("A filter is a text such as 'loss < 0.5', not 5", filter=5)
    refused("status is one of running, completed, failed, killed, not 'done'", status="done")
    refused("Tags are a string or a list of strings, not 5", tags=5)
    refused(r"columns is a list of names such as \['name', 'params.lr'\]", columns="name")
    refused("columns names at least one", columns=[])
    with pytest.raises(NotFoundError, match=r"'digts' \(nearest of 2: digits\)"):
        searched.search_runs(experiment="digts")


# As a sequence -----------------------------------------------------------------------------


def test_a_table_is_indexed_sliced_and_paged_as_a_list_is(searched: MLOpsClient) -> None:
    whole = list(searched.search_runs())

    for loaded in (False, True):
        table = searched.search_runs()
        if loaded:
            list(table)
        for part in (slice(2), slice(1, 4), slice(-2, None), slice(None, None, -1), slice(9, 1),
                     slice(0, 6, 2)):  # fmt: skip
            assert list(table[part]) == whole[part]
            assert list(table[part][:2]) == whole[part][:2]
            assert len(table[part]) == len(whole[part])
        assert (table[0], table[-1], table[1:][0]) == (whole[0], whole[-1], whole[1])
        assert whole[3] in table
        with pytest.raises(IndexError):
            table[6]
        assert [list(table.page(n, size=4)) for n in (1, 2)] == [whole[:4], whole[4:]]
        with pytest.raises(UsageError, match="number is from 1 to 2, not 3"):
            table.page(3, size=4)


def test_a_run_of_a_table_is_opened_by_position_id_or_name(searched: MLOpsClient) -> None:
    table = searched.search_runs("val_acc < 0.35")

    assert table.run(0).id == table.run("r3").id == table.run("run 3").id == "r3"
    assert list(table.run("r3").metrics["val_acc"].values) == [0.3, 0.31]
    with pytest.raises(NotFoundError, match=r"'r5' \(nearest of 8: "):
        table.run("r5")
    with searched.start_run(run_id="r9", name="run 3"):
        pass
    with pytest.raises(UsageError, match="2 of these runs are called 'run 3': use an id"):
        searched.search_runs().run("run 3")


# How much is loaded ------------------------------------------------------------------------


class Counting:
    """Ten thousand runs, and how many of them were asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def fetch(self, limit: int, offset: int) -> list[RunRow]:
        self.asked += limit
        return [row(i) for i in range(offset, min(10_000, offset + limit))]

    def table(self) -> RunTable:
        return RunTable(self.fetch, 10_000, range(10_000))


def test_printing_loads_as_many_runs_as_it_shows() -> None:
    runs = Counting()
    text = repr(runs.table())

    assert runs.asked == 20
    assert text.splitlines()[21] == "… 9,980 more of 10,000: .page(2)"
    page = runs.table().page(2)
    assert ids(page) == " ".join(f"r{i}" for i in range(20, 40))
    assert runs.asked == 40
    assert runs.table()[5_000:][:3].to_dicts()[0]["id"] == "r5000"
    assert runs.asked == 43
    runs.table()._repr_html_()
    assert runs.asked == 93


def test_what_was_loaded_is_not_asked_for_again() -> None:
    runs = Counting()
    table = runs.table()
    assert len(list(table)) == len(table.to_dicts()) == 10_000
    repr(table), table[3:5].to_dicts(), table.with_columns(["id"]).to_pandas()

    assert runs.asked == 10_000


def test_a_search_reads_no_file_of_a_run_once_the_index_knows_it(
    client: MLOpsClient, opened: list[str]
) -> None:
    with client.start_run(run_id="r0", name="only") as run:
        run.log_metrics({"loss": 0.5})
    assert run.flush(timeout=DEADLINE)  # the background writes nothing more
    repr(client.search_runs())
    opened.clear()
    text = repr(client.search_runs(order_by="-loss"))

    assert "only" in text
    assert [path for path in opened if "/runs/r0" in path] == []
    client.get_run("r0").metrics["loss"]
    assert [path for path in opened if "/runs/r0/metrics" in path] != []


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """The paths of all files that this thread opens from now on."""
    paths: list[str] = []
    recording = [threading.get_ident()]

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if threading.get_ident() in recording and event == "open":
            paths.append(str(arguments[0]))

    sys.addaudithook(hear)
    yield paths
    recording.clear()


# As data -----------------------------------------------------------------------------------


def test_dicts_have_all_that_the_index_knows(searched: MLOpsClient) -> None:
    run = searched.get_run("r1")
    (facts,) = searched.search_runs("id = r1").to_dicts()

    assert facts == {
        "id": "r1",
        "name": "run 1",
        "status": "completed",
        "lost_since": None,
        "experiment": "digits",
        "experiment_id": "digits",
        "user": run.user,
        "created": run.created,
        "ended": run.ended,
        "duration": run.duration,
        "parent": None,
        "tags": [],
        "notes": "",
        "error": None,
        "params.lr": 0.1,
        "params.optimizer": "sgd",
        "params.epochs": 3,
        "metrics.val_acc": 0.11,
        "metrics.val_acc.min": 0.1,
        "metrics.val_acc.max": 0.11,
        "metrics.loss": 0.9,
        "metrics.loss.min": 0.9,
        "metrics.loss.max": 0.9,
        "metrics.norm": 1.0,
        "metrics.norm.min": 1.0,
        "metrics.norm.max": 1.0,
        "metrics.system/cpu": 50.0,
        "metrics.system/cpu.min": 50.0,
        "metrics.system/cpu.max": 50.0,
    }


def test_frames_have_typed_columns(searched: MLOpsClient) -> None:
    table = searched.search_runs()
    frame, other = table.to_pandas(), table.to_polars()

    assert list(frame.columns) == other.columns == table.columns
    assert str(frame["created"].dtype) == "datetime64[us, UTC]"
    assert other["ended"].dtype == polars.Datetime("us", "UTC")
    assert (frame["params.epochs"].dtype, frame["metrics.norm"].dtype) == ("int64", "float64")
    assert other["params.optimizer"].dtype == polars.String
    assert other["tags"].dtype == polars.List(polars.String)
    assert frame["created"][0].timestamp() == pytest.approx(table[0].created, abs=1e-6)
    assert list(frame["metrics.val_acc.max"]) == other["metrics.val_acc.max"].to_list()
    assert frame.sort_values("metrics.loss").iloc[0]["name"] == "run 5"


def test_chosen_columns_are_those_of_the_data_too(searched: MLOpsClient) -> None:
    names = ["name", "params.lr", "metrics.val_acc.max", "loss", "optimizer", "tags", "tags.even"]
    table = searched.search_runs(columns=names, limit=2)

    assert table.columns == list(table.to_pandas().columns) == ["id", *names]
    assert table.to_dicts()[1] == {
        "id": "r4",
        "name": "run 4",
        "params.lr": 1e-4,
        "metrics.val_acc.max": 4 / 10 + 1 / 100,
        "loss": 0.6,
        "optimizer": "adamw",
        "tags": ["even"],
        "tags.even": True,
    }
    assert searched.search_runs().with_columns(names)[:2].to_dicts() == table.to_dicts()


def test_a_run_without_a_value_is_told_apart_from_one_with_none() -> None:
    table = RunTable.of([row(0, params={"a": None}), row(1), row(2, params={"a": 1})])

    assert ["params.a" in facts for facts in table.to_dicts()] == [True, False, True]
    assert [line.split()[-1] for line in repr(table).splitlines()[1:]] == ["None", "–", "1"]
    assert pandas.isna(table.to_pandas()["params.a"][1])
    assert table.to_polars()["params.a"].to_list() == [None, None, 1]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_without_the_library_the_error_says_what_to_install(
    searched: MLOpsClient, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)  # as where it is not installed

    for table in (searched.search_runs(), searched.list_experiments()):
        with pytest.raises(MissingExtraError, match=f"Run: pip install {library}"):
            getattr(table, f"to_{library}")()


# How it looks ------------------------------------------------------------------------------


@pytest.mark.usefixtures("wide")
def test_a_table_shows_what_tells_runs_apart_and_their_metrics(searched: MLOpsClient) -> None:
    head, *lines = repr(searched.search_runs(limit=3)).splitlines()

    assert head.split() == [
        "name", "status", "experiment", "created", "duration", "lr", "optimizer", "val_acc", "loss",
        "norm",
    ]  # fmt: skip
    assert lines[0].split()[2:4] == ["completed", "cifar"]
    assert lines[0].split()[-5:] == ["1e-05", "sgd", "0.5100*", "0.5000*", "5"]
    assert lines[1].split()[-5:] == ["0.0001", "adamw", "0.4100", "0.6000", "4"]
    assert lines[3] == "3 of 6 that match"
    assert lines[4] == "* best by its name: val_acc highest, loss lowest"


@pytest.mark.parametrize("width", [20, 40, 80, 140])
def test_no_line_is_wider_than_the_terminal(
    searched: MLOpsClient, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    many = {f"some/long/metric/name/{i}": last(i) for i in range(50)}
    rows = [row(i, name="ünïcödé 漢字 " * 9, params={"p" * 90: i}, metrics=many) for i in range(3)]
    texts = [
        repr(RunTable.of(rows)),
        repr(searched.search_runs()),
        repr(searched.search_runs(columns=["id", "name", "created", "params.lr", "metrics.loss"])),
        repr(searched.list_experiments(status="all")),
    ]

    assert max(width_of(line) for text in texts for line in text.splitlines()) <= width
    assert all("\n" in text for text in texts)


def test_a_page_of_a_table_says_so_in_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")

    assert max(map(len, repr(Counting().table()).splitlines())) <= 20


def test_what_the_filter_and_the_order_speak_of_is_shown_first_of_all(
    searched: MLOpsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    head = repr(searched.search_runs("epochs > 1", order_by="-norm.max")).splitlines()[0]

    assert {"epochs", "norm.max"} < set(head.split())
    assert not {"loss", "optimizer"} & set(head.split())


def test_columns_that_found_no_room_are_named(
    searched: MLOpsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    text = repr(searched.search_runs())

    assert text.splitlines()[-1].startswith("not shown (.with_columns): ")
    assert "norm" in text.splitlines()[-1]


@pytest.mark.usefixtures("wide")
def test_system_metrics_are_shown_only_where_they_are_asked_for(searched: MLOpsClient) -> None:
    assert "system/cpu" not in repr(searched.search_runs())
    assert "system/cpu" in repr(searched.search_runs("metrics.system/cpu > 1"))
    assert "system/cpu" in repr(searched.search_runs(columns=["metrics.system/cpu"]))


@pytest.mark.usefixtures("wide")
def test_a_lost_run_says_so_and_equal_names_show_their_ids() -> None:
    text = repr(RunTable.of([row(0, status="failed", lost_since=5.0), row(1, name="run 0")]))

    assert "failed (lost)" in text
    assert "r0" in text
    assert "r1" in text
    assert "r1" not in repr(RunTable.of([row(0), row(1)]))


@pytest.mark.usefixtures("wide")
def test_the_best_value_is_marked_only_where_its_name_says_which_it_is() -> None:
    values = {"loss": [0.5, NAN, 0.5, INF], "acc": [NAN] * 4, "norm": [1.0, 2, 3, 4]}
    rows = [row(i, metrics={name: last(v[i]) for name, v in values.items()}) for i in range(4)]
    text = repr(RunTable.of(rows)).splitlines()

    assert [line.split()[-3:] for line in text[1:5]] == [
        ["0.5000*", "NaN", "1"],
        ["NaN", "NaN", "2"],
        ["0.5000*", "NaN", "3"],
        ["inf", "NaN", "4"],
    ]
    assert text[5] == "* best by its name: loss lowest"


@pytest.mark.usefixtures("wide")
def test_what_is_infinite_is_never_marked_as_the_best() -> None:
    values = {"loss": [-INF, -INF, -INF, -INF], "acc": [0.5, INF, 0.25, NAN]}
    rows = [row(i, metrics={name: last(v[i]) for name, v in values.items()}) for i in range(4)]
    text = repr(RunTable.of(rows))

    assert "0.5000*" in text
    assert text.count("*") == 2
    assert "* best by its name: acc highest" in text


@pytest.fixture
def hostile(client: MLOpsClient, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Tables whose every text is an attack."""
    for i, text in enumerate(HOSTILE + STEERING):
        monkeypatch.setenv("PODSTACK_USER", text)
        experiment = client.create_experiment(text, tags=[text])
        run = client.start_run(experiment.id, name=text, tags=[text], params={text: [text], "n": i})
        run.log_metrics({text: i})
        run.finish()
    runs = client.search_runs()
    return [
        runs,
        runs.with_columns(["name", "tags", "user", "experiment", f"params.`{HOSTILE[0]}`"]),
        client.list_experiments(status="all"),
        client.compare_runs(list(runs)[:3]),
        client.compare_runs(runs),
    ]


def test_hostile_text_is_text_in_a_notebook(hostile: list[Any]) -> None:
    for table in hostile:
        page = Page(table._repr_html_())

        assert page.elements <= {
            "style", "div", "b", "table", "thead", "tbody", "tr", "th", "td", "span", "br",
        }  # fmt: skip
        assert page.attributes <= {"class", "style"}
        assert "\u202e" not in page.text
    everything = "".join(Page(table._repr_html_()).text for table in hostile)
    assert all(text in everything for text in HOSTILE)


@pytest.mark.parametrize("width", [80, 400])
def test_hostile_text_neither_steers_a_terminal_nor_forges_a_line(
    hostile: list[Any], width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = [line for table in hostile for line in repr(table).split("\n")]

    assert all(line.isprintable() for line in lines)
    assert not any(line.startswith("forged") for line in lines)


def test_a_notebook_shows_at_most_fifty_runs_and_forty_columns() -> None:
    metrics = {f"m{i}": last(i) for i in range(100)}
    page = RunTable.of([row(i, metrics=metrics) for i in range(60)])._repr_html_()

    assert page.count("<tr>") == 51
    assert page.count("<th") == 41  # with <thead>
    assert "60 runs" in page
    assert "… 10 more of 60" in page
    assert "64 more columns" in page


# Cells -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.97312, 0.9, 0.0], ["0.9731", "0.9000", "0.0000"]),
        ([12.3456, 1.5], ["12.35", "1.50"]),
        ([1, 2.0, 300], ["1", "2", "300"]),
        ([1234567.5, 0.25], ["1.235e+06", "0.25"]),
        ([1e-5, 2e-5], ["1e-05", "2e-05"]),
        ([1e-9, 1.0], ["1e-09", "1"]),
        ([1e300, -1e300], ["1e+300", "-1e+300"]),
        ([NAN, INF, -INF, None], ["NaN", "inf", "-inf", "–"]),
        ([NAN, 0.5], ["NaN", "0.5000"]),
        ([5e-324], ["4.941e-324"]),
        ([], []),
    ],
)
def test_numbers_of_a_column_are_short_and_in_line(
    values: list[float | None], texts: list[str]
) -> None:
    assert numbers(values) == texts


def test_a_cell_is_one_short_line_whatever_it_holds() -> None:
    values = ["a\nb", "x" * 10**6, [1] * 10**5, {"a": [1]}, 10**5000, -(10**5000), None, True,
              "\x1b[31m", 0.1 + 0.2, math.pi]  # fmt: skip
    texts = [cell(value) for value in values]

    assert all(text.isprintable() and len(text) <= 300 for text in texts)
    assert texts[0] == "a b"
    assert texts[6:8] == ["None", "True"]
    assert texts[9:] == ["0.3", "3.14159"]


def test_floats_are_as_short_as_they_may_be_and_still_differ() -> None:
    assert cells([0.00997286, 1e-5, 0.25]) == ["0.009973", "1e-05", "0.25"]
    assert cells([0.1234561, 0.1234]) == ["0.1235", "0.1234"]
    assert cells([0.12345, 0.123451]) == ["0.12345", "0.123451"]
    assert cells([0.1, 0.1 + 1e-15, "a", None]) == [
        "0.10000000000000001",
        "0.100000000000001",
        "a",
        "None",
    ]
    assert cells([NAN, -NAN, float("nan"), 0.25, 1]) == ["nan", "nan", "nan", "0.25", "1"]


def test_wide_letters_are_counted_as_a_terminal_shows_them() -> None:
    assert [width_of(text) for text in ("abc", "漢字", "e\u0301", "🙂")] == [3, 4, 1, 2]
    assert cut("漢字漢字", 5) == "漢字…"
    assert cut("a/b/loss", 5, keep_end=True) == "…loss"
    table = text_table([Column("x", ["漢", "a"]), Column("y", ["1", "2"])], 80)
    assert table.lines == ["x   y", "漢  1", "a   2"]


def test_names_that_do_not_fit_in_a_line_are_counted() -> None:
    assert wrapped("not shown: ", ["aa", "bb", "cc"], 40) == "not shown: aa, bb, cc"
    assert wrapped("not shown: ", ["aa", "bb", "cc"], 23) == "not shown: aa … 2 more"
    assert len(wrapped("not shown: ", ["a" * 50] * 3, 20)) <= 20


# Experiments -------------------------------------------------------------------------------


@pytest.mark.usefixtures("wide")
def test_experiments_print_as_a_table(searched: MLOpsClient) -> None:
    searched.create_experiment("empty", tags=["a", "b"])
    with searched.start_run("cifar", run_id="busy"):
        experiments = searched.list_experiments(status="all", sort="-runs")
        head, *lines = [line.split() for line in repr(experiments).splitlines()]

    assert head == ["name", "id", "status", "runs", "running", "last", "activity", "tags"]
    assert [line[:5] for line in lines] == [
        ["digits", "digits", "completed", "5", "0"],
        ["cifar", "cifar", "active", "2", "1"],
        ["empty", "empty", "active", "0", "0"],
    ]
    assert lines[2][-2:] == ["a,", "b"]
    assert "3 experiments" in Page(experiments._repr_html_()).text


def test_experiments_are_a_list_whose_slices_are_tables(searched: MLOpsClient) -> None:
    experiments = searched.list_experiments(status="all", sort="name")

    assert isinstance(experiments, list)
    assert [experiment.name for experiment in experiments] == ["cifar", "digits"]
    assert [facts["name"] for facts in experiments[1:].to_dicts()] == ["digits"]
    assert "cifar" not in repr(experiments[1:])
    assert experiments[0].id == "cifar"


def test_experiments_are_sorted_by_activity_and_by_runs(searched: MLOpsClient) -> None:
    with searched.start_run("digits"):
        pass

    def sorted_by(sort: str) -> list[str]:
        return [e.name for e in searched.list_experiments(status="all", sort=sort)]

    assert sorted_by("-last_activity") == sorted_by("-runs") == ["digits", "cifar"]
    assert sorted_by("last_activity") == sorted_by("runs") == ["cifar", "digits"]


def test_experiments_become_frames(searched: MLOpsClient) -> None:
    experiments = searched.list_experiments(status="all", sort="name")
    frame, other = experiments.to_pandas(), experiments.to_polars()

    assert list(frame["name"]) == other["name"].to_list() == ["cifar", "digits"]
    assert list(frame["runs"]) == other["runs"].to_list() == [1, 5]
    assert str(frame["last_activity"].dtype) == "datetime64[us, UTC]"
    assert other["created"].dtype == polars.Datetime("us", "UTC")


@pytest.mark.parametrize("sort", ["size", "", "-", 5, None, NAN])
def test_an_unknown_order_of_experiments_is_refused(client: MLOpsClient, sort: Any) -> None:
    with pytest.raises(UsageError, match="sort is last_activity, runs, name or created, with -"):
        client.list_experiments(sort=sort)
