"""Streams tables in batches, as a ``tf.data.Dataset`` that is a function of seed and step.

The content of a batch only depends on the seed, the epoch and the step, not on threads or on
earlier batches. So a training is repeatable, and a resumed run gets the same batches as an
uninterrupted one.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import tensorflow as tf

from kerasface.data.table import UNKNOWN_FORMAT, FaceTable
from kerasface.names import suggest_arguments
from kerasface.pipeline import decode
from kerasface.pipeline.augment import augmentation
from kerasface.pipeline.crop import Crop
from kerasface.pipeline.mixing import mix
from kerasface.pipeline.settings import StreamSettings, steps_per_epoch

Batch: TypeAlias = tf.Tensor | tuple[tf.Tensor, tf.Tensor, tf.Tensor]

MAX_BATCHES_AT_ONCE = 16
BATCHES_AHEAD = 2  # finished batches that are ready for the model
# Salts for independent random numbers from one seed.
_ORDER, _AUGMENT, _MIX = 0, 1, 2
# The functions of a stream consist of TensorFlow operations and need no AutoGraph, which would take
# 85% of the time to build a stream.
_without_autograph = tf.autograph.experimental.do_not_convert


class _Loaded(NamedTuple):
    """A batch in which some images may be missing."""

    positions: tf.Tensor
    rows: tf.Tensor
    found: tf.Tensor
    images: tf.Tensor


@suggest_arguments
def stream(
    table: FaceTable,
    *,
    image_size: int = 224,
    batch_size: int = 32,
    training: bool = False,
    crop: Crop | None = None,
    augment: str | Sequence[str] | None = None,
    mixup: float = 0.0,
    cutmix: float = 0.0,
    mix_epochs: int | None = None,
    labels: str = "index",
    seed: int = 0,
    epochs: int | None = None,
    start_step: int = 0,
    on_unreadable: Callable[[str], None] | None = None,
) -> tf.data.Dataset:
    """Streams the images of a table in batches.

    Every example occurs exactly once per epoch. If the batch size does not divide their number,
    the last batch is smaller; in training all batches share the difference (65 examples in
    batches of 64 become 33 and 32), because the gradient and the norms of a tiny batch are noisy.
    A file that cannot be read becomes a black image with sample weight 0, so that the positions
    of all other examples stay the same.

    The data set has autotuning switched off, see `ready_batches`.

    Args:
        table: Images to read, with or without labels.
        image_size: Side of the square images in pixels. Files, or crops of them, are resized to
            it regardless of their aspect ratio.
        batch_size: Largest number of examples per batch, at least 1.
        training: If True, shuffle in a new order in each epoch. If False, keep the table's order
            and refuse augmentation and mixing.
        crop: Region that is cut out of each image first; None takes the whole image. Only this
            part of a JPEG is decoded.
        augment: Presets and steps of `kerasface.pipeline.augment`, for instance ``"face"`` or
            ``["face", "random_erasing:0.25"]``.
        mixup: Alpha of mixup; 0 disables it. Needs one-hot labels.
        cutmix: Alpha of CutMix; 0 disables it. Needs one-hot labels.
        mix_epochs: Number of epochs, from the first, in which images are mixed; needs ``epochs``.
            None mixes in all epochs.
        labels: ``"index"`` (int32 ``[batch]``) or ``"one_hot"`` (float32 ``[batch, classes]``).
            Attributes are float32 ``[batch, attributes]`` either way.
        seed: Seed of order, augmentation and mixing. Without ``epochs`` TensorFlow's global seed,
            if one is set, takes part too.
        epochs: None gives one finite epoch with a new order and augmentation at each pass, for
            ``model.fit(ds, epochs=60)``. A number gives a data set that spans all epochs, for
            ``fit(..., steps_per_epoch=steps_per_epoch(table, batch_size))``.
        start_step: Number of batches to skip without reading them; needs ``epochs``.
        on_unreadable: Called with the path of each file that cannot be read, each time it is
            read. None warns.

    Returns:
        Data set of ``(images, labels, weights)``: float32 ``[batch, image_size, image_size, 3]``
        RGB in [0, 255]; labels as described; float32 ``[batch]``, 1, or 0 for unreadable files.
        The elements of an unlabeled table are the images alone.

    Raises:
        ValueError: If an argument is out of range or contradicts another.

    Example:
        >>> ds = stream(table, image_size=112, batch_size=64, training=True,
        ...             augment="face", mixup=1.0, labels="one_hot")  # doctest: +SKIP
        >>> model.fit(ds, epochs=30)  # doctest: +SKIP
    """
    settings = StreamSettings(
        image_size=image_size,
        batch_size=batch_size,
        training=training,
        crop=crop,
        steps=augmentation(augment),
        mixup=mixup,
        cutmix=cutmix,
        mix_epochs=mix_epochs,
        labels=labels,
        seed=seed,
        epochs=epochs,
        start_step=start_step,
    )
    settings.check(table)
    batches = index_batches(len(table), batch_size, training=training, seed=seed, epochs=epochs)
    # One eager tensor: as a numpy array it would become a constant of the graph.
    paths = tf.constant(table.full_paths(), tf.string)
    # One batch per CPU core, up to a limit: on large machines more batches would fill the memory.
    workers = min(os.cpu_count() or 1, MAX_BATCHES_AT_ONCE)
    dataset = batches.skip(start_step).interleave(
        _loader(table, paths, settings),
        cycle_length=workers,
        num_parallel_calls=workers,
        deterministic=True,
    )
    finish = _finisher(table, paths, settings, on_unreadable or _warn)
    dataset = dataset.map(finish, num_parallel_calls=BATCHES_AHEAD, deterministic=True)
    total = steps_per_epoch(table, batch_size) * (epochs or 1) - start_step
    return ready_batches(dataset, total)


def ready_batches(dataset: tf.data.Dataset, total: int) -> tf.data.Dataset:
    """Sets the length of a stream, prefetches a few batches and switches autotuning off.

    An iterator with autotuning can take seconds to close, because its autotuning thread may sleep
    through the cancellation. ``fit`` closes iterators after every epoch and every validation. All
    parallelism is set explicitly, so there is nothing to tune.

    Args:
        dataset: Batches.
        total: Number of batches.

    Returns:
        The same batches.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    known = dataset.apply(tf.data.experimental.assert_cardinality(total))
    return known.prefetch(BATCHES_AHEAD).with_options(options)


def index_batches(
    count: int, batch_size: int, *, training: bool, seed: int = 0, epochs: int | None = None
) -> tf.data.Dataset:
    """Returns batches of indices, in the order in which the images are read.

    Args:
        count: Number of examples in the table.
        batch_size: Batch size.
        training: If True, each epoch has a new random order.
        seed: Seed of the orders.
        epochs: As in `stream`.

    Returns:
        Data set of ``(epoch, positions, rows)``: int64, a number that differs between epochs; and
        int64 ``[batch]``, the positions of the examples in the epoch and in the table.
    """
    order_key = _key(seed, _ORDER)
    steps = math.ceil(count / batch_size)

    @_without_autograph
    def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        rows = tf.range(count, dtype=tf.int64)
        if training:
            key = tf.random.fold_in(order_key, epoch)
            rows = tf.random.experimental.stateless_shuffle(rows, key)

        def one_batch(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            if training:
                first, end = step * count // steps, (step + 1) * count // steps
            else:
                first, end = step * batch_size, tf.minimum((step + 1) * batch_size, count)
            return epoch, tf.range(first, end), rows[first:end]

        return tf.data.Dataset.range(steps).map(one_batch)

    if epochs is not None:
        keys = tf.data.Dataset.range(epochs)
    elif training:
        # A new number at each pass; otherwise every pass would repeat the first epoch.
        keys = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).take(1)
    else:
        keys = tf.data.Dataset.range(1)
    return keys.flat_map(one_epoch)


def _key(seed: int, salt: int) -> tf.Tensor:
    return tf.constant([seed, salt], tf.int64)


def _loader(
    table: FaceTable, paths: tf.Tensor, settings: StreamSettings
) -> Callable[..., tf.data.Dataset]:
    """Returns a function from a batch of indices to a data set of one element, its images."""
    unknown = np.full(len(table), UNKNOWN_FORMAT)
    formats = tf.constant(unknown if table.formats is None else table.formats, tf.int32)
    crop, steps, image_size = settings.crop, settings.steps, settings.image_size
    is_random = crop is not None and crop.is_random
    count = steps.count + is_random  # the last number is the position of the crop
    key = _key(settings.seed, _AUGMENT)

    def load_one(
        position: tf.Tensor, row: tf.Tensor, numbers: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        if crop is None:
            image = decode.read_image(paths[row], formats[row])
        else:
            place = numbers[-1] if is_random else decode.CENTER
            image = decode.read_crop(paths[row], formats[row], crop, place, image_size)
        image = steps.apply(image, numbers, before_resize=True)
        image = steps.apply(decode.resize(image, image_size), numbers, before_resize=False)
        return position, image

    @_without_autograph
    def load(epoch: tf.Tensor, positions: tf.Tensor, rows: tf.Tensor) -> tf.data.Dataset:
        numbers = _numbers(tf.random.fold_in(key, epoch), positions, count)
        examples = tf.data.Dataset.from_tensor_slices((positions, rows, numbers))
        # An error inside a graph cannot be caught, but a data set can drop the example. The gap
        # is filled when the batch is complete.
        found = examples.map(load_one).ignore_errors().batch(settings.batch_size)
        nothing = tf.data.Dataset.from_tensors(
            (tf.zeros([0], tf.int64), tf.zeros([0, image_size, image_size, 3]))
        )
        one = found.concatenate(nothing).take(1)
        return one.map(lambda kept, images: (epoch, positions, rows, kept, images))

    return load


def _finisher(
    table: FaceTable, paths: tf.Tensor, settings: StreamSettings, report: Callable[[str], None]
) -> Callable[..., Batch]:
    """Returns a function that completes a loaded batch: gaps, labels and mixing."""
    mix_key = _key(settings.seed, _MIX)
    target = None if table.labels is None else labeler(table, settings.labels)

    @_without_autograph
    def finish(
        epoch: tf.Tensor,
        positions: tf.Tensor,
        rows: tf.Tensor,
        found: tf.Tensor,
        images: tf.Tensor,
    ) -> Batch:
        images, weights = _fill_gaps(_Loaded(positions, rows, found, images), paths, report)
        if target is None:
            return images
        batch = (images, target(rows), weights)
        if not settings.mixes:
            return batch
        mix_seed = tf.random.fold_in(tf.random.fold_in(mix_key, epoch), positions[0])
        mixed_epochs = epoch + 1 if settings.mix_epochs is None else settings.mix_epochs
        return tf.cond(
            epoch < mixed_epochs,
            lambda: mix(*batch, mix_seed, mixup=settings.mixup, cutmix=settings.cutmix),
            lambda: batch,
        )

    return finish


def _numbers(key: tf.Tensor, positions: tf.Tensor, count: int) -> tf.Tensor:
    """Returns uniform numbers ``[batch, count]`` that depend only on the position of each example.

    The generator yields four numbers per tick of its counter. Each position has its own ticks, so
    one operation draws the numbers of a whole batch of neighbors.
    """
    ticks = math.ceil(count / 4)
    philox = tf.raw_ops.StatelessRandomGetKeyCounter(seed=key)
    start = tf.cast(tf.stack([positions[0] * ticks, 0]), tf.uint64)
    numbers = tf.raw_ops.StatelessRandomUniformV2(
        shape=[tf.size(positions), 4 * ticks],
        key=philox.key,
        counter=philox.counter + start,
        alg=1,  # Philox
    )
    return numbers[:, :count]


def _fill_gaps(
    loaded: _Loaded, paths: tf.Tensor, report: Callable[[str], None]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Inserts black images with weight 0 for files that could not be read."""
    positions, rows, found, images = loaded

    def fill() -> tuple[tf.Tensor, tf.Tensor]:
        gaps = tf.reduce_all(positions[:, None] != found[None, :], axis=1)
        unreadable = tf.boolean_mask(rows, gaps)
        with tf.control_dependencies([tf.map_fn(_reporter(report, paths), unreadable)]):
            places = (found - positions[0])[:, None]
        shape = tf.concat([tf.shape(positions, tf.int64), tf.shape(images, tf.int64)[1:]], 0)
        return tf.scatter_nd(places, images, shape), 1.0 - tf.cast(gaps, tf.float32)

    complete = tf.equal(tf.shape(found)[0], tf.shape(positions)[0])
    return tf.cond(complete, lambda: (images, tf.ones(tf.shape(positions))), fill)


def _reporter(report: Callable[[str], None], paths: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
    def call(path: bytes) -> None:
        report(path.decode())

    def report_row(row: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies([tf.numpy_function(call, [paths[row]], [])]):
            return tf.identity(row)

    return report_row


def labeler(table: FaceTable, labels: str) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function from rows of a table to labels, as `stream` gives them.

    Args:
        table: A labeled table.
        labels: As in `stream`.

    Returns:
        ``int [batch] -> labels [batch, ...]``.
    """
    if table.multi_label:
        values = tf.constant(table.labels, tf.float32)
        return lambda rows: tf.gather(values, rows)
    indices = tf.constant(table.labels, tf.int32)
    if labels == "index":
        return lambda rows: tf.gather(indices, rows)
    return lambda rows: tf.one_hot(tf.gather(indices, rows), len(table.names))


def _warn(path: str) -> None:
    warnings.warn(
        f"{path} cannot be read. It is replaced by a black image with weight 0.", stacklevel=2
    )
