"""An experiment: its state, putting it away, deleting it, and its history."""

from __future__ import annotations

from pathlib import Path

import pytest

from podstack import MLOpsClient, UsageError, WrongTypeError
from podstack.clock import now
from podstack.testing.store_files import stored


def test_an_experiment_is_active_until_it_has_runs_of_which_none_is_running(
    client: MLOpsClient,
) -> None:
    experiment = client.create_experiment("digits")
    assert experiment.status == "active"

    first, second = client.start_run("digits"), client.start_run("digits")
    assert experiment.status == "active"
    first.finish()
    assert experiment.status == "active"
    second.finish("failed")
    assert experiment.status == "completed"
    with client.start_run("digits"):
        assert experiment.status == "active"


def test_an_archived_experiment_comes_back_with_its_runs(client: MLOpsClient, store: Path) -> None:
    experiment = client.create_experiment("digits")
    with client.start_run("digits") as run:
        pass
    experiment.archive()

    other = MLOpsClient(store).get_experiment("digits")
    assert (other.status, other.archived) == ("archived", True)
    assert [found.id for found in other.list_runs()] == [run.id]
    other.restore()
    assert (experiment.status, experiment.archived) == ("completed", False)


def test_a_deleted_experiment_is_hidden_with_its_runs_and_comes_back_with_them(
    client: MLOpsClient,
) -> None:
    experiment = client.create_experiment("digits")
    with client.start_run("digits") as run:
        run.log_metrics({"x": 1})
    experiment.delete()
    assert client.list_experiments(status="all") == []
    assert client.list_runs() == []
    assert experiment.deleted

    experiment.restore()
    assert [found.id for found in client.list_experiments(status="all")] == ["digits"]
    assert [found.metrics["x"].last for found in client.list_runs()] == [1]


def test_purging_removes_all_runs_for_good_hidden_ones_too_and_no_others(
    client: MLOpsClient, store: Path
) -> None:
    client.create_experiment("other")
    experiment = client.create_experiment("digits")
    with client.start_run("other", run_id="kept") as kept:
        kept.log_metrics({"x": 1})
    for run_id in ("seen", "hidden"):
        with client.start_run("digits", run_id=run_id) as run:
            run.log_metrics({"x": 1})
    client.get_run("hidden").delete()
    experiment.purge()

    assert {key.split("/")[3] for key in stored(store) if "/runs/" in key} == {"kept"}
    assert [found.id for found in client.list_experiments(status="all")] == ["other"]
    assert client.get_run("kept").metrics["x"].last == 1


def test_an_update_changes_what_is_given_and_nothing_else(client: MLOpsClient, store: Path) -> None:
    experiment = client.create_experiment("digits", "old", tags=["a", "b"])
    experiment.update(name="Numbers")
    experiment.update(tags=["b", "c"])

    other = MLOpsClient(store).get_experiment(experiment.id)
    assert (other.id, other.name, other.description, other.tags) == (
        "digits",
        "Numbers",
        "old",
        ["b", "c"],
    )
    experiment.update(description="", tags=())
    assert (other.description, other.tags) == ("", [])
    before = stored(store)
    experiment.update()
    assert stored(store) == before


def test_a_wrong_update_changes_nothing(client: MLOpsClient, store: Path) -> None:
    experiment = client.create_experiment("digits")
    before = stored(store)

    with pytest.raises(UsageError, match="experiment name"):
        experiment.update(name="", description="new")
    with pytest.raises(WrongTypeError, match="description"):
        experiment.update(name="new", description=5)  # type: ignore[arg-type]
    with pytest.raises(WrongTypeError, match="Tags"):
        experiment.update(name="new", tags=5)  # type: ignore[arg-type]
    assert stored(store) == before


def test_the_history_of_a_fact_has_every_value_it_had(client: MLOpsClient, store: Path) -> None:
    experiment = client.create_experiment("a")
    for name in ("b", "c"):
        experiment.update(name=name)

    history = MLOpsClient(store).get_experiment("a").history("name")
    assert [change.value for change in history] == ["a", "b", "c"]
    assert history[0].stamp < history[1].stamp < history[2].stamp


def test_the_last_of_two_editors_who_saw_each_other_wins(client: MLOpsClient, store: Path) -> None:
    ada = client.create_experiment("a")
    bob = MLOpsClient(store).get_experiment("a")
    for i in range(20):
        ada.update(description=f"ada {i}")
        bob.update(description=f"bob {i}")

        assert ada.description == bob.description == f"bob {i}"


def test_an_experiment_knows_when_it_was_created(client: MLOpsClient) -> None:
    before = now()
    experiment = client.create_experiment("a")
    created = experiment.created
    experiment.update(name="b")

    assert before - 0.001 <= created <= now()
    assert experiment.created == created


def test_an_empty_list_says_that_there_are_others(client: MLOpsClient) -> None:
    client.create_experiment("digits").archive()

    assert repr(client.list_experiments()) == (
        "no experiments (1 of another status: ask for status all)"
    )
    assert repr(client.list_experiments(search="other")) == "no experiments"
