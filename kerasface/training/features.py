"""Features of a frozen backbone, computed once and kept on disk, and the head that learns on them.

The order of the examples, their augmentation and the head's dropout are those of a training on the
images, so the results agree up to the rounding of the features to float16. A backbone that is
frozen as a whole is in inference mode with and without the cache: its own dropouts are off.
"""

from __future__ import annotations

import collections
import concurrent.futures
import copy
import dataclasses
import hashlib
import json
import math
import pathlib
import re
from collections.abc import Callable
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from kerasface.data.table import FaceTable
from kerasface.embedding.saving import SavesRandomStates
from kerasface.files import replacing
from kerasface.pipeline.crop import Crop
from kerasface.pipeline.streams import (
    index_batches,
    labeler,
    steps_per_epoch,
    stream,
)

# A graph with its constants must stay below 2 GiB, and there are copies of them while it is made.
LARGEST_CONSTANTS = 2**29
# Batches in the network at once: one alone leaves processors waiting between its operations.
AT_ONCE = 2


@dataclasses.dataclass(frozen=True)
class Features:
    """What a backbone makes of a table.

    Attributes:
        values: float16 ``[variants, N, ...]``, memory-mapped.
        weights: float32 ``[variants, N]``, 0 for files that could not be read.
    """

    values: np.ndarray
    weights: np.ndarray


@keras.saving.register_keras_serializable(package="kerasface")
class HeadTraining(SavesRandomStates, keras.Model):
    """A model for ``fit`` that trains a head while its backbone is in inference mode.

    It is a class because a functional model passes ``training=True`` on to every layer, even to a
    nested model that was called with ``training=False``. The dropout layers of a frozen backbone
    would stay active.

    The model can be saved and loaded; import `kerasface.custom_objects` before loading.

    Args:
        backbone: Maps images to features, see `split_model`. It has no trainable weights.
        head: Maps features to outputs.
        name: Name of the model; None derives it from the head.
        dtype: Dtype policy, which decides on loss scaling; None is Keras's global policy.
    """

    def __init__(
        self,
        backbone: keras.Model,
        head: keras.Model,
        *,
        name: str | None = None,
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        super().__init__(name=name or f"{head.name}_training", dtype=dtype)
        self.backbone = backbone
        self.head = head
        self.built = True  # both parts are

    def call(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Returns the outputs of the head."""
        return self.head(self.backbone(images, training=False), training=training)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, both parts in serialized form."""
        return {
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "head": keras.saving.serialize_keras_object(self.head),
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "trainable": self.trainable,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Self:
        """Creates a model, without its weights, from the result of `get_config`."""
        # Keras empties the configs of functional models while it reads them.
        config = copy.deepcopy(config)
        parts = {
            key: keras.saving.deserialize_keras_object(config[key], custom_objects)
            for key in ("backbone", "head", "dtype")
        }
        options = {**config, **parts}
        trainable = options.pop("trainable", True)
        model = cls(**options)
        if not trainable:  # True would unfreeze layers that are frozen
            model.trainable = False
        return model


def extract(
    backbone: keras.Model,
    table: FaceTable,
    folder: pathlib.Path,
    *,
    image_size: int,
    batch_size: int,
    infer: Callable[[np.ndarray], np.ndarray] | None = None,
    crop: Crop | None = None,
    augment: tuple[str, ...] = (),
    variants: int = 1,
    seed: int = 0,
    on_unreadable: Callable[[str], None] | None = None,
    verbose: bool = False,
) -> Features:
    """The features of a table, from disk if they are there.

    Args:
        backbone: Images to features, in inference mode.
        table: What is read.
        folder: Where features are kept. A file's name is a hash of all that decides them: the
            network with its preprocessing, its weights, the contents of the files, image size,
            augmentation, variants and seed.
        image_size: Side of the square images in pixels.
        batch_size: Images a step.
        infer: What `inference` makes of the backbone, where several tables share it; None makes
            it, if it is needed.
        crop: As in `stream`.
        augment: As in `stream`; empty gives the images as they are.
        variants: How many augmented pictures of each image, those of the first epochs of a
            training stream; 1 without augmentation.
        seed: Seed of the augmentation.
        on_unreadable: As in `stream`.
        verbose: Whether a progress bar is shown.

    Returns:
        The features, rows in the table's order.
    """
    is_random = bool(augment) or (crop is not None and crop.is_random)
    settings = {
        "image_size": image_size,
        "crop": crop and dataclasses.asdict(crop),
        "augment": list(augment),
        "variants": variants,
        "seed": seed if is_random else None,
    }
    path = folder / f"{_fingerprint(backbone, table, settings)}.npy"
    weights_path = path.with_suffix(".weights.npy")
    if not path.is_file():
        shape = (variants, len(table), *backbone.output_shape[1:])
        weights = np.zeros(shape[:2], np.float32)
        with replacing(path) as part:
            values = np.lib.format.open_memmap(part, mode="w+", dtype=np.float16, shape=shape)
            pictures = _pictures(table, settings, crop, batch_size, on_unreadable)
            batches = _inferred(infer or inference(backbone), pictures, batch_size)
            total = variants * steps_per_epoch(table, batch_size)
            hidden = None if verbose else True  # None: where nobody looks
            for variant, rows, inferred, readable in tqdm(
                batches, total=total, desc="features", unit=" batches", disable=hidden
            ):
                values[variant, rows] = inferred
                weights[variant, rows] = readable
            values.flush()
            del values
            with replacing(weights_path) as weights_part:
                np.save(weights_part, weights)
    return Features(np.load(path, mmap_mode="r"), np.load(weights_path))


def feature_stream(
    features: Features,
    table: FaceTable,
    *,
    batch_size: int,
    training: bool = False,
    seed: int = 0,
    epochs: int = 1,
    start_step: int = 0,
) -> tf.data.Dataset:
    """Batches of features in the order that `stream` has for the images.

    Args:
        features: What `extract` gave for the table.
        table: Whose labels are taken.
        batch_size: Largest number of examples a batch.
        training: Whether the order is shuffled anew each epoch.
        seed: Seed of the order.
        epochs: How many; each takes the next of the variants.
        start_step: Batches left out at the beginning.

    Returns:
        Data set of ``(features, labels, weights)``: float32 ``[batch, ...]``, one-hot classes or
        attributes float32 ``[batch, classes]``, float32 ``[batch]``.
    """
    target = labeler(table, "one_hot")
    variants = len(features.values)

    def gather(epoch, rows):
        variant = epoch % variants
        return features.values[variant, rows].astype(np.float32), features.weights[variant, rows]

    @tf.autograph.experimental.do_not_convert
    def load(epoch, _, rows):
        values, weights = tf.numpy_function(gather, [epoch, rows], [tf.float32, tf.float32])
        values = tf.ensure_shape(values, [None, *features.values.shape[2:]])
        return values, target(rows), tf.ensure_shape(weights, [None])

    order = index_batches(len(table), batch_size, training=training, seed=seed, epochs=epochs)
    batches = order.skip(start_step).map(load, num_parallel_calls=1)
    total = steps_per_epoch(table, batch_size) * epochs - start_step
    return batches.apply(tf.data.experimental.assert_cardinality(total)).prefetch(tf.data.AUTOTUNE)


def inference(backbone: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """The backbone for many batches, its weights as constants.

    TensorFlow then makes one operation of a convolution, the normalization and the activation
    behind it: on processors a third faster than with variables. The weights are read at the first
    call; later changes are not seen.

    Args:
        backbone: Images to features.

    Returns:
        float32 ``[batch, height, width, 3]`` to features ``[batch, ...]``, in inference mode; may
        be called from several threads.
    """
    groups = (backbone.trainable_variables, backbone.non_trainable_variables)
    variables = [variable for group in groups for variable in group]
    size = sum(variable.value.dtype.size * math.prod(variable.shape) for variable in variables)

    @tf.function(autograph=False)
    def graph(images):
        if size > LARGEST_CONSTANTS:
            return backbone(images, training=False)
        with tf.init_scope():  # read now, at the first call; within the graph they have no values
            values = [[np.asarray(variable) for variable in group] for group in groups]
        constants = [[tf.constant(value) for value in group] for group in values]
        return backbone.stateless_call(*constants, images, training=False)[0]

    return lambda images: graph(tf.constant(images)).numpy()


def _inferred(infer, batches, batch_size: int):
    """``(variant, rows, features, weights)`` a batch, in the order of the pictures."""
    waiting: collections.deque = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for variant, rows, images, weights in batches:
            # A smaller last batch would have the network traced once more.
            full = np.pad(images, [(0, batch_size - len(images))] + [(0, 0)] * 3)
            waiting.append((variant, rows, pool.submit(infer, full), weights))
            if len(waiting) > AT_ONCE:
                yield _finished(*waiting.popleft())
        while waiting:
            yield _finished(*waiting.popleft())


def _finished(variant, rows, future, weights):
    return variant, rows, future.result()[: len(rows)], weights


def _pictures(table, settings, crop, batch_size, on_unreadable):
    """``(variant, rows, images, weights)`` a batch."""
    options = {"image_size": settings["image_size"], "crop": crop, "batch_size": batch_size}
    order = {"epochs": settings["variants"], "training": settings["seed"] is not None}
    if order["training"]:
        order["seed"] = settings["seed"]
        options["augment"] = settings["augment"]
    images = stream(table, **options, **order, on_unreadable=on_unreadable)
    indices = index_batches(len(table), batch_size, **order)
    for (variant, _, rows), (pixels, _, weights) in zip(
        indices.as_numpy_iterator(), images.as_numpy_iterator(), strict=True
    ):
        yield int(variant), rows, pixels, weights


def _fingerprint(backbone: keras.Model, table: FaceTable, settings: dict) -> str:
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    config = json.dumps(backbone.get_config(), sort_keys=True, default=str)
    # Names count up within a process and say nothing of what a network does.
    digest.update(re.sub(r'_\d+"', '"', config).encode())
    for array in backbone.get_weights():
        digest.update(np.ascontiguousarray(array).tobytes())
    for path in table.full_paths():
        try:
            content = pathlib.Path(path).read_bytes()
        except OSError:
            content = b""
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:32]
