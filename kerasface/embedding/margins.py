"""Margin softmax losses: ArcFace, CosFace, AdaFace and NormFace.

All of them scale the cosines between embeddings and class centers. They differ in how they change
the cosine of the true class. They use clipping and never the arc cosine, whose gradient is infinite
at 1 and -1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import keras
from keras import ops

from kerasface.checks import check_choice, check_number
from kerasface.names import suggest_arguments

if TYPE_CHECKING:
    import tensorflow as tf

# Smaller squared sines are set to this value, because the gradient of the root is infinite at 0.
# The largest float32 cosine below 1 has a squared sine of 1.2e-7.
TINY = 1e-12
NORM_RANGE = (1e-3, 100.0)  # limits of the norms of embeddings in AdaFace
ONE_LABEL = (
    "A margin changes the cosine of one class, so every image must have one class index: integer "
    "labels of shape [batch]. Label smoothing, mixup and CutMix share an image between classes. "
    "Received: labels of shape {shape} and dtype {dtype}. Use labels='index' and no mixing."
)
FloatOrSchedule = float | Callable[[Any], Any]


@keras.saving.register_keras_serializable(package="kerasface")
class Margin(keras.layers.Layer):
    """Base class of the margins: scaled cosines without a margin.

    Subclasses override `target`. A subclass with further options extends `get_config`. To load a
    saved model that contains your own margin, register the class with
    `keras.saving.register_keras_serializable`.

    Args:
        scale: Factor applied to the cosines. Positive float or a `keras.optimizers.schedules`
            schedule over training steps.
        margin: Size of the margin, at least 0. Float or a schedule, for instance the one from
            `ramp`.
        name: Name of the layer.

    Raises:
        ValueError: If a number is out of range.
    """

    largest = 0.0

    @suggest_arguments
    def __init__(
        self,
        scale: FloatOrSchedule = 64.0,
        margin: FloatOrSchedule = 0.0,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(dtype="float32", trainable=False, name=name)
        if not callable(scale):
            check_number("scale", scale, 0, math.inf, above=True, below=True)
        if not callable(margin):
            rule = f"This is the range of {type(self).__name__}."
            check_number("margin", margin, 0, self.largest, remedy=rule)
        self.scale = scale
        self.margin = margin
        self.step = self.add_weight((), "zeros", "int64", trainable=False, name="step")
        self.built = True

    def logits(
        self, cosines: tf.Tensor, labels: tf.Tensor, norms: tf.Tensor, *, training: bool
    ) -> tf.Tensor:
        """Returns scaled cosines, in training with the margin on the true class.

        Args:
            cosines: float32 ``[batch, classes]``; clipped to [-1, 1].
            labels: int ``[batch]`` in [0, classes).
            norms: float32 ``[batch]``, Euclidean norms of the embeddings before normalization.
            training: If True, apply the margin and advance the step of the schedules. Without a
                margin, the losses of different margins can be compared.

        Returns:
            float32 ``[batch, classes]``.

        Raises:
            ValueError: If the labels are not class indices.
        """
        check_labels(labels)
        cosines = ops.clip(cosines, -1.0, 1.0)
        scale = value_at(self.scale, self.step)
        if not training:
            return scale * cosines
        labels = ops.cast(labels, "int32")[:, None]
        true_cosines = ops.take_along_axis(cosines, labels, axis=1)
        target = self.target(true_cosines, norms[:, None], value_at(self.margin, self.step))
        self.step.assign_add(1)
        is_true = labels == ops.arange(ops.shape(cosines)[1], dtype="int32")[None]
        return scale * ops.where(is_true, target, cosines)

    def target(self, cosine: tf.Tensor, norms: tf.Tensor, margin: tf.Tensor) -> tf.Tensor:
        """Returns the cosine of the true class after the margin is applied.

        Args:
            cosine: float32 ``[batch, 1]`` in [-1, 1].
            norms: float32 ``[batch, 1]``, norms of the embeddings.
            margin: float32 scalar, the margin at this step.

        Returns:
            float32 ``[batch, 1]``.
        """
        return cosine

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, schedules in serialized form."""
        return {
            "scale": serialized_value(self.scale),
            "margin": serialized_value(self.margin),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Creates a margin from the result of `get_config`."""
        values = {key: deserialized_value(config[key]) for key in ("scale", "margin")}
        return cls(**{**config, **values})


@keras.saving.register_keras_serializable(package="kerasface")
class NormFace(Margin):
    """Softmax over scaled cosines, without a margin (Wang et al. 2017, arXiv:1704.06369)."""


@keras.saving.register_keras_serializable(package="kerasface")
class CosFace(Margin):
    """Subtracts the margin from the cosine (Wang et al. 2018, arXiv:1801.09414).

    The paper uses a scale of 64 and a margin of 0.35. The arguments are those of `Margin`.
    """

    largest = 1.0

    @suggest_arguments
    def __init__(
        self,
        scale: FloatOrSchedule = 64.0,
        margin: FloatOrSchedule = 0.35,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(scale, margin, name=name)

    def target(self, cosine: tf.Tensor, norms: tf.Tensor, margin: tf.Tensor) -> tf.Tensor:
        """Returns the cosine less the margin."""
        return cosine - margin


@keras.saving.register_keras_serializable(package="kerasface")
class ArcFace(Margin):
    """Adds the margin, in radians, to the angle (Deng et al. 2019, arXiv:1801.07698).

    The paper uses a scale of 64 and a margin of 0.5. The arguments are those of `Margin`.

    If the sum of angle and margin exceeds 180 degrees, its cosine would rise again. There the
    target is ``cosine - margin * sin(margin)``, as in the authors' code.
    """

    largest = math.pi / 2

    @suggest_arguments
    def __init__(
        self,
        scale: FloatOrSchedule = 64.0,
        margin: FloatOrSchedule = 0.5,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(scale, margin, name=name)

    def target(self, cosine: tf.Tensor, norms: tf.Tensor, margin: tf.Tensor) -> tf.Tensor:
        """Returns the cosine of the angle plus the margin."""
        beyond = cosine - margin * ops.sin(margin)
        return ops.where(cosine >= -ops.cos(margin), add_angle(cosine, margin), beyond)


@keras.saving.register_keras_serializable(package="kerasface")
class AdaFace(Margin):
    """Adapts the margin to the image quality (Kim et al. 2022, arXiv:2204.00964).

    The norm of an embedding serves as a measure of image quality. A large norm means a margin on
    the cosine. A small norm means a margin on the angle that gives hard images less weight. Norms
    are compared with their moving mean and standard deviation. Here these start with the values
    of the first batch; in the authors' code they start with 20 and 100.

    Args:
        scale: As in `Margin`; 64 in the paper.
        margin: As in `Margin`; 0.4 in the paper.
        concentration: Strength of the influence of the norm, positive; h in the paper.
        momentum: Momentum of the moving mean and deviation, in [0, 1).
        name: Name of the layer.

    Raises:
        ValueError: If a number is out of range.
    """

    largest = 1.0

    @suggest_arguments
    def __init__(
        self,
        scale: FloatOrSchedule = 64.0,
        margin: FloatOrSchedule = 0.4,
        *,
        concentration: float = 0.333,
        momentum: float = 0.99,
        name: str | None = None,
    ) -> None:
        super().__init__(scale, margin, name=name)
        check_number("concentration", concentration, 0, math.inf, above=True, below=True)
        check_number("momentum", momentum, 0, 1, below=True)
        self.concentration = float(concentration)
        self.momentum = float(momentum)
        # Sums with decaying weights, and the sum of these weights.
        self.seen = [
            self.add_weight((), "zeros", trainable=False, name=f"seen_{name}")
            for name in ("mean", "deviation", "weight")
        ]

    def target(self, cosine: tf.Tensor, norms: tf.Tensor, margin: tf.Tensor) -> tf.Tensor:
        """Returns the cosine after the adaptive margin; updates the moving statistics."""
        norms = ops.stop_gradient(ops.clip(norms, *NORM_RANGE))
        values = (ops.mean(norms), ops.std(norms), 1.0)
        finite = ops.all(ops.isfinite(norms))  # half precision can overflow
        for sum_, value in zip(self.seen, values, strict=True):
            updated = self.momentum * sum_ + (1 - self.momentum) * value
            sum_.assign(ops.where(finite, updated, sum_))
        total = ops.convert_to_tensor(self.seen[2])
        mean, deviation = self.seen[0] / total, self.seen[1] / total
        quality = (norms - mean) / (deviation + NORM_RANGE[0]) * self.concentration
        quality = ops.clip(quality, -1.0, 1.0)
        return add_angle(cosine, -margin * quality) - margin * (1 + quality)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, schedules in serialized form."""
        return {
            **super().get_config(),
            "concentration": self.concentration,
            "momentum": self.momentum,
        }


MARGINS: dict[str, type[Margin]] = {
    "adaface": AdaFace,
    "arcface": ArcFace,
    "cosface": CosFace,
    "normface": NormFace,
}


def named_margin(name: str, **options: Any) -> Margin:
    """Creates a margin by name.

    Args:
        name: One of ``MARGINS``.
        **options: Arguments of its constructor, for instance ``scale`` and ``margin``.

    Returns:
        The margin.

    Raises:
        ValueError: If the name is unknown or an option is out of range.

    Example:
        >>> named_margin("cosface", scale=30.0).margin
        0.35
    """
    check_choice("name", name, sorted(MARGINS))
    return MARGINS[name](**options)


def ramp(value: float, steps: int) -> FloatOrSchedule:
    """Returns a schedule that rises linearly from 0 to a value and then stays there.

    Use it for the margin at the start of a training. With random weights every image is far from
    every center, and a full margin often prevents learning.

    Args:
        value: Final value.
        steps: Number of steps of the rise. With 0 the value is returned as it is.

    Returns:
        The value, or a `keras.optimizers.schedules.PolynomialDecay`.

    Example:
        >>> float(ramp(0.5, 10)(5))
        0.25
    """
    if not steps:
        return value
    return keras.optimizers.schedules.PolynomialDecay(0.0, steps, end_learning_rate=value)


def value_at(value: FloatOrSchedule, step: tf.Tensor) -> tf.Tensor:
    """Returns a number, or the value of a schedule at a step, as a float32 tensor."""
    return ops.cast(value(step) if callable(value) else value, "float32")


def serialized_value(value: FloatOrSchedule) -> Any:
    """Returns a number, or the config of a schedule, for `get_config`."""
    return keras.saving.serialize_keras_object(value) if callable(value) else float(value)


def deserialized_value(value: Any) -> FloatOrSchedule:
    """Returns the number or schedule that `serialized_value` was called with."""
    return keras.saving.deserialize_keras_object(value) if isinstance(value, dict) else value


def add_angle(cosine: tf.Tensor, angle: tf.Tensor) -> tf.Tensor:
    """Returns the cosine of the sum of two angles; the sum is clipped to [0, 180] degrees.

    Args:
        cosine: Cosine of the first angle, in [-1, 1].
        angle: The second angle, in radians in [-pi / 2, pi / 2]. Same shape as ``cosine``, or a
            scalar.

    Returns:
        Tensor of the shape of ``cosine``.
    """
    sine = ops.sqrt(ops.maximum(1.0 - cosine * cosine, TINY))
    limit = ops.cos(angle)
    summed = cosine * limit - sine * ops.sin(angle)
    summed = ops.where(ops.logical_and(angle < 0, cosine > limit), 1.0, summed)
    return ops.where(ops.logical_and(angle > 0, cosine < -limit), -1.0, summed)


def check_labels(labels: tf.Tensor) -> None:
    """Raises a ValueError if labels are not class indices of shape ``[batch]``."""
    is_whole = keras.backend.is_int_dtype(labels.dtype)
    if len(labels.shape) != 1 or not is_whole:
        raise ValueError(
            ONE_LABEL.format(
                shape=tuple(labels.shape), dtype=keras.backend.standardize_dtype(labels.dtype)
            )
        )
