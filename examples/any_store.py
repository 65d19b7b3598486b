"""How do I record into a bucket, or into my team's server? Nothing but the address changes:

PODSTACK_URI='s3://runs/team?endpoint=http://localhost:8333' python examples/any_store.py
PODSTACK_URI=https://podstack.example.org PODSTACK_API_TOKEN=pst_… python examples/any_store.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from podstack import MLOpsClient


def train(client: MLOpsClient, lr: float) -> str:
    """Fit a line by gradient descent and keep it; the run's id."""
    client.create_experiment("line")
    slope, offset = 0.0, 0.0
    points = [(x / 10, 2.0 * x / 10 + 1.0) for x in range(-10, 11)]
    with client.start_run("line", params={"lr": lr}) as run, TemporaryDirectory() as folder:
        for step in range(200):
            errors = [slope * x + offset - y for x, y in points]
            run.log_metrics({"loss": sum(e * e for e in errors) / len(errors)}, step=step)
            slope -= lr * sum(e * x for e, (x, _) in zip(errors, points, strict=True)) / len(points)
            offset -= lr * sum(errors) / len(errors)
        model = Path(folder) / "line.txt"
        model.write_text(f"{slope} {offset}\n")
        run.log_artifact(model)
    return run.id


if __name__ == "__main__":
    client = MLOpsClient()  # PODSTACK_URI, else ./podstack-store
    train(client, lr=float(sys.argv[1]) if len(sys.argv) > 1 else 0.3)
    print(client.search_runs("experiment = line", order_by="metrics.loss", limit=5))
