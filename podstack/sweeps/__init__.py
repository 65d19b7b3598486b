"""Sweeps: many trials of one search space, shared by any number of workers through a store.

    sweep = client.create_sweep("digits", "random", {"lr": {"min": 1e-4, "max": 1e-1}}, "val_loss",
                                max_trials=20)
    while trial := client.suggest_sweep_params(sweep.id):
        client.complete_sweep_trial(sweep.id, trial.id, {"val_loss": train(**trial)})

Nothing stands between the workers but the store: a trial is a number, and who writes its claim
alone has it. `FORMAT.md` says what is kept where.
"""
