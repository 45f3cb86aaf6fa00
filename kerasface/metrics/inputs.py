"""Checks of the arrays that metrics are computed from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SUM_TOLERANCE = 1e-3  # float16 softmax over thousands of classes


def check_outcomes(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Checks the labels and class probabilities of a classification.

    Args:
        labels: int ``[N]`` in ``[0, C)``, N at least 1.
        probabilities: float ``[N, C]``, not negative; each row sums to 1 within 0.001.

    Returns:
        ``(int64 [N], float [N, C])``. The probabilities are not copied.

    Raises:
        ValueError: If they are invalid. The message names the first invalid row.
    """
    probabilities = np.asarray(probabilities)
    if probabilities.dtype.kind in "biu":  # one-hot
        probabilities = probabilities.astype(float)
    if probabilities.ndim != 2 or probabilities.dtype.kind != "f" or not probabilities.size:
        raise ValueError(
            "`probabilities` must be floats of shape [images, classes] with at least one of "
            f"each. Received: shape={probabilities.shape}, dtype={probabilities.dtype}."
        )
    labels = check_indices("labels", labels, probabilities.shape[1])
    if len(labels) != len(probabilities):
        raise ValueError(
            "`labels` and `probabilities` must have one row per image. "
            f"Received: {len(labels)} labels and {len(probabilities)} rows of probabilities."
        )
    with np.errstate(invalid="ignore"):  # inf - inf
        total = probabilities.sum(axis=1, dtype=float)
    lowest = probabilities.min(axis=1)
    wrong = ~((lowest >= 0) & (abs(total - 1) <= SUM_TOLERANCE))  # not "<": NaN is wrong too
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            "Every row of `probabilities` must be finite, not negative and sum to 1. Received: "
            f"row {row} with the sum {total[row]:.6g} and the smallest value {lowest[row]:.6g}, "
            f"and {int(wrong.sum()) - 1} more such rows. Apply a softmax to logits first."
        )
    return labels, probabilities


def check_indices(key: str, indices: np.ndarray, classes: int) -> np.ndarray:
    """Checks class indices.

    Args:
        key: Name of the argument, for the error message.
        indices: int ``[N]`` in ``[0, classes)``, N at least 1.
        classes: Number of classes.

    Returns:
        int64 ``[N]``.

    Raises:
        ValueError: If they are not integers of shape ``[N]``, N is 0, or one is out of range.
    """
    indices = np.asarray(indices)
    if indices.ndim != 1 or indices.dtype.kind not in "iu" or not indices.size:
        raise ValueError(
            f"`{key}` must be class indices, integers of shape [images] with at least one image. "
            f"Received: shape={indices.shape}, dtype={indices.dtype}."
        )
    wrong = (indices < 0) | (indices >= classes)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"`{key}` must be class indices from 0 to {classes - 1}. Received: "
            f"{int(indices[row])} in row {row}, and {int(wrong.sum()) - 1} more out of range."
        )
    return indices.astype(np.int64)


def check_names(names: Sequence[str], classes: int) -> None:
    """Raises a ValueError unless there is one name per class.

    Args:
        names: Class names.
        classes: Number of columns of the probabilities.
    """
    if len(names) != classes:
        raise ValueError(
            "`names` must have one name per column of `probabilities`. "
            f"Received: {len(names)} names for {classes} columns."
        )


def check_same_images(key: str, values: np.ndarray, other_key: str, others: np.ndarray) -> None:
    """Raises a ValueError unless two arrays have the same length.

    Args:
        key: Name of the first argument, for the error message.
        values: ``[N]``.
        other_key: Name of the second argument.
        others: ``[N]``.
    """
    if len(values) != len(others):
        raise ValueError(
            f"`{key}` and `{other_key}` must have one value per image. "
            f"Received: {len(values)} and {len(others)} values. Pass both for the same images."
        )


def check_attributes(
    labels: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Checks the labels and probabilities of attributes.

    Args:
        labels: 0/1 ``[N, A]``, N and A at least 1.
        probabilities: float ``[N, A]`` in [0, 1].

    Returns:
        ``(bool [N, A], float [N, A])``. The probabilities are not copied.

    Raises:
        ValueError: If they are invalid. The message names the first invalid value.
    """
    truth = check_binary("labels", labels)
    probabilities = np.asarray(probabilities)
    if probabilities.dtype.kind in "biu":  # 0 and 1
        probabilities = probabilities.astype(float)
    if probabilities.ndim != 2 or probabilities.dtype.kind != "f":
        raise ValueError(
            "`probabilities` must be floats of shape [images, attributes]. "
            f"Received: shape={probabilities.shape}, dtype={probabilities.dtype}."
        )
    check_same_shape("labels", truth, "probabilities", probabilities)
    wrong = ~((probabilities >= 0) & (probabilities <= 1))  # not "<": NaN is wrong too
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(
            "`probabilities` must be in [0, 1]. Received: "
            f"{probabilities[row, column]:.6g} in row {row}, column {column}, and "
            f"{int(wrong.sum()) - 1} more out of range. Apply a sigmoid to logits first."
        )
    return truth, probabilities


def check_binary(key: str, values: np.ndarray) -> np.ndarray:
    """Checks an array of zeros and ones.

    Args:
        key: Name of the argument, for the error message.
        values: 0/1 ``[N, A]``, N and A at least 1.

    Returns:
        bool ``[N, A]``.

    Raises:
        ValueError: If the shape, the dtype or a value is invalid.
    """
    values = np.asarray(values)
    if values.ndim != 2 or values.dtype.kind not in "biuf" or not values.size:
        raise ValueError(
            f"`{key}` must be 0 and 1 of shape [images, attributes] with at least one of each. "
            f"Received: shape={values.shape}, dtype={values.dtype}."
        )
    wrong = (values != 0) & (values != 1)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(
            f"`{key}` must be 0 and 1. Received: {values[row, column]} in row {row}, column "
            f"{column}, and {int(wrong.sum()) - 1} more such values."
        )
    return values.astype(bool)


def check_same_shape(key: str, values: np.ndarray, other_key: str, others: np.ndarray) -> None:
    """Raises a ValueError unless two arrays have the same shape.

    Args:
        key: Name of the first argument, for the error message.
        values: ``[N, A]``.
        other_key: Name of the second argument.
        others: ``[N, A]``.
    """
    if values.shape != others.shape:
        raise ValueError(
            f"`{key}` and `{other_key}` must have one row per image and one column per attribute. "
            f"Received: shapes {values.shape} and {others.shape}."
        )


def check_attribute_names(names: Sequence[str], attributes: int) -> None:
    """Raises a ValueError unless there is one name per attribute.

    Args:
        names: Attribute names.
        attributes: Number of columns of the labels.
    """
    if isinstance(names, str) or len(names) != attributes:
        raise ValueError(
            "`names` must have one name per column of `labels`. Received: "
            f"{names!r} for {attributes} columns."
        )


def check_thresholds(
    thresholds: float | Sequence[float] | np.ndarray, attributes: int
) -> np.ndarray:
    """Checks the thresholds of attributes.

    Args:
        thresholds: One for all attributes or ``[attributes]``, in [0, 1].
        attributes: Number of attributes.

    Returns:
        float64 ``[attributes]``.

    Raises:
        ValueError: If the number of thresholds is wrong or one is out of range.
    """
    limits = np.asarray(thresholds, float)
    if limits.shape not in ((), (attributes,)) or not ((limits >= 0) & (limits <= 1)).all():
        raise ValueError(
            "`thresholds` must be in [0, 1], one for all attributes or one per attribute. "
            f"Received: thresholds={np.asarray(thresholds).tolist()} for {attributes} attributes."
        )
    return np.broadcast_to(limits, (attributes,))


def check_pairs(scores: np.ndarray, same: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Checks the scores and labels of pairs.

    Args:
        scores: Numbers ``[N]``, finite.
        same: bool or 0/1 ``[N]``, at least one pair of each kind.

    Returns:
        ``(float64 [N], bool [N])``.

    Raises:
        ValueError: If they are invalid. The message names the first invalid pair.
    """
    scores, same = np.asarray(scores), np.asarray(same)
    if scores.ndim != 1 or scores.dtype.kind not in "fiu":
        raise ValueError(
            "`scores` must be numbers of shape [pairs]. "
            f"Received: shape={scores.shape}, dtype={scores.dtype}."
        )
    if same.shape != scores.shape or same.dtype.kind not in "biuf":
        raise ValueError(
            "`same` must have one bool, or 0 or 1, per pair. "
            f"Received: shape={same.shape}, dtype={same.dtype} for {len(scores)} scores."
        )
    wrong = ~np.isfinite(scores)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"Every score must be finite. Received: {scores[row]} at pair {row}, and "
            f"{int(wrong.sum()) - 1} more such pairs."
        )
    invalid = (same != 0) & (same != 1)
    if invalid.any():
        row = int(invalid.argmax())
        raise ValueError(f"`same` must be 0 or 1. Received: {same[row]} at pair {row}.")
    same = same.astype(bool)
    if same.all() or not same.any():
        raise ValueError(
            "Verification needs genuine and impostor pairs. "
            f"Received: {int(same.sum())} genuine and {int((~same).sum())} impostor pairs."
        )
    return scores.astype(float), same
