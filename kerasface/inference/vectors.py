"""Embeddings of images by an embedding model."""

from __future__ import annotations

import os
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from kerasface import images as image_files
from kerasface.data.table import FaceTable
from kerasface.pipeline import decode
from kerasface.pipeline.crop import Crop
from kerasface.pipeline.predict import predict_array, predict_table


def embed_table(
    model: keras.Model,
    table: FaceTable,
    *,
    crop: Crop | None = None,
    flip: bool = False,
    batch_size: int = 64,
    verbose: int = 0,
) -> np.ndarray:
    """Computes the embeddings of a table's images.

    Args:
        model: Embedding model from `kerasface.embedder`.
        table: Readable images; labels are ignored.
        crop: Region of each image that the model sees; None is the whole image.
        flip: If True, add the embedding of the mirror image.
        batch_size: Batch size.
        verbose: 1 shows a progress bar.

    Returns:
        float32 ``[N, dimensions]``, rows of length 1 in the table's order.
    """
    outputs = predict_table(
        model,
        table,
        crop=crop,
        flip=flip,
        batch_size=batch_size,
        title="Embedding",
        verbose=verbose,
    )
    return unit_rows(outputs)


def embed_pictures(
    model: keras.Model,
    pictures: Sequence[str | os.PathLike | np.ndarray],
    *,
    crop: Crop | None = None,
    flip: bool = False,
) -> np.ndarray:
    """Computes the embeddings of a few images, files or arrays, in one batch.

    Args:
        model: Embedding model from `kerasface.embedder`.
        pictures: Paths, or uint8 RGB arrays ``[height, width, 3]``.
        crop: Region of each image that the model sees; None is the whole image.
        flip: If True, add the embedding of the mirror image.

    Returns:
        float32 ``[N, dimensions]``, rows of length 1.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If a file is not an image, an array has another shape or type, or the model's
            input is not square.
    """
    _, height, width, _ = model.input_shape
    if height is None or height != width:
        raise ValueError(
            "Images are resized to one square size. "
            f"Received: a model for images of {height} x {width} pixels."
        )
    tensors = [tf.constant(_pixels(picture)) for picture in pictures]
    if crop is not None:
        tensors = [decode.cut(image, crop) for image in tensors]
    batch = tf.stack([decode.resize(image, height) for image in tensors])
    outputs = predict_array(model, batch)
    if flip:
        outputs = outputs + predict_array(model, batch[:, :, ::-1])
    return unit_rows(outputs)


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Divides rows by their length; a row of zeros stays.

    Args:
        vectors: float ``[N, dimensions]``.

    Returns:
        float32 ``[N, dimensions]``.

    Example:
        >>> unit_rows(np.array([[3.0, 4.0]])).round(1).tolist()
        [[0.6000000238418579, 0.800000011920929]]
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


def _pixels(picture: object) -> np.ndarray:
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise ValueError(
                "An image in an array must be uint8 RGB of shape [height, width, 3]. "
                f"Received: shape={picture.shape}, dtype={picture.dtype}."
            )
        return picture
    if not isinstance(picture, (str, os.PathLike)):
        raise TypeError(
            "An image must be a path or a uint8 RGB array of shape [height, width, 3]. "
            f"Received: {type(picture).__name__}. Convert it with numpy.asarray."
        )
    return image_files.read(picture)
