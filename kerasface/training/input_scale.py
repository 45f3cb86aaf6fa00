"""Whether a user's own model scales its input images."""

from __future__ import annotations

import warnings

import keras

SCALING = (
    *("BatchNormalization", "GroupNormalization", "LayerNormalization", "Normalization"),
    *("RMSNormalization", "Rescaling", "SpectralNormalization", "UnitNormalization"),
)
# Layers that leave the range of the values as it is.
NEUTRAL = (
    *("InputLayer", "Dropout", "Flatten", "Permute", "Reshape", "Resizing", "CenterCrop"),
    *("ZeroPadding2D", "Cropping2D", "UpSampling2D", "MaxPooling2D", "AveragePooling2D"),
    *("GlobalAveragePooling2D", "GlobalMaxPooling2D", "GaussianNoise", "Cast"),
    *("RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "RandomCrop"),
)


def has_unscaled_input(model: keras.Model) -> bool:
    """Returns whether a kernel of a model certainly gets images in [0, 255].

    Args:
        model: A functional model.

    Returns:
        True if only layers that leave the range as it is come before the first layer with a kernel,
        and no normalization follows directly. Other operations, and models inside the model, count
        as scaling.

    Example:
        >>> inputs = keras.Input((8, 8, 3))
        >>> outputs = keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(inputs))
        >>> has_unscaled_input(keras.Model(inputs, outputs))
        True
    """
    rest = [each for each in model.operations if type(each).__name__ not in NEUTRAL]
    if not rest:
        return False
    first = rest[0]
    following = type(rest[1]).__name__ if len(rest) > 1 else ""
    has_kernel = hasattr(first, "kernel") or hasattr(first, "depthwise_kernel")
    # A normalization after a linear kernel removes the scale.
    linear = getattr(first, "activation", None) is keras.activations.linear
    return has_kernel and not (linear and following in SCALING)


def warn_of_unscaled_input(model: keras.Model) -> None:
    """Warns if a user's model does not scale images in [0, 255].

    Args:
        model: A functional model.

    Warns:
        UserWarning: If `has_unscaled_input`.
    """
    if has_unscaled_input(model):
        warnings.warn(
            f"`model` gets images in [0, 255], and {model.name!r} does not scale them. Such a "
            "network often learns badly: begin it with keras.layers.Rescaling(1 / 255)",
            stacklevel=4,
        )
