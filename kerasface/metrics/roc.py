"""ROC curves of each class against all others, and the areas under them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import auc

from kerasface.metrics.chunks import chunks
from kerasface.metrics.inputs import check_outcomes

CURVE_POINTS = 1000


@dataclass(frozen=True)
class RocCurve:
    """A ROC curve, with straight lines between its points.

    Attributes:
        false_positive_rates: float ``[P]``, rising from 0 to 1.
        true_positive_rates: float ``[P]``, rising to 1.
        area: Area under the curve.
    """

    false_positive_rates: np.ndarray
    true_positive_rates: np.ndarray
    area: float

    def __repr__(self) -> str:
        return f"RocCurve: {len(self.false_positive_rates):,} points, area {self.area:.4f}"


@dataclass(frozen=True)
class RocCurves:
    """Result of `one_vs_rest_curves`.

    Attributes:
        micro: Curve of all pairs of an image and a class.
        macro: Mean of the curves of the classes.
        per_class: Class index to curve, only of classes with and without images.
    """

    micro: RocCurve
    macro: RocCurve
    per_class: dict[int, RocCurve]

    def __repr__(self) -> str:
        return (
            f"RocCurves: {len(self.per_class):,} curves of single classes\n"
            f"  area of the micro average  {self.micro.area:.4f}\n"
            f"  area of the macro average  {self.macro.area:.4f}"
        )


def one_vs_rest_auc(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Returns the area under the ROC curve of each class against all others.

    It is the Mann-Whitney statistic; ties get average ranks. Only one sort per class is needed,
    and no ranks except those of the images of the class.

    Args:
        labels: int ``[N]`` in ``[0, C)``.
        probabilities: float ``[N, C]``.

    Returns:
        float64 ``[C]``, NaN for a class that no image or every image has.

    Example:
        >>> one_vs_rest_auc(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]])).tolist()
        [1.0, 1.0]
    """
    images, classes = probabilities.shape
    positives = np.bincount(labels, minlength=classes)
    by_class = np.split(np.argsort(labels, kind="stable"), np.cumsum(positives)[:-1])
    areas = np.full(classes, np.nan)
    for columns in chunks(classes, images):
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
                areas[index] = (ranks.sum() - count * (count + 1) / 2) / pairs
    return areas


def one_vs_rest_curves(
    labels: np.ndarray, probabilities: np.ndarray, *, keep_classes: bool = True
) -> RocCurves:
    """Computes the ROC curve of each class against all others, and their averages.

    A curve has a point for each distinct probability of the images of its class, at most 1,000.

    Args:
        labels: int ``[N]`` in ``[0, C)``.
        probabilities: float ``[N, C]``, rows summing to 1.
        keep_classes: If True, return the curves of the single classes. They need much memory for
            thousands of classes.

    Returns:
        The micro average, the macro average (mean true positive rate of the classes that have a
        curve, at 1,001 false positive rates) and the curves of the classes.

    Raises:
        ValueError: If shapes are invalid, a row does not sum to 1, or no class has a curve.

    Example:
        >>> curves = one_vs_rest_curves([0, 1], [[0.9, 0.1], [0.2, 0.8]])
        >>> float(curves.macro.area)
        1.0
    """
    labels, probabilities = check_outcomes(labels, probabilities)
    images, classes = probabilities.shape
    own = probabilities[np.arange(images), labels]
    all_thresholds = _thresholds(own)
    above, at_least = np.zeros((2, len(all_thresholds)), np.int64)
    grid = np.linspace(0, 1, CURVE_POINTS + 1)
    curves: dict[int, RocCurve] = {}
    total, area, counted = np.zeros_like(grid), 0.0, 0
    for index in range(classes):
        scores = np.sort(probabilities[:, index])
        class_above, class_at_least = _accepted(scores, all_thresholds)
        above += class_above
        at_least += class_at_least
        positive = np.sort(probabilities[labels == index, index])
        if not 0 < len(positive) < images:
            continue
        thresholds = _thresholds(positive)
        curve = _curve(positive, thresholds, *_accepted(scores, thresholds), images)
        total += np.interp(grid, curve.false_positive_rates, curve.true_positive_rates)
        area += curve.area
        counted += 1
        if keep_classes:
            curves[index] = curve
    if not counted:
        raise ValueError(
            "A ROC curve needs a class with images and with images of other classes. "
            f"Received: {images} images, all of one class."
        )
    micro = _curve(np.sort(own), all_thresholds, above, at_least, images * classes)
    # Without the first point a curve that rises at once would not start at the origin.
    macro = RocCurve(np.append(0, grid), np.append(0, total / counted), area / counted)
    return RocCurves(micro, macro, curves)


def _thresholds(scores: np.ndarray) -> np.ndarray:
    """Returns the distinct scores, highest first, at most `CURVE_POINTS` of them."""
    unique = np.unique(scores)[::-1]
    if len(unique) > CURVE_POINTS:
        unique = unique[np.linspace(0, len(unique) - 1, CURVE_POINTS).round().astype(int)]
    return unique


def _accepted(scores: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts the sorted scores above each threshold, and those above or equal to it."""
    count = len(scores)
    return (
        count - scores.searchsorted(thresholds, "right"),
        count - scores.searchsorted(thresholds, "left"),
    )


def _curve(
    positive: np.ndarray,
    thresholds: np.ndarray,
    above: np.ndarray,
    at_least: np.ndarray,
    total: int,
) -> RocCurve:
    """Computes a curve.

    Args:
        positive: Sorted scores of the positives.
        thresholds: Descending.
        above: Number of all scores above each threshold.
        at_least: Number of all scores above or equal to it.
        total: Total number of scores.
    """
    true = np.stack(_accepted(positive, thresholds), 1)
    false = np.stack([above, at_least], 1) - true
    # Ties are a straight line from "above" to "above or equal".
    rates = [
        np.concatenate([[0], counts.ravel() / size, [1]])
        for counts, size in ((false, total - len(positive)), (true, len(positive)))
    ]
    return RocCurve(rates[0], rates[1], float(auc(*rates)))
