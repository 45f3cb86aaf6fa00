"""Initializes the last layer of a classifier as a linear discriminant of the features."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np

from kerasface.embedding.discriminant import CLASSIFIER_SHRINKAGE, discriminant_classifier
from kerasface.models import heads

LINEAR_HEAD = ("pool", "dropout", "logits", "output")


@dataclasses.dataclass(frozen=True)
class DiscriminantStart:
    """How the discriminant is estimated.

    Attributes:
        versions: Versions of each image that it is computed from: augmentation and number. The
            first is the unchanged image.
        shrinkage: In [0, 1].
    """

    versions: tuple[tuple[tuple[str, ...], int], ...]
    shrinkage: float


IMAGES_AND_MIRRORED: tuple[tuple[tuple[str, ...], int], ...] = (((), 1), (("flip:1",), 1))
STARTS = {
    # In five folds of 1,381 images of 23 celebrities the area under the ROC curves is .973 with
    # all of them, .971 without the crops and .967 with the images alone; rotations and color
    # changes make it worse.
    "lda": DiscriminantStart(
        (*IMAGES_AND_MIRRORED, (("flip", "crop:0.7"), 4)), CLASSIFIER_SHRINKAGE
    ),
    # Chosen for dlib's face network in five folds within the training part (celebrities, 1,381
    # images, and 150 identities, 2,633 images; docs/results/celebrities.md).
    "lda_mirrored": DiscriminantStart(IMAGES_AND_MIRRORED, 0.5),
}


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
            "A discriminant as the start of the head needs classes and a head that is one linear "
            f"layer on pooled features. Received: {kind}, and a head of the layers {names}. "
            "Use head='pool' or head_start='random'."
        )
    return model.get_layer(f"{heads.HEAD_PREFIX}logits")


def start_from_discriminant(
    layer: keras.layers.Dense,
    features: np.ndarray,
    labels: np.ndarray,
    shrinkage: float = CLASSIFIER_SHRINKAGE,
) -> None:
    """Sets a linear layer's weights to the linear discriminant of its inputs.

    Args:
        layer: ``[features] -> [classes]``, with a bias.
        features: ``[variants, N, features]``; see
            `kerasface.embedding.discriminant.discriminant_classifier`.
        labels: int ``[N]``, the class of each image.
        shrinkage: In [0, 1].
    """
    layer.set_weights(list(discriminant_classifier(features, labels, layer.units, shrinkage)))
