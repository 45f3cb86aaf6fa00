"""dlib's face recognition network: a ResNet with 29 convolutions, as stock Keras layers.

King 2017, "High Quality Face Recognition with Deep Metric Learning" (blog.dlib.net), and
``anet_type`` in dlib's ``examples/dnn_face_recognition_ex.cpp``. `kerasface.models.dlib_weights`
reads its weights.

dlib's affine layers are folded into the convolutions. They were BatchNorms whose statistics are
not in the file any more, so BatchNorms made of them would be wrong in the first training step.
"""

from __future__ import annotations

import keras
from keras import KerasTensor

# Channel means that dlib subtracts, and its divisor: ``input_rgb_image_sized<150>``.
CHANNEL_MEANS = (122.782, 117.001, 104.298)
DIVISOR = 256.0
IMAGE_SIZE = 150
DIMENSIONS = 128
# Channels, number of blocks, and stride of the first of them.
STAGES = ((32, 3, 1), (64, 4, 2), (128, 3, 2), (256, 3, 2), (256, 1, 2))


def dlib_features(inputs: KerasTensor) -> KerasTensor:
    """The network up to its last feature map.

    Args:
        inputs: Keras tensor ``[batch, height, width, 3]``, RGB in ``[0, 255]``.

    Returns:
        Keras tensor ``[batch, h, w, 256]``.
    """
    x = keras.layers.Rescaling(
        1 / DIVISOR, offset=[-mean / DIVISOR for mean in CHANNEL_MEANS], name="normalize"
    )(inputs)
    x = _conv(x, 32, 7, "stem", strides=2, padding="valid")
    x = keras.layers.ReLU(name="stem_relu")(x)
    x = keras.layers.MaxPooling2D(3, 2, name="stem_pool")(x)
    for stage, (channels, blocks, strides) in enumerate(STAGES, start=1):
        for block in range(1, blocks + 1):
            name = f"stage{stage}_block{block}"
            x = _block(x, channels, name, strides=strides if block == 1 else 1)
    return x


def _block(x: KerasTensor, channels: int, name: str, *, strides: int) -> KerasTensor:
    shortcut = x
    # dlib pads a convolution only where its stride is 1.
    x = _conv(x, channels, 3, f"{name}_conv1", strides, "same" if strides == 1 else "valid")
    x = keras.layers.ReLU(name=f"{name}_relu1")(x)
    x = _conv(x, channels, 3, f"{name}_conv2")
    if strides > 1:
        shortcut = keras.layers.AveragePooling2D(2, strides, name=f"{name}_pool")(shortcut)
    height, width, depth = (max(pair) for pair in zip(x.shape[1:], shortcut.shape[1:], strict=True))
    x = _padded(x, (height, width, depth), f"{name}_pad")
    shortcut = _padded(shortcut, (height, width, depth), f"{name}_shortcut_pad")
    x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
    return keras.layers.ReLU(name=f"{name}_relu2")(x)


def _conv(
    x: KerasTensor,
    filters: int,
    kernel_size: int,
    name: str,
    strides: int = 1,
    padding: str = "same",
) -> KerasTensor:
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding=padding,
        # Normal numbers take 0.15 s longer to draw, which everyone who loads weights would wait.
        kernel_initializer="he_uniform",
        name=name,
    )(x)


def _padded(x: KerasTensor, shape: tuple[int, int, int], name: str) -> KerasTensor:
    """Appends rows, columns and channels of zeros, as dlib adds tensors of different sizes."""
    rows, columns, channels = (side - given for side, given in zip(shape, x.shape[1:], strict=True))
    if rows or columns:
        x = keras.layers.ZeroPadding2D(((0, rows), (0, columns)), name=name)(x)
    if channels:
        # Read as channels-first, the last two axes of the tensor are width and channels.
        x = keras.layers.ZeroPadding2D(
            ((0, 0), (0, channels)), data_format="channels_first", name=f"{name}_channels"
        )(x)
    return x
