"""Triplets: an image shall be nearer to one of its person than to one of another."""

from __future__ import annotations

import keras
from keras import ops

from kerasface.embedding.centers import Outcome, directions
from kerasface.embedding.margins import check_labels


class SemiHardTriplets(keras.layers.Layer):
    """The triplet loss with semi-hard negatives (Schroff et al. 2015, arXiv:1503.03832).

    For every two images of a person in the batch the negative is the nearest image of another
    person that is farther than the second one, or, if none is, the farthest of all. Distances are
    squared and between embeddings of length 1, so in [0, 4]. For small data; it needs batches in
    which people come more than once, and without any such the loss is 0.

    Args:
        margin: How much farther the negative shall be, above 0; 0.2 in the paper.
        name: Name of the layer.

    Raises:
        ValueError: If the margin is not above 0.
    """

    def __init__(self, margin: float = 0.2, *, name: str = "triplets"):
        super().__init__(dtype="float32", name=name)
        if not margin > 0:
            raise ValueError(f"`margin` must be above 0. Received: margin={margin}.")
        self.margin = margin
        self.built = True

    def loss(self, embeddings, labels, weights=None, *, training: bool = True) -> Outcome:
        """The mean loss over the pairs of a person.

        Args:
            embeddings: ``[batch, dimensions]`` of any float type.
            labels: int ``[batch]``.
            weights: ``[batch]``; images of weight 0 take no part, the others count alike. None
                takes all.
            training: Makes no difference.

        Returns:
            The loss, and whether each image's nearest one in the batch is of the same person,
            where the batch holds one of them and one of another person.

        Raises:
            ValueError: If the labels are no class indices, with the reason.
        """
        check_labels(labels)
        features, _ = directions(embeddings)
        distances = 2.0 - 2.0 * ops.matmul(features, ops.transpose(features))
        count = ops.shape(distances)[0]
        used = ops.ones_like(distances[0]) if weights is None else ops.cast(weights, "float32")
        together = ops.logical_and((used > 0)[:, None], (used > 0)[None, :])
        alike = labels[:, None] == labels[None, :]
        other_one = ops.logical_not(ops.eye(count, dtype="bool"))
        positive = ops.logical_and(ops.logical_and(alike, other_one), together)
        negative = ops.logical_and(ops.logical_not(alike), together)

        # [anchor, positive, negative]
        farther = distances[:, None, :] > distances[:, :, None]
        semi_hard = ops.logical_and(farther, negative[:, None, :])
        nearest = ops.min(ops.where(semi_hard, distances[:, None, :], 5.0), axis=2)
        farthest = ops.max(ops.where(negative, distances, -1.0), axis=1, keepdims=True)
        chosen = ops.where(ops.any(semi_hard, axis=2), nearest, farthest)
        losses = ops.maximum(distances - chosen + self.margin, 0.0)
        counted = ops.logical_and(positive, ops.any(negative, axis=1, keepdims=True))
        counted = ops.cast(counted, "float32")
        loss = ops.sum(losses * counted) / ops.maximum(ops.sum(counted), 1.0)

        seen = ops.where(ops.logical_and(other_one, together), distances, 5.0)
        hits = ops.take_along_axis(alike, ops.argmin(seen, axis=1)[:, None], axis=1)[:, 0]
        counts = ops.logical_and(ops.any(positive, axis=1), ops.any(negative, axis=1))
        return Outcome(loss, ops.cast(hits, "float32"), ops.cast(counts, "float32"))
