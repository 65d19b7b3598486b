"""Back up a store while a run is writing into it: copy the folder, and read the copy.

Metrics and facts are whole in the copy, as far as the run was then. An artifact that is logged at
that very moment may be missing from it (and copytree may say so): the next copy has it.
"""

import shutil
import sys
import threading
from pathlib import Path

from podstack import MLOpsClient, Run


def log_until(copied: threading.Event, run: Run) -> None:
    while not copied.is_set():
        run.log_metrics({"loss": 0.25})


def copy_if_there(source: str, target: str) -> None:
    """The store has small files that come and go; one that goes while we copy is not missed."""
    try:
        shutil.copy2(source, target)
    except FileNotFoundError:
        pass


def main() -> None:
    backup = Path("podstack-backup")
    if backup.exists():
        sys.exit(f"{backup} exists already: move it away first.")

    client = MLOpsClient()
    experiment = client.create_experiment("backup")
    with client.start_run(experiment_id=experiment.id, name="busy") as run:
        run.log_metrics({"loss": 1.0})
        copied = threading.Event()
        training = threading.Thread(target=log_until, args=(copied, run))
        training.start()
        shutil.copytree(client.uri, backup, copy_function=copy_if_there)  # or rsync, or cp -r
        copied.set()
        training.join()
        run.log_metrics({"loss": 0.125})  # too late for the copy

    original, copy = client.get_run(run.id), MLOpsClient(backup).get_run(run.id)
    print(f"the run:  {len(original.metrics['loss']):,} steps")
    print(f"the copy: {len(copy.metrics['loss']):,} steps, as far as the run was then")


if __name__ == "__main__":
    main()
