"""Many processes on one sweep, for real, and a verdict on what came of it.

Workers are scripts that ask, note what they got in a file of their own before they do anything
else, and complete. What they noted is compared with what the store says.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from podstack.client import MLOpsClient
from podstack.parameters import JsonValue
from podstack.sweeps.records import TrialRecord
from podstack.sweeps.space import SearchSpace
from podstack.sweeps.sweep import Sweep
from podstack.testing.stage import DEADLINE, Child, Stage

_WORKER = """\
import random
noted = open({notes!r}, "ab", buffering=0)
def note(*words):
    import orjson
    noted.write(orjson.dumps(words) + b"\\n")
sweep, begun = client.get_sweep({sweep!r}), 0
print("ready", flush=True)
while not os.path.exists({gate!r}):
    time.sleep(0.005)
while (trial := sweep.suggest(wait={wait})) is not None:
    note("begin", trial.number, trial.flat_params)
    begun += 1
    time.sleep(600 if begun == {stays_at} else random.random() * {work})
    trial.complete({{"loss": sum(map(float, trial.flat_params.values()))}})
    note("end", trial.number)
note("over")
"""


class Noted(NamedTuple):
    """What one worker noted."""

    begun: list[tuple[int, dict[str, Any]]]
    ended: list[int]
    is_over: bool


class Crowd:
    """Workers on one sweep, which begin together once `open` was called.

    Args:
        work: seconds that a trial takes at most.
        wait: seconds that a worker waits for the last trials of others.
    """

    def __init__(self, stage: Stage, sweep: str, *, work: float = 0.0, wait: float = 200.0) -> None:
        self._stage, self._sweep = stage, sweep
        self._work, self._wait = work, wait
        self._gate = stage.folder / "gate"

    def open(self) -> None:
        """Let all begin, and whoever is started from now on."""
        self._gate.touch()

    def start(
        self,
        count: int,
        *,
        first: str = "",
        stays_at: int | None = None,
        deadline: float = DEADLINE,
        environment: Mapping[str, str] | None = None,
    ) -> list[Child]:
        """Start some, and wait until each has found the sweep.

        Args:
            first: see `Stage.start`.
            stays_at: how many trials each of them begins; it never ends the last one.
        """
        new = [
            self._stage.start(
                self._script(stays_at), first=first, deadline=deadline, environment=environment
            )
            for _ in range(count)
        ]
        for worker in new:
            worker.wait_for_word("ready")
        return new

    def _script(self, stays_at: int | None) -> str:
        number = len(self._notes())
        notes = self._stage.folder / f"notes_{number}.jsonl"
        notes.touch()
        return _WORKER.format(
            notes=str(notes),
            gate=str(self._gate),
            sweep=self._sweep,
            wait=self._wait,
            work=self._work,
            stays_at=stays_at,
        )

    def _notes(self) -> list[Path]:
        return sorted(self._stage.folder.glob("notes_*.jsonl"))

    def noted(self) -> list[Noted]:
        return [_read(path) for path in self._notes()]

    def begun(self) -> int:
        """How many trials were begun so far, anywhere."""
        return sum(len(noted.begun) for noted in self.noted())


def _read(path: Path) -> Noted:
    lines = path.read_bytes().split(b"\n")[:-1]
    rows = [orjson.loads(line) for line in lines]
    begun = [(row[1], row[2]) for row in rows if row[0] == "begin"]
    return Noted(begun, [row[1] for row in rows if row[0] == "end"], ["over"] in rows)


class Judged(NamedTuple):
    """What is wrong with a sweep that is over; empty lists where nothing is."""

    not_completed: list[int]  # numbers that are missing, or did not end well
    beyond: list[int]  # numbers past the last one that there may be
    taken_twice: list[int]  # numbers that several workers got, though none of them died
    other_params: list[int]  # numbers whose parameters were not the same each time
    wrong_values: list[int]  # numbers whose value is not what their parameters give


RIGHT = Judged([], [], [], [], [])


def judge(sweep: Sweep, crowd: Crowd, size: int) -> Judged:
    """
    Args:
        size: how many trials there have to be.
    """
    records = {record.number: record for record in sweep.refresh().records()}
    begun = [(number, params) for noted in crowd.noted() for number, params in noted.begun]
    times = Counter(number for number, _ in begun)
    return Judged(
        [n for n in range(1, size + 1) if n not in records or records[n].status != "completed"],
        sorted(number for number in {*records, *times} if not 1 <= number <= size),
        sorted(number for number, count in times.items() if count > 1),
        sorted({n for n, params in begun if n in records and records[n].params != params}),
        [n for n, record in records.items() if record.value != _value(record)],
    )


def _value(record: TrialRecord) -> float:
    return sum(map(float, record.params.values()))


def grid(client: MLOpsClient, size: int) -> Sweep:
    """A sweep over `size` points, each of its own value: size is a multiple of 4."""
    space = {"a": {"values": [*range(0, size, 4)]}, "b": {"values": [0, 1, 2, 3]}}
    return client.create_sweep(None, "grid", space, "loss", direction="minimize", seed=1)


def uncovered(sweep: Sweep, size: int) -> set[float]:
    """The points of `grid` that are missing, or there twice."""
    values = Counter(record.value for record in sweep.records())
    return {point for point in range(size) if values[float(point)] != 1}


def drawn_params(space: SearchSpace, chance: random.Random) -> dict[str, JsonValue]:
    """One draw of every parameter that is there, given those before it."""
    params: dict[str, JsonValue] = {}
    for name in space.drawing_order:
        if space.is_active(name, params):
            params[name] = space.distributions[name].at(chance.random())
    return params
