"""A trial's run while its store is down. Nothing of Ray's is needed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from podstack import MLOpsClient
from podstack.integrations.ray_trials import Scope, TrialRun, numbers_of, run_id_of
from podstack.integrations.recording import Recording
from podstack.names import is_id
from podstack.testing.podstack_server import RunningServer


def test_a_run_id_is_made_of_the_trial_and_where_it_belongs() -> None:
    scope = Scope("digits", "tuned")

    assert run_id_of("b7c2f_00003", scope) == run_id_of("b7c2f_00003", Scope("digits", "tuned"))
    assert run_id_of("b7c2f_00003", scope) != run_id_of("b7c2f_00003", Scope("digits", "again"))
    assert run_id_of("b7c2f_00003", scope).startswith("ray-b7c2f_00003-")
    assert is_id(run_id_of("Ä trial of / my own" * 9, scope))


def test_what_ray_adds_to_a_result_is_left_out_and_names_are_flat() -> None:
    result = {"loss": 1, "eval": {"acc": 0.5}, "done": True, "pid": 7, "config": {"x": 1}}

    assert numbers_of({**result, "training_iteration": 3, "note": "text"}) == {
        "loss": 1,
        "eval/acc": 0.5,
    }


def test_what_cannot_be_recorded_while_the_store_is_down_waits_and_keeps_its_order(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with RunningServer(tmp_path / "served") as server:
        thread = ThreadPoolExecutor(1)
        client = MLOpsClient(server.url)
        run = TrialRun(Recording(run_id="r", client=client, capture=()), thread)
        server.kill()
        run.log({"loss": 2.0}, 1)
        run.log({"loss": 1.0}, 2)
        _settle(thread)
        server.restart()
        run.end("failed", "it failed")
        thread.shutdown()
        run.tell_of_rest()
        found = MLOpsClient(server.url).get_run("r")

        assert (found.status, found.error) == ("failed", "it failed")
        assert list(found.metrics["loss"].values) == [2.0, 1.0]
    assert sum("waits for its store" in record.message for record in caplog.records) == 1
    assert not any("are lost" in record.message for record in caplog.records)


def test_what_the_store_never_took_is_told_at_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with RunningServer(tmp_path / "served") as server:
        thread = ThreadPoolExecutor(1)
        run = TrialRun(Recording(run_id="r", client=MLOpsClient(server.url)), thread)
        server.kill()
        run.log({"loss": 2.0}, 1)
        run.end("completed")
        thread.shutdown()
        run.tell_of_rest()

    assert "2 calls for run r are lost" in caplog.text


def test_a_run_that_was_purged_is_told_of_once(
    store: Path, client: MLOpsClient, caplog: pytest.LogCaptureFixture
) -> None:
    with client.start_run(run_id="r"):
        pass
    client.get_run("r").purge()
    thread = ThreadPoolExecutor(1)
    run = TrialRun(Recording(run_id="r", client=MLOpsClient(store)), thread)
    for step in range(3):
        run.log({"loss": 1.0}, step)
    thread.shutdown()

    assert caplog.text.count("was purged") == 1


def _settle(thread: ThreadPoolExecutor) -> None:
    """Until all that was handed to the thread is done."""

    thread.submit(int).result(60)
