"""What a trial costs on each kind of store, beside Optuna's own ask and tell on SQLite.

One worker takes and completes trials of two parameters. `ask` is `sweep.suggest()`: what is new of
others is read, a number is claimed, parameters are chosen. `tell` is `trial.complete(…)`. The
baseline is `study.ask()` with two `suggest_float`, and `study.tell(…)`, on an RDBStorage over
SQLite, of the same sampler, in the same run. Every sample is a fresh process; the contestants take
turns, and a figure is the median over the trials of one process, then over the turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from podstack.testing.podstack_server import RunningServer
from podstack.testing.s3_servers import MotoServer
from tests.benchmarks._folders import scratch
from tests.benchmarks._fresh import in_fresh_process, in_turns
from tests.benchmarks._stores import HTTP, S3, port_of, surroundings, url_of
from tests.benchmarks._tables import Table, quantity, times

LOCAL, OPTUNA = "a folder", "Optuna on SQLite"
RANDOM, BAYESIAN = "random", "bayesian"
SAMPLES = ("ask", "tell", "suggestion", "claim")
_HEAD = ("", "ask", "ratio", "tell", "ratio", "suggestion", "claim")


def tables(*, quick: bool) -> Iterator[Table]:
    trials, rounds = (5, 1) if quick else (100, 3)
    with surroundings() as folder, MotoServer() as s3, RunningServer(folder / "served") as http:
        s3.client().create_bucket(Bucket="runs")
        urls = {LOCAL: "", S3: url_of(S3, port_of(s3)), HTTP: url_of(HTTP, http.port)}
        for strategy in (RANDOM,) if quick else (RANDOM, BAYESIAN):
            yield _table(strategy, trials, _measure(urls, strategy, trials, rounds))


def _measure(
    urls: dict[str, str], strategy: str, trials: int, rounds: int
) -> dict[str, list[float]]:
    def measure(name: str) -> list[float]:
        if name == OPTUNA:
            return in_fresh_process(optuna_times, strategy, trials)
        return in_fresh_process(sweep_times, urls[name], strategy, trials)

    return in_turns(measure, [OPTUNA, *urls], rounds=rounds)


def _table(strategy: str, trials: int, measured: dict[str, list[float]]) -> Table:
    ask, tell = measured[OPTUNA][:2]
    rows = [
        (
            name,
            quantity(found[0], "s"),
            times(found[0] / ask),
            quantity(found[1], "s"),
            times(found[1] / tell),
            *(quantity(value, "s") if value else "–" for value in found[2:]),
        )
        for name, found in measured.items()
    ]
    note = "suggestion and claim are parts of ask, measured apart; S3 is moto."
    return Table(f"One trial of a {strategy} sweep of {trials}", _HEAD, rows, (note,))


def sweep_times(url: str, strategy: str, trials: int) -> list[float]:
    """Seconds of `SAMPLES`. url: of the store; empty for a new folder."""
    from podstack import MLOpsClient
    from podstack.sweeps.claims import Claims

    with scratch() as folder:
        client = MLOpsClient(url or str(Path(folder) / "store"))
        space = {"x": {"min": 0.0, "max": 1.0}, "y": {"min": 0.0, "max": 1.0}}
        sweep = client.create_sweep(
            None, strategy, space, "loss", trials, direction="minimize", seed=1
        )
        asks, tells = [], []
        for _ in range(trials):
            took, trial = _timed(sweep.suggest)
            assert trial is not None, "there are as many as that"
            asks.append(took)
            value = trial["x"] + trial["y"]
            tells.append(_timed(lambda t=trial, v=value: t.complete({"loss": v}))[0])  # type: ignore[misc]
        register = sweep._ledger._register
        seen = register.seen(but=trials)
        suggestion = median(
            _timed(lambda: register.strategy.suggest(trials, seen))[0] for _ in range(5)
        )
        other = Claims(client._store, "another")
        claims = [_timed(lambda n=n: other.take(n, 0))[0] for n in range(1, trials + 1)]  # type: ignore[misc]
    return [median(asks), median(tells), suggestion, median(claims)]


def optuna_times(strategy: str, trials: int) -> list[float]:
    """The same of Optuna: ask, tell, and zeros for what it does not tell apart."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with scratch() as folder:
        sampler: optuna.samplers.BaseSampler = optuna.samplers.RandomSampler(seed=1)
        if strategy == BAYESIAN:
            sampler = optuna.samplers.TPESampler(seed=1, multivariate=True, constant_liar=True)
        study = optuna.create_study(storage=f"sqlite:///{folder}/study.db", sampler=sampler)

        def ask() -> tuple[optuna.Trial, float]:
            trial = study.ask()
            return trial, trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 1)

        asks, tells = [], []
        for _ in range(trials):
            took, (trial, value) = _timed(ask)
            asks.append(took)
            tells.append(_timed(lambda t=trial, v=value: study.tell(t, v))[0])  # type: ignore[misc]
    return [median(asks), median(tells), 0.0, 0.0]


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    begin = perf_counter()
    found = call()
    return perf_counter() - begin, found
