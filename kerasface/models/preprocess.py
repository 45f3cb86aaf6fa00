"""Preprocessing inside a model: RGB in [0, 255] to what its first layer expects."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import KerasTensor

# Mean and standard deviation of the HW2P2 training crops, RGB in [0, 1] (FaceClassifier's values).
FACE_MEAN = (0.5103, 0.4014, 0.3509)
FACE_STANDARD_DEVIATION = (0.2708, 0.2363, 0.2226)


def normalize(
    x: KerasTensor,
    mean: Sequence[float] = FACE_MEAN,
    standard_deviation: Sequence[float] = FACE_STANDARD_DEVIATION,
) -> KerasTensor:
    """Standardizes each color channel.

    Args:
        x: Keras tensor ``[batch, height, width, 3]``, RGB in ``[0, 255]``.
        mean: Channel means as a share of 255.
        standard_deviation: Channel standard deviations as a share of 255.

    Returns:
        Keras tensor of the same shape, about zero mean and unit variance per channel.
    """
    return keras.layers.Normalization(
        axis=-1,
        mean=[255.0 * value for value in mean],
        variance=[(255.0 * value) ** 2 for value in standard_deviation],
        name="normalize",
    )(x)
