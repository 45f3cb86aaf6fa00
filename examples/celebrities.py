"""
A few dozen images per person
=============================

Heads on frozen backbones, trained on the same split, side by side.

With one folder per person, and ImageNet weights from the internet or from a file::

    python examples/celebrities.py --data data/celebrities --models vgg19 mobilenet_v2
    python examples/celebrities.py --data data/celebrities --models mobilenet_v2 \\
        --weights weights/mobilenet_v2_notop.weights.h5 --recipe celebrities_tuned

Without ``--data`` the script draws faces and trains heads on small random backbones, which learn
little::

    python examples/celebrities.py --out runs/celebrities
"""

from __future__ import annotations

import argparse
import pathlib

import kerasface

parser = argparse.ArgumentParser(description="Trains a head on each backbone and compares them.")
parser.add_argument("--data", type=pathlib.Path, help="folder with one subfolder per person")
parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/celebrities"))
parser.add_argument("--models", nargs="+", default=["vgg19", "mobilenet_v2"])
parser.add_argument("--weights", default="imagenet", help="imagenet, or a file")
parser.add_argument("--recipe", help="default: celebrities for vgg19, else celebrities_mobile")
parser.add_argument("--split-seed", type=int, default=0)
options = parser.parse_args()

changes: dict = {"weights": options.weights}
models, data = options.models, options.data
if data is None:
    data = kerasface.data.drawn_faces(options.out / "faces", identities=6, train=12) / "train"
    models = ["mobilenet_v3_small", "convnext_nano"]
    changes = {"weights": None, "image_size": 64, "epochs": 2, "head_start": "random"}

# %%
# Split the images
# ----------------
#
# One fifth of the images of each person is for validation.

people = kerasface.data.identity_folder(data)
train, validation = people.split(validation=0.2, seed=options.split_seed)
print(train.summary())

# %%
# Train
# -----
#
# VGG19 gets the head of the VGG19 celebrities project. The head of other backbones is one layer
# that starts as the linear discriminant of the features, if the weights are pretrained.

runs = []
for model in models:
    default = "celebrities" if model == "vgg19" else "celebrities_mobile"
    runs.append(
        kerasface.train(
            options.recipe or default,
            train=train,
            validation=validation,
            out=options.out / model,
            model=model,
            overwrite=True,
            verbose=2,
            **changes,
        )
    )

# %%
# Compare
# -------

if len(runs) > 1:
    table = kerasface.compare(runs, options.out / "compare.html")
    print(table.to_string(index=False))
    print(f"Comparison: {options.out / 'compare.html'}")

# %%
# Predict the mirror images too
# -----------------------------
#
# The average over each image and its mirror image takes twice the time. On real photographs it
# gains two or three points of accuracy.

for run in runs:
    flipped = kerasface.evaluate(run, validation, out=run.path("flipped"), flip=True).metrics
    print(
        f"{run.folder.name}, with mirror images: accuracy {flipped['accuracy']:.1%}, "
        f"AUC {flipped['auc_macro']:.3f}. Report: {run.path('report.html')}"
    )
