"""Images to embeddings: vectors of length 1 that are near each other for one person."""

from __future__ import annotations

import hashlib
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasface import images as image_files
from kerasface.inference.reading import Images, Source, crop_of, open_model, readable_table
from kerasface.models import heads
from kerasface.pipeline import decode
from kerasface.pipeline.crop import Crop
from kerasface.pipeline.predict import predict_table

# What may stand behind the layer that makes the classes.
AFTER_CLASSES = (
    keras.layers.Activation,
    keras.layers.Dropout,
    keras.layers.Rescaling,
    keras.layers.Softmax,
)


def embedder(source: Source) -> keras.Model:
    """An embedding model: images to vectors of length 1.

    Of a model that was built with ``embedding=`` it is that model. Of a classifier it is what
    comes before the layer that makes the classes, divided by its length; it shares its layers.
    It knows nothing of what a run cuts out of each image: give `embed`, `kerasface.verify` and the
    others the run itself, or ``crop=``.

    Args:
        source: A run, its folder, a ``.keras`` file or a model.

    Returns:
        A functional model of stock layers, ``[batch, height, width, 3]`` RGB in [0, 255] to
        float32 ``[batch, dimensions]``.

    Raises:
        FileNotFoundError: If there is no such run or file.
        ValueError: If the model has several outputs, or does not end with a dense layer.

    Example:
        >>> model = embedder("runs/hw2p2")  # doctest: +SKIP
        >>> model.save("embedder.keras")  # doctest: +SKIP
    """
    model = open_model(source)
    if isinstance(model.layers[-1], keras.layers.UnitNormalization):
        return model
    behind = (layer for layer in reversed(model.layers) if not isinstance(layer, AFTER_CLASSES))
    last = next(behind, None)
    features = last.input if isinstance(last, keras.layers.Dense) else None
    if len(model.outputs) != 1 or features is None or len(features.shape) != 2:
        raise ValueError(
            "An embedding is what comes before the last dense layer of a model with one output. "
            f"Received: {model.name!r} with {len(model.outputs)} outputs and the last layer "
            f"{getattr(last, 'name', None)!r}. Build it with embedding=512, for instance."
        )
    unit = keras.layers.UnitNormalization(
        dtype="float32", name=f"{heads.HEAD_PREFIX}embedding_unit"
    )
    return keras.Model(model.input, unit(features), name=f"{model.name}_embedder")


def embed(
    source: Source,
    images: Images,
    *,
    crop: Crop | None = None,
    flip: bool = False,
    batch_size: int = 64,
    verbose: int = 0,
) -> np.ndarray:
    """The embeddings of images.

    Args:
        source: A run, its folder, a ``.keras`` file or a model; see `embedder`.
        images: A folder, whose images are taken sorted by path, or a table, or image files and
            folders.
        crop: Region of each image that the model is given; None takes what a run was trained on,
            and for a model that is no run the whole image.
        flip: Whether the embedding of the mirrored image is added before the length is made 1.
        batch_size: Images a step.
        verbose: 1 shows a progress bar.

    Returns:
        float32 ``[N, dimensions]``, rows of length 1 in the order of the images. The product of
        two rows is their cosine.

    Raises:
        ValueError: If the model makes no embeddings, or an image cannot be read.

    Example:
        >>> vectors = embed("runs/faces", "photographs", flip=True)  # doctest: +SKIP
        >>> similarity = vectors @ vectors.T  # doctest: +SKIP
    """
    model = embedder(source)
    table = readable_table(images, once=False)  # a row for each that was given
    options: dict[str, Any] = {"batch_size": batch_size, "flip": flip, "verbose": verbose}
    return unit_rows(predict_table(model, table, crop=crop or crop_of(source), **options))


def embed_pictures(
    model: keras.Model,
    pictures: Sequence[str | os.PathLike | np.ndarray],
    *,
    crop: Crop | None = None,
    flip: bool = False,
) -> np.ndarray:
    """The embeddings of a few pictures from files or arrays, in one batch.

    Args:
        model: What `embedder` gives.
        pictures: Paths, or uint8 RGB arrays ``[height, width, 3]``.
        crop: Region of each picture that the model is given; None is all of it.
        flip: As in `embed`.

    Returns:
        float32 ``[N, dimensions]``, rows of length 1.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If one is no image, an array no such picture, or the model's input no square.
    """
    _, height, width, _ = model.input_shape
    if height is None or height != width:
        raise ValueError(
            "Pictures are made square and of one size. "
            f"Received: a model for images of {height} x {width} pixels."
        )
    pixels = [_pixels(picture) for picture in pictures]
    tensors = [tf.constant(image) for image in pixels]
    if crop is not None:
        tensors = [decode.cut(image, crop) for image in tensors]
    batch = tf.stack([decode.resize(image, height) for image in tensors])
    outputs = model.predict_on_batch(batch)
    if flip:
        outputs = outputs + model.predict_on_batch(batch[:, :, ::-1])
    return unit_rows(outputs)


def fingerprint(model: keras.Model) -> str:
    """What tells an embedding model from others: a hash of its weights."""
    digest = hashlib.sha256(str(model.input_shape).encode())
    for array in model.get_weights():
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Rows divided by their lengths, float32; a row of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


def _pixels(picture: str | os.PathLike | np.ndarray) -> np.ndarray:
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise ValueError(
                "A picture in an array must be uint8 RGB of shape [height, width, 3]. "
                f"Received: shape={picture.shape}, dtype={picture.dtype}."
            )
        return picture
    path = pathlib.Path(picture)
    if not path.is_file():
        raise FileNotFoundError(
            f"A picture must be a file. Received: {os.fspath(path)!r}, which does not exist."
        )
    try:
        return image_files.decode(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"A picture must be an image. Received: {path}: {error}.") from error
