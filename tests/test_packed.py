"""Packed logs: the same bytes however they were fed, and what the last eight of them tell."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podstack import keys
from podstack.backend import open_backend
from podstack.packed import Packing, packed, plain_length, told


@given(st.lists(st.binary(max_size=500), max_size=20))
def test_every_state_of_a_packing_is_a_whole_gzip_of_what_was_fed(parts: list[bytes]) -> None:
    packing, plain = Packing(), b""
    for part in parts:
        packing.feed(part)
        plain += part

        whole = packing.whole()
        assert gzip.decompress(whole) == plain
        assert told(whole) == (zlib.crc32(plain), len(plain))
        assert packing.fed == len(plain)


def test_one_text_is_one_packed_form() -> None:
    lines = b"".join(b'{"s":%d,"t":1.5,"v":{"loss":0.25}}\n' % step for step in range(10_000))
    packing = Packing()
    for start in range(0, len(lines), 777):
        packing.feed(lines[start : start + 777])

    assert packing.whole() == packed(lines)
    assert len(packed(lines)) < len(lines) / 5


def test_the_plain_length_of_a_log_is_known_in_both_its_forms() -> None:
    store = open_backend("memory://packed-lengths")
    store.put("plain.jsonl", b"12345\n")
    store.put("packed.jsonl.gz", packed(b"12345\n" * 100))
    store.put("torn.jsonl.gz", b"123")

    lengths = {info.key: plain_length(store, info) for info in store.list()}

    assert lengths == {"packed.jsonl.gz": 600, "plain.jsonl": 6, "torn.jsonl.gz": 0}


@pytest.mark.parametrize(
    ("key", "plain"),
    [
        ("projects/p/experiments/e/w.jsonl", "projects/p/experiments/e/w.jsonl"),
        ("projects/p/runs/r/meta/w.jsonl.gz", "projects/p/runs/r/meta/w.jsonl"),
        ("projects/p/runs/r/metrics/w/000001.jsonl.gz", "projects/p/runs/r/metrics/w/000001.jsonl"),
        ("projects/p/runs/r/console/w/000001.txt", "projects/p/runs/r/console/w/000001.txt"),
        ("projects/p/runs/r/metrics/w/000000-000001.parquet", None),
        ("projects/p/runs/r/artifacts/0123456789ab/meta/w.jsonl", None),
        ("projects/p/runs/r/environment/w.json", None),
        ("projects/p/live/r.w.json", None),
        ("podstack.json", None),
    ],
)
def test_a_log_is_told_by_its_key(key: str, plain: str | None) -> None:
    assert keys.plain_log(key) == plain
