"""podstack: local-first experiment tracking.

    from podstack import MLOpsClient

    client = MLOpsClient()
    experiment = client.create_experiment("digits")
    with client.start_run(experiment_id=experiment.id) as run:
        run.log_params({"lr": 0.001})
        run.log_metrics({"loss": 0.25}, step=0)

The store is plain files in open formats; `FORMAT.md` beside this file says how to read them
without podstack.
"""

from podstack.client import MLOpsClient
from podstack.errors import (
    BackendError,
    BackendUnavailable,
    BlobMissing,
    DamagedError,
    MissingExtraError,
    NotFoundError,
    PodstackError,
    RunClosedError,
    UsageError,
    WrongTypeError,
)
from podstack.experiment import Experiment
from podstack.run import Run

__version__ = "0.1.0"

__all__ = [
    "MLOpsClient",
    "Experiment",
    "Run",
    "PodstackError",
    "UsageError",
    "WrongTypeError",
    "NotFoundError",
    "RunClosedError",
    "MissingExtraError",
    "BackendError",
    "BlobMissing",
    "DamagedError",
    "BackendUnavailable",
    "__version__",
]
