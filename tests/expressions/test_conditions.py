"""Conditions of alerts: the same language on the values of one call, as fast as can be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from podstack.errors import UsageError
from podstack.expressions import MISSING, ExpressionError, Name, parse
from podstack.expressions.conditions import (
    Condition,
    NoImprovement,
    condition_of,
    parse_condition,
)

NAN, INF = math.nan, math.inf


def holds(text: str, **values: float) -> bool:
    condition = parse_condition(text)
    assert isinstance(condition, Condition)
    return condition.holds(values)


@pytest.mark.parametrize(
    ("text", "yes", "no"),
    [
        ("loss > 2", [2.1, INF, 3, 2**70], [2, 2.0, -INF, NAN]),
        ("loss >= 2", [2, INF], [1.9, NAN]),
        ("loss < 2", [1.9, -INF, 0], [2, NAN]),
        ("loss <= 2", [2, -INF], [2.1, NAN]),
        ("loss = 2", [2, 2.0], [2.1, NAN]),
        ("loss != 2", [2.1, INF], [2, NAN]),
        ("loss > -inf", [0, INF, -1e308], [-INF, NAN]),
        ("2 < loss", [3], [2, NAN]),
        ("loss is nan", [NAN], [0, INF]),
        ("loss is not nan", [0, INF], [NAN]),
        ("not loss < 2", [2, NAN], [1]),
        ("loss in (1, 2)", [1, 2.0], [3, NAN]),
        ("loss not in (1, 2)", [3], [1, NAN]),
        ("loss > 1 and loss < 2", [1.5], [1, 2, NAN]),
        ("loss < 1 or loss is nan", [0.5, NAN], [1]),
        ("(loss < 1 or loss > 2) and not loss = 5", [0, 3], [5, 1.5, NAN]),
        ("loss > 1 and loss > 2 or loss = 0", [3, 0], [1.5]),
    ],
)
def test_a_condition_holds_of_the_value_logged(
    text: str, yes: list[float], no: list[float]
) -> None:
    assert [value for value in yes + no if holds(text, loss=value) is True] == yes
    assert [value for value in yes + no if holds(text, loss=value) is False] == no


def test_what_a_call_lacks_makes_no_comparison_true() -> None:
    for sign in (">", ">=", "<", "<=", "=", "!="):
        assert holds(f"loss {sign} 2", acc=5) is False
    assert holds("loss is nan", acc=5) is False


def test_two_metrics_compare() -> None:
    assert holds("loss > metrics.train", loss=2, train=1)
    assert holds("loss > `train`", loss=2, train=1)
    assert not holds("loss > metrics.train", loss=1, train=1)
    assert not holds("loss > metrics.train", loss=1)
    assert not holds("loss != metrics.train", loss=1, train=NAN)


def test_bare_and_qualified_names_mean_the_metric() -> None:
    for text in ("loss > 2", "metrics.loss > 2", "`loss`>2", "metrics.loss.last > 2", "2 < loss"):
        condition = parse_condition(text)

        assert condition.text == "loss > 2"
        assert condition.metrics == ("loss",)


@pytest.mark.parametrize(
    ("text", "canonical", "metrics"),
    [
        ("metrics.`val loss`>2.0 AND eval/acc<=1e-5", "`val loss` > 2.0 and eval/acc <= 1e-05",
         ("val loss", "eval/acc")),
        ("not (b is nan or a > metrics.c)", "not (b is nan or a > metrics.c)", ("b", "a", "c")),
        ("metrics.duration > 5", "`duration` > 5", ("duration",)),
        ("a > inf", "a > inf", ("a",)),
    ],
)  # fmt: skip
def test_a_condition_has_one_text_that_means_the_same(
    text: str, canonical: str, metrics: tuple[str, ...]
) -> None:
    condition = parse_condition(text)

    assert (condition.text, condition.metrics) == (canonical, metrics)
    assert parse_condition(canonical).text == canonical


numbers = st.sampled_from([NAN, INF, -INF, 0.0, 1.0, -1, 2**70])
leaves = st.one_of(
    st.builds(
        "{} {} {}".format,
        st.sampled_from(["a", "`b c`"]),
        st.sampled_from(["<", "<=", ">", ">=", "=", "!="]),
        st.sampled_from(["0", "1.0", "-1", "inf", "metrics.a", "`b c`"]),
    ),
    st.sampled_from(["a is nan", "`b c` is not nan", "a in (0, 1)", "`b c` not in (0, inf)"]),
)
texts = st.recursive(
    leaves,
    lambda inner: (
        st.builds("({}) and {}".format, inner, inner)
        | st.builds("{} or {}".format, inner, inner)
        | st.builds("not ({})".format, inner)
    ),
    max_leaves=5,
)


@settings(deadline=None, max_examples=200)
@given(texts, st.dictionaries(st.sampled_from(["a", "b c"]), numbers))
def test_a_condition_is_the_filter_of_the_same_text(text: str, values: dict[str, float]) -> None:
    def lookup(name: Name) -> Any:
        return values.get(name.name, MISSING) if name.kind == "metrics" else MISSING

    condition = parse_condition(text)
    assert isinstance(condition, Condition)
    assert condition.holds(values) is parse(text).matches(lookup)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("params.lr > 1", "an alert looks at metrics only; a metric of that name is metrics.lr"),
        ("loss > params.lr", "an alert looks at metrics only"),
        (
            "status = failed",
            "an alert looks at metrics only; a metric of that name is metrics.`stat",
        ),
        ("tags.a", "an alert looks at metrics only"),
        ("'a' in tags", "an alert looks at metrics only"),
        ("loss.max > 1", "an alert looks at the value being logged; write loss"),
        ("metrics.loss.steps > 1", "an alert looks at the value being logged; write loss"),
        ("loss = high", "metrics.loss is a number, and 'high' is none"),
        ("loss > 'high'", "expected a number, not the text 'high'"),
        ("loss contains 1", "is a number and contains nothing"),
        ("loss is missing", "an alert cannot ask whether a metric is missing"),
        ("not loss is missing", "an alert cannot ask whether a metric is missing"),
        ("loss is none", "a number or missing, never none"),
        ("loss >", "Cannot read this condition: expected a number, a text or a name after '>'"),
        ("", "This condition is empty"),
        ("no improvement", "expected in after 'improvement', not the end: no improvement in NAME"),
        ("no improvement in", "expected a name after 'in', not the end"),
        ("no improvement in loss", "expected for and a number after 'loss'"),
        ("no improvement in loss for", "expected a whole number from 1 on after 'for'"),
        ("no improvement in loss for 0", "expected a whole number from 1 on"),
        ("no improvement in loss for 2.5", "expected a whole number from 1 on"),
        ("no improvement in loss for 5 by -1", "expected a number from 0 on after 'by'"),
        ("no improvement in loss for 5 by inf", "expected a number from 0 on after 'by'"),
        ("no improvement in loss for 5 (up)", r"expected min or max after '\(', not 'up'"),
        ("no improvement in loss for 5 (min", r"expected \) after 'min', not the end"),
        ("no improvement in loss for 5 epochs", r"expected for, by or \(min\) after '5'"),
        ("no improvement in loss for 5 for 6", "said twice"),
        ("no improvement in params.lr for 5", "an alert looks at metrics only"),
        ("no improvement in loss.max for 5", "an alert looks at the value being logged"),
    ],
)
def test_what_no_alert_can_know_is_refused(text: str, message: str) -> None:
    with pytest.raises(ExpressionError, match=message):
        parse_condition(text)


@pytest.mark.parametrize(
    ("text", "wanted", "canonical"),
    [
        ("no improvement in val_acc for 5", NoImprovement("val_acc", 5, "maximize"),
         "no improvement in val_acc for 5 logs (max)"),
        ("NO  Improvement IN val_loss FOR 5 steps",
         NoImprovement("val_loss", 5, "minimize", 0.0, "steps"),
         "no improvement in val_loss for 5 steps (min)"),
        ("no improvement in `a b` by 1e-3 (min) for 7 logs",
         NoImprovement("a b", 7, "minimize", 0.001),
         "no improvement in `a b` for 7 logs by 0.001 (min)"),
        ("no improvement in metrics.loss (maximize) for 3 by 1",
         NoImprovement("loss", 3, "maximize", 1.0),
         "no improvement in loss for 3 logs by 1.0 (max)"),
        ("no improvement in grad_norm for 3", NoImprovement("grad_norm", 3, "maximize"),
         "no improvement in grad_norm for 3 logs (max)"),
    ],
)  # fmt: skip
def test_no_improvement_is_read(text: str, wanted: NoImprovement, canonical: str) -> None:
    found = parse_condition(text)

    assert found == wanted
    assert found.text == canonical
    assert found.metrics == (wanted.metric,)
    assert parse_condition(canonical) == wanted


def test_a_metric_may_be_called_no() -> None:
    assert holds("no > 1", no=2)
    assert holds("no > 1 and improvement > 1", no=2, improvement=2)


def test_better_is_by_more_than_delta_in_the_direction() -> None:
    up = NoImprovement("acc", 5, "maximize", 0.1)
    down = NoImprovement("loss", 5, "minimize", 0.1)

    assert [up.better(value, 1.0) for value in (0.5, 1.05, 1.2, INF, NAN)] == [0, 0, 1, 1, 0]
    assert [down.better(value, 1.0) for value in (0.5, 0.95, 1.2, -INF, NAN)] == [1, 0, 0, 1, 0]
    assert up.better(0.0, NAN)
    assert not up.better(NAN, NAN)


@pytest.mark.parametrize(
    ("comparator", "sign"),
    [("gt", ">"), ("gte", ">="), ("lt", "<"), ("lte", "<="), ("eq", "="), ("ne", "!="), (">", ">")],
)
def test_the_published_three_arguments_are_a_condition(comparator: str, sign: str) -> None:
    assert condition_of("val_loss", comparator, 2.0) == f"val_loss {sign} 2.0"


AWKWARD = [
    "and",
    "NOT",
    "status",
    "a.max",
    "tags.x",
    "`",
    "no",
    "__x",
    "5",
    "inf",
    "-a",
    "a-",
    "nan",
]


@settings(deadline=None)
@given(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
    | st.sampled_from(AWKWARD),
    st.floats(allow_nan=False) | st.integers(),
)  # fmt: skip
@example("steps", 2**54 + 2**2 + 1)
def test_any_metric_and_number_make_a_condition(metric: str, threshold: float) -> None:
    condition = parse_condition(condition_of(metric, "gte", threshold))

    assert isinstance(condition, Condition)
    assert condition.metrics == (metric,)
    assert condition.holds({metric: as_float(threshold)})


def as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return INF if number > 0 else -INF


def test_a_threshold_may_be_a_scalar_of_numpy() -> None:
    assert condition_of("a", "lt", np.float32(0.5)) == "a < 0.5"
    assert condition_of("a", "lt", np.int64(3)) == "a < 3.0"
    assert condition_of("a", "lt", 10**400) == "a < inf"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a", "above", 1), "An alert compares by one of gt, gte, lt, lte, eq, ne, not 'above'"),
        (("a", None, 1), "not None"),
        (("a", "gt", "1"), "threshold must be a number, not '1'"),
        (("a", "gt", True), "threshold must be a number, not True"),
        (("a", "gt", None), "threshold must be a number, not None"),
        (("a", "gt", NAN), "Nothing equals or exceeds NaN"),
        (("", "gt", 1), "A metric name has 1 to"),
        ((5, "gt", 1), "A metric name must be a string"),
    ],
)
def test_wrong_arguments_are_explained(arguments: tuple[Any, Any, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        condition_of(*arguments)
