"""Margins: what makes it harder to be near one's own class, so that embeddings get closer.

All of them scale cosines between embeddings and the classes' centers and differ in what they do to
the cosine of an image's own class. They work on cosines with clipping and never through the arc
cosine, whose gradient is infinite at 1 and -1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kerasface.names import suggest

# Below it a squared sine is 0: its root would have an infinite gradient. The next float32 below a
# cosine of 1 has a squared sine of 1.2e-7.
TINY = 1e-12
NORM_RANGE = (1e-3, 100.0)  # AdaFace's own bounds of the embeddings' lengths
ONE_LABEL = (
    "A margin moves the cosine of one class, so an image must have one: class indices of shape "
    "[batch]. Label smoothing, mixup and CutMix share an image between classes, and moving "
    "several at once pulls it to nobody. Received: labels of shape {shape} and dtype {dtype}. "
    "Use labels='index', without mixing."
)
Number = float | Callable[[Any], Any]


class Margin(keras.layers.Layer):
    """Scaled cosines without a margin, and the base of those with one, which override `target`.

    Args:
        scale: What cosines are multiplied by, above 0; a number or a schedule of
            `keras.optimizers.schedules` over the training steps.
        margin: Size of the margin, 0 or more; a number or a schedule, for instance `ramp`'s.
        name: Name of the layer.

    Raises:
        ValueError: If a number is out of range.
    """

    largest = 0.0

    def __init__(self, scale: Number = 64.0, margin: Number = 0.0, *, name: str | None = None):
        super().__init__(dtype="float32", trainable=False, name=name)
        if not callable(scale) and not 0 < scale < math.inf:
            raise ValueError(f"`scale` must be above 0. Received: scale={scale}.")
        if not callable(margin) and not 0 <= margin <= self.largest:
            raise ValueError(
                f"The margin of {type(self).__name__} must be in [0, {self.largest:.4g}]. "
                f"Received: margin={margin}."
            )
        self.scale = scale
        self.margin = margin
        self.step = self.add_weight((), "zeros", "int64", trainable=False, name="step")
        self.built = True

    def logits(self, cosines, labels, norms, *, training: bool):
        """Scaled cosines; in training with the margin on the image's own class.

        Args:
            cosines: float32 ``[batch, classes]``; clipped to [-1, 1].
            labels: int ``[batch]`` in [0, classes).
            norms: float32 ``[batch]``, lengths of the embeddings before they were divided by them.
            training: Whether the margin is applied and the schedules' step counts up. Without,
                losses of different margins can be compared.

        Returns:
            float32 ``[batch, classes]``.

        Raises:
            ValueError: If the labels are no class indices, with the reason.
        """
        check_labels(labels)
        cosines = ops.clip(cosines, -1.0, 1.0)
        scale = at_step(self.scale, self.step)
        if not training:
            return scale * cosines
        labels = ops.cast(labels, "int32")[:, None]
        own = ops.take_along_axis(cosines, labels, axis=1)
        target = self.target(own, norms[:, None], at_step(self.margin, self.step))
        self.step.assign_add(1)
        is_own = labels == ops.arange(ops.shape(cosines)[1], dtype="int32")[None]
        return scale * ops.where(is_own, target, cosines)

    def target(self, cosine, norms, margin):
        """What the cosine of an image's own class becomes in training.

        Args:
            cosine: float32 ``[batch, 1]`` in [-1, 1].
            norms: float32 ``[batch, 1]``.
            margin: The margin at this step.

        Returns:
            float32 ``[batch, 1]``.
        """
        return cosine


class NormFace(Margin):
    """A softmax over scaled cosines (Wang et al. 2017, arXiv:1704.06369); it has no margin."""


class CosFace(Margin):
    """The cosine less a margin (Wang et al. 2018, arXiv:1801.09414; 64 and 0.35 there)."""

    largest = 1.0

    def __init__(self, scale: Number = 64.0, margin: Number = 0.35, *, name: str | None = None):
        super().__init__(scale, margin, name=name)

    def target(self, cosine, norms, margin):
        return cosine - margin


class ArcFace(Margin):
    """The cosine of an angle that is larger by a margin in radians (Deng et al. 2019).

    arXiv:1801.07698; 64 and 0.5 there. Where the larger angle would be beyond 180 degrees, and
    its cosine would rise again, it is the cosine less margin times sine of the margin, as in the
    authors' code.
    """

    largest = math.pi / 2

    def __init__(self, scale: Number = 64.0, margin: Number = 0.5, *, name: str | None = None):
        super().__init__(scale, margin, name=name)

    def target(self, cosine, norms, margin):
        beyond = cosine - margin * ops.sin(margin)
        return ops.where(cosine >= -ops.cos(margin), turned(cosine, margin), beyond)


class AdaFace(Margin):
    """A margin that asks less of images of poor quality (Kim et al. 2022, arXiv:2204.00964).

    The length of an embedding stands for the quality of its image: long ones get a margin on the
    cosine, short ones one on the angle that makes hard images count less. Lengths are compared
    with their moving mean and deviation, which here start with the first batch's (the authors'
    code starts with 20 and 100).

    Args:
        scale: As in `Margin`; 64 in the paper.
        margin: As in `Margin`; 0.4 in the paper.
        concentration: How strongly lengths count, h in the paper, above 0.
        momentum: Of the moving mean and deviation, in [0, 1).
        name: Name of the layer.
    """

    largest = 1.0

    def __init__(
        self,
        scale: Number = 64.0,
        margin: Number = 0.4,
        *,
        concentration: float = 0.333,
        momentum: float = 0.99,
        name: str | None = None,
    ):
        super().__init__(scale, margin, name=name)
        if not concentration > 0 or not 0 <= momentum < 1:
            raise ValueError(
                "`concentration` must be above 0 and `momentum` in [0, 1). "
                f"Received: concentration={concentration}, momentum={momentum}."
            )
        self.concentration = concentration
        self.momentum = momentum
        # Sums with falling weights, and the sum of these weights.
        self.seen = [
            self.add_weight((), "zeros", trainable=False, name=f"seen_{name}")
            for name in ("mean", "deviation", "weight")
        ]

    def target(self, cosine, norms, margin):
        norms = ops.stop_gradient(ops.clip(norms, *NORM_RANGE))
        values = (ops.mean(norms), ops.std(norms), 1.0)
        finite = ops.all(ops.isfinite(norms))  # not where half precision overflows
        for sum_, value in zip(self.seen, values, strict=True):
            updated = self.momentum * sum_ + (1 - self.momentum) * value
            sum_.assign(ops.where(finite, updated, sum_))
        total = ops.convert_to_tensor(self.seen[2])
        mean, deviation = self.seen[0] / total, self.seen[1] / total
        quality = (norms - mean) / (deviation + NORM_RANGE[0]) * self.concentration
        quality = ops.clip(quality, -1.0, 1.0)
        return turned(cosine, -margin * quality) - margin * (1 + quality)


MARGINS: dict[str, type[Margin]] = {
    "adaface": AdaFace,
    "arcface": ArcFace,
    "cosface": CosFace,
    "normface": NormFace,
}


def named_margin(name: str, **options) -> Margin:
    """A margin by name.

    Args:
        name: One of ``MARGINS``.
        **options: ``scale``, ``margin`` and what else it takes.

    Raises:
        ValueError: If there is none of that name.

    Example:
        >>> named_margin("cosface", scale=30.0).margin
        0.35
    """
    if name not in MARGINS:
        raise ValueError(
            f"The margins are {sorted(MARGINS)}. Received: {name!r}.{suggest(name, MARGINS)}"
        )
    return MARGINS[name](**options)


def ramp(value: float, steps: int) -> Number:
    """A value that rises from 0 in so many steps and then stays, for margins at the start.

    From random weights a full margin often does not start: every image is far from every center.

    Args:
        value: Where it ends.
        steps: 0 gives the value at once.

    Example:
        >>> float(ramp(0.5, 10)(5))
        0.25
    """
    if not steps:
        return value
    return keras.optimizers.schedules.PolynomialDecay(0.0, steps, end_learning_rate=value)


def at_step(value: Number, step):
    """A number, or a schedule's value at a step, as a float32 tensor."""
    return ops.cast(value(step) if callable(value) else value, "float32")


def turned(cosine, angle):
    """The cosine of an angle to which another one is added, kept between 0 and 180 degrees.

    Args:
        cosine: Of the first angle, in [-1, 1].
        angle: What is added, in radians in [-pi / 2, pi / 2]; of the same shape or a number.
    """
    sine = ops.sqrt(ops.maximum(1.0 - cosine * cosine, TINY))
    limit = ops.cos(angle)
    summed = cosine * limit - sine * ops.sin(angle)
    summed = ops.where(ops.logical_and(angle < 0, cosine > limit), 1.0, summed)
    return ops.where(ops.logical_and(angle > 0, cosine < -limit), -1.0, summed)


def check_labels(labels) -> None:
    """Refuses labels that are no class indices, with a ValueError that says why."""
    is_whole = keras.backend.is_int_dtype(labels.dtype)
    if len(labels.shape) != 1 or not is_whole:
        raise ValueError(
            ONE_LABEL.format(
                shape=tuple(labels.shape), dtype=keras.backend.standardize_dtype(labels.dtype)
            )
        )
