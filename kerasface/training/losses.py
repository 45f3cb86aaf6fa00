"""Losses for uneven classes and attributes: weighted by training counts, and focal."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from kerasface.data.table import FaceTable
from kerasface.runs.recipe import Recipe


def build_loss(recipe: Recipe, table: FaceTable) -> keras.losses.Loss:
    """The loss of a recipe.

    Args:
        recipe: ``label_smoothing``, ``focal_gamma`` and ``class_weighting``.
        table: The training images: their labels tell classes from attributes, and are counted.

    Returns:
        A loss on probabilities: of a softmax for classes, of sigmoids for attributes.
    """
    options = {"label_smoothing": recipe.label_smoothing}
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
    """Weights that even out how often classes, or both outcomes of attributes, occur.

    Args:
        table: Labelled images.
        strength: 0 gives ones, 1 weights inverse to the counts; between them their power.

    Returns:
        Of classes ``([classes], None)``; of attributes ``([attributes], [attributes])`` for images
        with and without each. Their mean over the table's labels is 1. What never occurs has
        weight 1.
    """
    counts = table.counts().to_numpy().astype(float)
    if not table.multi_label:
        return _inverse_powers(counts[:, None], strength)[:, 0], None
    positive, negative = _inverse_powers(np.stack([counts, len(table) - counts]), strength)
    return positive, negative


def _inverse_powers(counts: np.ndarray, strength: float) -> np.ndarray:
    """Weights by count, with a weighted mean of 1 in every column."""
    occurs = counts > 0
    weights = np.where(occurs, np.where(occurs, counts, 1.0) ** -strength, 0.0)
    mean = (weights * counts).sum(axis=0) / counts.sum(axis=0)
    return np.where(occurs, weights / mean, 1.0)


class ClassLoss(keras.losses.Loss):
    """Cross-entropy of a softmax with a weight a class and, optionally, focal.

    Focal loss multiplies each class's term by ``(1 - p) ** gamma``, so that what is well told
    counts less (Lin et al. 2017, arXiv:1708.02002).

    Args:
        weights: float ``[classes]``.
        gamma: Focal exponent, at least 0; 0 is plain cross-entropy.
        label_smoothing: Share of the target spread over all classes, in [0, 1).
        name: Name of the loss.
    """

    def __init__(self, weights, *, gamma=0.0, label_smoothing=0.0, name="class_loss"):
        super().__init__(name=name)
        self.weights = np.asarray(weights, "float32")
        self.gamma = gamma
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        logits = _logits(y_pred, ops.log)
        targets = ops.cast(y_true, logits.dtype)
        classes = targets.shape[-1]
        targets = targets * (1 - self.label_smoothing) + self.label_smoothing / classes
        log_p = ops.log_softmax(logits, axis=-1)
        terms = -targets * self.weights * log_p
        if self.gamma:
            # As 1 - p it would round to 0, where the power has no finite derivative for gamma < 1.
            terms = terms * ops.exp(self.gamma * _log_of_the_rest(log_p))
        return ops.sum(terms, axis=-1)


class AttributeLoss(keras.losses.Loss):
    """Binary cross-entropy with two weights an attribute and, optionally, focal.

    Focal loss multiplies the term of each attribute by ``(1 - p) ** gamma``, where p is the
    probability of the true outcome (Lin et al. 2017, arXiv:1708.02002).

    Args:
        positive: float ``[attributes]``, weights of images that have the attribute.
        negative: float ``[attributes]``, of those that have it not.
        gamma: Focal exponent, at least 0; 0 is plain cross-entropy.
        label_smoothing: How far targets are moved to one half, in [0, 1).
        name: Name of the loss.
    """

    def __init__(
        self, positive, negative, *, gamma=0.0, label_smoothing=0.0, name="attribute_loss"
    ):
        super().__init__(name=name)
        self.positive = np.asarray(positive, "float32")
        self.negative = np.asarray(negative, "float32")
        self.gamma = gamma
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        logits = _logits(y_pred, lambda p: ops.log(p) - ops.log1p(-p))
        targets = ops.cast(y_true, logits.dtype)
        targets = targets * (1 - self.label_smoothing) + self.label_smoothing / 2
        log_yes, log_no = ops.log_sigmoid(logits), ops.log_sigmoid(-logits)
        yes = -targets * self.positive * log_yes
        no = -(1 - targets) * self.negative * log_no
        if self.gamma:
            yes, no = yes * ops.exp(self.gamma * log_no), no * ops.exp(self.gamma * log_yes)
        return ops.mean(yes + no, axis=-1)


def _logits(probabilities, inverse):
    """What is behind a softmax or sigmoid.

    Keras leaves the logits on their output, and its own cross-entropies take them from there. A
    loss of the probabilities alone would have no gradient where they are certain and wrong.
    """
    logits = getattr(probabilities, "_keras_logits", None)
    if logits is not None:
        return ops.cast(logits, "float32")
    tiny = keras.config.epsilon()
    return inverse(ops.clip(probabilities, tiny, 1 - tiny))


def _log_of_the_rest(log_p):
    """``log(1 - p)`` of log-probabilities, finite down to the smallest floats."""
    return ops.log(ops.maximum(-ops.expm1(log_p), keras.config.epsilon()))
