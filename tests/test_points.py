"""Metric lines come back bit for bit, whole line by whole line, whatever happens to the rest."""

from __future__ import annotations

import math
import struct
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from podstack import points

relaxed = settings(deadline=None, max_examples=150)
CHUNK = 1 << 16

names = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20
)
steps = st.integers(-(2**63), 2**63 - 1)
times = st.floats(0, 4e9)
floats = st.floats(allow_nan=True, allow_infinity=True)
integers = st.integers(-(2**63), 2**64 - 1) | st.integers(-(10**300), 10**300)
values = floats | integers | st.booleans()
calls = st.tuples(steps, times, st.dictionaries(names, values, min_size=1, max_size=4))

Row = tuple[int, float, dict[str, bytes]]


def bits(value: Any) -> bytes:
    """The float64 behind a number; one for all NaNs."""
    number = float(value)
    return b"NaN" if math.isnan(number) else struct.pack("<d", number)


def rows(data: bytes) -> list[Row]:
    batches, _ = points.decode(data)
    return [
        (step, time, {name: bits(column[i]) for name, column in batch.values.items()})
        for batch in batches
        for i, (step, time) in enumerate(zip(batch.steps, batch.times, strict=True))
    ]


def row(step: int, time: float, metrics: dict[str, Any]) -> Row:
    return step, time, {name: bits(value) for name, value in metrics.items()}


def lines_of(count: int) -> list[bytes]:
    return [points.encode(i, i / 4, {"loss": i / 3, "ü": i}) for i in range(count)]


@relaxed
@given(st.lists(calls, max_size=6))
def test_what_is_encoded_is_decoded_bit_for_bit(
    logged: list[tuple[int, float, dict[str, Any]]],
) -> None:
    data = b"".join(points.encode(*call) for call in logged)

    assert rows(data) == [row(*call) for call in logged]
    assert points.decode(data)[1] == 0
    assert data.count(b"\n") == len(logged)


@relaxed
@given(steps, times, st.dictionaries(names, floats, min_size=1, max_size=4))
def test_the_fast_path_writes_the_bytes_of_the_slow_one(
    step: int, time: float, metrics: dict[str, float]
) -> None:
    slow = points._encode_slowly(step, time, metrics)  # which remembers the names

    assert points.encode(step, time, metrics) == slow
    assert points.encode(np.int64(step), time, metrics) == slow


@relaxed
@given(steps, times, st.dictionaries(names, values, min_size=1, max_size=4))
def test_the_fast_path_stores_the_numbers_of_the_slow_one(
    step: int, time: float, metrics: dict[str, Any]
) -> None:
    slow = points._encode_slowly(step, time, metrics)

    assert rows(points.encode(step, time, metrics)) == rows(slow)


@pytest.mark.parametrize(
    "value",
    [
        *(0.0, -0.0, 5e-324, -5e-324, 1.7976931348623157e308, 0.1, 1 / 3, 2**53, 2**53 + 1, 2**63),
        *(-(2**63), 2**64 - 1, 2**64, 10**308, True, False, math.nan, math.inf, -math.inf),
        *(np.float16(0.1), np.float32(0.1), np.float64(0.1), np.float16("nan"), np.int8(-1)),
        *(np.uint64(2**64 - 1), np.bool_(True), np.array(0.1), np.array([0.1]), np.float32("inf")),
        *(torch.tensor(0.1), torch.tensor(0.1, dtype=torch.float64), torch.tensor([7])),
        *(torch.tensor(0.1, dtype=torch.bfloat16), torch.tensor(True), torch.tensor(math.nan)),
        *(torch.tensor(0.1, requires_grad=True), Decimal("0.1"), Fraction(1, 3)),
    ],
    ids=repr,
)
def test_every_kind_of_scalar_is_kept_as_its_float64(value: Any) -> None:
    expected = bits(value.item() if hasattr(value, "item") else value)
    for _ in range(2):  # an unknown name first, then a known one
        ((_, _, stored),) = rows(points.encode(3, 1.5, {"x": value}))

        assert stored == {"x": expected}


@pytest.mark.parametrize("cut_tail", [b"", b'{"s":1,"t":2.0,"v":{"loss":3.0}}'])
def test_a_log_cut_at_any_byte_holds_exactly_its_whole_lines(cut_tail: bytes) -> None:
    lines = lines_of(8)
    data = b"".join(lines)
    expected = rows(data)
    for cut in range(len(data) + 1):
        whole = data[:cut].count(b"\n")

        assert rows(data[:cut]) == expected[:whole]
        assert points.decode(data[:cut])[1] == 0
    assert rows(data + cut_tail) == expected


GARBAGE = [
    b"",
    b"\0" * 40,
    b"\xff\xfe\xfd",
    b"not json",
    b"[",
    b"}",
    b"],[",
    b"null",
    b"7",
    b"[]",
    b"{}",
    b'{"s":1}',
    b'{"s":1,"t":1.0,"v":[]}',
    b'{"s":1,"t":1.0,"v":7}',
    b'{"s":1.5,"t":1.0,"v":{"a":1}}',
    b'{"s":"1","t":1.0,"v":{"a":1}}',
    b'{"s":1,"t":"now","v":{"a":1}}',
    b'{"s":1,"t":null,"v":{"a":1}}',
    b'{"s":99999999999999999999,"t":1.0,"v":{"a":1}}',
    b'{"s":1,"t":1.0,"v":{"a":null}}',
    b'{"s":1,"t":1.0,"v":{"a":"nan"}}',
    b'{"s":1,"t":1.0,"v":{"a":[1]}}',
    b'{"s":1,"t":1.0,"v":{"a":{"b":1}}}',
    b'{"s":1,"t":1.0,"v":{"a":1}}{"s":2,"t":1.0,"v":{"a":1}}',
    b'{"s":1,"t":1.0,"v":{"a":1}},{"s":2,"t":1.0,"v":{"a":1}}',
    b"[" * 5000,
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda line: repr(line[:40]))
def test_a_line_that_is_no_point_costs_only_itself(garbage: bytes) -> None:
    good = lines_of(20)
    expected = rows(b"".join(good))
    for place in (0, 7, 20):
        data = b"".join([*good[:place], garbage + b"\n", *good[place:]])

        assert rows(data) == expected
        assert points.decode(data)[1] == 1


def test_a_line_of_a_later_version_with_more_fields_is_read() -> None:
    data = b'{"s":1,"t":2.0,"new":[1],"v":{"a":1}}\n'

    assert rows(data) == [row(1, 2.0, {"a": 1})]


@relaxed
@given(st.binary(max_size=300), st.integers(0, 10))
def test_arbitrary_bytes_never_raise_and_never_cost_the_lines_around_them(
    garbage: bytes, place: int
) -> None:
    good = lines_of(10)
    before, after = b"".join(good[:place]), b"".join(good[place:])
    found = rows(before + b"\n" + garbage + b"\n" + after)
    expected = rows(before + after)

    assert found[:place] == expected[:place]
    assert found[len(found) - len(expected) + place :] == expected[place:]


def test_lines_that_straddle_the_chunk_border_are_read_once() -> None:
    for padding in range(0, 90, 7):
        lines = [points.encode(0, 0.0, {"p" * (1 + padding): 1}), *lines_of(3 * CHUNK // 60)]
        data = b"".join(lines)

        assert len(data) > 2 * CHUNK
        assert [step for step, _, _ in rows(data)] == [0, *range(len(lines) - 1)]


@pytest.mark.parametrize("over", [-1, 0, 1, 5 * CHUNK])
def test_a_line_longer_than_a_chunk_is_read(over: int) -> None:
    long = points.encode(7, 0.0, {f"{i:0500d}": i for i in range((CHUNK + over) // 510 + 1)})
    long = long.replace(b"0" * 400, b"0" * 400 + b"x" * max(0, CHUNK + over - len(long)), 1)
    short = lines_of(3)
    data = b"".join([*short, long, *short, long])

    assert [step for step, _, _ in rows(data)] == [0, 1, 2, 7, 0, 1, 2, 7]
    assert points.decode(data)[1] == 0


def test_a_damaged_line_costs_nothing_of_the_other_chunks() -> None:
    lines = lines_of(3 * CHUNK // 60)
    middle = len(lines) // 2
    lines[middle] = b"{damaged\n"
    found = [step for step, _, _ in rows(b"".join(lines))]

    assert found == [step for step in range(len(lines)) if step != middle]


def test_no_values_are_no_line() -> None:
    assert points.encode(1, 1.0, {}) == b""
    assert points.decode(b"") == ([], 0)


def test_a_call_with_one_wrong_value_writes_nothing_and_names_it() -> None:
    points.encode(0, 0.0, {"good": 1.0, "bad": 1.0})
    for wrong in ("1.0", None, b"1", 1j, [1, 2], np.zeros(2), torch.zeros(3), object()):
        with pytest.raises(TypeError, match="bad"):
            points.encode(0, 0.0, {"good": 1.0, "bad": wrong})


@pytest.mark.parametrize("step", [2**63, -(2**63) - 1, 2**70])
def test_a_step_beyond_int64_is_refused(step: int) -> None:
    with pytest.raises(ValueError, match="int64"):
        points.encode(step, 0.0, {"x": 1.0})


def test_equal_names_become_one_batch_even_across_chunks() -> None:
    batches, _ = points.decode(b"".join(lines_of(3 * CHUNK // 60)))

    assert len(batches) == 1
