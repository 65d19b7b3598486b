"""What was written to a terminal, as lines: bars folded, colours gone, nothing printed lost."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podstack import transcript
from podstack.transcript import Transcript


def shown(*writes: str) -> str:
    """The lines that are given out for these writes."""
    one = Transcript()
    return "".join(map(one.feed, writes))


def kept(*writes: str) -> str:
    """The same with what is unfinished at the end."""
    one = Transcript()
    return "".join(map(one.feed, writes)) + one.settle()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("one\n", "one\n"),
        ("one\n\ntwo\n", "one\n\ntwo\n"),
        ("ends with blanks  \n", "ends with blanks  \n"),
        ("a\tb\n", "a\tb\n"),
        ("windows\r\n", "windows\n"),
        (" 10%|#   |\r 50%|##  |\r100%|####|\n", "100%|####|\n"),
        ("a longer line\rshort        \n", "short\n"),
        ("a longer line\r\x1b[Kshort\n", "short\n"),
        ("a longer line\r\x1b[2Kshort\n", "short\n"),
        ("abcdef\rAB\n", "ABcdef\n"),
        ("1/3\b\b\b2/3\n", "2/3\n"),
        ("\x1b[1;31mred\x1b[0m and \x1b[38;5;12mblue\x1b[m\n", "red and blue\n"),
        ("\x1b]0;a title\x07text\n", "text\n"),
        ("\x1b]8;;https://x.org\x1b\\link\x1b]8;;\x1b\\\n", "link\n"),
        ("\x1b(Bplain\x1b7\x1b8\x1b[?25l\n", "plain\n"),
        ("nul\x00 bell\x07 c1\x9b del\x7f\n", "nul bell c1 del\n"),
        ("ab\x1b[3Gcd\x1b[4Dx\n", "xbcd\n"),
        ("ab\x1b[2Ccd\n", "ab  cd\n"),
        ("ümläut 🎉\u200d\u00a0\n", "ümläut 🎉\u200d\u00a0\n"),
        ("\x1b", ""),
        ("\x1b[", ""),
        ("\x1b[99999999999999999999Ax\n", "x\n"),
    ],
)
def test_a_write_is_kept_as_a_terminal_would_show_it(written: str, expected: str) -> None:
    assert shown(written) == expected
    assert shown(*written) == expected, "however it is cut into writes"


def test_an_unfinished_line_is_given_out_at_its_newline_and_not_before() -> None:
    one = Transcript()

    assert one.feed("loading") == ""
    assert one.feed(" … done") == ""
    assert one.feed("\n") == "loading … done\n"
    assert one.settle() == ""


def test_a_settled_line_is_given_out_again_only_if_it_changed() -> None:
    one = Transcript()
    one.feed("same")
    same = one.settle() + one.settle() + one.feed("\n")
    one.feed("\r 10%")
    changed = one.settle() + one.feed("\r 20%") + one.feed("\n")

    assert same == "same\n"
    assert changed == " 10%\n 20%\n"


def nested_bars(epochs: int, batches: int) -> list[str]:
    """What tqdm writes for a bar inside a bar, the inner one left standing."""
    writes = ["\r  0%|outer"]
    for epoch in range(epochs):
        writes += ["\n", "\r  0%|inner", "\x1b[A"]
        for batch in range(1, batches + 1):
            writes += ["\n", f"\r{batch * 100 // batches:3d}%|inner", "\x1b[A"]
        writes += ["\r100%|inner", "\n"]  # what stays is drawn on the outer bar's row
        writes += [f"\r{(epoch + 1) * 100 // epochs:3d}%|outer"]
    return [*writes, "\n"]


def test_bars_on_two_rows_fold_to_their_last_states() -> None:
    lines = kept(*nested_bars(4, 1000)).splitlines()

    assert len(lines) <= 10
    assert lines.count("100%|inner") == 4
    assert lines[-1] == "100%|outer"


def test_a_display_that_redraws_its_rows_is_kept_in_its_first_and_last_state() -> None:
    def frame(n: int) -> str:
        erase = "\r\x1b[2K\x1b[1A\x1b[2K\x1b[1A\x1b[2K" if n else ""
        return f"{erase}one {n}\ntwo {n}\nthree {n}"

    lines = shown(*(frame(n) for n in range(100)), "\n", "after\n").splitlines()

    assert lines == ["one 0", "two 0", "one 99", "two 99", "three 99", "after"]


def test_rows_written_over_are_given_out_by_settle() -> None:
    one = Transcript()
    first = one.feed("top\nbottom")
    one.feed("\x1b[1A\rTOP")

    assert first == "top\n"
    assert one.settle() == "TOP\nbottom\n"
    assert one.settle() == ""


def test_a_line_without_end_is_cut() -> None:
    one = Transcript()
    lines = "".join(one.feed("x" * 1000) for _ in range(1000)).splitlines()

    assert {len(line) for line in lines} == {transcript.LONGEST}
    assert sum(map(len, lines)) + len(one.settle().strip()) == 1_000_000


@given(st.lists(st.text(st.characters(codec="utf-8"))))
def test_nothing_that_steers_a_terminal_is_given_out(writes: list[str]) -> None:
    text = kept(*writes, "\n")

    assert not [c for c in text if c not in "\n\t" and (c < " " or "\x7f" <= c <= "\x9f")]


@given(st.lists(st.text(st.sampled_from("ab \n\r\b\t\x1b[]0123;AKJmHG\x07\\\x00"), max_size=20)))
def test_any_writes_are_taken_and_plain_text_is_never_lost(writes: list[str]) -> None:
    text = kept(*writes, "\x1b\\\x1b[m\x1b[200B\nthe end\n")

    assert text.endswith("the end\n")


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])), min_size=1))
def test_text_without_controls_is_kept_as_it_is(lines: list[str]) -> None:
    written = "".join(f"{line}\n" for line in lines)

    assert shown(written) == shown(*written) == written


@pytest.mark.parametrize("unit", ["\x1b", "\x1b]", "\x1b[1", "\r", "\x1b[A", "ab\b", "\x1b[9999C "])
def test_hostile_text_takes_time_in_proportion_to_its_length(unit: str) -> None:
    def seconds(count: int) -> float:
        started = time.process_time()
        kept(unit * count)
        kept(*[unit] * count)
        return time.process_time() - started

    seconds(100)

    assert seconds(20_000) < 100.0  # some 0.1 s; what grows with the square would take minutes
