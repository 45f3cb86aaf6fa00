"""Losses for imbalanced classes and attributes: weighted by their frequency, and focal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

import keras
import numpy as np
from keras import ops

from kerasface.checks import check_number
from kerasface.data.table import FaceTable
from kerasface.metrics.attributes import THRESHOLD
from kerasface.names import suggest_arguments
from kerasface.runs.recipe import Recipe

if TYPE_CHECKING:
    import tensorflow as tf


def build_loss(recipe: Recipe, table: FaceTable) -> keras.losses.Loss:
    """Builds the loss of a recipe.

    Args:
        recipe: Its keys ``label_smoothing``, ``focal_gamma`` and ``class_weighting`` are read.
        table: Training images. Its labels are counted and decide between classes and attributes.

    Returns:
        A loss on probabilities: of a softmax for classes, of sigmoids for attributes.
    """
    options: dict[str, Any] = {"label_smoothing": recipe.label_smoothing}
    plain = not recipe.focal_gamma and not recipe.class_weighting
    if plain and table.multi_label:
        return keras.losses.BinaryCrossentropy(**options)
    if plain:
        return keras.losses.CategoricalCrossentropy(**options)
    positive, negative = balancing_weights(table, recipe.class_weighting)
    options["gamma"] = recipe.focal_gamma
    if negative is None:
        return ClassLoss(positive, **options)
    return AttributeLoss(positive, negative, **options)


def balancing_weights(
    table: FaceTable, strength: float = 1.0
) -> tuple[np.ndarray, np.ndarray | None]:
    """Computes weights that balance classes, or the two outcomes of each attribute.

    Args:
        table: Labeled images.
        strength: In [0, 1]. With 1, weights are inverse to the counts. With 0, all weights are 1.
            In between, they are powers of the inverse counts.

    Returns:
        For classes ``(float [classes], None)``. For attributes two arrays ``float [attributes]``,
        for images with and without each attribute. The mean weight over the labels of the table
        is 1. A class or outcome that does not occur has weight 1.
    """
    counts = table.counts().to_numpy().astype(float)
    if not table.multi_label:
        return _inverse_powers(counts[:, None], strength)[:, 0], None
    positive, negative = _inverse_powers(np.stack([counts, len(table) - counts]), strength)
    return positive, negative


def _inverse_powers(counts: np.ndarray, strength: float) -> np.ndarray:
    """Returns weights by count, with a weighted mean of 1 in every column."""
    occurs = counts > 0
    weights = np.where(occurs, np.where(occurs, counts, 1.0) ** -strength, 0.0)
    mean = (weights * counts).sum(axis=0) / counts.sum(axis=0)
    return np.where(occurs, weights / mean, 1.0)


@keras.saving.register_keras_serializable(package="kerasface")
class ClassLoss(keras.losses.Loss):
    """Softmax cross-entropy with one weight per class and an optional focal term.

    The focal loss multiplies the term of each class by ``(1 - p) ** gamma``, so that examples that
    are already classified well count less (Lin et al. 2017, arXiv:1708.02002).

    To load a model that was saved with this loss, import `kerasface.custom_objects` first.

    Args:
        weights: float ``[classes]``, weights of the classes.
        gamma: Focal exponent, at least 0. With 0 the loss is the plain cross-entropy.
        label_smoothing: Share of the target that is spread over all classes, in [0, 1).
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> loss = ClassLoss([1.0, 3.0], gamma=2.0)
        >>> model.compile("adam", loss)  # doctest: +SKIP
    """

    @suggest_arguments
    def __init__(
        self,
        weights: np.ndarray | Sequence[float],
        *,
        gamma: float = 0.0,
        label_smoothing: float = 0.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "class_loss",
    ) -> None:
        super().__init__(name=name, reduction=reduction)
        check_number("gamma", gamma, 0, math.inf, below=True)
        check_number("label_smoothing", label_smoothing, 0, 1, below=True)
        self.weights = np.asarray(weights, "float32")
        self.gamma = float(gamma)
        self.label_smoothing = float(label_smoothing)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns the loss of every image.

        Args:
            y_true: ``[batch, classes]``, one-hot or mixed labels.
            y_pred: float ``[batch, classes]``, probabilities.

        Returns:
            float32 ``[batch]``.
        """
        logits = _logits(y_pred, ops.log)
        targets = ops.cast(y_true, logits.dtype)
        classes = targets.shape[-1]
        targets = targets * (1 - self.label_smoothing) + self.label_smoothing / classes
        log_p = ops.log_softmax(logits, axis=-1)
        terms = -targets * self.weights * log_p
        if self.gamma:
            # 1 - p could be rounded to 0. There the power has an infinite derivative if gamma < 1.
            terms = terms * ops.exp(self.gamma * _log_complement(log_p))
        return ops.sum(terms, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, the weights as a list."""
        return {
            **super().get_config(),
            "weights": self.weights.tolist(),
            "gamma": self.gamma,
            "label_smoothing": self.label_smoothing,
        }


@keras.saving.register_keras_serializable(package="kerasface")
class AttributeLoss(keras.losses.Loss):
    """Binary cross-entropy with two weights per attribute and an optional focal term.

    The focal loss multiplies the term of each attribute by ``(1 - p) ** gamma``, where p is the
    probability of the true outcome (Lin et al. 2017, arXiv:1708.02002).

    To load a model that was saved with this loss, import `kerasface.custom_objects` first.

    Args:
        positive: float ``[attributes]``, weights of images that have the attribute.
        negative: float ``[attributes]``, weights of images that do not have it.
        gamma: Focal exponent, at least 0. With 0 the loss is the plain cross-entropy.
        label_smoothing: How far targets are moved towards one half, in [0, 1).
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> loss = AttributeLoss([2.0, 1.0], [0.5, 1.0], gamma=2.0)
        >>> model.compile("adam", loss)  # doctest: +SKIP
    """

    @suggest_arguments
    def __init__(
        self,
        positive: np.ndarray | Sequence[float],
        negative: np.ndarray | Sequence[float],
        *,
        gamma: float = 0.0,
        label_smoothing: float = 0.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "attribute_loss",
    ) -> None:
        super().__init__(name=name, reduction=reduction)
        check_number("gamma", gamma, 0, math.inf, below=True)
        check_number("label_smoothing", label_smoothing, 0, 1, below=True)
        self.positive = np.asarray(positive, "float32")
        self.negative = np.asarray(negative, "float32")
        self.gamma = float(gamma)
        self.label_smoothing = float(label_smoothing)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns the mean loss over the attributes of every image.

        Args:
            y_true: ``[batch, attributes]``, 0, 1 or mixed labels in between.
            y_pred: float ``[batch, attributes]``, probabilities.

        Returns:
            float32 ``[batch]``.
        """
        logits = _logits(y_pred, lambda p: ops.log(p) - ops.log1p(-p))
        targets = ops.cast(y_true, logits.dtype)
        targets = targets * (1 - self.label_smoothing) + self.label_smoothing / 2
        log_yes, log_no = ops.log_sigmoid(logits), ops.log_sigmoid(-logits)
        yes = -targets * self.positive * log_yes
        no = -(1 - targets) * self.negative * log_no
        if self.gamma:
            yes, no = yes * ops.exp(self.gamma * log_no), no * ops.exp(self.gamma * log_yes)
        return ops.mean(yes + no, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, the weights as lists."""
        return {
            **super().get_config(),
            "positive": self.positive.tolist(),
            "negative": self.negative.tolist(),
            "gamma": self.gamma,
            "label_smoothing": self.label_smoothing,
        }


@keras.saving.register_keras_serializable(package="kerasface")
class AttributeAccuracy(keras.metrics.MeanMetricWrapper):
    """Mean accuracy over attributes; a mixed label counts as the nearer outcome.

    `keras.metrics.BinaryAccuracy` tests for equality, which a mixed label never satisfies.

    To load a model that was saved with this metric, import `kerasface.custom_objects` first.

    Args:
        name: Name of the metric.
        dtype: Dtype of the result.
    """

    def __init__(self, name: str = "accuracy", dtype: str | None = None) -> None:
        super().__init__(attribute_accuracy, name=name, dtype=dtype)
        # Tells callbacks with mode="auto" that larger is better. Keras has no public name for it.
        self._direction = "up"

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Creates a metric from the result of `get_config`."""
        return cls(**config)


def attribute_accuracy(targets: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
    """Returns the share of an image's attributes that are predicted correctly.

    Args:
        targets: ``[batch, attributes]`` in [0, 1].
        probabilities: ``[batch, attributes]`` in [0, 1].

    Returns:
        float32 ``[batch]``.
    """
    right = ops.equal(targets > THRESHOLD, probabilities > THRESHOLD)
    return ops.mean(ops.cast(right, "float32"), axis=-1)


def _logits(probabilities: tf.Tensor, inverse: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """Returns the logits behind the probabilities of a softmax or sigmoid.

    Keras stores the logits on the output of these activations, and its own cross-entropies read
    them there. A loss of the probabilities alone would have no gradient where a prediction is
    certain and wrong.
    """
    logits = getattr(probabilities, "_keras_logits", None)
    if logits is not None:
        return ops.cast(logits, "float32")
    tiny = keras.config.epsilon()
    return inverse(ops.clip(probabilities, tiny, 1 - tiny))


def _log_complement(log_p: tf.Tensor) -> tf.Tensor:
    """Returns ``log(1 - p)`` of log-probabilities; finite for the smallest floats."""
    return ops.log(ops.maximum(-ops.expm1(log_p), keras.config.epsilon()))
