"""The attribute networks of the published projects: ``smile_cnn`` and ``resnet15``."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import KerasTensor

from kerasface.models import blocks, preprocess


def smile_cnn_features(
    inputs: KerasTensor, *, channels: Sequence[int] = (32, 64, 128, 256), block_dropout: float = 0.5
) -> KerasTensor:
    """The network of CelebA smiling up to its last feature map.

    3x3 convolutions with ReLU. All but the last are followed by 2x2 max pooling, and the first two
    of these by dropout. The project's description omits the third pooling, but its final average
    over 8x8 of 64 pixels needs it.

    Args:
        inputs: Keras tensor ``[batch, height, width, 3]``, RGB in ``[0, 255]``.
        channels: Channels of each convolution.
        block_dropout: Rate of the dropouts, in ``[0, 1)``.

    Returns:
        Keras tensor ``[batch, height / 8, width / 8, channels[-1]]`` (4 convolutions).

    Raises:
        ValueError: If an option is out of range.
    """
    _check_channels(channels)
    if not isinstance(block_dropout, (int, float)) or not 0 <= block_dropout < 1:
        raise ValueError(
            f"`block_dropout` must be in [0, 1). Received: block_dropout={block_dropout!r}."
        )
    x = keras.layers.Rescaling(1 / 255, name="rescale")(inputs)
    for index, width in enumerate(channels, start=1):
        x = blocks.conv(x, width, 3, f"conv{index}", padding=1)
        x = keras.layers.ReLU(name=f"relu{index}")(x)
        if index < len(channels):
            x = keras.layers.MaxPooling2D(2, name=f"pool{index}")(x)
        if index <= 2 and block_dropout:
            x = keras.layers.Dropout(block_dropout, name=f"dropout{index}")(x)
    return x


def resnet15_features(
    inputs: KerasTensor, *, channels: Sequence[int] = (64, 256, 512, 1024)
) -> KerasTensor:
    """The network of 15 attributes (Detect Facial Features) up to its last feature map.

    For each number of channels a convolution and a residual pair of them, each 3x3 with BatchNorm
    and ReLU. In all stages but the first, the first convolution is followed by 4x4 max
    pooling. The sum of a pair and its shortcut has no activation.

    Args:
        inputs: Keras tensor ``[batch, height, width, 3]``, RGB in ``[0, 255]``.
        channels: Channels of each stage.

    Returns:
        Keras tensor ``[batch, height / 64, width / 64, channels[-1]]`` (4 stages), sides rounded
        down.

    Raises:
        ValueError: If an option is out of range.
    """
    _check_channels(channels)
    half = (0.5, 0.5, 0.5)
    x = preprocess.normalize(inputs, half, half)
    for stage, width in enumerate(channels, start=1):
        x = _conv_block(x, width, f"stage{stage}_conv")
        if stage > 1:
            x = keras.layers.MaxPooling2D(4, name=f"stage{stage}_pool")(x)
        shortcut = x
        for index in (1, 2):
            x = _conv_block(x, width, f"stage{stage}_residual{index}")
        x = keras.layers.Add(name=f"stage{stage}_add")([x, shortcut])
    return x


def _conv_block(x: KerasTensor, filters: int, name: str) -> KerasTensor:
    x = blocks.conv(x, filters, 3, name, padding=1)
    x = blocks.batch_norm(x, f"{name}_norm")
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def _check_channels(channels: Sequence[int]) -> None:
    listed = isinstance(channels, Sequence) and all(isinstance(n, int) for n in channels)
    if not listed or not channels or min(channels) < 1:
        raise ValueError(
            "`channels` must be a list of integers, one per stage, each at least 1. "
            f"Received: channels={channels!r}."
        )
