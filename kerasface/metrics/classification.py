"""One class an image: figures of labels and probabilities, and of two models on the same images."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_fscore_support

SUM_TOLERANCE = 1e-3  # float16 softmax over thousands of classes
CALIBRATION_BINS = 15  # Guo et al. 2017, arXiv:1706.04599
INTERVAL = (2.5, 97.5)  # percentiles
CHUNK = 2**24  # numbers that are copied at a time


@dataclass(frozen=True)
class Classification:
    """What `evaluate` gives.

    Attributes:
        metrics: Name to number; see `evaluate`.
        per_class: One row a class, in class order.
        predictions: One row an image, in the order received.
    """

    metrics: dict[str, float | int]
    per_class: pd.DataFrame
    predictions: pd.DataFrame


def evaluate(
    labels: np.ndarray,
    probabilities: np.ndarray,
    names: Sequence[str],
    *,
    paths: Sequence[str] | np.ndarray | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Classification:
    """All figures of a classification.

    The predicted class is the most probable one; of equally probable classes the one of the lower
    index comes first, in the prediction and in the top five. Arrays of 35,000 images times 7,001
    classes are copied in parts only.

    Args:
        labels: int ``[N]`` in ``[0, C)``.
        probabilities: float ``[N, C]``, not negative, rows summing to 1 within 0.001.
        names: Class names, ``[C]``.
        paths: The images' files, ``[N]``, a column of ``predictions`` then.
        bootstrap: Resamples for the interval of the accuracy.
        seed: Seed of the resamples.

    Returns:
        ``metrics`` has

        - ``images``, ``classes``;
        - ``accuracy`` with its 95 % interval over images, ``accuracy_low`` and ``accuracy_high``,
          see `proportion_interval`; ``top5_accuracy`` (of all classes where there are fewer than
          five); ``balanced_accuracy``, the mean recall of the classes with images;
        - ``precision``, ``recall`` and ``f1``, each ``_weighted`` (by images) and ``_macro`` (over
          the classes that occur among labels or predictions); 0 where undefined;
        - ``auc_macro`` and ``auc_weighted``: area under the ROC curve of each class against all
          others; NaN where no class has one;
        - ``log_loss``: natural logarithm, probabilities clipped at the dtype's epsilon;
        - ``expected_calibration_error``: see `expected_calibration_error`.

        ``per_class`` has ``name``, ``images``, ``accuracy`` (the recall), ``precision``, ``f1``,
        ``auc`` (each NaN where undefined) and ``most_confused_with``, the name of the class that
        was most often predicted instead, empty where none was.

        ``predictions`` has ``path`` (if given), ``label`` and ``prediction`` (names),
        ``probability`` (of the prediction) and ``correct``.

    Raises:
        ValueError: If shapes or dtypes do not fit, a label is out of range, a row is no
            distribution, or ``bootstrap`` is below 1.

    Warns:
        UserWarning: Once, if classes without both outcomes have no ROC curve.

    Example:
        >>> result = evaluate([0, 1, 1], [[0.8, 0.2], [0.3, 0.7], [0.6, 0.4]], ["ann", "bob"])
        >>> round(result.metrics["accuracy"], 3)
        0.667
    """
    labels, probabilities = check_outcomes(labels, probabilities)
    images, classes = probabilities.shape
    check_names(names, classes)
    if paths is not None and len(paths) != images:
        raise ValueError(
            f"`paths` must have one path an image. Received: {len(paths)} paths for {images} "
            "images."
        )
    _check_bootstrap(bootstrap)

    predictions = probabilities.argmax(axis=1)
    confidence = probabilities[np.arange(images), predictions]
    own = probabilities[np.arange(images), labels]
    correct = predictions == labels
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predictions, labels=np.arange(classes), average=None, zero_division=np.nan
    )
    auc = _auc(labels, probabilities)
    known = np.isfinite(auc)
    if not known.all():
        _warn_of_missing_curves([names[index] for index in np.flatnonzero(~known)[:3]], known)
    occurs = (support > 0) | (np.bincount(predictions, minlength=classes) > 0)
    low, high = proportion_interval(int(correct.sum()), images, bootstrap=bootstrap, seed=seed)
    epsilon = np.finfo(probabilities.dtype).eps

    metrics: dict[str, float | int] = {
        "images": images,
        "classes": classes,
        "accuracy": float(correct.mean()),
        "accuracy_low": low,
        "accuracy_high": high,
        "top5_accuracy": float((_ranks(labels, probabilities, own) < 5).mean()),
        "balanced_accuracy": float(recall[support > 0].mean()),
    }
    for key, values in (("precision", precision), ("recall", recall), ("f1", f1)):
        filled = np.nan_to_num(values)
        metrics[f"{key}_weighted"] = float(np.average(filled, weights=support))
        metrics[f"{key}_macro"] = float(filled[occurs].mean())
    metrics["auc_macro"] = float(auc[known].mean()) if known.any() else float("nan")
    metrics["auc_weighted"] = (
        float(np.average(auc[known], weights=support[known])) if known.any() else float("nan")
    )
    metrics["log_loss"] = float(-np.log(own.astype(float).clip(epsilon, 1 - epsilon)).mean())
    metrics["expected_calibration_error"] = expected_calibration_error(
        calibration_table(confidence, correct)
    )

    worst = _wrong_pairs(labels, predictions, classes).drop_duplicates("true")
    spelled = np.array([*names, ""], dtype=object)
    confused_with = np.full(classes, classes)
    confused_with[worst["true"].to_numpy()] = worst["predicted"].to_numpy()
    per_class = pd.DataFrame(
        {
            "name": _texts(spelled[:classes]),
            "images": support,
            "accuracy": recall,
            "precision": precision,
            "f1": f1,
            "auc": auc,
            "most_confused_with": _texts(spelled[confused_with]),
        }
    )
    rows = {
        "label": _texts(spelled[labels]),
        "prediction": _texts(spelled[predictions]),
        "probability": confidence,
        "correct": correct,
    }
    if paths is not None:
        rows = {"path": _texts(paths), **rows}
    return Classification(metrics, per_class, pd.DataFrame(rows))


def proportion_interval(
    right: int, count: int, *, bootstrap: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The 95 % interval of a share of right answers.

    Args:
        right: How many are right, of ``count``.
        count: How many there are, at least 1.
        bootstrap: Resamples, at least 1.
        seed: Seed of the resamples.

    Returns:
        The percentile bootstrap's bounds. Where all are right, or none, every resample is the
        same, and the bounds are the exact binomial ones (Clopper and Pearson 1934,
        doi:10.1093/biomet/26.4.404).

    Example:
        >>> low, high = proportion_interval(10, 10)
        >>> round(low, 3), high
        (0.692, 1.0)
    """
    if right in (0, count):
        bounds = binomtest(right, count).proportion_ci()
        return float(bounds.low), float(bounds.high)
    # A mean of zeros and ones resampled with replacement is exactly a binomial draw.
    draws = np.random.default_rng(seed).binomial(count, right / count, bootstrap) / count
    low, high = np.percentile(draws, INTERVAL)
    return float(low), float(high)


def check_outcomes(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities as arrays, once they are known to fit.

    Args:
        labels: int ``[N]`` in ``[0, C)``, N at least 1.
        probabilities: float ``[N, C]``, not negative, rows summing to 1 within 0.001.

    Returns:
        ``(int64 [N], float [N, C])``; the probabilities are not copied.

    Raises:
        ValueError: If they do not fit; the first row at fault is named.
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
            "`labels` and `probabilities` must have one row an image. "
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
            f"and {int(wrong.sum()) - 1} more such rows. Logits need a softmax first."
        )
    return labels, probabilities


def check_indices(key: str, indices: np.ndarray, classes: int) -> np.ndarray:
    """Class indices as an array, once they are known to be such.

    Args:
        key: What to call them in an error.
        indices: int ``[N]`` in ``[0, classes)``, N at least 1.
        classes: Number of classes.

    Returns:
        int64 ``[N]``.

    Raises:
        ValueError: If they are no integers, not of one dimension, none, or out of range.
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
    """Refuses names that are not one a column of probabilities, with a ValueError.

    Args:
        names: Class names.
        classes: Number of columns.
    """
    if len(names) != classes:
        raise ValueError(
            "`names` must have one name a column of `probabilities`. "
            f"Received: {len(names)} names for {classes} columns."
        )


def confused_pairs(
    labels: np.ndarray, predictions: np.ndarray, names: Sequence[str], limit: int | None = 20
) -> pd.DataFrame:
    """Which classes are taken for which others, the most frequent first.

    Args:
        labels: int ``[N]`` in ``[0, C)``.
        predictions: int ``[N]`` in ``[0, C)``.
        names: Class names, ``[C]``.
        limit: Rows at most; None gives all.

    Returns:
        Frame of ``true`` and ``predicted`` (names), ``images``, and ``share`` of the true
        class's images; equal pairs in class order.

    Raises:
        ValueError: If an index is out of range or the lengths differ.
    """
    labels = check_indices("labels", labels, len(names))
    predictions = check_indices("predictions", predictions, len(names))
    _check_pairs("labels", labels, "predictions", predictions)
    pairs = _wrong_pairs(labels, predictions, len(names)).head(
        len(labels) if limit is None else limit
    )
    spelled = np.array(list(names), dtype=object)
    true, predicted, images = pairs.to_numpy(int).T
    return pd.DataFrame(
        {
            "true": _texts(spelled[true]),
            "predicted": _texts(spelled[predicted]),
            "images": images,
            "share": images / np.bincount(labels)[true],
        }
    )


def calibration_table(
    confidence: np.ndarray, correct: np.ndarray, *, bins: int = CALIBRATION_BINS
) -> pd.DataFrame:
    """Confidence against accuracy in bins of equal width, ``(low, high]``.

    Args:
        confidence: Probability of the predicted class, ``[N]`` in ``[0, 1]``.
        correct: Whether the prediction was right, bool ``[N]``.
        bins: Number of bins.

    Returns:
        Frame of ``low``, ``high``, ``images``, mean ``confidence`` and ``accuracy``, one row a
        bin; the means of an empty bin are NaN.
    """
    edges = np.linspace(0, 1, bins + 1)
    confidence = np.asarray(confidence, float)
    place = np.digitize(confidence, edges[1:-1], right=True)
    images = np.bincount(place, minlength=bins)
    divisor = np.where(images, images, np.nan)
    return pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "images": images,
            "confidence": np.bincount(place, confidence, bins) / divisor,
            "accuracy": np.bincount(place, np.asarray(correct, float), bins) / divisor,
        }
    )


def expected_calibration_error(table: pd.DataFrame) -> float:
    """Mean distance between confidence and accuracy, bins weighted by their images.

    Args:
        table: What `calibration_table` gives.

    Returns:
        A number in ``[0, 1]``; 0 is perfectly calibrated. Guo et al. 2017, arXiv:1706.04599.
    """
    distance = (table["accuracy"] - table["confidence"]).abs().fillna(0)
    return float(np.average(distance, weights=table["images"]))


def mcnemar(
    correct_a: np.ndarray, correct_b: np.ndarray, *, bootstrap: int = 1000, seed: int = 0
) -> dict[str, float | int]:
    """Whether two models differ in accuracy on the same images.

    Args:
        correct_a: Whether the first model was right, bool ``[N]``.
        correct_b: The same of the second model, the same images in the same order.
        bootstrap: Resamples for the interval.
        seed: Seed of the resamples.

    Returns:
        ``images``; ``only_a`` and ``only_b``, the images that one model alone has right;
        ``p_value``, exact and two-sided, of McNemar's test (McNemar 1947,
        doi:10.1007/BF02295996); ``difference`` of the accuracies, a - b, with its 95 % paired
        percentile bootstrap interval, ``difference_low`` and ``difference_high``.

    Raises:
        ValueError: If they are not bool ``[N]`` of one length, N at least 1, or ``bootstrap`` is
            below 1.

    Example:
        >>> mcnemar([True] * 9 + [False], [False] * 6 + [True] * 4)["p_value"]
        0.125
    """
    correct_a, correct_b = np.asarray(correct_a), np.asarray(correct_b)
    for key, correct in (("correct_a", correct_a), ("correct_b", correct_b)):
        if correct.ndim != 1 or correct.dtype != bool or not correct.size:
            raise ValueError(
                f"`{key}` must be bools of shape [images] with at least one image. Received: "
                f"shape={correct.shape}, dtype={correct.dtype}. Compare: labels == predictions."
            )
    _check_pairs("correct_a", correct_a, "correct_b", correct_b)
    _check_bootstrap(bootstrap)
    images = len(correct_a)
    only_a = int((correct_a & ~correct_b).sum())
    only_b = int((correct_b & ~correct_a).sum())
    # Resampled pairs are of three kinds, and their counts are exactly a multinomial draw.
    shares = np.array([only_a, only_b, images - only_a - only_b]) / images
    draws = np.random.default_rng(seed).multinomial(images, shares, bootstrap)
    low, high = np.percentile((draws[:, 0] - draws[:, 1]) / images, INTERVAL)
    unequal = only_a + only_b
    return {
        "images": images,
        "only_a": only_a,
        "only_b": only_b,
        "p_value": float(binomtest(only_a, unequal).pvalue) if unequal else 1.0,
        "difference": (only_a - only_b) / images,
        "difference_low": float(low),
        "difference_high": float(high),
    }


def _check_pairs(key: str, values: np.ndarray, other_key: str, others: np.ndarray) -> None:
    if len(values) != len(others):
        raise ValueError(
            f"`{key}` and `{other_key}` must be of the same images. "
            f"Received: {len(values)} and {len(others)} of them."
        )


def _check_bootstrap(bootstrap: int) -> None:
    if bootstrap < 1:
        raise ValueError(
            f"An interval needs at least one resample. Received: bootstrap={bootstrap}."
        )


def _warn_of_missing_curves(first: Sequence[str], known: np.ndarray) -> None:
    missing = int((~known).sum())
    listed = ", ".join(map(repr, first)) + (" and others" if missing > len(first) else "")
    warnings.warn(
        f"{missing} of {len(known)} classes have no ROC curve, because no image or every image "
        f"is of theirs: {listed}. They are left out of auc_macro and auc_weighted.",
        stacklevel=3,
    )


def _texts(values: Sequence[str] | np.ndarray) -> pd.Series:
    # Not pandas' own strings: they refuse file names whose bytes are no UTF-8.
    return pd.Series(list(values), dtype=object)


def _wrong_pairs(labels: np.ndarray, predictions: np.ndarray, classes: int) -> pd.DataFrame:
    """Indices ``true``, ``predicted`` and ``images``, most frequent first, then in class order."""
    wrong = labels != predictions
    codes, images = np.unique(labels[wrong] * classes + predictions[wrong], return_counts=True)
    order = np.argsort(-images, kind="stable")
    true, predicted = np.divmod(codes[order], classes)
    return pd.DataFrame({"true": true, "predicted": predicted, "images": images[order]})


def _ranks(labels: np.ndarray, probabilities: np.ndarray, own: np.ndarray) -> np.ndarray:
    """How many classes come before the true one; ties as in argmax."""
    images, classes = probabilities.shape
    ranks = np.empty(images, int)
    for rows in _parts(images, classes):
        part, value = probabilities[rows], own[rows, None]
        tied_before = (part == value) & (np.arange(classes) < labels[rows, None])
        ranks[rows] = ((part > value) | tied_before).sum(axis=1)
    return ranks


def _auc(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """AUC of each class against all others, ``[C]``; NaN without both outcomes.

    It is the Mann-Whitney statistic; ties get average ranks. One sort a class, and no ranks but
    those of the class's own images.
    """
    images, classes = probabilities.shape
    positives = np.bincount(labels, minlength=classes)
    by_class = np.split(np.argsort(labels, kind="stable"), np.cumsum(positives)[:-1])
    auc = np.full(classes, np.nan)
    for columns in _parts(classes, images):
        ordered = probabilities[:, columns].T.copy()
        ordered.sort(axis=1)
        for index, scores in enumerate(ordered, start=columns.start):
            count = int(positives[index])
            if 0 < count < images:
                own = probabilities[by_class[index], index]
                ranks = (
                    scores.searchsorted(own, "left") + scores.searchsorted(own, "right") + 1
                ) / 2
                pairs = count * (images - count)
                auc[index] = (ranks.sum() - count * (count + 1) / 2) / pairs
    return auc


def _parts(length: int, width: int) -> Iterator[slice]:
    step = max(1, CHUNK // width)
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))
