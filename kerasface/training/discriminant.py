"""Initializes the last layer of a classifier as a linear discriminant of the features."""

from __future__ import annotations

import keras
import numpy as np

from kerasface.embedding.discriminant import discriminant_classifier
from kerasface.models import heads

LINEAR_HEAD = ("pool", "dropout", "logits", "output")


def linear_layer(model: keras.Model, *, multi_label: bool = False) -> keras.layers.Dense:
    """Returns the layer that computes the logits, if the head has only pooling before it.

    Args:
        model: Model from `kerasface.build`.
        multi_label: Whether its outputs are attributes.

    Raises:
        ValueError: If the head has other layers, or the outputs are not classes.
    """
    layers = [layer.name for layer in model.layers if heads.is_head(layer)]
    names = [name.removeprefix(heads.HEAD_PREFIX) for name in layers]
    if multi_label or "logits" not in names or not set(names) <= set(LINEAR_HEAD):
        kind = "attributes" if multi_label else "classes or an embedding"
        raise ValueError(
            "`head_start='lda'` needs classes and a head that is one linear layer on pooled "
            f"features. Received: {kind}, and a head of the layers {names}. "
            "Use head='pool' or head_start='random'."
        )
    return model.get_layer(f"{heads.HEAD_PREFIX}logits")


def start_from_discriminant(
    layer: keras.layers.Dense, features: np.ndarray, labels: np.ndarray
) -> None:
    """Sets a linear layer's weights to the linear discriminant of its inputs.

    Args:
        layer: ``[features] -> [classes]``, with a bias.
        features: ``[variants, N, features]``; see
            `kerasface.embedding.discriminant.discriminant_classifier`.
        labels: int ``[N]``, the class of each image.
    """
    layer.set_weights(list(discriminant_classifier(features, labels, layer.units)))
