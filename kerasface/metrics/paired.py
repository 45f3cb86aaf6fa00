"""Paired comparison of two models on the same images: McNemar's test, difference of accuracies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from kerasface.metrics.bootstrap import check_bootstrap, mean_interval
from kerasface.metrics.inputs import check_binary, check_same_images, check_same_shape


@dataclass(frozen=True)
class McNemarTest:
    """Result of `mcnemar`.

    Attributes:
        images: Number of images.
        only_a: Images that only the first model classifies correctly.
        only_b: Images that only the second model classifies correctly.
        p_value: Exact two-sided p value.
        difference: Accuracy of the first model minus that of the second.
        difference_low: Lower bound of its 95% interval.
        difference_high: Upper bound of its 95% interval.
    """

    images: int
    only_a: int
    only_b: int
    p_value: float
    difference: float
    difference_low: float
    difference_high: float

    def __repr__(self) -> str:
        return (
            f"McNemarTest: {self.images:,} images\n"
            f"  correct only in a: {self.only_a:,}, only in b: {self.only_b:,}\n"
            f"  difference of the accuracies: {self.difference:+.4f} "
            f"(95% interval {self.difference_low:+.4f} to {self.difference_high:+.4f})\n"
            f"  p value: {self.p_value:.4g}"
        )


@dataclass(frozen=True)
class AccuracyDifference:
    """Result of `accuracy_difference`.

    Attributes:
        images: Number of images.
        difference: Mean accuracy of the first model minus that of the second.
        difference_low: Lower bound of its 95% interval.
        difference_high: Upper bound of its 95% interval.
    """

    images: int
    difference: float
    difference_low: float
    difference_high: float

    def __repr__(self) -> str:
        return (
            f"AccuracyDifference: {self.images:,} images\n"
            f"  difference of the mean accuracies: {self.difference:+.4f} "
            f"(95% interval {self.difference_low:+.4f} to {self.difference_high:+.4f})"
        )


def mcnemar(
    correct_a: np.ndarray, correct_b: np.ndarray, *, bootstrap: int = 1000, seed: int = 0
) -> McNemarTest:
    """Tests whether two models differ in accuracy on the same images.

    McNemar 1947, "Note on the sampling error of the difference between correlated proportions or
    percentages", doi:10.1007/BF02295996.

    Args:
        correct_a: bool ``[N]``, whether the first model is correct.
        correct_b: bool ``[N]``, the same for the second model, in the same order.
        bootstrap: Number of resamples for the interval, at least 1.
        seed: Seed of the resamples.

    Returns:
        The exact two-sided p value, and the difference of the accuracies with its 95% paired
        percentile bootstrap interval.

    Raises:
        ValueError: If the arrays are not bool ``[N]`` of one length, N is 0, or ``bootstrap`` is
            below 1.

    Example:
        >>> mcnemar([True] * 9 + [False], [False] * 6 + [True] * 4).p_value
        0.125
    """
    correct_a, correct_b = np.asarray(correct_a), np.asarray(correct_b)
    for key, correct in (("correct_a", correct_a), ("correct_b", correct_b)):
        if correct.ndim != 1 or correct.dtype != bool or not correct.size:
            raise ValueError(
                f"`{key}` must be bools of shape [images] with at least one image. Received: "
                f"shape={correct.shape}, dtype={correct.dtype}. Pass labels == predictions."
            )
    check_same_images("correct_a", correct_a, "correct_b", correct_b)
    check_bootstrap(bootstrap)
    images = len(correct_a)
    only_a = int((correct_a & ~correct_b).sum())
    only_b = int((correct_b & ~correct_a).sum())
    low, high = mean_interval(
        np.array([1, -1, 0]),
        np.array([only_a, only_b, images - only_a - only_b]),
        bootstrap=bootstrap,
        seed=seed,
    )
    unequal = only_a + only_b
    return McNemarTest(
        images=images,
        only_a=only_a,
        only_b=only_b,
        p_value=float(binomtest(only_a, unequal).pvalue) if unequal else 1.0,
        difference=(only_a - only_b) / images,
        difference_low=low,
        difference_high=high,
    )


def accuracy_difference(
    correct_a: np.ndarray, correct_b: np.ndarray, *, bootstrap: int = 1000, seed: int = 0
) -> AccuracyDifference:
    """Compares the mean accuracy of two attribute models on the same images.

    Args:
        correct_a: bool ``[N, A]``, which attributes of which images the first model predicts
            correctly.
        correct_b: bool ``[N, A]``, the same for the second model, in the same order.
        bootstrap: Number of resamples of the images for the interval, at least 1.
        seed: Seed of the resamples.

    Returns:
        The difference of the mean accuracies with its 95% paired percentile bootstrap interval.

    Raises:
        ValueError: If the arrays are not bool ``[N, A]`` of one shape, or ``bootstrap`` is below
            1.

    Example:
        >>> accuracy_difference([[True, True]] * 4, [[True, False]] * 4).difference_low
        0.5
    """
    first, second = check_binary("correct_a", correct_a), check_binary("correct_b", correct_b)
    check_same_shape("correct_a", first, "correct_b", second)
    check_bootstrap(bootstrap)
    images, attributes = first.shape
    # The attributes of an image are resampled together, so only the number of correct ones matters.
    gaps = first.sum(axis=1) - second.sum(axis=1)
    values, counts = np.unique(gaps, return_counts=True)
    low, high = mean_interval(values, counts, scale=attributes, bootstrap=bootstrap, seed=seed)
    return AccuracyDifference(images, float(gaps.mean() / attributes), low, high)
