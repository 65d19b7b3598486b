"""The smallest useful script: seven lines of code, and the loss is on disk for good."""

from podstack import MLOpsClient

client = MLOpsClient()
experiment = client.create_experiment("seven lines")
with client.start_run(experiment_id=experiment.id) as run:
    run.log_params({"decay": 0.9})
    for step in range(50):
        run.log_metrics({"loss": 0.9**step}, step=step)
