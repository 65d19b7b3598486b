"""The server and the pages write one figure in one way: else it would change as a page loads."""

from __future__ import annotations

import json
import random
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from podstack.server.ui import words

_NODE = shutil.which("node")
_FORMAT = Path(words.__file__).parent / "static" / "core" / "format.js"
_SCRIPT = """
import { readFileSync } from "node:fs";
const [module, name] = process.argv.slice(1);
const written = (await import(module))[name];
console.log(JSON.stringify(JSON.parse(readFileSync(0)).map((value) => written(...value))));
"""

pytestmark = pytest.mark.skipif(_NODE is None, reason="node is not installed")


def on_pages(name: str, calls: list[tuple[float, ...]]) -> list[str]:
    """What the function of that name in format.js writes for the arguments of each call."""
    done = subprocess.run(
        [_NODE or "node", "--input-type=module", "-e", _SCRIPT, _FORMAT.as_uri(), name],
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told: list[str] = json.loads(done.stdout)
    return told


def figures() -> list[float]:
    """Numbers of every size, those that are rounded to the next power of ten or half way too."""
    chance = random.Random(7)
    plain = [0.0, -0.0, 1.0, -1.0, 0.5, 2.5, 12345.5, 12346.5, 1234.45, 0.00012345, 1e15, 1e16]
    near = [sign * 10.0**power * share for power in range(-6, 17) for share in (0.999949, 0.99995, 0.999999, 1.0, 1.00005) for sign in (1, -1)]  # fmt: skip  # noqa: E501
    spread = [chance.choice((1, -1)) * 10 ** chance.uniform(-12, 18) for _ in range(3000)]
    bits = [struct.unpack("d", chance.randbytes(8))[0] for _ in range(2000)]
    return plain + near + spread + [value for value in bits if value - value == 0]


def amounts() -> list[float]:
    """What is not negative: seconds."""
    limits = [limit - less for limit in (1, 10, 60, 3600, 86400) for less in (0, 0.0004, 0.04, 0.4)]
    units = [1000.0**power * share for power in range(1, 5) for share in (0.9994, 0.9996, 1.0)]
    return limits + units + [abs(value) for value in figures() if abs(value) < 1e14]


@pytest.mark.parametrize(
    ("name", "here", "values"),
    [
        ("number", words.number, figures()),
        ("signed", words.signed, figures()),
        ("duration", words.duration, amounts()),
    ],
    ids=["numbers", "differences", "durations"],
)
def test_the_server_and_the_pages_write_the_same(
    name: str, here: Callable[[float], str], values: list[float]
) -> None:
    told = on_pages(name, [(value,) for value in values])
    different = [
        (value, here(value), there)
        for value, there in zip(values, told, strict=True)
        if here(value) != there
    ]

    assert not different, f"{len(different)} of {len(values)}, as in {different[:10]}"


def test_both_tell_a_time_by_the_same_distance() -> None:
    past = [seconds for seconds in amounts() if seconds < 1e10]

    assert [words.since(seconds) for seconds in past] == on_pages(
        "ago", [(0, seconds) for seconds in past]
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.99996, "1"), (-0.0, "0"), (999.96, "1,000"), (1234.5, "1,235")],
)
def test_a_figure_is_rounded_to_four_digits(value: float, text: str) -> None:
    assert words.number(value) == text


def test_a_size_never_has_four_digits() -> None:
    assert [words.size(count) for count in (999, 999_600, 999_400)] == ["999 B", "1 MB", "999 kB"]
