"""Back up a store while a run is writing into it: `podstack sync`, and read the copy.

Metrics and facts are whole in the copy, as far as the run was then. Run it again, as often as you
like: only what is new is copied, and nothing in the copy is ever shortened or deleted. A bucket
does as well as a folder: `podstack sync podstack-store s3://bucket/store`.
"""

import subprocess
import sys
import threading

from podstack import MLOpsClient, Run

BACKUP = "podstack-backup"


def log_until(copied: threading.Event, run: Run) -> None:
    while not copied.is_set():
        run.log_metrics({"loss": 0.25})


def main() -> None:
    client = MLOpsClient()
    experiment = client.create_experiment("backup")
    with client.start_run(experiment_id=experiment.id, name="busy") as run:
        run.log_metrics({"loss": 1.0})
        copied = threading.Event()
        training = threading.Thread(target=log_until, args=(copied, run))
        training.start()
        try:
            command = [sys.executable, "-m", "podstack", "sync", client.uri, BACKUP]
            subprocess.run(command, check=True)  # `podstack sync podstack-store podstack-backup`
        finally:
            copied.set()
            training.join()
        run.log_metrics({"loss": 0.125})  # too late for the copy

    original, copy = client.get_run(run.id), MLOpsClient(BACKUP).get_run(run.id)
    print(f"the run:  {len(original.metrics['loss']):,} steps")
    print(f"the copy: {len(copy.metrics['loss']):,} steps, as far as the run was then")


if __name__ == "__main__":
    main()
