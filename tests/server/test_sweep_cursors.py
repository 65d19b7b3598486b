"""A sweep's cursor: who has it is told what is new, by any server, and nothing twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podstack import MLOpsClient
from podstack.names import COMPLETED, RUNNING
from podstack.server.sweep_cursors import Printer, cursor_of, news
from podstack.server.sweep_readers import Seen
from podstack.sweeps.records import TrialRecord
from podstack.sweeps.sweep import Sweep
from podstack.testing.podstack_server import RunningServer
from podstack.testing.raw_http import ask

FACTS = {"status": "running"}


def cursor(trials: list[TrialRecord], facts: dict[str, str] = FACTS) -> str:
    return cursor_of(facts, trials, Printer().prints(trials))


def told(since: str, trials: list[TrialRecord]) -> list[int] | None:
    found = news(since, trials, Printer().prints(trials))
    return None if found is None else [trial.number for trial in found]


def over(number: int, value: float = 0.5) -> TrialRecord:
    return TrialRecord(number, {"x": number}, COMPLETED, value)


@given(
    before=st.dictionaries(st.integers(1, 80), st.booleans()),
    after=st.dictionaries(st.integers(1, 80), st.booleans()),
)
def test_what_runs_or_ended_since_is_told_and_what_did_not_change_is_not(
    before: dict[int, bool], after: dict[int, bool]
) -> None:
    def records(known: dict[int, bool]) -> list[TrialRecord]:
        return [over(n) if known[n] else TrialRecord(n, status=RUNNING) for n in sorted(known)]

    ended = {**before, **{n: is_over or before.get(n, False) for n, is_over in after.items()}}
    changed = [n for n in sorted(ended) if ended[n] != before.get(n)]

    assert told(cursor(records(before)), records(ended)) == changed


def test_a_result_that_changes_after_all_is_told_with_the_trials_of_its_block() -> None:
    trials = [over(number) for number in range(1, 101)]
    since = cursor(trials)
    trials[70] = over(71, value=0.1)  # an ending with a smaller stamp arrived late

    assert told(since, trials) == list(range(64, 96))  # 32 of them, from 64 on


def test_the_cursor_of_ten_thousand_trials_fits_into_an_address() -> None:
    trials = [over(number) for number in range(1, 10_001)]
    for at in range(0, 10_000, 625):
        trials[at] = TrialRecord(at + 1)

    assert len(cursor(trials)) < 3_000
    assert told(cursor(trials), trials) == []


def test_a_cursor_stays_short_however_many_trials_run() -> None:
    trials = [TrialRecord(number) for number in range(1, 5_001)]
    since = cursor(trials)
    trials[0] = over(1)

    assert len(since) < 6_100
    assert 1 in (told(since, trials) or ())
    assert len(told(since, trials) or ()) <= 16


def test_other_facts_make_another_cursor_of_the_same_trials() -> None:
    trials = [over(1)]

    assert cursor(trials) != cursor(trials, {"status": "stopped"})
    assert told(cursor(trials), trials) == []


@pytest.mark.parametrize(
    "odd",
    [
        "",
        "12",
        "x" * 2000,
        "AAAAAAAA1aBBBBBBB",
        "AAAAAAAA5cBBBBBBBB6aBBBBBBBB",
        "AAAAAAAA1zBBBBBBBB",
    ],
)
def test_what_is_no_cursor_knows_nothing(odd: str) -> None:
    assert told(odd, [over(1)]) is None


def test_what_is_computed_is_kept_for_the_trials_that_ended_and_not_for_their_number() -> None:
    def ended(*trials: TrialRecord) -> int:
        return Seen(cast(Any, None), False, None, list(trials), 9, Printer()).ended

    before = ended(over(1), over(2), TrialRecord(3))
    assert ended(over(1), over(2), TrialRecord(3, {"x": 1}), TrialRecord(4)) == before
    assert ended(over(1), over(2, value=0.1), TrialRecord(3)) != before


# Over HTTP -----------------------------------------------------------------------------------


def asked(server: RunningServer, sweep: Sweep, since: str = "") -> tuple[int, Any]:
    found = ask(
        server.port, "GET", f"/api/v1/projects/default/sweeps/{sweep.id}?since={quote(since)}"
    )
    return found.status, orjson.loads(found.body) if found.body else None


def until_new(server: RunningServer, sweep: Sweep, since: str) -> Any:
    """The first answer that is not 204: a server looks at a store once a second."""
    for _ in range(2000):
        status, found = asked(server, sweep, since)
        if status != 204:
            return found
    raise AssertionError("nothing new is told")


def test_two_servers_in_turn_tell_only_what_is_new(tmp_path: Path) -> None:
    client = MLOpsClient(tmp_path / "store")
    space = {"x": {"min": 0.0, "max": 1.0}}
    sweep = client.create_sweep(client.create_experiment("e").id, "random", space, "loss", 9)
    for value in (0.3, 0.2, float("nan"), 0.4):
        trial = sweep.suggest()
        assert trial is not None
        trial.report(value, 1)
        trial.complete({"loss": value})
    running = sweep.suggest()
    assert running is not None
    one, other = (
        RunningServer(tmp_path / "store", environment={"PODSTACK_CACHE": str(tmp_path / name)})
        for name in ("one", "other")
    )
    with one, other:
        _, whole = asked(one, sweep)
        assert (whole["whole"], len(whole["trials"])) == (True, 5)
        assert asked(other, sweep, whole["cursor"]) == (204, None)
        running.complete({"loss": 0.1})
        sweep.suggest()
        found = until_new(other, sweep, whole["cursor"])
        if [one["number"] for one in found["trials"]] == [5]:  # looked between the two
            found = until_new(one, sweep, found["cursor"])
        assert (found["whole"], found["best"]) == (False, 5)
        assert "parameters" not in found
        assert {one["number"] for one in found["trials"]} <= {5, 6}
        sweep.stop("enough")
        stopped = until_new(one, sweep, found["cursor"])
        assert (stopped["status"], stopped["trials"]) == ("stopped", [])
        assert asked(other, sweep, "of an older server")[1]["whole"] is True
