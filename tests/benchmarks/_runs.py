"""Stores that the pages are measured on; each is written by a process of its own."""

from __future__ import annotations

import time

from podstack import MLOpsClient
from podstack.testing import ui_store


def make_million(folder: str, points: int) -> str:
    return ui_store.million(folder, points)


def make_twenty(folder: str, runs: int, steps: int) -> list[str]:
    """Runs of 12 metrics, in the experiment `twenty`."""
    client = MLOpsClient(folder)
    home = client.create_experiment("twenty")
    ids = []
    for number in range(runs):
        with client.start_run(home.id, f"run {number}", capture=False) as run:
            for step in range(steps):
                run.log_metrics(row(number, step), step=step)
            ids.append(run.id)
    return ids


def row(number: int, step: int) -> dict[str, float]:
    """Twelve values; none is the machine's, for comparisons leave those out."""
    return {
        name.replace("system/", "host/"): (i + 1) / (1 + step / 50)
        + 0.01 * ((step * 7 + number) % 13)
        for i, name in enumerate(ui_store.METRICS)
    }


def make_many(folder: str, runs: int) -> None:
    ui_store.many(folder, runs)
    time.sleep(2.1)  # what is younger than two seconds is looked at again; this is an old store
