"""Trains an embedding model and its head as one Keras model."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kerasface.embedding.centers import ClassCenters
from kerasface.embedding.saving import SavesParts
from kerasface.embedding.triplets import SemiHardTriplets
from kerasface.models import heads

EmbeddingHead = ClassCenters | SemiHardTriplets


@keras.saving.register_keras_serializable(package="kerasface")
class EmbeddingTraining(SavesParts, keras.Model):
    """A model for ``fit`` that holds an embedding model and the head it is trained with.

    It is a class because the loss needs both parts: the class centers of the head are trained
    together with the network, and the labels come with the batch. Users get the embedding model,
    which consists of stock layers only.

    Compile it with an optimizer and without a loss. Batches are ``(images, labels)`` or ``(images,
    labels, weights)`` with labels int ``[batch]``. The metric ``accuracy`` is the share of images
    whose nearest center is that of their class, without a margin. With sampled centers only those
    of the step are compared, so the training accuracy is higher than among all classes.

    The whole model can be saved with ``model.save`` or `keras.callbacks.ModelCheckpoint` and
    loaded with `keras.saving.load_model`. Training then continues with the same numbers. Import
    `kerasface.custom_objects` before loading. A callback that monitors ``"val_accuracy"`` needs
    ``mode="max"``, because Keras only infers the direction of metrics given to ``compile``.

    Args:
        embedder: Embedding model made by `kerasface.build` with ``embedding=``.
        head: Computes the loss of the embeddings, for instance `ClassCenters`.
        frozen_backbone: If True, run the backbone in inference mode, so that its dropout layers
            are off. For backbones without trainable weights.
        name: Name of the model; None derives it from the embedding model.
        dtype: Dtype policy, which decides on loss scaling; None is Keras's global policy.

    Raises:
        ValueError: If the embedding model does not end with a normalization to length 1.

    Example:
        >>> embedder = kerasface.build("convnext_nano", embedding=128)  # doctest: +SKIP
        >>> head = ClassCenters(120, 128, ArcFace(scale=30))  # doctest: +SKIP
        >>> model = EmbeddingTraining(embedder, head)  # doctest: +SKIP
        >>> model.compile("adam")  # doctest: +SKIP
        >>> model.fit(stream(table, training=True), epochs=10)  # doctest: +SKIP
        >>> embedder.save("embedder.keras")  # doctest: +SKIP
    """

    parts = ("embedder", "head")

    def __init__(
        self,
        embedder: keras.Model,
        head: EmbeddingHead,
        *,
        frozen_backbone: bool = False,
        name: str | None = None,
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        super().__init__(name=name or f"{embedder.name}_training", dtype=dtype)
        # The head needs the norms of the embeddings too.
        outputs = unnormalized_output(embedder)
        self.embedder = embedder
        self.backbone, self.projection = _split(embedder, outputs)
        self.frozen_backbone = frozen_backbone
        self.head = head
        self.accuracy = keras.metrics.Mean("accuracy")
        self.built = True

    def call(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Returns embeddings ``[batch, dimensions]`` before normalization."""
        features = self.backbone(images, training=training and not self.frozen_backbone)
        return self.projection(features, training=training)

    def compute_loss(
        self,
        x: tf.Tensor | None = None,
        y: tf.Tensor | None = None,
        y_pred: tf.Tensor | None = None,
        sample_weight: tf.Tensor | None = None,
        training: bool = True,
    ) -> tf.Tensor:
        """Returns the loss of the head plus the network's own; updates the accuracy."""
        outcome = self.head.loss(y_pred, y, sample_weight, training=training)
        self.accuracy.update_state(outcome.hits, outcome.weights)
        return outcome.loss + sum(self.embedder.losses)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, both parts in serialized form."""
        return {**super().get_config(), "frozen_backbone": self.frozen_backbone}


def unnormalized_output(embedder: keras.Model) -> keras.KerasTensor:
    """Returns the output of an embedding model before the normalization to length 1.

    Args:
        embedder: Embedding model.

    Returns:
        Keras tensor ``[batch, dimensions]``.

    Raises:
        ValueError: If the last layer of the model is not a `keras.layers.UnitNormalization`.
    """
    last = embedder.layers[-1]
    if not isinstance(last, keras.layers.UnitNormalization):
        raise ValueError(
            "An embedding model must end with a normalization to length 1. "
            f"Received: {embedder.name!r}, whose last layer is {last.name!r}. "
            "Build it with embedding=512, for instance."
        )
    return last.input


def _split(embedder: keras.Model, outputs: keras.KerasTensor) -> tuple[keras.Model, keras.Model]:
    """Splits a model into backbone and projection.

    Without head layers the backbone is the whole model without the normalization.
    """
    if any(heads.is_head(layer) for layer in embedder.layers[:-1]):
        backbone, _ = heads.split_model(embedder)
        return backbone, keras.Model(backbone.output, outputs, name="projection")
    backbone = keras.Model(embedder.input, outputs, name=f"{embedder.name}_backbone")
    features = keras.Input(outputs.shape[1:], dtype=outputs.dtype)
    identity = keras.layers.Identity(dtype=outputs.dtype)(features)
    return backbone, keras.Model(features, identity, name="projection")
