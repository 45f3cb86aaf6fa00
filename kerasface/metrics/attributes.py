"""Several attributes an image: figures of 0/1 labels and probabilities, and thresholds for them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score

INTERVAL = (2.5, 97.5)  # percentiles
THRESHOLD = 0.5
# Of "Creating a Neural Network to Detect Facial Features", whose F1 of 87.79 % is example-based.
EXAMPLE_BATCH = 16


@dataclass(frozen=True)
class AttributeFigures:
    """What `evaluate` gives.

    Attributes:
        metrics: Name to number; see `evaluate`.
        per_attribute: One row an attribute, in the order received.
    """

    metrics: dict[str, float | int]
    per_attribute: pd.DataFrame


def evaluate(
    labels: np.ndarray,
    probabilities: np.ndarray,
    names: Sequence[str],
    *,
    thresholds: float | Sequence[float] | np.ndarray = THRESHOLD,
    bootstrap: int = 1000,
    seed: int = 0,
) -> AttributeFigures:
    """All figures of a multi-label classification.

    An attribute is predicted where its probability is at least its threshold. The majority guess
    says of every image what is true of most; it is right for the larger of an attribute's two
    outcomes, and what an accuracy is worth shows beside it alone.

    Args:
        labels: 0/1 ``[N, A]``, ints, bools or floats.
        probabilities: float ``[N, A]`` in [0, 1], an attribute's own, not summing to 1.
        names: Attribute names, ``[A]``.
        thresholds: One for all or ``[A]``, in [0, 1], for instance of `best_thresholds`.
        bootstrap: Resamples for the interval of the mean accuracy.
        seed: Seed of the resamples.

    Returns:
        ``per_attribute`` has ``name``, ``positives`` (images that have it), ``prevalence`` (their
        share), ``threshold``, ``accuracy``, ``majority_accuracy`` (of the majority guess) and
        ``gain`` (of the first over the second), ``balanced_accuracy`` (mean of the recalls of the
        outcomes that occur), ``precision``, ``recall``, ``f1``, ``auc`` (area under the ROC
        curve) and ``average_precision``, each of the last five NaN where undefined.

        ``metrics`` has

        - ``images``, ``attributes``;
        - ``mean_accuracy`` over the attributes, with its 95 % percentile bootstrap interval over
          images, ``mean_accuracy_low`` and ``mean_accuracy_high``; ``mean_majority_accuracy``;
          ``mean_balanced_accuracy``;
        - ``precision_macro``, ``recall_macro`` and ``f1_macro``, the means over the attributes
          that occur among labels or predictions, 0 where undefined; NaN if none occurs;
        - ``precision_micro``, ``recall_micro`` and ``f1_micro``, of all images and attributes in
          one, 0 where undefined;
        - ``f1_example_based``, which tends to be the highest of the three; see
          `example_based_f1`;
        - ``auc_macro`` and ``average_precision_macro``, the means where defined, else NaN.

    Raises:
        ValueError: If shapes, dtypes or ranges do not fit, or ``bootstrap`` is below 1.

    Warns:
        UserWarning: Once, naming the attributes that no image or every image has: they have no
            ROC curve.

    Example:
        >>> result = evaluate([[0, 1], [1, 0]], [[0.2, 0.9], [0.6, 0.7]], ["bald", "young"])
        >>> result.metrics["mean_accuracy"]
        0.75
    """
    hits, probabilities = check_attributes(labels, probabilities)
    images, attributes = hits.shape
    check_attribute_names(names, attributes)
    limits = check_thresholds(thresholds, attributes)
    _check_bootstrap(bootstrap)
    predictions = probabilities >= limits
    correct = predictions == hits
    positives, predicted = hits.sum(axis=0), predictions.sum(axis=0)
    negatives = images - positives
    found = (hits & predictions).sum(axis=0)
    refused = (~hits & ~predictions).sum(axis=0)
    precision, recall = _ratio(found, predicted), _ratio(found, positives)
    f1 = _ratio(2 * found, positives + predicted)
    both = np.stack([recall, _ratio(refused, negatives)])
    accuracy = correct.mean(axis=0)
    majority = np.maximum(positives, negatives) / images
    one_sided = (positives == 0) | (negatives == 0)
    _warn_of_one_sided(names, one_sided, "They have no ROC curve; their `auc` is NaN.")
    auc = np.full(attributes, np.nan)
    average_precision = np.full(attributes, np.nan)
    for index in range(attributes):
        pair = hits[:, index], probabilities[:, index]
        if not one_sided[index]:
            auc[index] = roc_auc_score(*pair)
        if positives[index]:
            average_precision[index] = average_precision_score(*pair)

    # Of an image only the number of its right attributes counts, so that images resampled with
    # replacement are exactly a multinomial draw of these numbers.
    shares = np.bincount(correct.sum(axis=1), minlength=attributes + 1) / images
    draws = np.random.default_rng(seed).multinomial(images, shares, bootstrap)
    resampled = draws @ np.arange(attributes + 1) / (images * attributes)
    low, high = np.percentile(resampled, INTERVAL)
    occurs = (positives > 0) | (predicted > 0)
    metrics: dict[str, float | int] = {
        "images": images,
        "attributes": attributes,
        "mean_accuracy": float(correct.mean()),
        "mean_accuracy_low": float(low),
        "mean_accuracy_high": float(high),
        "mean_majority_accuracy": float(majority.mean()),
        "mean_balanced_accuracy": float(np.nanmean(both, axis=0).mean()),
    }
    pooled = {
        "precision": _ratio(found.sum(), predicted.sum()),
        "recall": _ratio(found.sum(), positives.sum()),
        "f1": _ratio(2 * found.sum(), positives.sum() + predicted.sum()),
    }
    for key, values in (("precision", precision), ("recall", recall), ("f1", f1)):
        metrics[f"{key}_macro"] = _mean(np.nan_to_num(values)[occurs])
        metrics[f"{key}_micro"] = float(np.nan_to_num(pooled[key]))
    metrics["f1_example_based"] = example_based_f1(hits, predictions)
    metrics["auc_macro"] = _mean(auc[~one_sided])
    metrics["average_precision_macro"] = _mean(average_precision[positives > 0])
    per_attribute = pd.DataFrame(
        {
            "name": pd.Series(list(names), dtype=object),
            "positives": positives,
            "prevalence": positives / images,
            "threshold": limits,
            "accuracy": accuracy,
            "majority_accuracy": majority,
            "gain": accuracy - majority,
            "balanced_accuracy": np.nanmean(both, axis=0),
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "auc": auc,
            "average_precision": average_precision,
        }
    )
    return AttributeFigures(metrics, per_attribute)


def example_based_f1(
    labels: np.ndarray, predictions: np.ndarray, *, batch_size: int = EXAMPLE_BATCH
) -> float:
    """F1 of the mean precision and the mean recall of single images, batch by batch.

    Each image has a precision (the share of its predicted attributes that it has; 0 if none is
    predicted) and a recall (the share of its attributes that are predicted; 0 if it has none).
    Both are averaged over the images of a batch, the F1 is taken of the two means, and the mean
    of the batches is given, where a smaller last one counts as much. It rewards the attributes
    that most images have, so it is no substitute for the macro F1.

    Args:
        labels: 0/1 ``[N, A]``.
        predictions: 0/1 ``[N, A]``, the images in the order in which they were evaluated.
        batch_size: Images a batch. "Creating a Neural Network to Detect Facial Features" took
            16; its 87.79 % is this figure, where its macro F1 is about 75 %.

    Returns:
        A number in [0, 1].

    Raises:
        ValueError: If the arrays are not 0/1 of one shape ``[N, A]``, N and A at least 1, or
            ``batch_size`` is below 1.

    Example:
        >>> round(example_based_f1([[1, 1, 0], [1, 0, 0]], [[1, 0, 0], [1, 1, 0]]), 3)
        0.75
    """
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1. Received: batch_size={batch_size}.")
    hits, predicted = _zeros_and_ones("labels", labels), _zeros_and_ones("predictions", predictions)
    _check_same_shape("labels", hits, "predictions", predicted)
    found = (hits & predicted).sum(axis=1)
    starts = np.arange(0, len(hits), batch_size)
    sizes = np.diff(np.append(starts, len(hits)))
    precision, recall = (
        np.add.reduceat(np.nan_to_num(_ratio(found, whole.sum(axis=1))), starts) / sizes
        for whole in (predicted, hits)
    )
    return float(np.nan_to_num(_ratio(2 * precision * recall, precision + recall)).mean())


def best_thresholds(
    labels: np.ndarray, probabilities: np.ndarray, names: Sequence[str] | None = None
) -> np.ndarray:
    """The threshold of each attribute that gives the highest F1.

    To be chosen on validation images, never on those of the test. A threshold lies midway between
    the lowest probability that it accepts and the next one below; of equally good ones the
    nearest to 0.5 is taken.

    Args:
        labels: 0/1 ``[N, A]``.
        probabilities: float ``[N, A]`` in [0, 1].
        names: Attribute names ``[A]`` for the warning; None shows their positions.

    Returns:
        float64 ``[A]`` in [0, 1], for ``probabilities >= thresholds``.

    Raises:
        ValueError: If shapes, dtypes or ranges do not fit.

    Warns:
        UserWarning: Once, naming the attributes that no image or every image has: their threshold
            stays 0.5.

    Example:
        >>> best_thresholds([[0], [1], [1]], [[0.1], [0.3], [0.4]]).tolist()
        [0.2]
    """
    hits, probabilities = check_attributes(labels, probabilities)
    attributes = hits.shape[1]
    names = list(map(str, range(attributes))) if names is None else names
    check_attribute_names(names, attributes)
    positives = hits.sum(axis=0)
    one_sided = (positives == 0) | (positives == len(hits))
    _warn_of_one_sided(names, one_sided, f"Their threshold stays {THRESHOLD}.")
    thresholds = np.full(attributes, THRESHOLD)
    for index in np.flatnonzero(~one_sided):
        order = np.argsort(-probabilities[:, index], kind="stable")
        scores = np.append(probabilities[order, index].astype(float), 0.0)
        found = np.cumsum(hits[order, index])
        accepted = np.arange(1, len(order) + 1)
        f1 = 2 * found / (accepted + positives[index])
        # Equal probabilities cannot be told apart, so only the last of them can be the border.
        border = np.append(scores[:-2] > scores[1:-1], True)
        middle = (scores[:-1] + scores[1:]) / 2
        # Between neighbours among the floats there is no middle.
        middle = np.where(middle > scores[1:], middle, scores[:-1])
        best = np.flatnonzero(border & (f1 == f1[border].max()))
        thresholds[index] = middle[best[np.abs(middle[best] - THRESHOLD).argmin()]]
    return thresholds


def accuracy_difference(
    correct_a: np.ndarray, correct_b: np.ndarray, *, bootstrap: int = 1000, seed: int = 0
) -> dict[str, float | int]:
    """How far two models differ in mean accuracy on the same images.

    Args:
        correct_a: Which attributes of which images the first model had right, bool ``[N, A]``.
        correct_b: The same of the second model.
        bootstrap: Resamples of the images for the interval.
        seed: Seed of the resamples.

    Returns:
        ``images``; ``difference`` of the mean accuracies, a - b, with its 95 % paired percentile
        bootstrap interval, ``difference_low`` and ``difference_high``.

    Raises:
        ValueError: If they are not bool ``[N, A]`` of one shape, or ``bootstrap`` is below 1.

    Example:
        >>> accuracy_difference([[True, True]] * 4, [[True, False]] * 4)["difference_low"]
        0.5
    """
    first, second = _zeros_and_ones("correct_a", correct_a), _zeros_and_ones("correct_b", correct_b)
    _check_same_shape("correct_a", first, "correct_b", second)
    _check_bootstrap(bootstrap)
    images, attributes = first.shape
    # Of an image only the difference of two numbers of right attributes counts, so resampled
    # images are exactly a multinomial draw of these differences.
    gaps = first.sum(axis=1) - second.sum(axis=1)
    values, counts = np.unique(gaps, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(images, counts / images, bootstrap)
    low, high = np.percentile(draws @ values / (images * attributes), INTERVAL)
    return {
        "images": images,
        "difference": float(gaps.mean() / attributes),
        "difference_low": float(low),
        "difference_high": float(high),
    }


def co_occurrence(labels: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """How often an attribute comes with another.

    Args:
        labels: 0/1 ``[N, A]``.
        names: Attribute names, ``[A]``.

    Returns:
        Frame ``[A, A]`` with the names as index and columns: the share of the row's images that
        have the column too. The diagonal is 1; the row of an attribute that no image has is NaN.

    Raises:
        ValueError: If the labels are not 0/1 ``[N, A]`` or the names do not fit.

    Example:
        >>> float(co_occurrence([[1, 1], [1, 0]], ["male", "bald"]).loc["male", "bald"])
        0.5
    """
    hits = _zeros_and_ones("labels", labels)
    check_attribute_names(names, hits.shape[1])
    # As floats: numpy multiplies matrices of integers without a fast library.
    together = hits.T.astype(float) @ hits.astype(float)
    shares = _ratio(together, hits.sum(axis=0)[:, None])
    keys = pd.Index(list(names), dtype=object)
    return pd.DataFrame(shares, index=keys, columns=keys)


def check_attributes(
    labels: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities as arrays, once they are known to fit.

    Args:
        labels: 0/1 ``[N, A]``, N and A at least 1.
        probabilities: float ``[N, A]`` in [0, 1].

    Returns:
        ``(bool [N, A], float [N, A])``; the probabilities are not copied.

    Raises:
        ValueError: If they do not fit; the first value at fault is named.
    """
    hits = _zeros_and_ones("labels", labels)
    probabilities = np.asarray(probabilities)
    if probabilities.dtype.kind in "biu":  # certain ones
        probabilities = probabilities.astype(float)
    if probabilities.ndim != 2 or probabilities.dtype.kind != "f":
        raise ValueError(
            "`probabilities` must be floats of shape [images, attributes]. "
            f"Received: shape={probabilities.shape}, dtype={probabilities.dtype}."
        )
    _check_same_shape("labels", hits, "probabilities", probabilities)
    wrong = ~((probabilities >= 0) & (probabilities <= 1))  # not "<": NaN is wrong too
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(
            "`probabilities` must be in [0, 1]. Received: "
            f"{probabilities[row, column]:.6g} in row {row}, column {column}, and "
            f"{int(wrong.sum()) - 1} more out of range. Logits need a sigmoid first."
        )
    return hits, probabilities


def check_attribute_names(names: Sequence[str], attributes: int) -> None:
    """Refuses names that are not one a column, with a ValueError.

    Args:
        names: Attribute names.
        attributes: Number of columns.
    """
    if isinstance(names, str) or len(names) != attributes:
        raise ValueError(
            "`names` must have one name a column of `labels`. Received: "
            f"{names!r} for {attributes} columns."
        )


def check_thresholds(
    thresholds: float | Sequence[float] | np.ndarray, attributes: int
) -> np.ndarray:
    """Thresholds as an array, once they are known to fit.

    Args:
        thresholds: One for all or ``[attributes]``, in [0, 1].
        attributes: Number of attributes.

    Returns:
        float64 ``[attributes]``.

    Raises:
        ValueError: If they are of another number or out of range.
    """
    limits = np.asarray(thresholds, float)
    if limits.shape not in ((), (attributes,)) or not ((limits >= 0) & (limits <= 1)).all():
        raise ValueError(
            "`thresholds` must be in [0, 1], one for all or one an attribute. "
            f"Received: thresholds={np.asarray(thresholds).tolist()} for {attributes} attributes."
        )
    return np.broadcast_to(limits, (attributes,))


def _check_bootstrap(bootstrap: int) -> None:
    if bootstrap < 1:
        raise ValueError(
            f"An interval needs at least one resample. Received: bootstrap={bootstrap}."
        )


def _zeros_and_ones(key: str, values: np.ndarray) -> np.ndarray:
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


def _check_same_shape(key: str, values: np.ndarray, other_key: str, others: np.ndarray) -> None:
    if values.shape != others.shape:
        raise ValueError(
            f"`{key}` and `{other_key}` must have one row an image and one column an attribute. "
            f"Received: shapes {values.shape} and {others.shape}."
        )


def _warn_of_one_sided(names: Sequence[str], one_sided: np.ndarray, consequence: str) -> None:
    if one_sided.any():
        listed = ", ".join(repr(names[index]) for index in np.flatnonzero(one_sided).tolist())
        warnings.warn(
            f"{int(one_sided.sum())} of {len(one_sided)} attributes are of no image or of every "
            f"image: {listed}. {consequence}",
            stacklevel=3,
        )


def _ratio(part, whole) -> np.ndarray:
    """``part / whole``, NaN where the whole is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, float), np.asarray(whole, float))
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")
