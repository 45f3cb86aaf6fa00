"""Compares discriminants on the features of dlib's face network, in folds of the training images.

    python benchmarks/dlib_features.py --data crops/celebrities --held-out 0.2
    python benchmarks/dlib_features.py --data crops/identities/train

The folder has one subfolder of crops per person, cut with
``kerasface crop --align --template dlib``. ``--held-out`` leaves out the validation images of split
seed 0. The other images are divided into five folds, each of which is classified with the
discriminant of the other four. The features are the 256 pooled numbers and the 128 of dlib's
embedding, each as they are and scaled to length 1. Fitting uses the images, or the images and their
mirror images.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile

import keras
import numpy as np
import pandas as pd

import kerasface
from kerasface.data import identity_folder
from kerasface.embedding.discriminant import discriminant_classifier
from kerasface.inference.vectors import unit_rows
from kerasface.models.heads import split_model
from kerasface.training.features import extract

FOLDS = 5
SHRINKAGES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
VERSIONS = {"images": 1, "images and mirror images": 2}


def main() -> None:
    """Prints the accuracy and the log loss of every combination."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder of people")
    parser.add_argument("--held-out", type=float, default=0.0, help="share that is left out")
    parser.add_argument("--out", type=pathlib.Path, help="CSV file of the results")
    options = parser.parse_args()
    table = identity_folder(options.data)
    if options.held_out:
        table, _ = table.split(validation=options.held_out, seed=0)
    print(table.summary())
    pooled, projection = pooled_features(table)
    labels = np.asarray(table.labels)
    folds = pd.Series(labels).sample(frac=1, random_state=0).groupby(labels).cumcount()
    folds = folds.sort_index().to_numpy() % FOLDS
    rows = []
    for name, features in feature_spaces(pooled, projection).items():
        for versions, count in VERSIONS.items():
            for shrinkage in SHRINKAGES:
                result = of_folds(features[:count], labels, folds, shrinkage)
                rows.append((name, versions, shrinkage, *result))
        frame = pd.DataFrame(rows, columns=["features", "fit on", "shrinkage", "accuracy", "loss"])
        print(frame[frame["features"] == name].round(4).to_string(index=False), flush=True)
    if options.out:
        frame.to_csv(options.out, index=False)


def pooled_features(table: kerasface.data.FaceTable) -> tuple[np.ndarray, np.ndarray]:
    """Returns pooled features ``[2, N, 256]`` of images and mirror images, and dlib's projection.

    Args:
        table: The images.

    Returns:
        The features and the kernel ``[256, 128]`` from them to dlib's embedding.
    """
    model = kerasface.build("dlib_resnet29", embedding=128, weights="dlib")
    backbone: keras.Model = split_model(model)[0]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for augment in ((), ("flip:1",)):
            features = extract(
                backbone,
                table,
                pathlib.Path(folder),
                image_size=150,
                batch_size=32,
                augment=augment,
                verbose=1,
            )
            found.append(np.array(features.values[0], np.float64))
    return np.stack(found), model.get_layer("head_embedding").get_weights()[0]


def feature_spaces(pooled: np.ndarray, projection: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the features ``[2, N, features]`` that are compared, by name."""
    spaces = {"256 pooled": pooled, "128 of the embedding": pooled @ projection}
    unit = {
        f"{name}, length 1": np.stack([unit_rows(rows) for rows in values])
        for name, values in spaces.items()
    }
    return spaces | unit


def of_folds(
    features: np.ndarray, labels: np.ndarray, folds: np.ndarray, shrinkage: float
) -> tuple[float, float]:
    """Returns the mean accuracy and log loss of the folds.

    Args:
        features: ``[versions, N, features]``, the unchanged images first.
        labels: Class of each image, ``[N]``.
        folds: Fold of each image, ``[N]``.
        shrinkage: In [0, 1].
    """
    correct, losses = [], []
    for fold in range(FOLDS):
        fitted = folds != fold
        kernel, bias = discriminant_classifier(
            features[:, fitted], labels[fitted], labels.max() + 1, shrinkage
        )
        logits = features[0][~fitted] @ kernel + bias
        correct.append(np.mean(logits.argmax(axis=1) == labels[~fitted]))
        highest = logits.max(axis=1)
        total = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
        truth = logits[np.arange(len(logits)), labels[~fitted]]
        losses.append(np.mean(total - truth))
    return float(np.mean(correct)), float(np.mean(losses))


if __name__ == "__main__":
    main()
