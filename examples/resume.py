"""A crash and its repair: the run goes on under its id, from the checkpoint it had logged."""

import json
import multiprocessing
import os
from pathlib import Path
from uuid import uuid4

from podstack import MLOpsClient

STEPS, CHECKPOINT_EVERY = 60, 20


def train(run_id: str, attempt: int, crash_at: int | None = None) -> None:
    """Find the minimum of (x - 3)² by gradient descent, from the run's checkpoint if it has one."""
    client = MLOpsClient()
    experiment = client.create_experiment("resume")
    with client.start_run(experiment_id=experiment.id, run_id=run_id) as run:
        state = {"step": 0, "x": 10.0}
        if "checkpoint.json" in run.artifacts:
            state = json.loads(run.artifacts["checkpoint.json"].read_bytes())
        step, x = int(state["step"]), state["x"]
        print(f"attempt {attempt} starts at step {step}")
        while step < STEPS:
            run.log_metrics({"loss": (x - 3) ** 2, "attempt": attempt}, step=step)
            if step == crash_at:
                os._exit(1)  # as a kill -9 or a power cut: no code of ours runs after it
            x -= 0.1 * (x - 3)
            step += 1
            if step % CHECKPOINT_EVERY == 0:
                Path("checkpoint.json").write_text(json.dumps({"step": step, "x": x}))
                run.log_artifact("checkpoint.json")


def main() -> None:
    run_id = f"resumable-{uuid4().hex[:8]}"
    child = multiprocessing.get_context("spawn").Process(target=train, args=(run_id, 1, 50))
    child.start()
    child.join()

    run = MLOpsClient().get_run(run_id)
    print(f"after the crash: {run.status}, last step {run.summary['loss'].last_step}")
    train(run_id, attempt=2)
    print(f"after resuming: {run.status}, last step {run.summary['loss'].last_step}")

    # Steps 40 to 50 were logged twice. Views keep what came last; nothing is thrown away.
    print("attempt, by step:", *(f"{attempt:.0f}" for attempt in run.metrics["attempt"].values))
    print(f"{len(run.metrics['loss'])} steps, {len(run.metrics['loss'].raw)} points")


if __name__ == "__main__":
    main()
