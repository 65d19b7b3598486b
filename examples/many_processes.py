"""Many processes, one run: every worker logs, and nobody waits for anybody."""

import multiprocessing
import random

from podstack import MLOpsClient, Run

WORKERS, STEPS, DRAWS = 4, 50, 2_000


def estimate_pi(run: Run, rank: int) -> None:
    """Throw darts at a square, and log which share of four hit the circle in it."""
    throw = random.Random(rank).random
    hits = 0
    for step in range(STEPS):
        hits += sum(throw() ** 2 + throw() ** 2 < 1 for _ in range(DRAWS))
        run.log_metrics({f"worker_{rank}/pi": 4 * hits / (DRAWS * (step + 1))}, step=step)


def main() -> None:
    client = MLOpsClient()
    experiment = client.create_experiment("pi")
    spawning = multiprocessing.get_context("spawn")  # "fork" and "forkserver" do as well
    with client.start_run(experiment_id=experiment.id, name="darts") as run:
        run.log_params({"workers": WORKERS, "draws": WORKERS * STEPS * DRAWS})
        workers = [
            spawning.Process(target=estimate_pi, args=(run, rank)) for rank in range(WORKERS)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        estimates = [run.summary[f"worker_{rank}/pi"].last for rank in range(WORKERS)]
        run.log_metrics({"pi": sum(estimates) / WORKERS}, step=STEPS - 1)

    print(client.get_run(run.id))


if __name__ == "__main__":  # a spawned worker imports this file
    main()
