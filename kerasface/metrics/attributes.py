"""Metrics of several attributes per image, and thresholds for their probabilities."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kerasface.metrics.bootstrap import check_bootstrap, mean_interval
from kerasface.metrics.inputs import (
    check_attribute_names,
    check_attributes,
    check_binary,
    check_same_shape,
    check_thresholds,
)
from kerasface.metrics.tables import metrics_html, metrics_text, text_column

THRESHOLD = 0.5
# "Creating a Neural Network to Detect Facial Features", whose F1 of 87.79% is example-based.
EXAMPLE_BATCH = 16
SHOWN_METRICS = (
    "mean_accuracy",
    "mean_majority_accuracy",
    "mean_balanced_accuracy",
    "f1_macro",
    "f1_micro",
    "auc_macro",
    "average_precision_macro",
)


@dataclass(frozen=True)
class AttributeMetrics:
    """Result of `evaluate`.

    Attributes:
        metrics: Name to number; see `evaluate`.
        per_attribute: One row per attribute, in the order received.
    """

    metrics: dict[str, float | int]
    per_attribute: pd.DataFrame

    def __repr__(self) -> str:
        return metrics_text(self._title(), self.metrics, SHOWN_METRICS)

    def _repr_html_(self) -> str:
        return metrics_html(self._title(), self.metrics, {"per_attribute": self.per_attribute})

    def _title(self) -> str:
        images, attributes = self.metrics["images"], self.metrics["attributes"]
        return f"AttributeMetrics: {images:,} images, {attributes:,} attributes"


@dataclass(frozen=True)
class _Counts:
    """Numbers of images for each attribute, ``[A]``.

    Attributes:
        images: Number of all images.
        positives: Images that have the attribute.
        predicted: Images that it is predicted for.
        true_positives: Images that have it and that it is predicted for.
        true_negatives: Images that do not have it and that it is not predicted for.
    """

    images: int
    positives: np.ndarray
    predicted: np.ndarray
    true_positives: np.ndarray
    true_negatives: np.ndarray

    @property
    def negatives(self) -> np.ndarray:
        return self.images - self.positives

    @property
    def one_sided(self) -> np.ndarray:
        return (self.positives == 0) | (self.negatives == 0)


def evaluate(
    labels: np.ndarray,
    probabilities: np.ndarray,
    names: Sequence[str],
    *,
    thresholds: float | Sequence[float] | np.ndarray = THRESHOLD,
    bootstrap: int = 1000,
    seed: int = 0,
) -> AttributeMetrics:
    """Computes all metrics of a multi-label classification.

    An attribute is predicted if its probability is at least its threshold. The majority guess
    predicts the more frequent of the two outcomes for every image. It is the baseline of an
    accuracy.

    Args:
        labels: 0/1 ``[N, A]``, ints, bools or floats.
        probabilities: float ``[N, A]`` in [0, 1], one per attribute; they need not sum to 1.
        names: Attribute names, ``[A]``.
        thresholds: One for all attributes or ``[A]``, in [0, 1], for instance from
            `best_thresholds`.
        bootstrap: Number of resamples for the interval of the mean accuracy, at least 1.
        seed: Seed of the resamples.

    Returns:
        ``per_attribute`` has ``name``, ``positives`` (images that have it), ``prevalence`` (their
        share), ``threshold``, ``accuracy``, ``majority_accuracy`` (of the majority guess),
        ``gain`` (``accuracy`` minus ``majority_accuracy``), ``balanced_accuracy`` (mean recall of
        the outcomes that occur), ``precision``, ``recall``, ``f1``, ``auc`` (area under the ROC
        curve) and ``average_precision``. The last five are NaN where undefined.

        ``metrics`` has

        - ``images``, ``attributes``;
        - ``mean_accuracy`` over the attributes, with its 95% percentile bootstrap interval over
          images, ``mean_accuracy_low`` and ``mean_accuracy_high``; ``mean_majority_accuracy``;
          ``mean_balanced_accuracy``;
        - ``precision_macro``, ``recall_macro`` and ``f1_macro``, the means over the attributes
          that occur among labels or predictions, 0 where undefined; NaN if none occurs;
        - ``precision_micro``, ``recall_micro`` and ``f1_micro``, over all pairs of an image and
          an attribute, 0 where undefined;
        - ``f1_example_based``, often the highest of the three; see `example_based_f1`;
        - ``auc_macro`` and ``average_precision_macro``, the means where defined, else NaN.

    Raises:
        ValueError: If shapes, dtypes or ranges are invalid, or ``bootstrap`` is below 1.

    Warns:
        UserWarning: If no image or every image has some attributes. They have no ROC curve.

    Example:
        >>> result = evaluate([[0, 1], [1, 0]], [[0.2, 0.9], [0.6, 0.7]], ["bald", "young"])
        >>> result.metrics["mean_accuracy"]
        0.75
    """
    truth, probabilities = check_attributes(labels, probabilities)
    images, attributes = truth.shape
    check_attribute_names(names, attributes)
    limits = check_thresholds(thresholds, attributes)
    check_bootstrap(bootstrap)
    predictions = probabilities >= limits
    counts = _Counts(
        images=images,
        positives=truth.sum(axis=0),
        predicted=predictions.sum(axis=0),
        true_positives=(truth & predictions).sum(axis=0),
        true_negatives=(~truth & ~predictions).sum(axis=0),
    )
    _warn_of_one_sided(names, counts.one_sided, "They have no ROC curve; their `auc` is NaN.")
    per_attribute = _per_attribute(counts, names, limits)
    per_attribute["auc"], per_attribute["average_precision"] = _areas(truth, probabilities, counts)
    correct = predictions == truth
    # The attributes of an image are resampled together, so only the number of correct ones matters.
    low, high = mean_interval(
        np.arange(attributes + 1),
        np.bincount(correct.sum(axis=1), minlength=attributes + 1),
        scale=attributes,
        bootstrap=bootstrap,
        seed=seed,
    )
    metrics: dict[str, float | int] = {
        "images": images,
        "attributes": attributes,
        "mean_accuracy": float(correct.mean()),
        "mean_accuracy_low": low,
        "mean_accuracy_high": high,
        "mean_majority_accuracy": _mean(per_attribute["majority_accuracy"].to_numpy()),
        "mean_balanced_accuracy": _mean(per_attribute["balanced_accuracy"].to_numpy()),
        **_averages(counts, per_attribute),
        "f1_example_based": example_based_f1(truth, predictions),
        "auc_macro": _mean(per_attribute["auc"].to_numpy()[~counts.one_sided]),
        "average_precision_macro": _mean(
            per_attribute["average_precision"].to_numpy()[counts.positives > 0]
        ),
    }
    return AttributeMetrics(metrics, per_attribute)


def example_based_f1(
    labels: np.ndarray, predictions: np.ndarray, *, batch_size: int = EXAMPLE_BATCH
) -> float:
    """Returns the F1 of the mean precision and recall of single images, per batch.

    Each image has a precision (share of its predicted attributes that it has; 0 if none is
    predicted) and a recall (share of its attributes that are predicted; 0 if it has none). Both
    are averaged over the images of a batch, and F1 is computed from the two means. The result is
    the mean over the batches; a smaller last batch counts as much as the others. Attributes that
    most images have dominate this F1, so it is no substitute for the macro F1.

    Args:
        labels: 0/1 ``[N, A]``.
        predictions: 0/1 ``[N, A]``, the images in the order in which they were evaluated.
        batch_size: Batch size. "Creating a Neural Network to Detect Facial Features" uses 16; its
            87.79% is this F1, while its macro F1 is about 75%.

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
    truth, predicted = check_binary("labels", labels), check_binary("predictions", predictions)
    check_same_shape("labels", truth, "predictions", predicted)
    found = (truth & predicted).sum(axis=1)
    starts = np.arange(0, len(truth), batch_size)
    sizes = np.diff(np.append(starts, len(truth)))
    precision, recall = (
        np.add.reduceat(np.nan_to_num(_ratio(found, whole.sum(axis=1))), starts) / sizes
        for whole in (predicted, truth)
    )
    return float(np.nan_to_num(_ratio(2 * precision * recall, precision + recall)).mean())


def best_thresholds(
    labels: np.ndarray, probabilities: np.ndarray, names: Sequence[str] | None = None
) -> np.ndarray:
    """Returns the threshold of each attribute with the highest F1.

    Choose thresholds on validation images, never on test images. A threshold lies midway between
    the lowest probability that it accepts and the next lower one. Of equally good thresholds the
    one nearest to 0.5 is returned.

    Args:
        labels: 0/1 ``[N, A]``.
        probabilities: float ``[N, A]`` in [0, 1].
        names: Attribute names ``[A]`` for the warning. None uses their positions.

    Returns:
        float64 ``[A]`` in [0, 1], for ``probabilities >= thresholds``.

    Raises:
        ValueError: If shapes, dtypes or ranges are invalid.

    Warns:
        UserWarning: If no image or every image has some attributes. Their threshold stays 0.5.

    Example:
        >>> best_thresholds([[0], [1], [1]], [[0.1], [0.3], [0.4]]).tolist()
        [0.2]
    """
    truth, probabilities = check_attributes(labels, probabilities)
    attributes = truth.shape[1]
    names = list(map(str, range(attributes))) if names is None else names
    check_attribute_names(names, attributes)
    positives = truth.sum(axis=0)
    one_sided = (positives == 0) | (positives == len(truth))
    _warn_of_one_sided(names, one_sided, f"Their threshold stays {THRESHOLD}.")
    thresholds = np.full(attributes, THRESHOLD)
    for index in np.flatnonzero(~one_sided):
        order = np.argsort(-probabilities[:, index], kind="stable")
        scores = np.append(probabilities[order, index].astype(float), 0.0)
        found = np.cumsum(truth[order, index])
        accepted = np.arange(1, len(order) + 1)
        f1 = 2 * found / (accepted + positives[index])
        # A threshold accepts all or none of several equal probabilities.
        border = np.append(scores[:-2] > scores[1:-1], True)
        middle = (scores[:-1] + scores[1:]) / 2
        # Adjacent floats have no middle.
        middle = np.where(middle > scores[1:], middle, scores[:-1])
        best = np.flatnonzero(border & (f1 == f1[border].max()))
        thresholds[index] = middle[best[np.abs(middle[best] - THRESHOLD).argmin()]]
    return thresholds


def co_occurrence(labels: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """Returns how often attributes occur together.

    Args:
        labels: 0/1 ``[N, A]``.
        names: Attribute names, ``[A]``.

    Returns:
        Frame ``[A, A]`` with the names as index and columns: the share of images with the
        attribute of the row that also have the attribute of the column. The diagonal is 1. The
        row of an attribute that no image has is NaN.

    Raises:
        ValueError: If the labels are not 0/1 ``[N, A]`` or the number of names is wrong.

    Example:
        >>> float(co_occurrence([[1, 1], [1, 0]], ["male", "bald"]).loc["male", "bald"])
        0.5
    """
    truth = check_binary("labels", labels)
    check_attribute_names(names, truth.shape[1])
    # As floats, because numpy multiplies matrices of integers slowly.
    joint_counts = truth.T.astype(float) @ truth.astype(float)
    shares = _ratio(joint_counts, truth.sum(axis=0)[:, None])
    keys = pd.Index(list(names), dtype=object)
    return pd.DataFrame(shares, index=keys, columns=keys)


def _per_attribute(counts: _Counts, names: Sequence[str], limits: np.ndarray) -> pd.DataFrame:
    correct = counts.true_positives + counts.true_negatives
    accuracy = correct / counts.images
    majority = np.maximum(counts.positives, counts.negatives) / counts.images
    recall = _ratio(counts.true_positives, counts.positives)
    specificity = _ratio(counts.true_negatives, counts.negatives)
    return pd.DataFrame(
        {
            "name": text_column(names),
            "positives": counts.positives,
            "prevalence": counts.positives / counts.images,
            "threshold": limits,
            "accuracy": accuracy,
            "majority_accuracy": majority,
            "gain": accuracy - majority,
            "balanced_accuracy": np.nanmean(np.stack([recall, specificity]), axis=0),
            "precision": _ratio(counts.true_positives, counts.predicted),
            "recall": recall,
            "f1": _ratio(2 * counts.true_positives, counts.positives + counts.predicted),
        }
    )


def _areas(
    truth: np.ndarray, probabilities: np.ndarray, counts: _Counts
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the areas under the ROC and precision-recall curves, NaN where undefined."""
    # Imported late, because opening a model must not wait for it.
    from sklearn.metrics import average_precision_score, roc_auc_score

    auc, average_precision = np.full((2, truth.shape[1]), np.nan)
    for index in np.flatnonzero(counts.positives > 0):
        pair = truth[:, index], probabilities[:, index]
        average_precision[index] = average_precision_score(*pair)
        if not counts.one_sided[index]:
            auc[index] = roc_auc_score(*pair)
    return auc, average_precision


def _averages(counts: _Counts, per_attribute: pd.DataFrame) -> dict[str, float]:
    """Returns precision, recall and F1 as macro and micro averages."""
    occurs = (counts.positives > 0) | (counts.predicted > 0)
    found, predicted, positives = (
        part.sum() for part in (counts.true_positives, counts.predicted, counts.positives)
    )
    micro = {
        "precision": _ratio(found, predicted),
        "recall": _ratio(found, positives),
        "f1": _ratio(2 * found, positives + predicted),
    }
    averages = {}
    for key, value in micro.items():
        averages[f"{key}_macro"] = _mean(np.nan_to_num(per_attribute[key].to_numpy())[occurs])
        averages[f"{key}_micro"] = float(np.nan_to_num(value))
    return averages


def _warn_of_one_sided(names: Sequence[str], one_sided: np.ndarray, consequence: str) -> None:
    if one_sided.any():
        listed = ", ".join(repr(names[index]) for index in np.flatnonzero(one_sided).tolist())
        warnings.warn(
            f"No image or every image has {int(one_sided.sum())} of {len(one_sided)} attributes: "
            f"{listed}. {consequence}",
            stacklevel=3,
        )


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Returns ``part / whole``, NaN where the whole is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, float), np.asarray(whole, float))
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")
