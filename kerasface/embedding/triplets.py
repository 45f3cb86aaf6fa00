"""Triplet loss with semi-hard negatives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Self

import keras
from keras import ops

from kerasface.checks import check_number
from kerasface.embedding.centers import Outcome, normalize
from kerasface.embedding.margins import check_labels
from kerasface.names import suggest_arguments

if TYPE_CHECKING:
    import tensorflow as tf

# Squared distances are in [0, 4]. These stand for pairs that are not allowed.
ABOVE_ALL = 5.0
BELOW_ALL = -1.0


@keras.saving.register_keras_serializable(package="kerasface")
class SemiHardTriplets(keras.layers.Layer):
    """Triplet loss with semi-hard negatives (Schroff et al. 2015, arXiv:1503.03832).

    Every two images of one person in a batch are an anchor and a positive. The negative is the
    nearest image of another person that is farther from the anchor than the positive. If there is
    none, it is the farthest image of another person. Distances are squared and measured between
    normalized embeddings, so they are in [0, 4].

    This loss is for small data sets. It needs batches with several images of a person; without
    any, the loss is 0.

    Args:
        margin: Required difference between the distances to the negative and to the positive.
            Positive float; 0.2 in the paper.
        name: Name of the layer.

    Raises:
        ValueError: If the margin is not positive.

    Example:
        >>> SemiHardTriplets(margin=0.3).margin
        0.3
    """

    @suggest_arguments
    def __init__(self, margin: float = 0.2, *, name: str = "triplets") -> None:
        super().__init__(dtype="float32", name=name)
        check_number("margin", margin, 0, math.inf, above=True, below=True)
        self.margin = float(margin)
        self.built = True

    def loss(
        self,
        embeddings: tf.Tensor,
        labels: tf.Tensor,
        weights: tf.Tensor | None = None,
        *,
        training: bool = True,
    ) -> Outcome:
        """Returns the mean loss over all pairs of images of one person.

        Args:
            embeddings: ``[batch, dimensions]`` of any float dtype; need not be normalized.
            labels: int ``[batch]``.
            weights: ``[batch]``. Images of weight 0 are ignored, all others count equally. None
                uses all images.
            training: Has no effect.

        Returns:
            The loss, and whether the nearest image in the batch is of the same person. An image
            counts if the batch holds another image of its person and one of another person.

        Raises:
            ValueError: If the labels are not class indices.
        """
        check_labels(labels)
        features, _ = normalize(embeddings)
        distances = 2.0 - 2.0 * ops.matmul(features, ops.transpose(features))
        count = ops.shape(distances)[0]
        used = ops.ones_like(distances[0]) if weights is None else ops.cast(weights, "float32")
        both_used = ops.logical_and((used > 0)[:, None], (used > 0)[None, :])
        same_person = labels[:, None] == labels[None, :]
        other_image = ops.logical_not(ops.eye(count, dtype="bool"))
        positive = ops.logical_and(ops.logical_and(same_person, other_image), both_used)
        negative = ops.logical_and(ops.logical_not(same_person), both_used)

        # [anchor, positive, negative]
        farther = distances[:, None, :] > distances[:, :, None]
        semi_hard = ops.logical_and(farther, negative[:, None, :])
        nearest = ops.min(ops.where(semi_hard, distances[:, None, :], ABOVE_ALL), axis=2)
        farthest = ops.max(ops.where(negative, distances, BELOW_ALL), axis=1, keepdims=True)
        chosen = ops.where(ops.any(semi_hard, axis=2), nearest, farthest)
        losses = ops.maximum(distances - chosen + self.margin, 0.0)
        counted = ops.logical_and(positive, ops.any(negative, axis=1, keepdims=True))
        counted = ops.cast(counted, "float32")
        loss = ops.sum(losses * counted) / ops.maximum(ops.sum(counted), 1.0)

        seen = ops.where(ops.logical_and(other_image, both_used), distances, ABOVE_ALL)
        hits = ops.take_along_axis(same_person, ops.argmin(seen, axis=1)[:, None], axis=1)[:, 0]
        counts = ops.logical_and(ops.any(positive, axis=1), ops.any(negative, axis=1))
        return Outcome(loss, ops.cast(hits, "float32"), ops.cast(counts, "float32"))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {"margin": self.margin, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Creates a layer from the result of `get_config`."""
        return cls(**config)
