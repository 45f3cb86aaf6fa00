"""Class centers: directions that embeddings are compared with while they are learnt.

They are needed in training alone and are in no file that users get. `ClassCenters` compares with
all of them, and Keras's optimizer changes all of them; `SampledCenters` is for classes by the
hundred thousand.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras import ops

from kerasface.embedding.margins import Margin, Number, at_step, check_labels

# Against division by the length of a zero vector.
EPSILON = 1e-12
ROW_OPTIMIZERS = ("adagrad", "sgd")


class Outcome(NamedTuple):
    """What a head makes of a batch.

    Attributes:
        loss: The mean loss, a float32 number; images count by their weights.
        hits: float32 ``[batch]``, 1 where the nearest is of the right person.
        weights: float32 ``[batch]``, how much each hit counts.
    """

    loss: Any
    hits: Any
    weights: Any


class ClassCenters(keras.layers.Layer):
    """One center a class, or several, all of which take part in every step.

    Everything here is float32 under every dtype policy.

    Args:
        num_classes: Number of classes, at least 2.
        dimensions: Length of the embeddings.
        margin: What is done to the cosine of an image's own class.
        subcenters: Centers a class, of which the nearest counts (sub-center ArcFace, Deng et al.
            2020, doi:10.1007/978-3-030-58621-8_43): with three, wrong labels gather at one that
            does not matter.
        seed: Seed of the first directions.
        name: Name of the layer.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(
        self,
        num_classes: int,
        dimensions: int,
        margin: Margin,
        *,
        subcenters: int = 1,
        seed: int = 0,
        name: str = "centers",
    ):
        super().__init__(dtype="float32", name=name)
        for key, value, low in (
            ("num_classes", num_classes, 2),
            ("dimensions", dimensions, 1),
            ("subcenters", subcenters, 1),
        ):
            if value < low:
                raise ValueError(f"`{key}` must be at least {low}. Received: {key}={value}.")
        self.num_classes = num_classes
        self.margin = margin
        self.centers = self.add_weight(
            (num_classes, subcenters, dimensions),
            # Of length 1 but for a few per cent; the first update makes it exact.
            keras.initializers.RandomNormal(stddev=dimensions**-0.5, seed=seed),
            trainable=self.centers_are_trainable,
            constraint=keras.constraints.UnitNorm(axis=-1),
            autocast=False,
            name="centers",
        )
        self.built = True

    centers_are_trainable = True

    def loss(self, embeddings, labels, weights=None, *, training: bool = True) -> Outcome:
        """The cross-entropy of a batch.

        Args:
            embeddings: ``[batch, dimensions]`` of any float type, not divided by their lengths.
            labels: int ``[batch]`` in [0, classes).
            weights: ``[batch]``; None is 1 for each.
            training: Whether the margin is applied.

        Returns:
            The loss and whether the nearest center is the right one.

        Raises:
            ValueError: If the labels are no class indices, with the reason.
        """
        features, norms = directions(embeddings)
        cosines = nearest_cosines(features, self.centers)
        return cross_entropy(self.margin, cosines, labels, norms, weights, training)


class SampledCenters(ClassCenters):
    """Class centers of which a step sees those of its images and a random share of the others.

    Partial FC (An et al. 2022, arXiv:2203.15565). With a share of 1 it is exact. The centers of a
    step are changed here and not by Keras's optimizer, whose moments, decay and moving averages
    would touch all of them: by SGD, or by AdaGrad with one number a center (its gradients' squared
    lengths summed). A step whose gradients are not finite, as an overflow in half precision makes
    them, changes no center. XLA is off, for the number of centers differs from step to step.

    Args:
        num_classes: Number of classes, at least 2.
        dimensions: Length of the embeddings.
        margin: What is done to the cosine of an image's own class.
        share: Share of the classes that take part besides those of the batch, in (0, 1].
        optimizer: ``"adagrad"`` or ``"sgd"``.
        learning_rate: A number or a schedule over the training steps. With AdaGrad no center
            moves farther in a step, and centers have length 1.
        subcenters: As in `ClassCenters`.
        seed: Seed of the first directions and of the draws.
        name: Name of the layer.

    Raises:
        ValueError: If a number is out of range.
    """

    centers_are_trainable = False

    def __init__(
        self,
        num_classes: int,
        dimensions: int,
        margin: Margin,
        *,
        share: float = 0.1,
        optimizer: str = "adagrad",
        learning_rate: Number = 0.1,
        subcenters: int = 1,
        seed: int = 0,
        name: str = "sampled_centers",
    ):
        super().__init__(
            num_classes, dimensions, margin, subcenters=subcenters, seed=seed, name=name
        )
        if not 0 < share <= 1:
            raise ValueError(f"`share` must be in (0, 1]. Received: share={share}.")
        if optimizer not in ROW_OPTIMIZERS:
            raise ValueError(
                f"`optimizer` must be one of {list(ROW_OPTIMIZERS)}. "
                f"Received: optimizer={optimizer!r}."
            )
        self.supports_jit = False
        self.count = max(1, round(share * num_classes))
        self.learning_rate = learning_rate
        self.seed = seed
        self.squares = None
        if optimizer == "adagrad":
            shape = (num_classes, subcenters)
            self.squares = self.add_weight(
                shape, "zeros", trainable=False, autocast=False, name="squares"
            )
        self.step = self.add_weight((), "zeros", "int64", trainable=False, name="step")

    def loss(self, embeddings, labels, weights=None, *, training: bool = True) -> Outcome:
        """As `ClassCenters.loss`; in training it changes the step's centers too."""
        if not training:
            return super().loss(embeddings, labels, weights, training=False)
        check_labels(labels)
        features, norms = directions(embeddings)
        classes, places = sample_classes(
            labels, self.num_classes, self.count, seed=self.seed, step=self.step
        )
        rows = tf.gather(self.centers.value, classes)
        # A tape of its own, so that neither the scaling of the loss in half precision nor the
        # optimizer has to do with the centers; the way back through the network starts anew.
        with tf.GradientTape() as tape:
            tape.watch(rows)
            cosines = nearest_cosines(features, rows)
            outcome = cross_entropy(self.margin, cosines, places, norms, weights, training)
        self._change(classes, rows, tape.gradient(outcome.loss, rows))
        return outcome

    def _change(self, classes, rows, gradients) -> None:
        # Hardly anything is computed here, so the time is that of reading and writing the rows:
        # whatever can be is done to their lengths.
        squares = tf.reduce_sum(gradients * gradients, axis=-1)
        tf.cond(
            tf.reduce_all(tf.math.is_finite(squares)),
            lambda: self._move(classes, rows, gradients, squares),
            lambda: None,
        )
        self.step.assign_add(1)

    def _move(self, classes, rows, gradients, squares) -> None:
        rate = at_step(self.learning_rate, self.step)
        if self.squares is not None:
            squares += tf.gather(self.squares.value, classes)
            self.squares.value.scatter_update(tf.IndexedSlices(squares, classes))
            rate *= tf.math.rsqrt(tf.maximum(squares, EPSILON))[..., None]
        moved = tf.math.l2_normalize(rows - rate * gradients, axis=-1, epsilon=EPSILON)
        self.centers.value.scatter_update(tf.IndexedSlices(moved, classes))


def sample_classes(labels, num_classes: int, count: int, *, seed: int, step):
    """The classes of a batch and others drawn at random.

    The classes are dealt into ``count`` stretches, beginning anywhere, and one is drawn of each.
    So every class is as likely as any other, none comes twice, and the cost is that of the draw,
    however many classes there are.

    Args:
        labels: int ``[batch]``.
        num_classes: Number of classes.
        count: How many are drawn, at most all.
        seed: Seed of the draws.
        step: Number of the step.

    Returns:
        ``(classes, places)``: int64 ``[count to count + batch]``, each class once, and int64
        ``[batch]``, the labels' places among them.
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


def directions(embeddings):
    """Embeddings as float32 of length 1, and their lengths.

    Args:
        embeddings: ``[batch, dimensions]`` of any float type.

    Returns:
        float32 ``[batch, dimensions]`` and ``[batch]``.
    """
    embeddings = ops.cast(embeddings, "float32")
    squares = ops.sum(embeddings * embeddings, axis=-1)
    norms = ops.sqrt(ops.maximum(squares, EPSILON))
    return embeddings / norms[:, None], norms


def nearest_cosines(features, centers):
    """Cosines between embeddings and each class's nearest center.

    Args:
        features: float32 ``[batch, dimensions]`` of length 1.
        centers: float32 ``[classes, subcenters, dimensions]`` of any lengths but 0.

    Returns:
        float32 ``[batch, classes]``, about in [-1, 1].
    """
    _, subcenters, dimensions = centers.shape
    flat = ops.reshape(centers, (-1, dimensions))
    squares = ops.sum(flat * flat, axis=-1)
    # The product is divided, not the centers: with a million of them a copy is two gigabytes.
    cosines = tf.matmul(features, flat, transpose_b=True) * ops.rsqrt(ops.maximum(squares, EPSILON))
    if subcenters == 1:
        return cosines
    shape = (-1, ops.shape(cosines)[1] // subcenters, subcenters)
    return ops.max(ops.reshape(cosines, shape), axis=-1)


def cross_entropy(margin: Margin, cosines, labels, norms, weights, training: bool) -> Outcome:
    """The cross-entropy of scaled cosines with a margin.

    Args:
        margin: Makes logits of cosines.
        cosines: float32 ``[batch, classes]``.
        labels: int ``[batch]`` in [0, classes).
        norms: float32 ``[batch]``, lengths of the embeddings.
        weights: ``[batch]``; None is 1 for each.
        training: Whether the margin is applied.
    """
    logits = margin.logits(cosines, labels, norms, training=training)
    labels = ops.cast(labels, "int32")
    losses = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    weights = ops.ones_like(losses) if weights is None else ops.cast(weights, "float32")
    hits = ops.cast(ops.cast(ops.argmax(cosines, axis=-1), "int32") == labels, "float32")
    return Outcome(ops.mean(losses * weights), hits, weights)
