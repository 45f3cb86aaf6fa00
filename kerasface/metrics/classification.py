"""Metrics of a classification with one class per image."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_fscore_support

from kerasface.metrics.bootstrap import check_bootstrap, proportion_interval
from kerasface.metrics.calibration import calibration_table, expected_calibration_error
from kerasface.metrics.chunks import chunks
from kerasface.metrics.confusion import confused_indices
from kerasface.metrics.inputs import check_names, check_outcomes
from kerasface.metrics.roc import one_vs_rest_auc
from kerasface.metrics.tables import metrics_html, metrics_text, text_column

SHOWN_METRICS = (
    "accuracy",
    "top5_accuracy",
    "balanced_accuracy",
    "f1_macro",
    "auc_macro",
    "log_loss",
    "expected_calibration_error",
)


@dataclass(frozen=True)
class ClassificationMetrics:
    """Result of `evaluate`.

    Attributes:
        metrics: Name to number; see `evaluate`.
        per_class: One row per class, in class order.
        predictions: One row per image, in the order received.
    """

    metrics: dict[str, float | int]
    per_class: pd.DataFrame
    predictions: pd.DataFrame

    def __repr__(self) -> str:
        return metrics_text(self._title(), self.metrics, SHOWN_METRICS)

    def _repr_html_(self) -> str:
        return metrics_html(self._title(), self.metrics, {"per_class": self.per_class})

    def _title(self) -> str:
        images, classes = self.metrics["images"], self.metrics["classes"]
        return f"ClassificationMetrics: {images:,} images, {classes:,} classes"


@dataclass(frozen=True)
class _Outcomes:
    """The arrays of one evaluation.

    Attributes:
        labels: int64 ``[N]``.
        probabilities: float ``[N, C]``.
        predictions: int64 ``[N]``.
        confidence: float ``[N]``, probability of the predicted class.
        true_probability: float ``[N]``, probability of the true class.
        correct: bool ``[N]``.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    predictions: np.ndarray
    confidence: np.ndarray
    true_probability: np.ndarray
    correct: np.ndarray


def evaluate(
    labels: np.ndarray,
    probabilities: np.ndarray,
    names: Sequence[str],
    *,
    paths: Sequence[str] | np.ndarray | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
) -> ClassificationMetrics:
    """Computes all metrics of a classification.

    The predicted class is the most probable one. Of equally probable classes the one with the
    lower index ranks first, in the prediction and in the top five. Large arrays (35,000 images and
    7,001 classes) are only copied in chunks.

    Args:
        labels: int ``[N]`` in ``[0, C)``.
        probabilities: float ``[N, C]``, not negative; each row sums to 1 within 0.001.
        names: Class names, ``[C]``.
        paths: Files of the images, ``[N]``, added to ``predictions`` as a column.
        bootstrap: Number of resamples for the interval of the accuracy, at least 1.
        seed: Seed of the resamples.

    Returns:
        ``metrics`` has

        - ``images``, ``classes``;
        - ``accuracy`` with its 95% interval over images, ``accuracy_low`` and ``accuracy_high``
          (see `kerasface.metrics.bootstrap.proportion_interval`);
        - ``top5_accuracy`` (1 with at most five classes) and ``balanced_accuracy``, the mean
          recall of the classes with images;
        - ``precision``, ``recall`` and ``f1``, each ``_weighted`` (by images) and ``_macro`` (over
          the classes that occur among labels or predictions); 0 where undefined;
        - ``auc_macro`` and ``auc_weighted``: area under the ROC curve of each class against all
          others; NaN if no class has a curve;
        - ``log_loss``: natural logarithm, probabilities clipped at the epsilon of the dtype;
        - ``expected_calibration_error`` (see
          `kerasface.metrics.calibration.expected_calibration_error`).

        ``per_class`` has ``name``, ``images``, ``accuracy`` (the recall), ``precision``, ``f1``,
        ``auc`` (NaN where undefined) and ``most_confused_with``, the class that was most often
        predicted instead, or an empty text.

        ``predictions`` has ``path`` (if given), ``label`` and ``prediction`` (names),
        ``probability`` (of the prediction) and ``correct``.

    Raises:
        ValueError: If shapes or dtypes are invalid, a label is out of range, a row does not sum to
            1, or ``bootstrap`` is below 1.

    Warns:
        UserWarning: If classes without both outcomes have no ROC curve.

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
            f"`paths` must have one path per image. Received: {len(paths)} paths for {images} "
            "images."
        )
    check_bootstrap(bootstrap)
    rows, predictions = np.arange(images), probabilities.argmax(axis=1)
    outcomes = _Outcomes(
        labels=labels,
        probabilities=probabilities,
        predictions=predictions,
        confidence=probabilities[rows, predictions],
        true_probability=probabilities[rows, labels],
        correct=predictions == labels,
    )
    per_class = _per_class(outcomes, names)
    auc = per_class["auc"].to_numpy()
    if np.isnan(auc).any():
        _warn_of_missing_curves(names, np.isfinite(auc))
    low, high = proportion_interval(
        int(outcomes.correct.sum()), images, bootstrap=bootstrap, seed=seed
    )
    metrics: dict[str, float | int] = {
        "images": images,
        "classes": classes,
        "accuracy": float(outcomes.correct.mean()),
        "accuracy_low": low,
        "accuracy_high": high,
        "top5_accuracy": float((_ranks(outcomes) < 5).mean()),
        **_averages(outcomes, per_class),
        "log_loss": _log_loss(outcomes.true_probability),
        "expected_calibration_error": expected_calibration_error(
            calibration_table(outcomes.confidence, outcomes.correct)
        ),
    }
    return ClassificationMetrics(metrics, per_class, _predictions(outcomes, names, paths))


def _per_class(outcomes: _Outcomes, names: Sequence[str]) -> pd.DataFrame:
    labels, predictions = outcomes.labels, outcomes.predictions
    classes = len(names)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predictions, labels=np.arange(classes), average=None, zero_division=np.nan
    )
    most_confused = confused_indices(labels, predictions, classes).drop_duplicates("true")
    confused_with = np.full(classes, classes)  # the empty text after the names
    confused_with[most_confused["true"].to_numpy()] = most_confused["predicted"].to_numpy()
    return pd.DataFrame(
        {
            "name": text_column(names),
            "images": support,
            "accuracy": recall,
            "precision": precision,
            "f1": f1,
            "auc": one_vs_rest_auc(labels, outcomes.probabilities),
            "most_confused_with": text_column(np.array([*names, ""], dtype=object)[confused_with]),
        }
    )


def _averages(outcomes: _Outcomes, per_class: pd.DataFrame) -> dict[str, float]:
    """Averages the metrics of the classes."""
    images = per_class["images"].to_numpy()
    predicted = np.bincount(outcomes.predictions, minlength=len(per_class))
    occurs = (images > 0) | (predicted > 0)
    averages = {"balanced_accuracy": float(per_class["accuracy"].to_numpy()[images > 0].mean())}
    for key, column in (("precision", "precision"), ("recall", "accuracy"), ("f1", "f1")):
        values = np.nan_to_num(per_class[column].to_numpy())
        averages[f"{key}_weighted"] = float(np.average(values, weights=images))
        averages[f"{key}_macro"] = float(values[occurs].mean())
    auc = per_class["auc"].to_numpy()
    known = np.isfinite(auc)
    averages["auc_macro"] = averages["auc_weighted"] = float("nan")
    if known.any():
        averages["auc_macro"] = float(auc[known].mean())
        averages["auc_weighted"] = float(np.average(auc[known], weights=images[known]))
    return averages


def _log_loss(true_probability: np.ndarray) -> float:
    epsilon = np.finfo(true_probability.dtype).eps
    return float(-np.log(true_probability.astype(float).clip(epsilon, 1 - epsilon)).mean())


def _ranks(outcomes: _Outcomes) -> np.ndarray:
    """Counts the classes that rank before the true one, with ties as in argmax."""
    probabilities = outcomes.probabilities
    images, classes = probabilities.shape
    ranks = np.empty(images, int)
    for rows in chunks(images, classes):
        part, value = probabilities[rows], outcomes.true_probability[rows, None]
        tied_before = (part == value) & (np.arange(classes) < outcomes.labels[rows, None])
        ranks[rows] = ((part > value) | tied_before).sum(axis=1)
    return ranks


def _predictions(
    outcomes: _Outcomes, names: Sequence[str], paths: Sequence[str] | np.ndarray | None
) -> pd.DataFrame:
    known_names = np.array(list(names), dtype=object)
    columns: dict[str, pd.Series | np.ndarray] = (
        {} if paths is None else {"path": text_column(paths)}
    )
    columns |= {
        "label": text_column(known_names[outcomes.labels]),
        "prediction": text_column(known_names[outcomes.predictions]),
        "probability": outcomes.confidence,
        "correct": outcomes.correct,
    }
    return pd.DataFrame(columns)


def _warn_of_missing_curves(names: Sequence[str], known: np.ndarray) -> None:
    first = [names[index] for index in np.flatnonzero(~known)[:3]]
    missing = int((~known).sum())
    listed = ", ".join(map(repr, first)) + (" and others" if missing > len(first) else "")
    warnings.warn(
        f"{missing} of {len(known)} classes have no ROC curve, because no image or every image "
        f"belongs to them: {listed}. auc_macro and auc_weighted leave them out.",
        stacklevel=3,
    )
