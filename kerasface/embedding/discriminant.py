"""Linear discriminant analysis: directions for embeddings and a linear classifier.

Both uses share the estimates: the means of the classes and one covariance within them, shrunk
towards that of a sphere (Friedman 1989, "Regularized Discriminant Analysis"). scikit-learn's
``LinearDiscriminantAnalysis`` gives the same results, but copies the features for each class.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import scipy.linalg
import scipy.special

from kerasface.checks import check_number

# Chosen on every fifth of 120 people, fitted on the others (benchmarks/verification.py).
EMBEDDING_SHRINKAGE = 0.3
# By five folds of 1,381 images of 23 celebrities, their mirror images and four crops of each:
# accuracy 72.0%, 71.8% with 0.05, 71.2% with 0.2, 70.0% with 0.3.
CLASSIFIER_SHRINKAGE = 0.1
FOLDS = 3
IMAGES_PER_STEP = 4096
TEMPERATURES = np.geomspace(0.02, 1.0, 30)
SMALLEST_VARIANCE = 1e-12  # if all images are equal


@dataclasses.dataclass(frozen=True, eq=False)
class ClassStatistics:
    """Means and covariances of features of several classes, float64.

    Attributes:
        present: Classes that have images, ``[present]``.
        counts: Number of feature vectors per class, ``[present]``.
        means: Mean per class, ``[present, features]``.
        within: Covariance within the classes, ``[features, features]``, not shrunk.
    """

    present: np.ndarray
    counts: np.ndarray
    means: np.ndarray
    within: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Mean of all feature vectors, ``[features]``."""
        return self.counts @ self.means / self.counts.sum()

    @property
    def between(self) -> np.ndarray:
        """Covariance of the class means, ``[features, features]``, not shrunk."""
        centered = self.means - self.mean
        return (self.counts[:, None] * centered).T @ centered / self.counts.sum()


def class_statistics(features: np.ndarray, labels: np.ndarray, classes: int) -> ClassStatistics:
    """Computes means and covariances in steps, without a copy of the features.

    Args:
        features: ``[variants, N, features]``: several versions of each image.
        labels: Class of each image, ``[N]``, in ``[0, classes)``.
        classes: Number of classes. Some may have no images.

    Returns:
        The statistics of the classes that have images.
    """
    variants, images, dimensions = features.shape
    counts = variants * np.bincount(labels, minlength=classes)
    present = np.flatnonzero(counts)
    sums, squares = np.zeros((classes, dimensions)), np.zeros((dimensions, dimensions))
    for start in range(0, images, IMAGES_PER_STEP):
        rows = slice(start, start + IMAGES_PER_STEP)
        for variant in features:
            values = variant[rows].astype(np.float64)
            np.add.at(sums, labels[rows], values)
            squares += values.T @ values
    counts = counts[present]
    means = sums[present] / counts[:, None]
    within = (squares - (counts[:, None] * means).T @ means) / counts.sum()
    return ClassStatistics(present, counts, means, within)


def shrink(covariance: np.ndarray, shrinkage: float) -> np.ndarray:
    """Moves a covariance towards that of a sphere of the same total variance.

    Args:
        covariance: ``[features, features]``.
        shrinkage: In [0, 1]; 0 keeps the covariance, 1 gives that of the sphere.

    Returns:
        ``[features, features]``.

    Example:
        >>> shrink(np.diag([4.0, 2.0]), 0.5).tolist()
        [[3.5, 0.0], [0.0, 2.5]]
    """
    variance = max(np.trace(covariance) / len(covariance), SMALLEST_VARIANCE)
    shrunk = (1.0 - shrinkage) * covariance
    shrunk[np.diag_indices_from(shrunk)] += shrinkage * variance
    return shrunk


def discriminant_directions(
    features: np.ndarray, labels: np.ndarray, shrinkage: float = EMBEDDING_SHRINKAGE
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the directions in which people differ most compared with the images of one person.

    The directions of Fisher (1936), scaled so that the shrunk covariance within people is that of
    a unit sphere. The covariance between people is shrunk by the same factor.

    Args:
        features: ``[N, features]``.
        labels: int ``[N]``, the person of each row.
        shrinkage: In [0, 1]. Larger values trust the covariance within people less.

    Returns:
        Kernel ``[features, directions]`` and bias ``[directions]``, float32. There is at most one
        direction fewer than people. The bias moves the mean of all features to 0.

    Raises:
        ValueError: If there are fewer than two people, or no person has two images.

    Example:
        >>> features = np.array([[0.0, 0], [0, 2], [1, 0], [1, 2.0]])
        >>> kernel, bias = discriminant_directions(features, np.array([0, 0, 1, 1]))
        >>> kernel.shape
        (2, 1)
    """
    check_number("shrinkage", shrinkage, 0, 1)
    people, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(people) < 2 or counts.max() < 2:
        raise ValueError(
            "A discriminant needs at least two people, one of them with two images. "
            f"Received: {len(people)} people with at most {max(counts, default=0)} images. "
            "Add images."
        )
    statistics = class_statistics(features[None], codes, len(people))
    _, directions = scipy.linalg.eigh(
        shrink(statistics.between, shrinkage), shrink(statistics.within, shrinkage)
    )
    kernel = directions[:, ::-1][:, : len(people) - 1]  # the largest eigenvalues come last
    return kernel.astype(np.float32), (-statistics.mean @ kernel).astype(np.float32)


def discriminant_classifier(
    features: np.ndarray, labels: np.ndarray, classes: int, shrinkage: float = CLASSIFIER_SHRINKAGE
) -> tuple[np.ndarray, np.ndarray]:
    """Fits a linear layer whose softmax is the posterior of the classes, with a temperature.

    The classes are normal distributions with one covariance. Estimated from few images, their
    posterior is overconfident, so the logits are multiplied by the factor with the smallest log
    loss in a cross-validation over the images.

    Args:
        features: ``[variants, N, features]``: several versions of each image, the first of them
            the unchanged image.
        labels: int ``[N]``, the class of each image, in ``[0, classes)``.
        classes: Number of classes. A class without images gets the lowest bias.
        shrinkage: In [0, 1].

    Returns:
        Kernel ``[features, classes]`` and bias ``[classes]``, float64.
    """
    folds = pd.Series(labels).groupby(labels).cumcount().to_numpy() % FOLDS
    logits = np.full((len(labels), classes), np.nan)
    for fold in np.unique(folds):
        fitted = folds != fold
        # Images of a class that the other folds lack cannot be used to choose the temperature.
        held_out = ~fitted & np.isin(labels, labels[fitted])
        if len(np.unique(labels[fitted])) > 1 and held_out.any():
            kernel, bias = _posterior(features[:, fitted], labels[fitted], classes, shrinkage)
            logits[held_out] = features[0][held_out].astype(np.float64) @ kernel + bias
    known = np.isfinite(logits).all(axis=1)
    factor = _temperature(logits[known], labels[known]) if known.any() else 1.0
    kernel, bias = _posterior(features, labels, classes, shrinkage)
    return factor * kernel, factor * bias


def _posterior(
    features: np.ndarray, labels: np.ndarray, classes: int, shrinkage: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns kernel ``[features, classes]`` and bias of the logits of the posterior."""
    statistics = class_statistics(features, labels, classes)
    present, means = statistics.present, statistics.means
    within = shrink(statistics.within, shrinkage)
    directions = scipy.linalg.solve(within, means.T, assume_a="pos")
    priors = np.log(statistics.counts / statistics.counts.sum())
    offsets = priors - 0.5 * np.sum(means.T * directions, axis=0)
    kernel, bias = np.zeros((features.shape[2], classes)), np.full(classes, offsets.min())
    kernel[:, present], bias[present] = directions, offsets
    return kernel, bias


def _temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the factor of the logits with the smallest log loss."""

    def log_loss(factor: float) -> float:
        scaled = factor * logits
        truth = scaled[np.arange(len(labels)), labels]
        return float(np.mean(scipy.special.logsumexp(scaled, axis=1) - truth))

    return float(min(TEMPERATURES, key=log_loss))
