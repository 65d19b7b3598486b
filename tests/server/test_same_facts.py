"""Whoever is asked, a run is the same: a small store of odd values, each fact asked everywhere.

What a run says of itself when all of it is read is what the index, the server, the command line and
the exports have to say too, with no figure of its own making.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from math import inf, nan
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import orjson
import pytest
from typer.testing import CliRunner

from podstack import MLOpsClient
from podstack.cli.app import app
from podstack.export import export_runs
from podstack.index.wire import plain, run_out
from podstack.stored_run import StoredRun
from podstack.testing.podstack_server import RunningServer
from podstack.testing.raw_http import ask
from podstack.testing.stage import DEADLINE

Facts = Mapping[str, Any]
Told = Mapping[str, Facts]

_FACTS = (
    "name", "status", "lost_since", "experiment_id", "user", "created", "ended", "tags", "notes",
    "error", "deleted",
)  # fmt: skip
_PARAMS: dict[str, Any] = {
    "nan": nan, "inf": inf, "yes": True, "one": 1, "one_as_float": 1.0, "one_as_text": "1",
    "nan_as_text": "NaN", "2^63": 1 << 63, "2^53+1": (1 << 53) + 1, "2^70": 1 << 70,
    "least": -(1 << 63), "minus_zero": -0.0, "tiny": 5e-324, "none": None, "empty": "",
    "list": [1, nan, [True]], "nothing": {}, "deep": {"er": {"none": None, "list": []}},
}  # fmt: skip
_LOGGED: dict[str, list[tuple[int, float]]] = {
    "all-nan": [(0, nan), (1, nan)],
    "nan-last": [(0, 1.0), (1, nan)],
    "infinite": [(0, inf), (1, -inf), (2, 0.0)],
    "zeros": [(0, 0.0), (1, -0.0)],
    "minus-first": [(0, -0.0), (1, 0.0)],
    "huge": [(0, 1.7e308), (1, -1.7e308), (2, 5e-324)],
    "twice": [(0, 3.0), (0, 1.0), (0, 2.0), (5, 0.5), (5, 9.0)],
    "backwards": [(3, 1.0), (-(1 << 63), 2.0), ((1 << 63) - 1, 3.0), (0, 0.1)],
    "rewound": [(step, float(step)) for step in range(6)],
    "seldom": [(0, 1.0)],
}


class Store(NamedTuple):
    """Where it is, a client whose index looked again and again meanwhile, and a server over it."""

    folder: Path
    client: MLOpsClient
    server: RunningServer
    ids: list[str]

    def answer(self, question: str, **arguments: Any) -> Any:
        words = {name: orjson.dumps(value).decode() for name, value in arguments.items()}
        target = f"/api/v1/projects/default/{question}?{urlencode(words, quote_via=quote)}"
        found = ask(self.server.port, "GET", target)
        assert found.status == 200, found.body
        return found.json


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("facts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PODSTACK_CACHE", str(folder / "cache"))
        client = MLOpsClient(folder / "store")
        for name in ("odd", "put away", "thrown away"):
            client.create_experiment(name)
        _log_all(client)
        _end_oddly(client)
        going_on = client.start_run(run_id="running", experiment="odd", capture=False)
        ids = sorted(run.id for run in client.search_runs())
        ids += ["deleted", "of-deleted"]
        server = {"PODSTACK_CACHE": str(folder / "cache of the server")}
        with RunningServer(folder / "store", environment=server) as running:
            yield Store(folder / "store", client, running, ids)
        going_on.finish()


def _log_all(client: MLOpsClient) -> None:
    for run_id, points in _LOGGED.items():
        with client.start_run(run_id=run_id, experiment="odd", capture=False) as run:
            for step, value in points:
                run.log_metrics({"loss": value, "odd name.min": value}, step=step)
        client.search_runs()
    with client.start_run(run_id="rewound", capture=False) as run:
        for step in range(2, 9):
            run.log_metrics({"loss": -float(step)}, step=step)
    for twin in ("one", "two"):
        client.start_run(
            run_id=twin, name="twin", experiment="odd", params=_PARAMS, tags=["a, b"], capture=False
        ).finish()


def _end_oddly(client: MLOpsClient) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        client.start_run(run_id="failed", experiment="odd", capture=False),
    ):
        raise ZeroDivisionError
    for name, experiment in (
        ("deleted", "odd"),
        ("kept", "put away"),
        ("of-deleted", "thrown away"),
    ):
        client.start_run(run_id=name, experiment=experiment, capture=False).finish()
    client.get_run("deleted").delete()
    client.get_experiment("put away").archive()
    client.get_experiment("thrown away").delete()
    lost = (
        "import os, sys; from podstack import MLOpsClient\n"
        "run = MLOpsClient(sys.argv[1]).start_run(run_id='lost', experiment='odd', capture=False)\n"
        "run.log_metrics({'loss': 0.5}); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", lost, client.uri], capture_output=True, timeout=DEADLINE)


# Who tells of runs ----------------------------------------------------------------------------


def read_whole(store: Store) -> Told:
    """What everybody else is held against."""
    opened = MLOpsClient(store.folder)
    return {run: _facts_of(StoredRun(opened._store, run)) for run in store.ids}


def _facts_of(run: StoredRun) -> Facts:
    metrics = {name: plain(summary._asdict()) for name, summary in run.summary.items()}
    told = {name: getattr(run, name) for name in _FACTS}
    return {**told, "parent": run.parent_run_id, "params": plain(run.params), "metrics": metrics}


def the_index_that_looked_meanwhile(store: Store) -> Told:
    return _rows(store.client, store.ids)


def an_index_that_is_made_anew(store: Store) -> Told:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PODSTACK_CACHE", str(store.folder.parent / "another cache"))
        return _rows(MLOpsClient(store.folder), store.ids)


def a_client_of_the_server(store: Store) -> Told:
    return _rows(MLOpsClient(store.server.url), store.ids)


def _rows(client: MLOpsClient, ids: list[str]) -> Told:
    client._store.index.refresh()
    return {row.id: plain(run_out(row)) for row in client._store.index.rows(ids)}


def runs_opened_at_the_server(store: Store) -> Told:
    client = MLOpsClient(store.server.url)
    return {run: _facts_of(client.get_run(run)) for run in store.ids}


def the_answer_about_one_run(store: Store) -> Told:
    return {run: store.answer(f"runs/{run}") for run in store.ids}


def the_runs_table(store: Store) -> Told:
    """Null is what a run lacks, [] a logged None, and a container its JSON text."""
    told = store.answer("table", deleted=True, parts=["last", "min", "max", "steps"])
    columns = {"name": told["names"], "experiment_id": told["experiment"], "tags": told["tags"]}
    columns |= {name: told[name] for name in ("status", "lost_since", "created", "ended", "user")}
    return {
        run: {
            **{name: column[at] for name, column in columns.items()},
            "deleted": bool(told["deleted"][at]),
            "params": {
                n: _number(c[at]) if n in told["digits"] else _meant(c[at])
                for n, c in told["params"].items()
                if c[at] is not None
            },
            "metrics": _figures(told["metrics"], at),
        }
        for at, run in enumerate(told["ids"])
    }


def _number(value: Any) -> Any:
    """What JavaScript cannot hold is told by its digits."""
    return int(value) if isinstance(value, str) and value.lstrip("-").isdigit() else value


def _meant(value: Any) -> Any:
    if value == []:
        return None
    is_container = isinstance(value, str) and value[:1] in ("[", "{")
    return orjson.loads(value) if is_container else value


def _figures(columns: Any, at: int) -> Facts:
    return {
        name: {part: column[at] for part, column in parts.items()}
        for name, parts in columns.items()
        if parts["last"][at] is not None
    }


def the_columns_of_a_comparison(store: Store) -> Told:
    told = store.answer("compare/columns", runs=store.ids)
    facts, absent = told["runs"], told["absent"]

    def params(at: int) -> dict[str, Any]:
        own = {n: c[at] for n, c in told["params"].items() if at not in absent.get(n, ())}
        found = told["equal_params"] | own
        return found | {n: _number(found[n]) for n in told["digits"] if n in found}

    return {
        run: {
            **{n: facts[n][at] for n in ("name", "status", "experiment_id", "user", "created")},
            "params": params(at),
            "metrics": _figures(told["metrics"], at),
        }
        for at, run in enumerate(facts["id"])
    }


def the_command_line(store: Store) -> Told:
    return _asked(str(store.folder))


def the_command_line_at_a_server(store: Store) -> Told:
    return _asked(store.server.url)


def _asked(address: str) -> Told:
    words = ["--store", address, "runs", "--json", "--deleted", "--limit", "0"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return {run["id"]: run for run in orjson.loads(result.stdout)}


def an_exported_table(store: Store) -> Told:
    out = store.folder.parent / f"runs-{os.urandom(4).hex()}.json"
    export_runs(MLOpsClient(store.folder), store.ids, "json", out, what="runs")
    return {run["id"]: _gathered(run) for run in orjson.loads(out.read_bytes())}


def _gathered(run: Facts) -> Facts:
    """Names with dots of `params.` and of `metrics.`; an integer beyond int64 is a text there."""
    params = {n.removeprefix("params."): v for n, v in run.items() if n.startswith("params.")}
    params |= {"2^63": int(params["2^63"])} if "2^63" in params else {}
    lasts = {n for n in run if n.startswith("metrics.") and f"{n}.max" in run}
    metrics = {
        name.removeprefix("metrics."): {
            "last": run[name], "min": run[f"{name}.min"], "max": run[f"{name}.max"],
        }
        for name in lasts
    }  # fmt: skip
    facts = {name: value for name, value in run.items() if "." not in name}
    return {**facts, "params": params, "metrics": metrics}


_TELLERS: tuple[Callable[[Store], Told], ...] = (
    the_index_that_looked_meanwhile,
    an_index_that_is_made_anew,
    a_client_of_the_server,
    runs_opened_at_the_server,
    the_answer_about_one_run,
    the_runs_table,
    the_columns_of_a_comparison,
    the_command_line,
    the_command_line_at_a_server,
    an_exported_table,
)


@pytest.mark.parametrize("teller", _TELLERS, ids=lambda teller: teller.__name__)
def test_a_run_is_the_same_whoever_tells_of_it(
    store: Store, teller: Callable[[Store], Told]
) -> None:
    whole, told = read_whole(store), teller(store)

    assert sorted(told) == sorted(store.ids)
    for run, facts in whole.items():
        assert _text(_common(told[run], facts)) == _text(_common(facts, told[run]))


def _common(told: Facts, other: Facts) -> Facts:
    """The facts that both have, and of metrics the figures; no run's parameter may be missing."""
    common = {name: told[name] for name in told.keys() & other.keys()}
    figures = {
        name: {
            part: value
            for part, value in parts.items()
            if part in other["metrics"].get(name, parts)
        }
        for name, parts in told["metrics"].items()
    }
    return {**common, "metrics": figures}


def _text(facts: Facts) -> str:
    """In which 1 is neither 1.0 nor true, and zero not minus zero."""
    return orjson.dumps(facts, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2).decode()


# Who tells of experiments ---------------------------------------------------------------------


def test_an_experiment_is_the_same_whoever_tells_of_it(store: Store) -> None:
    """The figures of the list's page are those of the API and of the SDK, here and at a server."""
    listed = store.answer("experiments")["experiments"]
    html = ask(store.server.port, "GET", "/projects/default/experiments").body.decode()
    shown = orjson.loads(re.search(r'id="page">(.*?)</script>', html, re.DOTALL)[1])  # type: ignore[index]
    clients = [store.client, MLOpsClient(store.server.url)]
    tables = [client.list_experiments(status="all", sort="created") for client in clients]

    told = {
        "API": {one["name"]: one for one in listed},
        "page": {one["name"]: one for one in shown["data"]["experiments"] if not one["deleted"]},
        **{
            client.uri: {one["name"]: one for one in table.to_dicts()}
            for client, table in zip(clients, tables, strict=True)
        },
    }
    odd = {"status": "active", "runs": 15, "running": 1, "archived": False}
    away = {"status": "archived", "runs": 1, "running": 0, "archived": True}
    for found in told.values():
        figures = {name: {n: one[n] for n in _COUNTED} for name, one in found.items()}
        assert figures == {"odd": odd, "put away": away}


_COUNTED = ("status", "runs", "running", "archived")


# Who tells of sweeps --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sweep_id(store: Store) -> str:
    """Trials that tie, are NaN or infinite, failed, were pruned, or go on."""
    sweep = store.client.create_sweep(
        "odd",
        strategy="random",
        parameters={"lr": {"type": "uniform", "min": 0.0, "max": 1.0}},
        objective_metric="loss",
        direction="minimize",
        max_trials=9,
    )
    endings: list[tuple[float | None, dict[str, Any]]] = [
        (nan, {}), (0.5, {}), (0.25, {"pruned": True}), (0.5, {}), (inf, {}), (-0.0, {}), (0.0, {}),
        (None, {"status": "failed", "error": "no memory"}),
    ]  # fmt: skip
    for value, ending in endings:
        trial = sweep.suggest()
        assert trial is not None
        sweep.complete(trial.id, None if value is None else {"loss": value}, **ending)
    assert sweep.suggest() is not None
    return sweep.id


def test_a_sweep_is_the_same_whoever_tells_of_it(store: Store, sweep_id: str) -> None:
    sweeps = [MLOpsClient(uri).get_sweep(sweep_id) for uri in (store.folder, store.server.url)]
    one = store.answer(f"sweeps/{sweep_id}")
    outlook = store.answer(f"sweeps/{sweep_id}/outlook")
    asked = CliRunner().invoke(
        app, ["--store", str(store.folder), "sweep", "status", sweep_id, "--json"]
    )
    said = orjson.loads(asked.stdout)

    counts = {"completed": 7, "running": 1, "failed": 1, "killed": 0, "pruned": 1, "total": 9}
    assert one["counts"] == {**counts, "remaining": 1}
    assert {name: said[name] for name in counts} == counts
    assert (one["status"], said["status"]) == ("running", "running")
    assert (one["best"], said["best_trial"], outlook["best"]["number"]) == (6, 6, 6)
    assert (one["best_value"], said["best_value"], outlook["best"]["value"]) == (0.0, 0.0, 0.0)
    assert outlook["bests"] == [2, 6]
    for sweep in sweeps:
        assert {name: getattr(sweep.progress, name) for name in counts} == counts
        assert sweep.status == "running"
        assert sweep.best_trial is not None
        assert (sweep.best_trial.number, sweep.best_value) == (6, 0.0)
