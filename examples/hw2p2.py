"""
Thousands of people, with your own ``fit``
==========================================

CMU 11-785 HW2P2: one folder per person, a network trained from random initialization with your
own ``compile`` and ``fit``, and a submission for the competition.

With the competition's data (``train/``, ``dev/``, ``test/``, ``sample_submission.csv``)::

    python examples/hw2p2.py --data data/11-785-f23-hw2p2 --out runs/hw2p2

Without ``--data`` the script draws faces and trains for a few short epochs::

    python examples/hw2p2.py --out runs/drawn
"""

from __future__ import annotations

import argparse
import pathlib

import keras
import tensorflow as tf

import kerasface

parser = argparse.ArgumentParser(description="Trains on HW2P2 and writes a submission.")
parser.add_argument("--data", type=pathlib.Path, help="folder of the competition")
parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/hw2p2"))
parser.add_argument("--model", help="default: convnext_small, on drawn faces convnext_nano")
parser.add_argument("--image-size", type=int, help="default: 224, on drawn faces 64")
parser.add_argument("--batch-size", type=int, help="default: 256, on drawn faces 32")
parser.add_argument("--epochs", type=int, help="default: 60, on drawn faces 6")
parser.add_argument("--seed", type=int, default=0)
options = parser.parse_args()

keras.utils.set_random_seed(options.seed)
if tf.config.list_physical_devices("GPU"):
    keras.config.set_dtype_policy("mixed_float16")
drawn = options.data is None
data = options.data or kerasface.data.drawn_faces(options.out / "faces", identities=20)
image_size = options.image_size or (64 if drawn else 224)
batch_size = options.batch_size or (32 if drawn else 256)
epochs = options.epochs or (6 if drawn else 60)

# %%
# Read the folders
# ----------------
#
# A table holds paths and labels, but no pixels. ``check`` reads each file once and leaves out
# those that are no images.

train = kerasface.data.identity_folder(data / "train")
dev = kerasface.data.identity_folder(data / "dev", names=train.names)
train, dev = kerasface.data.check(train).table, kerasface.data.check(dev).table
print(train.summary())

# %%
# Read batches
# ------------
#
# The stream decodes, augments and mixes the images. The last sixth of the epochs is not mixed,
# because the statistics of BatchNorm should be those of whole images.

common = {"image_size": image_size, "batch_size": batch_size, "labels": "one_hot"}
batches = kerasface.pipeline.stream(
    train,
    **common,
    training=True,
    augment="face",
    mixup=1.0,
    seed=options.seed,
    epochs=epochs,
    mix_epochs=epochs - epochs // 6,
)
validation = kerasface.pipeline.stream(dev, **common)

# %%
# Build and compile
# -----------------
#
# The learning rate rises for a sixth of the epochs, then it follows a cosine. Biases and norms
# are not decayed.

model = kerasface.build(
    options.model or ("convnext_nano" if drawn else "convnext_small"),
    num_classes=len(train.names),
    input_shape=(image_size, image_size, 3),
)
steps = kerasface.pipeline.steps_per_epoch(train, batch_size)
warmup = epochs // 6
learning_rate = keras.optimizers.schedules.CosineDecay(
    3e-4,
    decay_steps=(epochs - warmup) * steps,
    warmup_target=1e-3,
    warmup_steps=warmup * steps,
    alpha=0.01,
)
optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=0.05, epsilon=1e-8)  # PyTorch's
optimizer.exclude_from_weight_decay(
    var_list=[variable for variable in model.trainable_variables if len(variable.shape) < 2]
)
model.compile(
    optimizer,
    keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
    weighted_metrics=["accuracy"],
)

# %%
# Train
# -----
#
# The callbacks draw the curves after each epoch, and write the submission of the best epoch at
# the end.

model.fit(
    batches,
    epochs=epochs,
    steps_per_epoch=steps,
    validation_data=validation,
    verbose=2,
    shuffle=False,  # the stream shuffles
    callbacks=[
        keras.callbacks.ModelCheckpoint(
            options.out / "model.keras", monitor="val_accuracy", save_best_only=True
        ),
        kerasface.callbacks.Curves(options.out / "curves.png"),
        kerasface.callbacks.Submission(
            data / "test",
            options.out / "submission.csv",
            sample=data / "sample_submission.csv",
            label="index",
            best="val_accuracy",
            flip=True,
        ),
    ],
)
print(f"Curves, submission and model of the best epoch: {options.out}")
