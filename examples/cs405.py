"""
Thousands of people, from pretrained weights
============================================

The CS405 competition: a backbone with ImageNet weights, trained in two phases. First only the
head, then all layers. ::

    python examples/cs405.py --data data/cs405 --out runs/cs405
    python examples/cs405.py --data data/cs405 --model efficientnet_b0

Without ``--data`` the script draws faces and trains a small network without pretrained weights.
"""

from __future__ import annotations

import argparse
import pathlib

import kerasface

parser = argparse.ArgumentParser(description="Trains on CS405's people and evaluates the run.")
parser.add_argument("--data", type=pathlib.Path, help="folder with one subfolder per person")
parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/cs405"))
parser.add_argument("--model", default="resnet50")
parser.add_argument("--weights", default="imagenet", help="imagenet, or a file")
options = parser.parse_args()

model, data = options.model, options.data
changes: dict = {"weights": options.weights}
if data is None:
    data = kerasface.data.drawn_faces(options.out / "faces", identities=10, train=20) / "train"
    model = "convnext_nano"
    phases = {0: {"epochs": 1}, 1: {"epochs": 4, "learning_rate": 1e-3}}
    changes = {"weights": None, "image_size": 64, "phases": phases}

# %%
# Split the images
# ----------------
#
# 70% for training, 20% for validation and 10% for the test, as the project split its images.

people = kerasface.data.identity_folder(data)
rest, test = people.split(validation=0.1, seed=0)
train, validation = rest.split(validation=2 / 9, seed=0)
print(train.summary())

# %%
# Train
# -----

run = kerasface.train(
    "cs405",
    train=train,
    validation=validation,
    out=options.out / model,
    model=model,
    overwrite=True,
    verbose=2,
    **changes,
)

# %%
# Evaluate
# --------
#
# The test images are used once, at the end.

result = kerasface.evaluate(run, test, out=run.folder / "evaluation" / "test")
low, high = result.metrics["accuracy_low"], result.metrics["accuracy_high"]
print(f"Test accuracy {result.metrics['accuracy']:.1%} ({low:.1%} to {high:.1%})")
print(f"Page: {result.page}")
