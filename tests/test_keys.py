"""Keys are made from ids alone, and taken apart without guessing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podstack import keys, names
from podstack.errors import UsageError
from podstack.keys import Project, Segment

relaxed = settings(deadline=None, max_examples=200)
ids = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True).filter(names.is_id)
project = Project("default")


@relaxed
@given(ids, ids, st.integers(0, 10**7))
def test_a_segment_key_is_taken_apart_again(run: str, writer: str, seq: int) -> None:
    key = project.segment(run, writer, seq)

    assert keys.segment_of(key) == Segment(writer, seq)
    assert keys.segment_of(f"{key}.gz") == Segment(writer, seq)
    assert key.startswith(project.metrics(run))


@relaxed
@given(ids, ids)
def test_the_key_of_an_op_log_is_taken_apart_again(run: str, writer: str) -> None:
    for key in (project.meta_log(run, writer), project.experiment_log(run, writer)):
        assert keys.log_writer(key) == writer
        assert keys.log_writer(f"{key}.gz") == writer


@relaxed
@given(
    ids, ids.filter(lambda id: "." not in id), st.integers(1, keys.MAX_TRIAL), st.integers(0, 99)
)
def test_the_key_of_a_claim_is_taken_apart_again(
    sweep: str, writer: str, number: int, generation: int
) -> None:
    key = project.claim(sweep, number, generation, writer)

    assert keys.claim_of(key) == (number, generation, writer)
    assert key.startswith(project.claims_to(sweep, number, generation))
    assert key.startswith(project.claims_of(sweep, number))
    assert key > project.claims_of(sweep, number)
    assert key < project.claims_of(sweep, number + 1) or number == keys.MAX_TRIAL
    assert keys.log_writer(key) is None
    assert keys.plain_log(key) is None


@pytest.mark.parametrize(
    "name",
    [
        *("1/w.json", "000001.0/w.json", "000001.01/w.json", "000001/W.json", "000001/w.jsonl"),
        *("000001/w.json/x", "000001.1x/w.json", "0000001/w.json", "000001/.json"),
    ],
)
def test_objects_that_are_no_claims_are_told_apart(name: str) -> None:
    assert keys.claim_of(f"{project.claims('s')}{name}") is None


def test_the_logs_of_a_sweep_are_listed_without_its_claims() -> None:
    log, claim = project.sweep_log("s", "20261128-w"), project.claim("s", 1, 0, "20261128-w")

    assert log.startswith(project.sweep_logs("s"))
    assert not claim.startswith(project.sweep_logs("s"))
    assert keys.plain_log(log) == log


@pytest.mark.parametrize(
    "name",
    [
        *("0.jsonl", "00000.jsonl", "000000.json", "000000.jsonl.zst", "x000000.jsonl", "000000"),
        *("000000.jsonl.gz.tmp", "000000-000015.parquet", "-00001.jsonl", "00000a.jsonl", ""),
        *("٠٠٠٠٠٠.jsonl", "000000.jsonl\n", ".podstack-0123456789abcdef.tmp"),
    ],
)
def test_objects_that_are_no_segments_are_told_apart(name: str) -> None:
    assert keys.segment_of(f"{project.metrics('r')}writer/{name}") is None


def test_a_segment_of_no_writer_is_none() -> None:
    assert keys.segment_of("000000.jsonl") is None
    assert keys.segment_of("projects/p/runs/r/metrics/Not An Id/000000.jsonl") is None


@pytest.mark.parametrize("name", ["w", "w.json", "w.gz", "w.jsonl.zst", ".jsonl", "W.jsonl", ""])
def test_objects_that_are_no_op_logs_are_told_apart(name: str) -> None:
    assert keys.log_writer(f"{project.meta('r')}{name}") is None


@relaxed
@given(ids, ids)
def test_all_keys_of_a_run_lie_below_its_prefixes(run: str, writer: str) -> None:
    inside = [project.meta_log(run, writer), project.segment(run, writer, 0)]

    assert all(key.startswith(project.run(run)) for key in inside)
    assert project.live_hint(run, writer).startswith(project.live_of(run))
    for key in (*inside, project.live_hint(run, writer), project.tomb(run)):
        assert len(key) <= keys.MAX_KEY
        assert not {"", ".", ".."} & set(key.split("/"))
        assert re.fullmatch(r"[a-z0-9._/-]+", key)


def test_a_child_is_the_first_component_below() -> None:
    assert keys.child("projects/p/runs/r/meta/w.jsonl", project.runs.replace("default", "p")) == "r"


@pytest.mark.parametrize("path", ["a", "a/b.pt", "ü/🎉.txt", "a b/c", ".hidden", "a..b", "x" * 255])
def test_a_relative_path_may_name_an_artifact(path: str) -> None:
    assert keys.artifact_path(path) == path
    assert keys.is_artifact_key(keys.artifact("0123456789ab", path))


@pytest.mark.parametrize(
    "path",
    [
        *("", ".", "..", "/", "/etc/passwd", "a/../b", "../a", "a/..", "a/./b", "a//b", "a/"),
        *("a\\b", "..\\a", "C:\\x", "a\0b", "a\nb", "a\x7fb", "a\u2028b", "\ud800", "x" * 256),
        *("ü" * 128, "/".join(["abc"] * 300)),
    ],
)
def test_a_path_that_climbs_or_hides_something_names_no_artifact(path: str) -> None:
    with pytest.raises(UsageError, match="cannot name an artifact"):
        keys.artifact_path(path)


@pytest.mark.parametrize(
    "key",
    [
        *(None, 7, "", "artifacts", "artifacts/", "artifacts//x", "artifacts/../meta/w.jsonl"),
        *("/artifacts/x", "meta/w.jsonl", "artifacts/a/./b", "../artifacts/x", ["artifacts/x"]),
    ],
)
def test_an_entry_that_points_outside_the_artifacts_is_refused(key: object) -> None:
    assert not keys.is_artifact_key(key)


@relaxed
@given(st.text(max_size=40))
def test_whatever_passes_as_an_artifact_path_stays_inside(path: str) -> None:
    try:
        key = keys.artifact("0123456789ab", keys.artifact_path(path))
    except UsageError:
        return
    assert keys.is_artifact_key(key)
    assert not any(ord(letter) < 32 or letter == "\\" for letter in key)
