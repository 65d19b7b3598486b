"""Keras in a loop of your own, without a callback: one `fit` an epoch, logged from its history."""

import os

os.environ["KERAS_BACKEND"] = "torch"  # or "tensorflow" or "jax"; Keras reads it when imported

import keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from podstack import MLOpsClient

lr, batch_size, epochs, seed = 0.003, 64, 12, 7
keras.utils.set_random_seed(seed)

images, digits = load_digits(return_X_y=True)
x_train, x_val, y_train, y_val = train_test_split(
    images / 16, digits, stratify=digits, random_state=seed
)

model = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile(
    optimizer=keras.optimizers.Adam(lr),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)

client = MLOpsClient()
experiment = client.create_experiment(
    name="digits with keras",
    description="A small network on 8 × 8 pictures of digits",
    tags=["keras", "digits"],
)
with client.start_run(experiment_id=experiment.id, name="one hidden layer") as run:
    run.log_params({"lr": lr, "batch_size": batch_size, "epochs": epochs, "seed": seed})

    for epoch in range(epochs):
        history = model.fit(
            x_train, y_train, batch_size, validation_data=(x_val, y_val), verbose=0
        ).history  # Keras' own names: accuracy, loss, val_accuracy, val_loss
        run.log_metrics({name: values[-1] for name, values in history.items()}, step=epoch)

    model.save("model.keras")
    run.log_artifact("model.keras")

print(client.get_run(run.id))
