"""An embedding model and its head, trained as one."""

from __future__ import annotations

import keras

from kerasface.embedding.centers import ClassCenters
from kerasface.embedding.triplets import SemiHardTriplets
from kerasface.models import heads

EmbeddingHead = ClassCenters | SemiHardTriplets


class EmbeddingTraining(keras.Model):
    """A model for ``fit`` that holds an embedding model and its head; only the first is kept.

    A class, since the loss needs both: the head's centers are weights that are learnt with the
    network's, and its labels come with the batch. What users get is the embedding model, which
    holds stock layers alone.

    Compile it with an optimizer and no loss. The batches are ``(images, labels)`` or ``(images,
    labels, weights)`` with labels int ``[batch]``. Its ``accuracy`` is the share of images whose
    nearest center is their own, without a margin; of sampled centers the nearest of those that
    take part in the step, so that it is higher than among all.

    Args:
        embedder: Made by `kerasface.build` with ``embedding=``.
        head: What judges the embeddings, for instance `ClassCenters`.
        frozen_backbone: Whether the backbone, nothing in which is trainable then, stays in
            inference mode: otherwise its dropouts, where it has any, go on.

    Raises:
        ValueError: If the embedding model does not end by making its outputs length 1.

    Example:
        >>> embedder = kerasface.build("convnext_nano", embedding=128)  # doctest: +SKIP
        >>> head = ClassCenters(120, 128, ArcFace(scale=30))  # doctest: +SKIP
        >>> model = EmbeddingTraining(embedder, head)  # doctest: +SKIP
        >>> model.compile("adam")  # doctest: +SKIP
        >>> model.fit(stream(table, training=True), epochs=10)  # doctest: +SKIP
        >>> embedder.save("embedder.keras")  # doctest: +SKIP
    """

    def __init__(
        self, embedder: keras.Model, head: EmbeddingHead, *, frozen_backbone: bool = False
    ):
        super().__init__(name=f"{embedder.name}_training")
        # The lengths go to the head, which may need them.
        outputs = unscaled(embedder)
        self.embedder = embedder
        self.backbone, _ = heads.split_model(embedder)
        self.projection = keras.Model(self.backbone.output, outputs, name="projection")
        self.frozen_backbone = frozen_backbone
        self.head = head
        self.accuracy = keras.metrics.Mean("accuracy")
        self.built = True

    def call(self, images, training=None):
        features = self.backbone(images, training=training and not self.frozen_backbone)
        return self.projection(features, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training: bool = True):
        outcome = self.head.loss(y_pred, y, sample_weight, training=training)
        self.accuracy.update_state(outcome.hits, outcome.weights)
        return outcome.loss + sum(self.embedder.losses)


def unscaled(embedder: keras.Model):
    """The output of an embedding model before it is divided by its length.

    Args:
        embedder: Made by `kerasface.build` with ``embedding=``.

    Returns:
        Keras tensor ``[batch, dimensions]``.

    Raises:
        ValueError: If the last layer of the model is no `UnitNormalization`.
    """
    last = embedder.layers[-1]
    if not isinstance(last, keras.layers.UnitNormalization) or not heads.is_head(last):
        raise ValueError(
            "An embedding model ends by making its outputs length 1. "
            f"Received: {embedder.name!r}, whose last layer is {last.name!r}. "
            "Build it with embedding=512, for instance."
        )
    return last.input
