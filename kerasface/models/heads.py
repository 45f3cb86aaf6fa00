"""What stands behind a backbone: pooling, hidden layers, and the classes or the embedding.

Every layer made here has a name that starts with ``head_``: that is how freezing and loading of
weights tell a head from its backbone.
"""

from __future__ import annotations

import keras

from kerasface.models.blocks import torch_uniform

HEAD_PREFIX = "head_"


def _dense(x, units: int, name: str, **options):
    initializer = torch_uniform(x.shape[-1])
    return keras.layers.Dense(
        units, kernel_initializer=initializer, name=f"{HEAD_PREFIX}{name}", **options
    )(x)


def _dropout(x, rate: float, name: str):
    return keras.layers.Dropout(rate, name=f"{HEAD_PREFIX}{name}")(x) if rate > 0 else x


def pool_head(x, dropout: float):
    """Global average pooling, then dropout.

    Args:
        x: Feature map ``[batch, height, width, channels]``.
        dropout: Rate in ``[0, 1)``.

    Returns:
        Features ``[batch, channels]``.
    """
    x = keras.layers.GlobalAveragePooling2D(name=f"{HEAD_PREFIX}pool")(x)
    return _dropout(x, dropout, "dropout")


def double_head(x, dropout: float):
    """Global average pooling, a hidden layer as wide as the features, ReLU, then dropout.

    Args:
        x: Feature map ``[batch, height, width, channels]``.
        dropout: Rate in ``[0, 1)``.

    Returns:
        Features ``[batch, channels]``.
    """
    x = keras.layers.GlobalAveragePooling2D(name=f"{HEAD_PREFIX}pool")(x)
    x = _dense(x, x.shape[-1], "hidden", activation="relu")
    return _dropout(x, dropout, "dropout")


HEADS = {"pool": pool_head, "double": double_head}


def classes(x, num_classes: int, activation: str | None):
    """The last layer of a classifier: logits and their activation in float32.

    Args:
        x: Features ``[batch, features]``.
        num_classes: Number of outputs, at least 1.
        activation: ``"softmax"``, ``"sigmoid"`` or None for logits.

    Returns:
        float32 Keras tensor ``[batch, num_classes]``.
    """
    logits = _dense(x, num_classes, "logits")
    # Float32 whatever the policy: half precision rounds small probabilities to zero.
    return keras.layers.Activation(
        activation or "linear", dtype="float32", name=f"{HEAD_PREFIX}output"
    )(logits)


def embedding(x, dimensions: int):
    """A linear projection onto the unit sphere.

    Args:
        x: Features ``[batch, features]``.
        dimensions: Length of the embedding, at least 1.

    Returns:
        float32 Keras tensor ``[batch, dimensions]`` of rows of Euclidean length 1.
    """
    x = _dense(x, dimensions, "embedding")
    return keras.layers.UnitNormalization(dtype="float32", name=f"{HEAD_PREFIX}unit")(x)
