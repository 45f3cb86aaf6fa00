"""Heads: pooling, hidden layers, and the classes or the embedding.

The name of each layer starts with ``head_``. Freezing and loading of weights use it to separate the
head from the backbone.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import keras
from keras import KerasTensor

from kerasface.models.blocks import batch_norm, dense
from kerasface.names import suggest

HEAD_PREFIX = "head_"


def is_head(layer: keras.layers.Layer) -> bool:
    """Returns whether a layer belongs to the head."""
    return layer.name.startswith(HEAD_PREFIX)


def split_model(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Splits a model into its backbone and its head, which share its layers.

    Global pooling belongs to the first part, because its output is much smaller than the feature
    map.

    Args:
        model: Made by `kerasface.build`.

    Returns:
        ``(images -> features, features -> outputs)``.
    """
    first = next(layer for layer in model.layers if is_head(layer))
    pooled = isinstance(first, keras.layers.GlobalAveragePooling2D)
    features = first.output if pooled else first.input
    backbone = keras.Model(model.input, features, name=f"{model.name}_backbone")
    return backbone, keras.Model(features, model.output, name=f"{model.name}_head")


def _dropout(x: KerasTensor, rate: float | None, name: str) -> KerasTensor:
    return keras.layers.Dropout(rate, name=f"{HEAD_PREFIX}{name}")(x) if rate else x


def pool_head(x: KerasTensor, dropout: float | None = None) -> KerasTensor:
    """Global average pooling, then dropout.

    Args:
        x: Feature map ``[batch, height, width, channels]``.
        dropout: Rate in ``[0, 1)``; None adds none.

    Returns:
        Features ``[batch, channels]``.
    """
    x = keras.layers.GlobalAveragePooling2D(name=f"{HEAD_PREFIX}pool")(x)
    return _dropout(x, dropout, "dropout")


def double_head(x: KerasTensor, dropout: float | None = None) -> KerasTensor:
    """Global average pooling, a hidden layer as wide as the features, ReLU, then dropout.

    Args:
        x: Feature map ``[batch, height, width, channels]``.
        dropout: Rate in ``[0, 1)``; None adds none.

    Returns:
        Features ``[batch, channels]``.
    """
    x = keras.layers.GlobalAveragePooling2D(name=f"{HEAD_PREFIX}pool")(x)
    x = dense(x, x.shape[-1], f"{HEAD_PREFIX}hidden", activation="relu")
    return _dropout(x, dropout, "dropout")


def vgg_head(x: KerasTensor, dropout: float | None = None) -> KerasTensor:
    """VGG's head, as VGG19 celebrities trains it on a frozen VGG19.

    Flatten, 4,096, ReLU, dropout, 4,096, ReLU, dropout.

    Args:
        x: Feature map ``[batch, height, width, channels]``.
        dropout: Rate in ``[0, 1)``; None is 0.5.

    Returns:
        Features ``[batch, 4096]``.
    """
    rate = 0.5 if dropout is None else dropout
    x = keras.layers.Flatten(name=f"{HEAD_PREFIX}flatten")(x)
    for index in (1, 2):
        x = dense(x, 4096, f"{HEAD_PREFIX}hidden{index}", activation="relu")
        x = _dropout(x, rate, f"dropout{index}")
    return x


def mlp_head(x: KerasTensor, dropout: float | None = None) -> KerasTensor:
    """The head of the CS405 competition: two hidden layers with BatchNorm.

    Global average pooling, 1,024, BatchNorm, ReLU, dropout, 512, BatchNorm, ReLU, dropout.

    Args:
        x: Feature map ``[batch, height, width, channels]``.
        dropout: Rate in ``[0, 1)`` of both; None is 0.5 and 0.3.

    Returns:
        Features ``[batch, 512]``.
    """
    x = keras.layers.GlobalAveragePooling2D(name=f"{HEAD_PREFIX}pool")(x)
    for index, (units, rate) in enumerate(((1024, 0.5), (512, 0.3)), start=1):
        x = dense(x, units, f"{HEAD_PREFIX}hidden{index}")
        x = batch_norm(x, f"{HEAD_PREFIX}norm{index}")
        x = keras.layers.ReLU(name=f"{HEAD_PREFIX}relu{index}")(x)
        x = _dropout(x, rate if dropout is None else dropout, f"dropout{index}")
    return x


def attributes_head(x: KerasTensor, dropout: float | None = None) -> KerasTensor:
    """The head of 15 attributes: two hidden layers on the flattened feature map.

    Flatten, 512, dropout, ReLU, 256, dropout, ReLU.

    Args:
        x: Feature map ``[batch, height, width, channels]``.
        dropout: Rate in ``[0, 1)`` of both; None is 0.5.

    Returns:
        Features ``[batch, 256]``.
    """
    rate = 0.5 if dropout is None else dropout
    x = keras.layers.Flatten(name=f"{HEAD_PREFIX}flatten")(x)
    for index, units in enumerate((512, 256), start=1):
        x = dense(x, units, f"{HEAD_PREFIX}hidden{index}")
        x = _dropout(x, rate, f"dropout{index}")
        x = keras.layers.ReLU(name=f"{HEAD_PREFIX}relu{index}")(x)
    return x


@dataclasses.dataclass(frozen=True)
class Head:
    """A parsed head name.

    Attributes:
        features: ``(feature map, dropout) -> features [batch, features]``.
        scale: For the cosine head: factor of the cosines, the inverse of the temperature of the
            softmax. None for linear logits.
    """

    features: Callable[..., KerasTensor]
    scale: float | None = None


HEADS: dict[str, Head] = {
    "attributes": Head(attributes_head),
    "cosine": Head(pool_head, scale=16.0),
    "double": Head(double_head),
    "mlp": Head(mlp_head),
    "pool": Head(pool_head),
    "vgg": Head(vgg_head),
}


def parse_head(spec: str) -> Head:
    """Reads the name of a head; the cosine head takes its scale after a colon.

    Args:
        spec: One of ``HEADS`` or, for instance, ``"cosine:30"``.

    Raises:
        ValueError: If there is no such head, or the scale is not a number above 0.

    Example:
        >>> parse_head("cosine:30").scale
        30.0
    """
    name, colon, text = spec.partition(":")
    if name not in HEADS:
        raise ValueError(
            f"`head` must be one of {sorted(HEADS)}. Received: head={spec!r}.{suggest(name, HEADS)}"
        )
    if not colon:
        return HEADS[name]
    try:
        scale = float(text)
    except ValueError:
        scale = math.nan
    if HEADS[name].scale is None or not 0 < scale < math.inf:
        raise ValueError(
            "Only the cosine head has a scale, a number above 0. "
            f"Received: head={spec!r}. Use head='cosine:16', for instance."
        )
    return dataclasses.replace(HEADS[name], scale=scale)


def classes(
    x: KerasTensor, num_classes: int, activation: str | None, scale: float | None = None
) -> KerasTensor:
    """Adds the last layer of a classifier: logits and their activation in float32.

    Args:
        x: Features ``[batch, features]``.
        num_classes: Number of outputs, at least 1.
        activation: ``"softmax"``, ``"sigmoid"`` or None for logits.
        scale: None for a linear layer. A number makes the logits this times the cosines between
            the features and one direction per class (NormFace, Wang et al. 2017, arXiv:1704.06369).

    Returns:
        float32 Keras tensor ``[batch, num_classes]``.
    """
    name = f"{HEAD_PREFIX}logits"
    x = dense(x, num_classes, name) if scale is None else _cosines(x, num_classes, scale, name)
    # Float32 under every policy: half precision rounds small probabilities to zero.
    return keras.layers.Activation(
        activation or "linear", dtype="float32", name=f"{HEAD_PREFIX}output"
    )(x)


def _cosines(x: KerasTensor, num_classes: int, scale: float, name: str) -> KerasTensor:
    # Float32 under every policy, because of the division by a length.
    x = keras.layers.UnitNormalization(dtype="float32", name=f"{HEAD_PREFIX}unit")(x)
    directions = keras.layers.Dense(
        num_classes,
        use_bias=False,
        kernel_initializer=keras.initializers.RandomNormal(),
        kernel_constraint=keras.constraints.UnitNorm(axis=0),
        dtype="float32",
        name=name,
    )
    cosines = directions(x)
    # The constraint acts after each update, so it is applied here before the first one.
    directions.kernel.assign(directions.kernel.constraint(directions.kernel))
    return keras.layers.Rescaling(scale, dtype="float32", name=f"{HEAD_PREFIX}scale")(cosines)


def embedding(x: KerasTensor, dimensions: int) -> KerasTensor:
    """Adds a linear projection onto the unit sphere.

    Args:
        x: Features ``[batch, features]``.
        dimensions: Length of the embedding, at least 1.

    Returns:
        float32 Keras tensor ``[batch, dimensions]`` of rows of Euclidean length 1.
    """
    x = dense(x, dimensions, f"{HEAD_PREFIX}embedding")
    return keras.layers.UnitNormalization(dtype="float32", name=f"{HEAD_PREFIX}unit")(x)
