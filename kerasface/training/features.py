"""Cached features of a frozen backbone, and the model that trains the head alone.

The order of the examples, their augmentation and the head's dropout are the same as in a training
on the images, so the results agree up to the rounding of the features to float16. A frozen backbone
is in inference mode with and without the cache: its own dropouts are off.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import hashlib
import json
import math
import pathlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kerasface.data.table import FaceTable
from kerasface.embedding.saving import SavesParts
from kerasface.files import replacing
from kerasface.pipeline.crop import Crop
from kerasface.pipeline.settings import steps_per_epoch
from kerasface.pipeline.streams import index_batches, labeler, ready_batches, stream
from kerasface.progress import track
from kerasface.training.model_config import architecture_text

# A graph with its constants must stay below 2 GiB, and building it copies them.
LARGEST_CONSTANTS = 2**29
# Number of parallel inferences. A single one leaves CPU cores idle between operations.
PARALLEL_BATCHES = 2
Infer = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Features:
    """The features of a table's images.

    Attributes:
        values: float16 ``[variants, N, ...]``, memory-mapped.
        weights: float32 ``[variants, N]``, 0 for files that could not be read.
    """

    values: np.ndarray
    weights: np.ndarray


class Batch(NamedTuple):
    """A batch of one variant of a table's images, or of their features.

    Attributes:
        variant: Number of the variant.
        rows: Rows of the table, int ``[batch]``.
        values: Images or features ``[batch, ...]``.
        weights: float32 ``[batch]``, 0 for files that could not be read.
    """

    variant: int
    rows: np.ndarray
    values: np.ndarray
    weights: np.ndarray


@keras.saving.register_keras_serializable(package="kerasface")
class HeadTraining(SavesParts, keras.Model):
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

    parts = ("backbone", "head")

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
        self.built = True  # both parts are built

    def call(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Returns the outputs of the head."""
        return self.head(self.backbone(images, training=False), training=training)


def extract(
    backbone: keras.Model,
    table: FaceTable,
    folder: pathlib.Path,
    *,
    image_size: int,
    batch_size: int,
    infer: Infer | None = None,
    crop: Crop | None = None,
    augment: tuple[str, ...] = (),
    variants: int = 1,
    seed: int = 0,
    on_unreadable: Callable[[str], None] | None = None,
    verbose: int = 0,
) -> Features:
    """Computes the features of a table, or reads them from disk.

    Args:
        backbone: Images to features, in inference mode.
        table: The images.
        folder: Folder of the cache. The name of a file is a hash of everything that determines
            its content: the network with its preprocessing, its weights, the contents of the
            image files, image size, augmentation, variants and seed.
        image_size: Side of the square images in pixels.
        batch_size: Batch size.
        infer: `inference` of the backbone, to share it among tables; None makes it if needed.
        crop: As in `stream`.
        augment: As in `stream`; empty uses the images without augmentation.
        variants: Number of augmented versions of each image, those of the first epochs of a
            training stream; 1 without augmentation.
        seed: Seed of the augmentation.
        on_unreadable: As in `stream`.
        verbose: 1 shows a progress bar.

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
            total = variants * len(table)
            for batch in track(
                batches,
                total,
                "Computing features",
                size=lambda batch: len(batch.rows),
                verbose=verbose,
            ):
                values[batch.variant, batch.rows] = batch.values
                weights[batch.variant, batch.rows] = batch.weights
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
    """Batches of features, in the order in which `stream` yields the images.

    Args:
        features: Features of the table, from `extract`.
        table: The table, with labels.
        batch_size: Batch size.
        training: If True, shuffle every epoch.
        seed: Seed of the order.
        epochs: Number of epochs; each uses the next of the variants.
        start_step: Number of batches to skip at the beginning.

    Returns:
        Data set of ``(features, labels, weights)``: float32 ``[batch, ...]``, one-hot classes or
        attributes float32 ``[batch, classes]``, float32 ``[batch]``.
    """
    target = labeler(table, "one_hot")
    variants = len(features.values)

    def gather(epoch: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        variant = epoch % variants
        return features.values[variant, rows].astype(np.float32), features.weights[variant, rows]

    @tf.autograph.experimental.do_not_convert
    def load(
        epoch: tf.Tensor, _: tf.Tensor, rows: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        values, weights = tf.numpy_function(gather, [epoch, rows], [tf.float32, tf.float32])
        values = tf.ensure_shape(values, [None, *features.values.shape[2:]])
        return values, target(rows), tf.ensure_shape(weights, [None])

    order = index_batches(len(table), batch_size, training=training, seed=seed, epochs=epochs)
    batches = order.skip(start_step).map(load, num_parallel_calls=1)
    total = steps_per_epoch(table, batch_size) * epochs - start_step
    return ready_batches(batches, total)


def inference(backbone: keras.Model) -> Infer:
    """Compiles the backbone for many batches, with its weights as constants.

    TensorFlow then fuses a convolution with the normalization and the activation after it, which
    is a third faster on CPUs than with variables. The weights are read at the first call; later
    changes have no effect.

    Args:
        backbone: Images to features.

    Returns:
        float32 ``[batch, height, width, 3]`` to features ``[batch, ...]``, in inference mode; may
        be called from several threads.
    """
    groups = (backbone.trainable_variables, backbone.non_trainable_variables)
    variables = [variable for group in groups for variable in group]
    size = sum(variable.value.dtype.size * math.prod(variable.shape) for variable in variables)

    def network(images: tf.Tensor) -> tf.Tensor:
        if size > LARGEST_CONSTANTS:
            return backbone(images, training=False)
        with tf.init_scope():  # inside the graph the variables have no values
            values = [[np.asarray(variable) for variable in group] for group in groups]
        constants = [[tf.constant(value) for value in group] for group in values]
        return backbone.stateless_call(*constants, images, training=False)[0]

    graphs: dict[tuple[int, ...], Any] = {}
    lock = threading.Lock()

    def infer(images: np.ndarray) -> np.ndarray:
        with lock:  # one graph per shape, also with several threads
            if images.shape not in graphs:
                function = tf.function(network, autograph=False)
                specification = tf.TensorSpec(images.shape, images.dtype)
                graphs[images.shape] = function.get_concrete_function(specification)
        return graphs[images.shape](tf.constant(images)).numpy()

    return infer


def _inferred(infer: Infer, batches: Iterable[Batch], batch_size: int) -> Iterator[Batch]:
    """Yields batches of features, in the order of the batches of images."""
    waiting: collections.deque[tuple[Batch, concurrent.futures.Future[np.ndarray]]]
    waiting = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(PARALLEL_BATCHES) as pool:
        for batch in batches:
            # A smaller last batch would trace the network again.
            padding = [(0, batch_size - len(batch.values))] + [(0, 0)] * 3
            waiting.append((batch, pool.submit(infer, np.pad(batch.values, padding))))
            if len(waiting) > PARALLEL_BATCHES:
                yield _finished(*waiting.popleft())
        while waiting:
            yield _finished(*waiting.popleft())


def _finished(batch: Batch, future: concurrent.futures.Future[np.ndarray]) -> Batch:
    return batch._replace(values=future.result()[: len(batch.rows)])


def _pictures(
    table: FaceTable,
    settings: dict[str, Any],
    crop: Crop | None,
    batch_size: int,
    on_unreadable: Callable[[str], None] | None,
) -> Iterator[Batch]:
    """Yields batches of images."""
    order: dict[str, Any] = {
        "epochs": settings["variants"],
        "training": settings["seed"] is not None,
    }
    options: dict[str, Any] = {}
    if order["training"]:
        order["seed"] = settings["seed"]
        options["augment"] = settings["augment"]
    images = stream(
        table,
        image_size=settings["image_size"],
        crop=crop,
        batch_size=batch_size,
        on_unreadable=on_unreadable,
        **options,
        **order,
    )
    indices = index_batches(len(table), batch_size, **order)
    for (variant, _, rows), (pixels, _, weights) in zip(
        indices.as_numpy_iterator(), images.as_numpy_iterator(), strict=True
    ):
        yield Batch(int(variant), rows, pixels, weights)


def _fingerprint(backbone: keras.Model, table: FaceTable, settings: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    digest.update(architecture_text(backbone).encode())
    for array in backbone.get_weights():
        digest.update(np.ascontiguousarray(array).tobytes())
    for path in table.full_paths():
        try:
            content = pathlib.Path(path).read_bytes()
        except OSError:
            content = b""
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:32]
