"""Class centers: the directions that embeddings are compared with during training.

Class centers are needed only in training and are not part of the models that users get.
`ClassCenters` compares embeddings with all centers, and Keras's optimizer updates all of them.
`SampledCenters` is for hundreds of thousands of classes.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import keras
import tensorflow as tf
from keras import ops

from kerasface.checks import check_choice, check_number
from kerasface.embedding.margins import (
    FloatOrSchedule,
    Margin,
    check_labels,
    deserialized_value,
    serialized_value,
    value_at,
)
from kerasface.names import suggest_arguments

# Smallest squared norm, so that zero vectors do not cause a division by zero.
EPSILON = 1e-12
ROW_OPTIMIZERS = ("adagrad", "sgd")


class Outcome(NamedTuple):
    """Result of a head for one batch.

    Attributes:
        loss: float32 scalar, the weighted mean loss.
        hits: float32 ``[batch]``, 1 where the nearest center or image is of the true class.
        weights: float32 ``[batch]``, the weight of each hit in the accuracy.
    """

    loss: tf.Tensor
    hits: tf.Tensor
    weights: tf.Tensor


@keras.saving.register_keras_serializable(package="kerasface")
class ClassCenters(keras.layers.Layer):
    """One or several centers per class, all of which take part in every step.

    All computations and variables are float32 under every dtype policy.

    Args:
        num_classes: Number of classes, at least 2.
        dimensions: Length of the embeddings, at least 1.
        margin: Margin on the cosine of the true class.
        subcenters: Number of centers per class, of which the nearest counts (sub-center ArcFace,
            Deng et al. 2020, doi:10.1007/978-3-030-58621-8_43). With three, images with wrong
            labels gather at a center that does little harm.
        seed: Seed of the initial directions.
        name: Name of the layer.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> head = ClassCenters(120, 128, ArcFace(scale=30))  # doctest: +SKIP
        >>> head.loss(embeddings, labels).loss  # doctest: +SKIP
    """

    centers_are_trainable = True

    @suggest_arguments
    def __init__(
        self,
        num_classes: int,
        dimensions: int,
        margin: Margin,
        *,
        subcenters: int = 1,
        seed: int = 0,
        name: str = "centers",
    ) -> None:
        super().__init__(dtype="float32", name=name)
        check_number("num_classes", num_classes, 2, whole=True)
        check_number("dimensions", dimensions, 1, whole=True)
        check_number("subcenters", subcenters, 1, whole=True)
        self.num_classes = int(num_classes)
        self.dimensions = int(dimensions)
        self.subcenters = int(subcenters)
        self.seed = int(seed)
        self.margin = margin
        self.centers = self.add_weight(
            (self.num_classes, self.subcenters, self.dimensions),
            # The norms differ from 1 by a few per cent; the first update makes them exact.
            keras.initializers.RandomNormal(stddev=self.dimensions**-0.5, seed=self.seed),
            trainable=self.centers_are_trainable,
            constraint=keras.constraints.UnitNorm(axis=-1),
            autocast=False,
            name="centers",
        )
        self.built = True

    def loss(
        self,
        embeddings: tf.Tensor,
        labels: tf.Tensor,
        weights: tf.Tensor | None = None,
        *,
        training: bool = True,
    ) -> Outcome:
        """Returns the mean cross-entropy of a batch.

        Args:
            embeddings: ``[batch, dimensions]`` of any float dtype; not normalized.
            labels: int ``[batch]`` in [0, classes).
            weights: ``[batch]``; None is 1 for each.
            training: If True, apply the margin.

        Returns:
            The loss and whether the nearest center is of the true class.

        Raises:
            ValueError: If the labels are not class indices.
        """
        features, norms = normalize(embeddings)
        cosines = nearest_cosines(features, self.centers)
        return cross_entropy(self.margin, cosines, labels, norms, weights, training)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, the margin in serialized form."""
        return {
            "num_classes": self.num_classes,
            "dimensions": self.dimensions,
            "margin": keras.saving.serialize_keras_object(self.margin),
            "subcenters": self.subcenters,
            "seed": self.seed,
            "name": self.name,
            "trainable": self.trainable,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Creates a layer from the result of `get_config`."""
        config = dict(config)
        trainable = config.pop("trainable", True)
        config["margin"] = keras.saving.deserialize_keras_object(config["margin"])
        head = cls(**config)
        head.trainable = trainable
        return head


@keras.saving.register_keras_serializable(package="kerasface")
class SampledCenters(ClassCenters):
    """Class centers of which a step uses those of its images and a random sample of the others.

    This is Partial FC (An et al. 2022, arXiv:2203.15565). With a share of 1 it is exact.

    The centers of a step are updated by this class and not by Keras's optimizer, whose moments,
    weight decay and moving averages would update all of them. The update is SGD, or AdaGrad with
    one number per center: the sum of the squared norms of its gradients. A step with gradients
    that are not finite, for instance after an overflow in half precision, changes no center. XLA
    is off, because the number of centers differs between steps.

    Args:
        num_classes: Number of classes, at least 2.
        dimensions: Length of the embeddings, at least 1.
        margin: Margin on the cosine of the true class.
        share: Share of the classes that take part besides those of the batch, in (0, 1].
        optimizer: ``"adagrad"`` or ``"sgd"``.
        learning_rate: Learning rate of the centers. Non-negative float or a
            `keras.optimizers.schedules` schedule over training steps. With AdaGrad no center moves
            farther than this in a step, and centers have norm 1.
        subcenters: As in `ClassCenters`.
        seed: Seed of the initial directions and of the samples.
        name: Name of the layer.

    Raises:
        ValueError: If a number is out of range.
    """

    centers_are_trainable = False

    @suggest_arguments
    def __init__(
        self,
        num_classes: int,
        dimensions: int,
        margin: Margin,
        *,
        share: float = 0.1,
        optimizer: str = "adagrad",
        learning_rate: FloatOrSchedule = 0.1,
        subcenters: int = 1,
        seed: int = 0,
        name: str = "sampled_centers",
    ) -> None:
        super().__init__(
            num_classes, dimensions, margin, subcenters=subcenters, seed=seed, name=name
        )
        check_number("share", share, 0, 1, above=True)
        check_choice("optimizer", optimizer, ROW_OPTIMIZERS)
        if not callable(learning_rate):
            check_number("learning_rate", learning_rate, 0)
        self.supports_jit = False
        self.share = float(share)
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.count = max(1, round(self.share * self.num_classes))
        self.squares = None
        if optimizer == "adagrad":
            shape = (self.num_classes, self.subcenters)
            self.squares = self.add_weight(
                shape, "zeros", trainable=False, autocast=False, name="squares"
            )
        self.step = self.add_weight((), "zeros", "int64", trainable=False, name="step")

    def loss(
        self,
        embeddings: tf.Tensor,
        labels: tf.Tensor,
        weights: tf.Tensor | None = None,
        *,
        training: bool = True,
    ) -> Outcome:
        """As `ClassCenters.loss`; in training it also updates the centers of the step."""
        if not training:
            return super().loss(embeddings, labels, weights, training=False)
        check_labels(labels)
        features, norms = normalize(embeddings)
        classes, places = sample_classes(
            labels, self.num_classes, self.count, seed=self.seed, step=self.step
        )
        rows = tf.gather(self.centers.value, classes)
        # The centers have their own tape, so that neither loss scaling in half precision nor the
        # optimizer affects them. The gradient through the network is computed separately.
        with tf.GradientTape() as tape:
            tape.watch(rows)
            cosines = nearest_cosines(features, rows)
            outcome = cross_entropy(self.margin, cosines, places, norms, weights, training)
        self._update(classes, rows, tape.gradient(outcome.loss, rows))
        return outcome

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, nested objects in serialized form."""
        return {
            **super().get_config(),
            "share": self.share,
            "optimizer": self.optimizer,
            "learning_rate": serialized_value(self.learning_rate),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Creates a layer from the result of `get_config`."""
        rate = deserialized_value(config["learning_rate"])
        return super().from_config({**config, "learning_rate": rate})

    def _update(self, classes: tf.Tensor, rows: tf.Tensor, gradients: tf.Tensor) -> None:
        # There is little arithmetic here, and reading and writing rows takes most of the time.
        # So as much as possible is done with the norms instead of the rows.
        squares = tf.reduce_sum(gradients * gradients, axis=-1)
        tf.cond(
            tf.reduce_all(tf.math.is_finite(squares)),
            lambda: self._move(classes, rows, gradients, squares),
            lambda: None,
        )
        self.step.assign_add(1)

    def _move(
        self, classes: tf.Tensor, rows: tf.Tensor, gradients: tf.Tensor, squares: tf.Tensor
    ) -> None:
        rate = value_at(self.learning_rate, self.step)
        if self.squares is not None:
            squares += tf.gather(self.squares.value, classes)
            self.squares.value.scatter_update(tf.IndexedSlices(squares, classes))
            rate *= tf.math.rsqrt(tf.maximum(squares, EPSILON))[..., None]
        moved = tf.math.l2_normalize(rows - rate * gradients, axis=-1, epsilon=EPSILON)
        self.centers.value.scatter_update(tf.IndexedSlices(moved, classes))


def sample_classes(
    labels: tf.Tensor, num_classes: int, count: int, *, seed: int, step: tf.Tensor | int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the classes of a batch and a random sample of the others.

    The classes are divided into ``count`` ranges with a random offset, and one class is drawn from
    each range. So all classes are equally likely, no class is drawn twice, and the cost does not
    depend on the number of classes.

    Args:
        labels: int ``[batch]``.
        num_classes: Number of classes.
        count: Number of classes to draw, at most ``num_classes``.
        seed: Seed of the samples.
        step: Number of the training step.

    Returns:
        ``(classes, places)``: int64 ``[count to count + batch]``, each class once, and int64
        ``[batch]``, the positions of the labels among them.
    """
    labels = tf.cast(labels, tf.int64)
    if count == num_classes:
        return tf.range(num_classes, dtype=tf.int64), labels
    seeds = tf.random.experimental.stateless_split(
        tf.stack([tf.constant(seed, tf.int64), tf.cast(step, tf.int64)]), 2
    )
    starts = tf.range(count + 1, dtype=tf.int64) * num_classes // count
    widths = tf.cast(starts[1:] - starts[:-1], tf.float32)
    within = tf.cast(tf.random.stateless_uniform([count], seeds[0]) * widths, tf.int64)
    shift = tf.random.stateless_uniform([], seeds[1], maxval=num_classes, dtype=tf.int64)
    drawn = (starts[:-1] + within + shift) % num_classes
    classes, places = tf.unique(tf.concat([labels, drawn], axis=0), tf.int64)
    return classes, places[: tf.shape(labels)[0]]


def normalize(embeddings: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns embeddings as float32 vectors of norm 1, and their norms.

    Args:
        embeddings: ``[batch, dimensions]`` of any float dtype.

    Returns:
        float32 ``[batch, dimensions]`` and ``[batch]``.
    """
    embeddings = ops.cast(embeddings, "float32")
    squares = ops.sum(embeddings * embeddings, axis=-1)
    norms = ops.sqrt(ops.maximum(squares, EPSILON))
    return embeddings / norms[:, None], norms


def nearest_cosines(features: tf.Tensor, centers: tf.Tensor | keras.Variable) -> tf.Tensor:
    """Returns the cosines between embeddings and the nearest center of each class.

    Args:
        features: float32 ``[batch, dimensions]`` of norm 1.
        centers: float32 ``[classes, subcenters, dimensions]`` of any norm but 0.

    Returns:
        float32 ``[batch, classes]``, in [-1, 1] up to rounding.
    """
    _, subcenters, dimensions = centers.shape
    flat = ops.reshape(centers, (-1, dimensions))
    squares = ops.sum(flat * flat, axis=-1)
    # Neither normalized nor transposed copies of the centers are made: with a million classes a
    # copy takes two gigabytes. `ops.matmul` has no option `transpose_b`.
    cosines = tf.matmul(features, flat, transpose_b=True) * ops.rsqrt(ops.maximum(squares, EPSILON))
    if subcenters == 1:
        return cosines
    shape = (-1, ops.shape(cosines)[1] // subcenters, subcenters)
    return ops.max(ops.reshape(cosines, shape), axis=-1)


def cross_entropy(
    margin: Margin,
    cosines: tf.Tensor,
    labels: tf.Tensor,
    norms: tf.Tensor,
    weights: tf.Tensor | None,
    training: bool,
) -> Outcome:
    """Returns the mean cross-entropy of scaled cosines with a margin.

    Args:
        margin: Turns cosines into logits.
        cosines: float32 ``[batch, classes]``.
        labels: int ``[batch]`` in [0, classes).
        norms: float32 ``[batch]``, norms of the embeddings.
        weights: ``[batch]``; None is 1 for each.
        training: If True, apply the margin.

    Returns:
        The loss and whether the largest cosine is that of the true class.
    """
    logits = margin.logits(cosines, labels, norms, training=training)
    labels = ops.cast(labels, "int32")
    losses = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    weights = ops.ones_like(losses) if weights is None else ops.cast(weights, "float32")
    hits = ops.cast(ops.cast(ops.argmax(cosines, axis=-1), "int32") == labels, "float32")
    return Outcome(ops.mean(losses * weights), hits, weights)
