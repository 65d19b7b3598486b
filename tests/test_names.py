"""Ids are few and plain; names are text and stay what they are."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podstack import names
from podstack.errors import UsageError, WrongTypeError

relaxed = settings(deadline=None, max_examples=200)
good_names = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=60
)


def test_a_run_id_reads_as_time_and_is_an_id() -> None:
    run = names.new_run_id()

    assert re.fullmatch(r"\d{8}-\d{6}-[a-z2-9]{8}", run)
    assert names.is_id(run)


def test_ten_thousand_ids_made_at_once_differ() -> None:
    assert len({names.new_run_id() for _ in range(10_000)}) == 10_000
    assert len({names.new_writer_id() for _ in range(10_000)}) == 10_000


def test_a_later_writer_sorts_after_an_earlier_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for when in (1e9, 1e9 + 0.001, 1e9 + 0.25, 1e9 + 1, 1.9e9):
        # Writer ids take the time from the clock, which a test cannot wait for.
        monkeypatch.setattr("podstack.clock.now", lambda when=when: when)
        made.append(names.new_writer_id())

    assert made == sorted(made)
    assert all(map(names.is_id, made))
    assert not any("." in writer for writer in made)  # a hint's key is <run>.<writer>.json


@pytest.mark.parametrize("text", ["a", "0", "a.b", "a-b_c", "x" * 64, "20261123-221530-k3x9q2ma"])
def test_ids_of_plain_letters_are_accepted(text: str) -> None:
    assert names.is_id(text)
    assert names.check_id("run_id", text) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "..", "a..b", "-a", "_a", ".a", "A", "a b", "a/b", "a\\b", "ü", "a\n", "a\0"),
        *("x" * 65, "~", "$HOME", "a%2fb", "a:b", "*", "\ud800"),
    ],
)
def test_what_could_climb_or_be_misread_is_no_id(text: str) -> None:
    assert not names.is_id(text)
    with pytest.raises(UsageError, match="is not an id"):
        names.check_id("run_id", text)


@pytest.mark.parametrize("value", [None, 7, b"a", ["a"]])
def test_an_id_is_a_string(value: object) -> None:
    assert not names.is_id(value)
    with pytest.raises(UsageError):
        names.check_id("run_id", value)


@relaxed
@given(st.text(min_size=1, max_size=80))
def test_every_experiment_name_gives_an_id(name: str) -> None:
    assert names.is_id(names.experiment_id(name))
    assert names.experiment_id(name) == names.experiment_id(name)


@relaxed
@given(good_names, good_names)
def test_different_experiment_names_give_different_ids(one: str, two: str) -> None:
    assert (names.experiment_id(one) == names.experiment_id(two)) == (one == two)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("digits", r"digits"),
        ("mnist-2", r"mnist-2"),
        ("MNIST digits", r"mnist-digits-80fa284e"),
        ("数字", r"experiment-[0-9a-f]{8}"),
        ("-a-", r"a-[0-9a-f]{8}"),
        ("a" * 60, r"a{48}-[0-9a-f]{8}"),
        ("../../etc", r"etc-[0-9a-f]{8}"),
    ],
)
def test_an_experiment_id_is_the_slug_and_a_hash_where_the_slug_loses(
    name: str, expected: str
) -> None:
    assert re.fullmatch(expected, names.experiment_id(name))


@relaxed
@given(good_names)
def test_any_text_may_be_a_name_and_stays_as_it_is(name: str) -> None:
    assert names.check_name("metric", name) == name


@pytest.mark.parametrize("name", ["", "x" * 1001, "a\0b", "\ud800", "a\udfffb"])
def test_a_name_that_cannot_be_stored_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="metric name"):
        names.check_name("metric", name)


@pytest.mark.parametrize("name", [None, 7, b"x", ("a",)])
def test_a_name_is_a_string(name: object) -> None:
    with pytest.raises(WrongTypeError, match="must be a string"):
        names.check_name("metric", name)


def test_the_same_letter_in_two_normal_forms_is_two_names() -> None:
    composed, decomposed = "\u00fc", "u\u0308"

    assert names.check_name("metric", composed) != names.check_name("metric", decomposed)


def test_texts_have_an_end() -> None:
    assert names.check_text("Notes", "") == ""
    assert len(names.check_text("Notes", "x" * names.MAX_TEXT)) == names.MAX_TEXT
    with pytest.raises(UsageError, match="Notes has 1000001 characters"):
        names.check_text("Notes", "x" * (names.MAX_TEXT + 1))
    with pytest.raises(UsageError, match="surrogate"):
        names.check_text("Notes", "\ud800")
    with pytest.raises(UsageError, match="NUL"):
        names.check_text("Notes", "a\0")
    with pytest.raises(WrongTypeError, match="Notes must be a string"):
        names.check_text("Notes", None)


def test_one_string_is_one_tag() -> None:
    assert names.check_tags("abc") == ["abc"]
    assert names.check_tags(["a", "b"]) == ["a", "b"]
    assert names.check_tags(()) == []


@pytest.mark.parametrize("tags", [None, 7, [None], [""], "", {"a": 1}, b"a"])
def test_what_is_no_tag_is_refused(tags: object) -> None:
    with pytest.raises(UsageError):
        names.check_tags(tags)


def test_a_run_ends_in_one_of_three_words() -> None:
    assert [names.check_status(word) for word in names.ENDINGS] == list(names.ENDINGS)
    for wrong in ("running", "done", "", None, 1):
        with pytest.raises(UsageError, match="completed, failed, killed"):
            names.check_status(wrong)


def test_a_run_has_the_same_readable_name_on_every_host() -> None:
    assert names.name_of_run("20261123-221530-k3x9q2ma") == "light-brook-37"
    assert re.fullmatch(r"[a-z]+-[a-z]+-\d{1,2}", names.name_of_run("x"))


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@relaxed
@given(st.text() | st.binary() | st.integers() | st.lists(st.text(), max_size=50))
def test_a_value_in_a_message_is_short_and_on_one_line(value: object) -> None:
    text = names.short(value)

    assert len(text) <= 90
    assert text.isprintable()


def test_a_value_whose_repr_raises_can_still_be_named() -> None:
    assert names.short(Rude()) == "<Rude, whose repr raises RuntimeError>"


def test_of_a_long_path_in_a_message_the_end_is_shown() -> None:
    path = "/data/" + "deep/" * 100 + "model.pt"

    assert names.short_path(path).endswith("/deep/model.pt'")
    assert len(names.short_path(path)) <= 90
    assert names.short_path("/data/model.pt") == "'/data/model.pt'"
