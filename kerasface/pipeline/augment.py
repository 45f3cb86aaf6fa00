"""Augmentations: pure functions of one image and a few random numbers.

An augmentation is a list of steps, each a name with an optional strength after a colon, for
instance ``"rotation:15"``. This module draws no random numbers. The stream draws one vector of
uniform numbers per image, keyed by seed, epoch and position, and every step reads its own part. So
the result does not depend on the number of threads or on skipped steps.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from kerasface.names import suggest
from kerasface.packages import import_package

# The training transforms of FaceClassifier (CMU 11-785 HW2P2): rotation by up to 30 degrees with
# nearest-pixel interpolation (torchvision's default), horizontal flip and color jitter of .2.
PRESETS: dict[str, tuple[str, ...]] = {
    "none": (),
    "face": ("rotation_nearest:30", "flip", "color_jitter:0.2"),
}
Number: TypeAlias = float | tf.Tensor  # a scalar, outside or inside a graph
IDENTITY = (1.0, 0.0, 0.0, 1.0)
GRAY = (0.299, 0.587, 0.114)  # ITU-R 601-2, as Pillow and torchvision
ERASING_AREA = (0.02, 1 / 3)  # Zhong et al. 2020, arXiv:1708.04896
ERASING_RATIO = (0.3, 1 / 0.3)
RAND_AUGMENT_OPERATIONS_PER_IMAGE = 2  # Cubuk et al. 2020, arXiv:1909.13719


@dataclasses.dataclass(frozen=True)
class Step:
    """One augmentation step.

    Attributes:
        apply: ``(image, numbers, strength) -> image``; float32 ``[height, width, 3]`` in
            [0, 255] and ``numbers`` float32 ``[count]`` in [0, 1).
        count: Number of random numbers that it reads.
        default: Default strength.
        limits: Smallest and largest strength.
        before_resize: If True, it is applied before the image is resized.
    """

    apply: Callable[[tf.Tensor, tf.Tensor, float], tf.Tensor]
    count: int
    default: float
    limits: tuple[float, float]
    before_resize: bool = False


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Steps with their strengths, ready to be applied.

    Attributes:
        steps: ``(step, strength)`` in the order of their application.
    """

    steps: tuple[tuple[Step, float], ...]

    @property
    def count(self) -> int:
        """Number of uniform random numbers per image."""
        return sum(step.count for step, _ in self.steps)

    def apply(self, image: tf.Tensor, numbers: tf.Tensor, *, before_resize: bool) -> tf.Tensor:
        """Applies the steps before or after the resize.

        Args:
            image: ``[height, width, 3]`` in [0, 255]; float32 after the resize.
            numbers: float32 ``[count]``, uniform in [0, 1).
            before_resize: If True, apply the steps before the resize, otherwise those after it.

        Returns:
            The augmented image.
        """
        start = 0
        for step, strength in self.steps:
            if step.before_resize == before_resize:
                image = step.apply(image, numbers[start : start + step.count], strength)
            start += step.count
        return image


def augmentation(spec: str | Sequence[str] | None) -> Augmentation:
    """Reads a specification of augmentations.

    Args:
        spec: None, a preset (``"face"``, ``"none"``), a step (``"rotation:15"``), or a list of
            presets and steps, applied in this order.

    Returns:
        The augmentation.

    Raises:
        ValueError: If a name is unknown or a strength out of range.

    Example:
        >>> augmentation(["face", "random_erasing:0.5"]).count
        15
    """
    names = [] if spec is None else [spec] if isinstance(spec, str) else list(spec)
    words = [word for name in names for word in PRESETS.get(name, (name,))]
    return Augmentation(tuple(_parse_step(word) for word in words))


def _parse_step(word: str) -> tuple[Step, float]:
    name, _, strength = word.partition(":")
    if name not in STEPS:
        raise ValueError(
            f"`augment` must consist of presets {sorted(PRESETS)} and steps {sorted(STEPS)}. "
            f"Received: {word!r}.{suggest(name, [*PRESETS, *STEPS])}"
        )
    step = STEPS[name]
    try:
        value = float(strength) if strength else step.default
    except ValueError:
        value = math.nan
    low, high = step.limits
    if not low <= value <= high:
        raise ValueError(
            f"The strength of the augmentation {name!r} must be a number in [{low}, {high}]. "
            f"Received: {word!r}."
        )
    return step, value


def crop(image: tf.Tensor, numbers: tf.Tensor, smallest_area: float) -> tf.Tensor:
    """Cuts out a random rectangle (the random resized crop, before the resize).

    Args:
        image: ``[height, width, 3]``.
        numbers: float32 ``[4]``: area, aspect ratio (3/4 to 4/3, less for large areas), and the
            two positions.
        smallest_area: Smallest share of the image's area, in (0, 1].
    """
    shape = tf.shape(image)[:2]
    sides = tf.cast(shape, tf.float32)
    area = _between(numbers[0], smallest_area, 1.0)
    # A longer side would be cut off at the border, and the area would be smaller than drawn.
    widest = tf.minimum(math.log(4 / 3), -tf.math.log(area))
    ratio = tf.exp(_between(numbers[1], -widest, widest))
    wanted = tf.sqrt(area * tf.stack([1 / ratio, ratio])) * sides
    size = tf.clip_by_value(tf.cast(tf.round(wanted), tf.int32), 1, shape)
    room = tf.cast(shape - size + 1, tf.float32)
    start = tf.cast(numbers[2:4] * room, tf.int32)
    return image[start[0] : start[0] + size[0], start[1] : start[1] + size[1]]


def rotation(
    image: tf.Tensor, numbers: tf.Tensor, degrees: float, *, interpolation: str = "BILINEAR"
) -> tf.Tensor:
    """Rotates around the center by up to ``degrees`` in both directions; fills with black.

    Args:
        image: float32 ``[height, width, 3]``.
        numbers: float32 ``[1]``.
        degrees: Largest angle, in [0, 180].
        interpolation: ``"BILINEAR"``, or ``"NEAREST"``, which keeps the sharpness and makes edges
            jagged.
    """
    angle = _between(numbers[0], -degrees, degrees) * (math.pi / 180)
    cosine, sine = tf.cos(angle), tf.sin(angle)
    return _affine(image, (cosine, -sine, sine, cosine), interpolation=interpolation)


def flip(image: tf.Tensor, numbers: tf.Tensor, probability: float) -> tf.Tensor:
    """Mirrors left and right with a probability."""
    return tf.cond(numbers[0] < probability, lambda: tf.reverse(image, [1]), lambda: image)


def color_jitter(image: tf.Tensor, numbers: tf.Tensor, strength: float) -> tf.Tensor:
    """Changes brightness, contrast, saturation and hue, in random order.

    Args:
        image: float32 ``[height, width, 3]`` in [0, 255].
        numbers: float32 ``[5]``: the four changes, and their order.
        strength: In [0, 0.5]. The first three are scaled by a factor in
            ``[1 - strength, 1 + strength]``. The hue is rotated by up to ``strength`` of the color
            circle.
    """
    factors = [_between(numbers[i], 1 - strength, 1 + strength) for i in range(3)]
    hue = _between(numbers[3], -strength, strength)
    # One of the 24 orders: each step picks one of the remaining changes.
    left = tf.range(4)
    code = tf.cast(numbers[4] * 24, tf.int32)
    for remaining in (4, 3, 2, 1):
        pick = code % remaining
        code //= remaining
        image = tf.switch_case(
            left[pick],
            [
                lambda image=image: brightness(image, factors[0]),
                lambda image=image: contrast(image, factors[1]),
                lambda image=image: saturation(image, factors[2]),
                lambda image=image: tf.image.adjust_hue(image, hue),
            ],
        )
        left = tf.concat([left[:pick], left[pick + 1 :]], axis=0)
    return image


def random_erasing(image: tf.Tensor, numbers: tf.Tensor, probability: float) -> tf.Tensor:
    """Fills a random rectangle with one random color.

    Args:
        image: float32 ``[height, width, 3]`` in [0, 255].
        numbers: float32 ``[8]``: whether to erase, area, aspect ratio, two positions, color.
        probability: Probability that a rectangle is erased, in [0, 1].
    """
    height, width = image.shape[0], image.shape[1]
    area = _between(numbers[1], *ERASING_AREA) * (height * width)
    ratio = tf.exp(_between(numbers[2], *(math.log(value) for value in ERASING_RATIO)))
    rows = tf.minimum(tf.sqrt(area * ratio), float(height))
    columns = tf.minimum(tf.sqrt(area / ratio), float(width))
    top = numbers[3] * (height - rows)
    left = numbers[4] * (width - columns)
    y = tf.range(height, dtype=tf.float32)[:, None, None]
    x = tf.range(width, dtype=tf.float32)[None, :, None]
    inside = (y >= top) & (y < top + rows) & (x >= left) & (x < left + columns)
    inside &= numbers[0] < probability
    return tf.where(inside, 255.0 * numbers[5:8], image)


def rand_augment(image: tf.Tensor, numbers: tf.Tensor, magnitude: float) -> tf.Tensor:
    """Applies two of fourteen operations at one magnitude (RandAugment).

    Args:
        image: float32 ``[height, width, 3]`` in [0, 255].
        numbers: float32 ``[4]``: operation and signed strength, twice.
        magnitude: 0 (weakest) to 10 (strongest); the strength of a single application is drawn
            uniformly up to it. Autocontrast and histogram equalization have no strength.
    """
    for index in range(RAND_AUGMENT_OPERATIONS_PER_IMAGE):
        which, draw = numbers[2 * index], numbers[2 * index + 1]
        signed = (2 * draw - 1) * (magnitude / 10)
        branches = [
            lambda image=image, signed=signed, operation=operation: operation(image, signed)
            for operation in RAND_AUGMENT_OPERATIONS
        ]
        choice = tf.cast(which * len(branches), tf.int32)
        image = tf.switch_case(choice, branches)
        image = tf.ensure_shape(image, [None, None, 3])
    return image


def brightness(image: tf.Tensor, factor: Number) -> tf.Tensor:
    """Multiplies the image by a factor; 1 changes nothing."""
    return _clip(image * factor)


def contrast(image: tf.Tensor, factor: Number) -> tf.Tensor:
    """Blends with the mean gray of the image; 1 changes nothing, 0 is plain gray."""
    mean = tf.reduce_sum(tf.reduce_mean(image, axis=[0, 1]) * GRAY)
    return _clip(image * factor + (1 - factor) * mean)


def saturation(image: tf.Tensor, factor: Number) -> tf.Tensor:
    """Blends with the gray image; 1 changes nothing, 0 removes all color."""
    # One product with a 3 x 3 matrix is several times faster than repeating the gray image over
    # three channels.
    to_gray = tf.tile(tf.constant(GRAY)[:, None], [1, 3])
    matrix = factor * tf.eye(3) + (1 - factor) * to_gray
    return _clip(tf.reshape(tf.reshape(image, [-1, 3]) @ matrix, tf.shape(image)))


def _sharpness(image: tf.Tensor, factor: Number) -> tf.Tensor:
    kernel = tf.constant([[1.0, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13
    padded = tf.pad(image, [[1, 1], [1, 1], [0, 0]], mode="SYMMETRIC")
    kernel = tf.tile(kernel[:, :, None, None], [1, 1, 3, 1])
    smooth = tf.nn.depthwise_conv2d(padded[None], kernel, [1, 1, 1, 1], "VALID")[0]
    return _clip(smooth + factor * (image - smooth))


def _posterize(image: tf.Tensor, signed: Number) -> tf.Tensor:
    step = tf.pow(2.0, tf.round(4 * tf.abs(signed)))
    return tf.floor(image / step) * step


def _solarize(image: tf.Tensor, signed: Number) -> tf.Tensor:
    return tf.where(image < 256 * (1 - tf.abs(signed)), image, 255 - image)


def _keras_cv_layers() -> Any:
    return import_package("keras_cv", feature="rand_augment", install="keras-cv").layers


def _auto_contrast(image: tf.Tensor, signed: Number) -> tf.Tensor:
    operation = _keras_cv_layers().AutoContrast(value_range=(0, 255), dtype="float32")
    return operation.augment_images(image[None])[0]


@functools.cache  # a new `tf.function` for each stream would be traced each time
def _equalization() -> Callable[[tf.Tensor], tf.Tensor]:
    operation = _keras_cv_layers().Equalization(value_range=(0, 255), dtype="float32")

    # It branches on tensors, which AutoGraph only converts inside a `tf.function`.
    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.float32)])
    def equalize(images: tf.Tensor) -> tf.Tensor:
        return operation.augment_images(images)

    return equalize


def _equalize(image: tf.Tensor, signed: Number) -> tf.Tensor:
    return tf.ensure_shape(_equalization()(image[None])[0], image.shape)


def _affine(
    image: tf.Tensor,
    matrix: tuple[Number, Number, Number, Number],
    shift: tuple[Number, Number] = (0.0, 0.0),
    interpolation: str = "BILINEAR",
) -> tf.Tensor:
    """Gives output pixel (x, y), from the center, the color at (a x + b y, c x + d y)."""
    (a, b, c, d), (shift_x, shift_y) = matrix, shift
    height, width = image.shape[0], image.shape[1]
    center_x, center_y = (width - 1) / 2, (height - 1) / 2
    offset_x = center_x - a * center_x - b * center_y + shift_x
    offset_y = center_y - c * center_x - d * center_y + shift_y
    transform = tf.stack([a, b, offset_x, c, d, offset_y, 0.0, 0.0])[None]
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=image[None],
        transforms=tf.cast(transform, tf.float32),
        output_shape=[height, width],
        fill_value=0.0,
        interpolation=interpolation,
        fill_mode="CONSTANT",
    )[0]
    return tf.ensure_shape(moved, image.shape)


def _between(number: Number, low: float, high: float) -> Number:
    return low + (high - low) * number


def _clip(image: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(image, 0.0, 255.0)


# Strengths at magnitude 10 as in torchvision's RandAugment: shear .3, shift .45 of the side (there
# 150/331), rotation 30 degrees, enhancements by .9.
RAND_AUGMENT_OPERATIONS: tuple[Callable[[tf.Tensor, tf.Tensor], tf.Tensor], ...] = (
    lambda image, signed: image,
    lambda image, signed: _affine(image, (1.0, 0.3 * signed, 0.0, 1.0)),
    lambda image, signed: _affine(image, (1.0, 0.0, 0.3 * signed, 1.0)),
    lambda image, signed: _affine(image, IDENTITY, (0.45 * signed * image.shape[1], 0.0)),
    lambda image, signed: _affine(image, IDENTITY, (0.0, 0.45 * signed * image.shape[0])),
    lambda image, signed: rotation(image, tf.reshape((signed + 1) / 2, [1]), 30.0),
    lambda image, signed: brightness(image, 1 + 0.9 * signed),
    lambda image, signed: saturation(image, 1 + 0.9 * signed),
    lambda image, signed: contrast(image, 1 + 0.9 * signed),
    lambda image, signed: _sharpness(image, 1 + 0.9 * signed),
    _posterize,
    _solarize,
    _auto_contrast,
    _equalize,
)

STEPS: dict[str, Step] = {
    "color_jitter": Step(color_jitter, 5, 0.2, (0.0, 0.5)),
    "crop": Step(crop, 4, 0.8, (0.01, 1.0), before_resize=True),
    "flip": Step(flip, 1, 0.5, (0.0, 1.0)),
    "rand_augment": Step(rand_augment, 4, 9.0, (0.0, 10.0)),
    "random_erasing": Step(random_erasing, 8, 0.25, (0.0, 1.0)),
    "rotation": Step(rotation, 1, 30.0, (0.0, 180.0)),
    "rotation_nearest": Step(
        functools.partial(rotation, interpolation="NEAREST"), 1, 30.0, (0.0, 180.0)
    ),
}
