"""Tables to batches: a ``tf.data`` stream that is a function of seed and step.

What a batch holds depends on the seed, the epoch and the step alone, not on threads or on what was
read before. So two runs see the same pixels, and a resumed run goes on where it was.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from kerasface.data.table import UNKNOWN_FORMAT, FaceTable
from kerasface.pipeline import decode
from kerasface.pipeline.augment import Augmentation, augmentation
from kerasface.pipeline.crop import Crop
from kerasface.pipeline.mixing import mix

MAX_BATCHES_AT_ONCE = 16
# Separate streams of numbers from one seed.
_ORDER, _AUGMENT, _MIX = 0, 1, 2
# The functions of a stream say what they do in operations already. To look for Python to convert
# took 85% of the time that it takes to make a stream.
_in_operations = tf.autograph.experimental.do_not_convert


def steps_per_epoch(table: FaceTable, batch_size: int) -> int:
    """Batches of at most ``batch_size`` that hold every example of the table once."""
    return math.ceil(len(table) / batch_size)


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

    Every example comes exactly once an epoch. Where the batch size does not divide their number,
    the last batch is smaller; in training all batches share the difference (65 examples in
    batches of 64 are 33 and 32), since the norms and the step of a tiny batch are noise. A file
    that cannot be read becomes a black image with sample weight 0: nothing stops, nothing shifts.

    Args:
        table: What is read.
        image_size: Side of the square images in pixels; the files, or what is cut out of them,
            are squashed to it.
        batch_size: Largest number of examples a batch, at least 1.
        training: Whether the order is shuffled anew each epoch. Without it the table's order is
            kept and augmentation and mixing are refused.
        crop: Region that is cut out of each image first; None takes the whole image. Only this
            part of a JPEG is decoded.
        augment: Presets and steps of `kerasface.pipeline.augment`, for instance ``"face"`` or
            ``["face", "random_erasing:0.25"]``.
        mixup: Alpha of mixup, 0 is off; needs one-hot labels.
        cutmix: Alpha of CutMix, 0 is off; needs one-hot labels.
        mix_epochs: In how many epochs, from the first, images are mixed; needs ``epochs``. None
            mixes in all.
        labels: ``"index"`` (int32 ``[batch]``) or ``"one_hot"`` (float32 ``[batch, classes]``).
            Attributes are float32 ``[batch, attributes]`` either way.
        seed: Seed of order, augmentation and mixing. Without ``epochs`` TensorFlow's global seed,
            if one is set, takes part too.
        epochs: None gives one finite epoch that takes a new order and augmentation at each pass,
            for a plain ``model.fit(ds, epochs=60)``. A number gives a data set that spans so many
            epochs, for ``fit(..., steps_per_epoch=steps_per_epoch(table, batch_size))``.
        start_step: Batches left out at the beginning, without being read; needs ``epochs``.
        on_unreadable: Called with the path of each file that cannot be read, at each reading;
            None warns.

    Returns:
        Data set of ``(images, labels, weights)``: float32 ``[batch, image_size, image_size, 3]``
        RGB in [0, 255]; labels as said; float32 ``[batch]``, 1 or, for unreadable files, 0. Of an
        unlabeled table the elements are the images alone.

    Raises:
        ValueError: If an argument is out of range or does not fit the others.

    Example:
        >>> ds = stream(table, image_size=112, batch_size=64, training=True,
        ...             augment="face", mixup=1.0, labels="one_hot")  # doctest: +SKIP
        >>> model.fit(ds, epochs=30)  # doctest: +SKIP
    """
    steps = augmentation(augment)
    _check_arguments(
        table, image_size, batch_size, training, steps, mixup, cutmix, labels, epochs, start_step
    )
    _check_mix_epochs(mix_epochs, epochs)
    _check_crop(crop, training)
    batches = index_batches(len(table), batch_size, training=training, seed=seed, epochs=epochs)
    # One eager tensor: as a numpy array it would become a constant of the graph.
    paths = tf.constant(table.full_paths(), tf.string)
    load = _loader(table, paths, image_size, batch_size, crop, steps, _key(seed, _AUGMENT))
    mix_key = _key(seed, _MIX)
    report = on_unreadable or _warn
    target = None if table.labels is None else labeler(table, labels)

    @_in_operations
    def finish(epoch, positions, rows, found, images):
        images, weights = _fill_gaps(positions, found, images, paths, rows, report)
        if target is None:
            return images
        batch = (images, target(rows), weights)
        if not mixup and not cutmix:
            return batch
        mix_seed = tf.random.fold_in(tf.random.fold_in(mix_key, epoch), positions[0])
        mixed_epochs = epoch + 1 if mix_epochs is None else mix_epochs
        return tf.cond(
            epoch < mixed_epochs,
            lambda: mix(*batch, mix_seed, mixup=mixup, cutmix=cutmix),
            lambda: batch,
        )

    # One batch a processor. Left to itself TensorFlow begins with one and takes many batches to
    # find out, and on large hosts too many unfinished batches would fill the memory.
    workers = min(os.cpu_count() or 1, MAX_BATCHES_AT_ONCE)
    dataset = batches.skip(start_step).interleave(
        load, cycle_length=workers, num_parallel_calls=workers, deterministic=True
    )
    dataset = dataset.map(finish, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    total = steps_per_epoch(table, batch_size) * (epochs or 1) - start_step
    return dataset.apply(tf.data.experimental.assert_cardinality(total)).prefetch(tf.data.AUTOTUNE)


def index_batches(
    count: int, batch_size: int, *, training: bool, seed: int = 0, epochs: int | None = None
) -> tf.data.Dataset:
    """Which examples come when, before anything is read.

    Args:
        count: Examples of the table.
        batch_size: Examples a batch.
        training: Whether the order is shuffled anew each epoch.
        seed: Seed of the orders.
        epochs: As in `stream`.

    Returns:
        Data set of ``(epoch, positions, rows)``: what tells the epochs apart, int64; and int64
        ``[batch]``, the examples' places in the epoch and in the table.
    """
    order_key = _key(seed, _ORDER)
    steps = math.ceil(count / batch_size)

    @_in_operations
    def one_epoch(epoch):
        rows = tf.range(count, dtype=tf.int64)
        if training:
            key = tf.random.fold_in(order_key, epoch)
            rows = tf.random.experimental.stateless_shuffle(rows, key)

        def one_batch(step):
            if training:
                first, end = step * count // steps, (step + 1) * count // steps
            else:
                first, end = step * batch_size, tf.minimum((step + 1) * batch_size, count)
            return epoch, tf.range(first, end), rows[first:end]

        return tf.data.Dataset.range(steps).map(one_batch)

    if epochs is not None:
        keys = tf.data.Dataset.range(epochs)
    elif training:
        # A new number at each pass: a plain finite data set would repeat its first epoch for ever.
        keys = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).take(1)
    else:
        keys = tf.data.Dataset.range(1)
    return keys.flat_map(one_epoch)


def _key(seed: int, salt: int) -> tf.Tensor:
    return tf.constant([seed, salt], tf.int64)


def _loader(
    table: FaceTable,
    paths,
    image_size: int,
    batch_size: int,
    crop: Crop | None,
    steps: Augmentation,
    key,
):
    """A function from one batch of indices to a data set of one element, its images."""
    unknown = np.full(len(table), UNKNOWN_FORMAT)
    formats = tf.constant(unknown if table.formats is None else table.formats, tf.int32)

    is_random = crop is not None and crop.is_random
    count = steps.count + is_random  # the last is the place of the square

    def load_one(position, row, numbers):
        if crop is None:
            image = decode.read_image(paths[row], formats[row])
        else:
            place = numbers[-1] if is_random else decode.CENTER
            image = decode.read_crop(paths[row], formats[row], crop, place, image_size)
        image = steps.apply(image, numbers, before_resize=True)
        image = steps.apply(decode.resize(image, image_size), numbers, before_resize=False)
        return position, image

    @_in_operations
    def load(epoch, positions, rows):
        numbers = _numbers(tf.random.fold_in(key, epoch), positions, count)
        examples = tf.data.Dataset.from_tensor_slices((positions, rows, numbers))
        # An error inside a graph cannot be caught, but a data set can drop the example; the gap
        # is filled once the batch is complete.
        found = examples.map(load_one).ignore_errors().batch(batch_size)
        nothing = tf.data.Dataset.from_tensors(
            (tf.zeros([0], tf.int64), tf.zeros([0, image_size, image_size, 3]))
        )
        one = found.concatenate(nothing).take(1)
        return one.map(lambda kept, images: (epoch, positions, rows, kept, images))

    return load


def _numbers(key: tf.Tensor, positions: tf.Tensor, count: int) -> tf.Tensor:
    """Uniform numbers ``[batch, count]`` that depend on each example's position alone.

    The generator yields four numbers a tick of its counter, so every position has its own ticks,
    and one operation draws for a whole batch of neighbours what one an example would draw.
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


def _fill_gaps(positions, found, images, paths, rows, report):
    """Puts black images with weight 0 where files could not be read."""

    def call(path):
        report(path.decode())

    def fill():
        gaps = tf.reduce_all(positions[:, None] != found[None, :], axis=1)
        lost = tf.boolean_mask(rows, gaps)
        with tf.control_dependencies([tf.map_fn(_reporter(call, paths), lost)]):
            places = (found - positions[0])[:, None]
        shape = tf.concat([tf.shape(positions, tf.int64), tf.shape(images, tf.int64)[1:]], 0)
        return tf.scatter_nd(places, images, shape), 1.0 - tf.cast(gaps, tf.float32)

    complete = tf.equal(tf.shape(found)[0], tf.shape(positions)[0])
    return tf.cond(complete, lambda: (images, tf.ones(tf.shape(positions))), fill)


def _reporter(call, paths):
    def report_row(row):
        with tf.control_dependencies([tf.numpy_function(call, [paths[row]], [])]):
            return tf.identity(row)

    return report_row


def labeler(table: FaceTable, labels: str) -> Callable:
    """A function from rows of a table to their labels as `stream` gives them.

    Args:
        table: A labelled table.
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
    warnings.warn(f"{path} cannot be read and counts as a black image of weight 0", stacklevel=2)


def _check_arguments(
    table, image_size, batch_size, training, steps, mixup, cutmix, labels, epochs, start_step
) -> None:
    if not len(table):
        raise ValueError("A stream needs at least one image. Received: an empty table.")
    for name, value, low in (
        ("image_size", image_size, 1),
        ("batch_size", batch_size, 1),
        ("start_step", start_step, 0),
        ("mixup", mixup, 0),
        ("cutmix", cutmix, 0),
        ("epochs", 1 if epochs is None else epochs, 1),
    ):
        if not value >= low:
            raise ValueError(f"`{name}` must be at least {low}. Received: {name}={value}.")
    if labels not in ("index", "one_hot"):
        raise ValueError(f"`labels` must be 'index' or 'one_hot'. Received: labels={labels!r}.")
    if not training and (steps.steps or mixup or cutmix):
        raise ValueError(
            "Augmentation and mixing belong to training streams. Received: training=False with "
            "`augment`, `mixup` or `cutmix`. Say training=True, or leave them out."
        )
    if (mixup or cutmix) and (table.labels is None or (labels == "index")):
        raise ValueError(
            "Mixing needs labels that can be blended. "
            f"Received: labels={labels!r}. Say labels='one_hot'."
        )
    if start_step and epochs is None:
        raise ValueError(
            "`start_step` counts in a stream that spans a whole run. "
            f"Received: start_step={start_step} without `epochs`. Give the number of epochs too."
        )
    total = steps_per_epoch(table, batch_size) * (epochs or 1)
    if start_step > total:
        raise ValueError(
            f"`start_step` must be at most the {total} steps of the run. "
            f"Received: start_step={start_step}."
        )


def _check_mix_epochs(mix_epochs, epochs) -> None:
    if mix_epochs is None:
        return
    if epochs is None:
        raise ValueError(
            "`mix_epochs` counts the epochs of a stream that spans a whole run. "
            f"Received: mix_epochs={mix_epochs} without `epochs`. Give their number too."
        )
    if not 0 <= mix_epochs <= epochs:
        raise ValueError(
            "`mix_epochs` must be at least 0 and at most `epochs`. "
            f"Received: mix_epochs={mix_epochs}, epochs={epochs}."
        )


def _check_crop(crop, training) -> None:
    if crop is not None and not isinstance(crop, Crop):
        raise ValueError(
            "`crop` must be a kerasface.pipeline.Crop or None. "
            f"Received: crop={crop!r}. Use for instance Crop(share=0.8)."
        )
    if crop is not None and crop.is_random and not training:
        raise ValueError(
            "A random crop belongs to training streams. Received: training=False with "
            f"crop={crop!r}. Use crop.centered() or training=True."
        )
