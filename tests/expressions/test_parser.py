"""Whatever the text, it is read within its limits, or refused with the place and the reason."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podstack.errors import UsageError
from podstack.expressions import (
    ATTRIBUTES,
    MISSING,
    PARTS,
    ExpressionError,
    Name,
    parse,
    parse_condition,
    parse_name,
    parse_order,
)
from podstack.expressions.parser import MAX_CONDITIONS, MAX_DEPTH, MAX_LIST
from podstack.expressions.tokens import MAX_LENGTH

relaxed = settings(deadline=None, max_examples=100)

SOUP = """
    a metrics. params.x tags. status ` `` ' " \\ ( ) [ ] , = != < >= not and or in contains is nan
    missing none 1 -1 1e9999 .5 5. 1_0 inf - + . failed created duration 1h 2026-13-45 ٣ １
    for by 9999-12-31 desc asc min max é
"""
soup = st.lists(
    st.sampled_from([*SOUP.split(), "no improvement in", " ", "\n", "\0", "\ud800"]), max_size=25
).map(" ".join)
crumbs = st.lists(st.sampled_from("a.b`'\"()[],=<>!not inand 1-e+:@\\"), max_size=60).map("".join)


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=40) | soup | crumbs)
def test_no_text_does_anything_but_parse_or_be_explained(text: str) -> None:
    for read in (parse, parse_condition, parse_order, parse_name):
        mistake = mistake_in(text, read)
        if mistake:
            assert len(str(mistake).encode()) < 2_000
            assert 0 <= mistake.position <= len(text)
    if mistake_in(text) is None:
        parse(text).sql().text.encode()
        assert isinstance(parse(text).matches(lambda name: MISSING), bool)


def mistake_in(text: str, read: Callable[[str], object] = parse) -> ExpressionError | None:
    try:
        read(text)
    except ExpressionError as error:
        return error
    return None


HOSTILE = [
    "__import__('os').system('true')",
    "__import__",
    "().__class__",
    "a.__class__.__mro__ > 1",
    "__class__ > 1",
    "f(1) > 0",
    "a[0] > 1",
    "lambda x: x",
    "(x := 3) > 1",
    "{x} = 1",
    "f'{x}' = 1",
    "[x for x in y]",
    "9**9**9",
    "9**9**9 > 1",
    "1 if a else 2",
    "a; DROP TABLE runs",
    "a = 1 --",
    "a UNION SELECT 1",
    "ATTACH 'x' AS y",
    "$where",
    "a RLIKE '(a+)+$'",
    "a LIKE '%%%'",
    "a = 1 /* */",
    "%(x)s = 1",
    "${x} = 1",
    "{{7*7}} = 49",
    "a = @x",
    "a = ?",
    "a\x00 = 1",
    "\ud800 = 1",
    "a = '\ud800'",
]


@pytest.mark.parametrize("read", [parse, parse_condition])
@pytest.mark.parametrize("text", HOSTILE)
def test_code_is_refused(text: str, read: Callable[[str], object]) -> None:
    with pytest.raises(ExpressionError) as caught:
        read(text)

    assert len(str(caught.value)) < 2_000


LARGE = {
    "digits": "a > " + "9" * 100_000,
    "digits within the limit": "a > " + "9" * 9_000 + "x y",
    "parentheses": "(" * 5_000 + "a=1" + ")" * 5_000,
    "parentheses within the limit": "(" * 4_000 + "a=1" + ")" * 4_000,
    "open parentheses": "(" * 9_999,
    "nots": "not " * 20_000 + "a=1",
    "nots within the limit": "not " * 2_000 + "a=1",
    "minuses": "-" * 20_000,
    "minuses within the limit": "a > " + "-" * 9_000,
    "ands": "a=1 and " * 20_000 + "a=1",
    "ands within the limit": "a=1 and " * 1_200 + "a=1",
    "a list": f"a in ({'1,' * 4_000}1)",
    "an open quote": "a = '" + "''" * 4_900,
    "backslashes": "a = '" + "\\" * 9_900,
    "backticks": "`" * 9_999,
    "dots": "a" + ".a" * 4_900,
    "signs in a word": "a" + "-+" * 4_900,
    "spaces": "a" + " " * 9_000 + "=",
    "a durable duration": "duration > " + "1h" * 4_000 + "x",
    "no words": "no improvement in " + "a " * 4_000,
}


@pytest.mark.timeout(10)  # it takes milliseconds; what grew with the square would take longer
@pytest.mark.parametrize("read", [parse, parse_condition, parse_order])
@pytest.mark.parametrize("what", LARGE)
def test_a_huge_text_is_refused_at_once(what: str, read: Callable[[str], object]) -> None:
    with pytest.raises(ExpressionError) as caught:
        read(LARGE[what])

    assert len(str(caught.value)) < 2_000


def test_every_limit_is_named() -> None:
    with pytest.raises(ExpressionError, match=f"has {MAX_LENGTH + 1:,} characters; at most 10,000"):
        parse("a" * (MAX_LENGTH + 1))
    with pytest.raises(ExpressionError, match=f"more than {MAX_DEPTH} parentheses or nots"):
        parse("(" * (MAX_DEPTH + 1) + "a = 1" + ")" * (MAX_DEPTH + 1))
    with pytest.raises(ExpressionError, match=f"more than {MAX_CONDITIONS} conditions"):
        parse(" or ".join(["a=1"] * (MAX_CONDITIONS + 1)))
    with pytest.raises(ExpressionError, match=f"more than {MAX_LIST} values in a list"):
        parse(f"a in ({','.join('1' * (MAX_LIST + 1))})")
    with pytest.raises(ExpressionError, match="1 to 10 names, not 11"):
        parse_order(["a"] * 11)


MISTAKES = {
    "val_acc >": ("expected a number, a text or a name after '>'", 9),
    "": ("This filter is empty", 0),
    "   ": ("This filter is empty", 0),
    "val acc > 1": ("expected an operator such as = > in contains is after 'val', not 'acc'", 4),
    "baseline": (r"is it a tag\? write tags.baseline", 8),
    "acc > 1 loss < 2": ("expected and, or, or the end after '1', not 'loss'", 8),
    "(acc > 1": (r"expected and, or, or \) after '1', not the end", 8),
    "acc > 1)": (r"expected and, or, or the end after '1', not '\)'", 7),
    "acc & 1": ("'&' means nothing here; write and", 4),
    "a ! b": ("'!' means nothing here; write not", 2),
    "acc = 'x": ("this ' is never closed", 6),
    "`acc = 1": ("this ` is never closed", 0),
    "acc like 'x'": ("write contains", 4),
    "0 < acc < 1": ("comparisons do not chain", 8),
    "1 < 2": ("one side of a comparison must be a name", 4),
    "1 in (1, 2)": ("the left side of in must be a name", 0),
    "acc = nan": ("nothing equals nan; write: is nan", 6),
    "acc = missing": ("nothing equals missing; write: is missing", 6),
    "metrics.acc = nan": ("nothing equals nan; write: metrics.acc is nan", 14),
    "metrics.acc = high": ("metrics.acc is a number, and 'high' is none", 14),
    "metrics.acc = '1'": ("expected a number, not the text '1'", 14),
    "metrics.acc is none": ("a number or missing, never none", 0),
    "metrics.acc contains 1": ("is a number and contains nothing", 21),
    "acc > loss": ("another metric is written metrics.loss, a text 'loss'", 6),
    "acc is 5": ("expected nan, none or missing after 'is', not '5'", 7),
    "acc not 5": ("expected in or contains after 'not', not '5'", 8),
    "acc in 5": (r"expected a list such as \(1, 2\) after 'in', not '5'", 7),
    "acc in ()": (r"expected a number or a text after '\('", 8),
    "acc in (1 2)": (r"expected , or \) after '1', not '2'", 10),
    "acc contains (": (r"expected a text after 'contains', not '\('", 13),
    "acc contains ''": ("every text contains the empty text", 13),
    "5 > 'x'": ("one side of a comparison must be a name", 4),
    "5 5": ("expected in or a comparison such as < after '5', not '5'", 2),
    "and > 1": ("expected a name or a value at the start, not 'and'", 0),
    "= 1": ("expected a name at the start, not '='", 0),
    "-acc > 1": ("a name that starts so goes in backticks", 0),
    "-`acc` > 1": ("a name has no sign", 0),
    "5fold > 1": ("goes in backticks: `5fold`", 0),
    "tags = x": ("tags are many: write tags contains", 7),
    "acc = tags.`x`": ("a tag stands alone", 6),
    "status = sucess": ("status is one of running, completed, failed, killed, not 'sucess'", 9),
    "status = finished": (r"do you mean completed\?", 9),
    "status is nan": ("status is never nan", 0),
    "created > tomorrow": ("expected a date such as 2026-11-01", 10),
    "created > 2026-13-01": ("expected a date such as", 10),
    "created > '0001-01-01'": ("expected a date such as", 10),
    "created = 2026-11-01": ("ask for a range", 10),
    "duration > long": ("expected seconds, or a time such as 90s", 11),
    "metric.acc > 1": (r"no kind of name is called 'metric': do you mean metrics.acc\?", 0),
    "parms.lr > 1": (r"do you mean params.lr\?", 0),
    "model.lr > 1": ("write metrics.NAME or params.NAME", 0),
    "metric.`a b` > 1": ("no kind of name is called 'metric'", 0),
    "metrics.acc.maximum > 1": (r"not .maximum \(do you mean .max\?\)", 0),
    "metrics.`acc`.mean > 1": ("there are .last .min .max", 0),
    "params.`lr`.max > 1": ("there are .last .min .max", 0),
}  # fmt: skip


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_explained_at_its_place(text: str) -> None:
    message, position = MISTAKES[text]
    with pytest.raises(ExpressionError, match=message) as caught:
        parse(text)

    assert (caught.value.text, caught.value.position) == (text if text.strip() else "", position)


def test_the_message_shows_the_text_with_a_caret_under_the_place() -> None:
    with pytest.raises(ExpressionError) as caught:
        parse("acc > 0.9 and\nloss =< 2")

    assert str(caught.value) == (
        "Cannot read this filter: expected a number, a text or a name after '='.\n"
        "  acc > 0.9 and loss =< 2\n"
        "                      ^"
    )


def test_of_a_long_text_the_message_shows_the_place_alone() -> None:
    with pytest.raises(ExpressionError) as caught:
        parse("aaaa = 1 and " * 50 + "here ! " + "and bbbb = 1 " * 50)
    _, line, caret = str(caught.value).split("\n")

    assert line[caret.index("^")] == "!"
    assert len(line) < 80


def test_an_expression_error_is_a_usage_error_that_can_be_pickled() -> None:
    with pytest.raises(UsageError) as caught:
        parse("a >")
    again = pickle.loads(pickle.dumps(caught.value))

    assert isinstance(again, ExpressionError)
    assert (str(again), again.text, again.position) == (str(caught.value), "a >", 3)


@pytest.mark.parametrize("value", [None, 5, b"a = 1", ["a = 1"]])
def test_only_text_is_an_expression(value: Any) -> None:
    with pytest.raises(ExpressionError, match="The filter must be a text, not"):
        parse(value)


# Names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("acc", Name("any", "acc")),
        ("acc.max", Name("any", "acc", "max")),
        ("metrics.acc", Name("metrics", "acc", "last")),
        ("metrics.eval/acc-1@5.min_step", Name("metrics", "eval/acc-1@5", "min_step")),
        ("metrics.`a.max`", Name("metrics", "a.max", "last")),
        ("metrics.`a``b`.steps", Name("metrics", "a`b", "steps")),
        ("params.model.lr", Name("params", "model.lr")),
        ("tags.v1.2", Name("tags", "v1.2")),
        ("`status`", Name("any", "status")),
        *[(text, Name("attribute", text)) for text in ATTRIBUTES],
    ],
)
def test_a_name_is_read_and_printed(text: str, name: Name) -> None:
    assert parse_name(text) == name
    assert parse_name(str(name)) == name


@relaxed
@given(
    st.sampled_from(["metrics", "params", "tags", "any"]),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
    st.sampled_from(["", *PARTS]),
)
def test_any_text_can_be_a_name(kind: str, text: str, part: str) -> None:
    part = {"metrics": part or "last", "any": part}.get(kind, "")
    name = Name(kind, text, part)

    assert parse_name(str(name)) == name


def test_a_name_is_one_name() -> None:
    with pytest.raises(ExpressionError, match="expected the end after 'a', not '>'"):
        parse_name("a > 1")
