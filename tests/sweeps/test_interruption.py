"""Ctrl-C and SIGTERM at every moment of a block that notes them: none is lost, nothing is left."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from podstack.sweeps import interruption
from podstack.sweeps.interruption import Interruption, end_is_asked

NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[list[Any]]:
    """Handlers of a program, each of which raises."""
    before = [signal.signal(number, signal.default_int_handler) for number in NUMBERS]
    yield [signal.getsignal(number) for number in NUMBERS]
    for number, handler in zip(NUMBERS, before, strict=True):
        signal.signal(number, handler)


class CtrlC:
    """Ctrl-C before the n-th line of the module that is executed while it is traced."""

    def __init__(self, line: int) -> None:
        self._left = line
        self.sent = False

    def __call__(self, frame: FrameType, event: str, argument: Any) -> CtrlC | None:
        if frame.f_code.co_filename != interruption.__file__:
            return None
        if event == "line" and not self.sent:
            self._left -= 1
            if self._left < 0:
                self.sent = True
                signal.raise_signal(signal.SIGINT)
        return self


@pytest.mark.parametrize("is_asked_before", [False, True])
def test_ctrl_c_at_any_line_of_the_end_is_heard_and_leaves_no_handler_of_ours(
    handlers: list[Any], is_asked_before: bool
) -> None:
    moments = 0
    before = sys.gettrace()
    while True:
        block, ctrl_c = Interruption(), CtrlC(moments)
        block.__enter__()
        if is_asked_before:
            signal.raise_signal(signal.SIGINT)
        try:
            sys.settrace(ctrl_c)
            block.__exit__(None, None, None)
            heard = False
        except KeyboardInterrupt:
            heard = True
        finally:
            sys.settrace(before)

        assert heard == (ctrl_c.sent or is_asked_before), moments
        assert [signal.getsignal(number) for number in NUMBERS] == handlers, moments
        assert not end_is_asked(), moments
        if not ctrl_c.sent:
            break
        moments += 1

    assert moments > len(NUMBERS)


def interrupted(number: signal.Signals, seen: list[bool]) -> None:
    """A block that a signal reaches, and that fails then."""
    with Interruption():
        seen.append(end_is_asked())
        signal.raise_signal(number)
        seen.append(end_is_asked())
        raise ValueError("no such trial")


def test_what_was_asked_for_while_something_failed_happens_all_the_same() -> None:
    with pytest.raises(KeyboardInterrupt) as raised:
        interrupted(signal.SIGINT, [])

    assert isinstance(raised.value.__context__, ValueError)


def test_an_end_is_asked_for_only_while_it_has_not_come() -> None:
    seen = [end_is_asked()]
    with pytest.raises(KeyboardInterrupt):
        interrupted(signal.SIGTERM, seen)
    seen.append(end_is_asked())

    assert seen == [False, False, True, False]
