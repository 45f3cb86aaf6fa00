"""ConvNeXt-like face networks: ``convnext_small`` (FaceClassifier's network) and smaller ones.

A stage is a sequence of residual blocks and a BatchNorm. Between stages an inverted bottleneck
halves the sides and doubles the channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from keras import KerasTensor

from kerasface.models import blocks, preprocess

BLOCKS: dict[str, Callable[..., KerasTensor]] = {
    "convnext": blocks.convnext_block,
    "inverted_bottleneck": blocks.inverted_bottleneck,
    "bottleneck": blocks.bottleneck,
}
STEMS: dict[str, Callable[..., KerasTensor]] = {
    "classic": blocks.classic_stem,
    "patchify": blocks.patchify_stem,
}


def convnext_features(
    inputs: KerasTensor,
    *,
    stem: str = "classic",
    patch_size: int = 4,
    channels: Sequence[int] = (80, 160, 320, 640),
    blocks_per_stage: Sequence[int] = (2, 2, 6, 2),
    block: str = "convnext",
    drop_path: float = 0.0,
    layer_scale: float | None = None,
) -> KerasTensor:
    """Builds the network up to its last feature map.

    Args:
        inputs: Keras tensor ``[batch, height, width, 3]``, RGB in ``[0, 255]``.
        stem: ``"classic"`` (7x7/2 and pooling, a quarter of the sides) or ``"patchify"``.
        patch_size: Side of the patchify stem's patches in pixels; the classic stem has none.
        channels: Channels of each stage.
        blocks_per_stage: Blocks of each stage, as many numbers as ``channels``.
        block: ``"convnext"``, ``"inverted_bottleneck"`` or ``"bottleneck"``.
        drop_path: Largest probability of dropping a block's branch, in ``[0, 1)``; it ramps
            from 0 at the first block of the network to this at the last.
        layer_scale: Initial value of a trained factor per channel on each block's branch, of
            ``"convnext"`` blocks only; None adds none.

    Returns:
        Keras tensor ``[batch, height / 32, width / 32, channels[-1]]`` (classic stem, 4 stages).

    Raises:
        ValueError: If an option is unknown or out of range.
    """
    blocks.check_stages(channels, blocks_per_stage, drop_path)
    _check_options(stem, patch_size, block)
    _check_layer_scale(layer_scale, block)
    rates = np.linspace(0.0, drop_path, sum(blocks_per_stage)).tolist()
    block_options = {} if layer_scale is None else {"scale": layer_scale}
    stem_options = {"patch_size": patch_size} if stem == "patchify" else {}
    x = STEMS[stem](preprocess.normalize(inputs), channels[0], **stem_options)
    for stage, (width, depth) in enumerate(zip(channels, blocks_per_stage, strict=True), start=1):
        if stage > 1:
            x = blocks.inverted_bottleneck(x, f"downsample{stage}", filters=width, strides=2)
        for index in range(1, depth + 1):
            name = f"stage{stage}_block{index}"
            x = BLOCKS[block](x, name, drop_path=rates.pop(0), **block_options)
        x = blocks.batch_norm(x, f"stage{stage}_norm")
    return x


def _check_options(stem: str, patch_size: int, block: str) -> None:
    for name, value, known in (("stem", stem, STEMS), ("block", block, BLOCKS)):
        if not isinstance(value, str) or value not in known:
            raise ValueError(
                f"`{name}` must be one of {sorted(known)}. Received: {name}={value!r}."
            )
    if patch_size != 4 and stem != "patchify":
        raise ValueError(
            "`patch_size` belongs to the patchify stem. "
            f"Received: patch_size={patch_size} with stem={stem!r}. Set stem='patchify', too."
        )
    if not isinstance(patch_size, int) or patch_size < 1:
        raise ValueError(f"`patch_size` must be at least 1. Received: patch_size={patch_size!r}.")


def _check_layer_scale(layer_scale: float | None, block: str) -> None:
    if layer_scale is None:
        return
    if block != "convnext":
        raise ValueError(
            "`layer_scale` belongs to the convnext block. "
            f"Received: layer_scale={layer_scale!r} with block={block!r}. Leave one out."
        )
    if not isinstance(layer_scale, (int, float)) or not layer_scale > 0:
        raise ValueError(
            f"`layer_scale` must be a number above 0. Received: layer_scale={layer_scale!r}."
        )
