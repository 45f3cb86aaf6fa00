"""
Attributes of faces
===================

Smiling or not (CelebA smiling), fifteen attributes (15 attributes), or all forty of CelebA.

With a folder of CelebA, or from tensorflow-datasets with ``--data tfds``::

    python examples/attributes.py --data data/celeba --recipe smiling --first 16000
    python examples/attributes.py --data data/celeba --recipe attributes15 --photos me.jpg

Without ``--data`` the script draws faces that have attributes::

    python examples/attributes.py --out runs/attributes
"""

from __future__ import annotations

import argparse
import pathlib

import kerasface

parser = argparse.ArgumentParser(description="Trains on attributes of faces and evaluates the run.")
parser.add_argument("--data", help="folder of CelebA, or tfds")
parser.add_argument("--recipe", default="smiling")
parser.add_argument("--first", type=int, help="number of training images to use")
parser.add_argument("--epochs", type=int, help="default: those of the recipe")
parser.add_argument("--photos", nargs="*", default=[], help="your own photographs or folders")
parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/attributes"))
options = parser.parse_args()

changes: dict = {} if options.epochs is None else {"epochs": options.epochs}
data = None if options.data == "tfds" else options.data
if options.data is None:
    data = kerasface.data.drawn_celeba(options.out / "faces", height=110)
    # Drawn faces have other attributes than CelebA's, and eight epochs are enough for them.
    changes = {"attributes": (), "epochs": 8, **changes}

# %%
# Read CelebA
# -----------
#
# The partitions are CelebA's own. No person is in two of them.

train, validation, test = kerasface.data.read_celeba(data, first=options.first)
print(train.summary())

# %%
# Train
# -----
#
# The threshold of each attribute is chosen on the validation images.

run = kerasface.train(
    options.recipe,
    train=train,
    validation=validation,
    out=options.out / options.recipe,
    overwrite=True,
    verbose=2,
    **changes,
)

# %%
# Evaluate
# --------
#
# Next to each accuracy is the majority guess: the accuracy of a constant answer.

result = kerasface.evaluate(run, test, out=run.path("test"))
columns = ["name", "prevalence", "majority_accuracy", "accuracy_at_half", "f1", "auc"]
print(result.table[columns].round(3).to_string(index=False))
print(
    f"Test: mean accuracy {result.metrics['mean_accuracy_at_half']:.2%} (majority guess "
    f"{result.metrics['mean_majority_accuracy']:.2%}), "
    f"macro F1 {result.metrics['f1_macro']:.3f}"
)
print(f"Page: {result.page}")

# %%
# Predict your own photographs
# ----------------------------
#
# ``detect=True`` finds the faces first.

if options.photos:
    pictures = run.path("photographs")
    frame = kerasface.predict(run, options.photos, detect=True, pictures=pictures)
    print(frame[["path", "face", "prediction"]].to_string(index=False))
    print(f"Pictures: {pictures}")
