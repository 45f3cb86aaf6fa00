"""Residual networks of plain 3x3 convolutions for small face images.

Full convolutions learn in fewer steps than depthwise ones and run faster on CPUs, but have more
parameters. This suits data sets of a few thousand images.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import KerasTensor

from kerasface.models import blocks, preprocess


def resnet_features(
    inputs: KerasTensor,
    *,
    stem_stride: int = 4,
    channels: Sequence[int] = (64, 128, 256, 512),
    blocks_per_stage: Sequence[int] = (2, 2, 2, 2),
    drop_path: float = 0.0,
    zero_init_residual: bool = False,
) -> KerasTensor:
    """Builds the network up to its last feature map.

    Args:
        inputs: Keras tensor ``[batch, height, width, 3]``, RGB in ``[0, 255]``.
        stem_stride: Stride of the stem in pixels: 1, 2 (a strided 3x3 convolution) or 4 (also a
            2x2 max pooling).
        channels: Channels of each stage.
        blocks_per_stage: Blocks of each stage, as many numbers as ``channels``; each stage but
            the first halves the sides.
        drop_path: Largest probability of dropping a block's branch, in ``[0, 1)``; it ramps
            from 0 at the first block of the network to this at the last.
        zero_init_residual: If True, every block equals its shortcut at the start.

    Returns:
        Keras tensor ``[batch, height / 32, width / 32, channels[-1]]`` (stride 4, 4 stages).

    Raises:
        ValueError: If an option is unknown or out of range.
    """
    blocks.check_stages(channels, blocks_per_stage, drop_path)
    if stem_stride not in (1, 2, 4):
        raise ValueError(f"`stem_stride` must be 1, 2 or 4. Received: stem_stride={stem_stride!r}.")
    rates = np.linspace(0.0, drop_path, sum(blocks_per_stage)).tolist()
    x = preprocess.normalize(inputs)
    x = blocks.plain_conv(x, channels[0], 3, "stem_conv", strides=min(stem_stride, 2))
    x = keras.layers.ReLU(name="stem_relu")(blocks.batch_norm(x, "stem_norm"))
    if stem_stride == 4:
        x = keras.layers.MaxPooling2D(2, padding="same", name="stem_pool")(x)
    for stage, (width, depth) in enumerate(zip(channels, blocks_per_stage, strict=True), start=1):
        for index in range(1, depth + 1):
            x = blocks.basic_block(
                x,
                f"stage{stage}_block{index}",
                filters=width,
                strides=2 if stage > 1 and index == 1 else 1,
                drop_path=rates.pop(0),
                zero_init=zero_init_residual,
            )
    return x
