"""Stores for looking at pages: `python -m podstack.testing.ui_store FOLDER [--kind build]`.

All but `many` are written by the SDK, as a user would. Times are set back, so that runs took
minutes and began over the last days.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from podstack import MLOpsClient, Run
from podstack.experiment import Experiment
from podstack.testing import hostile_texts
from podstack.testing.sample_files import write_samples

METRICS = (
    *("train/loss", "train/accuracy", "val/loss", "val/accuracy", "val/f1", "lr"),
    *("grad/norm", "grad/clipped", "system/gpu", "system/memory", "speed/samples", "epoch"),
)
_DAY = 86_400.0
_ENDINGS = ("completed",) * 6 + ("failed", "killed", "completed", "running")
_NOTES = """## What was tried

Cosine schedule with **warm-up**; see `config.yaml`.

- [x] lower learning rate
- [ ] larger batch
"""
_EXPERIMENTS = (
    ("image-classifier", "ResNet variants on the cats and dogs set", ("vision", "baseline")),
    ("language-model", "Small transformers on WikiText", ("nlp",)),
    ("tabular-boosting", "", ()),
    ("speech-pilot", "Superseded by language-model", ("audio", "old")),
)


def build(
    folder: Path | str,
    *,
    experiments: int = 4,
    runs: int = 60,
    steps: int = 300,
    sweeps: bool = True,
) -> MLOpsClient:
    """Experiments (the last one archived), runs of every status, and everything a run can hold.

    Args:
        runs: in all; every third belongs to each of the first experiments.
        steps: of a run, about; every step logs the 12 `METRICS`.
        sweeps: one that has finished, of 40 trials, and one that is running.
    """
    client, chance = MLOpsClient(folder), random.Random(7)
    made = [client.create_experiment(*_EXPERIMENTS[n % 4]) for n in range(min(experiments, 4))]
    living = made[:-1] or made
    parent: str | None = None
    for number in range(runs):
        run = _one_run(client, living[number % len(living)], number, steps, chance, parent)
        parent = run.id if number % 12 == 0 else parent if number % 12 < 3 else None
    if len(made) > 1:
        client.start_run(made[-1].id, "last try", capture=False).finish()
        made[-1].archive()
    if sweeps and runs:
        _sweeps(client, living[0], chance)
    return client


def _one_run(
    client: MLOpsClient,
    experiment: Experiment,
    number: int,
    steps: int,
    chance: random.Random,
    parent: str | None,
) -> Run:
    ending = _ENDINGS[number % len(_ENDINGS)]
    params = _params(number, chance)
    rich = number % 10 == 0
    run = client.start_run(
        experiment.id,
        name=None if number % 2 else f"resnet-{number:02d}",
        tags=("best",) if number == 0 else ("sweep", "amp") if number % 4 == 1 else (),
        params=params,
        parent_run_id=parent if number % 12 < 4 else None,
        capture=("code", "packages", "host", "console") if rich else False,
    )
    began = time.time() - _DAY * (number / 9) - 3_600
    duration = _log(run, params, steps, began, chance)
    if rich:
        _decorate(run)
    if ending != "running":
        run.finish(ending, error="CUDA out of memory" if ending == "failed" else None)
    _set_back(run, began, None if ending == "running" else began + duration)
    return run


def _params(number: int, chance: random.Random) -> dict[str, Any]:
    return {
        "lr": round(10 ** chance.uniform(-4, -1.5), 6),
        "batch_size": chance.choice((32, 64, 128)),
        "optimizer": {"name": chance.choice(("adamw", "sgd")), "betas": [0.9, 0.999]},
        "model": {"layers": chance.choice((12, 18, 34)), "dropout": chance.choice((0.0, 0.1, 0.3))},
        "data": {"augment": number % 2 == 0, "split": "train[:90%]"},
        "seed": number,
        "note": None,
    }


def _log(
    run: Run, params: dict[str, Any], steps: int, began: float, chance: random.Random
) -> float:
    """Seconds that the run is made to have taken."""
    assert run._journal is not None
    pace = chance.uniform(0.5, 3.0)
    run.create_alert("val/loss > 2.2", "It diverges")
    run.create_alert("train/loss is nan")
    best = 0.75 + 0.2 * math.exp(-((math.log10(params["lr"]) + 2.6) ** 2))
    for step in range(steps):
        at = began + step * pace
        run._journal.now = lambda at=at: at  # type: ignore[misc]
        run.log_metrics(_row(step / max(1, steps), step, params["lr"], best, chance), step=step)
    return steps * pace


def _row(done: float, step: int, lr: float, best: float, chance: random.Random) -> dict[str, float]:
    noise = chance.gauss(0, 0.04)
    loss = 2.3 * math.exp(-4 * done) + 0.15 + abs(noise)
    accuracy = min(1.0, best * (1 - math.exp(-6 * done)) + noise / 4)
    row = {
        "train/loss": math.nan if 0.4 < done < 0.43 and lr > 0.01 else loss,
        "train/accuracy": accuracy,
        "lr": lr * 0.5 * (1 + math.cos(math.pi * done)),
        "grad/norm": abs(chance.gauss(1, 0.3)) * (50 if chance.random() < 0.004 else 1),
        "grad/clipped": float(chance.random() < 0.1),
        "system/gpu": 88 + chance.gauss(0, 5),
        "system/memory": 14.2 + done,
        "speed/samples": 1_250 + chance.gauss(0, 60),
        "epoch": step // 30,
    }
    if step % 5 == 0:
        row |= {"val/loss": loss * 1.1, "val/accuracy": accuracy * 0.97, "val/f1": accuracy * 0.95}
    return row


def _decorate(run: Run) -> None:
    with tempfile.TemporaryDirectory() as samples:
        for file in write_samples(Path(samples)):
            pictured = file.suffix in (".png", ".svg")
            run.log_artifact(file, "files" if pictured else None)
        run.log_dataset("cats-and-dogs", f"{samples}/predictions.csv", "Labelled in May")
    run.log_dataset("imagenet-1k", "s3://data/imagenet/v2")
    run.set_notes(_NOTES)
    print(f"run {run.name}: loaded 25,000 pictures", file=sys.stderr)


def _set_back(run: Run, began: float, ended: float | None) -> None:
    changes = {"created": began} | ({"ended": ended} if ended is not None else {})
    run.flush(30)
    run._store.edit(run._store.keys.meta(run.id), changes)


def _sweeps(client: MLOpsClient, experiment: Experiment, chance: random.Random) -> None:
    space = {
        "lr": {"min": 1e-4, "max": 0.1, "distribution": "log_uniform"},
        "dropout": {"min": 0.0, "max": 0.5},
        "optimizer": {"values": ["adamw", "sgd"]},
    }
    for name, trials, size in (("lr-and-dropout", 40, 40), ("wider", 12, 60)):
        sweep = client.create_sweep(
            experiment.id, "random", space, "val/accuracy", size, "maximize", name=name, seed=7
        )
        for _ in range(trials):
            trial = client.suggest_sweep_params(sweep)
            assert trial is not None
            with client.start_run(sweep_trial=trial, capture=False) as run:
                top = 0.95 - 0.1 * (math.log10(float(trial["lr"])) + 2.5) ** 2
                for step in range(10):
                    value = top * (1 - math.exp(-step / 3)) + chance.gauss(0, 0.01)
                    run.log_metrics({"val/accuracy": value, "val/loss": 1 - value}, step=step)


def million(folder: Path | str, points: int = 1_000_000) -> str:
    """One finished run: a metric of `points`, and 11 more of 1,000 points each. And a small one.

    Returns:
        The id of the large run.
    """
    client, chance = MLOpsClient(folder), random.Random(7)
    run = client.start_run(name="a million", params={"lr": 0.01}, capture=False)
    for step in range(points):
        run.log_metrics(
            {METRICS[0]: 2 / (1 + step / points * 9) + chance.gauss(0, 0.05)}, step=step
        )
    for step in range(1_000):
        run.log_metrics({name: chance.random() for name in METRICS[1:]}, step=step)
    run.finish()
    with client.start_run(name="a hundred", params={"lr": 0.1}, capture=False) as small:
        for step in range(100):
            small.log_metrics({name: chance.random() for name in METRICS}, step=step)
    return run.id


def hostile(folder: Path | str) -> MLOpsClient:
    """An attack in every text that a store holds: see `hostile_texts`."""
    client = MLOpsClient(folder)
    for text in hostile_texts.TEXTS:
        client.create_experiment(text, text, (text,))
    home = client.create_experiment(hostile_texts.SCRIPTS[0])
    every = dict.fromkeys(hostile_texts.TEXTS, 0.5)
    for text in hostile_texts.TEXTS:
        with client.start_run(home.id, text, tags=(text,), capture=False) as run:
            run.log_params({text: text, f"nested/{text}": [text]})
            run.create_alert(metric_key=text, condition="gt", threshold=0.1, message=text)
            for step in range(3):
                run.log_metrics(every, step=step)
            run.log_dataset(text, text, text)
            run.set_notes(hostile_texts.MARKDOWN + text)
            with tempfile.TemporaryDirectory() as samples:
                _hostile_artifacts(run, Path(samples), text)
    _hostile_sweep(client, home)
    return client


def _hostile_artifacts(run: Run, samples: Path, text: str) -> None:
    name = text.replace("/", "∕")[:80]
    for suffix in (".txt", ".html", ".svg", ".md"):
        file = samples / f"a{suffix}"
        file.write_text(text + hostile_texts.SCRIPTS[0] + hostile_texts.SCRIPTS[3])
        try:
            run.log_artifact(file, f"{name}{suffix}")
        except ValueError:  # what a path may not be, it is not
            run.log_artifact(file)


def _hostile_sweep(client: MLOpsClient, home: Experiment) -> None:
    text = hostile_texts.SCRIPTS[0]
    sweep = client.create_sweep(
        home.id, "random", {text: {"values": [text, "b"]}}, text, 3, "maximize", name=text
    )
    trial = client.suggest_sweep_params(sweep)
    assert trial is not None
    trial.complete({text: 0.5})


class Held:
    """A store of one of `KINDS`, written by a process that stays until `stop` or the block's end.

    While it stays, its runs are running. `said` is its line: the id of the run, for `live`.
    """

    def __init__(self, folder: Path | str, kind: str) -> None:
        words = [sys.executable, "-m", "podstack.testing.ui_store", str(folder), "--kind", kind]
        self._process = subprocess.Popen(
            [*words, "--hold"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PODSTACK_QUIET": "1"},
            text=True,
        )
        assert self._process.stdout is not None
        self.said = self._process.stdout.readline().strip()
        if not self.said:
            self.stop()
            raise RuntimeError(f"The store of kind {kind} was not written to {folder}.")

    def stop(self) -> None:
        """End the process; twice is fine."""
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait(60)
        for end in (self._process.stdin, self._process.stdout):
            if end is not None:
                end.close()

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def live(folder: Path | str) -> Held:
    """A run that another process goes on writing, ten steps a second; its id is `said`."""
    return Held(folder, "live")


def _write_live(folder: str) -> None:
    client, chance = MLOpsClient(folder), random.Random(7)
    with client.start_run(name="live", params={"lr": 0.01}, capture=False) as run:
        print(run.id, flush=True)
        for step in range(1_000_000):
            if run.should_stop:
                break
            run.log_metrics(_row(1 - 1 / (1 + step / 300), step, 0.01, 0.9, chance), step=step)
            time.sleep(0.1)


def many(folder: Path | str, runs: int = 10_000) -> None:
    """`runs` completed runs of one experiment, written file by file, as FORMAT.md says: quick."""
    chance, root = random.Random(7), Path(folder)
    base = root / "projects/default"
    home = base / "experiments/many"
    home.mkdir(parents=True)
    (root / "podstack.json").write_bytes(orjson.dumps({"podstack": 1, "store": "ui-many"}))
    _lines(home / f"{_writer(0)}.jsonl", [{"name": "many", "created": 1.7e9}])
    for number in range(runs):
        _quick_run(base / "runs", number, chance)


def _quick_run(folder: Path, number: int, chance: random.Random) -> None:
    run, writer = folder / f"20231114-221320-{number:08d}", _writer(number)
    metrics = run / "metrics" / writer
    metrics.mkdir(parents=True)
    (run / "meta").mkdir()
    began = 1.7e9 + number * 60
    values = [{name: chance.random() for name in METRICS} for _ in range(2)]
    points = b"".join(
        orjson.dumps({"s": s, "t": began + s * 30, "v": v}, option=orjson.OPT_APPEND_NEWLINE)
        for s, v in enumerate(values)
    )
    (metrics / "000000.jsonl").write_bytes(points)
    _lines(run / "meta" / f"{writer}.jsonl", _quick_facts(number, writer, began, points, chance))


def _quick_facts(
    number: int, writer: str, began: float, points: bytes, chance: random.Random
) -> Iterator[dict[str, Any]]:
    by = {"host": "h", "machine": "m", "pid": 1, "born": "1", "role": "main", "interval": 10.0}
    params = {
        f"params/{name}": value
        for name, value in {
            "lr": round(chance.random(), 4),
            "optimizer": chance.choice(("adamw", "sgd")),
            "batch": chance.choice((32, 64, 128)),
            "layers": chance.choice((12, 18, 34)),
            "seed": number,
            "amp": number % 2 == 0,
        }.items()
    }
    yield {
        f"writers/{writer}": by, "created": began, "user": chance.choice(("ada", "bob")),
        "name": f"run-{number:05d}", "status": "running", "experiment": "many", **params,
    } | ({"tags/best": True} if number % 50 == 0 else {})  # fmt: skip
    status = "failed" if number % 17 == 0 else "completed"
    yield {
        f"closed/{writer}": {"status": status, "next_step": 2, "t": began + 60},
        "status": status, "ended": began + 60,
    }  # fmt: skip
    yield {f"seals/{writer}": [[len(points), zlib.crc32(points)]]}


def _writer(number: int) -> str:
    return f"20231114-221320-000-{number:08d}"


def _lines(path: Path, changes: Any) -> None:
    rows = ({"h": f"{(1_700_000_000_000 << 16) + i:016x}", "set": c} for i, c in enumerate(changes))
    path.write_bytes(b"".join(orjson.dumps(r, option=orjson.OPT_APPEND_NEWLINE) for r in rows))


KINDS = ("build", "many", "million", "hostile", "empty", "live")


def write(kind: str, folder: str) -> None:
    """A store of one of `KINDS`; `live` returns only when the run is asked to stop."""
    makers: dict[str, Callable[[str], object]] = {
        "build": build,
        "many": many,
        "million": million,
        "hostile": hostile,
        "empty": empty,
        "live": _write_live,
    }
    makers[kind](folder)


def empty(folder: Path | str) -> None:
    """A store that exists, and holds nothing."""
    MLOpsClient(folder).list_runs()
    Path(folder).mkdir(parents=True, exist_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m podstack.testing.ui_store")
    parser.add_argument("folder")
    parser.add_argument("--kind", choices=KINDS, default="build")
    parser.add_argument("--hold", action="store_true", help="say so, and stay until stdin ends")
    asked = parser.parse_args()
    write(asked.kind, asked.folder)
    if asked.hold:
        print(asked.kind, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
