"""The client: experiments by name, runs by id, and nothing made by a typo."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from podstack import Experiment, MLOpsClient, NotFoundError, Run, UsageError, WrongTypeError
from podstack.clock import now
from podstack.testing.stage import DEADLINE, Stage
from podstack.testing.store_files import stored


def wait_for_the_next_millisecond() -> None:
    """Creation times are kept to the millisecond."""
    start = int(now() * 1000)
    while int(now() * 1000) == start:
        pass


def test_making_a_client_touches_nothing(store: Path, tmp_path: Path) -> None:
    client = MLOpsClient(store, project="vision")
    client.list_experiments()
    client.list_runs()

    assert list(tmp_path.iterdir()) == []
    assert client.uri == str(store)
    assert repr(client) == f"MLOpsClient({str(store)!r}, project='vision', mode='online')"


def test_a_new_store_says_its_format_and_has_an_id_of_its_own(tmp_path: Path) -> None:
    stores = [tmp_path / "a", tmp_path / "b"]
    for store in stores:
        MLOpsClient(store).create_experiment("e")
        MLOpsClient(store).create_experiment("f")

    facts = [orjson.loads((store / "podstack.json").read_bytes()) for store in stores]
    assert [fact["podstack"] for fact in facts] == [1, 1]
    assert facts[0]["store"] != facts[1]["store"]


def test_two_projects_of_one_store_know_nothing_of_each_other(store: Path) -> None:
    vision, text = MLOpsClient(store, project="vision"), MLOpsClient(store, project="text")
    vision.create_experiment("digits")
    with vision.start_run(run_id="r"):
        pass

    assert text.list_experiments(status="all") == []
    assert text.list_runs() == []
    with pytest.raises(NotFoundError):
        text.get_run("r")


# Experiments -------------------------------------------------------------------------------


def test_creating_an_experiment_twice_gives_the_same_one(client: MLOpsClient, store: Path) -> None:
    first = client.create_experiment("Digits, again!", "handwritten", tags=["mnist"])
    before = stored(store)
    second = client.create_experiment("Digits, again!")

    assert second.id == first.id
    assert stored(store) == before
    assert (second.name, second.description, second.tags) == (
        "Digits, again!",
        "handwritten",
        ["mnist"],
    )


def test_description_and_tags_that_are_given_are_set_on_an_existing_experiment(
    client: MLOpsClient,
) -> None:
    client.create_experiment("digits", "old", tags="a")
    experiment = client.create_experiment("digits", "new", tags=["b"])

    assert (experiment.description, experiment.tags) == ("new", ["a", "b"])


def test_a_deleted_experiment_comes_back_when_it_is_created_again(client: MLOpsClient) -> None:
    client.create_experiment("digits").delete()
    assert client.list_experiments() == []

    client.create_experiment("digits")
    assert [experiment.name for experiment in client.list_experiments()] == ["digits"]


def test_one_name_has_one_id_in_every_store(tmp_path: Path) -> None:
    names = ["digits", "Digits", "digits!", "损失", "x" * 60]
    ids = [
        [MLOpsClient(tmp_path / store).create_experiment(name).id for name in names]
        for store in ("a", "b")
    ]

    assert ids[0] == ids[1]
    assert len(set(ids[0])) == len(names)


def test_two_processes_that_create_one_name_at_once_get_one_experiment(
    stage: Stage, client: MLOpsClient
) -> None:
    script = """
        print("ready", flush=True)
        while not os.path.exists("go"):
            pass
        print(client.create_experiment("Digits!").id)
    """
    children = [stage.start(script) for _ in range(2)]
    for child in children:
        child.wait_for_word("ready")
    (stage.store.parent / "go").touch()
    ids = {child.wait().out.split()[-1] for child in children}

    found = client.list_experiments()
    assert {experiment.id for experiment in found} == ids
    assert [experiment.name for experiment in found] == ["Digits!"]


def test_an_experiment_is_found_by_its_id_its_name_and_its_new_name(client: MLOpsClient) -> None:
    experiment = client.create_experiment("Digits!")
    assert client.get_experiment("Digits!").id == experiment.id
    assert client.get_experiment(experiment.id).name == "Digits!"

    experiment.update(name="Numbers")
    assert client.get_experiment("Numbers").id == experiment.id
    assert client.get_experiment(experiment.id).name == "Numbers"


def test_an_unknown_experiment_is_an_error_that_names_the_nearest_and_makes_nothing(
    client: MLOpsClient, store: Path
) -> None:
    client.create_experiment("digits")
    client.create_experiment("cifar")
    before = stored(store)

    with pytest.raises(
        NotFoundError, match=r"'digts' \(nearest of 2: digits\).*create_experiment\('digts'\)"
    ):
        client.get_experiment("digts")
    with pytest.raises(NotFoundError, match="nearest of 2: digits"):
        client.start_run(experiment_id="digts")
    with pytest.raises(NotFoundError, match="nearest of 2: digits"):
        client.list_runs("digts")
    assert stored(store) == before


def test_a_typo_does_not_even_make_a_store(client: MLOpsClient, store: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no experiment yet"):
        client.start_run(experiment_id="digits")
    with pytest.raises(NotFoundError, match="there is no run yet"):
        client.start_run(parent_run_id="r")

    assert not store.exists()


def test_an_error_about_a_name_of_a_megabyte_is_short(client: MLOpsClient) -> None:
    client.create_experiment("x" * 1_000)
    for call in (client.get_experiment, client.list_runs):
        with pytest.raises(NotFoundError) as caught:
            call("y" * 1_000)
        assert len(str(caught.value)) < 2_000
    with pytest.raises(NotFoundError) as missing:
        client.get_run("y" * 1_000_000)
    assert len(str(missing.value)) < 2_000


def test_experiments_are_listed_by_text_status_and_tags(client: MLOpsClient) -> None:
    client.create_experiment("Digits", "handwritten", tags=["mnist", "small"])
    client.create_experiment("cifar", "PICTURES of digits", tags=["small"])
    client.create_experiment("old").archive()
    client.create_experiment("gone").delete()
    done = client.create_experiment("done")
    with client.start_run(done.id):
        pass

    def names(**filters: object) -> list[str]:
        found = client.list_experiments(**filters, sort="name")  # type: ignore[arg-type]
        return [experiment.name for experiment in found]

    assert names() == ["Digits", "cifar"]
    assert names(status="completed") == ["done"]
    assert names(status="archived") == ["old"]
    assert names(status="all") == ["Digits", "cifar", "done", "old"]
    assert names(search="DIGITS") == ["Digits", "cifar"]
    assert names(search="handw") == ["Digits"]
    assert names(search="nothing") == []
    assert names(tags="small") == ["Digits", "cifar"]
    assert names(tags=["small", "mnist"]) == ["Digits"]
    assert names(tags=["mnist", "other"]) == []


def test_experiments_are_sorted_by_name_or_by_when_they_were_created(client: MLOpsClient) -> None:
    for name in ("b", "c", "a"):
        client.create_experiment(name)
        wait_for_the_next_millisecond()

    def names(sort: str) -> str:
        return "".join(experiment.name for experiment in client.list_experiments(sort=sort))

    assert "".join(experiment.name for experiment in client.list_experiments()) == "acb"
    assert [names(sort) for sort in ("name", "-name", "created", "-created")] == [
        "abc",
        "cba",
        "bca",
        "acb",
    ]


def test_an_unknown_status_or_order_is_refused_and_the_known_ones_are_named(
    client: MLOpsClient,
) -> None:
    with pytest.raises(UsageError, match="active, completed, archived or all, not 'done'"):
        client.list_experiments(status="done")
    with pytest.raises(UsageError, match=r"name or created.*not 'size'"):
        client.list_experiments(sort="size")


# Runs --------------------------------------------------------------------------------------


def test_a_run_starts_in_an_experiment_by_id_by_name_or_as_it_is(client: MLOpsClient) -> None:
    experiment = client.create_experiment("Digits!")
    runs = [
        client.start_run(experiment.id),
        client.start_run(experiment_id="Digits!"),
        client.start_run(experiment="Digits!"),
        client.start_run(experiment=experiment.id),
        client.start_run(experiment=experiment),
    ]
    for run in runs:
        run.finish()

    assert [run.experiment_id for run in runs] == [experiment.id] * 5
    assert [run.id for run in experiment.list_runs()] == [run.id for run in runs]


def test_experiment_and_experiment_id_are_not_given_together(
    client: MLOpsClient, store: Path
) -> None:
    client.create_experiment("digits")
    before = stored(store)

    with pytest.raises(UsageError, match="not both"):
        client.start_run(experiment_id="digits", experiment="digits")
    assert stored(store) == before


def test_without_an_experiment_a_run_goes_into_the_one_named_default(client: MLOpsClient) -> None:
    with client.start_run() as run:
        pass

    assert client.get_experiment("default").id == run.experiment_id == "default"


def test_a_run_starts_with_its_name_tags_and_parameters(client: MLOpsClient, store: Path) -> None:
    with client.start_run(name="first try", tags=["a", "b"], params={"opt": {"lr": 0.1}}) as run:
        other = MLOpsClient(store).get_run(run.id)

        assert (other.name, other.tags, other.params) == (
            "first try",
            ["a", "b"],
            {"opt/lr": 0.1},
        )


def test_a_run_without_a_name_gets_a_readable_one_that_its_id_decides(
    client: MLOpsClient, tmp_path: Path
) -> None:
    with client.start_run(run_id="r1") as run, MLOpsClient(tmp_path / "b").start_run(
        run_id="r1"
    ) as twin, client.start_run(run_id="r2") as other:  # fmt: skip
        assert run.name == twin.name
        assert run.name != other.name
        assert [part.isalnum() for part in run.name.split("-")] == [True] * 3


def test_an_id_reads_as_the_time_and_two_are_never_the_same(client: MLOpsClient) -> None:
    runs = [client.start_run() for _ in range(20)]
    for run in runs:
        run.finish()

    assert len({run.id for run in runs}) == 20
    assert all(len(run.id.split("-")) == 3 and run.id[:8].isdigit() for run in runs)


def test_the_user_of_a_run_is_the_one_of_the_environment(
    client: MLOpsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PODSTACK_USER", "ada <ada@example.org>")
    with client.start_run() as run:
        assert run.user == "ada <ada@example.org>"


def test_a_run_of_ones_own_id_is_resumed_and_its_steps_go_on(
    client: MLOpsClient, store: Path
) -> None:
    with client.start_run(run_id="mine", name="first", params={"lr": 1}) as run:
        run.log_metrics({"x": 0}, step=41)
        created = run.created
    with MLOpsClient(store).start_run(run_id="mine", params={"batch": 2}) as again:
        again.log_metrics({"x": 1})
        assert again.status == "running"

    other = client.get_run("mine")
    assert list(other.metrics["x"].steps) == [41, 42]
    assert (other.name, other.created, other.params) == ("first", created, {"lr": 1, "batch": 2})
    assert other.experiment_id == "default"
    assert other.status == "completed"


def test_a_resumed_run_may_be_moved_to_another_experiment(client: MLOpsClient) -> None:
    client.create_experiment("digits")
    with client.start_run(run_id="r"):
        pass
    with client.start_run("digits", run_id="r", name="renamed"):
        pass

    assert client.get_run("r").experiment_id == "digits"
    assert client.get_run("r").name == "renamed"


def test_resuming_clears_how_the_run_ended_before(client: MLOpsClient) -> None:
    with pytest.raises(ZeroDivisionError), client.start_run(run_id="r"):
        1 / 0  # noqa: B018
    run = client.get_run("r")
    run.request_stop()
    run.delete()
    assert (run.status, run.deleted) == ("failed", True)
    assert "ZeroDivisionError" in (run.error or "")
    assert run.ended is not None

    with client.start_run(run_id="r") as again:
        assert (again.status, again.error, again.ended) == ("running", None, None)
        assert (again.deleted, client.get_run("r").should_stop) == (False, False)


@pytest.mark.parametrize("last_words", ["os._exit(1)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_run_whose_process_was_killed_is_resumed_after_its_last_step(
    stage: Stage, client: MLOpsClient, last_words: str
) -> None:
    ended = stage.play(f"""
        run = client.start_run(run_id="r")
        for step in range(100):
            run.log_metrics({{"x": step}})
        {last_words}
    """)
    assert ended.code != 0
    lost = client.get_run("r")
    assert lost.status == "failed"
    assert lost.lost_since is not None

    with client.start_run(run_id="r") as run:
        run.log_metrics({"x": 100})
        assert run.status == "running"
    assert list(client.get_run("r").metrics["x"].steps) == list(range(101))
    assert client.get_run("r").status == "completed"
    assert client.get_run("r").lost_since is None


def test_a_purged_run_does_not_come_back(client: MLOpsClient, store: Path) -> None:
    with client.start_run(run_id="r") as run:
        run.log_metrics({"x": 1})
    run.flush()
    run.purge()
    before = stored(store)

    with pytest.raises(UsageError, match="r was purged and cannot come back"):
        MLOpsClient(store).start_run(run_id="r")
    with pytest.raises(NotFoundError):
        client.get_run("r")
    assert stored(store) == before


def test_a_run_is_nested_in_its_parent(client: MLOpsClient, store: Path) -> None:
    with client.start_run() as parent, client.start_run(parent_run_id=parent.id) as child:
        pass

    other = MLOpsClient(store)
    assert other.get_run(child.id).parent_run_id == parent.id
    assert other.get_run(parent.id).parent_run_id is None


def test_an_unknown_run_is_an_error_that_names_the_nearest(client: MLOpsClient) -> None:
    with client.start_run(run_id="first-run"), client.start_run(run_id="other"):
        pass

    with pytest.raises(NotFoundError) as caught:
        client.get_run("frst-run")
    assert str(caught.value) == "No run 'frst-run' (nearest of 2: first-run)."
    for wanted in ("frst-run", "First-Run", "../first-run"):
        with pytest.raises(NotFoundError, match="nearest of 2: first-run"):
            client.get_run(wanted)
    with pytest.raises(NotFoundError, match="nearest of 2: first-run"):
        client.start_run(parent_run_id="frst-run")
    with pytest.raises(WrongTypeError, match="run id is a string, not 5"):
        client.get_run(5)  # type: ignore[arg-type]


def test_runs_are_listed_oldest_first_without_what_is_deleted(client: MLOpsClient) -> None:
    client.create_experiment("a")
    client.create_experiment("b")
    for run_id, experiment in [("z", "a"), ("y", "b"), ("x", "a"), ("w", "a")]:
        with client.start_run(experiment, run_id=run_id):
            pass
    client.get_run("w").delete()

    def listed(experiment: str | Experiment | None = None) -> list[str]:
        return [run.id for run in client.list_runs(experiment)]

    assert listed() == ["z", "y", "x"]
    assert listed("a") == listed(client.get_experiment("a")) == ["z", "x"]
    client.get_experiment("a").delete()
    assert listed() == ["y"]
    client.get_experiment("a").restore()
    client.get_run("w").restore()
    assert listed() == ["z", "y", "x", "w"]


def test_a_client_may_be_shared_between_threads(client: MLOpsClient) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def train(number: int) -> Run:
        with client.start_run("default", run_id=f"r{number}") as run:
            run.log_metrics({"x": number})
        return run

    client.create_experiment("default")
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(train, range(16), timeout=DEADLINE))

    assert [run.metrics["x"].last for run in runs] == list(range(16))
    assert len(client.list_runs()) == 16


# Stores that are not what they should be ---------------------------------------------------


@pytest.mark.parametrize("version", ["2", "99", '"1"', "null"])
def test_a_store_of_another_format_is_refused_and_left_as_it_is(
    client: MLOpsClient, store: Path, version: str
) -> None:
    store.mkdir()
    (store / "podstack.json").write_text(f'{{"podstack": {version}, "store": "x"}}')
    before = stored(store)

    for call in (client.start_run, lambda: client.create_experiment("e")):
        with pytest.raises(UsageError, match=r"says format .*reads format 1.*Upgrade podstack"):
            call()
    assert stored(store) == before


@pytest.mark.parametrize("content", [b"", b"{", b"\x00" * 60, b"[]", b"{}", b"\xff"])
def test_a_damaged_podstack_json_is_told_and_left_as_it_is(
    client: MLOpsClient, store: Path, content: bytes
) -> None:
    store.mkdir()
    (store / "podstack.json").write_bytes(content)

    with pytest.raises(UsageError, match=r"check that podstack\.json is one"):
        client.start_run()
    assert stored(store) == {"podstack.json": content}
