"""A sweep in processes of this machine: `MLOpsClient.run_sweep`.

This process hands out leave to take a trial, tells how it goes, and replaces workers that die; the
trials themselves come from the sweep's ledger, so that other pools, agents and loops may work on
the same sweep meanwhile.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from podstack.clock import monotonic
from podstack.errors import TrialsFailedError, UsageError
from podstack.names import FAILED, short
from podstack.sweeps.failures import MOST, Failures, last_line
from podstack.sweeps.hand import Hand, begun, context_for
from podstack.sweeps.interruption import Interruption
from podstack.sweeps.telling import Bar, say_best
from podstack.sweeps.worker import (
    GRACE,
    LEAVE,
    TAKE,
    Broken,
    Ended,
    Function,
    Here,
    Nothing,
    Ready,
    Stop,
    Took,
    Word,
    play,
    takes_run,
)

if TYPE_CHECKING:
    from podstack.client import MLOpsClient
    from podstack.sweeps.sweep import Sweep
    from podstack.sweeps.trial import Trial

_LOOK = 0.25  # seconds between two looks at the terminal and for Ctrl-C
_KILLS_A_TRIAL = 3  # workers that a trial may take with it


def run_sweep(
    client: MLOpsClient,
    sweep: str | Sweep,
    function: Function,
    workers: int = 4,
    *,
    max_trials: int | None = None,
) -> Sweep:
    """Run trials of a sweep on this machine until there is none left to take.

    Args:
        sweep: its id or name, or the sweep.
        function: called as `function(trial, run)`, or as `function(trial)` if it takes one
            argument. The trial is a mapping of the parameters; the run is open, has them logged,
            and is ended afterwards. It may return the value of the objective, or metrics by name,
            or None where it logs the objective into the run itself.
        workers: processes. With 1 the function is called in this process.
        max_trials: how many trials this call takes at most. Default: as many as there are.

    Returns:
        The sweep.

    A function that raises fails its trial, with the traceback. A worker that dies loses nothing
    but its trial, which is offered again, three times at most; another worker takes its place.
    After Ctrl-C or SIGTERM the trials that ran are offered again and their runs are `killed`;
    Ctrl-C again ends all at once.

    Raises:
        TrialsFailedError: the first five trials failed, or workers only die.
        UsageError: the function cannot be called so, or cannot be sent to another process.
        NotFoundError: no such sweep.
        BackendError: the store does not answer.
    """
    whole_number("workers", workers)
    if max_trials is not None:
        whole_number("max_trials", max_trials)
    takes_run(function)
    _check_guard()
    found = client.get_sweep(sweep) if isinstance(sweep, str) else sweep
    bar = Bar(found)
    try:
        if workers == 1 or client._store.disabled:  # which no other process could know
            _alone(client, found, function, max_trials, bar)
        else:
            Pool(client, found, function, workers, max_trials, bar).run()
    finally:
        bar.close()
    say_best(found.refresh())
    return found


def whole_number(name: str, value: object) -> None:
    """
    Raises:
        UsageError: it is none above 0.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError(f"{name} is a whole number from 1, not {short(value)}.")


def _check_guard() -> None:
    """
    Raises:
        UsageError: a worker imports the script, which starts workers.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise UsageError(
            "A worker imports your script, and that calls run_sweep again. Put the call below "
            'if __name__ == "__main__":, so that only the script itself makes it.'
        )


# In this process -------------------------------------------------------------------------------


def _alone(
    client: MLOpsClient, sweep: Sweep, function: Function, most: int | None, bar: Bar
) -> None:
    failures, count = Failures(sweep.name, "the function"), 0
    while (most is None or count < most) and (trial := _taken(sweep)) is not None:
        ended = play(client, sweep, trial, function, Stop())
        count += 1
        bar.ended(ended.number, ended.status, ended.value, _reason(ended))
        failures.note(ended.status, ended.error)
        bar.show()


def _taken(sweep: Sweep) -> Trial | None:
    """The next trial. Ctrl-C meanwhile gives it back: this process may live on with it."""
    trial = None
    try:
        with Interruption():
            trial = sweep.suggest()
    except KeyboardInterrupt:
        if trial is not None:
            trial.release()
        raise
    return trial


def _reason(ended: Ended) -> str | None:
    return None if ended.error is None else last_line(ended.error)


# In others -------------------------------------------------------------------------------------


class Pool:
    """The workers of one `run_sweep`."""

    def __init__(
        self,
        client: MLOpsClient,
        sweep: Sweep,
        function: Function,
        workers: int,
        most: int | None,
        bar: Bar,
    ) -> None:
        self._settings = client._store.portable_settings
        self._sweep, self._function = sweep, function
        self._wanted = workers if most is None else min(workers, most)
        self._left = most  # trials that may still be taken; None: any number
        self._bar = bar
        self._context = context_for(function)
        self._hands: list[Hand] = []
        self._idle: set[Hand] = set()  # there was nothing for them when they asked last
        self._failures = Failures(sweep.name, "the function")
        self._killed_by: Counter[int] = Counter()  # workers, by the trial they had
        self._deaths = 0  # since the last trial that ended

    def run(self) -> None:
        """Return once there is nothing left to take and nothing runs.

        Raises: as `run_sweep`.
        """
        with Interruption() as interruption:
            try:
                self._start()
                while not interruption.is_asked() and not self._is_done():
                    self._look(interruption)
                    self._bar.show()
                if interruption.is_asked():
                    self._bar.told("interrupted: the trials that run are offered again")
            finally:
                self._end(interruption)

    def _is_done(self) -> bool:
        return all(hand.is_free for hand in self._hands) and not self._can_ask()

    def _can_ask(self) -> bool:
        return self._left != 0 and any(
            hand.is_free and hand not in self._idle for hand in self._hands
        )

    def _look(self, interruption: Interruption) -> None:
        """Hear what the workers say, and see which have died, unless Ctrl-C ends them anyway."""
        waited = [each for h in self._hands for each in (h.connection, h.process.sentinel)]
        wait(waited, _LOOK)
        if interruption.is_asked():
            return
        for hand in list(self._hands):
            is_gone = hand.is_gone  # looked at before its last words
            for word in hand.words():
                self._heard(hand, word)
            if is_gone:
                self._died(hand)
        self._ask()

    def _ask(self) -> None:
        for hand in self._hands:
            if self._left != 0 and hand.is_free and hand not in self._idle:
                self._left = None if self._left is None else self._left - 1
                hand.asked = True
                hand.say(TAKE)

    def _heard(self, hand: Hand, word: Word) -> None:
        if isinstance(word, Here):
            hand.say(self._function)
        elif isinstance(word, Ready):
            hand.began = True
        elif isinstance(word, Nothing):
            hand.asked = False
            self._idle.add(hand)
            self._give_back()
        elif isinstance(word, Took):
            hand.asked, hand.trial = False, word.number
        elif isinstance(word, Ended):
            self._ended(hand, word)
        elif isinstance(word, Broken):
            raise word.error

    def _ended(self, hand: Hand, word: Ended) -> None:
        hand.trial, self._deaths = None, 0
        self._idle.clear()
        self._bar.ended(word.number, word.status, word.value, _reason(word))
        self._failures.note(word.status, word.error)

    def _give_back(self) -> None:
        """A trial that was asked for did not come, or is offered again."""
        self._left = None if self._left is None else self._left + 1

    # Workers that come and go --------------------------------------------------------------

    def _start(self) -> None:
        while len(self._hands) < self._wanted:
            name = f"podstack-worker-{len(self._hands)}"
            self._hands.append(
                begun(self._context, name, self._settings, self._sweep.id, self._function)
            )

    def _died(self, hand: Hand) -> None:
        self._hands.remove(hand)
        self._idle.discard(hand)
        hand.process.join()
        hand.connection.close()
        self._deaths += 1
        if not hand.began and not any(other.began for other in self._hands):
            raise TrialsFailedError(
                f"A worker ended before it began: {hand.why()}. What it printed says why."
            )
        if hand.asked or hand.trial is not None:
            self._give_back()
        if hand.trial is not None:
            self._lost(hand, hand.trial)
        if self._deaths >= MOST:
            raise TrialsFailedError(
                f"{MOST} workers in a row died, the last one {hand.why()}. Start fewer "
                "workers if memory is short, or try with workers=1 to see what happens."
            )
        self._start()

    def _lost(self, hand: Hand, number: int) -> None:
        self._killed_by[number] += 1
        self._idle.clear()  # it is there to be taken again
        if self._killed_by[number] < _KILLS_A_TRIAL:
            self._bar.told(f"the worker of trial {number} died: {hand.why()}; it is offered again")
            return
        error = f"Its worker died {_KILLS_A_TRIAL} times, the last one {hand.why()}."
        self._sweep.complete(str(number), status=FAILED, error=error)
        self._ended(hand, Ended(number, FAILED, None, error))

    def _end(self, interruption: Interruption) -> None:
        """Let the workers go: those that have a trial are interrupted, and in the end killed."""
        for hand in self._hands:
            if hand.is_free and not interruption.is_asked():
                hand.say(LEAVE)
            else:
                hand.process.terminate()
        deadline = monotonic() + GRACE
        while alive := [hand for hand in self._hands if not hand.is_gone]:
            if interruption.at_once or monotonic() > deadline:
                for hand in alive:
                    hand.process.kill()
            for hand in alive:
                hand.wake()
            wait([hand.process.sentinel for hand in alive], _LOOK)
        for hand in self._hands:
            hand.process.join()
            hand.connection.close()
        self._hands.clear()
