"""Confusion matrix and the most frequently confused classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kerasface.metrics.inputs import check_indices, check_same_images
from kerasface.metrics.tables import text_column


def confused_pairs(
    labels: np.ndarray, predictions: np.ndarray, names: Sequence[str], limit: int | None = 20
) -> pd.DataFrame:
    """Lists the pairs of classes that are confused, the most frequent first.

    Args:
        labels: int ``[N]`` in ``[0, C)``.
        predictions: int ``[N]`` in ``[0, C)``.
        names: Class names, ``[C]``.
        limit: Maximum number of rows. None returns all.

    Returns:
        Frame with the columns ``true`` and ``predicted`` (names), ``images``, and ``share`` of
        the images of the true class. Equally frequent pairs are in class order.

    Raises:
        ValueError: If an index is out of range or the lengths differ.

    Example:
        >>> confused_pairs([0, 0, 1], [1, 1, 1], ["ann", "bob"])["images"].tolist()
        [2]
    """
    labels = check_indices("labels", labels, len(names))
    predictions = check_indices("predictions", predictions, len(names))
    check_same_images("labels", labels, "predictions", predictions)
    pairs = confused_indices(labels, predictions, len(names)).head(
        len(labels) if limit is None else limit
    )
    known_names = np.array(list(names), dtype=object)
    true, predicted, images = pairs.to_numpy(int).T
    return pd.DataFrame(
        {
            "true": text_column(known_names[true]),
            "predicted": text_column(known_names[predicted]),
            "images": images,
            "share": images / np.bincount(labels)[true],
        }
    )


def confused_indices(labels: np.ndarray, predictions: np.ndarray, classes: int) -> pd.DataFrame:
    """Counts the confused pairs of class indices.

    Args:
        labels: int64 ``[N]`` in ``[0, classes)``.
        predictions: int64 ``[N]`` in ``[0, classes)``.
        classes: Number of classes.

    Returns:
        Frame with the columns ``true``, ``predicted`` and ``images``: the most frequent first,
        then in class order.
    """
    wrong = labels != predictions
    codes, images = np.unique(labels[wrong] * classes + predictions[wrong], return_counts=True)
    order = np.argsort(-images, kind="stable")
    true, predicted = np.divmod(codes[order], classes)
    return pd.DataFrame({"true": true, "predicted": predicted, "images": images[order]})


def confusion_counts(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """Returns the confusion matrix.

    Args:
        labels: int ``[N]`` in ``[0, classes)``.
        predictions: int ``[N]`` in ``[0, classes)``.
        classes: Number of classes.

    Returns:
        int64 ``[classes, classes]``: images per true class (row) and predicted class (column).

    Raises:
        ValueError: If an index is out of range or the lengths differ.

    Example:
        >>> confusion_counts([0, 0, 1], [0, 1, 1], 2).tolist()
        [[1, 1], [0, 1]]
    """
    labels = check_indices("labels", labels, classes)
    predictions = check_indices("predictions", predictions, classes)
    check_same_images("labels", labels, "predictions", predictions)
    counts = np.bincount(labels * classes + predictions, minlength=classes**2)
    return counts.reshape(classes, classes)
