"""One language, compiled twice: SQL and Python are held to one table of cases and to fuzz."""

from __future__ import annotations

import math
import sqlite3
import time
from contextlib import closing
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podstack.expressions import (
    PARTS,
    ExpressionError,
    Name,
    Order,
    doubt_about,
    lookup_in,
    parse,
    parse_name,
    parse_order,
)
from podstack.expressions.parser import MAX_CONDITIONS, MAX_LIST
from podstack.series import Summary

relaxed = settings(deadline=None, max_examples=100)

NAN, INF = math.nan, math.inf
BIG = 2**63  # the first whole number that SQLite has no integer for

SCHEMA = """
CREATE TABLE runs (
  number INTEGER PRIMARY KEY, project TEXT, id TEXT, name TEXT, status TEXT, lost_since REAL,
  experiment TEXT, user TEXT, created REAL, ended REAL, parent TEXT, notes TEXT, error TEXT,
  deleted INTEGER, UNIQUE (project, id));
CREATE TABLE experiments (
  number INTEGER PRIMARY KEY, project TEXT, id TEXT, name TEXT, UNIQUE (project, id));
CREATE TABLE params (
  run INTEGER, name TEXT, kind TEXT, value, PRIMARY KEY (run, name)) WITHOUT ROWID;
CREATE TABLE tags (run INTEGER, tag TEXT, PRIMARY KEY (run, tag)) WITHOUT ROWID;
CREATE TABLE metrics (
  run INTEGER, name TEXT, last REAL, last_step INTEGER, min REAL, min_step INTEGER, max REAL,
  max_step INTEGER, steps INTEGER, PRIMARY KEY (run, name)) WITHOUT ROWID;
"""


class Row(NamedTuple):
    """What the index gives for a run, as far as expressions look at it."""

    id: str
    name: str = "run"
    status: str = "completed"
    experiment: str = "Digits"
    experiment_id: str = "digits-1"
    user: str | None = "ann"
    created: float = 1_000_000.0
    ended: float | None = 1_000_060.0
    parent: str | None = None
    notes: str | None = ""
    tags: tuple[str, ...] = ()
    params: dict[str, Any] = {}  # noqa: RUF012
    metrics: dict[str, Summary] = {}  # noqa: RUF012

    @property
    def duration(self) -> float:
        return (time.time() if self.ended is None else self.ended) - self.created


def metric(last: float, low: float | None = None, high: float | None = None) -> Summary:
    return Summary(last, 9, last if low is None else low, 3, last if high is None else high, 5, 10)


ROWS = [
    Row(
        "plain",
        name="ResNet 50",
        params={"lr": 0.1, "optimizer": "adam", "ema": True},
        metrics={"acc": metric(0.9, 0.1, 0.95), "loss": metric(0.2)},
        tags=("baseline", "v1.2"),
    ),
    Row(
        "second",
        name="resnet_50%",
        params={"lr": 0.01, "optimizer": "adamw", "ema": False},
        metrics={"acc": metric(0.8, 0.2, 0.99), "loss": metric(0.5)},
        tags=("Baseline",),
    ),
    Row(
        "nan",
        params={"lr": NAN, "optimizer": "NaN"},
        metrics={"acc": metric(NAN), "loss": metric(NAN, 0.3, 0.7)},
    ),
    Row("infinite", params={"lr": INF}, metrics={"acc": metric(-INF), "loss": metric(INF)}),
    Row("empty", name="", user=None, experiment="", experiment_id=""),
    Row("none", params={"lr": None, "optimizer": None, "ema": None}, metrics={"acc": metric(0.0)}),
    Row("lists", params={"lr": [0.1, 0.25], "optimizer": {"name": "adam", "betas": [0.9, 0.99]}}),
    Row("texts", params={"lr": "0.1", "optimizer": 'it\'s "odd" \\ `', "ema": "true", "acc": 0.9}),
    Row("huge", params={"lr": BIG, "optimizer": -BIG - 1, "steps": BIG - 1, "ema": 10**400}),
    Row("clash", params={"acc": 0.99, "loss": "high"}, metrics={"acc": metric(0.1)}),
    Row(
        "running",
        status="running",
        ended=None,
        created=time.time() - 7200,
        tags=("a", "b", "'; --"),
    ),
    Row(
        "failed",
        status="failed",
        user="Bo",
        parent="plain",
        notes="Über 100 %\nfine",
        tags=("été",),
        experiment="Other",
        experiment_id="digits",
        name="naïve ÜBER",
        params={"Ümlaut": "ÄÖ", "acc": True},
    ),
    Row(
        "killed",
        status="killed",
        ended=1_003_600.0,
        params={"lr": 0, "ema": 1, "a b": 1, "x`y": "z", "status": 5},
        metrics={
            "val acc": metric(0.5),
            "duration": metric(3.0),
            "eval/loss": metric(1),
            "not": metric(2),
        },
    ),
]


def index_of(rows: list[Row]) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCHEMA)
    for number, row in enumerate(rows):
        connection.execute(
            "INSERT INTO runs VALUES (?,'p',?,?,?,NULL,?,?,?,?,?,?,NULL,0)",
            (number, *row[:3], *row[4:10]),
        )
        connection.execute(
            "INSERT OR IGNORE INTO experiments (project, id, name) VALUES ('p', ?, ?)",
            (row.experiment_id, row.experiment),
        )
        connection.executemany("INSERT INTO tags VALUES (?, ?)", [(number, t) for t in row.tags])
        connection.executemany(
            "INSERT INTO params VALUES (?, ?, ?, ?)",
            [(number, name, *typed(value)) for name, value in row.params.items()],
        )
        connection.executemany(
            "INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(number, name, *summary) for name, summary in row.metrics.items()],
        )
    return connection


def typed(value: Any) -> tuple[str, Any]:
    if value is None:
        return "none", None
    if isinstance(value, bool):
        return "bool", int(value)
    if isinstance(value, str):
        return "text", value
    if isinstance(value, float):
        return "number", value
    if isinstance(value, int):
        return "number", value if -BIG <= value < BIG else INF if value > 1e308 else float(value)
    return "json", orjson.dumps(value).decode()


INDEX = index_of(ROWS)


def found_by_sql(text: str, connection: sqlite3.Connection = INDEX) -> set[str]:
    sql = parse(text).sql()
    query = f"SELECT id, {sql.text} FROM runs"
    answers = dict(connection.execute(query, sql.args).fetchall())
    assert set(answers.values()) <= {0, 1}, "never NULL"
    return {run for run, answer in answers.items() if answer}


def found_by_python(text: str, rows: list[Row] = ROWS) -> set[str]:
    expression = parse(text)
    answers = {row.id: expression.matches(lookup_in(row)) for row in rows}
    assert set(map(type, answers.values())) <= {bool}
    return {run for run, answer in answers.items() if answer}


def all_but(some: str) -> str:
    return " ".join(row.id for row in ROWS if row.id not in some.split())


CASES = {
    # metrics
    "metrics.acc > 0.5": "plain second",
    "metrics.acc.max >= 0.95": "plain second",
    "metrics.acc.min < 0.15": "plain infinite none clash",
    "metrics.acc.last = 0.9": "plain",
    "metrics.acc.max_step = 5 and metrics.acc.steps = 10": "plain second nan infinite none clash",
    "metrics.acc != 0.9": "second infinite none clash",
    "not metrics.acc = 0.9": all_but("plain"),
    "metrics.acc is nan": "nan",
    "metrics.loss.max > 0.6": "nan infinite",
    "metrics.acc is missing": "empty lists texts huge running failed killed",
    "metrics.acc is not missing": "plain second nan infinite none clash",
    "metrics.loss = inf": "infinite",
    "metrics.acc = -inf": "infinite",
    "metrics.acc in (0.8, 0.9)": "plain second",
    "metrics.acc not in (0.8, 0.9)": "infinite none clash",
    "metrics.acc > metrics.loss": "plain second",
    "metrics.acc != metrics.loss": "plain second infinite",
    "metrics.loss.min < metrics.loss.max": "nan",
    "metrics.acc <= 1e400": "plain second infinite none clash",
    "metrics.`val acc` = 0.5": "killed",
    "metrics.duration = 3": "killed",
    "`duration` = 3": "killed",
    "eval/loss = 1": "killed",
    "metrics.`not` = 2": "killed",
    "0.85 < metrics.acc": "plain",
    # parameters
    "params.lr = 0.1": "plain",
    "params.lr = '0.1'": "texts",
    "params.lr > 0.05": "plain infinite huge",
    "params.lr <= 0.1": "plain second killed",
    "params.lr != 0.1": "second infinite none lists texts huge killed",
    "params.lr is nan": "nan",
    "params.optimizer is nan": "nan",
    "params.lr is none": "none",
    "params.lr = none": "none",
    "params.lr != none": "plain second infinite lists texts huge killed",
    "params.lr is missing": "empty clash running failed",
    "params.lr = 9223372036854775808": "huge",
    "params.steps = 9223372036854775807": "huge",
    "params.steps < 9223372036854775808": "huge",
    "params.optimizer <= -9223372036854775808": "huge",
    "params.ema = true": "plain",
    "params.ema = false": "second",
    "params.ema = 1": "killed",
    "params.ema > 0": "huge killed",
    "params.ema = 'true'": "texts",
    "params.ema = inf": "huge",
    "params.ema in (true, 1, none, 'true')": "plain none texts killed",
    "params.optimizer = adam": "plain",
    "params.optimizer in (adam, adamw)": "plain second",
    "params.optimizer not in [adam, adamw]": "nan none lists texts huge",
    "params.optimizer contains ADAM": "plain second lists",
    "params.optimizer not contains adam": "nan none texts huge",
    "params.optimizer < 'adamw'": "plain nan",
    "params.optimizer = 'it''s \"odd\" \\\\ `'": "texts",
    "params.lr = '[0.1,0.25]'": "lists",
    "params.lr contains 0.25": "lists",
    "params.`a b` = 1": "killed",
    "params.`x``y` = z": "killed",
    "params.status = 5": "killed",
    "params.Ümlaut = ÄÖ": "failed",
    "params.Ümlaut contains äö": "",
    "params.lr = params.ema": "none",
    "params.lr != params.ema": "plain second texts huge killed",
    "params.lr < params.ema": "texts huge killed",
    "params.acc > metrics.acc": "clash",
    "params.optimizer = params.nothing": "",
    # a bare name: the metric, else the parameter
    "acc > 0.85": "plain texts",
    "acc = true": "failed",
    "acc != 0.9": "second infinite none clash failed",
    "acc.last > 0.85": "plain",
    "loss = 'high'": "clash",
    "loss is missing": "empty none lists texts huge running failed killed",
    "acc is nan": "nan",
    "lr > 0.05 and acc > 0.5": "plain",
    "lr = `acc`": "",
    "acc >= `lr`": "plain second",
    # attributes
    "status != completed": "running failed killed",
    "status in (failed, killed)": "failed killed",
    "STATUS = x or status = failed": "failed",
    "id = plain": "plain",
    "id in (plain, 'none')": "plain none",
    "name contains resnet": "plain second",
    "name contains '%'": "second",
    "name contains '_'": "second",
    "name not contains resnet": all_but("plain second"),
    "name contains ÜBER": "failed",
    "name contains über": "",
    "'50' in name": "plain second",
    "name = ''": "empty",
    "name > 's'": "",
    "name >= 'run'": all_but("plain second empty failed"),
    "user = ann": all_but("empty failed"),
    "user != ann": "failed",
    "user is missing": "empty",
    "not user = ann": "empty failed",
    "parent is missing": all_but("failed"),
    "parent is none": all_but("failed"),
    "parent = plain": "failed",
    "notes contains '100 %'": "failed",
    "notes is not missing": "failed",
    "experiment = Digits": all_but("empty failed"),
    "experiment = digits": "failed",
    "experiment = digits-1": all_but("empty failed"),
    "experiment != Other": all_but("failed"),
    "experiment in (Other, nothing)": "failed",
    "experiment contains DIGITS": all_but("empty"),
    "experiment is missing": "empty",
    "created > 1000000": "running",
    "created > 2020-01-01": "running",
    "created < '2020-01-01T00:00:00Z'": all_but("running"),
    "ended is missing": "running",
    "ended >= 1003600": "killed",
    "duration > 1h": "running",
    "duration >= 59m60s": "running killed",
    "duration = 60": all_but("running killed"),
    # tags
    "tags.baseline": "plain",
    "tags.v1.2": "plain",
    "not tags.baseline": all_but("plain"),
    "tags contains Baseline": "second",
    "'été' in tags": "failed",
    "baseline in tags": "plain",
    "baseline not in tags": all_but("plain"),
    "tags in (a, Baseline)": "second running",
    "tags not in (a, Baseline)": all_but("second running"),
    "tags.`'; --`": "running",
    "tags is missing": "nan infinite empty none lists texts huge clash killed",
    # words that join
    "status = failed or status = killed and params.lr = 0": "failed killed",
    "(status = failed or status = killed) and params.lr = 0": "killed",
    "not status = failed and not status = completed": "running killed",
    "not (status = failed or status = completed)": "running killed",
    "NOT tags.baseline AND Metrics_x IS MISSING and status = running": "running",
    "not not not tags.baseline and (((status = failed)))": "failed",
    "status == failed or status <> completed and status != running": "failed killed",
}  # fmt: skip


@pytest.mark.parametrize("text", CASES)
def test_sql_and_python_find_the_same_runs(text: str) -> None:
    wanted = set(CASES[text].split())

    assert found_by_python(text) == wanted
    assert found_by_sql(text) == wanted


@pytest.mark.parametrize("text", CASES)
def test_an_expression_prints_as_text_that_means_the_same(text: str) -> None:
    expression = parse(text)
    again = parse(str(expression))

    assert repr(again.tree) == repr(expression.tree)
    assert str(again) == str(expression)


# Random expressions over random runs --------------------------------------------------------

NUMBERS = ["0", "1", "-1.5", "1e300", "inf", "-inf", "9223372036854775807", "9223372036854775808"]
WORDS = ["a", "A", "adam", "'1'", "'it''s'", '"x\\"y"', "'NaN'", "'[1,2]'", "'é'", "''"]
METRICS, PARAMS = ["acc", "loss", "`a b`"], ["acc", "lr", "`a b`", "`x``y`"]
values = st.one_of(
    st.sampled_from([NAN, INF, -INF, 0, 1, -1.5, 1e300, BIG, BIG - 1, -BIG, -BIG - 1, 10**400]),
    st.sampled_from([None, True, False, "1", "it's", 'x"y', "NaN", "a", "A", "adam", "é", ""]),
    st.sampled_from([[1, 2], {"a": 1}, []]),
)
figures = st.sampled_from([NAN, INF, -INF, 0.0, 1.0, -1.5, 1e300])
rows = st.builds(
    Row,
    id=st.just(""),
    name=st.sampled_from(["a", "A b", "é", "", "1"]),
    status=st.sampled_from(["running", "completed", "failed"]),
    experiment=st.sampled_from(["a", "1"]),
    user=st.sampled_from([None, "", "ann"]),
    parent=st.sampled_from([None, "a"]),
    tags=st.sets(st.sampled_from(["a", "A", "it's"])).map(tuple),
    params=st.dictionaries(st.sampled_from(["acc", "lr", "a b", "x`y"]), values),
    metrics=st.dictionaries(
        st.sampled_from(["acc", "loss", "a b"]), st.builds(metric, figures, figures, figures)
    ),
)
several = st.lists(rows, min_size=1, max_size=6).map(
    lambda found: [
        row._replace(id=str(i), experiment_id=f"x-{row.experiment}") for i, row in enumerate(found)
    ]
)

numeric_names = st.sampled_from([f"metrics.{name}" for name in METRICS]) | st.builds(
    "metrics.{}.{}".format, st.sampled_from(METRICS), st.sampled_from(PARTS)
)
free_names = st.sampled_from([f"params.{name}" for name in PARAMS] + METRICS + PARAMS)
texts = st.sampled_from(["name", "user", "id", "parent", "notes", "experiment"])
orderings = st.sampled_from(["<", "<=", ">", ">="])
equalities = st.sampled_from(["=", "!="])
numbers = st.sampled_from(NUMBERS)
words = st.sampled_from(WORDS)
anything = numbers | words | st.sampled_from(["true", "false", "none"])
negations = st.sampled_from(["", "not "])
leaves = st.one_of(
    st.builds("{} {} {}".format, numeric_names, orderings | equalities, numbers),
    st.builds("{} {} {}".format, free_names, equalities, anything),
    st.builds(
        "{} {} {}".format, free_names, orderings, numbers | words.filter(lambda w: w[0] in "'\"")
    ),
    st.builds("{} {} {}".format, texts, equalities, words),
    st.builds(
        "{} {} {}".format,
        free_names | texts | numeric_names,
        orderings | equalities,
        numeric_names
        | st.sampled_from([f"params.{name}" for name in PARAMS] + ["`acc`", "`x``y`"]),
    ),
    st.builds("{} {}in ({}, {})".format, free_names | texts, negations, anything, anything),
    st.builds("{} {}in ({})".format, numeric_names, negations, numbers),
    st.builds(
        "{} {}contains {}".format,
        free_names | texts,
        negations,
        st.sampled_from(["a", "'it''s'", "1", "'é'", "'%'"]),
    ),
    st.builds(
        "{} is {}{}".format, free_names, negations, st.sampled_from(["nan", "none", "missing"])
    ),
    st.builds("{} is {}{}".format, numeric_names, negations, st.sampled_from(["nan", "missing"])),
    st.builds("{} is {}missing".format, texts | st.just("tags"), negations),
    st.builds("{}a in tags".format, negations),
    st.builds("tags {}in (a, 'it''s')".format, negations),
    st.sampled_from(
        ["status = running", "status not in (failed)", "duration > 30s", "created <= 1e6"]
    ),
)
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds("({}) and {}".format, inner, inner),
        st.builds("{} or {}".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=6,
)


@relaxed
@given(expressions, several)
def test_any_expression_means_the_same_in_sql_and_in_python(text: str, rows: list[Row]) -> None:
    with closing(index_of(rows)) as connection:
        assert found_by_sql(text, connection) == found_by_python(text, rows)


@relaxed
@given(expressions)
def test_any_expression_prints_as_itself(text: str) -> None:
    tree = parse(text).tree

    assert repr(parse(str(parse(text))).tree) == repr(tree)


@relaxed
@given(st.lists(free_names | numeric_names | texts, min_size=1, max_size=3),
       st.lists(st.sampled_from(["-", "", "+"]), min_size=3, max_size=3), several)  # fmt: skip
def test_any_order_is_the_same_in_sql_and_in_python(
    names: list[str], signs: list[str], rows: list[Row]
) -> None:
    order = parse_order([sign + name for sign, name in zip(signs, names, strict=False)])

    assert in_sql_order(order, rows) == [row.id for row in order.sorted(rows)]
    assert parse_order(str(order)) == order


def in_sql_order(order: Order, rows: list[Row]) -> list[str]:
    sql = order.sql()
    with closing(index_of(rows)) as connection:
        found = connection.execute(
            f"SELECT id FROM runs ORDER BY {sql.text}, runs.number", sql.args
        ).fetchall()
    return [run for (run,) in found]


def is_expression(text: str) -> bool:
    try:
        parse(text)
    except ExpressionError:
        return False
    return True


# The limits of SQLite ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape",
    ["a != `b` or a != `b` and ({})", "a != `b` and not ({} or a != `b`)", "({}) and a=1 or a=2"],
)
def test_what_stands_within_the_limits_is_within_those_of_sqlite(shape: str) -> None:
    text = "experiment != 'a'"
    while is_expression(shape.format(text)):
        text = shape.format(text)

    assert found_by_sql(text) == found_by_python(text)


def test_the_widest_expression_is_within_the_limits_of_sqlite() -> None:
    wide = " or ".join(["a != `b`"] * MAX_CONDITIONS)
    long = f"a not in ({','.join('1' * MAX_LIST)})"

    assert found_by_sql(wide) == found_by_python(wide)
    assert found_by_sql(long) == found_by_python(long)


# Names, orders ------------------------------------------------------------------------------


def test_an_expression_knows_its_names() -> None:
    expression = parse(
        "metrics.acc.max > metrics.acc and lr = 1 and tags.a and 'b' in tags and lr > 0"
    )

    assert expression.names == (
        Name("metrics", "acc", "max"),
        Name("metrics", "acc", "last"),
        Name("any", "lr"),
        Name("attribute", "tags"),
    )


@pytest.mark.parametrize(
    ("name", "doubt"),
    [
        ("acc", None),
        ("lr", None),
        ("status", None),
        ("tags.x", None),
        ("metrics.lr", "No run has a metric lr."),
        ("params.batchsize", "No run has a parameter batchsize. Do you mean batch_size?"),
        ("statsu", "No run has a metric or parameter statsu. Do you mean status?"),
        ("metrics.`val acc`", "No run has a metric `val acc`. Do you mean val_acc?"),
        ("zzz", "No run has a metric or parameter zzz."),
    ],
)
def test_a_name_that_no_run_has_is_told_with_the_nearest(name: str, doubt: str | None) -> None:
    assert doubt_about(parse_name(name), {"acc", "val_acc"}, {"lr", "batch_size"}) == doubt


# The runs that have a value, in this order; those that have none follow.
ORDERS = {
    "-metrics.acc": "plain second clash none infinite",
    "metrics.acc": "infinite none clash second plain",
    "+metrics.acc": "infinite none clash second plain",
    "metrics.acc desc": "plain second clash none infinite",
    "-metrics.acc.max": "second plain clash none infinite",
    "-acc": "failed plain texts second clash none infinite",
    "acc": "infinite none clash second plain texts failed",
    "-params.lr": "lists texts infinite huge plain second killed",
    "params.lr asc": "killed second plain huge infinite texts lists",
    "user, -params.lr": "failed lists texts infinite huge plain second killed",
    "-params.ema, -metrics.loss": "texts huge plain killed second",
    "experiment, -id": "empty texts second running plain none nan lists killed infinite huge",
    "-duration": "running killed",
    "-created": "running",
    "`val acc`": "killed",
}  # fmt: skip


@pytest.mark.parametrize("text", ORDERS)
def test_what_is_missing_or_nan_comes_last_in_either_direction(text: str) -> None:
    order, first = parse_order(text), ORDERS[text].split()
    by_sql, by_python = in_sql_order(order, ROWS), [row.id for row in order.sorted(ROWS)]

    assert by_sql == by_python
    assert by_sql[: len(first)] == first


def test_an_order_is_a_text_or_a_list() -> None:
    order = parse_order("-metrics.acc, created")

    assert parse_order(["-metrics.acc", "created"]) == order
    assert parse_order(["-metrics.acc, created"]) == order
    assert str(order) == "metrics.acc desc, created"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "This order is empty"),
        ([], "An order has 1 to 10 names, not 0"),
        ("a b", "expected , desc, asc or the end after 'a', not 'b'"),
        ("-a desc", "either a sign or asc and desc, not both"),
        ("tags", "cannot be ordered by tags"),
        ("tags.a", "cannot be ordered by tags"),
        ("a > 1", "expected , desc, asc or the end after 'a', not '>'"),
        ("a,", "expected a name after ',', not the end"),
        ("a; DROP TABLE runs", "';' means nothing here"),
        ("--a", "'-' means nothing here"),
        ([None], "The order must be a text, not None"),
    ],
)
def test_a_wrong_order_is_explained(text: Any, message: str) -> None:
    with pytest.raises(ExpressionError, match=message):
        parse_order(text)


def test_a_running_run_has_lasted_until_now_and_a_lost_one_until_it_fell_silent() -> None:
    with closing(index_of([ROWS[0]._replace(ended=None, created=time.time() - 100)])) as connection:
        running = found_by_sql("duration > 90", connection)
        connection.execute("UPDATE runs SET lost_since = created + 50")
        lost = found_by_sql("duration > 90", connection)

    assert (running, lost) == ({"plain"}, set())
