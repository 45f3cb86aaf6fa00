"""Building blocks of the convolutional face networks, as functions on Keras tensors.

Every block is made of stock Keras layers, so a model built from them loads with plain
``keras.saving.load_model``. Convolutions have biases and, with a stride of 2, PyTorch's
symmetric padding, as in the network that ``convnext_small`` reproduces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import KerasTensor

BATCH_NORM_EPSILON = 1e-5
# PyTorch's momentum of 0.1: it counts the share of the new value, Keras that of the old one.
BATCH_NORM_MOMENTUM = 0.9


def torch_uniform(fan_in: int) -> keras.initializers.Initializer:
    """Returns PyTorch's default initializer of convolutions and linear layers, biases included.

    Keras counts a depthwise kernel's fan over all channels, which would make a 7x7 depthwise
    kernel many times too small, so the fan is given here and not derived from the shape.

    Args:
        fan_in: Number of inputs of one output value (kernel height x width x input channels).

    Returns:
        A uniform initializer on ``[-1 / sqrt(fan_in), 1 / sqrt(fan_in)]``.
    """
    limit = fan_in**-0.5
    return keras.initializers.RandomUniform(-limit, limit)


def batch_norm(x: KerasTensor, name: str, *, gamma: str = "ones") -> KerasTensor:
    """BatchNorm with PyTorch's epsilon and momentum; ``gamma`` is its initializer."""
    return keras.layers.BatchNormalization(
        momentum=BATCH_NORM_MOMENTUM, epsilon=BATCH_NORM_EPSILON, gamma_initializer=gamma, name=name
    )(x)


def conv(
    x: KerasTensor, filters: int, kernel_size: int, name: str, *, strides: int = 1, padding: int = 0
) -> KerasTensor:
    """A convolution with bias after symmetric zero padding, with PyTorch's initial values.

    Args:
        x: Keras tensor ``[batch, height, width, channels]``.
        filters: Number of output channels.
        kernel_size: Side of the square kernel, in pixels.
        name: Layer name; a padding layer, if needed, is called ``{name}_pad``.
        strides: Step in pixels.
        padding: Zeros added on each of the four sides, in pixels.

    Returns:
        Keras tensor ``[batch, new_height, new_width, filters]``.
    """
    fan_in = kernel_size * kernel_size * x.shape[-1]
    same = strides == 1 and 2 * padding == kernel_size - 1  # without an extra copy
    if padding and not same:
        x = keras.layers.ZeroPadding2D(padding, name=f"{name}_pad")(x)
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding="same" if same else "valid",
        kernel_initializer=torch_uniform(fan_in),
        bias_initializer=torch_uniform(fan_in),
        name=name,
    )(x)


def plain_conv(
    x: KerasTensor, filters: int, kernel_size: int, name: str, *, strides: int = 1
) -> KerasTensor:
    """A convolution without bias, before a BatchNorm; He's initial values by fan-out.

    Args:
        x: Keras tensor ``[batch, height, width, channels]``.
        filters: Number of output channels.
        kernel_size: Side of the square kernel, odd, in pixels. Zeros pad half of it on each side.
        name: Layer name. With a stride, a padding layer ``{name}_pad`` comes first.
        strides: Step in pixels.

    Returns:
        Keras tensor ``[batch, ceil(height / strides), ceil(width / strides), filters]``.
    """
    if strides > 1 and kernel_size > 1:
        x = keras.layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding="same" if strides == 1 else "valid",
        use_bias=False,
        # He et al. 2015, arXiv:1502.01852
        kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal"),
        name=name,
    )(x)


def pointwise(x: KerasTensor, filters: int, name: str) -> KerasTensor:
    """A 1x1 convolution, implemented as a dense layer on each pixel.

    A dense layer runs as one matrix product; its backward pass is several times faster on CPUs
    than that of a convolution, and the parameters and results are the same.
    """
    return dense(x, filters, name)


def dense(x: KerasTensor, units: int, name: str, **options: Any) -> KerasTensor:
    """A dense layer with PyTorch's initial values; further options are those of Keras's."""
    fan_in = x.shape[-1]
    return keras.layers.Dense(
        units,
        kernel_initializer=torch_uniform(fan_in),
        bias_initializer=torch_uniform(fan_in),
        name=name,
        **options,
    )(x)


def depthwise_conv(x: KerasTensor, kernel_size: int, name: str, *, strides: int = 1) -> KerasTensor:
    """A depthwise convolution with bias and symmetric padding of half a kernel."""
    fan_in = kernel_size * kernel_size
    if strides > 1:
        x = keras.layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
    return keras.layers.DepthwiseConv2D(
        kernel_size,
        strides,
        # For stride 1 and odd kernels "same" is the symmetric padding, without an extra copy.
        padding="same" if strides == 1 else "valid",
        depthwise_initializer=torch_uniform(fan_in),
        bias_initializer=torch_uniform(fan_in),
        name=name,
    )(x)


def relu6(x: KerasTensor, name: str) -> KerasTensor:
    """ReLU clipped at 6."""
    return keras.layers.ReLU(max_value=6.0, name=name)(x)


def residual(x: KerasTensor, branch: KerasTensor, drop_path: float, name: str) -> KerasTensor:
    """Adds a branch to its input, dropping the whole branch of an example at random.

    Args:
        x: The block's input.
        branch: The block's output, of the same shape.
        drop_path: Probability in ``[0, 1)`` that the branch of one example is dropped in
            training (stochastic depth, Huang et al. 2016, arXiv:1603.09382).
        name: Block name.

    Returns:
        Keras tensor of the same shape.
    """
    if drop_path > 0:
        branch = keras.layers.Dropout(
            drop_path, noise_shape=(None, 1, 1, 1), name=f"{name}_drop_path"
        )(branch)
    return keras.layers.Add(name=f"{name}_add")([x, branch])


def layer_scale(x: KerasTensor, initial: float, name: str) -> KerasTensor:
    """LayerScale: multiplies each channel by a trained factor.

    Source: Touvron et al. 2021, arXiv:2103.17239.

    Args:
        x: Keras tensor ``[batch, height, width, channels]``.
        initial: Initial factor. With a small one, a deep network starts as the identity.
        name: Layer name.

    Returns:
        Keras tensor of the same shape.
    """
    # Keras has no LayerScale; this einsum is equivalent.
    return keras.layers.EinsumDense(
        "bhwc,c->bhwc",
        output_shape=x.shape[1:],
        kernel_initializer=keras.initializers.Constant(initial),
        name=name,
    )(x)


def convnext_block(
    x: KerasTensor,
    name: str,
    *,
    expansion: int = 4,
    kernel_size: int = 7,
    drop_path: float = 0.0,
    scale: float | None = None,
) -> KerasTensor:
    """The ConvNeXt block with batch normalization (Liu et al. 2022, arXiv:2201.03545).

    Depthwise convolution, BatchNorm, 1x1 to ``expansion`` times the channels, exact GELU, 1x1
    back, plus the input.

    Args:
        x: Keras tensor ``[batch, height, width, channels]``.
        name: Prefix of the layer names.
        expansion: Channel factor inside the block, at least 1.
        kernel_size: Side of the depthwise kernel, odd, in pixels.
        drop_path: Probability of dropping the branch, in ``[0, 1)``.
        scale: Initial value of a LayerScale on the branch; None adds none.

    Returns:
        Keras tensor of the same shape.
    """
    channels = x.shape[-1]
    branch = depthwise_conv(x, kernel_size, f"{name}_depthwise")
    branch = batch_norm(branch, f"{name}_norm")
    branch = pointwise(branch, expansion * channels, f"{name}_expand")
    branch = keras.layers.Activation("gelu", name=f"{name}_gelu")(branch)
    branch = pointwise(branch, channels, f"{name}_project")
    if scale is not None:
        branch = layer_scale(branch, scale, f"{name}_scale")
    return residual(x, branch, drop_path, name)


def inverted_bottleneck(
    x: KerasTensor,
    name: str,
    *,
    filters: int | None = None,
    expansion: int = 6,
    kernel_size: int = 3,
    strides: int = 1,
    drop_path: float = 0.0,
) -> KerasTensor:
    """The inverted bottleneck of MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381).

    1x1 to ``expansion`` times the channels, ReLU6, BatchNorm, depthwise convolution, ReLU6,
    BatchNorm, 1x1 to ``filters``, BatchNorm; plus the input where the shapes agree. The
    activation comes before the normalization, as in the network that this reproduces.

    Args:
        x: Keras tensor ``[batch, height, width, channels]``.
        name: Prefix of the layer names.
        filters: Output channels; None keeps the input's.
        expansion: Channel factor inside the block, at least 1.
        kernel_size: Side of the depthwise kernel, odd, in pixels.
        strides: 1, or 2 to halve height and width.
        drop_path: Probability of dropping the branch, in ``[0, 1)``; unused without residual.

    Returns:
        Keras tensor ``[batch, ceil(height / strides), ceil(width / strides), filters]``.
    """
    channels = x.shape[-1]
    filters = channels if filters is None else filters
    branch = pointwise(x, expansion * channels, f"{name}_expand")
    branch = batch_norm(relu6(branch, f"{name}_expand_relu"), f"{name}_expand_norm")
    branch = depthwise_conv(branch, kernel_size, f"{name}_depthwise", strides=strides)
    branch = batch_norm(relu6(branch, f"{name}_depthwise_relu"), f"{name}_depthwise_norm")
    branch = batch_norm(pointwise(branch, filters, f"{name}_project"), f"{name}_project_norm")
    if strides == 1 and filters == channels:
        return residual(x, branch, drop_path, name)
    return branch


def bottleneck(
    x: KerasTensor, name: str, *, reduction: int = 4, kernel_size: int = 3, drop_path: float = 0.0
) -> KerasTensor:
    """The classic bottleneck of ResNet (He et al. 2016, arXiv:1512.03385).

    1x1 to the channels divided by ``reduction``, BatchNorm, ReLU, convolution, BatchNorm, ReLU,
    1x1 back, BatchNorm, plus the input, ReLU.

    Args:
        x: Keras tensor ``[batch, height, width, channels]``.
        name: Prefix of the layer names.
        reduction: Divisor of the channels inside the block, at least 1.
        kernel_size: Side of the middle kernel, odd, in pixels.
        drop_path: Probability of dropping the branch, in ``[0, 1)``.

    Returns:
        Keras tensor of the same shape.
    """
    channels = x.shape[-1]
    inner = max(1, channels // reduction)
    branch = batch_norm(pointwise(x, inner, f"{name}_reduce"), f"{name}_reduce_norm")
    branch = keras.layers.ReLU(name=f"{name}_reduce_relu")(branch)
    branch = conv(branch, inner, kernel_size, f"{name}_conv", padding=kernel_size // 2)
    branch = keras.layers.ReLU(name=f"{name}_relu")(batch_norm(branch, f"{name}_norm"))
    branch = batch_norm(pointwise(branch, channels, f"{name}_project"), f"{name}_project_norm")
    x = residual(x, branch, drop_path, name)
    return keras.layers.ReLU(name=f"{name}_out")(x)


def basic_block(
    x: KerasTensor,
    name: str,
    *,
    filters: int,
    strides: int = 1,
    drop_path: float = 0.0,
    zero_init: bool = False,
) -> KerasTensor:
    """The basic block of ResNet (He et al. 2016, arXiv:1512.03385).

    Convolution 3x3, BatchNorm, ReLU, convolution 3x3, BatchNorm, plus the input, ReLU. Where the
    sides are halved, the input is averaged over 2x2 pixels before its 1x1, so that no pixel is
    skipped (ResNet-D, He et al. 2019, arXiv:1812.01187).

    Args:
        x: Keras tensor ``[batch, height, width, channels]``.
        name: Prefix of the layer names.
        filters: Output channels.
        strides: 1, or 2 to halve height and width.
        drop_path: Probability of dropping the branch, in ``[0, 1)``.
        zero_init: If True, the branch is zero at the start (Goyal et al. 2017, arXiv:1706.02677).

    Returns:
        Keras tensor ``[batch, ceil(height / strides), ceil(width / strides), filters]``.
    """
    branch = plain_conv(x, filters, 3, f"{name}_conv1", strides=strides)
    branch = keras.layers.ReLU(name=f"{name}_relu1")(batch_norm(branch, f"{name}_norm1"))
    branch = plain_conv(branch, filters, 3, f"{name}_conv2")
    branch = batch_norm(branch, f"{name}_norm2", gamma="zeros" if zero_init else "ones")
    if strides > 1:
        x = keras.layers.AveragePooling2D(strides, padding="same", name=f"{name}_shortcut_pool")(x)
    if x.shape[-1] != filters:
        x = plain_conv(x, filters, 1, f"{name}_shortcut")
        x = batch_norm(x, f"{name}_shortcut_norm")
    x = residual(x, branch, drop_path, name)
    return keras.layers.ReLU(name=f"{name}_relu2")(x)


def classic_stem(x: KerasTensor, filters: int, *, name: str = "stem") -> KerasTensor:
    """ResNet's stem: convolution 7x7/2, ReLU6, BatchNorm, max pooling 3x3/2.

    Args:
        x: Keras tensor ``[batch, height, width, channels]``.
        filters: Output channels.
        name: Prefix of the layer names.

    Returns:
        Keras tensor of a quarter of the height and width.
    """
    x = conv(x, filters, 7, f"{name}_conv", strides=2, padding=3)
    x = batch_norm(relu6(x, f"{name}_relu"), f"{name}_norm")
    # PyTorch pads a max pooling with minus infinity. Repeating the border gives the same maxima
    # and is a stock operation; zeros would win over the negative values that a BatchNorm outputs.
    x = keras.ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="symmetric")
    return keras.layers.MaxPooling2D(3, 2, name=f"{name}_pool")(x)


def patchify_stem(
    x: KerasTensor, filters: int, *, patch_size: int = 4, name: str = "stem"
) -> KerasTensor:
    """ConvNeXt's stem: one convolution per patch, ReLU6, BatchNorm.

    Args:
        x: Keras tensor ``[batch, height, width, channels]``.
        filters: Output channels.
        patch_size: Side and step of the kernel, in pixels.
        name: Prefix of the layer names.

    Returns:
        Keras tensor ``[batch, height // patch_size, width // patch_size, filters]``.
    """
    x = conv(x, filters, patch_size, f"{name}_conv", strides=patch_size)
    return batch_norm(relu6(x, f"{name}_relu"), f"{name}_norm")


def check_stages(
    channels: Sequence[int], blocks_per_stage: Sequence[int], drop_path: float
) -> None:
    """Raises a ValueError if the options do not describe a sequence of stages."""
    for name, counts in (("channels", channels), ("blocks_per_stage", blocks_per_stage)):
        if not isinstance(counts, Sequence) or not all(isinstance(n, int) for n in counts):
            raise ValueError(f"`{name}` must be a list of integers. Received: {name}={counts!r}.")
    if len(channels) != len(blocks_per_stage) or not channels:
        raise ValueError(
            "`channels` and `blocks_per_stage` must have one number per stage, at least one. "
            f"Received: channels={channels}, blocks_per_stage={blocks_per_stage}."
        )
    if min(channels) < 1 or min(blocks_per_stage) < 0:
        raise ValueError(
            "`channels` must be positive and `blocks_per_stage` not negative. "
            f"Received: channels={channels}, blocks_per_stage={blocks_per_stage}."
        )
    if not isinstance(drop_path, (int, float)) or not 0 <= drop_path < 1:
        raise ValueError(f"`drop_path` must be in [0, 1). Received: drop_path={drop_path!r}.")
