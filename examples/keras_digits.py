"""Keras with the callback: one line more in `fit`, and the run records itself."""

import os

os.environ["KERAS_BACKEND"] = "torch"  # or "tensorflow" or "jax"; Keras reads it when imported

import keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from podstack import MLOpsClient
from podstack.integrations.keras import PodstackCallback

keras.utils.set_random_seed(7)
images, digits = load_digits(return_X_y=True)
x_train, x_val, y_train, y_val = train_test_split(
    images / 16, digits, stratify=digits, random_state=7
)

model = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
halving = keras.optimizers.schedules.ExponentialDecay(0.01, decay_steps=110, decay_rate=0.5)
model.compile(
    optimizer=keras.optimizers.Adam(halving),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)

podstack = PodstackCallback(
    log_freq=5,  # beside the epochs every fifth batch, as `batch/loss`
    log_model=True,  # the best weights, because ModelCheckpoint keeps those
    experiment="digits with keras",
    name="one hidden layer",
    tags=["keras", "digits"],
)
model.fit(
    x_train,
    y_train,
    batch_size=64,
    epochs=30,
    validation_data=(x_val, y_val),
    callbacks=[
        keras.callbacks.EarlyStopping(patience=4),
        keras.callbacks.ModelCheckpoint(
            "best.weights.h5", save_best_only=True, save_weights_only=True
        ),
        podstack,
    ],
    verbose=0,
)
model.load_weights("best.weights.h5")
model.evaluate(x_val, y_val, callbacks=[podstack], verbose=0)  # into the same run

print(MLOpsClient().get_run(podstack.run_id))
